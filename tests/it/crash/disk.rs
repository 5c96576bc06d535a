//! A disk that is full, read-only, or somebody else's: refused politely, nothing lost, and taken up again.

use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

use super::operator::Operator;
use super::{Burst, Mount, SETTINGS, prove, quell_says, told};
use crate::world::{PATIENCE, SECRET, World, alert, quell};

const ALERTS: usize = 120;

/// Rounds of filling the disk and giving the room back.
const ROUNDS: usize = 4;

/// A small disk, if this machine lets us have one.
fn small_disk(folder: &Path) -> Option<Mount> {
    let options = ["-t", "tmpfs", "-o", "size=24m", "quell-test"];
    match Mount::new(folder.join("disk"), &options) {
        Ok(mount) => Some(mount),
        Err(why) => {
            println!("MISSING: a small file system to fill ({why}): the full disk was not tried");
            None
        }
    }
}

/// Takes all the room there is, but `spare` bytes.
fn fill(disk: &Path, spare: usize) {
    let ballast = disk.join("ballast");
    let full =
        std::io::copy(&mut std::io::repeat(7), &mut std::fs::File::create(&ballast).unwrap());
    assert_eq!(full.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    if spare > 0 {
        let file = std::fs::File::options().write(true).open(&ballast).unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(size.saturating_sub(u64::try_from(spare).unwrap())).unwrap();
    }
}

fn empty(disk: &Path) {
    std::fs::remove_file(disk.join("ballast")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_turns_senders_away_and_is_taken_up_again_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(folder.path()) else { return };
    let began = Instant::now();
    let data = disk.at.join("data");
    let mut world = World::on(tempfile::tempdir().unwrap(), data, ALERTS, SETTINGS);
    let mut operator = Operator::enrol(&world).await;
    let mut receipts = std::collections::BTreeMap::new();
    let mut refused = 0;
    let each = ALERTS / ROUNDS;

    for round in 0..ROUNDS {
        let numbers = round * each + 1..=round * each + each / 2;
        let mut burst = Burst::of(&world, numbers.clone());
        for _ in 0..each / 3 {
            burst.acks.recv().await.unwrap();
        }
        fill(&disk.at, 0);
        refused += until_refused(&world, *numbers.end()).await;
        // These meet a full disk, and are acknowledged once there is room.
        let late = Burst::of(&world, *numbers.end() + 1..=(round + 1) * each);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let early = late.acknowledged();
        empty(&disk.at);
        receipts.extend(burst.end().await);
        receipts.extend(late.end().await);
        assert_eq!(early, 0, "round {round}: acknowledged while the disk was full");
        assert_eq!(world.get("/readyz").await["status"], "ready");
    }
    timelines_are_read(&world).await;
    let proof = prove(&mut world, &mut operator, &receipts).await;

    println!(
        "full disk: {ROUNDS} times full, {refused} answers of 503 seen, {} alerts acknowledged, {} runs \
         ended, {} effects, {} doubled, {} lost, without a restart; {} s",
        proof.acknowledged,
        proof.runs,
        proof.effects,
        proof.doubled,
        proof.lost,
        began.elapsed().as_secs(),
    );
    assert_eq!((proof.acknowledged, proof.lost, proof.doubled), (ALERTS, 0, 0));
}

/// Posts more about the person `n` until the sender is turned away, with the time to come back. How
/// often it was.
async fn until_refused(world: &World, n: usize) -> usize {
    let deadline = Instant::now() + PATIENCE;
    for noise in 0.. {
        let mut body = alert(n, "suspected");
        body["id"] = json!(format!("noise-{n}-{noise}"));
        body["reason"] = json!("6 prompts denied in 4 minutes, ".repeat(50));
        let answer = world
            .client
            .post(format!("{}/v1/hooks/siem", world.url))
            .bearer_auth(SECRET)
            .body(body.to_string())
            .timeout(Duration::from_millis(500))
            .send()
            .await;
        if let Ok(answer) = answer
            && answer.status() == 503
        {
            assert!(answer.headers().contains_key("retry-after"));
            return 1;
        }
        assert!(Instant::now() < deadline, "nobody was turned away");
    }
    0
}

/// The pages that ask the index answer again.
async fn timelines_are_read(world: &World) {
    for incident in world.all("/v1/incidents").await {
        let id = incident["id"].as_str().unwrap();
        let timeline = world.get(&format!("/v1/incidents/{id}/timeline")).await;
        assert!(!timeline["items"].as_array().unwrap().is_empty(), "{timeline}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_full_disk_serves_or_says_why_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(folder.path()) else { return };
    let data = disk.at.join("data");
    let mut world = World::on(tempfile::tempdir().unwrap(), data, ALERTS, SETTINGS);
    let mut operator = Operator::enrol(&world).await;
    let mut burst = Burst::of(&world, 1..=20);
    burst.acks.recv().await.unwrap();
    let receipts = burst.end().await;
    world.kill();

    fill(&disk.at, 0);
    let (code, said) = serve_briefly(&mut world);
    empty(&disk.at);
    world.start();
    let proof = prove(&mut world, &mut operator, &receipts).await;

    println!("start on a full disk: {said}; afterwards {} lost", proof.lost);
    assert!(code == 2 && said.contains("No space left") || code == 0, "{code}: {said}");
    assert_eq!((proof.acknowledged, proof.lost, proof.doubled), (20, 0, 0));
}

/// Starts the server; what it came to: exit code and message, or 0 if it serves.
fn serve_briefly(world: &mut World) -> (i32, String) {
    let before = world.log().len();
    world.spawn();
    if let Some(code) = world.ends_or_serves() {
        return (code, world.log()[before..].lines().last().unwrap_or_default().to_owned());
    }
    world.kill();
    (0, "it served".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_and_a_read_only_folder_are_refused_by_name() {
    let mut world = World::new(2, SETTINGS);
    let mut operator = Operator::enrol(&world).await;
    let burst = Burst::of(&world, 1..=1);
    let mut receipts = burst.end().await;

    let (code, said) = told(quell(world.folder.path()).arg("serve"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("in use by another process"), "{said}");
    let (code, said) = quell_says(&["store", "verify"], &world.data());
    assert_eq!((code, said.contains("in use by another process")), (2, true), "{said}");
    receipts.extend(Burst::of(&world, 2..=2).end().await);
    let proof = prove(&mut world, &mut operator, &receipts).await;
    assert_eq!((proof.acknowledged, proof.lost), (2, 0));

    let data = world.data();
    let at = data.to_str().unwrap();
    let bound = Mount::new(data.clone(), &["--bind", at]);
    let read_only = bound.and_then(|mount| {
        super::run(std::process::Command::new("mount").args(["-o", "remount,ro,bind", at]))?;
        Ok(mount)
    });
    match read_only {
        Err(why) => {
            println!("MISSING: a read-only mount ({why}): the read-only folder was not tried");
        }
        Ok(_mount) => {
            let (code, said) = told(quell(world.folder.path()).arg("serve"));
            assert_eq!(code, 2, "{said}");
            assert!(said.to_lowercase().contains("read-only"), "{said}");
            println!("read-only folder: exit {code}, {}", said.lines().last().unwrap_or_default());
        }
    }
    world.start();
    world.stop();
}
