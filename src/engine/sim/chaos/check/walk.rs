//! The journal, entry by entry, with the state as it stood before each.

use std::collections::{BTreeMap, BTreeSet};

use super::super::catalogue::spec;
use super::super::play::Play;
use super::super::tenant::Did;
use super::gates;
use crate::engine::state::State;
use crate::model::action::{ActionSpec, Effect, Outcome, Proof, Repeat};
use crate::model::entry::{Commit, Entry, StepIntent};
use crate::model::id::{IncidentId, RunId};
use crate::model::run::{CellKey, CellState, Conclusion, RunStatus};
use crate::model::time::Time;

/// What the walk remembers of one key.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) seq: u64,
    pub(super) incident: IncidentId,
    pub(super) action: String,
}

pub(in crate::engine::sim::chaos) struct Walk<'p> {
    pub(super) play: &'p Play<'p>,
    pub(super) state: State,
    pub(super) log: Vec<Did>,
    journal: &'p [Commit],
    pub(super) wrong: Vec<String>,
    /// By key, in order.
    pub(super) intents: BTreeMap<String, Vec<Intent>>,
    cells: BTreeMap<(RunId, CellKey), StepIntent>,
    /// Keys of cells that a person let try again, with how often.
    pub(super) resumed: BTreeMap<String, usize>,
    /// When each ceiling was used.
    ceilings: Vec<(Time, String)>,
    /// `(seq, paused)`.
    pub(super) pauses: Vec<(u64, bool)>,
    /// The newest hostile entry of each incident and the commit that told of it.
    pub(super) hostile: BTreeMap<IncidentId, u64>,
    /// Holds as they stood from each commit on: account and capability to incidents.
    pub(super) undone: Vec<(IncidentId, String, u64)>,
    seq: u64,
}

impl<'p> Walk<'p> {
    pub(in crate::engine::sim::chaos) fn new(play: &'p Play<'p>, journal: &'p [Commit]) -> Self {
        Self {
            play,
            state: State::default(),
            log: play.outside.tenant.log.lock().unwrap().clone(),
            journal,
            wrong: Vec::new(),
            intents: BTreeMap::new(),
            cells: BTreeMap::new(),
            resumed: BTreeMap::new(),
            ceilings: Vec::new(),
            pauses: Vec::new(),
            hostile: BTreeMap::new(),
            undone: Vec::new(),
            seq: 0,
        }
    }

    pub(in crate::engine::sim::chaos) fn go(&mut self) {
        for (n, commit) in self.journal.iter().enumerate() {
            if commit.seq != n as u64 + 1 {
                self.say("the_journal_is_one_line", format!("commit {} at {n}", commit.seq));
            }
            self.seq = commit.seq;
            for entry in &commit.entries {
                self.before(commit, entry);
                self.state.apply_entry(commit.at, entry);
            }
            self.state.seq = commit.seq;
            super::effects::holds_are_respected(self, commit.seq);
        }
    }

    pub(super) fn say(&mut self, promise: &str, text: impl std::fmt::Display) {
        self.wrong.push(format!("{promise}: {text} (commit {})", self.seq));
    }

    fn before(&mut self, commit: &Commit, entry: &Entry) {
        match entry {
            Entry::StepIntent(intent) => self.intent(commit, intent),
            Entry::StepOutcome(e) => {
                let reads = self.spec_of(e.run, &e.cell).is_some_and(|s| s.effect == Effect::Read);
                let doubt = matches!(e.next, CellState::InDoubt { .. });
                if e.outcome == Outcome::Unknown && !reads && !doubt {
                    self.say("unknown_is_resolved", format!("{:?} became {:?}", e.cell, e.next));
                }
            }
            Entry::StepSkipped(e) => self.ended(e.run, &e.cell, e.conclusion),
            Entry::StepParked { run, cell, until: Some(_), problem, .. }
                if problem.starts_with("resumed") =>
            {
                if let Some(intent) = self.cells.get(&(*run, cell.clone())) {
                    *self.resumed.entry(intent.call.key.clone()).or_default() += 1;
                }
            }
            Entry::ApprovalOpened { approval } => {
                gates::a_question_asks_enough_people(self, approval);
            }
            Entry::ApprovalDecided(e) => gates::a_decision_is_valid(self, commit, e),
            Entry::HoldReleased { incident, account, capability, .. } => {
                let held = self.state.holds.get(&(account.clone(), capability.clone()));
                if !held.is_some_and(|h| h.by.contains_key(incident)) {
                    let text = format!("{account} {capability} of {incident}");
                    self.say("a_hold_is_taken_off_once", text);
                }
                self.undone.push((*incident, account.to_string(), commit.seq));
            }
            Entry::PauseChanged { paused, .. } => self.pauses.push((commit.seq, *paused)),
            Entry::RunEnded { run, status, .. } => self.run_ends(*run, *status),
            Entry::IncidentContained { incident, .. } => {
                super::end::contained_is_contained_in_the_world(self, *incident, commit.seq);
            }
            Entry::IncidentOpened(e) => self.hostile(e.incident, e.evidence.hostile_entry_at),
            Entry::IncidentJoined(e) | Entry::IncidentStaged(e) => {
                self.hostile(e.incident, e.evidence.hostile_entry_at);
            }
            _ => {}
        }
    }

