//! What became of a factor step, and which factor it was.
//!
//! In Identity Engine `auth_via_mfa` covers every factor, passwords too; only a push can be
//! denied, ignored or wrongly answered. A mistyped code is `failed`, which never counts
//! towards push fatigue, and a good password is no approval.

use super::super::json::text_at;
use super::Log;
use crate::model::event::{EventKind, EventOutcome, Factor};

pub(super) fn outcome(log: &Log<'_>) -> EventOutcome {
    let factor = factor(log, EventKind::Prompt);
    let result = log.text(&["outcome", "result"]).unwrap_or_default();
    match (result.as_str(), factor) {
        ("SUCCESS" | "ALLOW", Some(Factor::Password)) => EventOutcome::Succeeded,
        ("SUCCESS" | "ALLOW", _) => EventOutcome::Approved,
        ("CHALLENGE" | "DEFERRED", _) => EventOutcome::Prompted,
        ("UNANSWERED" | "ABANDONED", Some(Factor::Push | Factor::Call)) => EventOutcome::TimedOut,
        (_, Some(Factor::Push)) => failed_push(log),
        _ => EventOutcome::Failed,
    }
}

/// Why a push failed, by Okta's own words for the response.
fn failed_push(log: &Log<'_>) -> EventOutcome {
    let plain = log.debug("pushOnlyResponseType").unwrap_or_default();
    let number = log.debug("pushWithNumberChallengeResponseType").unwrap_or_default();
    let reason = log.text(&["outcome", "reason"]).unwrap_or_default().to_uppercase();
    let says = |word: &str| plain.contains(word) || number.contains(word);
    if says("DENY") {
        EventOutcome::Denied
    } else if says("TIMEOUT") || reason.contains("TIMEOUT") || reason.contains("TIMED_OUT") {
        EventOutcome::TimedOut
    } else if !number.is_empty() && !number.ends_with("_APPROVE") {
        // Approved on the phone, but with the wrong number.
        EventOutcome::WrongAnswer
    } else if reason.is_empty() || reason == "INVALID_CREDENTIALS" {
        EventOutcome::Denied
    } else {
        EventOutcome::Failed
    }
}

pub(super) fn factor(log: &Log<'_>, kind: EventKind) -> Option<Factor> {
    match kind {
        EventKind::Prompt | EventKind::FactorChange => {}
        _ => return None,
    }
    let event_type = log.text(&["eventType"]).unwrap_or_default();
    if event_type.contains("push") {
        return Some(Factor::Push);
    }
    let named = log.debug("factor").or_else(|| method_used(log)).or_else(|| {
        // "User set up EMAIL_FACTOR factor"
        let reason = log.text(&["outcome", "reason"])?;
        reason.split(' ').find(|word| word.contains('_')).map(str::to_owned)
    })?;
    Some(by_name(&named.to_uppercase()))
}

fn method_used(log: &Log<'_>) -> Option<String> {
    let targets = log.targets();
    let enrolment =
        targets.as_array()?.iter().find(|t| super::is_type(t, "AuthenticatorEnrollment"))?;
    text_at(enrolment, &["detailEntry", "methodTypeUsed"])
        .or_else(|| text_at(enrolment, &["displayName"]))
}

fn by_name(name: &str) -> Factor {
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["PASSWORD"]) {
        Factor::Password
    } else if says(&["PUSH", "OKTA VERIFY"]) {
        Factor::Push
    } else if says(&["SMS"]) {
        Factor::Sms
    } else if says(&["CALL", "VOICE"]) {
        Factor::Call
    } else if says(&["EMAIL"]) {
        Factor::Email
    } else if says(&["FIDO", "WEBAUTHN", "SIGNED_NONCE", "FASTPASS", "U2F", "SMART_CARD"]) {
        Factor::Fido
    } else if says(&["TOKEN", "TOTP", "OTP", "CODE", "AUTHENTICATOR", "RSA", "SYMANTEC"]) {
        Factor::Otp
    } else {
        Factor::Other
    }
}
