//! Plays one trial: a lab, an engine over a store in memory, and time that passes when nothing is left to do.

use chrono::TimeDelta;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::script::{Act, AlertAct, Answer, Burst, Expect, Trial};
use crate::app::ports::{Reach, SystemEntropy, VirtualClock};
use crate::approval::statement::unsigned;
use crate::connector::catalogue::Catalogue;
use crate::connector::connections::{self, Connections};
use crate::detect::Detector;
use crate::engine::driver::{Engine, Ports};
use crate::engine::ingest::{Fact, Incoming};
use crate::engine::policy::{Policy, SourceView};
use crate::engine::ports::Clock;
use crate::engine::state::State;
use crate::lab::Lab;
use crate::lab::tenant::Tenant;
use crate::lab::world::System;
use crate::model::alert::{Alert, Report};
use crate::model::approval::{ApprovalState, Decision, StatementItem};
use crate::model::entry::{DeploymentCreated, Entry, PersonEnrolled, PlanPublished};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin};
use crate::model::id::{AlertId, ConnectionId, DeploymentId, EventId, PersonId, ReportId};
use crate::model::incident::MayCause;
use crate::model::run::{CellState, Run};
use crate::model::time::Time;
use crate::playbook::Checked;
use crate::secret::{Scrubber, Sources};
use crate::store::memory::MemoryStore;

/// Where the attacker's prompts come from.
const HOSTILE: &str = "203.0.113.66";

/// What the trials of a playbook have reached so far.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) ends: Vec<(String, String)>,
    pub(super) held: BTreeSet<String>,
    pub(super) not_held: BTreeSet<String>,
}

struct Stage<'t> {
    trial: &'t Trial,
    engine: Engine,
    lab: Lab,
    clock: VirtualClock,
    deliveries: u32,
}