    fn hostile(&mut self, incident: IncidentId, at: Option<Time>) {
        let known = self.state.incidents.get(&incident).and_then(|i| i.hostile_entry_at);
        if at.is_some() && at > known {
            self.hostile.insert(incident, self.seq);
        }
    }

    fn spec_of(&self, run: RunId, cell: &CellKey) -> Option<ActionSpec> {
        spec(self.cells.get(&(run, cell.clone()))?.call.action.as_str())
    }

    /// An intent is about to be in force.
    fn intent(&mut self, commit: &Commit, intent: &StepIntent) {
        let place = (intent.run, intent.cell.clone());
        let before = self.cells.get(&place).cloned();
        let state = self.state.runs.get(&intent.run).and_then(|r| r.cells.get(&intent.cell));
        let state = state.map(|c| c.state.clone());
        let Some(spec) = spec(intent.call.action.as_str()) else { return };
        if let Some(before) = &before {
            if before.call.key != intent.call.key {
                self.say("a_key_stays_over_attempts", format!("{:?}", intent.cell));
            }
            if intent.attempt > 1 && before.call != intent.call {
                self.say("an_attempt_repeats_the_same_call", format!("{:?}", intent.cell));
            }
        }
        if let Some(CellState::InDoubt { .. }) = state
            && spec.effect != Effect::Read
        {
            let again = matches!(spec.repeat, Repeat::Set | Repeat::Keyed)
                && matches!(spec.proof, Proof::None(_));
            if !again {
                self.say(
                    "unknown_is_resolved",
                    format!("{:?} was sent again in doubt", intent.cell),
                );
            }
        }
        gates::an_effect_has_its_grant(self, commit, intent, &spec, before.as_ref());
        self.count(commit, intent, &spec);
        let known = Intent {
            seq: commit.seq,
            incident: intent.incident,
            action: intent.call.action.0.clone(),
        };
        self.intents.entry(intent.call.key.clone()).or_default().push(known);
        self.cells.insert(place, intent.clone());
    }

    /// No ceiling is ever passed, in any hour, whatever died in it.
    fn count(&mut self, commit: &Commit, intent: &StepIntent, spec: &ActionSpec) {
        let counts = gates::is_a_block(spec) && intent.attempt == 1;
        let Some(name) = intent.ceiling.clone() else {
            if counts {
                self.say("a_block_counts", format!("{:?}", intent.cell));
            }
            return;
        };
        self.ceilings.push((commit.at, name.clone()));
        let since = commit.at - chrono::TimeDelta::hours(1);
        let used = self.ceilings.iter().filter(|(at, n)| *at > since && *n == name).count();
        let limit = self.play.story.policy.ceilings.limit(&name);
        if used > limit {
            self.say("no_ceiling_is_passed", format!("{name}: {used} of {limit} within an hour"));
        }
    }

    /// A cell ends without an outcome of its own.
    fn ended(&mut self, run: RunId, cell: &CellKey, conclusion: Conclusion) {
        let known = self.state.runs.get(&run).and_then(|r| r.cells.get(cell));
        let doubt = matches!(
            known.map(|c| &c.state),
            Some(CellState::InDoubt { .. } | CellState::Intended)
        );
        let assumed = self.spec_of(run, cell).is_some_and(|s| s.assume_done);
        if doubt && known.is_some_and(|c| c.attempt > 0) && !assumed {
            self.say("unknown_is_resolved", format!("{cell:?} ended {conclusion:?} in doubt"));
        }
    }

    /// Nothing is left open behind a run that ends.
    fn run_ends(&mut self, run: RunId, status: RunStatus) {
        let Some(run) = self.state.runs.get(&run) else { return };
        let open: BTreeSet<String> = run
            .cells
            .values()
            .filter(|c| match &c.state {
                CellState::Concluded { .. } => false,
                CellState::Intended | CellState::InDoubt { .. } => true,
                _ => status != RunStatus::Cancelled,
            })
            .map(|c| format!("{} {} {:?}", c.key.step, c.key.item, c.state))
            .collect();
        if !open.is_empty() {
            let text = format!("{} {status:?}: {open:?}", run.id);
            self.say("a_run_ends_when_its_steps_have", text);
        }
    }
}
