//! Plays a story: the real engine in it, dying and coming back, until everything is healed and quiet.

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::clock::WallClock;
use super::disk::{Disk, Mount};
use super::draw::Draw;
use super::facts;
use super::life::Life;
use super::link::{Link, Outside};
use super::people;
use super::story::{Act, Delivery, Ending, How, Story};
use super::tenant::{Holder, Tenant};
use super::trace::Trace;
use super::weather::Weather;
use super::{check, plans};
use crate::detect::Detector;
use crate::engine::driver::{Engine, Ports};
use crate::engine::ingest::Answer;
use crate::engine::recall;
use crate::engine::state::State;
use crate::model::approval::ApprovalState;
use crate::model::entry::Commit;
use crate::model::id::{IncidentId, RunId};
use crate::model::run::{CellState, Run, RunStatus, WaitingOn};
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// How long a person or a sender waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Everything is healed for this long before the end.
const QUIET: Duration = Duration::from_hours(4);

pub(super) type Rows = BTreeMap<String, Bytes>;

/// A delivery that its sender was told was taken.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) source: &'static str,
    pub(super) delivery: String,
    pub(super) answer: Answer,
    pub(super) only_events: bool,
}

pub(super) struct Play<'s> {
    pub(super) story: &'s Story,
    pub(super) outside: Arc<Outside>,
    pub(super) acknowledged: Vec<Acknowledged>,
    pub(super) wrong: Vec<String>,
    pub(super) engine: Engine,
    pub(super) deaths: u64,
    /// Where the story ended: what comes after in the journal only makes its old lines unneeded.
    pub(super) ended_at: u64,
    life: Life,
    /// Sent and not answered; sent again, as senders do.
    owed: Vec<Delivery>,
}

impl<'s> Play<'s> {
    pub(super) async fn begin(story: &'s Story, traced: bool) -> Self {
        let clock = WallClock::start();
        let outside = Arc::new(Outside {
            tenant: tenant(story),
            weather: Weather::default(),
            disk: Arc::new(disk(story)),
            clock: clock.clone(),
            draw: Arc::new(Draw::new(story.seed ^ 0xABCD_EF01)),
            trace: Trace::new(clock, traced),
            dies_in: u64::MAX.into(),
            seen: Mutex::default(),
            effects: 0.into(),
        });
        outside.weather.rate.store(story.rate, Ordering::Relaxed);
        let life = Life::default();
        let engine = start(story, &outside, &life, State::default());
        let play = Self {
            story,
            outside,
            acknowledged: Vec::new(),
            wrong: Vec::new(),
            engine,
            deaths: 0,
            ended_at: u64::MAX,
            life,
            owed: Vec::new(),
        };
        people::found(&play.engine, story).await;
        play.publish(plans::container(story.wish)).await;
        if story.wish.also {
            play.publish(plans::beside()).await;
        }
        play
    }

    /// The story, as the journal has it.
    pub(super) fn told(&self) -> Vec<Commit> {
        let journal = self.outside.disk.journal().into_iter();
        journal.filter(|commit| commit.seq <= self.ended_at).collect()
    }

    /// Everything that happens, and then quiet.
    pub(super) async fn all(&mut self) {
        for (at, act) in &self.story.acts {
            self.pass_until(Duration::from_millis(*at)).await;
            self.outside.trace.say(format!("== {act:?}"));
            self.perform(act).await;
        }
        self.outside.trace.say("== everything heals");
        self.outside.weather.clear();
        self.outside.dies_in.store(u64::MAX, Ordering::SeqCst);
        self.outside.disk.dies_at.store(u64::MAX, Ordering::SeqCst);
        self.perform(&Act::Pause(false)).await;
        Box::pin(self.settle_down()).await;
        for delivery in std::mem::take(&mut self.owed) {
            self.deliver(&delivery).await;
        }
        Box::pin(self.settle_down()).await;
        self.come_to_rest().await;
        check::the_fold_is_the_projection(self).await;
    }

