//! The sources' page and the first page say of which logs nothing is known, and why.

use chrono::TimeDelta;

use super::HOSTILE;
use super::browser::{Browser, inert};
use crate::intake::{OfStream, Place, Ring};
use crate::jwks::{self, Renewal};
use crate::model::id::SourceId;
use crate::people::soft::SoftPerson;
use crate::people::stand::Stand;
use crate::poll::{Failed, Meter, Meters};
use crate::server::Received;

async fn browser(stand: &Stand, polls: &Meters) -> Browser {
    let mut ann = SoftPerson::enrol(&stand.people, "ann", &["approver"]).await.unwrap();
    let mut browser = Browser::with_sources(stand, polls, &Received::default());
    browser.sign_in(&mut ann).await;
    browser
}

fn note(polls: &Meters, change: impl FnOnce(&mut Meter)) {
    polls.note(&SourceId::from("okta-log"), |meter| {
        (meter.connection, meter.log) = (Some("okta".into()), "system");
        change(meter);
    });
}

#[tokio::test]
async fn a_log_that_cannot_be_read_says_why_since_when_and_when_it_is_tried_again() {
    let (stand, polls) = (Stand::new().await, Meters::default());
    let now = stand.engine.now();
    let failed = |n: i64, kind| Failed {
        at: now - TimeDelta::minutes(9 - n),
        kind,
        problem: format!("failure {n} {HOSTILE}"),
    };
    note(&polls, |meter| meter.succeeded_at = Some(now - TimeDelta::minutes(10)));
    let browser = browser(&stand, &polls).await;

    note(&polls, |meter| meter.failed(failed(1, "failed")));
    note(&polls, |meter| meter.failed(failed(2, "refused")));
    assert!(!browser.get("/").await.body.contains("is not read"), "twice is no alarm");
    note(&polls, |meter| {
        meter.failed(failed(3, "refused"));
        meter.next_at = Some(now + TimeDelta::minutes(4));
    });
    let (first, sources) = (browser.get("/").await.body, browser.get("/sources").await.body);

    let at = |minutes: i64| {
        (now + TimeDelta::minutes(minutes)).format("%Y-%m-%d %H:%M:%S UTC</time>").to_string()
    };
    let alarm = first.split("okta-log</a> is not read").nth(1).expect("an alarm");
    let since = format!(
        "since <time datetime=\"{}\">",
        crate::model::time::rfc3339(now - TimeDelta::minutes(8))
    );
    assert!(alarm.split("</p>").next().unwrap().contains(&since), "{alarm}");
    assert!(alarm.contains("3 failures in a row. failure 3"), "{alarm}");
    for said in [
        "polls system of okta",
        "3 failures in a row",
        "<code>refused</code> failure 3",
        &at(-10),
        &at(4),
        &at(-6),
    ] {
        assert!(sources.contains(said), "{said}: {sources}");
    }
    inert(&first, "/");
    inert(&sources, "/sources");

    note(&polls, Meter::came_through);
    let (first, sources) = (browser.get("/").await.body, browser.get("/sources").await.body);
    assert!(!first.contains("is not read") && !sources.contains("not read since"), "{sources}");
    assert!(sources.contains("failure 3"), "what failed last is still told: {sources}");
}

#[tokio::test]
async fn a_log_whose_connection_is_left_alone_for_long_is_an_alarm_too() {
    let (stand, polls) = (Stand::new().await, Meters::default());
    let now = stand.engine.now();
    let browser = browser(&stand, &polls).await;

    note(&polls, |meter| meter.held_since = Some(now - TimeDelta::minutes(4)));
    assert!(!browser.get("/").await.body.contains("is not read"));
    note(&polls, |meter| meter.held_since = Some(now - TimeDelta::minutes(6)));
    let first = browser.get("/").await.body;

    assert!(first.contains("is not read") && first.contains("asked to wait"), "{first}");
}

#[tokio::test]
async fn a_stream_that_was_proved_and_then_paused_says_both() {
    let (stand, received) = (Stand::new().await, Received::default());
    let mut ann = SoftPerson::enrol(&stand.people, "ann", &["approver"]).await.unwrap();
    let mut browser = Browser::with_sources(&stand, &Meters::default(), &received);
    browser.sign_in(&mut ann).await;
    let at = stand.engine.now();
    let updated =
        |status: &str| OfStream::Updated { status: status.into(), reason: HOSTILE.into() };
    received.of_stream("idp", at, OfStream::Verification { state: format!("s-1{HOSTILE}") });
    received.of_stream("idp", at, updated("paused"));

    let page = browser.get("/sources").await.body;

    assert!(page.contains("stream proved") && page.contains("<code>s-1"), "{page}");
    assert!(page.contains("mark bad") && page.contains("the stream is paused"), "{page}");
    inert(&page, "/sources");
    received.of_stream("idp", at, updated("enabled"));
    let page = browser.get("/sources").await.body;
    assert!(!page.contains("mark bad") && page.contains("the stream is enabled"), "{page}");
}

#[tokio::test]
async fn keys_that_cannot_be_read_say_why_since_when_and_until_when_they_count() {
    let stand = Stand::new().await;
    let received = Received::of([("idp".to_owned(), "shared-signals".to_owned())]);
    let place =
        Place { jwks_uri: format!("https://idp.example/{HOSTILE}"), allow_networks: Vec::new() };
    let clock = stand.engine.ports().clock.clone();
    let keys = Renewal::new(Ring::default(), clock, &place);
    let all = [(SourceId::from("idp"), keys.clone())].into_iter().collect();
    let mut ann = SoftPerson::enrol(&stand.people, "ann", &["approver"]).await.unwrap();
    let mut browser = Browser::with_keys(&stand, &received, all);
    browser.sign_in(&mut ann).await;
    let now = stand.engine.now();
    keys.note(|meter| {
        (meter.keys, meter.read_at) = (2, Some(now - TimeDelta::hours(1)));
        meter.believed_until = Some(now + TimeDelta::hours(71));
        (meter.in_a_row, meter.failing_since) = (2, Some(now - TimeDelta::minutes(3)));
        let problem = format!("it answered 500 {HOSTILE}");
        meter.failed = Some(jwks::Failed { at: now, kind: "refused", problem });
    });
    assert!(!browser.get("/").await.body.contains("are not read"), "twice is no alarm");

    keys.note(|meter| meter.in_a_row = 3);
    let (first, sources) = (browser.get("/").await.body, browser.get("/sources").await.body);

    let alarm = first.split("The keys of <a href=\"/sources\">idp</a> are not read").nth(1);
    assert!(alarm.expect("an alarm").contains("3 failures in a row: it answered 500"), "{first}");
    let until = (now + TimeDelta::hours(71)).format("%Y-%m-%d %H:%M:%S UTC</time>, if no others");
    for said in ["keys not read since", "2 of <code>https://idp.example/", "<code>refused</code>"] {
        assert!(sources.contains(said), "{said}: {sources}");
    }
    assert!(sources.contains(&until.to_string()), "{sources}");
    inert(&first, "/");
    inert(&sources, "/sources");
    keys.note(|meter| meter.believed_until = None);
    assert!(browser.get("/").await.body.contains("No key of it is believed any more"));
}
