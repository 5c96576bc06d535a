//! An incident's journal as sentences, newest facts last.

use super::show::{At, Coded, Till};
use super::words;

use crate::model::action::{Outcome, Strength};
use crate::model::approval::{ApprovalState, Asks, Decision, Vote};
use crate::model::entry::{
    ApprovalDecided, AttemptRefused, Commit, Entry, IncidentRisen, StepOutcome,
};
use crate::model::event::{Event, EventKind, EventOutcome};
use crate::model::notice::{Did, Told};
use crate::model::run::{CellKey, CellState, Purpose};
use crate::model::subject::Subject;
use crate::model::text::tame_field;
use crate::model::time::Time;

/// One sentence of the timeline.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) at: At,
    /// When the same was said for the last time, and how often in all.
    pub(super) until: Option<Till>,
    pub(super) times: usize,
    pub(super) kind: Kind,
    pub(super) text: Coded,
    pub(super) detail: Coded,
}

/// What a sentence is about: its icon and its row in the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Prompt,
    Hostile,
    Evidence,
    Asked,
    Decided,
    Act,
    Proof,
    Trouble,
    Milestone,
    Run,
    Note,
}

impl Kind {
    pub(super) fn icon(self) -> &'static str {
        match self {
            Self::Prompt => "◌",
            Self::Hostile => "▲",
            Self::Evidence => "•",
            Self::Asked => "?",
            Self::Decided => "◆",
            Self::Act => "■",
            Self::Proof => "✓",
            Self::Trouble => "!",
            Self::Milestone => "★",
            Self::Run => "▸",
            Self::Note => "✎",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Hostile => "hostile",
            Self::Evidence => "evidence",
            Self::Asked => "question",
            Self::Decided => "decision",
            Self::Act => "action",
            Self::Proof => "proof",
            Self::Trouble => "trouble",
            Self::Milestone => "milestone",
            Self::Run => "run",
            Self::Note => "note",
        }
    }
}

/// An entry as a sentence and its detail; none where it says nothing to people.
pub(super) fn said(at: Time, entry: &Entry) -> Option<(String, String)> {
    say(at, entry).map(|(_, _, text, detail)| (text, detail))
}

/// A commit's sentences about its incident.
pub(super) fn lines(commit: &Commit) -> Vec<Line> {
    commit
        .entries
        .iter()
        .filter_map(|entry| {
            let (at, kind, text, detail) = say(commit.at, entry)?;
            Some(Line {
                at: At(at),
                until: None,
                times: 1,
                kind,
                text: Coded(text),
                detail: Coded(detail),
            })
        })
        .collect()
}

/// Says only once what was said several times in a row, and names accounts as people know them.
pub(super) fn folded(said: Vec<Line>, subject: Option<&Subject>) -> Vec<Line> {
    let mut folded: Vec<Line> = Vec::new();
    for mut line in said {
        line.text = Coded(named(&line.text.0, subject));
        match folded.last_mut() {
            Some(last) if last.text == line.text && last.detail == line.detail => {
                last.until = Some(Till(line.at.0));
                last.times += 1;
            }
            _ => folded.push(line),
        }
    }
    folded
}

/// A sentence with each account's login in the place of its identifier.
pub(super) fn named(text: &str, subject: Option<&Subject>) -> String {
    let accounts = subject.map(|s| s.accounts.as_slice()).unwrap_or_default();
    accounts.iter().fold(text.to_owned(), |text, account| {
        let login = tame_field(&format!("{} at {}", account.login, account.connection));
        text.replace(&account.key().to_string(), &login)
    })
}

/// So many actions, in words.
pub(super) fn actions(n: usize) -> String {
    if n == 1 { "1 action".to_owned() } else { format!("{n} actions") }
}

/// A commit as sentences for a terminal: when, an icon, what, and the detail behind it.
pub(crate) fn told(commit: &Commit) -> Vec<(Time, &'static str, String, String)> {
    commit.entries.iter().filter_map(|entry| told_of(commit.at, entry)).collect()
}

/// The same of one entry, of a commit at `at`.
pub(crate) fn told_of(at: Time, entry: &Entry) -> Option<(Time, &'static str, String, String)> {
    let (at, kind, text, detail) = say(at, entry)?;
    Some((at, kind.icon(), text, detail))
}

