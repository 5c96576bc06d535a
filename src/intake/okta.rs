//! Okta System Log records: from an event hook, a poll, a forwarder that lower-cases keys, or
//! the columns of a Log Analytics table.
//!
//! `debugContext.debugData` is no stable contract, so what is read from it only refines.

mod columns;
mod prompt;

use http::HeaderMap;
use serde_json::{Value, json};
use std::borrow::Cow;

use super::client;
use super::json::{
    alert_id, asn_at, at, content_id, embedded, event_id, get, ip_at, text, text_at, time,
};
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Alert, AlertKind};
use crate::model::event::{AccountName, ChangedBy, Event, EventKind, EventOutcome, Origin, Place};
use crate::model::id::EventId;
use crate::model::incident::Stage;
use crate::model::text::tame_field;
use crate::model::time::Time;

/// The answer to the one-time `GET` by which Okta checks a hook's address.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<Value> {
    let value = headers.get("x-okta-verification-challenge")?.to_str().ok()?;
    Some(json!({ "verification": value }))
}

pub(super) fn record(row: &Value, _received_at: Time) -> Result<Verdict, Problem> {
    let row = columns::unflattened(row);
    let log = Log { row: &row, debug: debug_data(&row) };
    let event_type = log
        .text(&["eventType"])
        .ok_or_else(|| Problem::UnknownShape("it has no `eventType`".into()))?;
    let change = |kind| log.event(kind, log.plain_outcome());
    match event_type.as_str() {
        "system.push.send_factor_verify_push" => {
            log.event(EventKind::Prompt, EventOutcome::Prompted)
        }
        "user.mfa.okta_verify.deny_push" => log.event(EventKind::Prompt, EventOutcome::Denied),
        "user.authentication.auth_via_mfa" => log.event(EventKind::Prompt, prompt::outcome(&log)),
        "user.session.start" => change(EventKind::SignIn),
        "user.authentication.sso" => change(EventKind::TokenRefresh),
        "user.mfa.factor.activate"
        | "user.mfa.factor.deactivate"
        | "user.mfa.factor.reset_all"
        | "user.mfa.factor.suspend"
        | "user.mfa.factor.unsuspend"
        | "user.mfa.factor.update" => change(EventKind::FactorChange),
        "user.account.update_password"
        | "user.account.reset_password"
        | "user.account.update_secondary_email"
        | "user.account.update_recovery_question"
        | "user.account.update_phone" => change(EventKind::RecoveryChange),
        "app.oauth2.as.consent.grant" | "app.oauth2.client.consent.grant" => {
            change(EventKind::Grant)
        }
        "user.account.privilege.grant" => change(EventKind::RoleChange),
        "user.account.report_suspicious_activity_by_enduser" => log.alert(
            AlertKind::MfaFraudReported,
            "okta.report_suspicious_activity",
            "The person reported suspicious activity to Okta",
        ),
        "user.risk.detect" if log.says_push_bombing() => log.alert(
            AlertKind::MfaFatigue,
            "okta.mfa_brute_force",
            "Okta itself detected an MFA brute force attack",
        ),
        _ => Ok(Verdict::irrelevant("an event type that states nothing about prompts or access")),
    }
}

/// One System Log record.
struct Log<'v> {
    row: &'v Value,
    debug: Cow<'v, Value>,
}

