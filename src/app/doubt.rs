//! Every shipped action that changes something, when nobody knows whether its call arrived.
//!
//! The list is the catalogue's, so that an action which is added is tested. The lab's own
//! word says what really happened. `tests/run doubt` prints the table.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rig::{Death, Rig, in_one_runtime};
use crate::connector::catalogue::Catalogue;
use crate::connector::manifest::Action;
use crate::engine::context::account_value;
use crate::lab::fault::{Fault, Switch};
use crate::lab::oracle::{CallRecord, Oracle};
use crate::lab::world::System;
use crate::model::action::{Effect, Repeat, Target, ValueType};
use crate::model::alert::AlertKind;
use crate::model::entry::Entry;
use crate::model::id::ConnectionId;
use crate::model::incident::Stage;
use crate::model::plan::{Does, Plan, PlanStep, Trigger};
use crate::model::run::{Cell, CellState, Run, RunStatus, WaitingOn};
use crate::model::subject::{Account, Alias};
use crate::model::time::Span;

/// People of the lab, the usual one first.
const PEOPLE: [&str; 2] = ["dana.reyes@lab.example", "lou.locked@lab.example"];

/// What goes wrong, and whether the vendor had done it by then.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Case {
    Nothing,
    Lost(Fault),
    Died(Death),
}

const CASES: [Case; 8] = [
    Case::Lost(Fault::TimeoutAfter),
    Case::Lost(Fault::ResetAfter),
    Case::Lost(Fault::Truncated),
    Case::Lost(Fault::ErrorAfter),
    Case::Lost(Fault::TimeoutBefore),
    Case::Lost(Fault::Error),
    Case::Died(Death::AfterTheEffect),
    Case::Died(Death::BeforeSending),
];

impl Case {
    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing goes wrong",
            Self::Lost(Fault::TimeoutAfter) => "done, then a timeout",
            Self::Lost(Fault::ResetAfter) => "done, then a reset",
            Self::Lost(Fault::Truncated) => "done, then half an answer",
            Self::Lost(Fault::ErrorAfter) => "done, then a 500",
            Self::Lost(Fault::TimeoutBefore) => "not done, a timeout",
            Self::Lost(_) => "not done, a 500",
            Self::Died(Death::AfterTheEffect) => "done, then Quell died",
            Self::Died(_) => "not done, Quell died",
        }
    }
}

/// One action of one connection, and on whom it is tried.
struct Subject<'c> {
    catalogue: &'c Arc<Catalogue>,
    name: String,
    action: &'c Action,
    connection: ConnectionId,
    person: &'static str,
}

/// What a case came to.
struct Came {
    run: Run,
    cell: Cell,
    /// Calls on the action's system since the case began, in order.
    calls: Vec<CallRecord>,
    truth: Value,
    keys: Vec<String>,
}

/// Which connection of the lab a connector has.
fn connection_of(connector: &str) -> ConnectionId {
    if connector == "entra-id" { "entra".into() } else { connector.into() }
}

fn system_of(connector: &str) -> System {
    match connector {
        "entra-id" => System::Graph,
        "okta" => System::Okta,
        "servicenow" => System::Servicenow,
        "slack" => System::Slack,
        "teams" => System::Teams,
        "pagerduty" => System::Pagerduty,
        "smtp" => System::Mail,
        _ => System::Webhook,
    }
}

fn input_of(action: &Action, kind: ValueType) -> Option<&str> {
    action.inputs.iter().find(|(_, i)| i.kind == kind).map(|(name, _)| name.as_str())
}

fn is_about_an_account(action: &Action) -> bool {
    input_of(action, ValueType::Account).or_else(|| input_of(action, ValueType::Factor)).is_some()
}

