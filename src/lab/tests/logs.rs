//! Logs as connections read them: pages, credentials, the address that they stay at, the rate that they keep.

use super::*;
use crate::connector::manifest::Rate;
use crate::connector::pull::{NotPulled, Place, Pulled, Reading};

fn reading(at: Place) -> Reading {
    Reading { at, bucket: "test", rate: Rate { calls: 3, per: Span::seconds(10) } }
}

fn okta(query: Vec<(&'static str, String)>) -> Reading {
    reading(Place::Path { path: "/api/v1/logs", query })
}

async fn pull(bench: &Bench, on: &str, reading: &Reading) -> Result<Pulled, NotPulled> {
    bench.connections.pull(&on.into(), reading).await
}

#[tokio::test]
async fn a_log_is_read_page_by_page_and_no_link_leads_elsewhere() {
    let bench = bench();
    bench.lab.set_pages(2, 0);
    bench.lab.attacker_pushes(DANA, 3);
    let since = vec![("since", "2026-05-05T09:00:00Z".to_owned()), ("limit", "500".to_owned())];

    let first = pull(&bench, "okta", &okta(since)).await.unwrap();
    let link = crate::connector::expr::link_next(&first.answer.headers["link"]).unwrap();
    let second = pull(&bench, "okta", &reading(Place::Link(link.clone()))).await.unwrap();
    let elsewhere = link.replace("127.0.0.1:8088", "other.example");
    let elsewhere = pull(&bench, "okta", &reading(Place::Link(elsewhere))).await.unwrap_err();

    assert_eq!(first.answer.body.as_array().unwrap().len(), 2);
    assert_eq!(second.answer.body.as_array().unwrap().len(), 1);
    assert!(first.raw.starts_with(b"["), "the body is handed on as it came");
    assert!(elsewhere.to_string().contains("not below the connection's address"), "{elsewhere}");
}

#[tokio::test]
async fn the_rate_is_kept_without_a_request() {
    let bench = bench();
    let asked = okta(vec![("limit", "1".to_owned())]);
    for _ in 0..3 {
        pull(&bench, "okta", &asked).await.unwrap();
    }

    let early = pull(&bench, "okta", &asked).await.unwrap_err();

    assert_eq!(early, NotPulled::Early(Span::seconds(10)));
    assert_eq!(bench.lab.oracle().count(System::Okta, "poll-log"), 3);
}

#[tokio::test]
async fn a_refused_access_token_is_replaced_once() {
    let bench = bench();
    let path = "/v1.0/auditLogs/signIns";
    let asked = reading(Place::Path { path, query: vec![("$top", "5".to_owned())] });
    pull(&bench, "entra", &asked).await.unwrap();
    bench.lab.revoke_tokens();

    pull(&bench, "entra", &asked).await.unwrap();

    let refused = bench.lab.oracle().calls.iter().filter(|c| c.status == 401).count();
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn what_a_provider_says_decides_whether_to_wait() {
    let bench = bench();
    let asked = okta(vec![("limit", "1".to_owned())]);
    let fault = |fault| Switch { system: System::Okta, operation: None, fault, times: Some(1) };

    bench.lab.fault(fault(Fault::Throttle { retry_after: Some(40) }));
    let throttled = pull(&bench, "okta", &asked).await.unwrap_err();
    bench.wait(20);
    bench.lab.fault(fault(Fault::Forbidden));
    let refused = pull(&bench, "okta", &asked).await.unwrap_err();
    bench.lab.fault(fault(Fault::Unreachable));
    let dead = pull(&bench, "okta", &asked).await.unwrap_err();

    assert!(
        matches!(&throttled, NotPulled::Throttled { wait: Some(wait), .. } if *wait == Span::seconds(40)),
        "{throttled:?}"
    );
    assert!(matches!(&refused, NotPulled::Refused { problem } if problem.contains("E0000006")));
    assert!(matches!(dead, NotPulled::Failed { .. }), "{dead:?}");
}

#[tokio::test]
async fn duos_log_opens_to_its_own_signature_only() {
    let bench = bench();
    bench.lab.attacker_pushes_at_duo(DANA, 1);
    bench.wait(180);
    let now = bench.now().timestamp_millis();
    let query = vec![
        ("mintime", (now - 600_000).to_string()),
        ("maxtime", now.to_string()),
        ("sort", "ts:asc".to_owned()),
    ];
    let asked = reading(Place::Path { path: "/admin/v2/logs/authentication", query });

    let read = pull(&bench, "duo", &asked).await.unwrap();

    assert_eq!(read.answer.body["response"]["authlogs"].as_array().unwrap().len(), 1);
}
