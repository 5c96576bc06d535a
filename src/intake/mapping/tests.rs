//! Mappings over made-up records of the shapes that products send: synthetic, all of them.

use serde_json::json;
use std::sync::Arc;

use super::super::{Format, Kind, Record, parse};
use super::read;
use crate::diagnostic::{Colour, render};
use crate::model::time::{Time, rfc3339};

fn now() -> Time {
    "2026-05-05T10:15:30Z".parse().unwrap()
}

/// Kind or alert, outcome or stage, login, time.
fn told(format: impl Into<Format>, body: &str) -> Vec<String> {
    let parsed = parse(format, body.as_bytes(), now()).unwrap();
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    let line = |record: &Record| match record {
        Record::Event(e) => format!(
            "{} {} {}",
            e.words(),
            e.account.login.as_deref().unwrap_or("-"),
            rfc3339(e.time)
        ),
        Record::Alert(a) => format!(
            "{} {} {} {}",
            a.kind.name(),
            a.stage.name(),
            a.account.login.as_deref().unwrap_or("-"),
            rfc3339(a.time)
        ),
        Record::Report(_) => "report".to_owned(),
    };
    parsed.records.iter().map(line).collect()
}

fn kind(name: &str) -> Kind {
    name.parse().unwrap()
}

fn own(text: &str) -> Format {
    let mapping = read("x.yaml", text).unwrap_or_else(|p| panic!("{}", render(&p, Colour::Plain)));
    Format { kind: Kind::Mapping, mapping: Some(Arc::new(mapping)) }
}