impl Subject<'_> {
    fn connector(&self) -> &str {
        self.name.split_once('/').unwrap().0
    }

    fn of_system<'o>(&self, oracle: &'o Oracle) -> impl Iterator<Item = &'o CallRecord> {
        let system = system_of(self.connector());
        oracle.calls.iter().filter(move |c| c.system == system)
    }

    /// Brings the tenant to where the action has something to do, and gives the ticket or message it is about.
    async fn prepare(&self, rig: &Rig) -> String {
        let account = account(rig, &self.connection, self.person).await;
        let described = &self.catalogue.connectors[self.connector()];
        for other in described.actions.values() {
            if other.undo.as_deref() == Some(&self.action.action) {
                let known = account.as_ref().map(account_value).unwrap();
                let inputs = BTreeMap::from([("account".to_owned(), known)]);
                let name = format!("{}/{}", self.connector(), other.action);
                rig.by_hand(&self.connection, &name, inputs).await;
            }
        }
        if self.action.inputs.contains_key("message") {
            return self.posted(rig).await;
        }
        if !self.action.inputs.contains_key("ticket") {
            return String::new();
        }
        let inputs = BTreeMap::from([("title".to_owned(), json!("An earlier case"))]);
        let name = format!("{}/open-ticket", self.connector());
        let opened = rig.by_hand(&self.connection, &name, inputs).await;
        opened["id"].as_str().unwrap().to_owned()
    }

    /// A message, or a page, that the action can change.
    async fn posted(&self, rig: &Rig) -> String {
        let page = self.action.implements.as_deref() != Some("notify.update");
        let wanted = if page { "notify.page" } else { "notify.message" };
        let post = self.catalogue.implementing(self.connector(), wanted)[0];
        let inputs = BTreeMap::from([("text".to_owned(), json!("Said before"))]);
        let name = format!("{}/{}", self.connector(), post.action);
        let posted = rig.by_hand(&self.connection, &name, inputs).await;
        posted["message"].as_str().unwrap().to_owned()
    }

    fn plan(&self, factor: Option<&(String, String)>, ticket: &str) -> Plan {
        let mut with = BTreeMap::new();
        for (name, input) in self.action.inputs.iter().filter(|(_, i)| i.required) {
            let value = match (input.kind, name.as_str(), factor) {
                (ValueType::Factor, _, Some((id, kind))) => {
                    json!({"account": "{{ item }}", "id": id, "kind": kind})
                }
                (ValueType::String, "ticket" | "message", _) => json!(ticket),
                (ValueType::String, ..) => json!("Said by Quell"),
                _ => continue,
            };
            with.insert(name.clone(), value);
        }
        let connection = Some(self.connection.clone());
        let step = PlanStep {
            for_each: is_about_an_account(self.action).then(|| "subject.accounts".to_owned()),
            ..PlanStep::new("act", Does::Use { name: self.name.clone(), connection, with })
        };
        Plan {
            name: "doubt".into(),
            title: String::new(),
            attack: Vec::new(),
            triggers: vec![Trigger::Alert(AlertKind::MfaFatigue)],
            also: false,
            mode: None,
            watch: None,
            steps: vec![step],
            inputs: BTreeMap::new(),
            blocks: Vec::new(),
        }
    }

    /// Plays one case from a fresh tenant. `operation` is the action's name in the lab.
    async fn play(&self, case: Case, operation: &str) -> Came {
        let mut rig = Rig::new(self.catalogue, 0);
        let ticket = self.prepare(&rig).await;
        let factor = self.factor(&rig);
        rig.pass(Span::seconds(5)).await;
        let before = self.of_system(&rig.lab.oracle()).count();
        match case {
            Case::Nothing => {}
            Case::Lost(fault) => rig.lab.fault(Switch {
                system: system_of(self.connector()),
                operation: Some(operation.to_owned()),
                fault,
                times: Some(1),
            }),
            Case::Died(death) => rig.die_in(&self.name, death),
        }
        let on = is_about_an_account(self.action).then(|| self.connection.clone());
        let plan = self.plan(factor.as_ref(), &ticket);
        rig.publish(plan).await;
        rig.alert(self.person, Stage::Confirmed, on.as_slice()).await;
        if matches!(case, Case::Died(_)) {
            rig.pass(Span::seconds(20)).await;
            rig.come_back().await;
        }
        rig.pass(Span::minutes(8)).await;
        let oracle = rig.lab.oracle();
        let keys = rig.journal().await.iter().flat_map(|c| &c.entries).filter_map(intent).collect();
        let run = rig.run();
        let cell = run.cells().find(|c| c.key.step.step() == "act").unwrap().clone();
        Came {
            calls: self.of_system(&oracle).skip(before).cloned().collect(),
            truth: self.truth(&oracle),
            run,
            cell,
            keys,
        }
    }

    fn factor(&self, rig: &Rig) -> Option<(String, String)> {
        input_of(self.action, ValueType::Factor)?;
        let oracle = rig.lab.oracle();
        let condition = oracle.condition(system_of(self.connector()), self.person).unwrap();
        condition.factors.last().map(|f| (f.id.clone(), f.kind.clone()))
    }

    /// What is true of the tenant in the end, without times and minted names.
    fn truth(&self, oracle: &Oracle) -> Value {
        let system = system_of(self.connector());
        let account = oracle.condition(system, self.person).map(|c| {
            let factors: Vec<&str> = c.factors.iter().map(|f| f.id.as_str()).collect();
            let reset = c.password_changed_at.timestamp() > 1_795_316_400;
            json!({"status": c.status, "groups": c.groups, "risk": c.risk, "factors": factors,
                "sessions": c.sessions.len(), "reset": reset})
        });
        let tickets: Vec<Value> =
            oracle.tickets.iter().map(|t| json!([t.state, t.notes.len()])).collect();
        json!({"account": account, "tickets": tickets, "messages": oracle.messages.len(), "posts": oracle.posts.len()})
    }
}

