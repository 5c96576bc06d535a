//! The state as rows of a key-value index.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{DeliveryKey, Known, State};
use crate::engine::ports::{RowChange, StoreError};
use crate::model::id::{
    ApprovalId, Capability, ConnectionId, DelegationId, IncidentId, PersonId, PlanDigest,
    PlaybookName, RunId, SourceId, SubjectId, TokenId,
};
use crate::model::run::{Cell, CellKey, Run};
use crate::model::subject::{AccountKey, Alias};

/// Names one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowKey {
    Deployment,
    Pause,
    Guardrails,
    /// More blocks for a campaign.
    Raise(String),
    /// What several have to sign.
    Second(String),
    Subject(SubjectId),
    /// Whom a name means.
    Alias(Alias),
    /// The ids of a subject's incidents.
    Cases(SubjectId),
    Incident(IncidentId),
    Run(RunId),
    Cell(RunId, CellKey),
    Approval(ApprovalId),
    Plan(PlanDigest),
    Published(PlaybookName),
    Hold(AccountKey, Capability),
    Delivery(DeliveryKey),
    /// How many runs have ended, by status.
    Ended,
    Ceiling(String),
    Person(PersonId),
    Enrolment(String),
    Token(TokenId),
    Delegation(DelegationId),
    /// How far a polled source has got.
    Poll(SourceId),
    /// What came of trying a connection.
    Test(ConnectionId),
    /// How far the journal is told.
    Telling,
    /// Where a thread stands on a channel.
    Thread(String, String),
    /// A link to the person concerned that still opens.
    Ask(String),
}

/// What the rows of names begin with; a name follows.
pub(crate) const ALIAS: &str = "alias/";

impl RowKey {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Deployment => "deployment".to_owned(),
            Self::Pause => "pause".to_owned(),
            Self::Guardrails => "guardrails".to_owned(),
            Self::Raise(campaign) => format!("raise/{campaign}"),
            Self::Second(digest) => format!("second/{digest}"),
            Self::Subject(id) => format!("subject/{id}"),
            Self::Alias(alias) => format!("{ALIAS}{alias}"),
            Self::Cases(id) => format!("cases/{id}"),
            Self::Incident(id) => format!("incident/{id}"),
            Self::Run(id) => format!("run/{id}"),
            Self::Cell(run, key) => format!("cell/{run}/{}|{}", key.step, key.item),
            Self::Approval(id) => format!("approval/{id}"),
            Self::Plan(digest) => format!("plan/{digest}"),
            Self::Published(name) => format!("published/{name}"),
            Self::Hold(account, capability) => format!("hold/{capability}/{account}"),
            Self::Delivery(key) => format!("delivery/{key}"),
            Self::Ended => "ended".to_owned(),
            Self::Ceiling(name) => format!("ceiling/{name}"),
            Self::Person(id) => format!("person/{id}"),
            Self::Enrolment(hash) => format!("enrolment/{hash}"),
            Self::Token(id) => format!("token/{id}"),
            Self::Delegation(id) => format!("delegation/{id}"),
            Self::Poll(source) => format!("poll/{source}"),
            Self::Test(connection) => format!("test/{connection}"),
            Self::Telling => "telling".to_owned(),
            Self::Thread(thread, channel) => format!("thread/{thread}|{channel}"),
            Self::Ask(hash) => format!("ask/{hash}"),
        }
    }
}

/// The kind of row that an ended run is.
pub(super) const ENDED: &str = "ended";

/// The row of an ended run.
pub(crate) fn ended_key(run: RunId) -> String {
    format!("{ENDED}/{run}")
}

/// An ended run with all its cells.
#[derive(Serialize, Deserialize)]
pub(super) struct Ended<'r> {
    pub(super) run: Cow<'r, Run>,
    pub(super) cells: Vec<Cow<'r, Cell>>,
}

fn json<T: Serialize>(value: Option<&T>) -> Option<Bytes> {
    // Rows are plain data with text keys: writing them as JSON cannot fail.
    value.and_then(|v| serde_json::to_vec(v).ok()).map(Bytes::from)
}

/// What a row says.
pub(crate) fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value)
        .map_err(|e| StoreError::Read(format!("row `{key}` of the index is unreadable: {e}")))
}

