//! People at rest: those whom nothing changes by itself are kept in the index only.
//!
//! Whoever has no live run and keeps no account shut can be put away, whole: the person, their
//! incidents, runs and questions. The rows say the same, so nothing is lost; whatever names
//! such a person brings them back first (`engine::shelf`). The fold needs them back only for
//! entries that name them.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Published, RowKey, State};
use crate::model::approval::Approval;
use crate::model::id::{IncidentId, PlanDigest, RunId, SubjectId};
use crate::model::incident::Incident;
use crate::model::run::{Purpose, Run};
use crate::model::subject::{Alias, Subject};

/// Who may be in the index only.
#[derive(Debug)]
pub(crate) struct Shelf {
    /// Hashes of the names of everybody who is or was there.
    names: HashSet<u64>,
    /// `names` holds all of them. Until then, anybody may be there.
    complete: bool,
    /// Something is there, as far as is known.
    used: bool,
    /// Counts the times that somebody was put away.
    pub(crate) epoch: u64,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { names: HashSet::new(), complete: true, used: false, epoch: 0 }
    }
}

/// People, whole.
#[derive(Debug, Clone, Default)]
#[expect(clippy::vec_box, reason = "boxed as memory keeps them, so that they move without a copy")]
pub(crate) struct People {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) incidents: Vec<Box<Incident>>,
    pub(crate) runs: Vec<Box<Run>>,
    pub(crate) approvals: Vec<Approval>,
    pub(crate) plans: Vec<(PlanDigest, Published)>,
}

fn hash(alias: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    alias.hash(&mut hasher);
    hasher.finish()
}

impl Shelf {
    /// The index holds people whose names are not known yet.
    pub(crate) fn begin(&mut self) {
        self.complete = false;
        self.used = true;
    }

    /// Learns the name of somebody who is there.
    pub(crate) fn learn(&mut self, alias: &str) {
        self.names.insert(hash(alias));
    }

    /// All names are learned.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// Whether anybody may be there.
    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    fn may_hold(&self, alias: &Alias) -> bool {
        self.used && (!self.complete || self.names.contains(&hash(&alias.0)))
    }
}

impl State {
    /// Whether a name that memory does not know may be somebody in the index.
    pub(crate) fn may_be_shelved(&self, alias: &Alias) -> bool {
        !self.aliases.contains_key(alias) && self.shelf.may_hold(alias)
    }

    /// Whether anything is in the index only.
    pub(crate) fn is_partial(&self) -> bool {
        self.shelf.used || self.deliveries.any_away()
    }

    /// Puts people away until at most `keep` are left of those who could be, the longest known first.
    /// Their rows must have been written; those that changed since are left. How many went.
    pub(crate) fn shelve(&mut self, keep: usize, pinned: impl Fn(SubjectId) -> bool) -> usize {
        let (busy, changed) = (self.busy(), self.changing());
        let targets: HashSet<SubjectId> =
            self.subjects.values().filter_map(|s| s.merged_into).collect();
        let at_rest = |id: &SubjectId| {
            let may = |i: &IncidentId| !busy.contains(i);
            self.cases.get(id).is_none_or(|cases| cases.iter().all(may))
                && !changed.contains(id)
                && !targets.contains(id)
                && !pinned(*id)
        };
        // Ids begin with the time, so these are in the order in which people were first named.
        let resting: BTreeSet<SubjectId> =
            self.subjects.keys().filter(|id| at_rest(id)).copied().collect();
        let goes = resting.len().saturating_sub(keep);
        for id in resting.into_iter().take(goes) {
            self.put_away(id);
        }
        self.shelf.used |= goes > 0;
        self.shelf.epoch += u64::from(goes > 0);
        goes
    }

    /// Incidents that something may happen to by itself.
    pub(crate) fn busy(&self) -> HashSet<IncidentId> {
        let live = self.live.iter().filter_map(|run| self.runs.get(run).map(|r| r.incident));
        let asked = self.asks.values().map(|open| open.incident);
        live.chain(self.holds.values().flat_map(|h| h.by.keys().copied())).chain(asked).collect()
    }