fn intent(entry: &Entry) -> Option<String> {
    match entry {
        Entry::StepIntent(intent) => Some(intent.call.key.clone()),
        _ => None,
    }
}

async fn account(rig: &Rig, connection: &ConnectionId, login: &str) -> Option<Account> {
    let (aliases, on) = ([Alias::login(login)], [connection.clone()]);
    rig.reach.connections().look_up(&aliases, &on).await.accounts.into_iter().next()
}

/// The first person to whom the action applies.
async fn fitting<'c>(catalogue: &'c Arc<Catalogue>, name: &str) -> Option<Subject<'c>> {
    let (described, action) = catalogue.action(name)?;
    let connection = connection_of(&described.manifest.connector);
    for person in PEOPLE {
        let subject = Subject {
            catalogue,
            name: name.to_owned(),
            action,
            connection: connection.clone(),
            person,
        };
        if !is_about_an_account(action) {
            return Some(subject);
        }
        let rig = Rig::new(catalogue, 0);
        subject.prepare(&rig).await;
        let Some(account) = account(&rig, &connection, person).await else { continue };
        let target = Target {
            account: account.key(),
            authority: account.authority,
            status: account.status,
            privileged: account.privileged,
        };
        let spec = rig.reach.connections().resolve(name, &connection, Some(&target));
        if spec.is_ok() {
            return Some(subject);
        }
    }
    None
}

/// How the doubt was resolved, from the calls that followed the first.
fn resolved(case: Case, sent: &[usize], calls: &[CallRecord]) -> &'static str {
    let looked = |from: usize, to: usize| calls[from..to].iter().any(|c| c.method == "GET");
    let all = calls.len();
    let first = sent.first().copied().unwrap_or(all);
    if case == Case::Died(Death::BeforeSending) {
        let looks = looked(0, first);
        return if looks { "looked: not so; sent" } else { "sent under the key of the intent" };
    }
    match sent.get(1) {
        Some(second) if looked(first, *second) => "looked: not so; sent again, same key",
        Some(_) => "sent again, same key",
        None if looked(first, all) => "looked: it is so",
        None => "taken as done",
    }
}

