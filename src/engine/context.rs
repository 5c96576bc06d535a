//! What expressions in a playbook see: `incident`, `subject`, `item`, `steps`, and `alert` or `report`.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

use super::state::State;
use crate::model::action::Input;
use crate::model::alert::{Alert, Report};
use crate::model::incident::Incident;
use crate::model::plan::{Block, Form, Place, Plan};
use crate::model::run::{Cell, Conclusion, Run};
use crate::model::subject::{Account, AccountKey, Subject};
use crate::model::time::rfc3339;
use crate::template;

/// The names of DESIGN §12, as one JSON value. `item` is added per item.
pub(crate) fn context(state: &State, run: &Run, plan: &Plan) -> Value {
    let Some(incident) = state.incidents.get(&run.incident) else { return Value::Null };
    let subject = state.subject(incident.subject);
    let mut root = Map::new();
    root.insert("incident".into(), incident_value(incident, subject));
    root.insert("subject".into(), subject.map_or(Value::Null, subject_value));
    root.insert("steps".into(), steps_value(state, run, plan));
    // A name that is absent is undefined, so that `alert is defined` tells the triggers apart.
    if let Some(alert) = &incident.alert {
        root.insert("alert".into(), alert_value(alert));
    }
    if let Some(report) = &incident.report {
        root.insert("report".into(), report_value(report));
    }
    if !plan.inputs.is_empty() {
        // Nobody called it: what it may be given has its default.
        let own = |input: &Input| input.default.clone().unwrap_or(Value::Null);
        root.insert(
            "inputs".into(),
            plan.inputs.iter().map(|(n, i)| (n.clone(), own(i))).collect(),
        );
    }
    Value::Object(root)
}

/// What expressions see, by where they stand: a called playbook's steps see their own names.
pub(crate) struct Scopes {
    root: Value,
    /// Block id of a call → what its steps see, or why its inputs could not be evaluated.
    calls: BTreeMap<String, Result<Value, String>>,
    /// Block id → the innermost call around it.
    call_of: BTreeMap<String, String>,
}

impl Scopes {
    pub(crate) fn new(plan: &Plan, root: Value) -> Self {
        let mut scopes = Self { root, calls: BTreeMap::new(), call_of: BTreeMap::new() };
        // A block comes after the blocks around it.
        for block in &plan.blocks {
            if let Form::Call { inputs, .. } = &block.form {
                let inside = scopes
                    .of(&block.place)
                    .and_then(|around| called(around, &scopes.root, &block.id, inputs));
                scopes.calls.insert(block.id.clone(), inside);
                scopes.call_of.insert(block.id.clone(), block.id.clone());
            } else if let Some(call) = scopes.call(&block.place).cloned() {
                scopes.call_of.insert(block.id.clone(), call);
            }
        }
        scopes
    }

    /// Whether it is told what a step or block came to.
    pub(crate) fn tells(&self, id: &str) -> bool {
        self.root.get("steps").and_then(|steps| steps.get(id)).is_some()
    }

    fn call(&self, place: &Place) -> Option<&String> {
        self.call_of.get(&place.within.as_ref()?.block)
    }

    /// The context at a place.
    pub(crate) fn of(&self, place: &Place) -> Result<&Value, String> {
        match self.call(place).and_then(|call| self.calls.get(call)) {
            Some(inside) => inside.as_ref().map_err(Clone::clone),
            None => Ok(&self.root),
        }
    }

    /// [`Scopes::of`], for a place whose blocks have let it through.
    pub(crate) fn at(&self, place: &Place) -> &Value {
        self.of(place).unwrap_or(&Value::Null)
    }

    /// Whether a block's inputs could be evaluated, if it is a call.
    pub(crate) fn inputs_of(&self, block: &Block) -> Result<(), String> {
        self.calls
            .get(&block.id)
            .map_or(Ok(()), |inside| inside.as_ref().map(|_| ()).map_err(Clone::clone))
    }
}

/// The caller's context with the call's own steps and inputs in place of the caller's.
fn called(
    around: &Value,
    root: &Value,
    id: &str,
    inputs: &BTreeMap<String, Value>,
) -> Result<Value, String> {
    let mut given = Map::new();
    for (name, value) in inputs {
        let value = template::render(value, &around.into())
            .map_err(|error| format!("input `{name}` of `{id}`: {error}"))?;
        given.insert(name.clone(), value);
    }
    let own = root["steps"].as_object().into_iter().flatten().filter_map(|(path, step)| {
        let inside = path.strip_prefix(id)?.strip_prefix('/')?;
        Some((inside.to_owned(), step.clone()))
    });
    let mut scope = around.clone();
    scope["steps"] = Value::Object(own.collect());
    scope["inputs"] = Value::Object(given);
    Ok(scope)
}

/// The context with `item` bound.
pub(crate) fn with_item(context: &Value, item: Option<&Value>) -> Value {
    let mut context = context.clone();
    if let (Some(item), Some(map)) = (item, context.as_object_mut()) {
        map.insert("item".into(), item.clone());
    }
    context
}

