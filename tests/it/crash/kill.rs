//! kill -9 at random moments of a burst: at work, while the process starts, and while it writes its index.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::operator::Operator;
use super::{Burst, SETTINGS, prove};
use crate::world::World;

const ALERTS: usize = 500;
/// A shorter burst for the everyday check: `QUELL_KILLS`.
#[expect(clippy::disallowed_methods, reason = "how many is asked for by the shell")]
fn kills() -> usize {
    std::env::var("QUELL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(200)
}

const SEED: u64 = 20_261_122;

/// How long the index may take to be written before the process is killed anyway.
const INDEX_PATIENCE: Duration = Duration::from_millis(500);

/// When a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// After so many acknowledgements and so long.
    AtWork { acks: usize, then: Duration },
    /// So long after it was started, which may be before it serves.
    Starting { after: Duration },
    /// When the index's file changes.
    WritingIndex,
}

impl Moment {
    fn throw(dice: &mut StdRng, start: Duration) -> Self {
        let micros = |dice: &mut StdRng, most: Duration| {
            let most = u64::try_from(most.as_micros()).unwrap();
            Duration::from_micros(dice.random_range(0..=most))
        };
        match dice.random_range(0..10) {
            0..3 => Self::Starting { after: micros(dice, start) },
            3 => Self::WritingIndex,
            _ => Self::AtWork {
                acks: dice.random_range(1..=3),
                then: micros(dice, Duration::from_millis(20)),
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_in_a_burst_lose_and_double_nothing() {
    let began = Instant::now();
    let mut world = World::new(ALERTS, SETTINGS);
    let mut operator = Operator::enrol(&world).await;
    world.kill();
    let start = Instant::now();
    world.start();
    let start = start.elapsed();
    let mut dice = StdRng::seed_from_u64(SEED);
    let mut burst = Burst::of(&world, 1..=ALERTS);

    let (mut at_start, mut at_index) = (0, 0);
    let kills = kills();
    for _ in 0..kills {
        match Moment::throw(&mut dice, start) {
            Moment::AtWork { acks, then } => {
                work(&mut burst, acks).await;
                tokio::time::sleep(then).await;
            }
            Moment::WritingIndex => at_index += usize::from(index_written(&world).await),
            Moment::Starting { after } => {
                world.kill();
                world.spawn();
                tokio::time::sleep(after).await;
                at_start += usize::from(!world.is_up());
            }
        }
        world.kill();
        world.start();
    }
    let receipts = burst.end().await;
    let proof = prove(&mut world, &mut operator, &receipts).await;

    println!(
        "kills (seed {SEED}): {kills}, {at_start} of them before it served and {at_index} as the index was \
         written; {} alerts acknowledged, {} runs ended ({} resumed by a person), {} effects, \
         {} doubled, {} lost; {} s",
        proof.acknowledged,
        proof.runs,
        proof.resumed,
        proof.effects,
        proof.doubled,
        proof.lost,
        began.elapsed().as_secs(),
    );
    assert_eq!((proof.acknowledged, proof.lost, proof.doubled), (ALERTS, 0, 0));
    assert!(
        at_start >= kills / 20 && at_index >= kills / 40,
        "{at_start} at the start, {at_index} at the index"
    );
}

/// Waits for so many acknowledgements, or for the end of the burst.
async fn work(burst: &mut Burst, acks: usize) {
    for _ in 0..acks {
        if burst.acks.recv().await.is_none() {
            return;
        }
    }
}

/// Returns as soon as a file of the index changes; whether one did.
async fn index_written(world: &World) -> bool {
    let (before, deadline) = (newest(world), Instant::now() + INDEX_PATIENCE);
    while Instant::now() < deadline {
        if newest(world) != before {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

fn newest(world: &World) -> Option<(SystemTime, PathBuf)> {
    let entries = std::fs::read_dir(world.data().join("index")).ok()?;
    let times = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
    });
    times.max()
}