    async fn settle_down(&mut self) {
        let end = self.outside.clock.passed() + QUIET;
        while self.outside.clock.passed() < end {
            self.pass(Duration::from_secs(150)).await;
            let how = match self.story.ending {
                Ending::Yes => How::Yes,
                Ending::No => How::No,
                Ending::Silence => continue,
            };
            self.perform(&Act::Decide { which: 0, who: 0, how }).await;
        }
    }

    /// What a timer or a decision began in the last moment gets to its end, or to where it waits for people.
    async fn come_to_rest(&mut self) {
        let moves = |run: &Run| {
            run.status == RunStatus::Running || run.waiting_on == Some(WaitingOn::Connection)
        };
        for _ in 0..60 {
            if !self.engine.read(|core| core.state.runs.values().any(|run| moves(run))) {
                return;
            }
            self.pass(Duration::from_secs(1)).await;
        }
    }

    async fn pass(&mut self, span: Duration) {
        self.pass_until(self.outside.clock.passed() + span).await;
    }

    /// Lets time pass; whenever the process dies, another one is started.
    async fn pass_until(&mut self, at: Duration) {
        loop {
            let (clock, life) = (self.outside.clock.clone(), self.life.clone());
            tokio::select! {
                biased;
                () = life.ended() => {}
                () = clock.until(at) => if !self.life.is_over() { return },
            }
            clock.until(clock.passed() + Duration::from_secs(self.story.down_s)).await;
            self.reboot().await;
        }
    }

    /// Whatever a task of the engine broke in is told: nobody waits for tasks.
    pub(super) fn note_panics(&mut self) {
        let panics = self.engine.tasks().panicked();
        if panics > 0 {
            self.wrong.push(format!("the_engine_does_not_panic: {panics} of its tasks did"));
        }
    }

    async fn reboot(&mut self) {
        self.deaths += 1;
        self.note_panics();
        self.outside.trace.say("the process starts again");
        self.life.end();
        // What is left of the dead one only sleeps.
        let _stops = futures::FutureExt::now_or_never(self.engine.stop());
        self.outside.disk.forget_unsynced();
        self.outside.dies_in.store(u64::MAX, Ordering::SeqCst);
        if let Err(wrong) = rows_and_journal_agree(&self.outside.disk) {
            self.wrong.push(wrong);
        }
        self.life = Life::default();
        let mount = mount(&self.outside, &self.life);
        let state = recall(&mount).await.unwrap_or_else(|_| {
            // An index that cannot be read is set aside, and made again.
            *self.outside.disk.rows.lock().unwrap() = (0, BTreeMap::new());
            folded(&self.outside.disk)
        });
        self.engine = start(self.story, &self.outside, &self.life, state);
        let lines = self.outside.disk.evidence.lock().unwrap().clone();
        for line in lines {
            self.weigh_again(&line).await;
        }
        for delivery in std::mem::take(&mut self.owed) {
            self.deliver(&delivery).await;
        }
    }

    async fn weigh_again(&self, line: &serde_json::Value) {
        let Some(source) = (0..super::story::SOURCES.len())
            .find(|n| line["source"] == super::story::SOURCES[*n].id)
        else {
            return;
        };
        let Ok(event) = serde_json::from_value(line["event"].clone()) else { return };
        self.patiently(self.engine.weigh_again(facts::view(source), event)).await;
    }

