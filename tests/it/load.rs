//! Far more than can be done at once: what is refused is told when to come back, what is accepted
//! is done, and neither memory nor anybody else pays for it.

use futures::StreamExt as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::world::{SECRET, World, alert};

/// Ten times what may be in the house at once (96 served and 256 waiting for one source).
const OFFERED: usize = 3_600;
/// Connections that the flood comes by.
const AT_ONCE: usize = 720;
/// People that the flood is about.
const PEOPLE: usize = 200;

const SETTINGS: &str = r#"[policy]
mode = "auto"
[sources.people]
kind = "reports"
auth = { bearer = {} }
secrets = ["text:ingest-secret-of-the-test-deployment"]
may_cause = "contain"
connections = ["entra", "okta"]
[sources.capped]
kind = "alerts"
auth = { bearer = {} }
secrets = ["text:ingest-secret-of-the-test-deployment"]
per_minute = 30
"#;

/// What the answers of a flood were.
#[derive(Default)]
struct Answers {
    accepted: AtomicUsize,
    too_many: AtomicUsize,
    busy: AtomicUsize,
    /// Refusals that did not say when to come back, and answers of any other kind.
    wrong: AtomicUsize,
}

impl Answers {
    fn take(&self, status: u16, retry_after: bool) -> bool {
        let count = match (status, retry_after) {
            (202, _) => &self.accepted,
            (429, true) => &self.too_many,
            (503, true) => &self.busy,
            _ => &self.wrong,
        };
        count.fetch_add(1, Ordering::SeqCst);
        status == 202
    }

    fn counts(&self) -> [usize; 4] {
        let count = |n: &AtomicUsize| n.load(Ordering::SeqCst);
        [&self.accepted, &self.too_many, &self.busy, &self.wrong].map(count)
    }
}

async fn send(world: &World, source: &str, body: &Value) -> (u16, bool) {
    let url = format!("{}/v1/hooks/{source}", world.url);
    let sent = world.client.post(url).bearer_auth(SECRET).body(body.to_string()).send();
    let answer = sent.await.unwrap();
    (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
}

fn delivery(n: usize) -> Value {
    let mut body = alert(n % PEOPLE + 1, "suspected");
    body["id"] = json!(format!("flood-{n}"));
    body
}

/// Offers everything by many connections; gives the numbers of what was accepted.
async fn flood(world: &World, answers: &Answers) -> BTreeSet<usize> {
    let offered = futures::stream::iter(0..OFFERED).map(|n| async move {
        let (status, retry_after) = send(world, "siem", &delivery(n)).await;
        (n, answers.take(status, retry_after))
    });
    let accepted =
        offered.buffer_unordered(AT_ONCE).filter_map(|(n, yes)| async move { yes.then_some(n) });
    accepted.collect().await
}

/// Batches of three thousand events, each about somebody else, as long as the flood lasts.
async fn batches(world: &World, over: &AtomicBool) -> Answers {
    let (answers, mut n) = (Answers::default(), 0);
    while !over.load(Ordering::SeqCst) {
        let event = |k: usize| {
            json!({"id": format!("batch-{n}-{k}"), "kind": "sign_in", "outcome": "succeeded",
                "account": {"login": format!("stranger-{n}-{k}@elsewhere.example")},
                "time": chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).to_rfc3339(),
                "ip": "198.51.100.7"})
        };
        let body = json!({"events": (0..3_000).map(event).collect::<Vec<_>>()});
        let four = (0..4).map(|_| send(world, "mfa", &body));
        for (status, retry_after) in futures::future::join_all(four).await {
            answers.take(status, retry_after);
        }
        n += 1;
    }
    answers
}

