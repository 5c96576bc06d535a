//! A deployment in memory for tests of people and pages: a clock that stands still and no connections.

use async_trait::async_trait;
use chrono::{TimeDelta, TimeZone, Utc};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use webauthn_rs::prelude::Url;

use super::People;
use crate::engine::driver::{Engine, Ports};
use crate::engine::policy::Policy;
use crate::engine::ports::{Actions, Catalogue, Clock, Directory, Entropy, Found};
use crate::engine::state::State;
use crate::model::action::{
    ActionSpec, Applied, Call, CallResult, Outcome, ReadBack, Signature, Target, Unavailable,
};
use crate::model::approval::{Approval, ApprovalState, Asks, Item, Tier};
use crate::model::connected::Connected;
use crate::model::entry::{
    DeploymentCreated, Entry, IncidentOpened, IncidentRisen, Rise, RunStarted, StepIntent,
};
use crate::model::event::{AccountName, Event, EventKind, EventOutcome, Origin};
use crate::model::id::{
    ApprovalId, Capability, ConnectionId, DeploymentId, IncidentId, PlanDigest, RunId, SubjectId,
};
use crate::model::incident::{ApprovalSeen, HostileContext, MayCause, Stage};
use crate::model::plan::{Mode, OnTimeout, Plan};
use crate::model::run::{CellKey, Purpose};
use crate::model::subject::{Account, Alias, Authority, Link, Subject};
use crate::model::time::Time;
use crate::store::memory::MemoryStore;

pub(crate) const HERE: &str = "http://localhost:7878";

/// Stands still until it is moved.
pub(crate) struct HeldClock(Mutex<Time>);

impl HeldClock {
    pub(crate) fn pass(&self, span: TimeDelta) {
        *self.0.lock().unwrap() += span;
    }
}

#[async_trait]
impl Clock for HeldClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
    async fn sleep_until(&self, _at: Time) {
        std::future::pending::<()>().await;
    }
}

/// Never the same bytes twice.
#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).unwrap();
        bytes[0] = self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Nothing;

impl Catalogue for Nothing {
    fn resolve(
        &self,
        name: &str,
        _: &ConnectionId,
        _: Option<&Target>,
    ) -> Result<ActionSpec, Unavailable> {
        Err(Unavailable::Unsupported(name.to_owned()))
    }
    fn connections_for(&self, _: &str) -> Vec<ConnectionId> {
        Vec::new()
    }
    fn capability_of(&self, _: &str) -> Option<Capability> {
        None
    }
    fn signature(&self, _: &str) -> Option<&Signature> {
        None
    }
    fn concurrency(&self, _: &ConnectionId) -> usize {
        1
    }
    /// One, whose every text is what an attacker would write.
    fn connected(&self) -> Vec<Connected> {
        let text = "<script>alert(1)</script>\u{202e}".to_owned();
        vec![Connected {
            id: "idp".into(),
            connector: text.clone(),
            title: text.clone(),
            targets: "all accounts",
            credential: "bearer",
            privileged: None,
            capabilities: BTreeMap::from([(
                "identity.block_sign_in".into(),
                BTreeSet::from([text]),
            )]),
            lacks: vec!["identity.revoke_grant".into()],
        }]
    }
}

#[async_trait]
impl Actions for Nothing {
    async fn call(&self, _: &Call) -> CallResult {
        CallResult::failed(Outcome::NotSent, "there is nothing here")
    }
    async fn read_back(&self, _: &Applied) -> ReadBack {
        ReadBack::Unread { problem: "there is nothing here".into(), retry_after: None }
    }
    async fn already_so(&self, _: &Call) -> Option<bool> {
        None
    }
}

#[async_trait]
impl Directory for Nothing {
    async fn look_up(&self, _: &[Alias], _: &[ConnectionId]) -> Found {
        Found::default()
    }
}

