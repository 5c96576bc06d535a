//! Quell beside the least that could do the same work, in one run on one machine: ratios travel, milliseconds do not.
//!
//! `tests/run bench [--quick] [PART…]`; the parts are `rest`, `flight`, `burst`, `events`, `size` and `start`.
//! README.md beside this file says what is compared and what was learned.
#![expect(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench is a program of its own: it counts in fractions, tells on standard output, makes its own tasks and gives up on any surprise"
)]

mod floor;
mod gauge;
mod load;
mod side;
mod table;
mod vendor;
mod wire;

use std::time::{Duration, Instant};

use gauge::{ms, percentile};
use load::{Latency, Rate};
use side::Side;
use table::Table;
use vendor::Vendor;

pub(crate) const SECRET: &str = "bench-ingest-secret";

const PARTS: [&str; 6] = ["rest", "flight", "burst", "events", "size", "start"];

/// How much is done in each part.
struct Amounts {
    rounds: u64,
    rest: u64,
    flight: u64,
    burst: u64,
    event_batches: u64,
    subjects: u64,
    finished: u64,
    waiting: u64,
}

const FULL: Amounts = Amounts {
    rounds: 3,
    rest: 200,
    flight: 12_800,
    burst: 2_000,
    event_batches: 12_000,
    subjects: 1_000_000,
    finished: 100_032,
    waiting: 10_048,
};
const QUICK: Amounts = Amounts {
    rounds: 1,
    rest: 100,
    flight: 3_200,
    burst: 2_000,
    event_batches: 1_600,
    subjects: 100_000,
    finished: 6_400,
    waiting: 640,
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if args.first().is_some_and(|a| a == "floor") {
        let (port, vendor) = (args[1].parse().unwrap(), args[2].parse().unwrap());
        return runtime.block_on(floor::serve(port, vendor, args[3].as_ref()));
    }
    let amounts = if args.iter().any(|a| a == "--quick") { QUICK } else { FULL };
    let named: Vec<&str> = args.iter().map(String::as_str).filter(|a| *a != "--quick").collect();
    if let Some(unknown) = named.iter().find(|name| !PARTS.contains(name)) {
        println!("bench: there is no part `{unknown}`; the parts are {}", PARTS.join(", "));
        std::process::exit(2);
    }
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
    runtime.block_on(measure(&amounts, &wanted));
}

async fn measure(amounts: &Amounts, wanted: &dyn Fn(&str) -> bool) {
    let vendor = Vendor::default();
    let port = vendor.start().await;
    let mut table = Table::default();
    if wanted("rest") {
        rest(amounts, &vendor, port, &mut table).await;
    }
    if wanted("flight") {
        flight(amounts, &vendor, port, &mut table).await;
    }
    if wanted("burst") {
        burst(amounts, &vendor, port, &mut table).await;
    }
    if wanted("events") {
        events(amounts, port, &mut table).await;
    }
    if wanted("size") {
        size(amounts, &vendor, port, &mut table).await;
    }
    if wanted("start") {
        start(&vendor, port, &mut table).await;
    }
    println!("\n{table}");
}

/// Both sides, warmed up.
async fn sides(vendor: &Vendor, port: u16) -> [Side; 2] {
    let sides = [Side::floor(port), Side::quell(port)];
    for side in &sides {
        load::at_rest(side, vendor, 50, &mut Latency::default()).await;
    }
    sides
}

async fn rest(amounts: &Amounts, vendor: &Vendor, port: u16, table: &mut Table) {
    let [floor, quell] = sides(vendor, port).await;
    let (mut least, mut ours) = (Latency::default(), Latency::default());
    // So is the warm-up's last.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let commits = quell.commits();
    for _ in 0..amounts.rounds {
        load::at_rest(&floor, vendor, amounts.rest, &mut least).await;
        load::at_rest(&quell, vendor, amounts.rest, &mut ours).await;
    }
    // The last outcome is still on its way when its call has come.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let runs = amounts.rounds * amounts.rest;
    let commits = (quell.commits() - commits) as f64 / runs as f64;
    table.count("durable commits of a 4-step run", commits, 5.0);
    for (name, percent, bar) in [("p50", 50, 1.5), ("p99", 99, 2.0)] {
        let first = (percentile(&mut least.first, percent), percentile(&mut ours.first, percent));
        let fourth =
            (percentile(&mut least.fourth, percent), percentile(&mut ours.fourth, percent));
        table.slower(
            &format!("alert → first call, at rest, {name} (ms)"),
            ms(first.0),
            ms(first.1),
            bar,
        );
        table.slower(
            &format!("alert → fourth call, at rest, {name} (ms)"),
            ms(fourth.0),
            ms(fourth.1),
            bar,
        );
    }
}

