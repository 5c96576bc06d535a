//! Brings people back whom the index alone has, and puts those away whom nothing changes by itself.
//!
//! Whatever is about to name somebody fetches them first: intake by the names in a delivery, people
//! and tools by the ids that they give. Where the index fails or is given up, everybody is
//! brought back from the journal, and memory is what it was before anybody was put away.

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};

use super::driver::Engine;
use super::ports::{Projected, Store, StoreError};
use super::state::{ALIAS, People, RowKey, State, ended_key, ended_run, parse};
use crate::model::approval::Approval;
use crate::model::entry::{Commit, Entry};
use crate::model::id::{ApprovalId, IncidentId, RunId, SubjectId};
use crate::model::incident::Incident;
use crate::model::subject::{Alias, Subject};
use crate::model::time::{Span, Time};

/// People whom nothing changes by itself that are kept in memory all the same: those whom evidence
/// names again are mostly the last ones.
const KEPT: usize = 1_000;
/// So many more may gather before any go: to look costs a walk over everybody in memory.
const SLACK: usize = 250;
/// Whoever was fetched stays for so long: what they were fetched for comes next.
const PINNED: Span = Span::seconds(10);
/// And those who have come to rest since go after so long at the latest.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// Names learned at once.
const LEARN: usize = 4_096;
/// Commits read at once.
const READ: usize = 512;

/// Who stays in memory.
#[derive(Debug)]
pub(crate) struct Keeping {
    /// See [`KEPT`].
    pub(crate) keep: usize,
    /// People in memory when somebody was last put away.
    left: usize,
    looked_at: Option<Time>,
    pins: HashMap<SubjectId, Time>,
    /// Nobody goes while everybody is brought back.
    held: bool,
    /// The index may have lost rows that memory does not have.
    lost: bool,
    /// Up to which commit the index has been told.
    pub(super) written_to: u64,
}

impl Default for Keeping {
    fn default() -> Self {
        Self {
            keep: KEPT,
            left: 0,
            looked_at: None,
            pins: HashMap::new(),
            held: false,
            lost: false,
            written_to: 0,
        }
    }
}

/// What brings a person to mind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    Subject(SubjectId),
    Incident(IncidentId),
    Run(RunId),
    Approval(ApprovalId),
}

impl About {
    fn is_known(self, state: &State) -> bool {
        match self {
            Self::Subject(id) => state.subject(id).is_some(),
            Self::Incident(id) => state.incidents.contains_key(&id),
            Self::Run(id) => state.runs.contains_key(&id),
            Self::Approval(id) => state.approvals.contains_key(&id),
        }
    }

    /// Who it is, as the index has it.
    async fn subject(self, store: &dyn Store) -> Result<Option<SubjectId>, StoreError> {
        let incident = match self {
            Self::Subject(id) => return Ok(Some(id)),
            Self::Incident(id) => Some(id),
            Self::Run(id) => {
                let key = ended_key(id);
                let row = store.row(&key).await?;
                row.map(|row| ended_run(&key, &row)).transpose()?.map(|run| run.incident)
            }
            Self::Approval(id) => {
                let asked = read::<Approval>(store, [RowKey::Approval(id)]).await?;
                asked.first().map(|approval| approval.incident)
            }
        };
        let case = read::<Incident>(store, incident.map(RowKey::Incident)).await?;
        Ok(case.first().map(|case| case.subject))
    }
}

/// What these rows say, of those that are there.
async fn read<T: DeserializeOwned>(
    store: &dyn Store,
    keys: impl IntoIterator<Item = RowKey>,
) -> Result<Vec<T>, StoreError> {
    let keys: Vec<String> = keys.into_iter().map(|key| key.text()).collect();
    there(store, keys).await?.iter().map(|(key, row)| parse(key, row)).collect()
}

async fn there(
    store: &dyn Store,
    keys: Vec<String>,
) -> Result<Vec<(String, bytes::Bytes)>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = store.rows(keys.clone()).await?;
    Ok(keys.into_iter().zip(rows).filter_map(|(key, row)| Some((key, row?))).collect())
}