/// A person's report about one more inhabitant, again and again while the flood lasts. Gives how
/// many of the flood were accepted while each was under way.
async fn reports(world: &World, answers: &Answers, over: &AtomicBool) -> Vec<usize> {
    let mut between = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let n = PEOPLE + between.len() + 1;
        let report = json!({"id": format!("report-{n}"), "proof": "self",
            "account": {"login": format!("person-{n:04}@lab.example")}});
        let before = answers.counts()[0];
        let (status, _) = send(world, "people", &report).await;
        assert_eq!(status, 202, "a person's report is turned away");
        between.push(answers.counts()[0] - before);
        for path in ["/readyz", "/metrics"] {
            let got = world.client.get(format!("{}{path}", world.url)).send().await.unwrap();
            assert_eq!(got.status(), 200, "{path}");
        }
    }
    between
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_too_much_is_refused_in_time_and_what_was_accepted_is_done() {
    let mut world = World::new(PEOPLE + 2_000, SETTINGS);
    let before = world.memory();
    let (answers, over) = (Answers::default(), AtomicBool::new(false));

    let (accepted, between, heavy) = tokio::join!(
        async {
            let accepted = flood(&world, &answers).await;
            over.store(true, Ordering::SeqCst);
            accepted
        },
        reports(&world, &answers, &over),
        batches(&world, &over),
    );
    let runs = world.quiet().await;
    let first = world.memory();

    let [ok, too_many, busy, wrong] = answers.counts();
    println!(
        "offered {OFFERED} by {AT_ONCE} connections: accepted {ok}, 429 {too_many}, 503 {busy}"
    );
    println!(
        "reports served meanwhile: {}; flood deliveries accepted while one was under way: most {:?}",
        between.len(),
        between.iter().max()
    );
    println!("batches of 3,000 events offered by another source meanwhile: {:?}", heavy.counts());
    assert_eq!(wrong + heavy.counts()[3], 0, "every refusal says when to come back");
    assert_eq!(ok, accepted.len());
    assert!(ok > 0 && busy > 0, "{ok} accepted, {busy} refused");
    assert!(!between.is_empty());
    let ended = |r: &&Value| r["status"] == "succeeded" || r["waiting_on"] == "approval";
    assert_eq!(runs.iter().filter(ended).count(), runs.len());
    acknowledged_is_there(&world, &accepted).await;

    // The same once more: nothing of it is new, so whatever it costs was for the flood itself.
    for _ in 0..3 {
        flood(&world, &Answers::default()).await;
    }
    let again = world.memory();
    println!(
        "resident: {} MB before, {} MB after the flood (most: {} MB), {} MB after three more (most: {} MB)",
        before.0, first.0, first.1, again.0, again.1
    );
    assert!(again.1 <= first.1 + 64, "memory is not flat: {first:?} MB, then {again:?} MB");
    world.stop();
    world.prove(&["store", "verify"]);
}

/// A delivery that was acknowledged is answered with its receipt when it comes again.
async fn acknowledged_is_there(world: &World, accepted: &BTreeSet<usize>) {
    for n in accepted.iter().step_by(17) {
        let (status, answer) = world.post("siem", &delivery(*n)).await.unwrap();
        assert_eq!((status, &answer["duplicate"]), (202, &json!(true)), "{n}");
    }
    let people: BTreeSet<usize> = accepted.iter().map(|n| n % PEOPLE).collect();
    let incidents = world.all("/v1/incidents").await;
    assert!(incidents.len() >= people.len(), "{} of {}", incidents.len(), people.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_beyond_its_rate_is_told_to_come_back_and_costs_the_others_nothing() {
    let mut world = World::new(100, SETTINGS);
    let (own, others) = (Answers::default(), Answers::default());

    for n in 1..=90 {
        let (status, retry_after) = send(&world, "capped", &alert(n, "noted")).await;
        own.take(status, retry_after);
        if n % 9 == 0 {
            let (status, retry_after) = send(&world, "siem", &delivery(n)).await;
            others.take(status, retry_after);
        }
    }

    let [ok, too_many, busy, wrong] = own.counts();
    println!("30 a minute allowed, 90 offered: accepted {ok}, 429 {too_many}, 503 {busy}");
    assert!(ok >= 30 && too_many > 0 && wrong == 0 && busy == 0, "{:?}", own.counts());
    assert_eq!(others.counts(), [10, 0, 0, 0]);
    world.stop();
}

/// How often an effect happened to people at a system.
fn effects(oracle: &Value, system: &str, effect: &str) -> usize {
    let calls = oracle["calls"].as_array().unwrap();
    calls.iter().filter(|c| c["system"] == system && c["effect"] == effect).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_fails_is_seen_in_the_metrics_and_the_others_go_on() {
    const HIT: usize = 12;
    let mut world = World::new(HIT, SETTINGS);
    let fault = json!({"system": "graph", "operation": "revoke-sessions", "fault": "error"});
    let set = world.client.post(format!("{}/lab/faults", world.lab_url)).json(&fault).send();
    assert!(set.await.unwrap().status().is_success());

    for n in 1..=HIT {
        assert_eq!(world.post("siem", &alert(n, "suspected")).await.unwrap().0, 202);
    }

    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    loop {
        let url = format!("{}/metrics", world.url);
        let metrics = world.client.get(url).send().await.unwrap().text().await.unwrap();
        let state = |connection: &str, value: u8| {
            metrics
                .contains(&format!("quell_breaker_state{{connection=\"{connection}\"}} {value}\n"))
        };
        let oracle = world.oracle().await;
        let done = effects(&oracle, "okta", "sessions revoked") >= HIT
            && effects(&oracle, "servicenow", "ticket opened") == HIT;
        if state("entra", 1) && state("okta", 0) && done {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{metrics}");
        tokio::task::yield_now().await;
    }
    world.stop();
}