type Said = (Time, Kind, String, String);

fn say(at: Time, entry: &Entry) -> Option<Said> {
    let none = String::new;
    Some(match entry {
        Entry::EventJoined { event, .. } => return Some(event_said(event)),
        Entry::AlertRaised { alert, source, .. } => {
            let text = format!("Alert from {source}: {}", tame_field(&alert.reason));
            (alert.time, Kind::Evidence, text, tame_field(&alert.rule))
        }
        Entry::ReportReceived { report, source, .. } => {
            let text = format!("Report through {source}: a prompt nobody had asked for");
            (report.time, Kind::Evidence, text, words::report(report))
        }
        Entry::IncidentOpened(e) => {
            let text = format!("Incident opened as {}", e.evidence.stage.name());
            (at, Kind::Milestone, text, tame_field(&e.evidence.reason))
        }
        Entry::IncidentStaged(e) => {
            (at, Kind::Milestone, staged(e), tame_field(&e.evidence.reason))
        }
        Entry::IncidentContained { .. } => (at, Kind::Milestone, "Contained".to_owned(), none()),
        Entry::IncidentClosed { by, note, .. } => {
            (at, Kind::Milestone, format!("Closed by {}", tame_field(by)), tame_field(note))
        }
        Entry::IncidentByHand { by, .. } => {
            (at, Kind::Milestone, format!("Contained by hand by {}", tame_field(by)), none())
        }
        Entry::IncidentNote { by, note, .. } => {
            (at, Kind::Note, format!("Note by {}", tame_field(by)), tame_field(note))
        }
        Entry::RunStarted(e) => {
            let why = match e.purpose {
                Purpose::Contain => "to contain it",
                Purpose::Continue { .. } => "because the evidence rose",
                Purpose::Restore => "to take back what was changed",
            };
            (at, Kind::Run, format!("Playbook {} started {why}", e.playbook), none())
        }
        other => return people_said(at, other),
    })
}

/// What people are asked, what they answer, and what they try.
fn people_said(at: Time, entry: &Entry) -> Option<Said> {
    let none = String::new;
    Some(match entry {
        Entry::PersonAsked(e) => {
            let (by, over) = (tame_field(&e.by), e.channel.words());
            let text = format!("{by} asked the person concerned, by {over}");
            (at, Kind::Asked, text, tame_field(&e.to))
        }
        Entry::PersonAnswered(e) => (at, Kind::Evidence, words::answered(e), words::led_to(e)),
        Entry::ApprovalOpened { approval } => {
            let whom = approval.addressed.first().map(words::asked);
            let whom = whom.map(|whom| format!("Put to {whom}")).unwrap_or_default();
            (at, Kind::Asked, asked(approval.asks, approval.items.len()), whom)
        }
        Entry::ApprovalVoted(e) => {
            (at, Kind::Decided, voted(&e.vote), tame_field(&e.signed.justification))
        }
        Entry::AttemptRefused(e) => (at, Kind::Trouble, tried(e), tame_field(&e.reason)),
        Entry::ApprovalEscalated { reason, addressed, .. } => {
            let text = match addressed {
                Some(asked) => format!("Asked on: {}", words::asked(asked)),
                None => "Asked on, and more people".to_owned(),
            };
            (at, Kind::Trouble, text, tame_field(reason))
        }
        Entry::ApprovalDecided(e) => {
            (at, Kind::Decided, decided(e), tame_field(&e.signed.justification))
        }
        Entry::ApprovalExpired { state, .. } => {
            let text = match state {
                ApprovalState::Cancelled => "The question was withdrawn",
                ApprovalState::Approved => "Nobody answered in time; silence counted as yes",
                _ => "Nobody answered in time",
            };
            (at, Kind::Trouble, text.to_owned(), none())
        }
        Entry::NoticeSent(told) | Entry::NoticeFailed(told) => return Some(told_said(at, told)),
        other => return step_said(at, other),
    })
}