/// Plays a trial; gives what was not as expected.
pub(super) async fn play(checked: &Checked, trial: &Trial, seen: &mut Seen) -> Vec<String> {
    let mut stage = match Stage::set(checked, trial).await {
        Ok(stage) => stage,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    for (n, act) in trial.script.iter().enumerate() {
        let found = stage.act(act).await;
        problems.extend(found.into_iter().map(|p| format!("at {}: {p}", n + 1)));
    }
    stage.note(checked, seen);
    problems
}

impl<'t> Stage<'t> {
    async fn set(checked: &Checked, trial: &'t Trial) -> Result<Self, String> {
        let start = Time::from_timestamp_millis(1_795_316_400_000).unwrap_or_default();
        let clock = VirtualClock::starting(start);
        let lab = Lab::new(&Tenant::new("trial"), Arc::new(move || clock.now()));
        let reach = reach(&lab, clock)?;
        let store = Arc::new(MemoryStore::new());
        let protected = if trial.protected { vec![trial.person.clone()] } else { Vec::new() };
        let policy = Policy { mode: trial.mode, protected, ..Policy::default() };
        let ports = Ports {
            store: store.clone(),
            evidence: store,
            clock: Arc::new(clock),
            entropy: Arc::new(SystemEntropy),
            catalogue: reach.clone(),
            actions: reach.clone(),
            directory: reach,
        };
        let engine = Engine::new(ports, policy, State::default(), Detector::default());
        engine.start();
        found(&engine, checked).await.map_err(|e| e.to_string())?;
        Ok(Self { trial, engine, lab, clock, deliveries: 0 })
    }

    async fn act(&mut self, act: &Act) -> Vec<String> {
        match act {
            Act::Alert(alert) => self.alert(alert).await,
            Act::Report(report) => {
                let id = ReportId::mint(self.clock.now(), self.unique());
                let report = Report {
                    id,
                    account: self.account(),
                    time: self.clock.now(),
                    proof: report.proof,
                    text: String::new(),
                    taken_by: None,
                };
                self.deliver("reports", vec![Fact::Report(Box::new(report))]).await
            }
            Act::Burst(burst) => self.burst(burst).await,
            Act::HostileFactor(_) => self.hostile_factor().await,
            Act::Pass(span) => {
                tokio::time::sleep(span.duration()).await;
                Vec::new()
            }
            Act::Decide(answer) => self.decide(*answer).await,
            Act::Restore(_) => self.restore().await,
            Act::Fault(switch) => {
                self.lab.fault(switch.clone());
                Vec::new()
            }
            Act::Expect(expect) => self.check(expect),
        }
    }

    fn unique(&mut self) -> [u8; 10] {
        self.deliveries += 1;
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&self.deliveries.to_be_bytes());
        bytes
    }

    fn account(&self) -> AccountName {
        AccountName { login: Some(self.trial.person.clone()), provider_id: None }
    }

    async fn deliver(&mut self, source: &str, facts: Vec<Fact>) -> Vec<String> {
        let connections: Vec<ConnectionId> = match source {
            "entra" | "okta" => vec![source.into()],
            _ => vec!["entra".into(), "okta".into()],
        };
        let incoming = Incoming {
            source: SourceView {
                id: source.into(),
                may_cause: MayCause::Contain,
                connections,
                aliases: BTreeMap::new(),
            },
            delivery: format!("{:?}", self.unique()),
            accepted: facts.len(),
            facts,
            rejected: Vec::new(),
            replayed: false,
        };
        self.engine.ingest(incoming).await.err().map(|e| e.to_string()).into_iter().collect()
    }

    async fn alert(&mut self, act: &AlertAct) -> Vec<String> {
        let alert = Alert {
            id: AlertId::mint(self.clock.now(), self.unique()),
            kind: act.kind,
            account: self.account(),
            time: self.clock.now(),
            stage: act.stage,
            reason: "a detector's alert".to_owned(),
            rule: "trial".to_owned(),
            events: Vec::new(),
            password_exposed: act.password_exposed,
            link: None,
        };
        self.deliver("alerts", vec![Fact::Alert(Box::new(alert))]).await
    }

    async fn burst(&mut self, burst: &Burst) -> Vec<String> {
        self.lab.attacker_steals_password(&self.trial.person);
        let mut facts = Vec::new();
        let now = self.clock.now();
        for n in 0..burst.prompts {
            let ago = TimeDelta::seconds(i64::from(20 * (burst.prompts - n)));
            facts.push(self.prompt(now - ago, burst.outcome));
        }
        if burst.then_approved {
            facts.push(self.prompt(now, EventOutcome::Approved));
            self.lab.attacker_signs_in(&self.trial.person);
        }
        self.deliver("mfa", facts).await
    }

    fn prompt(&mut self, time: Time, outcome: EventOutcome) -> Fact {
        Fact::Event(Box::new(Event { outcome, ..self.event(time, EventKind::Prompt) }))
    }

    fn event(&mut self, time: Time, kind: EventKind) -> Event {
        Event {
            id: EventId::new(format!("trial:{:?}", self.unique())),
            kind,
            account: self.account(),
            time,
            outcome: EventOutcome::Succeeded,
            factor: Some(Factor::Push),
            origin: Origin::Password,
            ip: HOSTILE.parse().ok(),
            asn: None,
            place: None,
            device: None,
            client: None,
            app: None,
            session: Some("hostile-session".to_owned()),
            correlation: None,
            factor_id: None,
            changed_by: ChangedBy::Own,
            new_device: None,
            message: String::new(),
            synthetic: true,
        }
    }

    async fn hostile_factor(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        for (system, id) in self.lab.attacker_enrols_factor(&self.trial.person) {
            let source = if system == System::Okta { "okta" } else { "entra" };
            let now = self.clock.now();
            let event = Event { factor_id: Some(id), ..self.event(now, EventKind::FactorChange) };
            problems.extend(self.deliver(source, vec![Fact::Event(Box::new(event))]).await);
        }
        problems
    }

    async fn decide(&self, answer: Answer) -> Vec<String> {
        let question = self.engine.read(|core| {
            core.state.approvals.values().find(|a| a.state == ApprovalState::Pending).cloned()
        });
        let Some(question) = question else { return vec!["no question is open".to_owned()] };
        let items: Vec<StatementItem> = question.items.iter().map(StatementItem::from).collect();
        let decision = match answer {
            Answer::Approve => Decision::Approve,
            Answer::Deny => Decision::Deny,
        };
        let mut problems = Vec::new();
        // As many as it takes.
        for (person, name) in on_call() {
            let signed = unsigned(&question, items.clone(), decision, person, &name);
            match self.engine.decide_approval(question.id, person, signed).await {
                Ok(ApprovalState::Pending) => {}
                Ok(_) => return problems,
                Err(refusal) => problems.push(refusal.to_string()),
            }
        }
        problems
    }

    async fn restore(&self) -> Vec<String> {
        let incident = self.engine.read(|core| core.state.incidents.keys().next_back().copied());
        let Some(incident) = incident else { return vec!["there is no incident".to_owned()] };
        self.engine
            .request_restore(incident, "trial")
            .await
            .err()
            .map(|e| e.to_string())
            .into_iter()
            .collect()
    }

    fn check(&self, expect: &Expect) -> Vec<String> {
        let mut found = self.check_quell(expect);
        found.extend(self.check_lab(expect));
        found
    }

    /// What Quell says of the newest incident and its newest run.
    fn check_quell(&self, expect: &Expect) -> Vec<String> {
        let (run, incident, asked) = self.engine.read(|core| {
            let open = core.state.approvals.values().find(|a| a.state == ApprovalState::Pending);
            let asked: BTreeSet<String> =
                open.iter().flat_map(|a| &a.items).map(|i| i.cell.step.step().to_owned()).collect();
            let run = core.state.runs.values().next_back().cloned();
            (run, core.state.incidents.values().next_back().cloned(), asked)
        });
        let mut found = Vec::new();
        differs(&mut found, "run", run.as_ref().map(|r| r.status), expect.run);
        let waiting_on = run.as_ref().and_then(|r| r.waiting_on);
        differs(&mut found, "waiting_on", waiting_on, expect.waiting_on);
        differs(&mut found, "incident", incident.as_ref().map(|i| i.status), expect.incident);
        differs(&mut found, "stage", incident.as_ref().map(|i| i.stage), expect.stage);
        if let Some(least) = expect.watched_for {
            let left = incident.as_ref().map(|i| i.watch_until - self.clock.now());
            if left.is_none_or(|left| left < least.delta()) {
                let left = left.map_or(0, |left| left.num_minutes());
                found.push(format!("it is watched for {left} more minutes, not for {least}"));
            }
        }
        let want: Option<BTreeSet<String>> =
            expect.asked.as_ref().map(|a| a.iter().cloned().collect());
        differs(&mut found, "asked", Some(asked), want);
        for (step, conclusion) in &expect.steps {
            let want = format!("{conclusion:?}");
            let all = run.as_ref().map(|r| ends(r, step)).unwrap_or_default();
            if all.is_empty() || all.iter().any(|got| *got != want) {
                found.push(format!("step `{step}` ended {all:?}, not {want}"));
            }
        }
        found
    }

    /// What the lab knows of the person.
    fn check_lab(&self, expect: &Expect) -> Vec<String> {
        let (oracle, person) = (self.lab.oracle(), &self.trial.person);
        let mut found = Vec::new();
        differs(&mut found, "blocked", Some(oracle.is_blocked(person)), expect.blocked);
        differs(&mut found, "tickets", Some(oracle.tickets.len()), expect.tickets);
        let sessions = oracle.hostile_sessions(person);
        differs(&mut found, "hostile_sessions", Some(sessions), expect.hostile_sessions);
        let factors = oracle.hostile_factors(person);
        differs(&mut found, "hostile_factors", Some(factors), expect.hostile_factors);
        for (effect, times) in &expect.effects {
            let seen = oracle.times(person, effect);
            differs(&mut found, &format!("effect `{effect}`"), Some(seen), Some(*times));
        }
        found
    }

    /// Adds what this trial reached to the coverage.
    fn note(&self, checked: &Checked, seen: &mut Seen) {
        self.engine.read(|core| {
            for cell in core.state.runs.values().flat_map(|r| r.cells.values()) {
                let step = cell.key.step.step().to_owned();
                let Some(known) = checked.plan.step(&step) else { continue };
                let Some(conclusion) = cell.conclusion() else { continue };
                if known.when.is_some() {
                    let skipped = cell.capability.is_none() && cell.key.item.is_empty();
                    if skipped {
                        seen.not_held.insert(step.clone());
                    } else {
                        seen.held.insert(step.clone());
                    }
                }
                seen.ends.push((step, conclusion.name().to_owned()));
            }
        });
    }
}

