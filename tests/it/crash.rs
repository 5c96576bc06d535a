//! kill -9, fifty times, in a burst of two hundred alerts: nothing acknowledged is lost, nothing is done twice.

use futures::StreamExt as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, RwLock, mpsc};

use crate::world::{World, alert};

const ALERTS: usize = 200;
const KILLS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn crash_fifty_times_in_a_burst_loses_and_doubles_nothing() {
    let world = Arc::new(RwLock::new(World::new(ALERTS, "[policy]\nmode = \"auto\"\n")));
    let receipts: Arc<Mutex<BTreeMap<usize, Value>>> = Arc::default();
    let (acknowledged, mut acks) = mpsc::unbounded_channel();
    let posting = {
        let (world, receipts) = (world.clone(), receipts.clone());
        tokio::spawn(async move {
            futures::stream::iter(1..=ALERTS)
                .for_each_concurrent(6, |n| {
                    let (world, receipts, acknowledged) =
                        (world.clone(), receipts.clone(), acknowledged.clone());
                    async move {
                        let answer = until_acknowledged(&world, n).await;
                        receipts.lock().await.insert(n, answer);
                        _ = acknowledged.send(());
                    }
                })
                .await;
        })
    };
    let mut dice = rand::rngs::StdRng::seed_from_u64(20_261_122);
    for _ in 0..KILLS {
        for _ in 0..dice.random_range(1..=5) {
            // Once all alerts are in, the kills go on while their runs are at work.
            if acks.recv().await.is_none() {
                tokio::time::sleep(Duration::from_millis(dice.random_range(1..40))).await;
                break;
            }
        }
        let mut world = world.write().await;
        world.kill();
        world.start();
    }
    posting.await.unwrap();
    let mut world =
        Arc::try_unwrap(world).unwrap_or_else(|_| panic!("nobody else has it")).into_inner();
    let runs = world.quiet().await;

    let receipts = receipts.lock().await.clone();
    prove(&mut world, &receipts, &runs).await;
    println!(
        "{KILLS} kills, {ALERTS} alerts acknowledged, 0 lost, 0 tickets doubled, the chain verifies"
    );
}

/// Every acknowledged alert is there, everything ended, and the lab saw no ticket twice.
async fn prove(world: &mut World, receipts: &BTreeMap<usize, Value>, runs: &[Value]) {
    assert_eq!(receipts.len(), ALERTS);
    for (n, answer) in receipts {
        let (status, again) = world.post("siem", &numbered(*n)).await.unwrap();
        assert_eq!(
            (status, &again["receipt"]),
            (202, &answer["receipt"]),
            "alert {n} was acknowledged and lost"
        );
        assert_eq!(again["duplicate"], true);
    }
    assert_eq!(world.all("/v1/incidents").await.len(), ALERTS);
    assert_eq!(runs.len(), ALERTS);
    let ended: Vec<&Value> = runs.iter().filter(|r| r["status"] != "succeeded").collect();
    assert!(ended.is_empty(), "{ended:#?}");
    let oracle = world.oracle().await;
    let tickets = oracle["tickets"].as_array().unwrap();
    let distinct: std::collections::BTreeSet<String> =
        tickets.iter().map(|t| t["correlation_id"].to_string()).collect();
    assert_eq!(
        (tickets.len(), distinct.len()),
        (ALERTS, ALERTS),
        "tickets opened, and distinct ones"
    );
    world.stop();
    world.prove(&["audit", "verify"]);
    world.prove(&["store", "verify"]);
}

fn numbered(n: usize) -> Value {
    let mut body = alert(n, "suspected");
    body["id"] = json!(format!("crash-{n}"));
    body
}

/// Posts until it is acknowledged, as senders do.
async fn until_acknowledged(world: &RwLock<World>, n: usize) -> Value {
    loop {
        // The lock is not held while posting: the kill must be able to come in the middle.
        let (client, url) = {
            let world = world.read().await;
            (world.client.clone(), world.url.clone())
        };
        let sent = client
            .post(format!("{url}/v1/hooks/siem"))
            .bearer_auth(crate::world::SECRET)
            .body(numbered(n).to_string())
            .timeout(Duration::from_secs(10))
            .send()
            .await;
        if let Ok(answer) = sent
            && answer.status() == 202
            && let Ok(answer) = answer.json().await
        {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