impl Log<'_> {
    fn text(&self, path: &[&str]) -> Option<String> {
        text_at(self.row, path)
    }

    fn debug(&self, name: &str) -> Option<String> {
        text_at(&self.debug, &[name])
    }

    fn plain_outcome(&self) -> EventOutcome {
        match self.text(&["outcome", "result"]).as_deref() {
            Some("SUCCESS" | "ALLOW") => EventOutcome::Succeeded,
            _ => EventOutcome::Failed,
        }
    }

    fn id(&self) -> EventId {
        self.text(&["uuid"])
            .map_or_else(|| content_id("okta", self.row), |uuid| event_id("okta", &uuid))
    }

    fn time(&self) -> Result<Time, Problem> {
        get(self.row, "published").and_then(time).ok_or(Problem::MissingField("published"))
    }

    fn targets(&self) -> Cow<'_, Value> {
        get(self.row, "target").map_or(Cow::Owned(Value::Null), embedded)
    }

    /// Whom it concerns: for a change the user it was made to, else who acted.
    fn account(&self, kind: Option<EventKind>) -> Result<(AccountName, ChangedBy), Problem> {
        let targets = self.targets();
        let target = targets.as_array().into_iter().flatten().find(|t| is_type(t, "User"));
        let actor = get(self.row, "actor");
        let changed = matches!(
            kind,
            Some(EventKind::FactorChange | EventKind::RecoveryChange | EventKind::RoleChange)
        );
        let concerned = if changed { target.or(actor) } else { actor };
        let name = concerned.map(account_name).unwrap_or_default();
        if name == AccountName::default() {
            return Err(Problem::MissingField("actor"));
        }
        let by = match (changed, actor, target) {
            (true, Some(actor), Some(target)) => {
                changed_by(&account_name(actor), &account_name(target))
            }
            _ => ChangedBy::Unknown,
        };
        Ok((name, by))
    }

    fn event(&self, kind: EventKind, outcome: EventOutcome) -> Result<Verdict, Problem> {
        let (account, changed_by) = self.account(Some(kind))?;
        let added = self.text(&["eventType"]).as_deref() == Some("user.mfa.factor.activate");
        Ok(Verdict::event(Event {
            id: self.id(),
            kind,
            account,
            time: self.time()?,
            outcome,
            factor: prompt::factor(self, kind),
            origin: self.origin(),
            ip: ip_at(self.row, &["client", "ipAddress"]),
            asn: asn_at(self.row, &["securityContext", "asNumber"]),
            place: self.place(),
            device: self.text(&["device", "id"]).or_else(|| self.claimed_device()),
            client: self.client(),
            app: self.target_name("AppInstance", "displayName"),
            session: self.text(&["authenticationContext", "externalSessionId"]),
            correlation: self.text(&["transaction", "id"]),
            // Only what was added can be a hostile factor.
            factor_id: if added { self.factor_id() } else { None },
            changed_by,
            new_device: self.new_device(),
            message: self.text(&["displayMessage"]).unwrap_or_default(),
            synthetic: false,
        }))
    }

    /// What the provider itself says about the person; a report is about the reporter.
    fn alert(&self, kind: AlertKind, rule: &str, reason: &str) -> Result<Verdict, Problem> {
        let (account, _) = self.account(None)?;
        let (id, time) = (self.id(), self.time()?);
        let about = self.debug("suspiciousActivityEventType");
        let reason =
            about.map_or_else(|| reason.into(), |about| format!("{reason} (about `{about}`)"));
        Ok(Verdict::Facts(vec![Record::Alert(Box::new(Alert {
            id: alert_id(time, id.as_str()),
            kind,
            account,
            time,
            stage: Stage::Suspected,
            reason: tame_field(&reason),
            rule: rule.into(),
            events: vec![id],
            password_exposed: kind == AlertKind::MfaFatigue,
            link: None,
        }))]))
    }

    fn says_push_bombing(&self) -> bool {
        let risk = get(&self.debug, "risk").map(ToString::to_string).unwrap_or_default();
        let risk = risk.to_lowercase();
        risk.contains("mfa brute force") || risk.contains("mfa fatigue")
    }

    fn origin(&self) -> Origin {
        let hint = self.debug("requestUri").unwrap_or_default().to_lowercase();
        let intent = self.debug("factorIntent").unwrap_or_default().to_lowercase();
        let first = self.text(&["authenticationContext", "credentialType"]).unwrap_or_default();
        if hint.contains("recover") || hint.contains("reset-password") || intent.contains("recover")
        {
            Origin::Sspr
        } else if hint.contains("radius") {
            Origin::Vpn
        } else if first.eq_ignore_ascii_case("PASSWORD") {
            Origin::Password
        } else {
            Origin::Unknown
        }
    }

    fn place(&self) -> Option<Place> {
        let here = |name| self.text(&["client", "geographicalContext", name]);
        let place = Place { country: here("country"), city: here("city") };
        (place != Place::default()).then_some(place)
    }

    fn target_name(&self, kind: &str, name: &str) -> Option<String> {
        let targets = self.targets();
        let found = targets.as_array()?.iter().find(|t| is_type(t, kind))?;
        text_at(found, &[name])
    }

    fn factor_id(&self) -> Option<String> {
        self.target_name("AuthenticatorEnrollment", "id")
            .or_else(|| self.target_name("Factor", "id"))
            .or_else(|| self.debug("factorId"))
    }

    fn client(&self) -> Option<String> {
        let said = |name| self.text(&["client", "userAgent", name]);
        client::said(said("browser"), said("os"), said("rawUserAgent"))
    }

    /// What the client says of itself: it tells requests apart, and proves nothing.
    fn claimed_device(&self) -> Option<String> {
        let print = self.debug("deviceFingerprint")?;
        Some(format!("{}{print}", crate::model::event::CLAIMED_DEVICE))
    }

    /// Okta's behaviour detection, as an object or as `{New Device=POSITIVE, …}`.
    fn new_device(&self) -> Option<bool> {
        let said = match get(&self.debug, "behaviors")? {
            Value::Object(map) => map.get("New Device").and_then(text)?,
            other => {
                let all = text(other)?;
                all.split("New Device=").nth(1)?.split([',', '}']).next()?.to_owned()
            }
        };
        match said.trim() {
            "POSITIVE" => Some(true),
            "NEGATIVE" => Some(false),
            _ => None,
        }
    }
}

fn debug_data(row: &Value) -> Cow<'_, Value> {
    let context = match get(row, "debugContext") {
        // Some exporters wrap it in a list of one.
        Some(Value::Array(list)) => list.first(),
        other => other,
    };
    let data = context.and_then(|context| get(context, "debugData"));
    data.map_or(Cow::Owned(Value::Null), embedded)
}

fn is_type(target: &Value, kind: &str) -> bool {
    at(target, &["type"]).and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case(kind))
}

fn account_name(entity: &Value) -> AccountName {
    AccountName {
        provider_id: text_at(entity, &["id"]),
        login: text_at(entity, &["alternateId"]).map(|login| login.to_lowercase()),
    }
}

/// Okta's log names both sides, so this is read and never guessed.
fn changed_by(actor: &AccountName, target: &AccountName) -> ChangedBy {
    let same_id = actor.provider_id.is_some() && actor.provider_id == target.provider_id;
    let same_login = actor.login.is_some() && actor.login == target.login;
    if same_id || same_login { ChangedBy::Own } else { ChangedBy::Administrator }
}

#[cfg(test)]
mod tests;
