//! A whole Quell over a real folder: its sources are polled from the start, and a restart takes nothing in
//! a second time.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

use crate::app::tests::lab as settings_of_a_lab;
use crate::app::{Quell, Running, Settings, SystemClock, connect};
use crate::engine::ports::Clock as _;
use crate::lab::Lab;
use crate::lab::tenant::Tenant;
use crate::model::incident::EvidenceCounts;

const SOURCES: &str = "
[sources.okta]
kind = 'okta'
poll = { connection = 'okta', schedule = '10s' }
[sources.risk]
kind = 'entra'
poll = { connection = 'entra', log = 'risk_detections', overlap = '1h' }
";

fn settings(folder: &std::path::Path, tenant: &Lab) -> Settings {
    let mut settings = settings_of_a_lab(folder, SOURCES);
    settings.config.connections = tenant.connections("http://127.0.0.1:1").into_iter().collect();
    let plugs = connect(
        &settings.config,
        settings.clock.clone(),
        settings.entropy.clone(),
        &settings.secrets,
        &settings.scrubber,
        tenant.dial(),
    );
    settings.plugs = plugs.unwrap().into();
    settings
}

async fn metrics(quell: &Running) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = quell.router.clone().oneshot(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What the only incident has counted.
fn counts(quell: &Running) -> EvidenceCounts {
    quell.engine.read(|core| core.state.incidents.values().next().unwrap().counts.clone())
}

/// Waits until the metrics say so.
async fn until(quell: &Running, line: &str) -> String {
    for _ in 0..200 {
        let text = metrics(quell).await;
        if text.contains(line) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no `{line}` in\n{}", metrics(quell).await);
}

#[tokio::test]
async fn sources_are_polled_from_the_start_and_a_restart_takes_nothing_in_twice() {
    let folder = tempfile::tempdir().unwrap();
    let tenant = Lab::new(&Tenant::new("wired"), Arc::new(|| SystemClock.now()));
    tenant.attacker_pushes("dana.reyes@lab.example", 3);
    tenant.person_reports("dana.reyes@lab.example");

    let quell = Quell::start(settings(folder.path(), &tenant)).await.unwrap();
    until(&quell, r#"quell_poll_records_total{source="okta",result="new"} 4"#).await;
    let text = until(&quell, r#"quell_poll_records_total{source="risk",result="new"} 1"#).await;
    let incidents = quell.engine.read(|core| core.state.incidents.len());
    let told = counts(&quell);
    quell.stop().await.unwrap();

    assert_eq!(incidents, 1);
    for line in ["quell_poll_lag_seconds", "quell_poll_success_age_seconds", "quell_poll_failing"] {
        assert!(text.contains(&format!(r#"{line}{{source="okta"}}"#)), "{line}\n{text}");
    }

    let again = Quell::start(settings(folder.path(), &tenant)).await.unwrap();
    until(&again, r#"quell_poll_records_total{source="okta",result="known"} 4"#).await;
    until(&again, r#"quell_poll_records_total{source="risk",result="known"} 1"#).await;
    let text = metrics(&again).await;
    let after = counts(&again);
    assert!(text.contains(r#"quell_poll_records_total{source="okta",result="new"} 0"#), "{text}");
    assert_eq!(after, told, "nothing counts twice");
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_source_that_would_ask_too_often_keeps_quell_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let tenant = Lab::new(&Tenant::new("wired"), Arc::new(|| SystemClock.now()));
    let mut hasty = settings(folder.path(), &tenant);
    let okta = hasty.config.sources.get_mut(&"okta".into()).unwrap();
    okta.poll.as_mut().unwrap().schedule = "5s".parse().unwrap();

    let refused = Quell::start(hasty).await.err().unwrap().to_string();

    assert!(refused.contains("`5s` polls every 5s"), "{refused}");
    assert!(refused.contains("one poll in 10s"), "{refused}");
}
