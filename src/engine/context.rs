//! What expressions in a playbook see: `incident`, `subject`, `item`, `steps`, and `alert` or `report`.

use serde_json::{Map, Value, json};
use std::cell::OnceCell;

use super::state::State;
use crate::model::alert::{Alert, Report};
use crate::model::incident::Incident;
use crate::model::plan::Plan;
use crate::model::run::{Cell, Run};
use crate::model::subject::{Account, AccountKey, Subject};
use crate::model::time::rfc3339;
use crate::template::Roots;

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
        }
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
            "steps" => {
                Some(self.steps.get_or_init(|| steps_value(self.state, self.run, self.plan)))
            }
            // A name that is absent is undefined, so that `alert is defined` tells the triggers apart.
            "alert" => incident.alert.as_ref().map(|a| self.alert.get_or_init(|| alert_value(a))),
            "report" => {
                incident.report.as_ref().map(|r| self.report.get_or_init(|| report_value(r)))
            }
            _ => None,
        }
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
        let Some(last) = cells.iter().rev().find(|c| c.conclusion().is_some()) else { continue };
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
    Value::Object(steps)
}