pub(super) fn ended_row(run: &Run) -> Option<Bytes> {
    let cells = run.cells().map(Cow::Borrowed).collect();
    json(Some(&Ended { run: Cow::Borrowed(run), cells }))
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
                rows.push((ended_key(id), ended_row(run)));
                if self.spread.contains(&id) {
                    rows.push((live, None));
                    let cells = run.cells.keys().map(|cell| RowKey::Cell(id, cell.clone()).text());
                    rows.extend(cells.map(|key| (key, None)));
                }
            }
            Some(_) => {
                self.spread.insert(id);
                rows.push((live, self.row(&RowKey::Run(id))));
            }
            // Only ended ones are dropped.
            None => rows.push((ended_key(id), None)),
        }
    }

    pub(super) fn row(&self, key: &RowKey) -> Option<Bytes> {
        match key {
            RowKey::Deployment => json(self.deployment.as_ref()),
            RowKey::Pause => json(self.paused.as_ref()),
            RowKey::Guardrails => json(self.guardrails.as_ref()),
            RowKey::Raise(campaign) => json(self.raises.get(campaign)),
            RowKey::Second(digest) => json(self.seconds.get(digest)),
            RowKey::Subject(id) => json(self.subjects.get(id)),
            RowKey::Alias(alias) => json(self.aliases.get(alias)),
            RowKey::Cases(id) => json(self.cases.get(id).filter(|cases| !cases.is_empty())),
            RowKey::Incident(id) => json(self.incidents.get(id)),
            RowKey::Run(id) => json(self.runs.get(id)),
            RowKey::Cell(run, cell) => json(self.runs.get(run).and_then(|r| r.cells.get(cell))),
            RowKey::Approval(id) => json(self.approvals.get(id)),
            RowKey::Plan(digest) => json(self.plans.get(digest)),
            RowKey::Published(name) => json(self.published.get(name)),
            RowKey::Hold(account, capability) => {
                json(self.holds.get(&(account.clone(), capability.clone())))
            }
            RowKey::Delivery(key) => match self.deliveries.get(*key) {
                Some(Known::Here(delivered)) => json(Some(delivered)),
                // Its row is as it was when the answer went there.
                Some(Known::Written) | None => None,
            },
            RowKey::Ended => json(Some(&self.ended)),
            RowKey::Ceiling(name) => json(self.ceilings.get(name)),
            RowKey::Person(id) => json(self.people.get(id)),
            RowKey::Enrolment(hash) => json(self.enrolments.get(hash)),
            RowKey::Token(id) => json(self.tokens.get(id)),
            RowKey::Delegation(id) => json(self.delegations.get(id)),
            RowKey::Poll(source) => json(self.polls.get(source)),
            RowKey::Test(connection) => json(self.tests.get(connection)),
            RowKey::Telling => json(self.telling.through.as_ref()),
            RowKey::Thread(thread, channel) => json(self.telling.standing(thread, channel)),
            RowKey::Ask(hash) => json(self.asks.get(hash)),
        }
    }

    /// Every row, as a rebuilt index would hold them; the oracle of `store verify`.
    pub(crate) fn all_rows(&mut self) -> std::collections::BTreeMap<String, Bytes> {
        self.touch_all();
        self.take_changes().into_iter().filter_map(|(k, v)| v.map(|v| (k, v))).collect()
    }

    /// These rows are in the index. An answer that has not changed since need not be here as well.
    pub(crate) fn are_written(&mut self, rows: &[String]) {
        for key in rows.iter().filter_map(|row| row.strip_prefix("delivery/")) {
            let Some(key) = DeliveryKey::parse(key) else { continue };
            if !self.changed.contains(&RowKey::Delivery(key)) {
                self.deliveries.is_written(key);
            }
        }
    }

    /// Nobody writes the rows of this state.
    pub(crate) fn forget_changes(&mut self) {
        self.changed.clear();
    }

    /// Counts every row as changed.
    pub(crate) fn touch_all(&mut self) {
        let mut keys = Vec::new();
        keys.extend(self.deployment.as_ref().map(|_| RowKey::Deployment));
        keys.extend(self.paused.as_ref().map(|_| RowKey::Pause));
        keys.extend(self.guardrail_rows());
        keys.extend((!self.ended.is_empty()).then_some(RowKey::Ended));
        keys.extend(self.subjects.keys().map(|id| RowKey::Subject(*id)));
        keys.extend(self.aliases.keys().map(|alias| RowKey::Alias(alias.clone())));
        keys.extend(self.cases.keys().map(|id| RowKey::Cases(*id)));
        keys.extend(self.incidents.keys().map(|id| RowKey::Incident(*id)));
        for run in self.runs.values() {
            keys.push(RowKey::Run(run.id));
            keys.extend(run.cells.keys().map(|cell| RowKey::Cell(run.id, cell.clone())));
        }
        keys.extend(self.approvals.keys().map(|id| RowKey::Approval(*id)));
        keys.extend(self.plans.keys().map(|d| RowKey::Plan(d.clone())));
        keys.extend(self.published.keys().map(|n| RowKey::Published(n.clone())));
        keys.extend(self.holds.keys().map(|(a, c)| RowKey::Hold(a.clone(), c.clone())));
        keys.extend(self.deliveries.here().map(RowKey::Delivery));
        keys.extend(self.ceilings.keys().map(|k| RowKey::Ceiling(k.clone())));
        keys.extend(self.people.keys().map(|id| RowKey::Person(*id)));
        keys.extend(self.enrolments.keys().map(|h| RowKey::Enrolment(h.clone())));
        keys.extend(self.tokens.keys().map(|id| RowKey::Token(*id)));
        keys.extend(self.delegations.keys().map(|id| RowKey::Delegation(*id)));
        keys.extend(self.polls.keys().map(|source| RowKey::Poll(source.clone())));
        keys.extend(self.tests.keys().map(|connection| RowKey::Test(connection.clone())));
        keys.extend(self.telling_rows());
        keys.extend(self.asks.keys().map(|hash| RowKey::Ask(hash.clone())));
        self.changed.extend(keys);
    }
}
