//! Audit entries: who reported what, whose factors, recovery means or roles were changed by whom, and who gave an
//! application access.

use serde_json::Value;
use std::borrow::Cow;

use super::super::json::{alert_id, at, text_at};
use super::super::parsed::{Record, Verdict};
use super::super::problem::Problem;
use super::{Fields, ZERO};
use crate::model::alert::{Alert, AlertKind};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Origin};
use crate::model::id::EventId;
use crate::model::incident::Stage;

pub(super) fn record(fields: &Fields<'_>, operation: &str) -> Result<Verdict, Problem> {
    match operation.to_lowercase().as_str() {
        "suspicious activity reported" => {
            report(fields, whom(fields)?, "entra.suspicious_activity_reported")
        }
        name if name.starts_with("fraud reported") => {
            report(fields, whom(fields)?, "entra.fraud_reported")
        }
        "user registered security info"
        | "admin registered security info"
        | "user changed default security info" => {
            change(fields, EventKind::FactorChange, true, whom(fields)?)
        }
        "user deleted security info"
        | "admin deleted security info"
        | "admin updated security info"
        | "disable strong authentication"
        | "enable strong authentication" => {
            change(fields, EventKind::FactorChange, false, whom(fields)?)
        }
        "reset password (by admin)"
        | "reset password (self-service)"
        | "change password (self-service)"
        | "change user password"
        | "reset user password"
        | "unlock user account (self-service)" => {
            change(fields, EventKind::RecoveryChange, false, whom(fields)?)
        }
        // About whoever consented; its target is the application.
        "consent to application"
        | "add delegated permission grant"
        | "add app role assignment grant to user" => match by(fields) {
            Some(person) => change(fields, EventKind::Grant, false, person),
            None => Ok(Verdict::irrelevant("a grant that an application made")),
        },
        "add member to role"
        | "add eligible member to role"
        | "add member to role completed (pim activation)"
        | "add member to role in pim completed (permanent)"
        | "add member to role in pim completed (timebound)" => role(fields),
        _ => Ok(Verdict::irrelevant("an operation that states nothing about prompts or access")),
    }
}

pub(super) fn report(
    fields: &Fields<'_>,
    account: AccountName,
    rule: &str,
) -> Result<Verdict, Problem> {
    let id = fields.id("");
    let time = fields
        .time(&["activityDateTime", "detectedDateTime", "time", "TimeGenerated"])
        .ok_or(Problem::MissingField("activityDateTime"))?;
    Ok(Verdict::Facts(vec![Record::Alert(Box::new(Alert {
        id: alert_id(time, id.as_str()),
        kind: AlertKind::MfaFraudReported,
        account,
        time,
        stage: Stage::Suspected,
        reason: "The person reported a prompt to Entra that they did not ask for".into(),
        rule: rule.into(),
        events: vec![id],
        password_exposed: true,
        link: None,
    }))]))
}

/// A role concerns whoever got it, and whoever gave it.
fn role(fields: &Fields<'_>) -> Result<Verdict, Problem> {
    let target = whom(fields)?;
    let giver = by(fields).filter(|giver| *giver != target);
    let mut facts =
        vec![Record::Event(Box::new(changed(fields, EventKind::RoleChange, false, target)?))];
    if let Some(giver) = giver {
        let mut event = changed(fields, EventKind::RoleChange, false, giver)?;
        event.id = EventId::new(format!("{}:by", event.id));
        event.changed_by = ChangedBy::Own;
        facts.push(Record::Event(Box::new(event)));
    }
    Ok(Verdict::Facts(facts))
}

/// The person who did it.
fn by(fields: &Fields<'_>) -> Option<AccountName> {
    let person = named(at(initiator(fields)?.as_ref(), &["user"])?);
    (person != AccountName::default()).then_some(person)
}

fn change(
    fields: &Fields<'_>,
    kind: EventKind,
    added: bool,
    target: AccountName,
) -> Result<Verdict, Problem> {
    changed(fields, kind, added, target).map(Verdict::event)
}

fn changed(
    fields: &Fields<'_>,
    kind: EventKind,
    added: bool,
    target: AccountName,
) -> Result<Event, Problem> {
    let succeeded = fields.text(&["result"]).is_none_or(|r| r.eq_ignore_ascii_case("success"));
    let said = fields.text(&["resultReason"]).or_else(|| fields.text(&["resultDescription"]));
    let id = fields.id("");
    let added = added && kind == EventKind::FactorChange;
    Ok(Event {
        kind,
        time: fields
            .time(&["activityDateTime", "time", "TimeGenerated"])
            .ok_or(Problem::MissingField("activityDateTime"))?,
        outcome: if succeeded { EventOutcome::Succeeded } else { EventOutcome::Failed },
        factor: None,
        origin: Origin::Unknown,
        ip: initiator(fields)
            .and_then(|i| text_at(&i, &["user", "ipAddress"]))
            .or_else(|| fields.text(&["callerIpAddress"]))
            .and_then(|ip| ip.parse().ok()),
        asn: None,
        place: None,
        device: None,
        client: fields.client(),
        app: fields.text(&["loggedByService"]),
        session: None,
        correlation: fields.text(&["correlationId"]).filter(|id| id != ZERO),
        // The audit entry names no method's id; the entry stands for it until the methods are read.
        factor_id: added.then(|| id.to_string()),
        changed_by: changed_by(fields, &target),
        new_device: None,
        message: said.unwrap_or_default(),
        synthetic: false,
        account: target,
        id,
    })
}

fn initiator<'f>(fields: &'f Fields<'_>) -> Option<Cow<'f, Value>> {
    fields.get("initiatedBy")
}

/// The user that an entry is about: its target, else who initiated it.
fn whom(fields: &Fields<'_>) -> Result<AccountName, Problem> {
    let targets = fields.get("targetResources");
    let listed = targets.as_ref().and_then(|t| t.as_array()).map(Vec::as_slice).unwrap_or_default();
    let is_user = |t: &&Value| text_at(t, &["type"]).is_none_or(|k| k.eq_ignore_ascii_case("User"));
    let target =
        listed.iter().find(is_user).map(named).filter(|name| *name != AccountName::default());
    target
        .or_else(|| fields.account().ok())
        .or_else(|| Some(named(at(initiator(fields)?.as_ref(), &["user"])?)))
        .filter(|name| *name != AccountName::default())
        .ok_or(Problem::MissingField("targetResources"))
}

fn named(entity: &Value) -> AccountName {
    AccountName {
        provider_id: text_at(entity, &["id"]).filter(|id| id != ZERO),
        login: text_at(entity, &["userPrincipalName"]).map(|login| login.to_lowercase()),
    }
}

fn changed_by(fields: &Fields<'_>, target: &AccountName) -> ChangedBy {
    let Some(initiator) = initiator(fields) else { return ChangedBy::Unknown };
    if at(&initiator, &["app"]).is_some() && at(&initiator, &["user"]).is_none() {
        return ChangedBy::Administrator;
    }
    let Some(user) = at(&initiator, &["user"]).map(named) else { return ChangedBy::Unknown };
    let same_id = user.provider_id.is_some() && user.provider_id == target.provider_id;
    let same_login = user.login.is_some() && user.login == target.login;
    match user {
        _ if same_id || same_login => ChangedBy::Own,
        AccountName { provider_id: None, login: None } => ChangedBy::Unknown,
        _ => ChangedBy::Administrator,
    }
}