fn sends(calls: &[CallRecord], operation: &str) -> Vec<usize> {
    calls.iter().enumerate().filter(|(_, c)| c.operation == operation).map(|(n, _)| n).collect()
}

/// Plays all cases of an action; gives the table's lines and what is wrong.
fn try_all(catalogue: &Arc<Catalogue>, name: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let subject = in_one_runtime(fitting(catalogue, name));
    let subject = subject.ok_or_else(|| format!("{name}: it applies to nobody in the lab"))?;
    let clean = in_one_runtime(subject.play(Case::Nothing, ""));
    let done = clean.calls.iter().find(|c| c.effect.is_some());
    let Some(operation) = done.map(|c| c.operation.clone()) else {
        return Err(format!("{name}: the lab shows no effect of it: {:?}", clean.cell));
    };
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for case in CASES {
        let came = in_one_runtime(subject.play(case, &operation));
        let sent = sends(&came.calls, &operation);
        let effects = sent.iter().filter(|n| came.calls[**n].effect.is_some()).count();
        let how = resolved(case, &sent, &came.calls);
        let found = judge(subject.action, &clean, &came, &sent, effects);
        let result = if found.is_empty() { "right" } else { "WRONG" };
        let repeat = format!("{:?}", subject.action.repeat).to_lowercase();
        lines.push(format!(
            "{name:32} {repeat:7} {:26} {how:37} {:5} {effects:7}  {result}",
            case.words(),
            sent.len(),
        ));
        wrong.extend(found.into_iter().map(|f| format!("{name}, {}: {f}", case.words())));
    }
    Ok((lines, wrong))
}

fn judge(
    action: &Action,
    clean: &Came,
    came: &Came,
    sent: &[usize],
    effects: usize,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let same = came.keys.iter().all(|key| *key == came.keys[0]);
    must(same, format!("the key changed: {:?}", came.keys));
    let ended = came.run.status == RunStatus::Succeeded;
    must(ended, format!("the run is {:?}: {:?}", came.run.status, came.cell));
    // What is not repeated may be missing, where the manifest says that it is then taken for done.
    let missing = action.repeat == Repeat::Once && action.assume_done && effects == 0;
    must(missing || came.truth == clean.truth, format!("{} is not {}", came.truth, clean.truth));
    must(missing || effects == 1, format!("{effects} effects"));
    let outputs = |cell: &Cell| -> Vec<String> {
        cell.output.as_object().map(|o| o.keys().cloned().collect()).unwrap_or_default()
    };
    let has_outputs = !action.response.outputs.is_empty();
    let same = outputs(&came.cell) == outputs(&clean.cell);
    let assumed = action.repeat == Repeat::Once;
    must(!has_outputs || same || assumed, format!("its output is {}", came.cell.output));
    let keys: BTreeSet<_> = sent.iter().filter_map(|n| came.calls[*n].key.clone()).collect();
    match action.repeat {
        Repeat::Keyed => must(keys.len() == 1, format!("sent under {keys:?}")),
        Repeat::Set | Repeat::Verify => {
            let reads = came.calls.iter().filter(|c| c.method == "GET").count();
            must(reads > 0, "nothing was read back".to_owned());
        }
        Repeat::Once => must(sent.len() <= 1, format!("sent {} times", sent.len())),
    }
    wrong
}

