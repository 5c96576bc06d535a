//! Turns over changes of the clocks, gaps, and a pager that lies.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::hours::wall;
use super::zone::Zone;
use super::{Heard, Options, Roster, Rota, Source};
use crate::model::approval::Tier;
use crate::model::oncall::{Level, Named};
use crate::model::time::{Span, Time};

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Pacific/Apia",
];

fn options(text: &str) -> Options {
    toml::from_str(text).unwrap()
}

fn rota(text: &str) -> Rota {
    let (rota, problems) = options(text).read();
    assert_eq!(problems, []);
    rota
}

fn daily(zone: &str, at: &str) -> Rota {
    rota(&format!(
        "calendars.x.zone = '{zone}'
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['a','b']\nturn='day'\nsince='2026-01-05'\nat='{at}'"
    ))
}

fn utc(text: &str) -> Time {
    text.parse().unwrap()
}

fn hand_overs(rota: &Rota, from: &str, until: &str) -> Vec<Time> {
    rota.stretches(utc(from), utc(until)).into_iter().skip(1).map(|s| s.from).collect()
}

#[test]
fn a_weekly_turn_changes_at_nine_by_the_wall_clock_in_summer_and_winter() {
    let rota = rota(
        "calendars.x.zone='Europe/Berlin'
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['a','b','c']\nsince='2026-03-16'",
    );

    let changes = hand_overs(&rota, "2026-03-17T00:00:00Z", "2026-04-08T00:00:00Z");

    assert_eq!(
        changes,
        [utc("2026-03-23T08:00:00Z"), utc("2026-03-30T07:00:00Z"), utc("2026-04-06T07:00:00Z")]
    );
    assert_eq!(rota.on(Level::First, utc("2026-03-30T06:59:59Z")), ["b"]);
    assert_eq!(rota.on(Level::First, utc("2026-03-30T07:00:00Z")), ["c"]);
    assert_eq!(rota.on(Level::First, utc("2026-03-16T07:59:59Z")), [""; 0], "before the first");
}