/// People whole, as the index has them, with those whom they were merged into. What `memory` has of
/// their runs and plans is not read.
pub(crate) async fn people(
    store: &dyn Store,
    mut wanted: Vec<SubjectId>,
    memory: &State,
) -> Result<People, StoreError> {
    let (mut people, mut seen) = (People::default(), HashSet::new());
    // A chain of merges is as long as there were merges of one person.
    while !wanted.is_empty() {
        wanted.retain(|id| seen.insert(*id));
        let subjects: Vec<Subject> =
            read(store, wanted.iter().copied().map(RowKey::Subject)).await?;
        wanted = subjects.iter().filter_map(|s| s.merged_into).collect();
        people.subjects.extend(subjects);
    }
    let keys = people.subjects.iter().map(|s| RowKey::Cases(s.id));
    let cases: Vec<Vec<IncidentId>> = read(store, keys).await?;
    people.incidents = read(store, cases.into_iter().flatten().map(RowKey::Incident)).await?;
    let named = || people.incidents.iter().flat_map(|i| &i.runs);
    let ended = named().filter(|run| !memory.runs.contains_key(run)).map(|run| ended_key(*run));
    let ended = there(store, ended.collect()).await?;
    let live: Vec<_> = named().filter_map(|run| memory.runs.get(run)).collect();
    people.runs = ended.iter().map(|(key, row)| ended_run(key, row)).collect::<Result<_, _>>()?;
    let runs = || people.runs.iter().chain(live.iter().copied());
    let asked = runs().flat_map(|run| &run.asked).copied().map(RowKey::Approval);
    let approvals = read(store, asked).await?;
    let pinned = runs().map(|run| run.plan.clone());
    let mut pinned: Vec<_> = pinned.filter(|plan| !memory.plans.contains_key(plan)).collect();
    pinned.sort();
    pinned.dedup();
    let mut plans = Vec::new();
    for digest in pinned {
        let plan = read(store, [RowKey::Plan(digest.clone())]).await?;
        plans.extend(plan.into_iter().map(|plan| (digest.clone(), plan)));
    }
    (people.approvals, people.plans) = (approvals, plans);
    Ok(people)
}

/// The people whom these incidents are about, as the index has it.
pub(super) async fn subjects_of(
    store: &dyn Store,
    incidents: &[IncidentId],
) -> Result<Vec<SubjectId>, StoreError> {
    let cases: Vec<Incident> = read(store, incidents.iter().copied().map(RowKey::Incident)).await?;
    Ok(cases.into_iter().map(|case| case.subject).collect())
}

/// People whom names mean that are in the index.
async fn named(store: &dyn Store, aliases: &[Alias]) -> Result<Vec<SubjectId>, StoreError> {
    read(store, aliases.iter().cloned().map(RowKey::Alias)).await
}

/// Reads whoever is needed without being named: those with live runs or shut accounts, and the plans
/// that are published. Everybody else is away.
pub(crate) async fn load_busy(state: &mut State, store: &dyn Store) -> Result<(), StoreError> {
    state.shelf.begin();
    let mut digests: Vec<_> = state.published.values().cloned().collect();
    digests.dedup();
    let keys = digests.iter().map(|digest| RowKey::Plan(digest.clone()).text()).collect();
    for (key, row) in there(store, keys).await? {
        state.load(&key, &row, &mut Vec::new())?;
    }
    let busy = state.busy().into_iter().map(RowKey::Incident);
    let cases: Vec<Incident> = read(store, busy).await?;
    let wanted = cases.iter().map(|case| case.subject).collect();
    let people = people(store, wanted, state).await?;
    state.take_back(people);
    Ok(())
}

/// Brings whoever a commit names into a state that the commit is about to be applied to.
pub(crate) async fn fetch_for(
    state: &mut State,
    store: &dyn Store,
    commit: &Commit,
) -> Result<(), StoreError> {
    if !state.shelf.is_used() {
        return Ok(());
    }
    let mut wanted = Vec::new();
    for entry in &commit.entries {
        match entry {
            Entry::SubjectCreated { subject } => wanted.push(subject.id),
            Entry::SubjectResolved { subject, .. } => wanted.push(*subject),
            Entry::SubjectMerged { from, into } => wanted.extend([*from, *into]),
            Entry::IncidentOpened(opened) => wanted.push(opened.subject),
            _ => {}
        }
        if let Some(about) = entry.incident().map(About::Incident)
            && !about.is_known(state)
        {
            wanted.extend(about.subject(store).await?);
        }
    }
    wanted.retain(|id| !state.subjects.contains_key(id));
    if !wanted.is_empty() {
        let people = people(store, wanted, state).await?;
        state.take_back(people);
    }
    Ok(())
}

impl Engine {
    /// Brings everybody into memory whom these names mean. No name is then unknown that the journal knows.
    pub(crate) async fn fetch_named(&self, aliases: &[Alias]) -> Result<(), StoreError> {
        loop {
            let (epoch, away) = self.read(|core| {
                let state = &core.state;
                let away = aliases.iter().filter(|alias| state.may_be_shelved(alias));
                (state.shelf.epoch, away.cloned().collect::<Vec<_>>())
            });
            if away.is_empty() {
                return Ok(());
            }
            match named(&*self.ports().store, &away).await {
                Ok(found) => self.fetch(found).await?,
                Err(error) => self.fetch_all(&error).await?,
            }
            // Somebody whom the index did not have yet may have been put there meanwhile.
            if self.read(|core| core.state.shelf.epoch == epoch) {
                return Ok(());
            }
        }
    }

    /// Brings whoever an id is about into memory, if anybody is.
    pub(crate) async fn fetch_about(&self, about: About) -> Result<(), StoreError> {
        if self.read(|core| about.is_known(&core.state) || !core.state.shelf.is_used()) {
            return Ok(());
        }
        match about.subject(&*self.ports().store).await {
            Ok(found) => self.fetch(found.into_iter().collect()).await,
            Err(error) => self.fetch_all(&error).await,
        }
    }

