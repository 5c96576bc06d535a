//! Incidents, runs and questions, newest first, whether memory has them or the index alone.
//!
//! What a page lists is in memory when it is returned, with the people whom it is about.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::str::FromStr;

use super::driver::Engine;
use super::ports::StoreError;
use super::shelf::About;
use super::state::{State, ended_run, parse};
use crate::model::approval::Approval;
use crate::model::id::{ApprovalId, IncidentId, RunId};
use crate::model::incident::Incident;
use crate::model::run::Run;

/// Rows read at once.
const ROWS: usize = 256;
/// Rows read for one page: one that finds little says where to go on.
const ROWS_MAX: usize = 2_000;

/// One page.
pub(crate) struct Listed<I> {
    /// Newest first.
    pub(crate) ids: Vec<I>,
    /// Where the next page goes on; there may be nothing behind it.
    pub(crate) next: Option<I>,
}

/// What can be listed.
pub(crate) trait Listable: Sized + Send + Sync {
    type Id: Copy + Ord + Display + FromStr + Send + Sync;
    /// What its rows begin with, of those who may be away.
    const PREFIX: &'static str;
    /// All in memory, newest first.
    fn all(state: &State) -> Box<dyn Iterator<Item = (Self::Id, &Self)> + '_>;
    fn read(key: &str, row: &Bytes) -> Result<Self, StoreError>;
    fn about(id: Self::Id) -> About;
}

impl Listable for Incident {
    type Id = IncidentId;
    const PREFIX: &'static str = "incident/";
    fn all(state: &State) -> Box<dyn Iterator<Item = (Self::Id, &Self)> + '_> {
        Box::new(state.incidents.iter().rev().map(|(id, incident)| (*id, &**incident)))
    }
    fn read(key: &str, row: &Bytes) -> Result<Self, StoreError> {
        parse(key, row)
    }
    fn about(id: IncidentId) -> About {
        About::Incident(id)
    }
}

impl Listable for Run {
    type Id = RunId;
    const PREFIX: &'static str = "ended/";
    fn all(state: &State) -> Box<dyn Iterator<Item = (Self::Id, &Self)> + '_> {
        Box::new(state.runs.iter().rev().map(|(id, run)| (*id, &**run)))
    }
    fn read(key: &str, row: &Bytes) -> Result<Self, StoreError> {
        ended_run(key, row).map(|run| *run)
    }
    fn about(id: RunId) -> About {
        About::Run(id)
    }
}

impl Listable for Approval {
    type Id = ApprovalId;
    const PREFIX: &'static str = "approval/";
    fn all(state: &State) -> Box<dyn Iterator<Item = (Self::Id, &Self)> + '_> {
        Box::new(state.approvals.iter().rev().map(|(id, approval)| (*id, approval)))
    }
    fn read(key: &str, row: &Bytes) -> Result<Self, StoreError> {
        parse(key, row)
    }
    fn about(id: ApprovalId) -> About {
        About::Approval(id)
    }
}

impl Engine {
    /// Those older than `before` that are `wanted`, newest first, and brings them into memory.
    pub(crate) async fn list<T: Listable>(
        &self,
        before: Option<T::Id>,
        limit: usize,
        wanted: impl Fn(&T) -> bool + Send + Sync,
    ) -> Result<Listed<T::Id>, StoreError> {
        // Whether each is wanted: the index may still say otherwise of those in memory.
        let (mut found, away) = self.read(|core| {
            let older = T::all(&core.state).filter(|(id, _)| before.is_none_or(|b| *id < b));
            let found: BTreeMap<T::Id, bool> = older.map(|(id, t)| (id, wanted(t))).collect();
            (found, core.state.shelf.is_used())
        });
        let mut seen_to = None;
        if away {
            seen_to = self.look_away(before, limit, &wanted, &mut found).await?;
        }
        let newest = found
            .iter()
            .rev()
            .filter(|(id, wanted)| **wanted && seen_to.is_none_or(|seen_to| **id >= seen_to));
        let mut ids: Vec<T::Id> = newest.map(|(id, _)| *id).take(limit + 1).collect();
        let more = ids.len() > limit;
        ids.truncate(limit);
        for id in &ids {
            self.fetch_about(T::about(*id)).await?;
        }
        let next = if more { ids.last().copied() } else { seen_to };
        Ok(Listed { ids, next })
    }

    /// Adds what the index has to `found`, until there is enough of it. Says how far it looked if not to the end.
    async fn look_away<T: Listable>(
        &self,
        before: Option<T::Id>,
        limit: usize,
        wanted: &(impl Fn(&T) -> bool + Sync),
        found: &mut BTreeMap<T::Id, bool>,
    ) -> Result<Option<T::Id>, StoreError> {
        let mut to = before.map(|id| format!("{}{id}", T::PREFIX));
        let (mut enough, mut read) = (0, 0);
        loop {
            let rows = self.ports().store.scan_back(T::PREFIX, to.as_deref(), ROWS).await?;
            let Some((last, _)) = rows.last() else { return Ok(None) };
            to = Some(last.clone());
            read += rows.len();
            let mut seen_to = None;
            for (key, row) in &rows {
                let Ok(id) = key[T::PREFIX.len()..].parse() else { continue };
                seen_to = Some(id);
                if let Entry::Vacant(unseen) = found.entry(id) {
                    let is_wanted = unseen.insert(wanted(&T::read(key, row)?));
                    enough += usize::from(*is_wanted);
                }
            }
            if enough > limit || read >= ROWS_MAX {
                return Ok(seen_to);
            }
        }
    }
}
