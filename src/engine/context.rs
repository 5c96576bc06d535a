//! What expressions in a playbook see: `incident`, `subject`, `item`, `steps`, and `alert` or `report`.

use serde_json::{Map, Value, json};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::state::State;
use crate::model::action::Input;
use crate::model::alert::{Alert, Report};
use crate::model::incident::{Campaign, Incident};
use crate::model::plan::{Block, Form, Place, Plan};
use crate::model::run::{Cell, Conclusion, Run};
use crate::model::subject::{Account, AccountKey, Subject};
use crate::model::time::rfc3339;
use crate::template::{self, Context, Roots};

/// The names of DESIGN §12, each made when an expression first mentions it. `item` is added per item.
pub(crate) struct Names<'s> {
    state: &'s State,
    run: &'s Run,
    plan: &'s Plan,
    incident: OnceCell<Value>,
    subject: OnceCell<Value>,
    steps: OnceCell<Value>,
    alert: OnceCell<Value>,
    report: OnceCell<Value>,
    inputs: OnceCell<Value>,
}

impl<'s> Names<'s> {
    /// What the expressions of a run's plan see.
    pub(crate) fn new(state: &'s State, run: &'s Run, plan: &'s Plan) -> Self {
        Self {
            state,
            run,
            plan,
            incident: OnceCell::new(),
            subject: OnceCell::new(),
            steps: OnceCell::new(),
            alert: OnceCell::new(),
            report: OnceCell::new(),
            inputs: OnceCell::new(),
        }
    }

    fn steps(&self) -> &Value {
        self.steps.get_or_init(|| steps_value(self.state, self.run, self.plan))
    }

    /// Nobody called it: what it may be given has its default.
    fn inputs(&self) -> &Value {
        let own = |input: &Input| input.default.clone().unwrap_or(Value::Null);
        self.inputs.get_or_init(|| {
            self.plan.inputs.iter().map(|(name, input)| (name.clone(), own(input))).collect()
        })
    }
}

impl Roots for Names<'_> {
    fn root(&self, name: &str) -> Option<&Value> {
        let incident = self.state.incidents.get(&self.run.incident)?;
        let subject = || self.state.subject(incident.subject);
        match name {
            "incident" => Some(self.incident.get_or_init(|| incident_value(incident, subject()))),
            "subject" => {
                Some(self.subject.get_or_init(|| subject().map_or(Value::Null, subject_value)))
            }
            "steps" => Some(self.steps()),
            // A name that is absent is undefined, so that `alert is defined` tells the triggers apart.
            "alert" => incident.alert.as_ref().map(|a| self.alert.get_or_init(|| alert_value(a))),
            "report" => {
                incident.report.as_ref().map(|r| self.report.get_or_init(|| report_value(r)))
            }
            "inputs" => (!self.plan.inputs.is_empty()).then(|| self.inputs()),
            _ => None,
        }
    }
}

/// What expressions see, by where they stand: a called playbook's steps see their own names.
pub(crate) struct Scopes<'s> {
    root: Names<'s>,
    /// Block id of a call → its own `steps` and `inputs`, or why its inputs could not be evaluated.
    calls: BTreeMap<String, Result<Value, String>>,
    /// Block id → the innermost call around it.
    call_of: BTreeMap<String, String>,
}

impl<'s> Scopes<'s> {
    pub(crate) fn new(state: &'s State, run: &'s Run, plan: &'s Plan) -> Self {
        let root = Names::new(state, run, plan);
        let mut scopes = Self { root, calls: BTreeMap::new(), call_of: BTreeMap::new() };
        // A block comes after the blocks around it.
        for block in &plan.blocks {
            if let Form::Call { inputs, .. } = &block.form {
                let inside = scopes
                    .of(&block.place)
                    .and_then(|around| called(&around, scopes.root.steps(), &block.id, inputs));
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
        self.root.steps().get(id).is_some()
    }

    fn call(&self, place: &Place) -> Option<&String> {
        self.call_of.get(&place.within.as_ref()?.block)
    }

    /// The context at a place.
    pub(crate) fn of(&self, place: &Place) -> Result<Context<'_>, String> {
        let root = Context::new(&self.root);
        match self.call(place).and_then(|call| self.calls.get(call)) {
            Some(Ok(own)) => Ok(root.under(own)),
            Some(Err(problem)) => Err(problem.clone()),
            None => Ok(root),
        }
    }

    /// [`Scopes::of`], for a place whose blocks have let it through.
    pub(crate) fn at(&self, place: &Place) -> Context<'_> {
        self.of(place).unwrap_or_else(|_| Context::new(&Value::Null))
    }

    /// Whether a block's inputs could be evaluated, if it is a call.
    pub(crate) fn inputs_of(&self, block: &Block) -> Result<(), String> {
        self.calls
            .get(&block.id)
            .map_or(Ok(()), |inside| inside.as_ref().map(|_| ()).map_err(Clone::clone))
    }
}

/// What a call's steps see in place of the caller's: their own steps, and what they were given.
fn called(
    around: &Context<'_>,
    steps: &Value,
    id: &str,
    inputs: &BTreeMap<String, Value>,
) -> Result<Value, String> {
    let mut given = Map::new();
    for (name, value) in inputs {
        let value = template::render(value, around)
            .map_err(|error| format!("input `{name}` of `{id}`: {error}"))?;
        given.insert(name.clone(), value);
    }
    let own = steps.as_object().into_iter().flatten().filter_map(|(path, step)| {
        let inside = path.strip_prefix(id)?.strip_prefix('/')?;
        Some((inside.to_owned(), step.clone()))
    });
    Ok(json!({ "steps": own.collect::<Map<_, _>>(), "inputs": given }))
}

/// Always there, so that a condition need not ask whether it is.
fn campaign_value(campaign: Option<&Campaign>) -> Value {
    match campaign {
        Some(campaign) => json!(campaign),
        None => json!({"id": "", "key": "", "people": 0}),
    }
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
        "campaign": campaign_value(incident.campaign.as_ref()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::EvidenceCounts;

    #[test]
    fn a_condition_may_speak_of_the_campaign_whether_there_is_one_or_not() {
        let told = json!({
            "id": "01a20132-3f82-70df-9542-2836293307db",
            "subject": "01a20132-3f82-70df-9542-2836293307dc",
            "status": "open", "stage": "noted", "severity": "low", "approval": "none",
            "password_exposed": false, "may_cause": "revoke", "reason": "",
            "counts": EvidenceCounts::default(), "opened_at": "2026-05-01T08:00:00Z",
            "first_event_at": "2026-05-01T08:00:00Z", "last_evidence_at": "2026-05-01T08:00:00Z",
            "watch_until": "2026-05-02T08:00:00Z",
        });
        let mut incident: Incident = serde_json::from_value(told).unwrap();

        let without = incident_value(&incident, None);
        incident.campaign = Some(Campaign { id: "c-1".into(), key: "AS64500".into(), people: 9 });
        let with = incident_value(&incident, None);

        assert_eq!(without["campaign"], json!({"id": "", "key": "", "people": 0}));
        assert_eq!(with["campaign"], json!({"id": "c-1", "key": "AS64500", "people": 9}));
    }
}
