//! Makes the journal's oldest lines unneeded, so that they can be dropped.
//!
//! Of whatever those lines name, a case in which nothing has happened since and nothing can happen by
//! itself is forgotten; everything else is said again, in entries at the journal's end. A fold that begins
//! behind the old lines then leads to the same state.

use std::collections::BTreeSet;

use super::driver::Engine;
use super::ports::StoreError;
use super::shelf::subjects_of;
use super::state::RowKey;
use crate::model::entry::{Commit, Entry};
use crate::model::id::{IncidentId, PlanDigest, SubjectId};

/// Commits read at once.
const READ: usize = 512;
/// Cases looked at at once.
const CASES: usize = 100;
/// People whose rows are in one entry.
const PEOPLE: usize = 20;
/// Plans whose rows are in one entry.
const PLANS: usize = 8;

/// What became of the cases that the old lines name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Retired {
    pub(crate) dropped: usize,
    pub(crate) carried: usize,
}

/// Whom and what lines name.
#[derive(Default)]
struct Named {
    subjects: BTreeSet<SubjectId>,
    incidents: BTreeSet<IncidentId>,
    plans: BTreeSet<PlanDigest>,
}

impl Named {
    fn add(&mut self, commit: &Commit) {
        for entry in &commit.entries {
            self.incidents.extend(entry.incident());
            match entry {
                Entry::SubjectCreated { subject } => _ = self.subjects.insert(subject.id),
                Entry::SubjectResolved { subject, .. } => _ = self.subjects.insert(*subject),
                Entry::SubjectMerged { from, into } => self.subjects.extend([*from, *into]),
                Entry::IncidentOpened(opened) => _ = self.subjects.insert(opened.subject),
                Entry::PlanPublished(published) => {
                    self.plans.insert(published.digest.clone());
                }
                Entry::Snapshot { rows } => rows.iter().for_each(|(key, _)| self.add_row(key)),
                _ => {}
            }
        }
    }

    fn add_row(&mut self, key: &str) {
        let Some((kind, rest)) = key.split_once('/') else { return };
        match kind {
            "subject" => self.subjects.extend(rest.parse::<SubjectId>().ok()),
            "incident" => self.incidents.extend(rest.parse::<IncidentId>().ok()),
            "plan" => _ = self.plans.insert(PlanDigest::new(rest)),
            _ => {}
        }
    }
}

impl Engine {
    /// Makes the lines up to `through` unneeded. They must be older than anything that is remembered of
    /// deliveries and ceilings.
    pub(crate) async fn retire(&self, through: u64) -> Result<Retired, StoreError> {
        if self.ports().store.projected().await? < through {
            return Err(StoreError::Busy("rows are behind the journal".to_owned()));
        }
        let named = self.named_up_to(through).await?;
        let mut retired = Retired::default();
        let incidents: Vec<IncidentId> = named.incidents.into_iter().collect();
        for some in incidents.chunks(CASES) {
            let dropped = self.drop_old(some, through).await?;
            retired.dropped += dropped;
        }
        let mut people: BTreeSet<SubjectId> =
            subjects_of(&*self.ports().store, &incidents).await?.into_iter().collect();
        people.extend(named.subjects);
        let people: Vec<SubjectId> = people.into_iter().collect();
        for some in people.chunks(PEOPLE) {
            retired.carried += self.carry(some).await?;
        }
        let plans: Vec<PlanDigest> = named.plans.into_iter().collect();
        for some in plans.chunks(PLANS) {
            self.carry_plans(some).await?;
        }
        self.commit(|tx| {
            let rows = tx.core.state.common_rows();
            tx.push(Entry::Snapshot { rows });
        })
        .await?;
        Ok(retired)
    }

    async fn named_up_to(&self, through: u64) -> Result<Named, StoreError> {
        let (mut named, mut at) = (Named::default(), 0);
        loop {
            let commits = self.ports().store.commits(at, READ).await?;
            let Some(last) = commits.last().map(|c| c.seq) else { return Ok(named) };
            commits.iter().filter(|c| c.seq <= through).for_each(|commit| named.add(commit));
            if last >= through {
                return Ok(named);
            }
            at = last;
        }
    }

    /// Forgets those of `cases` that nothing has touched since `through`. How many.
    async fn drop_old(&self, cases: &[IncidentId], through: u64) -> Result<usize, StoreError> {
        let mut old = Vec::new();
        for case in cases {
            if self.ports().store.timeline(*case, through, 1).await?.is_empty() {
                old.push(*case);
            }
        }
        let whose = subjects_of(&*self.ports().store, &old).await?;
        self.fetch(whose).await?;
        self.commit(|tx| {
            let state = &tx.core.state;
            let busy = state.busy();
            old.retain(|case| state.incidents.contains_key(case) && !busy.contains(case));
            let dropped = old.len();
            if dropped > 0 {
                tx.push(Entry::IncidentsDropped { incidents: old, subjects: Vec::new() });
            }
            dropped
        })
        .await
    }

    /// Says again what is known of people, and forgets those about whom there is no case left.
    async fn carry(&self, people: &[SubjectId]) -> Result<usize, StoreError> {
        self.fetch(people.to_vec()).await?;
        self.commit(|tx| {
            let state = &tx.core.state;
            let known = people.iter().filter(|id| state.subjects.contains_key(id)).copied();
            let (kept, gone): (Vec<SubjectId>, Vec<SubjectId>) =
                known.partition(|id| state.cases.get(id).is_some_and(|cases| !cases.is_empty()));
            let rows = state.rows_of(&kept);
            if !gone.is_empty() {
                tx.push(Entry::IncidentsDropped { incidents: Vec::new(), subjects: gone });
            }
            if !rows.is_empty() {
                tx.push(Entry::Snapshot { rows });
            }
            kept.len()
        })
        .await
    }

    /// Published plans stay: runs name them, and what ran is asked for long after.
    async fn carry_plans(&self, plans: &[PlanDigest]) -> Result<(), StoreError> {
        let keys: Vec<String> =
            plans.iter().map(|digest| RowKey::Plan(digest.clone()).text()).collect();
        let rows = self.ports().store.rows(keys.clone()).await?;
        let rows = keys.into_iter().zip(rows).filter_map(|(key, row)| {
            let row = serde_json::from_slice(&row?).ok()?;
            Some((key, row))
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.commit(|tx| tx.push(Entry::Snapshot { rows })).await
    }
}
