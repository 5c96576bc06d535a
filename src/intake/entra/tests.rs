//! One flow, in each of its wrappings.

use super::super::{Kind, Parsed, Record, parse};
use super::*;
use crate::model::alert::AlertKind;
use crate::model::event::{ChangedBy, Event, EventKind, EventOutcome, Origin};
use serde_json::json;

fn read(body: &str) -> Parsed {
    parse(Kind::Entra, body.as_bytes(), "2026-05-05T10:15:30Z".parse().unwrap()).unwrap()
}

fn events(body: &str) -> Vec<Event> {
    let facts = read(body).records.into_iter();
    facts.filter_map(|r| if let Record::Event(e) = r { Some(*e) } else { None }).collect()
}

fn signin(code: i64, steps: &Value) -> Value {
    json!({
        "id": "1f3c", "createdDateTime": "2026-05-05T10:05:58Z", "userPrincipalName": "Ana@example.com",
        "userId": "7d0f", "ipAddress": "203.0.113.9", "correlationId": "9c0a", "isInteractive": true,
        "status": {"errorCode": code}, "authenticationDetails": steps, "appDisplayName": "Mail",
        "location": {"city": "Amsterdam", "countryOrRegion": "NL"}, "autonomousSystemNumber": 64500,
    })
}

fn step(second: u32, method: &str, said: &str) -> Value {
    json!({"authenticationStepDateTime": format!("2026-05-05T10:06:{second:02}Z"),
           "authenticationMethod": method, "succeeded": false, "authenticationStepResultDetail": said})
}

fn declined() -> Value {
    signin(
        500_121,
        &json!([
            step(0, "Password", "Correct password"),
            step(10, "Mobile app notification", "MFA denied; user declined the authentication"),
        ]),
    )
}

#[test]
fn a_declined_step_is_one_denied_prompt_in_every_wrapping() {
    let graph = declined();
    let mut columns = declined();
    columns["AuthenticationDetails"] = json!(graph["authenticationDetails"].to_string());
    columns["Status"] = json!(graph["status"].to_string());
    for name in ["authenticationDetails", "status"] {
        columns.as_object_mut().unwrap().remove(name);
    }
    let hub = json!({"records": [{"time": "2026-05-05T10:06:12Z", "category": "SignInLogs",
        "operationName": "Sign-in activity", "resultType": "500121", "properties": graph}]});

    for body in [
        graph.to_string(),
        json!([graph]).to_string(),
        json!({"value": [graph]}).to_string(),
        format!("{graph}\n{graph}"),
        hub.to_string(),
        columns.to_string(),
    ] {
        let events = events(&body);
        let first = &events[0];

        assert_eq!(
            first.id.as_str(),
            "entra:9c0a:2026-05-05T10:06:10Z:Mobile app notification",
            "{body}"
        );
        assert_eq!((first.kind, first.outcome), (EventKind::Prompt, EventOutcome::Denied));
        assert_eq!(first.origin, Origin::Password);
        assert!(events.iter().all(|e| e.id == first.id), "{body}");
    }
}

/// 50074 stands before every normal MFA sign-in, and the success comes under the same id.
#[test]
fn a_challenge_is_no_denial_and_no_duplicate_of_the_success() {
    let challenge = events(
        &signin(50_074, &json!([step(0, "Text message", "MFA required in Azure AD")])).to_string(),
    );
    let success = events(
        &signin(0, &json!([step(9, "Text message", "MFA completed in Azure AD")])).to_string(),
    );

    assert_eq!(challenge[0].outcome, EventOutcome::Prompted);
    assert_eq!(success[0].outcome, EventOutcome::Approved);
    assert_eq!((success[1].kind, success[1].outcome), (EventKind::SignIn, EventOutcome::Succeeded));
    assert_ne!(challenge[0].id, success[1].id);
}

/// `succeeded: false` stands beside it in real records.
#[test]
fn a_claim_in_the_token_is_no_prompt() {
    let step = step(0, "", "MFA requirement satisfied by claim in the token");

    let events = events(&signin(0, &json!([step])).to_string());

    assert_eq!(events.iter().map(|e| e.kind).collect::<Vec<_>>(), [EventKind::SignIn]);
}

#[test]
fn without_steps_the_status_sentence_counts() {
    let mut row = signin(500_121, &json!([]));
    row["status"]["additionalDetails"] =
        json!("MFA denied; user did not respond to mobile app notification");

    assert_eq!(events(&row.to_string())[0].outcome, EventOutcome::TimedOut);
}

#[test]
fn an_interrupt_is_irrelevant_and_a_workload_too() {
    let parsed = read(
        &json!([signin(50_140, &json!([])),
        {"category": "ServicePrincipalSignInLogs", "properties": {"id": "1"}}])
        .to_string(),
    );

    assert_eq!((parsed.understood, parsed.irrelevant.len()), (0, 2));
}

