//! The state as rows of a key-value index, and back.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

use super::State;
use crate::engine::ports::{RowChange, StoreError};
use crate::model::id::{
    ApprovalId, Capability, IncidentId, PersonId, PlanDigest, PlaybookName, RunId, SubjectId,
    TokenId,
};
use crate::model::incident::{Incident, IncidentStatus};
use crate::model::run::{Cell, CellKey, Run};
use crate::model::subject::AccountKey;

/// Names one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    Deployment,
    Pause,
    Subject(SubjectId),
    Incident(IncidentId),
    Run(RunId),
    Cell(RunId, CellKey),
    Approval(ApprovalId),
    Plan(PlanDigest),
    Published(PlaybookName),
    Hold(AccountKey, Capability),
    Delivery(String),
    Ceiling(String),
    Person(PersonId),
    Enrolment(String),
    Token(TokenId),
}

impl RowKey {
    fn text(&self) -> String {
        match self {
            Self::Deployment => "deployment".to_owned(),
            Self::Pause => "pause".to_owned(),
            Self::Subject(id) => format!("subject/{id}"),
            Self::Incident(id) => format!("incident/{id}"),
            Self::Run(id) => format!("run/{id}"),
            Self::Cell(run, key) => format!("cell/{run}/{}|{}", key.step, key.item),
            Self::Approval(id) => format!("approval/{id}"),
            Self::Plan(digest) => format!("plan/{digest}"),
            Self::Published(name) => format!("published/{name}"),
            Self::Hold(account, capability) => format!("hold/{capability}/{account}"),
            Self::Delivery(key) => format!("delivery/{key}"),
            Self::Ceiling(name) => format!("ceiling/{name}"),
            Self::Person(id) => format!("person/{id}"),
            Self::Enrolment(hash) => format!("enrolment/{hash}"),
            Self::Token(id) => format!("token/{id}"),
        }
    }
}

/// The kind of row that an ended run is.
const ENDED: &str = "ended";

/// An ended run with all its cells.
#[derive(Serialize, Deserialize)]
struct Ended<'r> {
    run: Cow<'r, Run>,
    cells: Vec<Cow<'r, Cell>>,
}

fn json<T: Serialize>(value: Option<&T>) -> Option<Bytes> {
    // Rows are plain data with text keys: writing them as JSON cannot fail.
    value.and_then(|v| serde_json::to_vec(v).ok()).map(Bytes::from)
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value)
        .map_err(|e| StoreError::Read(format!("row `{key}` of the index is unreadable: {e}")))
}

impl State {
    /// The rows that changed since the last call, as they stand now.
    pub(crate) fn take_changes(&mut self) -> Vec<RowChange> {
        let changed = std::mem::take(&mut self.changed);
        let mut rows = Vec::with_capacity(changed.len());
        let mut runs = BTreeSet::new();
        for key in changed {
            match &key {
                RowKey::Run(id) => _ = runs.insert(*id),
                RowKey::Cell(id, _) if self.runs.get(id).is_none_or(|r| r.status.ended()) => {
                    // Its cells are in its own row.
                    runs.insert(*id);
                }
                RowKey::Cell(id, _) => {
                    self.spread.insert(*id);
                    rows.push((key.text(), self.row(&key)));
                }
                _ => rows.push((key.text(), self.row(&key))),
            }
        }
        for id in runs {
            self.run_rows(id, &mut rows);
        }
        self.spread.retain(|run| self.live.contains(run));
        rows
    }

    /// A live run is spread over rows, so that one step changes little; an ended one is a single row.
    fn run_rows(&mut self, id: RunId, rows: &mut Vec<RowChange>) {
        let live = RowKey::Run(id).text();
        match self.runs.get(&id) {
            Some(run) if run.status.ended() => {
                let cells = run.cells().map(Cow::Borrowed).collect();
                let ended = Ended { run: Cow::Borrowed(run), cells };
                rows.push((format!("{ENDED}/{id}"), json(Some(&ended))));
                if self.spread.contains(&id) {
                    rows.push((live, None));
                    let cells = run.cells.keys().map(|cell| RowKey::Cell(id, cell.clone()).text());
                    rows.extend(cells.map(|key| (key, None)));
                }
            }
            _ => {
                self.spread.insert(id);
                rows.push((live, self.row(&RowKey::Run(id))));
            }
        }
    }

    fn row(&self, key: &RowKey) -> Option<Bytes> {
        match key {
            RowKey::Deployment => json(self.deployment.as_ref()),
            RowKey::Pause => json(self.paused.as_ref()),
            RowKey::Subject(id) => json(self.subjects.get(id)),
            RowKey::Incident(id) => json(self.incidents.get(id)),
            RowKey::Run(id) => json(self.runs.get(id)),
            RowKey::Cell(run, cell) => json(self.runs.get(run).and_then(|r| r.cells.get(cell))),
            RowKey::Approval(id) => json(self.approvals.get(id)),
            RowKey::Plan(digest) => json(self.plans.get(digest)),
            RowKey::Published(name) => json(self.published.get(name)),
            RowKey::Hold(account, capability) => {
                json(self.holds.get(&(account.clone(), capability.clone())))
            }
            RowKey::Delivery(key) => json(self.deliveries.get(key)),
            RowKey::Ceiling(name) => json(self.ceilings.get(name)),
            RowKey::Person(id) => json(self.people.get(id)),
            RowKey::Enrolment(hash) => json(self.enrolments.get(hash)),
            RowKey::Token(id) => json(self.tokens.get(id)),
        }
    }