/// The deployment.
pub(crate) struct Stand {
    pub(crate) engine: Engine,
    pub(crate) people: People,
    pub(crate) clock: Arc<HeldClock>,
    pub(crate) store: MemoryStore,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with(Policy::default()).await
    }

    pub(crate) async fn with(policy: Policy) -> Self {
        let start = Utc.with_ymd_and_hms(2026, 11, 22, 3, 0, 0).unwrap();
        let clock = Arc::new(HeldClock(Mutex::new(start)));
        let store = MemoryStore::new();
        let ports = Ports {
            store: Arc::new(store.clone()),
            evidence: Arc::new(store.clone()),
            clock: clock.clone(),
            entropy: Arc::new(Counting(AtomicU8::new(0))),
            catalogue: Arc::new(Nothing),
            actions: Arc::new(Nothing),
            directory: Arc::new(Nothing),
        };
        let detector = crate::detect::Detector::default();
        let engine = Engine::new(ports, policy, State::default(), detector);
        let people = People::new(engine.clone(), &Url::parse(HERE).unwrap()).unwrap();
        engine
            .commit(|tx| {
                tx.push(Entry::DeploymentCreated(DeploymentCreated {
                    deployment: DeploymentId::mint(tx.at, [7; 10]),
                    lab: true,
                    key: String::new(),
                }));
            })
            .await
            .unwrap();
        Self { engine, people, clock, store }
    }

    /// A case about `who`, with a question about two blocks.
    pub(crate) async fn ask(&self, who: &str, privileged: bool) -> ApprovalId {
        let engine = &self.engine;
        let at = engine.now();
        let id = || engine.ports().entropy.id();
        let (subject, incident) = (SubjectId::mint(at, id()), IncidentId::mint(at, id()));
        let (run, approval) = (RunId::mint(at, id()), ApprovalId::mint(at, id()));
        let accounts = vec![account("1", who, privileged, at), account("2", who, false, at)];
        let items: Vec<Item> = accounts.iter().map(|a| item(a, who)).collect();
        engine
            .commit(|tx| {
                tx.push(Entry::SubjectCreated {
                    subject: Box::new(Subject {
                        id: subject,
                        name: who.to_owned(),
                        aliases: vec![Alias::login(who)],
                        accounts,
                        resolved_at: Some(at),
                        merged_into: None,
                        silent: Vec::new(),
                        connections: Vec::new(),
                    }),
                });
                let evidence = rise(who, privileged, at);
                tx.push(Entry::IncidentOpened(Box::new(IncidentOpened {
                    incident,
                    subject,
                    evidence,
                })));
                tx.push(Entry::EventJoined {
                    incident,
                    event: Box::new(event(who, at)),
                    source: "okta".into(),
                });
                tx.push(Entry::RunStarted(Box::new(started(run, incident))));
                tx.push(Entry::ApprovalOpened {
                    approval: Box::new(question(
                        approval,
                        (incident, run),
                        items,
                        who,
                        at,
                        privileged,
                    )),
                });
            })
            .await
            .unwrap();
        approval
    }

    /// Whom a question concerns let somebody in.
    pub(crate) async fn let_in(&self, id: ApprovalId) {
        let question = self.question(id);
        let at = self.engine.now();
        let evidence = Rise {
            stage: Stage::Breached,
            approval: ApprovalSeen::Hostile,
            hostile_entry_at: Some(at),
            ..rise("somebody", false, at)
        };
        let risen = IncidentRisen { incident: question.incident, evidence };
        let staged = self.engine.commit(|tx| tx.push(Entry::IncidentStaged(Box::new(risen))));
        staged.await.unwrap();
    }

    /// The first granted item of a question is begun, exactly as it was granted.
    pub(crate) async fn begin(&self, id: ApprovalId) {
        let question = self.question(id);
        let item = question.items.iter().find(|i| question.granted.contains(&i.cell)).unwrap();
        let intent = StepIntent {
            run: question.run,
            incident: question.incident,
            cell: item.cell.clone(),
            capability: item.capability.clone(),
            account: item.account.clone(),
            attempt: 1,
            call: Call {
                connection: "idp".into(),
                action: item.action.clone(),
                inputs: item.inputs.clone(),
                key: "k".into(),
            },
            grant: Some(id),
            ceiling: None,
            ratify: false,
        };
        self.engine.commit(|tx| tx.push(Entry::StepIntent(Box::new(intent)))).await.unwrap();
    }

    /// What [`Stand::begin`] began keeps the account shut.
    pub(crate) async fn hold(&self, id: ApprovalId) {
        let question = self.question(id);
        let item = question.items.iter().find(|i| question.granted.contains(&i.cell)).unwrap();
        let placed = Entry::HoldPlaced {
            incident: question.incident,
            run: question.run,
            account: item.account.clone().unwrap(),
            capability: item.capability.clone(),
            action: item.action.clone(),
            ours: true,
            expires_at: None,
        };
        self.engine.commit(|tx| tx.push(placed)).await.unwrap();
    }

    /// Everything that was journalled.
    #[cfg(test)]
    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.store.submitted().into_iter().flat_map(|c| c.entries).collect()
    }

    pub(crate) fn question(&self, id: ApprovalId) -> Approval {
        self.engine.read(|core| core.state.approvals[&id].clone())
    }
}

