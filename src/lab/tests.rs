//! The connectors against the lab, in-process and in virtual time.

mod bench;
mod logs;

use super::fault::{Fault, Switch};
use super::world::System;
use crate::model::action::{Applied, Call, Outcome, ReadBack};
use crate::model::subject::{Alias, Authority};
use crate::model::time::Span;
use bench::{Bench, bench};
use serde_json::{Value, json};

const DANA: &str = "dana.reyes@lab.example";
const ADA: &str = "ada.admin@lab.example";

const CONTAINMENT: [&str; 3] =
    ["identity.revoke_sessions", "identity.block_sign_in", "identity.reset_credentials"];

#[tokio::test]
async fn containment_on_both_directories_shuts_the_attacker_out_and_is_proved() {
    let bench = bench();
    bench.lab.attacker_steals_password(DANA);
    assert_eq!(bench.lab.attacker_signs_in(DANA).len(), 2);
    bench.wait(60);

    for connection in ["entra", "okta"] {
        let account = bench.account(connection, DANA);
        for capability in CONTAINMENT {
            let call = bench.call(capability, &account, json!({}));
            let (result, proof) = bench.apply(&call).await;
            assert_eq!(result.outcome, Outcome::Done, "{connection} {capability}: {result:?}");
            assert!(
                matches!(proof, ReadBack::Holds { .. }),
                "{connection} {capability}: {proof:?}"
            );
        }
    }

    let oracle = bench.lab.oracle();
    assert!(oracle.is_blocked(DANA));
    assert_eq!(oracle.hostile_sessions(DANA), 0);
    assert!(bench.lab.attacker_signs_in(DANA).is_empty());
    assert_eq!(oracle.times(DANA, "blocked"), 2);
    assert!(!oracle.was_unblocked(DANA));
}

#[tokio::test]
async fn a_block_is_known_before_it_is_made_and_undone_by_its_own_undo() {
    let bench = bench();
    for connection in ["entra", "okta"] {
        let account = bench.account(connection, DANA);
        let block = bench.call("identity.block_sign_in", &account, json!({}));
        assert_eq!(bench.connections.already_so(&block).await, Some(false));
        bench.apply(&block).await;
        assert_eq!(bench.connections.already_so(&block).await, Some(true));

        let target = Bench::target(&account);
        let id: crate::model::id::ConnectionId = connection.into();
        let spec = bench.connections.resolve(block.action.as_str(), &id, Some(&target)).unwrap();
        let undo = Call { action: spec.undo.unwrap(), ..block.clone() };
        let (result, proof) = bench.apply(&undo).await;
        assert_eq!(result.outcome, Outcome::Done, "{result:?}");
        assert!(matches!(proof, ReadBack::Holds { .. }), "{proof:?}");
    }
    assert!(bench.lab.oracle().was_unblocked(DANA));
}

#[tokio::test]
async fn suspending_the_suspended_is_unchanged() {
    let bench = bench();
    let account = bench.account("okta", DANA);
    let block = bench.call("identity.block_sign_in", &account, json!({}));

    assert_eq!(bench.connections.call(&block).await.outcome, Outcome::Done);
    assert_eq!(bench.connections.call(&block).await.outcome, Outcome::Unchanged);
    assert_eq!(bench.lab.oracle().times(DANA, "blocked"), 1);
}

#[tokio::test]
async fn a_locked_out_user_is_quarantined() {
    let bench = bench();
    let account = bench.account("okta", "lou.locked@lab.example");
    let block = bench.call("identity.block_sign_in", &account, json!({}));

    let (result, proof) = bench.apply(&block).await;

    assert_eq!(block.action.as_str(), "okta/quarantine");
    assert_eq!(result.outcome, Outcome::Done);
    assert!(matches!(proof, ReadBack::Holds { .. }), "{proof:?}");
}

