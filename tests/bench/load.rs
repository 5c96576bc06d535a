//! The load: alerts about people nobody heard of before, and how long their calls take to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::gauge;
use crate::side::Side;
use crate::vendor::Vendor;
use crate::wire::Poster;

/// A person that no phase has used yet.
static PEOPLE: AtomicU64 = AtomicU64::new(1);

/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn people(n: u64) -> std::ops::Range<u64> {
    let first = PEOPLE.fetch_add(n, Ordering::Relaxed);
    first..first + n
}

pub(crate) fn alert(person: u64, kind: &str) -> String {
    format!(
        "{{\"id\":\"alert-{person}\",\"kind\":\"{kind}\",\"account\":{{\"provider_id\":\"{person}\",\
         \"login\":\"person-{person}@bench.example\"}},\"stage\":\"confirmed\",\
         \"reason\":\"6 prompts denied in 4 minutes\",\"rule\":\"bench\"}}"
    )
}

/// From the alert's first byte to the first and to the fourth call.
#[derive(Default)]
pub(crate) struct Latency {
    pub(crate) first: Vec<Duration>,
    pub(crate) fourth: Vec<Duration>,
}

/// One alert at a time, with nothing else going on.
pub(crate) async fn at_rest(side: &Side, vendor: &Vendor, runs: u64, into: &mut Latency) {
    let mut poster = Poster::new(side.port).await;
    for person in people(runs) {
        tokio::time::sleep(Duration::from_millis(4)).await;
        let done = vendor.called(person, 4);
        let began = Instant::now();
        assert_eq!(poster.post("/v1/hooks/siem", &alert(person, "mfa_fatigue")).await, 202);
        tokio::time::timeout(PATIENCE, done).await.unwrap().unwrap();
        into.first.push(vendor.when(person, 1).unwrap() - began);
        into.fourth.push(vendor.when(person, 4).unwrap() - began);
    }
}

/// How much was done, in which time and with which processor time.
pub(crate) struct Rate {
    pub(crate) runs: u64,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}

impl Rate {
    pub(crate) fn per_second(&self) -> f64 {
        self.runs as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn cpu_ms(&self) -> f64 {
        gauge::ms(self.cpu) / self.runs as f64
    }
}

/// So many alerts under way at once, each replaced when its fourth call has come.
pub(crate) async fn in_flight(side: &Side, vendor: &Vendor, width: u64, runs: u64) -> Rate {
    let (cpu, began) = (gauge::cpu(side.pid()), Instant::now());
    in_turn(side, vendor, "mfa_fatigue", (width, runs), 4).await;
    let took = began.elapsed();
    Rate { runs: runs / width * width, took, cpu: gauge::cpu(side.pid()).saturating_sub(cpu) }
}

/// Posts so many alerts, so many of them under way at once, each replaced when its `last` call has come.
pub(crate) async fn in_turn(
    side: &Side,
    vendor: &Vendor,
    kind: &'static str,
    (width, runs): (u64, u64),
    last: u8,
) {
    let each = runs / width;
    let workers: Vec<_> = (0..width)
        .map(|_| {
            let (port, vendor) = (side.port, vendor.clone());
            tokio::spawn(async move {
                let mut poster = Poster::new(port).await;
                for person in people(each) {
                    let done = vendor.called(person, last);
                    let status = poster.post("/v1/hooks/siem", &alert(person, kind)).await;
                    assert_eq!(status, 202);
                    tokio::time::timeout(PATIENCE, done).await.unwrap().unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// All alerts as fast as they are taken; from the first byte to the last fourth call.
pub(crate) async fn burst(side: &Side, vendor: &Vendor, alerts: u64) -> (Duration, u64) {
    let everybody = people(alerts);
    let waits: Vec<_> = everybody.clone().map(|person| vendor.called(person, 4)).collect();
    let next = Arc::new(AtomicU64::new(everybody.start));
    let began = Instant::now();
    let senders: Vec<_> = (0..64)
        .map(|_| {
            let (port, next, end) = (side.port, next.clone(), everybody.end);
            tokio::spawn(async move {
                let mut poster = Poster::new(port).await;
                loop {
                    let person = next.fetch_add(1, Ordering::Relaxed);
                    if person >= end {
                        return;
                    }
                    let body = alert(person, "mfa_fatigue");
                    assert_eq!(poster.post("/v1/hooks/siem", &body).await, 202);
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    for wait in waits {
        tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap();
    }
    let took = began.elapsed();
    let lost = everybody.filter(|person| vendor.count(*person) < 4).count();
    (took, u64::try_from(lost).unwrap())
}

/// Batches of raw events: quiet sign-ins, each person's own. Returns what it cost.
pub(crate) async fn events(side: &Side, subjects: u64, batches: u64) -> Rate {
    let (cpu, began) = (gauge::cpu(side.pid()), Instant::now());
    let each = batches / 8;
    let workers: Vec<_> = (0..8_u64)
        .map(|worker| {
            let port = side.port;
            tokio::spawn(async move {
                let mut poster = Poster::new(port).await;
                for batch in 0..each {
                    let first = (worker * each + batch) * 100;
                    let body = batch_of(first, subjects);
                    assert_eq!(poster.post("/v1/hooks/idp", &body).await, 202);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    Rate {
        runs: each * 8 * 100,
        took: began.elapsed(),
        cpu: gauge::cpu(side.pid()).saturating_sub(cpu),
    }
}

fn batch_of(first: u64, subjects: u64) -> String {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let rows: Vec<String> = (first..first + 100)
        .map(|n| {
            let person = n % subjects;
            format!(
                "{{\"id\":\"event-{n}\",\"kind\":\"sign_in\",\"account\":{{\"provider_id\":\"u{person}\",\
                 \"login\":\"user-{person}@bench.example\"}},\"time\":\"{now}\",\"outcome\":\"succeeded\",\
                 \"factor\":\"push\",\"ip\":\"198.51.{}.{}\",\"device\":\"device-{person}\",\"app\":\"mail\"}}",
                person / 250 % 250,
                person % 250
            )
        })
        .collect();
    format!("[{}]", rows.join(","))
}