#[test]
fn a_portal_export_is_read_as_csv() {
    let csv = "\u{feff}Category,ResultType,\"CreatedDateTime [UTC]\",Status_dynamic,Status_string,Id,UserPrincipalName,IPAddress\n\
               SignInLogs,0,\"4/28/2021, 2:08:45.221 PM\",\"{\"\"errorCode\"\":0}\",,cfb6,adele@example.com,175.45.176.99\n";

    let events = events(csv);

    assert_eq!(events[0].id.as_str(), "entra:cfb6:0");
    assert_eq!(events[0].ip.unwrap().to_string(), "175.45.176.99");
}

#[test]
fn a_persons_report_comes_as_audit_entry_or_risk_detection() {
    let audit = json!({"category": "AuditLogs", "operationName": "Suspicious activity reported",
        "time": "2026-05-05T10:06:12Z", "properties": {"id": "A1", "result": "success",
        "targetResources": [{"id": "7d0f", "type": "User", "userPrincipalName": "ana@example.com"}]}});
    let risk = json!({"id": "R1", "riskEventType": "userReportedSuspiciousActivity", "userId": "7d0f",
        "detectedDateTime": "2026-05-05T10:06:12Z", "userPrincipalName": "ana@example.com"});

    for row in [audit, risk] {
        let Record::Alert(alert) = &read(&row.to_string()).records[0] else { panic!("no alert") };
        assert_eq!(alert.kind, AlertKind::MfaFraudReported);
        assert_eq!(alert.account.login.as_deref(), Some("ana@example.com"));
    }
}

#[test]
fn who_registered_security_info_is_read_from_initiator_and_target() {
    let entry = |by: &str| {
        json!({"category": "AuditLogs", "operationName": "User registered security info",
        "time": "2026-05-05T10:06:12Z", "properties": {"id": "A1", "result": "success",
        "initiatedBy": {"user": {"id": by, "userPrincipalName": null}},
        "targetResources": [{"id": "ana", "type": "User", "userPrincipalName": "ana@example.com"}]}})
    };

    for (by, expected) in [("ana", ChangedBy::Own), ("root", ChangedBy::Administrator)] {
        let event = events(&entry(by).to_string()).remove(0);
        assert_eq!((event.kind, event.changed_by), (EventKind::FactorChange, expected));
    }
}

#[test]
fn a_grant_is_about_whoever_consented_and_a_role_about_both() {
    let entry = |operation: &str| {
        json!({"category": "AuditLogs", "operationName": operation,
        "time": "2026-05-05T10:06:12Z", "properties": {"id": "A1", "result": "success",
        "initiatedBy": {"user": {"id": "ana", "userPrincipalName": "ana@example.com", "ipAddress": "203.0.113.9"}},
        "targetResources": [{"id": "bo", "type": "User", "userPrincipalName": "bo@example.com"}]}})
    };

    let grant = events(&entry("Consent to application").to_string());
    let role = events(&entry("Add member to role").to_string());

    let told = |events: &[Event]| -> Vec<(EventKind, String)> {
        let who = |e: &Event| e.account.login.clone().unwrap();
        events.iter().map(|e| (e.kind, who(e))).collect()
    };
    assert_eq!(told(&grant), [(EventKind::Grant, "ana@example.com".to_owned())]);
    assert_eq!(
        told(&role),
        [
            (EventKind::RoleChange, "bo@example.com".to_owned()),
            (EventKind::RoleChange, "ana@example.com".to_owned())
        ]
    );
    assert_ne!(role[0].id, role[1].id);
    assert_eq!(grant[0].ip.unwrap().to_string(), "203.0.113.9");
}

#[test]
fn each_kind_of_risk_detection_says_what_it_is_worth() {
    let risk = |kind: &str, state: &str| {
        json!({"id": "R1", "riskEventType": kind, "userId": "7d0f", "riskState": state,
        "ipAddress": "203.0.113.9", "location": {"countryOrRegion": "XX"},
        "activityDateTime": "2026-05-05T10:06:12Z", "detectedDateTime": "2026-05-05T10:09:12Z",
        "userPrincipalName": "ana@example.com"})
        .to_string()
    };
    for (kind, means) in [
        ("anomalousToken", EventKind::StolenSession),
        ("attackerinTheMiddle", EventKind::StolenSession),
        ("passwordSpray", EventKind::StolenPassword),
        ("leakedCredentials", EventKind::StolenPassword),
        ("maliciousIPAddress", EventKind::OddSignIn),
        ("unfamiliarFeatures", EventKind::OddSignIn),
        ("suspiciousInboxForwarding", EventKind::InboxRule),
    ] {
        let event = events(&risk(kind, "atRisk")).remove(0);
        assert_eq!((event.kind, event.outcome), (means, EventOutcome::Succeeded), "{kind}");
        assert_eq!(event.message, kind);
    }
    let dismissed = events(&risk("anomalousToken", "dismissed")).remove(0);
    assert_eq!(dismissed.outcome, EventOutcome::Failed, "what was withdrawn counts no more");
    assert!(matches!(read(&risk("mfaFraud", "atRisk")).records[0], Record::Alert(_)));
    for (kind, why) in [
        ("adminConfirmedUserCompromised", "what an administrator, or Quell itself, told Entra"),
        ("brandNew", "a risk detection of a kind that is not known here: `brandNew`"),
    ] {
        assert_eq!(read(&risk(kind, "atRisk")).irrelevant[0].1, why);
    }
}
