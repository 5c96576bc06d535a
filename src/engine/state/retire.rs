//! What outlives the journal's oldest lines: said again as rows, or dropped for good.
//!
//! A fold that begins behind dropped lines meets entries about cases that it has never heard of, passes
//! over some and takes half of others. The rows that come after say how all of that stands, so that from
//! there on it is the same as a fold of everything, which they tell nothing new.

use serde_json::Value;
use std::collections::BTreeSet;

use super::rows::{RowKey, ended_key, ended_row};
use super::{Cells, State};
use crate::engine::ports::StoreError;
use crate::model::id::{IncidentId, SubjectId};
use crate::model::run::{Purpose, Run};

impl State {
    /// The rows of these people, as far as memory has them.
    pub(crate) fn rows_of(&self, people: &[SubjectId]) -> Vec<(String, Value)> {
        let mut rows = Vec::new();
        let mut plans = BTreeSet::new();
        for id in people {
            self.say(&mut rows, &RowKey::Subject(*id));
            for incident in self.cases.get(id).into_iter().flatten() {
                self.say(&mut rows, &RowKey::Incident(*incident));
                for run in self.runs_of(*incident) {
                    plans.insert(run.plan.clone());
                    self.say_run(&mut rows, run);
                }
            }
        }
        for plan in plans {
            self.say(&mut rows, &RowKey::Plan(plan));
        }
        rows
    }

    fn say_run(&self, rows: &mut Vec<(String, Value)>, run: &Run) {
        for asked in &run.asked {
            self.say(rows, &RowKey::Approval(*asked));
        }
        if run.status.ended() {
            let row = ended_row(run).and_then(|row| serde_json::from_slice(&row).ok());
            rows.extend(row.map(|row| (ended_key(run.id), row)));
            return;
        }
        self.say(rows, &RowKey::Run(run.id));
        for cell in run.cells.keys() {
            self.say(rows, &RowKey::Cell(run.id, cell.clone()));
        }
    }

    /// The rows that are about nobody in particular.
    pub(crate) fn common_rows(&self) -> Vec<(String, Value)> {
        let mut keys = vec![RowKey::Deployment, RowKey::Pause, RowKey::Ended];
        keys.extend(self.guardrail_rows());
        keys.extend(self.published.iter().flat_map(|(name, digest)| {
            [RowKey::Plan(digest.clone()), RowKey::Published(name.clone())]
        }));
        keys.extend(self.holds.keys().map(|(a, c)| RowKey::Hold(a.clone(), c.clone())));
        keys.extend(self.ceilings.keys().map(|name| RowKey::Ceiling(name.clone())));
        keys.extend(self.people.keys().map(|id| RowKey::Person(*id)));
        keys.extend(self.enrolments.keys().map(|hash| RowKey::Enrolment(hash.clone())));
        keys.extend(self.tokens.keys().map(|id| RowKey::Token(*id)));
        keys.extend(self.delegations.keys().map(|id| RowKey::Delegation(*id)));
        keys.extend(self.polls.keys().map(|source| RowKey::Poll(source.clone())));
        keys.extend(self.tests.keys().map(|connection| RowKey::Test(connection.clone())));
        keys.extend(self.telling_rows());
        keys.extend(self.asks.keys().map(|hash| RowKey::Ask(hash.clone())));
        let mut rows = Vec::new();
        for key in &keys {
            self.say(&mut rows, key);
        }
        rows
    }

    fn say(&self, rows: &mut Vec<(String, Value)>, key: &RowKey) {
        // Rows are JSON.
        let row = self.row(key).and_then(|row| serde_json::from_slice(&row).ok());
        rows.extend(row.map(|row| (key.text(), row)));
    }

    /// Takes over rows as they stand now.
    pub(super) fn say_again(&mut self, rows: &[(String, Value)]) {
        let mut cells = Cells::new();
        for (key, row) in rows {
            // Rows that a newer program wrote cost only themselves.
            let taken = serde_json::to_vec(row)
                .map_err(|e| StoreError::Read(e.to_string()))
                .and_then(|row| self.load(key, &row, &mut cells));
            if let Err(error) = taken {
                tracing::error!("Passed over a row of a snapshot: {error}");
            }
        }
        for (run, cell) in cells {
            if let Some(run) = self.runs.get_mut(&run) {
                run.cells.insert(cell.key.clone(), Box::new(cell));
            }
        }
    }