/// Who was told what, or could not be.
pub(super) fn told_said(at: Time, told: &Told) -> Said {
    let channel = tame_field(&told.channel);
    let what = told.fact.topic.name();
    let text = match (&told.problem, told.did) {
        (Some(_), Did::Updated) => {
            format!("What {channel} was told could not be brought up to date")
        }
        (Some(_), _) => format!("{channel} could not be told ({what})"),
        (None, Did::Updated) => format!("What {channel} was told was brought up to date ({what})"),
        (None, Did::Left) => format!("What {channel} was told cannot be changed there"),
        (None, Did::Gathered) => format!("Told {channel} among other things ({what})"),
        (None, Did::Posted) => format!("Told {channel} ({what})"),
    };
    let again = told.perhaps_again.then(|| {
        "perhaps a second time: an earlier attempt was not answered, or Quell had died in it".into()
    });
    let instead = told.instead_of.as_ref().map(|first| format!("instead of {}", tame_field(first)));
    let next = told.next.as_ref().map(|next| format!("{} is told instead", tame_field(next)));
    let problem = told.problem.as_deref().map(tame_field);
    let detail: Vec<String> = [problem, instead, next, again].into_iter().flatten().collect();
    let kind = if told.problem.is_some() { Kind::Trouble } else { Kind::Note };
    (at, kind, text, detail.join("; "))
}

fn step_said(at: Time, entry: &Entry) -> Option<Said> {
    let none = String::new;
    Some(match entry {
        Entry::StepOutcome(e) => return outcome_said(e),
        Entry::StepVerified(e) => {
            let name = cell(&e.cell);
            match e.strength {
                Some(Strength::State) => (at, Kind::Proof, format!("{name} was read back"), none()),
                Some(Strength::Log) => {
                    (at, Kind::Proof, format!("{name} shows in the provider's log"), none())
                }
                None if matches!(e.next, CellState::Applied { .. }) => return None,
                None => {
                    let problem = e.problem.as_deref().map(tame_field).unwrap_or_default();
                    (at, Kind::Trouble, format!("{name} could not be proved"), problem)
                }
            }
        }
        Entry::StepSkipped(e) => {
            let text = format!("{} was {}", cell(&e.cell), e.conclusion.name());
            (at, Kind::Run, text, tame_field(&e.reason))
        }
        Entry::BlockDecided(e) => {
            let what = if e.enters { "was entered" } else { "was skipped" };
            (at, Kind::Run, format!("{} {what}", cell(&e.cell)), tame_field(&e.reason))
        }
        Entry::RunCancelled { .. } => {
            let why = "What it had not begun is left out; its last steps follow";
            (at, Kind::Run, "The run was cancelled".to_owned(), why.to_owned())
        }
        Entry::StepParked { cell: key, until: Some(_), problem, .. } if key.is_look_up() => {
            let text =
                format!("`{}` could not be asked, and is asked again", tame_field(&key.item));
            (at, Kind::Trouble, text, tame_field(problem))
        }
        Entry::StepParked { cell: key, until: None, problem, .. } => {
            (at, Kind::Trouble, format!("{} needs a person", cell(key)), tame_field(problem))
        }
        Entry::GuardrailRefused { cell: key, reason, .. } => (
            at,
            Kind::Trouble,
            format!("{} was refused by a guardrail", cell(key)),
            tame_field(reason),
        ),
        Entry::HoldReleased { account, opened, reason, .. } => {
            let what = if *opened { "was opened again" } else { "stays shut" };
            (
                at,
                Kind::Act,
                format!("{} {what}", tame_field(&account.to_string())),
                tame_field(reason),
            )
        }
        Entry::RunEnded { status, .. } => {
            (at, Kind::Run, format!("The run {}", status.name()), none())
        }
        Entry::RunCrashed { .. } => {
            (at, Kind::Trouble, "The process died during this run".to_owned(), none())
        }
        _ => return None,
    })
}

