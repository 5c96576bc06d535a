//! Rows of the index, read back.
//!
//! A start reads what is [needed at all times](ALWAYS); people come whole, one by one, when something
//! names them.

use serde::Deserialize;
use std::borrow::Cow;

use super::rows::{ENDED, Ended, parse};
use super::{DeliveryKey, State};
use crate::engine::ports::StoreError;
use crate::model::approval::Approval;
use crate::model::id::{ConnectionId, PlanDigest, PlaybookName, RunId, SourceId};
use crate::model::incident::{Incident, IncidentStatus};
use crate::model::run::{Cell, Run};
use crate::model::subject::Subject;
use crate::model::time::Time;

/// What the keys begin with of rows that are in memory whenever the process runs. Those of runs are
/// live ones': an ended run is one row of another kind.
pub(crate) const ALWAYS: &[&str] = &[
    "ask/",
    "ceiling/",
    "delegation/",
    "deployment",
    "delivery/",
    "enrolment/",
    "guardrails",
    "hold/",
    "pause",
    "person/",
    "poll/",
    "published/",
    "raise/",
    "run/",
    "cell/",
    "second/",
    "telling",
    "test/",
    "thread/",
    "token/",
];

/// The row that counts ended runs; it shares its beginning with theirs.
pub(crate) const ENDED_RUNS: &str = ENDED;

/// The cells of live runs, until the runs are there.
pub(crate) type Cells = Vec<(RunId, Cell)>;

/// Of a delivery's row, what is kept in memory.
#[derive(Deserialize)]
struct DeliveredAt {
    at: Time,
}

fn bad(key: &str) -> StoreError {
    StoreError::Read(format!("the index has a row with a bad key: `{key}`"))
}

impl State {
    /// Takes over one row; those of cells wait until [`State::loaded`].
    pub(crate) fn load(
        &mut self,
        key: &str,
        value: &[u8],
        cells: &mut Cells,
    ) -> Result<(), StoreError> {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        let bad = || bad(key);
        match kind {
            "deployment" => self.deployment = Some(parse(key, value)?),
            "pause" => self.paused = Some(parse(key, value)?),
            "guardrails" | "raise" | "second" => self.load_guardrails(key, value)?,
            "subject" => self.load_subject(parse(key, value)?),
            "incident" => self.load_incident(parse::<Box<Incident>>(key, value)?),
            // Made of what the rows of subjects and incidents say.
            "alias" | "cases" => {}
            "run" => {
                let mut run: Run = parse(key, value)?;
                run.asked.shrink_to_fit();
                run.rounds.shrink_to_fit();
                self.live.insert(run.id);
                self.spread.insert(run.id);
                self.runs.insert(run.id, Box::new(run));
            }
            ENDED if rest.is_empty() => self.ended = parse(key, value)?,
            ENDED => {
                let run = ended_run(key, value)?;
                self.runs.insert(run.id, run);
            }
            "cell" => {
                let run = rest.split_once('/').ok_or_else(bad)?.0.parse().map_err(|_| bad())?;
                cells.push((run, parse(key, value)?));
            }
            "approval" => {
                let mut approval: Approval = parse(key, value)?;
                slim(&mut approval);
                self.approvals.insert(rest.parse().map_err(|_| bad())?, approval);
            }
            "plan" => drop(self.plans.insert(PlanDigest::new(rest), parse(key, value)?)),
            "published" => drop(self.published.insert(PlaybookName::new(rest), parse(key, value)?)),
            "hold" => {
                let holds: super::Holds = parse(key, value)?;
                self.holds.insert((holds.account.clone(), holds.capability.clone()), holds);
            }
            "delivery" => {
                let DeliveredAt { at } = parse(key, value)?;
                self.deliveries.load(DeliveryKey::parse(rest).ok_or_else(bad)?, at);
            }
            "ceiling" => drop(self.ceilings.insert(rest.to_owned(), parse(key, value)?)),
            "person" | "enrolment" | "token" | "delegation" | "ask" => {
                self.load_access((kind, rest), key, value)?;
            }
            "poll" => drop(self.polls.insert(SourceId::new(rest), parse(key, value)?)),
            "test" => drop(self.tests.insert(ConnectionId::new(rest), parse(key, value)?)),
            "telling" => self.telling.through = Some(parse(key, value)?),
            "thread" => self.telling.load(parse(key, value)?),
            _ => return Err(bad()),
        }
        Ok(())
    }

