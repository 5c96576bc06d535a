//! Audit entries and risk detections: who reported what, and whose factors or recovery
//! means were changed by whom.

use serde_json::Value;
use std::borrow::Cow;

use super::super::json::{alert_id, at, text_at};
use super::super::parsed::{Record, Verdict};
use super::super::problem::Problem;
use super::{Fields, ZERO};
use crate::model::alert::{Alert, AlertKind};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Origin};
use crate::model::incident::Stage;

/// The detection by which Entra passes a person's own report on.
const REPORTED: &str = "userReportedSuspiciousActivity";

pub(super) fn risk(fields: &Fields<'_>) -> Result<Verdict, Problem> {
    let kind = fields.text(&["riskEventType"]).or_else(|| fields.text(&["riskType"]));
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case(REPORTED)) {
        return Ok(Verdict::irrelevant("a risk detection of another kind"));
    }
    report(fields, fields.account()?, "entra.user_reported_suspicious_activity")
}

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
        | "user changed default security info" => change(fields, EventKind::FactorChange, true),
        "user deleted security info"
        | "admin deleted security info"
        | "admin updated security info"
        | "disable strong authentication"
        | "enable strong authentication" => change(fields, EventKind::FactorChange, false),
        "reset password (by admin)"
        | "reset password (self-service)"
        | "change password (self-service)"
        | "change user password"
        | "reset user password" => change(fields, EventKind::RecoveryChange, false),
        _ => Ok(Verdict::irrelevant("an operation that states nothing about prompts or access")),
    }
}

fn report(fields: &Fields<'_>, account: AccountName, rule: &str) -> Result<Verdict, Problem> {
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

fn change(fields: &Fields<'_>, kind: EventKind, added: bool) -> Result<Verdict, Problem> {
    let target = whom(fields)?;
    let succeeded = fields.text(&["result"]).is_none_or(|r| r.eq_ignore_ascii_case("success"));
    let said = fields.text(&["resultReason"]).or_else(|| fields.text(&["resultDescription"]));
    let id = fields.id("");
    let added = added && kind == EventKind::FactorChange;
    Ok(Verdict::event(Event {
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
    }))
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