    /// People of whom rows are still to be written.
    fn changing(&self) -> HashSet<SubjectId> {
        let of = |incident: &IncidentId| self.incidents.get(incident).map(|i| i.subject);
        let of_run = |run: &RunId| self.runs.get(run).and_then(|r| of(&r.incident));
        let who = |key: &RowKey| match key {
            RowKey::Subject(id) | RowKey::Cases(id) => Some(*id),
            RowKey::Alias(alias) => self.aliases.get(alias).copied(),
            RowKey::Incident(incident) => of(incident),
            RowKey::Run(run) | RowKey::Cell(run, _) => of_run(run),
            RowKey::Approval(id) => self.approvals.get(id).and_then(|a| of(&a.incident)),
            _ => None,
        };
        self.changed.iter().filter_map(who).collect()
    }

    fn put_away(&mut self, id: SubjectId) {
        let Some(subject) = self.subjects.remove(&id) else { return };
        for alias in &subject.aliases {
            self.shelf.learn(&alias.0);
            if self.aliases.get(alias) == Some(&id) {
                self.aliases.remove(alias);
            }
        }
        self.newest.remove(&id);
        for incident in self.cases.remove(&id).unwrap_or_default() {
            let Some(case) = self.incidents.remove(&incident) else { continue };
            let runs: Vec<_> = case.runs.iter().filter_map(|run| self.runs.remove(run)).collect();
            for run in runs {
                for question in &run.asked {
                    self.approvals.remove(question);
                }
                // A restore's plan is its own, but another may undo just the same.
                let pinned = || self.runs.values().any(|r| r.plan == run.plan);
                if run.purpose == Purpose::Restore && !pinned() {
                    self.plans.remove(&run.plan);
                }
            }
        }
    }

    /// Takes people back, but for those whom memory has: it knows more.
    pub(crate) fn take_back(&mut self, people: People) {
        let mut come = HashSet::new();
        for subject in people.subjects {
            if !self.subjects.contains_key(&subject.id) {
                come.insert(subject.id);
                self.load_subject(subject);
            }
        }
        let mut cases = HashSet::new();
        for incident in people.incidents.into_iter().filter(|i| come.contains(&i.subject)) {
            cases.insert(incident.id);
            self.load_incident(incident);
        }
        for run in people.runs.into_iter().filter(|run| cases.contains(&run.incident)) {
            // Live runs are in memory before the people whom they are about.
            self.runs.entry(run.id).or_insert(run);
        }
        for mut approval in people.approvals.into_iter().filter(|a| cases.contains(&a.incident)) {
            super::load::slim(&mut approval);
            self.approvals.insert(approval.id, approval);
        }
        let come = cases.iter().flat_map(|case| self.runs_of(*case));
        let pinned: HashSet<PlanDigest> = come.map(|run| run.plan.clone()).collect();
        for (digest, plan) in people.plans.into_iter().filter(|(plan, _)| pinned.contains(plan)) {
            self.plans.entry(digest).or_insert(plan);
        }
    }

    /// Everything that memory has of these people.
    pub(crate) fn people(&self, ids: impl IntoIterator<Item = SubjectId>) -> People {
        let mut people = People::default();
        for id in ids {
            people.subjects.extend(self.subjects.get(&id).cloned());
            let cases = self.cases.get(&id).into_iter().flatten();
            for case in cases.filter_map(|case| self.incidents.get(case)) {
                people.incidents.push(case.clone());
                for run in case.runs.iter().filter_map(|run| self.runs.get(run)) {
                    let asked = run.asked.iter().filter_map(|id| self.approvals.get(id));
                    people.approvals.extend(asked.cloned());
                    let plan = self.plans.get(&run.plan).cloned();
                    people.plans.extend(plan.map(|plan| (run.plan.clone(), plan)));
                    people.runs.push(run.clone());
                }
            }
        }
        people
    }

    /// Brings everybody back whom `full`, a fold of the whole journal, knows and memory does not.
    pub(crate) fn bring_all(&mut self, mut full: Self) {
        let gone = full.subjects.keys().filter(|id| !self.subjects.contains_key(id));
        let gone: Vec<SubjectId> = gone.copied().collect();
        self.take_back(full.people(gone));
        // Whatever was ever published is a row, though no run may name it any more.
        for (digest, plan) in std::mem::take(&mut full.plans) {
            self.plans.entry(digest).or_insert(plan);
        }
        self.deliveries.bring(std::mem::take(&mut full.deliveries));
        self.shelf = Shelf { epoch: self.shelf.epoch + 1, ..Shelf::default() };
    }
}
