//! What happened, in words, for people who replay a seed. Empty unless somebody asked for it.

use std::fmt::Write as _;
use std::sync::Mutex;

use super::clock::WallClock;
use crate::engine::ports::Clock;
use crate::model::entry::{Commit, Entry};

/// Lines with the time that had passed.
pub(super) struct Trace {
    clock: WallClock,
    lines: Option<Mutex<String>>,
}

impl Trace {
    pub(super) fn new(clock: WallClock, wanted: bool) -> Self {
        Self { clock, lines: wanted.then(Mutex::default) }
    }

    pub(super) fn say(&self, line: impl std::fmt::Display) {
        let Some(lines) = &self.lines else { return };
        let (passed, wall) = (self.clock.passed(), self.clock.now());
        let mut lines = lines.lock().unwrap();
        writeln!(lines, "{:>9.3}s {} {line}", passed.as_secs_f64(), wall.format("%H:%M:%S%.3f"))
            .unwrap();
    }

    pub(super) fn text(&self) -> String {
        self.lines.as_ref().map(|l| l.lock().unwrap().clone()).unwrap_or_default()
    }

    pub(super) fn commit(&self, commit: &Commit) {
        if self.lines.is_some() {
            self.say(format!("commit {}", commit.seq));
            for entry in &commit.entries {
                self.say(format!("    {}", words(entry)));
            }
        }
    }
}

/// One entry, shortly.
fn words(entry: &Entry) -> String {
    match entry {
        Entry::StepIntent(e) => format!(
            "intent {} {} attempt {} grant {:?} ceiling {:?} run {}",
            e.cell.step, e.cell.item, e.attempt, e.grant, e.ceiling, e.run
        ),
        Entry::StepOutcome(e) => {
            format!("outcome {} {} {:?} -> {:?}", e.cell.step, e.cell.item, e.outcome, e.next)
        }
        Entry::StepVerified(e) => {
            format!("read {} {} {:?} -> {:?}", e.cell.step, e.cell.item, e.strength, e.next)
        }
        Entry::StepSkipped(e) => {
            format!("ended {} {} {:?}: {}", e.cell.step, e.cell.item, e.conclusion, e.reason)
        }
        Entry::StepParked { cell, until, problem, .. } => {
            format!("parked {} {} until {until:?}: {problem}", cell.step, cell.item)
        }
        Entry::IncidentOpened(e) => {
            format!("opened {} of {}: {:?}", e.incident, e.subject, short(&e.evidence))
        }
        Entry::IncidentJoined(e) => format!("joined {}: {}", e.incident, short(&e.evidence)),
        Entry::IncidentStaged(e) => format!("staged {}: {}", e.incident, short(&e.evidence)),
        Entry::ApprovalOpened { approval } => {
            let items: Vec<String> = approval
                .items
                .iter()
                .map(|i| format!("{} {} ({})", i.cell.step, i.cell.item, i.reason))
                .collect();
            format!("asked {} until {}: {}", approval.id, approval.expires_at, items.join("; "))
        }
        Entry::ApprovalDecided(e) => format!(
            "decided {} {:?} by {} for {} items until {}",
            e.approval,
            e.state,
            e.signed.by_name,
            e.granted.len(),
            e.begin_until
        ),
        Entry::RunStarted(e) => {
            format!("run {} of {} {:?} {:?} {:?}", e.run, e.incident, e.purpose, e.mode, e.round)
        }
        Entry::PlanPublished(e) => format!("published {}", e.name),
        Entry::DeliveryAccepted(e) => format!("accepted {} {}", e.source, e.delivery),
        Entry::SubjectResolved { subject, accounts, .. } => {
            format!("resolved {subject}: {} accounts", accounts.len())
        }
        Entry::AlertRaised { alert, incident, .. } => {
            format!("alert {} on {incident}", alert.rule)
        }
        Entry::EventJoined { event, .. } => format!("event {:?} {:?}", event.kind, event.outcome),
        other => format!("{other:?}").chars().take(200).collect(),
    }
}

fn short(e: &crate::model::entry::Rise) -> String {
    format!(
        "{:?} approval {:?} exposed {} stale {} may {:?} entry {:?}",
        e.stage, e.approval, e.password_exposed, e.stale, e.may_cause, e.hostile_entry_at
    )
}
