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

/// The facts of a commit, in the order of its entries.
pub(super) fn facts(commit: &Commit) -> Vec<Fact> {
    let mut out = Vec::new();
    for entry in &commit.entries {
        let mut say = |topic, about, detail: String| {
            let fact = Fact {
                topic,
                about,
                incident: entry.incident(),
                of: commit.seq,
                at: commit.at,
                closed: false,
                detail,
            };
            out.push(fact);
        };
        match entry {
            Entry::ApprovalOpened { approval } => {
                say(Topic::Approval, About::Question(approval.id), String::new());
            }
            Entry::ApprovalExpired { approval, state: ApprovalState::Expired, .. } => {
                say(Topic::Expired, About::Silence(*approval), String::new());
            }
            Entry::IncidentOpened(e) => stage(e.incident, &e.evidence, say),
            Entry::IncidentStaged(e) => stage(e.incident, &e.evidence, say),
            Entry::IncidentContained { incident, .. } => {
                say(Topic::Contained, About::Case(*incident, Topic::Contained), String::new());
            }
            Entry::RunParked { run, waiting_on: WaitingOn::Operator, .. } => {
                say(Topic::Parked, About::Run(*run), String::new());
            }
            Entry::GuardrailRefused { run, reason, .. } => {
                say(Topic::Refused, About::Guardrail(*run), told(reason));
            }
            Entry::PauseChanged { paused, by, reason } => {
                let what = if *paused { "Stopped" } else { "Ended" };
                let detail = told(&format!("{what} by {by}: {reason}"));
                say(Topic::Pause, About::Pause(commit.seq), detail);
            }
            Entry::NoticeFailed(failed) if failed.did != Did::Updated => {
                // That a channel cannot be told, it is not told; and there is an end to it.
                if failed.fact.topic != Topic::Undelivered {
                    let detail = told(failed.problem.as_deref().unwrap_or_default());
                    say(Topic::Undelivered, About::Channel(failed.channel.clone()), detail);
                }
            }
            _ => {}
        }
        for (topic, about, detail) in ended(entry) {
            out.push(Fact {
                topic,
                about,
                incident: entry.incident(),
                of: commit.seq,
                at: commit.at,
                closed: true,
                detail,
            });
        }
    }
    out
}

fn stage(incident: IncidentId, evidence: &Rise, mut say: impl FnMut(Topic, About, String)) {
    let topic = match evidence.stage {
        Stage::Noted | Stage::Suspected => return,
        Stage::Confirmed => Topic::Confirmed,
        Stage::Breached => Topic::Breached,
    };
    say(topic, About::Case(incident, topic), told(&evidence.reason));
}

/// What needs nobody any more.
fn ended(entry: &Entry) -> Vec<(Topic, About, String)> {
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