fn changing(catalogue: &Catalogue) -> Vec<String> {
    let all = catalogue.connectors.iter().flat_map(|(connector, described)| {
        let changes = described.actions.values().filter(|a| a.effect != Effect::Read);
        changes.map(move |a| format!("{connector}/{}", a.action))
    });
    all.collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what `tests/run doubt` is for")]
fn every_shipped_change_in_doubt_is_resolved_as_its_manifest_says() {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    let names = changing(&catalogue);
    let (mut wrong, mut uncovered) = (Vec::new(), Vec::new());

    println!(
        "{:32} {:7} {:26} {:37} calls effects  result",
        "action", "repeat", "what went wrong", "how it was resolved"
    );
    for name in &names {
        match try_all(&catalogue, name) {
            Ok((lines, found)) => {
                println!("{}", lines.join("\n"));
                wrong.extend(found);
            }
            Err(why) => uncovered.push(why),
        }
    }
    println!(
        "{} actions, {} cases each; not covered: {} {uncovered:?}",
        names.len(),
        CASES.len(),
        uncovered.len()
    );

    assert!(uncovered.is_empty(), "{uncovered:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of an action that is not `once`, one that is.
fn once(assume_done: bool) -> Arc<Catalogue> {
    let shipped = crate::connector::builtin::manifests();
    let mut files: BTreeMap<String, String> = shipped.collect();
    let text = files.remove("webhook/send-message.yaml").unwrap();
    let text = text.replace("repeat: keyed", &format!("repeat: once\nassume_done: {assume_done}"));
    Arc::new(Catalogue::load(vec![("webhook/send-message.yaml".to_owned(), text)]).unwrap())
}

#[test]
fn a_once_action_in_doubt_is_never_sent_again_and_a_person_sees_why() {
    let catalogue = once(false);
    let subject = in_one_runtime(fitting(&catalogue, "webhook/send-message")).unwrap();

    for case in CASES {
        let came = in_one_runtime(subject.play(case, "send-message"));

        assert!(sends(&came.calls, "send-message").len() <= 1, "{case:?}");
        assert_eq!(came.run.waiting_on, Some(WaitingOn::Operator), "{case:?}");
        let CellState::Parked { problem } = &came.cell.state else { panic!("{:?}", came.cell) };
        assert!(problem.contains("it must not be made twice"), "{problem}");
    }
}

#[test]
fn a_once_action_that_may_be_assumed_done_ends_without_a_second_call() {
    let catalogue = once(true);
    let subject = in_one_runtime(fitting(&catalogue, "webhook/send-message")).unwrap();

    for case in CASES {
        let came = in_one_runtime(subject.play(case, "send-message"));

        assert!(sends(&came.calls, "send-message").len() <= 1, "{case:?}");
        assert_eq!(came.run.status, RunStatus::Succeeded, "{case:?}");
        assert!(came.cell.problem.as_ref().unwrap().contains("assumed done"), "{case:?}");
    }
}

/// Whether Quell takes a block for its own after it died in it. `shut`: somebody had shut the account before.
fn is_taken_for_ours(action: &str, shut: bool, death: Death) -> bool {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    in_one_runtime(async {
        let subject = fitting(&catalogue, action).await.unwrap();
        let mut rig = Rig::new(&catalogue, 0);
        if shut {
            let known = account(&rig, &subject.connection, subject.person).await;
            let known = known.as_ref().map(account_value).unwrap();
            let inputs = BTreeMap::from([("account".to_owned(), known)]);
            rig.by_hand(&subject.connection, action, inputs).await;
        }
        rig.die_in(action, death);
        rig.publish(subject.plan(None, "")).await;
        rig.alert(subject.person, Stage::Confirmed, std::slice::from_ref(&subject.connection))
            .await;
        rig.pass(Span::seconds(20)).await;
        rig.come_back().await;
        rig.pass(Span::minutes(8)).await;

        rig.engine.read(|core| core.state.holds.values().next().map(|holds| holds.ours)).unwrap()
    })
}

/// The process that looked is gone, and with it what it saw: somebody may have shut the account in
/// between. The safe side is a block that a person lifts.
#[test]
fn a_block_that_quell_died_in_is_left_for_a_person_to_lift() {
    for action in ["entra-id/block-sign-in", "okta/suspend"] {
        assert!(!is_taken_for_ours(action, true, Death::BeforeLooking), "{action}");
        assert!(!is_taken_for_ours(action, false, Death::AfterTheEffect), "{action}");
    }
}