    pub(super) async fn fetch(&self, wanted: Vec<SubjectId>) -> Result<(), StoreError> {
        let now = self.now();
        let wanted: Vec<_> = self.change(|core| {
            for id in &wanted {
                core.keeping.pins.insert(*id, now + PINNED.delta());
            }
            wanted.into_iter().filter(|id| !core.state.subjects.contains_key(id)).collect()
        });
        if wanted.is_empty() {
            return Ok(());
        }
        match people(&*self.ports().store, wanted, &State::default()).await {
            Ok(people) => {
                self.change(|core| core.state.take_back(people));
                Ok(())
            }
            Err(error) => self.fetch_all(&error).await,
        }
    }

    /// Brings everybody back from the journal: the index cannot be read.
    pub(super) async fn fetch_all(&self, why: &StoreError) -> Result<(), StoreError> {
        let _turn = self.turn().lock().await;
        if !self.read(|core| core.state.is_partial()) {
            return Ok(());
        }
        tracing::warn!("Brings everything back from the journal: {why}");
        let until = self.change(|core| {
            core.keeping.held = true;
            core.state.seq
        });
        let folded = self.fold(until).await;
        self.change(|core| -> Result<(), StoreError> {
            core.keeping.held = false;
            core.state.bring_all(folded?);
            core.keeping.left = core.state.subjects.len();
            Ok(())
        })
    }

    async fn fold(&self, until: u64) -> Result<State, StoreError> {
        self.until_written().await?;
        let mut full = State::default();
        while full.seq < until {
            let commits = self.ports().store.commits(full.seq, READ).await?;
            if commits.is_empty() {
                return Err(StoreError::Read(format!("the journal has no line {}", full.seq + 1)));
            }
            for commit in &commits {
                full.apply(commit);
            }
            // Nobody asks which rows they changed.
            full.forget_changes();
        }
        Ok(full)
    }

    /// Rows were handed over: puts people away who have been at rest longest, if many are.
    pub(super) async fn tidy(&self, projected: Projected, seq: u64, written: &[String]) {
        if projected == Projected::GivenUp {
            let why = StoreError::Read("there is no index until the next start".to_owned());
            if let Err(error) = self.fetch_all(&why).await {
                tracing::error!("Could not bring everybody back from the journal: {error}");
            }
            return;
        }
        if projected != Projected::Written {
            return;
        }
        let now = self.now();
        self.change(|core| {
            core.state.are_written(written);
            let keeping = &mut core.keeping;
            keeping.written_to = keeping.written_to.max(seq);
            let many = core.state.subjects.len();
            let grown = many > keeping.left + SLACK.min(keeping.keep / 4);
            let due = keeping.looked_at.is_none_or(|at| now - at >= AGAIN || now < at);
            if keeping.held || many <= keeping.keep || !(grown || due || keeping.keep == 0) {
                return;
            }
            keeping.looked_at = Some(now);
            keeping.pins.retain(|_, until| *until > now);
            let pins = &keeping.pins;
            core.state.shelve(keeping.keep, |id| pins.contains_key(&id));
            keeping.left = core.state.subjects.len();
        });
    }

    /// Rows could not be written, and those of people who are away may be gone.
    pub(super) fn rows_lost(&self) {
        self.change(|core| (core.keeping.lost, core.keeping.written_to) = (true, 0));
    }

    /// Before rows are written: what the index may have lost has to be in memory.
    pub(super) async fn all_rows_are_here(&self) -> bool {
        if !self.read(|core| core.keeping.lost) {
            return true;
        }
        let why = StoreError::Read("rows could not be written".to_owned());
        let fetched = self.fetch_all(&why).await;
        if let Err(error) = &fetched {
            tracing::error!("Could not bring everybody back from the journal: {error}");
        }
        self.change(|core| {
            if fetched.is_ok() {
                core.keeping.lost = false;
                core.state.touch_all();
            }
            fetched.is_ok()
        })
    }

    /// Learns whom the index has, so that nobody else is looked for there.
    pub(super) async fn learn_names(&self) {
        let mut after: Option<String> = None;
        loop {
            if self.is_stopping() || !self.read(|core| core.state.shelf.is_used()) {
                return;
            }
            let some = self.ports().store.scan(ALIAS, after.as_deref(), LEARN).await;
            let some = match some {
                Ok(some) => some,
                Err(error) => {
                    tracing::warn!("Looks everybody up in the index: {error}");
                    return;
                }
            };
            after = some.last().map(|(key, _)| key.clone());
            self.change(|core| {
                for (key, _) in &some {
                    core.state.shelf.learn(key.strip_prefix(ALIAS).unwrap_or(key));
                }
                if some.is_empty() {
                    core.state.shelf.complete();
                }
            });
            if some.is_empty() {
                return;
            }
        }
    }
}