/// A wall time that is skipped is so much later; one that comes twice is its first.
#[test]
fn hand_overs_within_a_change_of_the_clocks_happen_once() {
    for (zone, at, from, changes) in [
        ("Europe/Berlin", "02:30", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ("Europe/Berlin", "02:30", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("America/New_York", "02:30", "2026-03-07T18:00:00Z", "2026-03-08T07:30:00Z"),
        ("America/New_York", "01:30", "2026-10-31T18:00:00Z", "2026-11-01T05:30:00Z"),
        ("Australia/Lord_Howe", "02:15", "2026-10-03T00:00:00Z", "2026-10-03T15:45:00Z"),
        ("Australia/Lord_Howe", "01:45", "2026-04-04T00:00:00Z", "2026-04-04T14:45:00Z"),
    ] {
        let until = utc(from) + TimeDelta::hours(24);
        let rota = daily(zone, at);

        let found: Vec<Time> =
            rota.stretches(utc(from), until).into_iter().skip(1).map(|s| s.from).collect();

        assert_eq!(found, [utc(changes)], "{zone} {at}");
    }
}

#[test]
fn hours_leave_gaps_and_two_shifts_around_midnight_leave_none() {
    let day =
        "[[shifts]]\nlevel='first'\ncalendar='x'\npeople=['a']\nhours=['mon-fri 08:00-20:00']\n";
    let night = "[[shifts]]\nlevel='first'\ncalendar='x'\npeople=['b']\nhours=['20:00-08:00','sat,sun 08:00-20:00']\n";
    let zone = "calendars.x.zone='America/New_York'\n";
    let gaps = |rota: &Rota| {
        let all = rota.stretches(utc("2026-10-30T00:00:00Z"), utc("2026-11-04T00:00:00Z"));
        all.into_iter().filter(|s| s.people.is_empty()).map(|s| (s.from, s.until)).collect()
    };

    let alone: Vec<(Time, Time)> = gaps(&rota(&format!("{zone}{day}")));
    let both: Vec<(Time, Time)> = gaps(&rota(&format!("{zone}{day}{night}")));

    // Over the weekend on which the clocks go back an hour.
    let weekend = (utc("2026-10-31T00:00:00Z"), utc("2026-11-02T13:00:00Z"));
    assert!(alone.contains(&weekend), "{alone:?}");
    assert_eq!(both, []);
}

#[test]
fn an_exception_replaces_whoever_is_on_for_its_wall_times() {
    let rota = rota(
        "calendars.x.zone='Europe/Berlin'
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['a']
        [[overrides]]\nlevel='first'\ncalendar='x'\nperson='z'\nfrom='2026-12-24T09:00'\nuntil='2026-12-25T09:00'",
    );

    assert_eq!(rota.on(Level::First, utc("2026-12-24T07:59:59Z")), ["a"]);
    assert_eq!(rota.on(Level::First, utc("2026-12-24T08:00:00Z")), ["z"]);
    assert_eq!(rota.on(Level::First, utc("2026-12-25T08:00:00Z")), ["a"]);
}

#[test]
fn people_have_longer_to_answer_when_nobody_is_at_work() {
    let rota = rota(
        "calendars.x={zone='Europe/Berlin', working_hours=['mon-fri 09:00-17:00']}
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['a']",
    );
    let time = |tier, at| rota.time_to_answer(tier, utc(at));

    // A Friday, either side of five in the afternoon.
    assert_eq!(time(Tier::LocksOut, "2026-11-27T15:59:59Z"), Some(Span::minutes(10)));
    assert_eq!(time(Tier::LocksOut, "2026-11-27T16:00:00Z"), Some(Span::minutes(20)));
    assert_eq!(time(Tier::Privileged, "2026-11-27T16:00:00Z"), Some(Span::minutes(15)));
    assert_eq!(daily("UTC", "09:00").time_to_answer(Tier::LocksOut, noon()), None);
}

fn noon() -> Time {
    utc("2026-11-28T12:00:00Z")
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_a_zone_is_guessed() {
    let (_, problems) = options(
        "horizon='400d'\nanswer.harmless={working='10m', off='0s'}
        calendars.a.zone='Europe/Belrin'\ncalendars.b={zone='new york', working_hours=['mo 9-17']}
        calendars.c={zone='UTC', working_hours=['mon-fri 09:00 17:00', '25:00-26:00']}
        [[shifts]]\nlevel='first'\ncalendar='d'\npeople=[]\nat='9'\nsince='soon'
        [[shifts]]\nlevel='first'\ncalendar='c'\npeople=['x','y']
        [[overrides]]\nlevel='lead'\ncalendar='c'\nperson='z'\nfrom='2026-12-25T09:00'\nuntil='2026-12-24T09:00'",
    )
    .read();

    let said: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {} / {}", p.path.join("."), p.message, p.help))
        .collect();
    let said = said.join("\n");
    for part in [
        "calendars.a.zone: there is no time zone `Europe/Belrin` / did you mean `Europe/Berlin`?",
        "did you mean `America/New_York`?",
        "`mon-fri 09:00 17:00` names no hours",
        "horizon: `oncall.horizon` is `400d`",
        "answer: nobody can answer within less than a minute",
        "`25:00` is no time of day",
        "shifts.0.calendar: there is no calendar `d` / use one of: a, b, c",
        "a shift without people",
        "shifts.0.at: `9` is no time of day",
        "`soon` is no day",
        "shifts.1.people: several people take turns",
        "overrides.0.until: this ends before it begins",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
}

fn three_levels() -> Rota {
    rota(
        "calendars.x.zone='UTC'
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['a']
        [[shifts]]\nlevel='second'\ncalendar='x'\npeople=['b']
        [[shifts]]\nlevel='lead'\ncalendar='x'\npeople=['c']",
    )
}

fn heard(at: Time, level: Level, people: &[&str]) -> Heard {
    let people = people.iter().map(|p| (*p).to_owned()).collect();
    Heard { at, levels: [(level, people)].into(), unknown: 0 }
}

const STALE: Span = Span::minutes(15);

#[test]
fn the_pager_names_the_lower_levels_until_it_is_stale_and_never_the_last() {
    let (rota, now) = (three_levels(), noon());
    let mut roster = Roster::default();
    let on = |roster: &Roster, level, at| roster.on(&rota, STALE, level, at);
    assert_eq!(on(&roster, Level::First, now), (vec!["a".into()], Named::Rota));

    roster.hear(heard(now, Level::First, &["p"]));
    assert_eq!(on(&roster, Level::First, now), (vec!["p".into()], Named::Pager));
    assert_eq!(on(&roster, Level::Second, now), (vec!["b".into()], Named::Rota));
    roster.hear(heard(now, Level::Lead, &["p"]));
    assert_eq!(on(&roster, Level::Lead, now), (vec!["c".into()], Named::Rota));

    roster.hear(heard(now, Level::First, &["p"]));
    roster.fail("it answered 503".to_owned());
    let later = now + TimeDelta::minutes(15);
    assert_eq!(on(&roster, Level::First, later).1, Named::Pager, "a short outage changes nothing");
    let stale = later + TimeDelta::milliseconds(1);
    assert_eq!(on(&roster, Level::First, stale), (vec!["a".into()], Named::Rota));
    let why = Source::Fallback { why: "it answered 503".into(), at: Some(now) };
    assert_eq!(roster.source(STALE, stale), why);
}

#[test]
fn a_pager_that_names_strangers_only_is_not_believed() {
    let (rota, now) = (three_levels(), noon());
    let mut roster = Roster::default();

    roster.hear(Heard { at: now, levels: [(Level::First, Vec::new())].into(), unknown: 3 });

    assert_eq!(roster.on(&rota, STALE, Level::First, now).1, Named::Rota);
    let Source::Fallback { why, .. } = roster.source(STALE, now) else { panic!() };
    assert!(why.contains("3 unknown"), "{why}");
}

#[test]
fn without_a_built_in_rota_the_pager_has_the_lower_levels_and_no_lead() {
    let (rota, now) = (Rota::default(), noon());
    let mut roster = Roster::default();
    roster.hear(heard(now, Level::Second, &["p"]));

    assert_eq!(roster.levels(&rota, STALE, now), [Level::Second]);
    roster.hear(heard(now, Level::Lead, &["p"]));
    assert_eq!(roster.levels(&rota, STALE, now), []);
}

/// What the clock shows at an instant, and whether the clocks skipped what was said and it is as much later as they
/// skip: so long before, they were twice as far behind.
fn skipped(zone: &Zone, at: Time, said: jiff::civil::Time) -> (jiff::civil::Time, bool) {
    let (shown, day) = (zone.clock(at), zone.date(at));
    let late = shown.duration_since(said);
    let before = at - TimeDelta::seconds(late.as_secs());
    let behind = zone.date(before).to_datetime(zone.clock(before));
    let jump = day.to_datetime(shown).duration_since(behind);
    (shown, late.is_positive() && jump == late * 2)
}

proptest! {
    #[test]
    fn somebody_is_on_call_at_each_instant_and_turns_change_at_their_wall_time(
        zone in prop::sample::select(ZONES.to_vec()),
        (hour, minute) in (0..24_u8, 0..60_u8),
        turn in prop::sample::select(vec!["day", "week"]),
        people in 1..5_usize,
        at in 0..1_000_000_000_i64,
    ) {
        let names: Vec<String> = (0..people).map(|n| format!("'p{n}'")).collect();
        let text = format!("{hour:02}:{minute:02}");
        // From 1996 to 2028, Samoa's missing day included.
        let at = utc("1996-01-09T00:00:00Z") + TimeDelta::seconds(at);
        let rota = rota(&format!(
            "calendars.x.zone='{zone}'
            [[shifts]]\nlevel='first'\ncalendar='x'\npeople=[{}]\nturn='{turn}'\nsince='1996-01-01'\nat='{text}'",
            names.join(",")
        ));
        let zone = Zone::named(zone).unwrap();

        prop_assert_eq!(rota.on(Level::First, at).len(), 1);
        let stretches = rota.stretches(at, at + TimeDelta::days(30));
        prop_assert!(stretches.iter().all(|s| s.people.len() == 1));
        for pair in stretches.windows(2) {
            prop_assert_eq!(pair[0].until, pair[1].from);
            let said = wall(&text).unwrap();
            let (shown, skipped) = skipped(&zone, pair[1].from, said);
            prop_assert!(shown == said || skipped, "{} for {}", shown, said);
            let (before, after) = (pair[1].from - TimeDelta::milliseconds(1), pair[1].from);
            prop_assert_ne!(rota.on(Level::First, before), rota.on(Level::First, after));
        }
    }
}