    async fn patiently<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(PATIENCE, what).await.ok()
    }

    async fn publish(&self, plan: crate::model::plan::Plan) {
        let digest =
            crate::approval::statement::sha256_hex(&crate::approval::statement::canonical(&plan));
        let published =
            self.engine.publish(plan, digest.as_str().into(), String::new(), "a", String::new());
        self.patiently(published).await;
    }

    async fn perform(&mut self, act: &Act) {
        match act {
            Act::Deliver(delivery) => self.deliver(delivery).await,
            Act::Contain { person } => {
                let name = &self.story.people[*person].name;
                let engine = &self.engine;
                let contain = async {
                    let subject = engine.subject_named(name).await?;
                    engine.contain(subject, "a token", "by hand").await
                };
                self.patiently(contain).await;
            }
            Act::Decide { which, who, how } => people::decide(self, *which, *who, *how).await,
            Act::Restore { which, by } => {
                let Some(incident) = self.incident(*which) else { return };
                let by = super::story::ON_CALL[*by];
                self.patiently(self.engine.request_restore(incident, by)).await;
            }
            Act::Close { which } => {
                let Some(incident) = self.incident(*which) else { return };
                self.patiently(self.engine.close(incident, "olga.oncall", "done")).await;
            }
            Act::Resume { which } => {
                let Some(run) = self.parked(*which) else { return };
                self.patiently(self.engine.resume(run, "olga.oncall")).await;
            }
            Act::Pause(on) => {
                self.patiently(self.engine.pause(*on, "olga.oncall", "drill")).await;
            }
            Act::Kill => self.life.end(),
            Act::DieAtCommit(n) => {
                let at = self.outside.disk.head() + n;
                self.outside.disk.dies_at.store(at, Ordering::SeqCst);
            }
            Act::DieInEffect(n) => self.outside.dies_in.store(*n, Ordering::SeqCst),
            Act::Jump(ms) => self.outside.clock.jump(*ms),
            Act::Weather { connection, plight } => {
                let mut plights = self.outside.weather.plights.lock().unwrap();
                match plight {
                    Some(plight) => drop(plights.insert((*connection).into(), *plight)),
                    None => drop(plights.remove(&(*connection).into())),
                }
            }
            Act::Shut { person, account } => {
                let key = key(self.story, *person, *account);
                self.outside.tenant.shut(&key, self.outside.disk.head());
            }
            Act::Publish(wish) => self.publish(plans::container(*wish)).await,
        }
    }

    async fn deliver(&mut self, delivery: &Delivery) {
        let person = &self.story.people[delivery.person];
        let incoming = facts::incoming(delivery, person, self.now());
        let (source, id) = (super::story::SOURCES[delivery.source].id, incoming.delivery.clone());
        let only_events =
            incoming.facts.iter().all(|f| matches!(f, crate::engine::ingest::Fact::Event(_)));
        match self.patiently(self.engine.ingest(incoming)).await {
            Some(Ok(answer)) => {
                self.acknowledged.push(Acknowledged { source, delivery: id, answer, only_events });
            }
            _ => self.owed.push(delivery.clone()),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.engine.now()
    }

    fn incident(&self, which: u64) -> Option<IncidentId> {
        // In memory, or at rest in the index.
        let mut all: BTreeSet<IncidentId> =
            self.engine.read(|c| c.state.incidents.keys().copied().collect());
        let rows = self.outside.disk.rows.lock().unwrap();
        let away = rows
            .1
            .keys()
            .filter_map(|key| key.strip_prefix("incident/")?.parse::<IncidentId>().ok());
        all.extend(away);
        nth(&all.into_iter().collect::<Vec<_>>(), which)
    }

    fn parked(&self, which: u64) -> Option<RunId> {
        let all: Vec<RunId> = self.engine.read(|c| {
            let parked = |id: &&RunId| {
                c.state.runs[*id]
                    .cells
                    .values()
                    .any(|c| matches!(c.state, CellState::Parked { .. }))
            };
            c.state.live.iter().filter(parked).copied().collect()
        });
        nth(&all, which)
    }

    pub(super) fn pending(&self, which: u64) -> Option<crate::model::approval::Approval> {
        let all: Vec<_> = self.engine.read(|c| {
            let open = |a: &&crate::model::approval::Approval| a.state == ApprovalState::Pending;
            c.state.approvals.values().filter(open).cloned().collect()
        });
        nth(&all, which)
    }

    pub(super) async fn decide(
        &self,
        question: &crate::model::approval::Approval,
        who: usize,
        signed: crate::model::approval::Signed,
    ) -> Option<bool> {
        let decided = self.engine.decide_approval(question.id, people::id(who), signed);
        self.patiently(decided).await.map(|r| r.is_ok())
    }
}

