//! Plays many stories, tells what they came to, and prints the command that plays a broken one again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::shrink::shrink;
use super::story::Story;
use super::{Told, tell};

/// Stories in one go: a few beside every other test, all of them where the code is optimised.
const SEEDS: u64 = if cfg!(debug_assertions) { 300 } else { 20_000 };
/// Broken stories that are told before the rest is left.
const SHOWN: u64 = 25;

#[expect(clippy::disallowed_methods, reason = "the replay of one seed is asked for by the shell")]
pub(in crate::engine::sim) fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[derive(Default)]
struct Sum {
    told: Told,
    broken: Vec<(u64, Vec<String>)>,
}

impl Sum {
    fn add(&mut self, seed: u64, told: Told) {
        for (fault, n) in told.faults {
            *self.told.faults.entry(fault).or_default() += n;
        }
        self.told.deaths += told.deaths;
        self.told.approvals += told.approvals;
        self.told.effects += told.effects;
        self.told.commits += told.commits;
        if !told.wrong.is_empty() {
            self.broken.push((seed, told.wrong));
        }
    }
}

/// Two threads, each taking the next seed.
fn play(from: u64, to: u64) -> Sum {
    let shown = asked("QUELL_SIM_SHOWN").unwrap_or(SHOWN);
    let (next, sum) = (Arc::new(AtomicU64::new(from)), Arc::new(Mutex::new(Sum::default())));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (next, sum) = (next.clone(), sum.clone());
            std::thread::spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= to || sum.lock().unwrap().broken.len() as u64 >= shown {
                        return;
                    }
                    let told = tell(&Story::draw(seed), false);
                    sum.lock().unwrap().add(seed, told);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    std::mem::take(&mut *sum.lock().unwrap())
}

#[expect(clippy::print_stdout, reason = "the figures and a replay are for people")]
fn replay(seed: u64) {
    let story = Story::draw(seed);
    let told = tell(&story, true);
    println!("{}\n{story:#?}", told.trace);
    assert!(told.wrong.is_empty(), "seed {seed}:\n{}", told.wrong.join("\n"));
}

#[expect(clippy::print_stdout, reason = "the figures are for people")]
fn say(sum: &Sum, seeds: u64, seconds: f64) {
    let faults: BTreeMap<String, u64> =
        sum.told.faults.iter().map(|(fault, n)| (format!("{fault:?}"), *n)).collect();
    let Told { deaths, approvals, effects, commits, .. } = &sum.told;
    println!(
        "simulation: {seeds} seeds, {commits} commits, {effects} effects, {approvals} decisions, \
         {deaths} crashes, faults {faults:?}, {seconds:.0} s"
    );
}

/// Each broken promise with its first seed, and how to see it again.
fn by_promise(sum: &Sum) -> String {
    let mut first: BTreeMap<&str, (usize, u64, &str)> = BTreeMap::new();
    for (seed, wrong) in &sum.broken {
        for text in wrong {
            let name = text.split(':').next().unwrap_or_default();
            first.entry(name).or_insert((0, *seed, text)).0 += 1;
        }
    }
    let line = |(times, seed, text): &(usize, u64, &str)| {
        format!("\n{text}\n  {times} times; replay: tests/run sim --seed {seed}")
    };
    first.values().map(line).collect()
}

#[test]
fn no_story_breaks_a_promise() {
    if let Some(seed) = asked("QUELL_SIM_SEED") {
        return replay(seed);
    }
    let seeds = asked("QUELL_SIM_SEEDS").unwrap_or(SEEDS);
    let from = asked("QUELL_SIM_FROM").unwrap_or(0);
    let begun = std::time::Instant::now();

    let sum = play(from, from + seeds);

    say(&sum, seeds, begun.elapsed().as_secs_f64());
    let mut text = by_promise(&sum);
    if let Some((seed, wrong)) = sum.broken.first()
        && asked("QUELL_SIM_SHRINK") != Some(0)
    {
        let small = shrink(&Story::draw(*seed), wrong);
        write!(text, "\nsmallest story of seed {seed}: {:#?}", small.acts).unwrap();
    }
    assert!(sum.broken.is_empty(), "{text}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let more = 0..asked("QUELL_SIM_SAME").unwrap_or(20);
    for seed in [77, 1234].into_iter().chain(more) {
        let told = || tell(&Story::draw(seed), true).trace;

        assert_eq!(told(), told(), "seed {seed}");
    }
}