/// Notes what is not as wanted; what is not wanted does not matter.
#[expect(clippy::needless_pass_by_value, reason = "the callers' values are made for this call")]
fn differs<T: PartialEq + std::fmt::Debug>(
    found: &mut Vec<String>,
    what: &str,
    got: Option<T>,
    want: Option<T>,
) {
    if want.is_some() && got != want {
        found.push(format!("{what} is {got:?}, not {want:?}"));
    }
}

fn ends(run: &Run, step: &str) -> Vec<String> {
    run.cells
        .values()
        .filter(|c| c.key.step.step() == step)
        .map(|c| match &c.state {
            CellState::Concluded { conclusion } => format!("{conclusion:?}"),
            other => format!("{other:?}"),
        })
        .collect()
}

/// More people than any question asks for, of one mind.
fn on_call() -> impl Iterator<Item = (PersonId, String)> {
    (1..=5).map(|n| (PersonId(uuid::Uuid::from_u128(n)), format!("on-call-{n}")))
}

fn reach(lab: &Lab, clock: VirtualClock) -> Result<Arc<Reach>, String> {
    let catalogue = Catalogue::builtin().map_err(|e| e.to_string())?;
    let ports = connections::Ports {
        clock: Arc::new(move || clock.now()),
        entropy: Arc::new(|bytes: &mut [u8]| {
            crate::engine::ports::Entropy::fill(&SystemEntropy, bytes);
        }),
        sources: Sources::lab(),
        scrubber: Scrubber::default(),
        dial: lab.dial(),
    };
    let connections =
        Connections::new(Arc::new(catalogue), lab.connections("http://127.0.0.1:1"), ports);
    connections.map(Reach::new).map_err(|problems| problems.join("; "))
}

async fn found(engine: &Engine, checked: &Checked) -> Result<(), crate::engine::ports::StoreError> {
    engine
        .commit(|tx| {
            let deployment = DeploymentId::mint(tx.at, [1; 10]);
            tx.push(Entry::DeploymentCreated(DeploymentCreated {
                deployment,
                lab: true,
                key: String::new(),
            }));
            tx.push(Entry::PlanPublished(Box::new(PlanPublished {
                name: checked.plan.name.clone(),
                digest: checked.digest.clone(),
                plan: checked.plan.clone(),
                source: String::new(),
                by: "trial".to_owned(),
                diff: String::new(),
                signed: None,
            })));
            for (person, name) in on_call() {
                tx.push(Entry::PersonEnrolled(Box::new(PersonEnrolled {
                    person,
                    name,
                    roles: vec!["approver".to_owned()],
                    passkey: serde_json::Value::Null,
                    user_handle: uuid::Uuid::nil(),
                    ticket: String::new(),
                    enrolled_at: None,
                })));
            }
        })
        .await
}