fn nth<T: Clone>(all: &[T], which: u64) -> Option<T> {
    let n = usize::try_from(which).unwrap_or_default();
    (!all.is_empty()).then(|| all[n % all.len()].clone())
}

/// All rows, and the commits after them, say what the journal says.
fn rows_and_journal_agree(disk: &Disk) -> Result<(), String> {
    let (at, rows) = disk.rows.lock().unwrap().clone();
    let mut state = State::from_rows(at, rows.clone()).map_err(|e| e.to_string())?;
    for commit in disk.journal().iter().filter(|c| c.seq > at) {
        state.apply(commit);
    }
    let mut found = state.all_rows();
    // Answers stay in their rows.
    let answers = rows.into_iter().filter(|(key, _)| key.starts_with("delivery/"));
    found.extend(answers.collect::<Vec<_>>());
    match unlike(&found, &folded(disk).all_rows()) {
        None => Ok(()),
        Some(row) => Err(format!("the_fold_is_the_projection: a restart finds {row}")),
    }
}

/// The first row that is not the same.
pub(super) fn unlike(rows: &Rows, journal: &Rows) -> Option<String> {
    let keys: BTreeSet<&String> = rows.keys().chain(journal.keys()).collect();
    let key = keys.into_iter().find(|k| rows.get(*k) != journal.get(*k))?;
    Some(format!("`{key}` as {:?}, the journal says {:?}", rows.get(key), journal.get(key)))
}

pub(super) fn folded(disk: &Disk) -> State {
    let mut state = State::default();
    for commit in disk.journal() {
        state.apply(&commit);
    }
    state
}

fn start(story: &Story, outside: &Arc<Outside>, life: &Life, state: State) -> Engine {
    let link =
        Arc::new(Link { outside: outside.clone(), life: life.clone(), in_use: Mutex::default() });
    let ports = Ports {
        store: Arc::new(mount(outside, life)),
        evidence: Arc::new(mount(outside, life)),
        clock: Arc::new(outside.clock.clone()),
        entropy: outside.draw.clone(),
        catalogue: link.clone(),
        actions: link.clone(),
        directory: link,
    };
    let engine = Engine::new(ports, story.policy.clone(), state, Detector::default());
    // Half of the stories keep nobody in memory who could be away.
    engine.change(|core| core.keeping.keep = if story.seed.is_multiple_of(2) { 0 } else { 1_000 });
    engine.start();
    engine
}

/// Every third index is sick.
fn disk(story: &Story) -> Disk {
    if story.seed.is_multiple_of(3) { Disk::with_sick_index(story.seed) } else { Disk::default() }
}

fn mount(outside: &Arc<Outside>, life: &Life) -> Mount {
    Mount { disk: outside.disk.clone(), outside: outside.clone(), life: life.clone() }
}

pub(super) fn key(story: &Story, person: usize, account: usize) -> AccountKey {
    let whose = &story.people[person];
    AccountKey {
        connection: whose.accounts[account].into(),
        provider_id: facts::provider_id(whose, account),
    }
}

fn tenant(story: &Story) -> Tenant {
    let mut tenant = Tenant::default();
    let mut accounts = BTreeMap::new();
    for (n, person) in story.people.iter().enumerate() {
        let keys: Vec<AccountKey> = (0..person.accounts.len()).map(|a| key(story, n, a)).collect();
        for key in &keys {
            let holder = Holder {
                login: person.name.clone(),
                privileged: person.privileged,
                weak: person.weak,
                guest: person.guest,
                enabled: true,
                marked: false,
                revoked_at: None,
                password_at: None,
                factors: (0..person.factors).map(|f| format!("f{f}")).collect(),
            };
            accounts.insert(key.clone(), holder);
        }
        tenant.people.insert(person.name.clone(), keys);
    }
    *tenant.accounts.lock().unwrap() = accounts;
    for (n, _) in story.people.iter().enumerate().filter(|(_, p)| p.shut) {
        tenant.shut(&key(story, n, 0), 0);
    }
    tenant
}
