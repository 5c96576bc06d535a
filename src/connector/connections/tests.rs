//! The rules of connections, against a transport that answers from a script.

use super::*;
use crate::connector::outbound::{Limits, TransportError};
use crate::model::action::{Applied, Call, Outcome, ReadBack};
use crate::model::subject::{AccountKey, Alias, Authority, Link};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex;

type Reply = Result<(u16, Value), TransportError>;

/// Gives its replies in order and keeps what it was sent.
#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<(String, String, String)>>,
}

impl Script {
    fn of(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self {
            replies: Mutex::new(replies.into_iter().collect()),
            sent: Mutex::default(),
        })
    }

    fn sent(&self) -> Vec<(String, String, String)> {
        self.sent.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        _: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let auth = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
        self.sent.lock().unwrap().push((
            format!("{} {}", request.method(), request.uri()),
            auth.unwrap_or_default(),
            String::from_utf8(request.body().to_vec()).unwrap(),
        ));
        let (status, body) = self
            .replies
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or_else(|| Err(TransportError::NotSent("the script is over".into())))?;
        let response = http::Response::builder().status(status);
        Ok(response.body(Bytes::from(body.to_string())).unwrap())
    }
}

fn at() -> Time {
    Time::from_timestamp(1_777_975_200, 0).unwrap()
}

fn connections(script: &Arc<Script>, options: &Value) -> Connections {
    let transport: Arc<dyn Transport> = script.clone();
    let ports = Ports {
        clock: Arc::new(at),
        entropy: Arc::new(|bytes| bytes.fill(7)),
        sources: Sources::lab(),
        scrubber: Scrubber::default(),
        dial: Arc::new(move |_| Ok(transport.clone())),
    };
    let options: BTreeMap<String, Options> = serde_json::from_value(options.clone()).unwrap();
    let options = options.into_iter().map(|(name, o)| (ConnectionId::new(name), o));
    Connections::new(Arc::new(Catalogue::builtin().unwrap()), options, ports).unwrap()
}

fn okta() -> Value {
    json!({"okta": {
        "connector": "okta", "base_url": "https://acme.okta.com",
        "auth": {"ssws": {"token": "text:ordinary-token"}},
        "privileged": {"ssws": {"token": "text:privileged-token"}},
    }})
}

fn entra() -> Value {
    json!({"entra": {
        "connector": "entra-id", "base_url": "https://graph.microsoft.com",
        "token_url": "https://login.microsoftonline.com/t/oauth2/v2.0/token",
        "auth": {"client_secret": {"client_id": "app", "secret": "text:app-secret-1", "scope": "s"}},
    }})
}

