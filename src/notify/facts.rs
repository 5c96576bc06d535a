//! What journal entries say that somebody elsewhere should know. Pure: a commit in, facts out.

use crate::model::approval::{ApprovalState, Decision};
use crate::model::entry::{ApprovalDecided, Commit, Entry, Rise};
use crate::model::id::IncidentId;
use crate::model::incident::Stage;
use crate::model::notice::{About, Did, Fact, Topic};
use crate::model::run::WaitingOn;
use crate::model::text::{inert, tame};

/// Longest detail that is kept with a fact.
const DETAIL: usize = 300;

/// Text from outside, fit to be kept and to be told anywhere.
pub(super) fn told(text: &str) -> String {
    inert(&tame(text, DETAIL))
}

/// What an entry says: its topic, its thread, and what the state will not say later.
type Said = (Topic, About, String);

/// The facts of a commit, in the order of its entries.
pub(super) fn facts(commit: &Commit) -> Vec<Fact> {
    let mut out = Vec::new();
    for entry in &commit.entries {
        let mut add = |said: Vec<Said>, closed: bool| {
            out.extend(said.into_iter().map(|(topic, about, detail)| Fact {
                topic,
                about,
                incident: entry.incident(),
                of: commit.seq,
                at: commit.at,
                closed,
                detail,
            }));
        };
        add(news(commit.seq, entry).into_iter().collect(), false);
        add(ended(entry), true);
    }
    out
}

/// What somebody may have to look at.
fn news(seq: u64, entry: &Entry) -> Option<Said> {
    Some(match entry {
        Entry::ApprovalOpened { approval } => {
            (Topic::Approval, About::Question(approval.id), String::new())
        }
        // The message of before is brought up to date: who has answered, and until when it stands.
        Entry::ApprovalVoted(e) => (Topic::Approval, About::Question(e.approval), String::new()),
        Entry::ApprovalEscalated { approval, reason, .. } => {
            (Topic::Approval, About::Question(*approval), told(reason))
        }
        Entry::ApprovalDecided(e) => (Topic::Decided, About::Decision(e.approval), decided(e)),
        Entry::ApprovalExpired { approval, state: ApprovalState::Expired, granted, .. } => {
            let done = match granted.len() {
                0 => "Nothing of what was asked is done".to_owned(),
                n => format!("Only what locks nobody out is done ({n})"),
            };
            (Topic::Expired, About::Silence(*approval), done)
        }
        Entry::IncidentOpened(e) => return stage(e.incident, &e.evidence),
        Entry::IncidentStaged(e) => return stage(e.incident, &e.evidence),
        Entry::IncidentContained { incident, .. } => {
            (Topic::Contained, About::Case(*incident, Topic::Contained), String::new())
        }
        // A run may wait for something else besides; a step that needs a person is told of all the same.
        Entry::StepParked { run, until: None, .. }
        | Entry::RunParked { run, waiting_on: WaitingOn::Operator, .. } => {
            (Topic::Parked, About::Run(*run), String::new())
        }
        Entry::GuardrailRefused { run, reason, .. } => {
            (Topic::Refused, About::Guardrail(*run), told(reason))
        }
        Entry::PauseChanged { paused, by, reason } => {
            let what = if *paused { "Stopped" } else { "Ended" };
            (Topic::Pause, About::Pause(seq), told(&format!("{what} by {by}: {reason}")))
        }
        // That a channel cannot be told that another cannot be told is told to nobody.
        Entry::NoticeFailed(failed)
            if matches!(failed.did, Did::Posted | Did::Gathered)
                && failed.fact.topic != Topic::Undelivered =>
        {
            let problem = told(failed.problem.as_deref().unwrap_or_default());
            (Topic::Undelivered, About::Channel(failed.channel.clone()), problem)
        }
        _ => return None,
    })
}

fn stage(incident: IncidentId, evidence: &Rise) -> Option<Said> {
    let topic = match evidence.stage {
        Stage::Noted | Stage::Suspected => return None,
        Stage::Confirmed => Topic::Confirmed,
        Stage::Breached => Topic::Breached,
    };
    Some((topic, About::Case(incident, topic), told(&evidence.reason)))
}

/// What needs nobody any more.
fn ended(entry: &Entry) -> Vec<Said> {
    let case = |incident: IncidentId, how: &str| {
        [Topic::Confirmed, Topic::Breached]
            .into_iter()
            .map(|topic| (topic, About::Case(incident, topic), how.to_owned()))
            .collect()
    };
    match entry {
        Entry::ApprovalDecided(e) => {
            vec![(Topic::Approval, About::Question(e.approval), decided(e))]
        }
        Entry::ApprovalExpired { approval, state, .. } => {
            let how = match state {
                ApprovalState::Cancelled => {
                    "Withdrawn: its run ended, or another question took its place"
                }
                _ => "Nobody answered in time",
            };
            vec![(Topic::Approval, About::Question(*approval), how.to_owned())]
        }
        Entry::IncidentContained { incident, .. } => case(*incident, "Contained"),
        Entry::IncidentClosed { incident, by, .. } => {
            case(*incident, &told(&format!("Closed by {by}")))
        }
        Entry::RunEnded { run, status, .. } => {
            vec![(Topic::Parked, About::Run(*run), format!("The run {}", status.name()))]
        }
        Entry::RunContinued { run, .. } => {
            vec![(Topic::Parked, About::Run(*run), "The run goes on".to_owned())]
        }
        Entry::StepParked { run, until: Some(_), problem, .. }
            if problem.starts_with("resumed") =>
        {
            vec![(Topic::Parked, About::Run(*run), told(problem))]
        }
        Entry::NoticeSent(sent) => {
            let about = About::Channel(sent.channel.clone());
            vec![(Topic::Undelivered, about, "It can be told again".to_owned())]
        }
        _ => Vec::new(),
    }
}

fn decided(e: &ApprovalDecided) -> String {
    let by = told(&e.signed.by_name);
    match (e.signed.statement.decision, e.granted.len()) {
        (Decision::Deny, _) => format!("Denied by {by}"),
        (Decision::Approve, 1) => format!("Approved by {by}: 1 action"),
        (Decision::Approve, n) => format!("Approved by {by}: {n} actions"),
    }
}
