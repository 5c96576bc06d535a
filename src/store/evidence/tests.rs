//! Records survive what was acknowledged to survive, and go when their time is over.

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::store::hold::hold;
use crate::store::journal::torn::TornMedium;

struct Held(Mutex<Time>);

#[async_trait]
impl Clock for Held {
    fn now(&self) -> Time {
        *hold(&self.0)
    }
    async fn sleep_until(&self, _at: Time) {}
}

fn at(text: &str) -> Time {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn open(medium: &TornMedium) -> (EvidenceLog, Arc<Held>) {
    let clock = Arc::new(Held(Mutex::new(at("2026-11-22T04:10:00Z"))));
    (EvidenceLog::open(Arc::new(medium.clone()), clock.clone()).unwrap(), clock)
}

fn replayed(log: &EvidenceLog, since: &str) -> (Vec<Value>, u64) {
    let mut replay = log.replay(at(since)).unwrap();
    let values = replay.by_ref().map(Result::unwrap).collect();
    (values, replay.torn)
}

#[tokio::test]
async fn records_come_back_by_the_hour_and_go_by_age() {
    let medium = TornMedium::default();
    let (log, clock) = open(&medium);
    log.append(vec![json!({"n": 1}), json!({"n": 2})]).await.unwrap();
    *hold(&clock.0) = at("2026-11-22T05:00:00Z");
    log.append(vec![json!({"n": 3})]).await.unwrap();

    assert_eq!(medium.list().unwrap(), ["2026-11-22T04.ndjson", "2026-11-22T05.ndjson"]);
    assert_eq!(replayed(&log, "2026-11-22T04:59:00Z").0.len(), 3);
    assert_eq!(replayed(&log, "2026-11-22T05:00:00Z").0, [json!({"n": 3})]);
    assert_eq!(log.drop_before(at("2026-11-22T05:00:00Z")).unwrap(), 1);
    assert_eq!(replayed(&log, "2026-11-22T00:00:00Z").0, [json!({"n": 3})]);
}

#[tokio::test]
async fn a_torn_line_is_passed_over_and_does_not_swallow_the_next() {
    let medium = TornMedium::default();
    let (log, _) = open(&medium);
    log.append(vec![json!({"n": 1})]).await.unwrap();
    drop(log);
    medium.edit("2026-11-22T04.ndjson", |bytes| bytes.extend_from_slice(b"{\"n\": "));

    let (log, _) = open(&medium);
    log.append(vec![json!({"n": 2})]).await.unwrap();

    let expected = (vec![json!({"n": 1}), json!({"n": 2})], 1);
    assert_eq!(replayed(&log, "2026-11-22T04:00:00Z"), expected);
}

#[tokio::test]
async fn a_full_disk_keeps_nothing_of_a_refused_append() {
    let medium = TornMedium::default();
    let (log, _) = open(&medium);
    log.append(vec![json!({"n": 1})]).await.unwrap();
    medium.set_room(Some(12));

    let refused = log.append(vec![json!({"n": 2}), json!({"n": 3})]).await;
    assert!(matches!(refused, Err(StoreError::Busy(_))));
    medium.set_room(None);
    log.append(vec![json!({"n": 4})]).await.unwrap();

    let expected = (vec![json!({"n": 1}), json!({"n": 4})], 0);
    assert_eq!(replayed(&log, "2026-11-22T04:00:00Z"), expected);
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_cut() {
    for seed in 0..50 {
        let medium = TornMedium::default();
        let (log, _) = open(&medium);
        let mut acknowledged = Vec::new();
        medium.cut_after(8);
        for n in 0..20 {
            if log.append(vec![json!({ "n": n })]).await.is_ok() {
                acknowledged.push(json!({ "n": n }));
            }
        }
        drop(log);

        let (log, _) = open(&medium.power_cut(seed));

        let found = replayed(&log, "2026-11-22T04:00:00Z").0;
        assert!(!acknowledged.is_empty());
        assert!(found.starts_with(&acknowledged), "seed {seed}");
    }
}