    pub(super) fn drop_incident(&mut self, id: IncidentId) {
        let Some(case) = self.incidents.remove(&id) else { return };
        self.touch(RowKey::Incident(id));
        for asked in &case.asked {
            if self.asks.remove(&asked.hash).is_some() {
                self.touch(RowKey::Ask(asked.hash.clone()));
            }
        }
        for run in &case.runs {
            let Some(run) = self.runs.remove(run) else { continue };
            self.touch(RowKey::Run(run.id));
            for asked in &run.asked {
                self.approvals.remove(asked);
                self.touch(RowKey::Approval(*asked));
            }
            let pinned = self.runs.values().any(|other| other.plan == run.plan);
            if run.purpose == Purpose::Restore && !pinned {
                self.plans.remove(&run.plan);
                self.touch(RowKey::Plan(run.plan.clone()));
            }
        }
        if let Some(cases) = self.cases.get_mut(&case.subject) {
            cases.retain(|other| *other != id);
            self.touch(RowKey::Cases(case.subject));
        }
        if self.newest.get(&case.subject) == Some(&id) {
            self.newest.remove(&case.subject);
            let left = self.cases.get(&case.subject).into_iter().flatten();
            let left = left.filter_map(|id| self.incidents.get(id));
            if let Some(newest) = left.max_by_key(|i| super::load::rank(i)).map(|i| i.id) {
                self.newest.insert(case.subject, newest);
            }
        }
    }

    pub(super) fn drop_subject(&mut self, id: SubjectId) {
        let names = match self.subjects.remove(&id) {
            Some(subject) => subject.aliases,
            // A fold that began behind the lines which told of them may still have heard a name.
            None => self.aliases.keys().cloned().collect(),
        };
        self.touch(RowKey::Subject(id));
        for alias in names {
            if self.aliases.get(&alias) == Some(&id) {
                self.aliases.remove(&alias);
                self.touch(RowKey::Alias(alias));
            }
        }
        self.cases.remove(&id);
        self.newest.remove(&id);
        self.touch(RowKey::Cases(id));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::entry::{ClassTested, Commit, ConnectionTested, Entry};
    use crate::model::poll::PollAdvanced;

    /// A poller that begins anew behind a pruned journal would leave a gap.
    #[test]
    fn how_far_a_poll_got_outlives_the_lines_that_said_so() {
        let advanced = PollAdvanced {
            source: "okta".into(),
            log: "system".to_owned(),
            through: "2026-05-05T10:15:30Z".parse().unwrap(),
            seen: Vec::new(),
        };
        let entry = Entry::PollAdvanced(Box::new(advanced.clone()));
        let mut state = State::default();
        state.apply(&Commit { seq: 1, at: advanced.through, entries: vec![entry] });

        let rows = state.common_rows();
        let mut behind = State::default();
        behind.apply_entry(advanced.through, &Entry::Snapshot { rows });
        let mut indexed = State::from_rows(1, state.all_rows()).unwrap();

        assert_eq!(behind.polls.get(&"okta".into()), Some(&advanced));
        assert_eq!(indexed.polls, state.polls);
        assert_eq!(indexed.all_rows(), state.all_rows());
    }

    #[test]
    fn what_came_of_trying_a_connection_outlives_the_lines_that_said_so() {
        let tested = ConnectionTested {
            connection: "entra".into(),
            at: "2026-05-05T10:15:30Z".parse().unwrap(),
            by: "ann".to_owned(),
            classes: vec![ClassTested {
                of: "privileged".to_owned(),
                credential: "client secret".to_owned(),
                works: false,
                problem: Some("403".to_owned()),
            }],
            unset: BTreeMap::new(),
        };
        let entry = Entry::ConnectionTested(Box::new(tested.clone()));
        let mut state = State::default();
        state.apply(&Commit { seq: 1, at: tested.at, entries: vec![entry] });

        let mut behind = State::default();
        behind.apply_entry(tested.at, &Entry::Snapshot { rows: state.common_rows() });
        let mut indexed = State::from_rows(1, state.all_rows()).unwrap();

        assert_eq!(behind.tests.get(&"entra".into()), Some(&tested));
        assert_eq!(indexed.tests, state.tests);
        assert_eq!(indexed.all_rows(), state.all_rows());
    }
}
