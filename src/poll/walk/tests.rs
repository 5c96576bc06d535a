//! Any pages, repetitions, late records, failures and deaths: every record is taken in, and none twice.

use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

use super::*;
use crate::intake::{Kind, Parsed, Record, parse};
use crate::model::id::EventId;
use crate::model::time::rfc3339;
use crate::poll::known::Known;
use crate::poll::logs::ALL;

const OVERLAP: i64 = 600;
/// When the first poll is made.
const START: i64 = 1_777_975_200;

fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap()
}

fn log(name: &str) -> &'static Log {
    ALL.iter().find(|log| log.name == name).unwrap()
}

/// A record of the provider's: when it happened, and when it can first be seen.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: usize,
    at: i64,
    shown: i64,
}

/// A provider that answers as one of these logs does.
struct Provider {
    log: &'static Log,
    rows: Vec<Row>,
    size: usize,
    /// Records that a page repeats of the page before it.
    repeats: usize,
}

impl Provider {
    /// What a record is sorted by; Okta sorts by when it wrote.
    fn key(&self, row: &Row) -> (i64, usize) {
        match self.log.kind {
            Kind::Okta => (row.shown, row.id),
            Kind::Entra => (-row.at, row.id),
            _ => (row.at, row.id),
        }
    }

    fn answer(&self, ask: &Ask<'_>, now: i64) -> (Vec<Row>, Page) {
        let after: Option<(i64, usize)> = ask.next.map(|next| {
            let (key, id) = next.split_once(' ').unwrap();
            (key.parse().unwrap(), id.parse().unwrap())
        });
        let mut rows: Vec<Row> = self
            .rows
            .iter()
            .copied()
            .filter(|row| {
                row.shown <= now
                    && row.at >= ask.from.timestamp()
                    && ask.until.is_none_or(|until| row.at <= until.timestamp())
            })
            .collect();
        rows.sort_by_key(|row| self.key(row));
        let before = rows.iter().filter(|row| after.is_some_and(|after| self.key(row) <= after));
        let start = before.count();
        let end = (start + self.size).min(rows.len());
        let page = &rows[start.saturating_sub(self.repeats)..end];
        let last = page.last().map(|row| self.key(row)).or(after).unwrap_or((i64::MIN, 0));
        let next = format!("{} {}", last.0, last.1);
        let more = end < rows.len();
        let caught_up = if self.log.follows { start == end } else { !more };
        let out = Page {
            records: page.len(),
            newest: page.iter().map(|row| at(row.at)).max(),
            next: (self.log.follows || more).then_some(next),
            caught_up,
        };
        (page.to_vec(), out)
    }
}

/// A source of this deployment: the durable cursor, the evidence log, and what one process knows.
struct Source {
    log: &'static Log,
    cursor: i64,
    /// Record and receipt, in order.
    evidence: Vec<(usize, i64)>,
    known: Known,
    walk: Option<Walk>,
    follow: Option<Walk>,
}

fn facts(rows: &[Row]) -> Parsed {
    let events: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({"id": format!("{}", row.id), "kind": "prompt", "account": "ana@x.example",
            "outcome": "denied", "time": rfc3339(at(row.at))})
        })
        .collect();
    if events.is_empty() {
        return Parsed::default();
    }
    let parsed = parse(Kind::Events, json!(events).to_string().as_bytes(), at(i64::from(u32::MAX)));
    let parsed = parsed.unwrap();
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
    parsed
}

fn id(record: &Record) -> EventId {
    match record {
        Record::Event(event) => event.id.clone(),
        _ => unreachable!(),
    }
}

impl Source {
    /// Another process: the cursor and the evidence are all that it finds.
    fn come_back(&mut self) {
        (self.walk, self.follow, self.known) = (None, None, Known::default());
        let from = self.cursor - OVERLAP - 300;
        for (row, received) in &self.evidence {
            if *received >= from {
                let one = facts(&[Row { id: *row, at: START, shown: START }]);
                self.known.event(&id(&one.records[0]), at(*received));
            }
        }
    }

    /// Polls to the end. Dies behind `dies` pages, before or behind the page's cursor.
    fn poll(&mut self, provider: &Provider, now: &mut i64, dies: Option<(usize, bool)>) {
        let log = self.log;
        for n in 0.. {
            let cursor = at(self.cursor);
            if self.walk.is_none() {
                let begun = || Walk::begin(log, Span::seconds(OVERLAP), cursor, at(*now));
                self.walk = self.follow.take().or_else(begun);
            }
            let Some(walk) = self.walk.clone() else { return };
            let (rows, page) = provider.answer(&walk.ask(), *now);
            let mut parsed = facts(&rows);
            self.known.keep_new(&mut parsed);
            let new: Vec<EventId> = parsed.records.iter().map(id).collect();
            for row in &rows {
                let one = facts(&[*row]);
                let one = id(&one.records[0]);
                if new.contains(&one)
                    && !self.evidence.iter().any(|(e, r)| e == &row.id && *r == *now)
                {
                    self.evidence.push((row.id, *now));
                }
            }
            self.known.took(&parsed.records, page.newest.unwrap_or_else(|| at(*now)));
            let (stands, through) = walk.took(log, &page, cursor, at(*now));
            if dies == Some((n, false)) {
                return self.come_back();
            }
            assert!(through >= cursor && through <= at(*now), "the cursor goes forward, not ahead");
            self.cursor = through.timestamp();
            if dies == Some((n, true)) {
                return self.come_back();
            }
            *now += 1;
            match stands {
                Stands::GoesOn(walk) => self.walk = Some(walk),
                Stands::Cut => self.walk = None,
                Stands::Ended { follow } => {
                    (self.walk, self.follow) = (None, follow);
                    self.known.prune(through - TimeDelta::seconds(OVERLAP));
                    return;
                }
            }
            assert!(n < 10_000, "a walk ends");
        }
    }
}