#[test]
fn a_new_product_needs_a_file_and_no_release() {
    let acme = own("
mapping: acme
lines: syslog
let: { text: [message] }
fields:
  time: { from: $text, take: 'at=(\\S+ \\S+)', format: ['%d.%m.%Y %H:%M:%S%z'] }
  login: { from: $text, take: 'user \\[([^\\]]+)\\]' }
  app: { value: Acme VPN }
rules:
  - when: { $text: { contains: [push denied, push rejected] }, host: { not: test } }
    event: prompt
    outcome: denied
    factor: push
    origin: vpn
  - irrelevant: something else
");
    let lines = "<34>May  5 10:06:00 gate vpn: push denied for user [Ana@example.com] at=05.05.2026 12:05:59+0200\n\
                 <34>May  5 10:06:00 test vpn: push denied for user [bo@example.com] at=05.05.2026 12:05:59+0200\n\
                 <34>May  5 10:06:00 gate vpn: tunnel up";

    let parsed = parse(acme.clone(), lines.as_bytes(), now()).unwrap();

    assert_eq!((parsed.understood, parsed.irrelevant.len()), (1, 2));
    assert_eq!(parsed.irrelevant[0].1, "something else");
    assert_eq!(told(acme, lines), ["prompt denied ana@example.com 2026-05-05T10:05:59.000Z"]);
}

#[test]
fn several_facts_of_one_record_are_told_apart() {
    let body = json!({"items": [{"id": {"time": "2026-05-05T10:06:00Z", "uniqueQualifier": "7", "applicationName": "login"},
        "actor": {"email": "ana@example.com"}, "events": [
            {"name": "login_verification", "parameters": [{"name": "login_challenge_method", "multiValue": ["google_prompt"]}, {"name": "login_challenge_status", "value": "Challenge Failed."}]},
            {"name": "login_verification", "parameters": [{"name": "login_challenge_method", "multiValue": ["google_prompt"]}, {"name": "login_challenge_status", "value": "Challenge Passed."}]},
            {"name": "logout"}]}]});

    let parsed = parse(kind("google-workspace"), body.to_string().as_bytes(), now()).unwrap();

    let ids = parsed.records.iter().map(|record| match record {
        Record::Event(e) => e.id.as_str().to_owned(),
        other => panic!("{other:?}"),
    });
    let ids: Vec<String> = ids.collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
    assert_eq!(
        told(kind("google-workspace"), &body.to_string()),
        [
            "prompt denied ana@example.com 2026-05-05T10:06:00.000Z",
            "prompt approved ana@example.com 2026-05-05T10:06:00.000Z"
        ]
    );
}

#[test]
fn an_ocsf_finding_is_an_alert_and_a_push_is_a_prompt() {
    let finding = json!({"class_uid": 2004, "time": 1_777_976_130_000_i64, "metadata": {"uid": "evt-1"},
        "finding_info": {"uid": "det-42", "title": "MFA fatigue", "attacks": [{"technique": {"uid": "T1621"}}]},
        "evidences": [{"actor": {"user": {"uid": "7d0f", "email_addr": "Ana@example.com"}}}]});
    let push = json!({"class_uid": 3002, "activity_id": 1, "status_id": 2, "time": 1_777_976_130_000_i64,
        "status_detail": "No response", "auth_factors": [{"factor_type_id": 5}],
        "user": {"email_addr": "ana@example.com"}, "metadata": {"uid": "evt-2"}});
    let body = json!([finding, push]).to_string();

    assert_eq!(
        told(kind("ocsf"), &body),
        [
            "mfa_fatigue suspected ana@example.com 2026-05-05T10:15:30.000Z",
            "prompt timed_out ana@example.com 2026-05-05T10:15:30.000Z"
        ]
    );
}

#[test]
fn the_other_products_say_who_denied() {
    let keycloak = json!({"id": "1", "time": 1_777_975_573_000_i64, "type": "LOGIN_ERROR", "userId": "u1",
        "error": "push_denied", "details": {"username": "ana", "credential_type": "push"}});
    let pingone = json!({"id": "a2a1", "recordedAt": "2026-05-05T10:06:13Z",
        "actors": {"user": {"id": "5555", "name": "ana"}}, "action": {"type": "MFA.AUTHENTICATION.DENIED"},
        "resources": [{"type": "DEVICE", "id": "8888", "ipaddress": "203.0.113.9"}],
        "result": {"status": "FAILED", "description": "User denied the authentication"}});
    let auth0 = json!({"log_id": "1", "data": {"log_id": "1", "date": "2026-05-05T10:06:13Z",
        "type": "gd_auth_rejected", "user_name": "ana", "user_id": "auth0|1"}});
    let office = json!({"Id": "1", "CreationTime": "2026-05-05T10:06:13", "Operation": "UserLoginFailed",
        "ErrorNumber": "500121", "LogonError": "UserDeclined: declined", "UserId": "ana"});
    let cloud = json!({"specversion": "1.0", "id": "1", "source": "/idp", "type": "com.example.prompt.denied",
        "time": "2026-05-05T10:06:13Z", "subject": "ana", "data": {}});
    for (name, record) in [
        ("keycloak", keycloak),
        ("pingone", pingone),
        ("auth0", auth0),
        ("office365", office),
        ("cloudevents", cloud),
    ] {
        assert_eq!(
            told(kind(name), &record.to_string()),
            ["prompt denied ana 2026-05-05T10:06:13.000Z"],
            "{name}"
        );
    }
}

#[test]
fn a_finding_in_cef_is_an_alert() {
    let line = "CEF:0|Hexnode|XDR|1|100|MFA fatigue suspected|8|externalId=9 suser=ana@example.com rt=1777975573000 src=203.0.113.9";

    assert_eq!(
        told(kind("hexnode"), line),
        ["mfa_fatigue suspected ana@example.com 2026-05-05T10:06:13.000Z"]
    );
}

#[test]
fn a_record_without_a_time_or_a_name_is_a_problem_of_its_own() {
    let acme = own(
        "mapping: acme\nfields: { time: t, login: u }\nrules: [{ event: sign_in, outcome: failed }]\n",
    );
    let body = r#"[{"u": "ana"}, {"t": "soon", "u": "ana"}, {"t": 1777975573}, {"t": 1777975573.5, "u": "ana"}, 7]"#;

    let parsed = parse(acme, body.as_bytes(), now()).unwrap();

    let slugs: Vec<&str> = parsed.problems.iter().map(|(_, problem)| problem.slug()).collect();
    assert_eq!(slugs, ["missing-field", "bad-field", "missing-field", "unknown-shape"]);
    assert_eq!(parsed.understood, 1);
}

#[test]
fn office_365_and_google_say_what_an_attacker_does_once_inside() {
    let office = |operation: &str, more: &serde_json::Value| {
        let mut row = json!({"Id": operation, "CreationTime": "2026-05-05T10:06:12", "UserId": "Ana@example.com",
            "ClientIP": "203.0.113.9:50123", "Operation": operation, "ResultStatus": "True"});
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        told(kind("office365"), &row.to_string()).first().cloned().unwrap_or_default()
    };
    let parameter = |name: &str| json!({"Parameters": [{"Name": name, "Value": "x"}]});
    let at = "2026-05-05T10:06:12.000Z";

    for (operation, more, means) in [
        ("New-InboxRule", parameter("ForwardTo"), "inbox_rule succeeded"),
        ("Set-InboxRule", parameter("DeleteMessage"), "inbox_rule succeeded"),
        ("Set-Mailbox", parameter("ForwardingSmtpAddress"), "inbox_rule succeeded"),
        ("Consent to application.", json!({}), "grant succeeded"),
    ] {
        assert_eq!(office(operation, &more), format!("{means} ana@example.com {at}"));
    }
    assert_eq!(office("New-InboxRule", &parameter("Name")), "", "it only sorts");
    assert_eq!(office("Set-Mailbox", &parameter("Language")), "");
    let failed = json!({"Parameters": [{"Name": "ForwardTo"}], "ResultStatus": "False"});
    assert_eq!(office("New-InboxRule", &failed), "");
    let role = office("Add member to role.", &json!({"ObjectId": "bo@example.com"}));
    assert_eq!(role, format!("role_change succeeded bo@example.com {at}"));

    let google = |application: &str, event: &str, parameter: &str| {
        let row = json!({"items": [{"id": {"time": "2026-05-05T10:06:12Z", "uniqueQualifier": "7",
            "applicationName": application}, "actor": {"email": "root@example.com"},
            "events": [{"name": event, "parameters": [{"name": parameter, "value": "bo@example.com"}]}]}]});
        told(kind("google-workspace"), &row.to_string()).first().cloned().unwrap_or_default()
    };
    assert_eq!(
        google("token", "authorize", "app_name"),
        format!("grant succeeded root@example.com {at}")
    );
    assert_eq!(
        google("admin", "ASSIGN_ROLE", "USER_EMAIL"),
        format!("role_change succeeded bo@example.com {at}")
    );
    assert_eq!(
        google("admin", "CHANGE_PASSWORD", "USER_EMAIL"),
        format!("recovery_change succeeded bo@example.com {at}")
    );
    assert_eq!(google("drive", "view", "USER_EMAIL"), "");
}

/// Those of which no published record names it; the rest are read from real files.
#[test]
fn products_say_which_client_software_asked() {
    let caep = "https://schemas.openid.net/secevent/caep/event-type/session-established";
    let time = 1_777_976_130_000_i64;
    let ocsf = json!({"class_uid": 3002, "activity_id": 1, "status_id": 1, "time": time,
        "user": {"name": "ana"}, "http_request": {"user_agent": "curl/8\u{202e}"}});
    let aws = json!({"eventName": "ConsoleLogin", "eventTime": "2026-05-05T10:06:13Z", "userAgent": "curl/8",
        "responseElements": {"ConsoleLogin": "Success"}, "userIdentity": {"userName": "ana"}});
    let set = json!({"iss": "https://idp", "jti": "1", "iat": 1_777_976_130, "sub_id": {"email": "ana"},
        "events": {caep: {"fp_ua": "abb0b6e7da81a42233f8f2b1a8ddb1b9a4c81611"}}});
    let cloud = json!({"specversion": "1.0", "id": "1", "source": "/idp", "type": "sign-in.failed",
        "time": "2026-05-05T10:06:13Z", "subject": "ana", "data": {"user_agent": "curl/8"}});
    let cef = "CEF:0|Ping Identity|PingFederate|10|AUTHN_SESSION_CREATED|SSO|0|externalId=1 rt=1777975573000 duser=ana \
               outcome=success requestClientApplication=curl/8";
    for (name, record, client) in [
        ("ocsf", ocsf.to_string(), "curl/8⟪U+202E⟫"),
        ("aws", aws.to_string(), "curl/8"),
        ("shared-signals", set.to_string(), "abb0b6e7da81a42233f8f2b1a8ddb1b9a4c81611"),
        ("cloudevents", cloud.to_string(), "curl/8"),
        ("pingfederate", cef.to_owned(), "curl/8"),
    ] {
        let parsed = parse(kind(name), record.as_bytes(), now()).unwrap();
        let [Record::Event(event)] = parsed.records.as_slice() else {
            panic!("{name}: {parsed:?}")
        };
        assert_eq!(event.client.as_deref(), Some(client), "{name}");
    }
}

/// Okta's transmitter: the subject in the event, the time in milliseconds.
#[test]
fn a_token_of_the_older_draft_names_whom_it_concerns() {
    let change = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
    let set = json!({"iss": "https://example.okta.com", "jti": "1", "iat": 1_777_976_130, "events": {change: {
        "subject": {"user": {"format": "email", "email": "Ana@example.com"}},
        "event_timestamp": 1_777_975_573_000_i64, "credential_type": "app", "change_type": "create",
        "initiating_entity": "admin"}}});

    assert_eq!(
        told(kind("shared-signals"), &set.to_string()),
        ["factor_change succeeded ana@example.com 2026-05-05T10:06:13.000Z"]
    );
}

#[test]
fn windows_tells_of_passwords_as_xml_and_as_json() {
    let xml = |number: u32, who: &str| {
        format!(
            "<Event><System><EventID>{number}</EventID><TimeCreated SystemTime='2026-05-05T10:06:13.5Z'/></System>\
             <EventData><Data Name='TargetUserName'>{who}</Data></EventData></Event>"
        )
    };
    let lines =
        [xml(4724, "Ana"), xml(4724, "PC-1$"), xml(4723, "bo"), xml(4625, "ana")].join("\n");
    let json = json!([{"@timestamp": "2026-05-05T10:06:13.5Z", "winlog": {"event_id": 4724, "record_id": 7,
        "computer_name": "dc1", "event_data": {"TargetUserName": "Ana"}}},
        {"TimeGenerated": "2026-05-05T10:06:13.5Z", "EventID": 4724, "TargetUserName": "Ana", "Computer": "dc1"}]);
    let ana = "recovery_change succeeded ana 2026-05-05T10:06:13.500Z";

    assert_eq!(
        told(kind("windows-security"), &lines),
        [ana, "recovery_change succeeded bo 2026-05-05T10:06:13.500Z"]
    );
    assert_eq!(told(kind("windows-security"), &json.to_string()), [ana, ana]);
}