fn call(connection: &str, action: &str, inputs: Value) -> Call {
    Call {
        connection: connection.into(),
        action: action.into(),
        inputs: serde_json::from_value(inputs).unwrap(),
        key: "k1".into(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a reply among replies that may fail")]
fn granted(token: &str) -> Reply {
    Ok((200, json!({"access_token": token, "expires_in": 3600})))
}

#[tokio::test]
async fn an_access_token_is_fetched_once_and_replaced_once_when_refused() {
    let script = Script::of([
        granted("first-token"),
        Ok((204, Value::Null)),
        Ok((401, Value::Null)),
        granted("second-token"),
        Ok((204, Value::Null)),
    ]);
    let connections = connections(&script, &entra());
    let block = call("entra", "entra-id/block-sign-in", json!({"account": {"id": "u1"}}));

    assert_eq!(connections.call(&block).await.outcome, Outcome::Done);
    assert_eq!(connections.call(&block).await.outcome, Outcome::Done);

    let bearers: Vec<_> = script.sent().into_iter().map(|(_, auth, _)| auth).collect();
    assert_eq!(
        bearers,
        ["", "Bearer first-token", "Bearer first-token", "", "Bearer second-token"]
    );
}

#[tokio::test]
async fn a_refused_credential_is_the_connections_fault_and_nothing_is_sent() {
    let denied =
        json!({"error": "invalid_client", "error_description": "AADSTS7000215: app-secret-1"});
    let script = Script::of([Ok((401, denied))]);
    let block = call("entra", "entra-id/block-sign-in", json!({"account": {"id": "u1"}}));

    let result = connections(&script, &entra()).call(&block).await;

    assert_eq!(result.outcome, Outcome::NotSent);
    assert!(result.connection_fault);
    let problem = result.problem.unwrap();
    assert!(problem.contains("AADSTS7000215"), "{problem}");
    assert!(!problem.contains("app-secret-1"), "{problem}");
    assert_eq!(script.sent().len(), 1);
}

#[tokio::test]
async fn a_privileged_account_is_acted_on_with_the_stronger_credential() {
    let script = Script::of([Ok((200, json!({}))), Ok((200, json!({})))]);
    let connections = connections(&script, &okta());
    for privileged in [false, true] {
        let account = json!({"account": {"id": "u1", "privileged": privileged}});
        connections.call(&call("okta", "okta/suspend", account)).await;
    }

    let auth: Vec<_> = script.sent().into_iter().map(|(_, auth, _)| auth).collect();
    assert_eq!(auth, ["SSWS ordinary-token", "SSWS privileged-token"]);
}

#[tokio::test]
async fn silence_after_sending_is_unknown_and_never_repeated_here() {
    let script = Script::of([Err(TransportError::Unknown("reset".into()))]);
    let suspend = call("okta", "okta/suspend", json!({"account": {"id": "u1"}}));

    let result = connections(&script, &okta()).call(&suspend).await;

    assert_eq!(result.outcome, Outcome::Unknown);
    assert_eq!(script.sent().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_may_mean_already_is_settled_by_looking() {
    let refused = || Ok((400, json!({"errorCode": "E0000001", "errorSummary": "no"})));
    let user = |status: &str| Ok((200, json!({"id": "u1", "status": status, "profile": {}})));
    let suspend = call("okta", "okta/suspend", json!({"account": {"id": "u1"}}));
    for (status, outcome) in [("SUSPENDED", Outcome::Unchanged), ("LOCKED_OUT", Outcome::Refused)] {
        let script = Script::of([refused(), user(status)]);
        let result = connections(&script, &okta()).call(&suspend).await;
        assert_eq!(result.outcome, outcome, "{status}");
    }
}

#[tokio::test]
async fn a_made_password_reaches_the_vendor_and_nobody_else() {
    let script = Script::of([Ok((400, json!({"errorCode": "E0000080", "errorSummary": "echo"})))]);
    let connections = connections(&script, &okta());
    let reset = call("okta", "okta/reset-credentials", json!({"account": {"id": "u1"}}));

    let result = connections.call(&reset).await;

    let body: Value = serde_json::from_str(&script.sent()[0].2).unwrap();
    let password = body["credentials"]["password"]["value"].as_str().unwrap();
    assert_eq!(password.len(), 48);
    assert!(!serde_json::to_string(&result).unwrap().contains(password));
}

#[tokio::test]
async fn a_vendor_that_echoes_the_password_cannot_make_us_keep_it() {
    // The entropy of these tests is constant, so the password is known beforehand.
    let probe = Script::of([Ok((200, json!({})))]);
    let reset = call("okta", "okta/reset-credentials", json!({"account": {"id": "u1"}}));
    connections(&probe, &okta()).call(&reset).await;
    let body: Value = serde_json::from_str(&probe.sent()[0].2).unwrap();
    let password = body["credentials"]["password"]["value"].as_str().unwrap().to_owned();

    let script = Script::of([Ok((400, json!({"errorCode": "E1", "errorSummary": password})))]);
    let result = connections(&script, &okta()).call(&reset).await;

    assert!(result.problem.unwrap().contains("‹secret:generated-password›"));
}

#[tokio::test]
async fn a_read_back_compares_with_the_time_of_sending() {
    let applied = Applied {
        call: call("okta", "okta/reset-credentials", json!({"account": {"id": "u1"}})),
        sent_at: at(),
        output: json!({}),
    };
    let user = |changed: &str| {
        Ok((200, json!({"id": "u1", "status": "ACTIVE", "passwordChanged": changed})))
    };
    let script = Script::of([user("2026-05-05T10:00:01Z"), user("2026-05-05T09:00:00Z")]);
    let connections = connections(&script, &okta());

    assert!(matches!(connections.read_back(&applied).await, ReadBack::Holds { .. }));
    assert!(matches!(connections.read_back(&applied).await, ReadBack::Fails { .. }));
}

#[tokio::test]
async fn the_next_page_may_not_be_on_another_host() {
    let page = |next: &str| Ok((200, json!({"value": [], "@odata.nextLink": next})));
    let roles = call("entra", "entra-id/list-roles", json!({"account": {"id": "u1"}}));
    let script = Script::of([granted("t-1"), page("https://evil.example/v1.0/next")]);

    let result = connections(&script, &entra()).call(&roles).await;

    assert_eq!(result.outcome, Outcome::Unknown);
    assert_eq!(script.sent().len(), 2);
}

fn target(authority: Authority, status: &str) -> Target {
    Target {
        account: AccountKey { connection: "entra".into(), provider_id: "u1".into() },
        authority,
        status: status.into(),
        privileged: false,
    }
}

#[test]
fn what_the_authority_overwrites_is_done_at_the_authority() {
    let connections = connections(&Script::of([]), &entra());
    let resolve = |name: &str, authority| {
        connections.resolve(name, &"entra".into(), Some(&target(authority, "active")))
    };

    assert!(resolve("identity.block_sign_in", Authority::Cloud).is_ok());
    let Err(Unavailable::ElsewhereUnreachable(step)) =
        resolve("identity.block_sign_in", Authority::Synced)
    else {
        panic!("a synced account is blocked in Active Directory");
    };
    assert!(step.contains("Disable-ADAccount") && step.contains("u1"), "{step}");
    assert!(matches!(
        resolve("identity.revoke_sessions", Authority::Guest),
        Err(Unavailable::NotApplicable(_))
    ));
    assert!(matches!(resolve("ticket.open", Authority::Cloud), Err(Unavailable::Unsupported(_))));
}

#[test]
fn an_account_that_cannot_be_suspended_is_quarantined() {
    let mut options = okta();
    options["okta"]["settings"] = json!({"quarantine_group": "00gq"});
    let with_group = connections(&Script::of([]), &options);
    let without = connections(&Script::of([]), &okta());
    let block = |c: &Connections, status: &str| {
        c.resolve("identity.block_sign_in", &"okta".into(), Some(&target(Authority::Cloud, status)))
            .map(|spec| spec.id.to_string())
    };

    assert_eq!(block(&with_group, "active"), Ok("okta/suspend".into()));
    assert_eq!(block(&with_group, ""), Ok("okta/suspend".into()));
    assert_eq!(block(&with_group, "locked_out"), Ok("okta/quarantine".into()));
    assert!(matches!(block(&without, "locked_out"), Err(Unavailable::Unsupported(_))));
    assert!(matches!(block(&with_group, "deprovisioned"), Err(Unavailable::NotApplicable(_))));
}

#[test]
fn an_undo_is_found_by_name_whatever_status_was_read_before() {
    let connections = connections(&Script::of([]), &okta());
    let before = target(Authority::Cloud, "active");
    let spec =
        connections.resolve("identity.block_sign_in", &"okta".into(), Some(&before)).unwrap();
    let undo = spec.undo.unwrap();

    let found = connections.resolve(undo.as_str(), &"okta".into(), Some(&before)).unwrap();

    assert_eq!(found.capability.as_str(), "identity.unblock_sign_in");
}

#[test]
fn everything_that_is_wrong_with_a_configuration_is_said_at_once() {
    let options = json!({
        "a": {"connector": "okta", "base_url": "http://10.0.0.1", "auth": {"basic": {"user": "u", "password": "env:P"}}, "settings": {"x": 1}},
        "b": {"connector": "okat", "base_url": "https://acme.okta.com"},
    });
    let options: BTreeMap<String, Options> = serde_json::from_value(options).unwrap();
    let ports = connections(&Script::of([]), &okta()).ports;
    let problems = Connections::new(
        Arc::new(Catalogue::builtin().unwrap()),
        options.into_iter().map(|(name, o)| (ConnectionId::new(name), o)),
        ports,
    )
    .err()
    .unwrap();

    for part in ["`base_url`", "`auth`", "setting `x`", "no connector `okat`"] {
        assert!(problems.iter().any(|p| p.contains(part)), "{part}: {problems:?}");
    }
}

#[tokio::test]
async fn accounts_are_linked_by_employee_id_strongly_and_by_mail_weakly() {
    let okta_user = json!({"id": "00u1", "status": "ACTIVE", "profile":
        {"login": "dana@acme.example", "email": "dana@acme.example", "employeeNumber": "E-17"}});
    for (by_employee, link) in [(true, Link::Strong), (false, Link::Weak)] {
        let second = if by_employee { json!([okta_user]) } else { json!([]) };
        let script = Script::of([
            granted("t-1"),
            Ok((
                200,
                json!({"value": [{"id": "u1", "userPrincipalName": "dana@corp.example",
                "mail": "dana@acme.example", "employeeId": "E-17", "accountEnabled": true}]}),
            )),
            Ok((200, json!([]))),
            Ok((200, second)),
            Ok((200, json!([okta_user]))),
            Ok((200, json!([]))),
            Ok((200, json!([]))),
        ]);
        let mut options = entra();
        options["okta"] = okta()["okta"].clone();
        let connections = connections(&script, &options);

        let looked = connections
            .look_up(&[Alias::login("Dana@corp.example")], &["entra".into(), "okta".into()])
            .await;

        let links: Vec<_> =
            looked.accounts.iter().map(|a| (a.connection.to_string(), a.link)).collect();
        assert_eq!(links, [("entra".into(), Link::Strong), ("okta".into(), link)], "{looked:?}");
    }
}