fn account(id: &str, who: &str, privileged: bool, at: Time) -> Account {
    Account {
        roles_unread: false,
        connection: "idp".into(),
        provider_id: id.into(),
        login: who.into(),
        name: who.into(),
        authority: Authority::Cloud,
        status: "active".into(),
        privileged,
        protected: false,
        link: Link::Strong,
        read_at: at,
    }
}

fn item(account: &Account, who: &str) -> Item {
    let inputs = BTreeMap::from([("account".to_owned(), json!({ "id": account.provider_id }))]);
    Item {
        cell: CellKey { step: "block".into(), item: account.key().to_string() },
        capability: "identity.block_sign_in".into(),
        action: "okta/suspend-user".into(),
        target: account.key().to_string(),
        account: Some(account.key()),
        target_name: who.into(),
        params: crate::approval::statement::params_digest(&inputs),
        inputs,
        reason: format!("the mode is `approve` {who}"),
        reversal: "undone by okta/unsuspend-user".into(),
    }
}

fn question(
    id: ApprovalId,
    (incident, run): (IncidentId, RunId),
    items: Vec<Item>,
    who: &str,
    at: Time,
    privileged: bool,
) -> Approval {
    let tier = if privileged { Tier::Privileged } else { Tier::LocksOut };
    Approval {
        id,
        incident,
        run,
        plan: PlanDigest::new("plan-1"),
        asks: Asks::Contain,
        items,
        opened_at: at,
        expires_at: at + TimeDelta::minutes(20),
        on_timeout: OnTimeout::Deny,
        state: ApprovalState::Pending,
        tier,
        quorum: tier.quorum(),
        votes: Vec::new(),
        escalations: 0,
        untold: 0,
        stands: None,
        addressed: Vec::new(),
        decided_at: None,
        decided_by: None,
        granted: Vec::new(),
        barred: vec![who.to_lowercase()],
    }
}

fn started(run: RunId, incident: IncidentId) -> RunStarted {
    RunStarted {
        run,
        incident,
        playbook: "contain-push-bombing".into(),
        plan: PlanDigest::new("plan-1"),
        purpose: Purpose::Contain,
        mode: Mode::Approve,
        rises_seen: 1,
        round: None,
        started_by: None,
        decided_by: None,
        own_plan: Some(Box::new(Plan {
            name: "contain-push-bombing".into(),
            title: String::new(),
            attack: Vec::new(),
            triggers: Vec::new(),
            also: false,
            mode: None,
            watch: None,
            inputs: BTreeMap::new(),
            blocks: Vec::new(),
            steps: Vec::new(),
        })),
    }
}

fn rise(who: &str, privileged: bool, at: Time) -> Rise {
    Rise {
        stage: Stage::Confirmed,
        approval: ApprovalSeen::None,
        password_exposed: true,
        may_cause: MayCause::Contain,
        stale: false,
        privileged,
        reason: format!("6 prompts denied in 4 minutes by {who}"),
        hostile_factors: Vec::new(),
        hostile: HostileContext::default(),
        first_event_at: at - TimeDelta::minutes(4),
        last_evidence_at: at,
        hostile_entry_at: None,
        watch_until: at + TimeDelta::hours(24),
        trigger: None,
        campaign: None,
    }
}

fn event(who: &str, at: Time) -> Event {
    Event {
        id: "okta:1".into(),
        kind: EventKind::Prompt,
        account: AccountName { provider_id: None, login: Some(who.to_owned()) },
        time: at - TimeDelta::minutes(2),
        outcome: EventOutcome::Denied,
        factor: None,
        origin: Origin::Password,
        ip: Some("203.0.113.9".parse().unwrap()),
        asn: None,
        place: Some(crate::model::event::Place {
            country: Some(who.to_owned()),
            city: Some(who.to_owned()),
        }),
        device: Some(who.to_owned()),
        client: Some(who.to_owned()),
        app: Some(who.to_owned()),
        session: None,
        correlation: None,
        factor_id: None,
        changed_by: crate::model::event::ChangedBy::Unknown,
        new_device: None,
        message: who.to_owned(),
        synthetic: false,
    }
}