/// What happens between two polls, in seconds, and where the second dies.
type Visit = (i64, Option<(usize, bool)>);

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let gap = prop_oneof![5 => 20..120_i64, 2 => 120..7_200_i64, 1 => 7_200..90_000_i64];
    let dies = prop::option::weighted(0.3, (0..4_usize, any::<bool>()));
    prop::collection::vec((gap, dies), 1..12)
}

fn rows() -> impl Strategy<Value = Vec<(i64, i64)>> {
    // Seconds behind the start, and how late it can be seen.
    prop::collection::vec((0..200_000_i64, 0..=OVERLAP), 0..60)
}

fn play(name: &str, rows: &[(i64, i64)], visits: &[Visit], size: usize, repeats: usize) {
    let log = log(name);
    let rows: Vec<Row> = rows
        .iter()
        .enumerate()
        .map(|(id, (behind, late))| Row { id, at: START + behind, shown: START + behind + late })
        .collect();
    // A link that is followed for days leads on, and not back to what is long forgotten.
    let repeats = if log.follows { 0 } else { repeats.min(size - 1) };
    let provider = Provider { log, rows, size, repeats };
    let mut source = Source {
        log,
        cursor: START,
        evidence: Vec::new(),
        known: Known::default(),
        walk: None,
        follow: None,
    };
    let mut now = START;
    for (gap, dies) in visits {
        now += gap;
        source.poll(&provider, &mut now, *dies);
    }
    now += OVERLAP + 600;
    source.poll(&provider, &mut now, None);
    let last = now - 600 - OVERLAP;

    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    for (row, _) in &source.evidence {
        *times.entry(*row).or_default() += 1;
    }
    for row in provider.rows.iter().filter(|row| row.at <= last) {
        assert_eq!(times.get(&row.id), Some(&1), "{name}: {row:?} of {:?}", source.evidence);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_record_is_taken_in_exactly_once(
        rows in rows(),
        visits in visits(),
        size in 1..9_usize,
        repeats in 0..4_usize,
    ) {
        for name in ["sign_ins", "system", "authentication"] {
            play(name, &rows, &visits, size, repeats);
        }
    }
}

#[test]
fn a_long_downtime_is_made_up_in_stretches() {
    let (log, overlap) = (log("sign_ins"), Span::seconds(OVERLAP));
    let (mut cursor, now) = (at(START), at(START + 86_400));
    let mut stretches = 0;
    loop {
        let walk = Walk::begin(log, overlap, cursor, now).unwrap();
        let asked = walk.ask();
        assert!(asked.until.unwrap() - asked.from <= TimeDelta::hours(6));
        assert_eq!(asked.from, cursor - overlap.delta());
        let page = Page { caught_up: true, ..Page::default() };
        let (stands, through) = walk.took(log, &page, cursor, now);
        stretches += 1;
        cursor = through;
        if !matches!(stands, Stands::Cut) {
            break;
        }
    }

    assert_eq!(stretches, 5);
}

#[test]
fn what_the_provider_has_dropped_is_not_asked_for() {
    let log = log("system");

    let walk = Walk::begin(log, Span::minutes(5), at(0), at(START)).unwrap();

    assert_eq!(walk.ask().from, at(START) - TimeDelta::days(90));
    assert!(walk.gone(at(0)).is_some());
    assert_eq!(walk.gone(at(START) - TimeDelta::days(89)), None);
}

#[test]
fn a_page_that_leads_to_itself_is_told() {
    let (log, now) = (log("system"), at(START + 60));
    let page = |next: &str| Page { records: 1, next: Some(next.into()), ..Page::default() };
    let walk = Walk::begin(log, Span::minutes(5), at(START), now).unwrap();
    assert!(!walk.is_circle(&page("a")));

    let (Stands::GoesOn(walk), _) = walk.took(log, &page("a"), at(START), now) else { panic!() };

    assert!(walk.is_circle(&page("a")));
    assert!(!walk.is_circle(&page("b")));
}

/// Otherwise a quiet weekend is read again at every poll of it.
#[test]
fn a_quiet_logs_cursor_follows_now_and_then() {
    let log = log("risk_detections");
    let quiet = Page { caught_up: true, ..Page::default() };
    let after = |hours: i64| {
        let now = at(START) + TimeDelta::hours(hours);
        let walk = Walk::begin(log, Span::minutes(5), at(START), now).unwrap();
        walk.took(log, &quiet, at(START), now).1
    };

    assert_eq!(after(2), at(START), "nothing is written for nothing");
    assert_eq!(after(3), at(START) + TimeDelta::hours(2));
}
