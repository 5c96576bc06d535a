//! One entry of `authenticationDetails`: which method it was, and what its sentence means.

use serde_json::Value;

use super::super::json::text_at;
use crate::model::event::{EventOutcome, Factor};

/// A step in which a person was asked.
pub(super) struct Step {
    pub(super) method: String,
    pub(super) factor: Option<Factor>,
    pub(super) outcome: EventOutcome,
    /// The record's own sentence.
    pub(super) said: String,
}

impl Step {
    /// Nothing where nobody was asked: passwords, claims in a token, the mere demand for MFA.
    pub(super) fn read(row: &Value) -> Option<Self> {
        let method = text_at(row, &["authenticationMethod"]).unwrap_or_default();
        let said = text_at(row, &["authenticationStepResultDetail"])?;
        let factor = factor(&method);
        if factor == Some(Factor::Password) {
            return None;
        }
        let outcome = outcome(&said, factor)?;
        let factor = factor.or_else(|| outcome.is_failed_prompt().then_some(Factor::Push));
        Some(Self { method, factor, outcome, said })
    }
}

/// What Entra's sentence says of a prompt. Compared in lower case; new sentences appear.
pub(super) fn outcome(said: &str, factor: Option<Factor>) -> Option<EventOutcome> {
    let said = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let asked = matches!(factor, None | Some(Factor::Push | Factor::Call));
    if says(&["suspiciousactivityreported", "fraud"]) {
        Some(EventOutcome::Reported)
    } else if says(&["did not respond", "timed out", "no response"]) {
        Some(if asked { EventOutcome::TimedOut } else { EventOutcome::Failed })
    } else if says(&["correct number", "wrong number", "incorrect number"]) {
        Some(EventOutcome::WrongAnswer)
    } else if says(&[
        "duplicate authentication",
        "user is blocked",
        "verification code",
        "invalid authentication",
    ]) && says(&["denied", "invalid", "already used"])
    {
        // Mistyped, repeated or refused by the service: nobody said no.
        Some(EventOutcome::Failed)
    } else if says(&["mfa denied", "user declined"]) {
        Some(if asked { EventOutcome::Denied } else { EventOutcome::Failed })
    } else if says(&[
        "mfa successfully completed",
        "mfa completed in azure ad",
        "mfa completed in entra",
    ]) {
        Some(EventOutcome::Approved)
    } else {
        None
    }
}

pub(super) fn factor(method: &str) -> Option<Factor> {
    let method = method.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| method.contains(word));
    if method.is_empty() || says(&["previously satisfied"]) {
        None
    } else if says(&["notification", "passwordless", "phone sign-in", "push"]) {
        Some(Factor::Push)
    } else if says(&["password", "phs", "pass-through", "federated"]) {
        Some(Factor::Password)
    } else if says(&["verification code", "oath", "otp"]) {
        Some(Factor::Otp)
    } else if says(&["text message", "sms"]) {
        Some(Factor::Sms)
    } else if says(&["call", "voice"]) {
        Some(Factor::Call)
    } else if says(&["email"]) {
        Some(Factor::Email)
    } else if says(&["fido", "passkey", "hello", "certificate", "security key"]) {
        Some(Factor::Fido)
    } else if says(&["authenticator"]) {
        Some(Factor::Push)
    } else {
        Some(Factor::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_sentence_has_its_meaning() {
        use EventOutcome::{Approved, Denied, Failed, Reported, TimedOut, WrongAnswer};

        for (said, means) in [
            ("MFA denied; user declined the authentication", Some(Denied)),
            ("MFA denied; user did not respond to mobile app notification", Some(TimedOut)),
            ("MFA denied; user did not select the correct number", Some(WrongAnswer)),
            ("MFA denied; Phone App Reported Fraud", Some(Reported)),
            ("MFA denied, Fraud Code Entered", Some(Reported)),
            ("SuspiciousActivityReported", Some(Reported)),
            ("MFA denied; duplicate authentication attempt", Some(Failed)),
            ("MFA denied; user is blocked", Some(Failed)),
            ("MFA denied; invalid verification code", Some(Failed)),
            ("MFA successfully completed", Some(Approved)),
            ("MFA completed in Azure AD", Some(Approved)),
            ("MFA requirement satisfied by claim in the token", None),
            ("MFA required in Azure AD", None),
            ("Correct password", None),
        ] {
            assert_eq!(outcome(said, Some(Factor::Push)), means, "{said}");
        }
    }
}