fn incident_value(incident: &Incident, subject: Option<&Subject>) -> Value {
    let factors: Vec<Value> = incident
        .hostile_factors
        .iter()
        .map(|f| {
            let account = subject.and_then(|s| s.account(&f.account)).map_or_else(
                || json!({ "connection": f.account.connection, "id": f.account.provider_id }),
                account_value,
            );
            json!({ "account": account, "id": f.id, "kind": f.kind, "added_at": rfc3339(f.added_at) })
        })
        .collect();
    json!({
        "id": incident.id,
        "stage": incident.stage,
        "severity": incident.severity,
        "approval": incident.approval,
        "password_exposed": incident.password_exposed,
        "hostile_factors": factors,
        "opened_at": rfc3339(incident.opened_at),
        "first_event_at": rfc3339(incident.first_event_at),
        "last_evidence_at": rfc3339(incident.last_evidence_at),
        "reason": incident.reason,
        "counts": incident.counts,
    })
}

/// Fields that are absent are null: strict expressions refuse names that are not there.
fn alert_value(alert: &Alert) -> Value {
    json!({
        "id": alert.id,
        "kind": alert.kind,
        "account": { "provider_id": alert.account.provider_id, "login": alert.account.login },
        "time": rfc3339(alert.time),
        "stage": alert.stage,
        "reason": alert.reason,
        "rule": alert.rule,
        "link": alert.link,
    })
}

fn report_value(report: &Report) -> Value {
    json!({
        "id": report.id,
        "account": { "provider_id": report.account.provider_id, "login": report.account.login },
        "time": rfc3339(report.time),
        "proof": report.proof,
        "text": report.text,
    })
}

fn subject_value(subject: &Subject) -> Value {
    json!({
        "id": subject.id,
        "name": subject.name,
        "privileged": subject.privileged(),
        "protected": subject.protected(),
        "accounts": subject.accounts.iter().map(account_value).collect::<Vec<_>>(),
    })
}

/// An account as expressions, inputs and manifests see it.
pub(crate) fn account_value(account: &Account) -> Value {
    json!({
        "connection": account.connection,
        "id": account.provider_id,
        "provider_id": account.provider_id,
        "login": account.login,
        "name": account.name,
        "authority": account.authority,
        "status": account.status,
        "privileged": account.privileged,
    })
}

/// Which account a value is about: an account itself, or a factor with its account inside.
pub(crate) fn account_of(item: &Value) -> Option<AccountKey> {
    let account = item.get("account").unwrap_or(item);
    Some(AccountKey {
        connection: account.get("connection")?.as_str()?.into(),
        provider_id: account.get("id")?.as_str()?.to_owned(),
    })
}

/// A stable name for an item of a `for_each`.
pub(crate) fn item_name(item: &Value) -> String {
    match (
        account_of(item),
        item.get("account").and_then(|_| item.get("id")).and_then(Value::as_str),
    ) {
        (Some(account), Some(factor)) => format!("{account}#{factor}"),
        (Some(account), None) => account.to_string(),
        (None, _) => match item {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    }
}

/// `steps.ID`: outcome, conclusion, output — over this run's rounds and the runs it continues.
fn steps_value(state: &State, run: &Run, plan: &Plan) -> Value {
    let mut steps = Map::new();
    let chain: Vec<&Run> =
        state.runs_of(run.incident).filter(|r| r.plan == run.plan && r.id <= run.id).collect();
    for step in &plan.steps {
        let cells: Vec<&Cell> = chain
            .iter()
            .flat_map(|r| r.cells_by_round())
            .filter(|c| c.key.step.step() == step.id)
            .collect();
        let Some(last) = cells.iter().rev().find(|c| c.conclusion().is_some()) else {
            // Asked only once it has concluded: it was over an empty list.
            if step.for_each.is_some() && cells.is_empty() {
                let nothing =
                    json!({ "outcome": null, "conclusion": Conclusion::Skipped, "output": [] });
                steps.insert(step.id.clone(), nothing);
            }
            continue;
        };
        let output = if step.for_each.is_some() {
            Value::Array(cells.iter().map(|c| c.output.clone()).collect())
        } else {
            // The newest output that is one: a continuation does not open a second ticket.
            cells
                .iter()
                .rev()
                .map(|c| c.output.clone())
                .find(|o| !o.is_null())
                .unwrap_or(Value::Null)
        };
        steps.insert(
            step.id.clone(),
            json!({ "outcome": last.outcome, "conclusion": last.conclusion(), "output": output }),
        );
    }
    for block in &plan.blocks {
        if let Some(conclusion) = whole(&chain, plan, block) {
            steps.insert(block.id.clone(), json!({ "conclusion": conclusion }));
        }
    }
    Value::Object(steps)
}

/// What a block came to: the worst that became of its steps, in the newest round of each.
fn whole(chain: &[&Run], plan: &Plan, block: &Block) -> Option<Conclusion> {
    let mut newest: BTreeMap<(&str, &str), Conclusion> = BTreeMap::new();
    let members: BTreeSet<&str> = plan.members(&block.id).map(|step| step.id.as_str()).collect();
    for cell in chain.iter().flat_map(|r| r.cells_by_round()) {
        if members.contains(cell.key.step.step()) {
            newest.insert((cell.key.step.step(), &cell.key.item), cell.conclusion()?);
        }
    }
    let worst = |c: &Conclusion| match c {
        Conclusion::Skipped => 0,
        Conclusion::Succeeded => 1,
        Conclusion::Unsupported => 2,
        Conclusion::Denied => 3,
        Conclusion::Expired => 4,
        Conclusion::Refused => 5,
        Conclusion::Failed => 6,
    };
    Some(newest.into_values().max_by_key(worst).unwrap_or(Conclusion::Skipped))
}
