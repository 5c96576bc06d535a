//! Ten thousand alerts about fifty people are fifty incidents, and a breach is answered once.

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::world::{World, alert, hostile_approval};

const PEOPLE: usize = 50;
const ALERTS: usize = 10_000;
const BREACHED: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn storm_of_alerts_makes_one_incident_and_one_run_a_person() {
    let mut world = World::new(PEOPLE, "[policy]\nmode = \"auto\"\n");
    let posted = futures::stream::iter(0..ALERTS)
        .map(|n| {
            let mut body = alert(n % PEOPLE + 1, "suspected");
            body["id"] = json!(format!("alert-{n}"));
            let world = &world;
            async move { world.post("siem", &body).await.unwrap().0 }
        })
        .buffer_unordered(32)
        .filter(|status| std::future::ready(*status == 202))
        .count()
        .await;
    assert_eq!(posted, ALERTS);
    let runs = world.quiet().await;
    let incidents = world.all("/v1/incidents").await;
    assert_eq!((incidents.len(), runs.len()), (PEOPLE, PEOPLE));
    assert!(runs.iter().all(|r| r["status"] == "succeeded"), "{runs:#?}");

    let before = world.oracle().await;
    for n in 1..=BREACHED {
        let (status, answer) = world.post("mfa", &hostile_approval(n)).await.unwrap();
        assert_eq!(status, 202, "{answer}");
    }
    let runs = world.quiet().await;

    assert_eq!(runs.len(), PEOPLE + BREACHED, "exactly {BREACHED} continuations");
    assert!(runs.iter().all(|r| r["status"] == "succeeded"), "{runs:#?}");
    assert_eq!(world.all("/v1/incidents").await.len(), PEOPLE);
    let after = world.oracle().await;
    for n in 1..=PEOPLE {
        let login = format!("person-{n:04}@lab.example");
        let breached = n <= BREACHED;
        let blocked = effects(&after, &login, "blocked");
        assert_eq!(blocked, if breached { 2 } else { 0 }, "{login}: one block an account");
        let revoked_anew = effects(&after, &login, "sessions revoked")
            - effects(&before, &login, "sessions revoked");
        assert_eq!(revoked_anew > 0, breached, "{login}");
    }
    assert_eq!(after["tickets"].as_array().unwrap().len(), PEOPLE, "one ticket a person, ever");
    world.stop();
    world.prove(&["store", "verify"]);
}

fn effects(oracle: &Value, login: &str, effect: &str) -> usize {
    let calls = oracle["calls"].as_array().unwrap();
    calls.iter().filter(|c| c["login"] == login && c["effect"] == effect).count()
}