#[tokio::test]
async fn the_attackers_factor_is_found_and_removed_and_only_that_one() {
    let bench = bench();
    bench.wait(10);
    bench.lab.attacker_enrols_factor(DANA);
    for connection in ["entra", "okta"] {
        let account = bench.account(connection, DANA);
        let list = bench.call("identity.list_factors", &account, json!({}));
        let listed = bench.connections.call(&list).await.output["factors"].clone();
        let since = "2026-05-05T10:00:05Z";
        let is_new = |f: &&Value| f["added_at"].as_str().is_some_and(|at| at > since);
        let hostile: Vec<&Value> = listed.as_array().unwrap().iter().filter(is_new).collect();
        assert_eq!(hostile.len(), 1, "{listed}");

        let mut factor = hostile[0].clone();
        factor["account"] = account.clone();
        let remove = bench.call("identity.remove_factor", &account, json!({"factor": factor}));
        let (result, proof) = bench.apply(&remove).await;
        assert_eq!(result.outcome, Outcome::Done, "{result:?}");
        assert!(matches!(proof, ReadBack::Holds { .. }), "{proof:?}");
        assert_eq!(bench.connections.call(&remove).await.outcome, Outcome::Unchanged);
    }
    let oracle = bench.lab.oracle();
    assert_eq!(oracle.hostile_factors(DANA), 0);
    assert_eq!(oracle.condition(System::Graph, DANA).unwrap().factors.len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_effect_is_unknown_and_settled_by_reading_back() {
    for fault in [Fault::TimeoutAfter, Fault::ResetAfter, Fault::Truncated, Fault::ErrorAfter] {
        let bench = bench();
        bench.fault(System::Graph, "block-sign-in", fault);
        let account = bench.account("entra", DANA);
        let block = bench.call("identity.block_sign_in", &account, json!({}));

        let (result, proof) = bench.apply(&block).await;

        assert_eq!(result.outcome, Outcome::Unknown, "{fault:?}");
        assert!(matches!(proof, ReadBack::Holds { .. }), "{fault:?}: {proof:?}");
        assert_eq!(bench.lab.oracle().times(DANA, "blocked"), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_before_the_effect_is_just_as_unknown_and_reads_back_as_not_so() {
    for fault in [Fault::TimeoutBefore, Fault::Error] {
        let bench = bench();
        bench.fault(System::Okta, "suspend", fault);
        let account = bench.account("okta", DANA);
        let block = bench.call("identity.block_sign_in", &account, json!({}));

        let (result, proof) = bench.apply(&block).await;

        assert_eq!(result.outcome, Outcome::Unknown, "{fault:?}");
        assert!(matches!(proof, ReadBack::Fails { .. }), "{fault:?}: {proof:?}");
    }
}

#[tokio::test]
async fn throttling_and_unreachable_systems_are_told_apart_from_doubt() {
    let bench = bench();
    let account = bench.account("okta", DANA);
    let block = bench.call("identity.block_sign_in", &account, json!({}));

    bench.fault(System::Okta, "suspend", Fault::Throttle { retry_after: Some(17) });
    let result = bench.connections.call(&block).await;
    assert_eq!((result.outcome, result.retry_after), (Outcome::Throttled, Some(Span::seconds(17))));

    bench.fault(System::Okta, "suspend", Fault::Throttle { retry_after: None });
    let result = bench.connections.call(&block).await;
    assert_eq!((result.outcome, result.retry_after), (Outcome::Throttled, None));

    bench.fault(System::Okta, "suspend", Fault::Unreachable);
    assert_eq!(bench.connections.call(&block).await.outcome, Outcome::NotSent);

    bench.fault(System::Okta, "suspend", Fault::Forbidden);
    let result = bench.connections.call(&block).await;
    assert_eq!((result.outcome, result.connection_fault), (Outcome::Refused, true));
    assert_eq!(bench.lab.oracle().times(DANA, "blocked"), 0);
}

#[tokio::test]
async fn a_ticket_in_doubt_is_found_by_its_key_and_never_opened_twice() {
    let bench = bench();
    let open = Bench::desk("open-ticket", json!({"title": "Push bombing", "queue": "SOC"}));
    let doubt = |sent_at| Applied { call: open.clone(), sent_at, output: Value::Null };

    bench.fault(System::Servicenow, "open-ticket", Fault::TimeoutBefore);
    assert_eq!(bench.connections.call(&open).await.outcome, Outcome::Unknown);
    let nothing = bench.connections.read_back(&doubt(bench.now())).await;
    assert!(matches!(nothing, ReadBack::Fails { .. }), "{nothing:?}");

    bench.fault(System::Servicenow, "open-ticket", Fault::TimeoutAfter);
    assert_eq!(bench.connections.call(&open).await.outcome, Outcome::Unknown);
    let ReadBack::Holds { output, .. } = bench.connections.read_back(&doubt(bench.now())).await
    else {
        panic!("the ticket is there");
    };

    let oracle = bench.lab.oracle();
    assert_eq!(oracle.tickets_with(&open.key), 1);
    assert_eq!(output["id"], json!(oracle.tickets[0].id));
    assert_eq!(output["number"], json!(oracle.tickets[0].number));
}

#[tokio::test]
async fn a_ticket_is_opened_noted_and_closed() {
    let bench = bench();
    let open = Bench::desk("open-ticket", json!({"title": "Push bombing", "severity": "high"}));
    let (opened, proof) = bench.apply(&open).await;
    assert!(matches!(proof, ReadBack::Holds { .. }), "{opened:?} {proof:?}");
    let id = opened.output["id"].clone();

    for call in [
        Bench::desk("comment-ticket", json!({"ticket": id, "text": "Sessions revoked."})),
        Bench::desk("close-ticket", json!({"ticket": id, "text": "Contained."})),
    ] {
        let (result, proof) = bench.apply(&call).await;
        assert_eq!(result.outcome, Outcome::Done, "{result:?}");
        assert!(matches!(proof, ReadBack::Holds { .. }), "{proof:?}");
    }
    let oracle = bench.lab.oracle();
    assert_eq!((oracle.tickets[0].state.as_str(), oracle.tickets[0].notes.len()), ("6", 1));
}

#[tokio::test]
async fn a_webhook_that_is_repeated_is_taken_once() {
    let bench = bench();
    let message = Call {
        connection: "webhook".into(),
        action: "webhook/send-message".into(),
        inputs: serde_json::from_value(json!({"text": "Contained."})).unwrap(),
        key: "k-1".into(),
    };

    bench.fault(System::Webhook, "send-message", Fault::ResetAfter);
    assert_eq!(bench.connections.call(&message).await.outcome, Outcome::Unknown);
    assert_eq!(bench.connections.call(&message).await.outcome, Outcome::Done);

    assert_eq!(bench.lab.oracle().messages.len(), 1);
}

#[tokio::test]
async fn risk_is_marked_and_dismissed_within_the_vendors_rate() {
    let bench = bench();
    for connection in ["entra", "okta"] {
        let account = bench.account(connection, DANA);
        for capability in ["identity.mark_compromised", "identity.dismiss_risk"] {
            bench.wait(2);
            let call = bench.call(capability, &account, json!({}));
            let result = bench.connections.call(&call).await;
            assert_eq!(result.outcome, Outcome::Done, "{connection} {capability}: {result:?}");
            bench.wait(2);
            let applied = Applied { call, sent_at: bench.now(), output: result.output };
            let proof = bench.connections.read_back(&applied).await;
            assert!(
                matches!(proof, ReadBack::Holds { .. }),
                "{connection} {capability}: {proof:?}"
            );
        }
    }
    assert!(bench.lab.oracle().calls.iter().all(|call| call.status != 429));
}

#[tokio::test]
async fn an_administrator_needs_the_stronger_credential() {
    let bench = bench();
    for connection in ["entra", "okta"] {
        let mut account = bench.account(connection, ADA);
        let block = bench.call("identity.block_sign_in", &account, json!({}));
        assert_eq!(bench.connections.call(&block).await.outcome, Outcome::Done);

        account["privileged"] = json!(false);
        let revoke = bench.call("identity.revoke_sessions", &account, json!({}));
        let result = bench.connections.call(&revoke).await;
        assert_eq!((result.outcome, result.connection_fault), (Outcome::Refused, true));
        assert!(result.problem.unwrap().contains("by hand"), "{connection}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_seen_yet_fails_its_read_back_until_it_is() {
    let bench = bench();
    bench.lab.set_lag(System::Graph, Span::seconds(90));
    let account = bench.account("entra", DANA);
    let block = bench.call("identity.block_sign_in", &account, json!({}));

    let (result, proof) = bench.apply(&block).await;
    assert!(matches!(proof, ReadBack::Fails { .. }), "{proof:?}");

    bench.wait(120);
    let applied = Applied { call: block, sent_at: bench.now(), output: result.output };
    assert!(matches!(bench.connections.read_back(&applied).await, ReadBack::Holds { .. }));
}

#[tokio::test]
async fn an_expired_access_token_is_replaced_without_anybody_noticing() {
    let bench = bench();
    let get = bench.call("identity.get_user", &bench.account("entra", DANA), json!({}));
    assert_eq!(bench.connections.call(&get).await.outcome, Outcome::Done);

    bench.lab.revoke_tokens();
    assert_eq!(bench.connections.call(&get).await.outcome, Outcome::Done);
    bench.wait(7200);
    assert_eq!(bench.connections.call(&get).await.outcome, Outcome::Done);

    assert_eq!(bench.lab.oracle().count(System::Login, "token"), 3);
}

#[tokio::test]
async fn a_person_is_found_in_both_directories_with_roles_and_authority() {
    let bench = bench();
    let both = ["entra".into(), "okta".into()];

    let ada = bench.connections.look_up(&[Alias::login(ADA)], &both).await;
    assert_eq!(ada.name.as_deref(), Some("Ada Admin"));
    assert_eq!(ada.accounts.len(), 2);
    assert!(ada.accounts.iter().all(|a| a.privileged), "{ada:?}");
    assert!(ada.unread.is_empty());

    let sam = bench.connections.look_up(&[Alias::login("SAM.synced@lab.example")], &both).await;
    let authorities: Vec<_> = sam.accounts.iter().map(|a| a.authority).collect();
    assert_eq!(authorities, [Authority::Synced, Authority::Delegated]);

    let by_id = Alias::account(&ada.accounts[0].key());
    let again = bench.connections.look_up(&[by_id], &both).await;
    assert_eq!(again.accounts.len(), 2, "{again:?}");
}

#[tokio::test]
async fn a_dead_directory_is_named_and_the_others_still_answer() {
    let bench = bench();
    bench.lab.fault(Switch {
        system: System::Okta,
        operation: None,
        fault: Fault::Unreachable,
        times: None,
    });

    let dana =
        bench.connections.look_up(&[Alias::login(DANA)], &["entra".into(), "okta".into()]).await;

    assert_eq!(dana.accounts.len(), 1);
    assert_eq!(dana.unread[0].0.as_str(), "okta");
}

#[tokio::test]
async fn sign_ins_are_read_page_by_page() {
    let bench = bench();
    bench.lab.attacker_pushes(DANA, 250);
    for connection in ["entra", "okta"] {
        let account = bench.account(connection, DANA);
        let since = json!({"since": "2026-05-05T09:00:00Z"});
        let list = bench.call("identity.list_sign_ins", &account, since);

        let result = bench.connections.call(&list).await;

        let list = result.output["sign_ins"].as_array().unwrap();
        assert_eq!(list.len(), 250, "{connection}");
        assert_eq!(list[0]["outcome"], "failed");
    }
}

#[tokio::test]
async fn every_connection_passes_its_own_test() {
    let bench = bench();
    for (name, _) in bench.lab.connections("http://127.0.0.1:8088") {
        let report = bench.connections.test(&name).await.unwrap();
        assert!(report.works(), "{report:?}");
    }
    bench.fault(System::Login, "token", Fault::Unauthorized);
    let report = bench.connections.test(&"entra".into()).await.unwrap();
    assert_eq!(report.classes.len(), 2);
}

/// Whatever the lab was told and whatever it says, no credential is in it.
#[tokio::test]
async fn no_credential_is_in_the_oracle_or_in_any_result() {
    let bench = bench();
    let mut said = String::new();
    for connection in ["entra", "okta"] {
        let account = bench.account(connection, DANA);
        for capability in CONTAINMENT {
            let call = bench.call(capability, &account, json!({}));
            let (result, proof) = bench.apply(&call).await;
            said += &serde_json::to_string(&(result, proof)).unwrap();
        }
    }
    said.push_str(&bench.lab.oracle().json().to_string());
    let known = bench.lab.world().credentials.clone();
    for secret in [known.app_secret, known.okta_token, known.desk_password, known.webhook_secret] {
        assert!(!said.contains(&secret));
    }
    assert!(bench.lab.world().tokens.keys().all(|token| !said.contains(token)));
}

/// The same lab behind a socket: what is lost there is lost for the real client, too.
#[test]
fn over_a_socket_the_switches_work_and_a_cut_answer_is_unknown() {
    use crate::connector::outbound::{HttpTransport, Limits, Transport, TransportError};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let bench = bench();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = bench.lab.router();
        tokio::task::spawn_local(async move { axum::serve(listener, router).await });
        let client = HttpTransport::new(&["127.0.0.0/8".parse().unwrap()]).unwrap();
        let switch =
            json!({"system": "okta", "operation": "suspend", "fault": "truncated", "times": 1});
        let request = http::Request::post(format!("{base}/lab/faults"))
            .header("content-type", "application/json")
            .body(switch.to_string().into())
            .unwrap();
        assert_eq!(client.send(request, Limits::default()).await.unwrap().status(), 204);

        let token = bench.lab.world().credentials.okta_token.clone();
        let id = bench.account("okta", DANA)["id"].as_str().unwrap().to_owned();
        let suspend = || {
            http::Request::post(format!("{base}/okta/api/v1/users/{id}/lifecycle/suspend"))
                .header("authorization", format!("SSWS {token}"))
                .body(bytes::Bytes::new())
                .unwrap()
        };
        let cut = client.send(suspend(), Limits::default()).await;
        assert!(matches!(cut, Err(TransportError::Unknown(_))), "{cut:?}");
        assert_eq!(client.send(suspend(), Limits::default()).await.unwrap().status(), 403);

        assert_eq!(bench.lab.oracle().times(DANA, "blocked"), 1);
    });
}
