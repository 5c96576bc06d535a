//! What each record means, on shapes taken from Okta's documentation and from real exports.

use super::super::{Kind, Parsed, parse};
use super::*;
use crate::model::event::Factor;

fn read(row: &Value) -> Parsed {
    let now = "2026-05-05T10:15:30Z".parse().unwrap();
    parse(Kind::Okta, row.to_string().as_bytes(), now).unwrap()
}

fn event(row: &Value) -> Event {
    match read(row).records.remove(0) {
        Record::Event(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn mfa(result: &str, reason: &str, debug: &Value) -> Value {
    json!({
        "uuid": "7ad0", "published": "2026-05-05T10:06:12.101Z",
        "eventType": "user.authentication.auth_via_mfa",
        "actor": {"id": "00u1", "type": "User", "alternateId": "Ana@example.com"},
        "client": {"ipAddress": "203.0.113.9", "zone": "null"},
        "outcome": {"result": result, "reason": reason},
        "transaction": {"id": "Zk1"},
        "debugContext": {"debugData": debug},
        "authenticationContext": {"externalSessionId": "idx8"},
        "securityContext": {"asNumber": 64500},
    })
}

#[test]
fn the_response_type_tells_a_denial_from_a_wrong_number() {
    let push = |plain: &str, number: &str| {
        let mut debug = json!({"factor": "OKTA_VERIFY_PUSH", "pushOnlyResponseType": plain});
        if !number.is_empty() {
            debug["pushWithNumberChallengeResponseType"] = json!(number);
        }
        event(&mfa("FAILURE", "INVALID_CREDENTIALS", &debug)).outcome
    };

    assert_eq!(push("OV_RESPONSE_DENY", ""), EventOutcome::Denied);
    assert_eq!(
        push("OV_RESPONSE_APPROVE", "OV_WITH_CHALLENGE_RESPONSE_ERROR"),
        EventOutcome::WrongAnswer
    );
    assert_eq!(push("", "OV_WITH_CHALLENGE_RESPONSE_INVALID"), EventOutcome::WrongAnswer);
}

#[test]
fn a_push_that_nobody_answers_timed_out() {
    let debug = json!({"factor": "OKTA_VERIFY_PUSH"});

    assert_eq!(event(&mfa("UNANSWERED", "", &debug)).outcome, EventOutcome::TimedOut);
}

/// In Identity Engine passwords and typed codes come as the same event type.
#[test]
fn passwords_and_codes_never_count_as_failed_pushes() {
    for (factor, expected) in
        [("PASSWORD_AS_FACTOR", Factor::Password), ("SMS_FACTOR", Factor::Sms)]
    {
        let failed = event(&mfa("FAILURE", "INVALID_CREDENTIALS", &json!({"factor": factor})));
        assert_eq!(failed.factor, Some(expected));
        assert!(!failed.is_failed_prompt());
    }
    let good = event(&mfa("SUCCESS", "", &json!({"factor": "PASSWORD_AS_FACTOR"})));
    assert_eq!(good.outcome, EventOutcome::Succeeded);
}

#[test]
fn keys_in_any_case_and_a_listed_debug_context_are_read() {
    let row = json!({
        "uuid": "7ad0", "published": "2026-05-05 10:06:12.101", "eventtype": "user.authentication.auth_via_mfa",
        "actor": {"alternateId": "ana@example.com"}, "outcome": {"result": "FAILURE"},
        "debugcontext": [{"debugData": {"factor": "OKTA_VERIFY_PUSH", "pushOnlyResponseType": "OV_RESPONSE_DENY"}}],
    });

    let event = event(&row);

    assert_eq!(event.outcome, EventOutcome::Denied);
    assert_eq!(event.id.as_str(), "okta:7ad0");
}

#[test]
fn a_hook_delivery_is_unwrapped() {
    let row = mfa("FAILURE", "INVALID_CREDENTIALS", &json!({"factor": "OKTA_VERIFY_PUSH"}));
    let hook =
        json!({"eventType": "com.okta.event_hook", "eventId": "b1", "data": {"events": [row]}});

    let parsed = read(&hook);

    assert_eq!((parsed.understood, parsed.irrelevant.len(), parsed.problems.len()), (1, 0, 0));
}

#[test]
fn who_changed_a_factor_is_read_from_actor_and_target() {
    let change = |actor: &str| {
        event(&json!({
            "uuid": "1", "published": "2026-05-05T10:06:12Z", "eventType": "user.mfa.factor.activate",
            "actor": {"id": actor, "alternateId": format!("{actor}@example.com")},
            "outcome": {"result": "SUCCESS", "reason": "User set up EMAIL_FACTOR factor"},
            "target": [{"id": "ana", "type": "User", "alternateId": "ana@example.com"},
                       {"id": "opf1", "type": "AuthenticatorEnrollment"}],
        }))
    };

    let own = change("ana");
    assert_eq!((own.changed_by, own.factor), (ChangedBy::Own, Some(Factor::Email)));
    assert_eq!(own.factor_id.as_deref(), Some("opf1"));
    let admins = change("root");
    assert_eq!(admins.changed_by, ChangedBy::Administrator);
    assert_eq!(admins.account.provider_id.as_deref(), Some("ana"));
}

#[test]
fn an_end_users_report_is_an_alert_about_the_reporter() {
    let row = json!({
        "uuid": "ABC1234", "published": "2022-12-14 15:58:58.851",
        "eventtype": "user.account.report_suspicious_activity_by_enduser",
        "actor": {"id": "00u1", "alternateId": "ana@example.com"}, "outcome": {"result": "SUCCESS"},
    });

    let Record::Alert(alert) = &read(&row).records[0] else { panic!("no alert") };
    assert_eq!((alert.kind, alert.stage), (AlertKind::MfaFraudReported, Stage::Suspected));
    assert_eq!(alert.account.login.as_deref(), Some("ana@example.com"));
}

#[test]
fn the_hooks_challenge_is_answered_with_its_own_value() {
    let mut headers = HeaderMap::new();
    headers.insert("x-okta-verification-challenge", "abc".parse().unwrap());

    assert_eq!(challenge(&headers), Some(json!({"verification": "abc"})));
    assert_eq!(challenge(&HeaderMap::new()), None);
}