async fn flight(amounts: &Amounts, vendor: &Vendor, port: u16, table: &mut Table) {
    let [floor, quell] = sides(vendor, port).await;
    let (mut least, mut ours): (Vec<Rate>, Vec<Rate>) = (Vec::new(), Vec::new());
    for _ in 0..amounts.rounds {
        least.push(load::in_flight(&floor, vendor, 64, amounts.flight).await);
        ours.push(load::in_flight(&quell, vendor, 64, amounts.flight).await);
        vendor.forget();
    }
    let best = |rates: &[Rate]| rates.iter().map(Rate::per_second).fold(0.0, f64::max);
    let cpu = |rates: &[Rate]| rates.iter().map(Rate::cpu_ms).fold(f64::MAX, f64::min);
    table.faster("runs a second, 64 in flight", best(&least), best(&ours), 0.45);
    table.slower("processor time of a run (ms)", cpu(&least), cpu(&ours), 2.5);
}

async fn burst(amounts: &Amounts, vendor: &Vendor, port: u16, table: &mut Table) {
    let [floor, quell] = sides(vendor, port).await;
    let (mut least, mut ours, mut lost) = (Vec::new(), Vec::new(), 0);
    for _ in 0..amounts.rounds {
        least.push(load::burst(&floor, vendor, amounts.burst).await.0);
        let (took, missing) = load::burst(&quell, vendor, amounts.burst).await;
        ours.push(took);
        lost += missing;
    }
    let name = format!("burst of {} alerts, all contained (ms)", amounts.burst);
    table.slower(&name, ms(percentile(&mut least, 50)), ms(percentile(&mut ours, 50)), 2.2);
    table.count("alerts of the bursts lost", lost as f64, 0.0);
}

async fn events(amounts: &Amounts, port: u16, table: &mut Table) {
    let quell = Side::quell(port);
    let rate = load::events(&quell, amounts.subjects, amounts.event_batches).await;
    let per_core = rate.runs as f64 / rate.cpu.as_secs_f64();
    table.least("raw events a second and core, batches of 100", per_core, 50_000.0);
    let name = format!("memory with {} subjects (MB)", amounts.subjects);
    table.count(&name, gauge::resident(quell.pid()), 512.0);
}

async fn size(amounts: &Amounts, vendor: &Vendor, port: u16, table: &mut Table) {
    let mut quell = Side::quell(port);
    tokio::time::sleep(Duration::from_secs(2)).await;
    table.count("memory at rest (MB)", gauge::resident(quell.pid()), 40.0);
    load::in_turn(&quell, vendor, "mfa_fraud_reported", (64, amounts.waiting), 1).await;
    for _ in 0..10 {
        load::in_turn(&quell, vendor, "mfa_fatigue", (64, amounts.finished / 10), 4).await;
        vendor.forget();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let name =
        format!("memory, {} finished and {} waiting runs (MB)", amounts.finished, amounts.waiting);
    table.count(&name, gauge::resident(quell.pid()), 150.0);
    let commits = quell.commits();
    let ready = quell.kill_and_start();
    table.count(&format!("ready after kill -9, {commits} commits (s)"), ready.as_secs_f64(), 1.5);
    tokio::time::sleep(Duration::from_secs(2)).await;
    table.count("memory after that start (MB)", gauge::resident(quell.pid()), 150.0);
}

async fn start(vendor: &Vendor, port: u16, table: &mut Table) {
    let mut cold = Vec::new();
    for _ in 0..5 {
        let mut quell = Side::quell(port);
        quell.kill();
        // As an operator would find it: made, never served.
        let began = Instant::now();
        quell.start();
        load::at_rest(&quell, vendor, 1, &mut Latency::default()).await;
        cold.push(began.elapsed());
    }
    let cold = percentile(&mut cold, 50);
    table.count("cold start to first contained run (s)", cold.as_secs_f64(), 0.3);
    let bytes = std::fs::metadata(side::binary()).unwrap().len();
    table.count("release binary (MB)", bytes as f64 / 1e6, 30.0);
}