    /// Takes over rows that were written at `seq`.
    pub(crate) fn from_rows(
        seq: u64,
        rows: impl IntoIterator<Item = (String, Bytes)>,
    ) -> Result<Self, StoreError> {
        let mut state = Self { seq, ..Self::default() };
        let mut cells = Vec::new();
        for (key, value) in rows {
            state.load(&key, &value, &mut cells)?;
        }
        for (run, cell) in cells {
            if let Some(run) = state.runs.get_mut(&run) {
                run.cells.insert(cell.key.clone(), Box::new(cell));
            }
        }
        let mut order: Vec<_> = state.deliveries.iter().map(|(k, d)| (d.at, k.clone())).collect();
        order.sort_unstable();
        state.delivery_order = order.into();
        Ok(state)
    }

    fn load(
        &mut self,
        key: &str,
        value: &[u8],
        cells: &mut Vec<(RunId, Cell)>,
    ) -> Result<(), StoreError> {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        let bad = || StoreError::Read(format!("the index has a row with a bad key: `{key}`"));
        match kind {
            "deployment" => self.deployment = Some(parse(key, value)?),
            "pause" => self.paused = Some(parse(key, value)?),
            "subject" => self.load_subject(parse(key, value)?),
            "incident" => self.load_incident(parse(key, value)?),
            "run" => {
                let run: Run = parse(key, value)?;
                if !run.status.ended() {
                    self.live.insert(run.id);
                }
                self.spread.insert(run.id);
                self.runs.insert(run.id, Box::new(run));
            }
            ENDED => {
                let Ended { run, cells } = parse(key, value)?;
                let mut run = run.into_owned();
                run.cells = cells
                    .into_iter()
                    .map(|c: Cow<'_, Cell>| (c.key.clone(), Box::new(c.into_owned())))
                    .collect();
                self.runs.insert(run.id, Box::new(run));
            }
            "cell" => {
                let run = rest.split_once('/').ok_or_else(bad)?.0.parse().map_err(|_| bad())?;
                cells.push((run, parse(key, value)?));
            }
            "approval" => {
                drop(self.approvals.insert(rest.parse().map_err(|_| bad())?, parse(key, value)?));
            }
            "plan" => drop(self.plans.insert(PlanDigest::new(rest), parse(key, value)?)),
            "published" => drop(self.published.insert(PlaybookName::new(rest), parse(key, value)?)),
            "hold" => {
                let holds: super::Holds = parse(key, value)?;
                self.holds.insert((holds.account.clone(), holds.capability.clone()), holds);
            }
            "delivery" => drop(self.deliveries.insert(rest.to_owned(), parse(key, value)?)),
            "ceiling" => drop(self.ceilings.insert(rest.to_owned(), parse(key, value)?)),
            "person" => {
                drop(self.people.insert(rest.parse().map_err(|_| bad())?, parse(key, value)?));
            }
            "enrolment" => drop(self.enrolments.insert(rest.to_owned(), parse(key, value)?)),
            "token" => {
                drop(self.tokens.insert(rest.parse().map_err(|_| bad())?, parse(key, value)?));
            }
            _ => return Err(bad()),
        }
        Ok(())
    }

    fn load_subject(&mut self, subject: crate::model::subject::Subject) {
        for alias in &subject.aliases {
            self.aliases.insert(alias.clone(), subject.id);
        }
        self.subjects.insert(subject.id, subject);
    }

    fn load_incident(&mut self, incident: Incident) {
        // After a merge the older incident goes on, and the younger one is closed.
        let rank = |i: &Incident| (i.status != IncidentStatus::Closed, i.watch_until, i.id);
        let known = self.newest.get(&incident.subject).and_then(|id| self.incidents.get(id));
        if known.is_none_or(|known| rank(known) < rank(&incident)) {
            self.newest.insert(incident.subject, incident.id);
        }
        self.incidents.insert(incident.id, Box::new(incident));
    }

    /// Every row, as a rebuilt index would hold them; the oracle of `store verify`.
    pub(crate) fn all_rows(&mut self) -> std::collections::BTreeMap<String, Bytes> {
        self.touch_all();
        self.take_changes().into_iter().filter_map(|(k, v)| v.map(|v| (k, v))).collect()
    }

    /// Counts every row as changed.
    pub(crate) fn touch_all(&mut self) {
        let mut keys = Vec::new();
        keys.extend(self.deployment.as_ref().map(|_| RowKey::Deployment));
        keys.extend(self.paused.as_ref().map(|_| RowKey::Pause));
        keys.extend(self.subjects.keys().map(|id| RowKey::Subject(*id)));
        keys.extend(self.incidents.keys().map(|id| RowKey::Incident(*id)));
        for run in self.runs.values() {
            keys.push(RowKey::Run(run.id));
            keys.extend(run.cells.keys().map(|cell| RowKey::Cell(run.id, cell.clone())));
        }
        keys.extend(self.approvals.keys().map(|id| RowKey::Approval(*id)));
        keys.extend(self.plans.keys().map(|d| RowKey::Plan(d.clone())));
        keys.extend(self.published.keys().map(|n| RowKey::Published(n.clone())));
        keys.extend(self.holds.keys().map(|(a, c)| RowKey::Hold(a.clone(), c.clone())));
        keys.extend(self.deliveries.keys().map(|k| RowKey::Delivery(k.clone())));
        keys.extend(self.ceilings.keys().map(|k| RowKey::Ceiling(k.clone())));
        keys.extend(self.people.keys().map(|id| RowKey::Person(*id)));
        keys.extend(self.enrolments.keys().map(|h| RowKey::Enrolment(h.clone())));
        keys.extend(self.tokens.keys().map(|id| RowKey::Token(*id)));
        self.changed.extend(keys);
    }
}