fn event_said(event: &Event) -> Said {
    let (kind, what) = match (event.kind, event.outcome) {
        (EventKind::Prompt, EventOutcome::Approved) => (Kind::Hostile, "A prompt was approved"),
        (EventKind::Prompt, EventOutcome::Denied) => (Kind::Prompt, "A prompt was denied"),
        (EventKind::Prompt, EventOutcome::TimedOut) => {
            (Kind::Prompt, "A prompt was left unanswered")
        }
        (EventKind::Prompt, EventOutcome::WrongAnswer) => {
            (Kind::Prompt, "A prompt was answered wrongly")
        }
        (EventKind::Prompt, EventOutcome::Reported) => {
            (Kind::Prompt, "A prompt was reported as fraud")
        }
        (EventKind::Prompt, _) => (Kind::Prompt, "A prompt was sent"),
        (EventKind::SignIn, EventOutcome::Succeeded) => (Kind::Evidence, "A sign-in succeeded"),
        (EventKind::SignIn, _) => (Kind::Evidence, "A sign-in failed"),
        (EventKind::TokenRefresh, _) => (Kind::Evidence, "A token was refreshed"),
        (EventKind::FactorChange, _) => (Kind::Hostile, "A second factor was changed"),
        (EventKind::RecoveryChange, _) => (Kind::Hostile, "A means of recovery was changed"),
        (EventKind::InboxRule, _) => {
            (Kind::Hostile, "A mail rule was made that forwards, moves or deletes")
        }
        (EventKind::Grant, _) => (Kind::Hostile, "An application was given access"),
        (EventKind::RoleChange, _) => (Kind::Hostile, "A role was given"),
        (EventKind::StolenSession, _) => {
            (Kind::Evidence, "The provider takes a session for stolen")
        }
        (EventKind::StolenPassword, _) => {
            (Kind::Evidence, "The provider takes the password for known to others")
        }
        (EventKind::OddSignIn, _) => (Kind::Evidence, "The provider found a sign-in odd"),
    };
    let place = event.place.as_ref();
    let from = [
        event.ip.map(|ip| ip.to_string()),
        place.and_then(|p| p.city.clone()),
        place.and_then(|p| p.country.clone()),
        event.device.clone(),
        event.app.clone(),
        event.client.as_ref().map(|client| format!("claims to be {client}")),
    ];
    let from: Vec<String> = from.into_iter().flatten().map(|part| tame_field(&part)).collect();
    (event.time, kind, what.to_owned(), from.join(" · "))
}

fn staged(e: &IncidentRisen) -> String {
    format!("The evidence rose: {}", e.evidence.stage.name())
}

fn asked(asks: Asks, n: usize) -> String {
    match asks {
        Asks::Ratify => format!("Asked people whether {} may stand", actions(n)),
        Asks::Contain | Asks::Restore => format!("Asked people about {}", actions(n)),
    }
}

fn tried(refused: &AttemptRefused) -> String {
    let by = refused.by.as_deref().map_or_else(|| "Somebody".to_owned(), tame_field);
    format!("{by} tried `{}` and was refused", tame_field(&refused.what))
}

fn voted(vote: &Vote) -> String {
    let said = if vote.decision == Decision::Approve { "yes" } else { "no" };
    format!("{} said {said}; others have to answer as well", tame_field(&vote.name))
}

fn decided(e: &ApprovalDecided) -> String {
    let by = tame_field(&e.signed.by_name);
    match e.signed.statement.decision {
        Decision::Approve => {
            format!("{by} approved {}, signed by passkey", actions(e.granted.len()))
        }
        Decision::Deny => format!("{by} denied, signed by passkey"),
    }
}

fn outcome_said(e: &StepOutcome) -> Option<Said> {
    let name = cell(&e.cell);
    let problem = e.problem.as_deref().map(tame_field).unwrap_or_default();
    let (kind, text) = match e.outcome {
        Outcome::Done => (Kind::Act, format!("{name} was done")),
        Outcome::Unchanged => (Kind::Act, format!("{name} was so already")),
        Outcome::Refused => (Kind::Trouble, format!("{name} was refused by the provider")),
        Outcome::Unknown => (Kind::Trouble, format!("{name}: nobody knows whether it arrived")),
        Outcome::NotSent | Outcome::Throttled if e.attempt > 1 => return None,
        Outcome::NotSent => (Kind::Trouble, format!("{name} could not be sent")),
        Outcome::Throttled => (Kind::Trouble, format!("{name}: the provider asked to wait")),
    };
    Some((e.sent_at, kind, text, problem))
}

/// A cell's name for people: its step, and what it is about.
pub(super) fn cell(key: &CellKey) -> String {
    let (step, item) = (tame_field(key.step.as_str()), tame_field(&key.item));
    if item.is_empty() { format!("`{step}`") } else { format!("`{step}` on {item}") }
}