    /// Rows about who may, who is asked, and who stands in.
    fn load_access(
        &mut self,
        (kind, rest): (&str, &str),
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        let bad = || bad(key);
        match kind {
            "person" => {
                drop(self.people.insert(rest.parse().map_err(|_| bad())?, parse(key, value)?));
            }
            "enrolment" => drop(self.enrolments.insert(rest.to_owned(), parse(key, value)?)),
            "token" => {
                drop(self.tokens.insert(rest.parse().map_err(|_| bad())?, parse(key, value)?));
            }
            "delegation" => {
                drop(self.delegations.insert(rest.parse().map_err(|_| bad())?, parse(key, value)?));
            }
            "ask" => drop(self.asks.insert(rest.to_owned(), parse(key, value)?)),
            _ => return Err(bad()),
        }
        Ok(())
    }

    /// All rows are there that stood at `seq`.
    pub(crate) fn loaded(&mut self, seq: u64, cells: Cells) {
        self.seq = seq;
        for (run, cell) in cells {
            if let Some(run) = self.runs.get_mut(&run) {
                run.cells.insert(cell.key.clone(), Box::new(cell));
            }
        }
        self.deliveries.loaded();
    }

    /// Takes over every row, as they were written at `seq`.
    #[cfg(test)]
    pub(crate) fn from_rows(
        seq: u64,
        rows: impl IntoIterator<Item = (String, bytes::Bytes)>,
    ) -> Result<Self, StoreError> {
        let mut state = Self::default();
        let mut cells = Vec::new();
        for (key, value) in rows {
            state.load(&key, &value, &mut cells)?;
        }
        state.loaded(seq, cells);
        Ok(state)
    }

    pub(super) fn load_subject(&mut self, mut subject: Subject) {
        subject.aliases.shrink_to_fit();
        subject.accounts.shrink_to_fit();
        subject.connections.shrink_to_fit();
        // The names of somebody who was merged are the survivor's.
        if subject.merged_into.is_none() {
            for alias in &subject.aliases {
                self.aliases.insert(alias.clone(), subject.id);
            }
        }
        self.subjects.insert(subject.id, subject);
    }

    pub(super) fn load_incident(&mut self, mut incident: Box<Incident>) {
        incident.containment.shrink_to_fit();
        incident.runs.shrink_to_fit();
        incident.triggers.shrink_to_fit();
        incident.event_ids.shrink_to_fit();
        incident.hostile_factors.shrink_to_fit();
        if let Some(before) = self.incidents.get(&incident.id).map(|i| i.subject)
            && before != incident.subject
            && let Some(cases) = self.cases.get_mut(&before)
        {
            cases.retain(|case| *case != incident.id);
        }
        // After a merge the older incident goes on, and the younger one is closed.
        let known = self.newest.get(&incident.subject).and_then(|id| self.incidents.get(id));
        if known.is_none_or(|known| rank(known) < rank(&incident)) {
            self.newest.insert(incident.subject, incident.id);
        }
        let cases = self.cases.entry(incident.subject).or_default();
        if let Err(at) = cases.binary_search(&incident.id) {
            cases.insert(at, incident.id);
        }
        self.incidents.insert(incident.id, incident);
    }
}

/// What is read back grows by doubling: of a list with one item, three quarters are reserve.
pub(super) fn slim(approval: &mut Approval) {
    approval.items.shrink_to_fit();
    approval.granted.shrink_to_fit();
    approval.barred.shrink_to_fit();
    approval.addressed.shrink_to_fit();
}

/// Of a person's incidents, the one that ranks highest is the one that evidence joins.
pub(super) fn rank(i: &Incident) -> (bool, Time, crate::model::id::IncidentId) {
    (i.status != IncidentStatus::Closed, i.watch_until, i.id)
}

/// An ended run with its cells, from its row.
pub(crate) fn ended_run(key: &str, value: &[u8]) -> Result<Box<Run>, StoreError> {
    let Ended { run, cells } = parse(key, value)?;
    let mut run = run.into_owned();
    run.cells = cells
        .into_iter()
        .map(|c: Cow<'_, Cell>| (c.key.clone(), Box::new(c.into_owned())))
        .collect();
    Ok(Box::new(run))
}
