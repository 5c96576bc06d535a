//! A made-up month of a made-up company: who is caught, and how often the wolf is cried.
//!
//! People sign in, travel, change phones, leave the phone elsewhere and work by night; thirty of
//! them are attacked. `QUELL_SEED` and `QUELL_PEOPLE` choose another month. Detection is asked
//! through the same door as `quell replay --detect-only`, which knows no roles: the short burst
//! at a privileged person is judged here as if the person were an ordinary one. All of this is synthetic.

use serde_json::{Value, json};
use std::collections::BTreeMap;

const ATTACKS: usize = 30;
const SHAPES: [&str; 6] =
    ["burst", "burst, approved", "slow drip", "spray, pushes", "wrong number", "short, approved"];
/// 2026-05-01, a Friday, in milliseconds.
const START: i64 = 1_777_593_600_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
/// A body holds ten thousand records.
const CROWD: usize = 100;

/// `SplitMix64`: a seed is the same month whatever a library does.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }

    fn percent(&mut self, chance: i64) -> bool {
        self.roll(1_000) < chance * 10
    }
}

/// Where somebody signs in from.
#[derive(Clone)]
struct From {
    ip: String,
    asn: i64,
    country: &'static str,
    device: Option<String>,
}

struct Person {
    name: String,
    home: From,
    events: Vec<Value>,
}

impl Person {
    fn new(number: usize, dice: &mut Dice) -> Self {
        let ip = format!("198.{}.{}.{}", 18 + dice.roll(2), dice.roll(250), 1 + dice.roll(250));
        let device = Some(format!("laptop-{number}"));
        let home = From { ip, asn: 64_500 + dice.roll(5), country: "DE", device };
        Self { name: format!("p{number}@example.com"), home, events: Vec::new() }
    }

    fn say(&mut self, at: i64, kind: &str, outcome: &str, from: &From, origin: &str) {
        let number = self.events.len();
        let time = chrono::DateTime::from_timestamp_millis(at).unwrap().to_rfc3339();
        let mut event = json!({
            "id": format!("{}:{number}", self.name), "kind": kind, "outcome": outcome,
            "account": self.name, "time": time, "factor": "push", "origin": origin,
            "ip": from.ip, "asn": from.asn, "place": {"country": from.country},
            "session": format!("{}:{}:{}", self.name, from.ip, at / (30 * MINUTE)), "synthetic": true,
        });
        if let Some(device) = &from.device {
            event["device"] = device.as_str().into();
        }
        self.events.push(event);
    }

    fn prompt(&mut self, at: i64, outcome: &str, from: &From) {
        self.say(at, "prompt", outcome, from, "password");
    }

    /// A few prompts that fail by mishap, and the one that is answered.
    fn mishap(&mut self, at: i64, failures: i64, from: &From, dice: &mut Dice) {
        for i in 0..failures {
            let outcome =
                ["timed_out", "denied", "timed_out"][usize::try_from(dice.roll(3)).unwrap()];
            self.prompt(at + i * 70_000, outcome, from);
        }
        self.prompt(at + failures * 70_000, "approved", from);
        self.say(at + failures * 70_000 + 1_000, "sign_in", "succeeded", from, "password");
    }

    /// One month without any attack.
    fn live(&mut self, dice: &mut Dice) {
        let shift = if dice.percent(10) { 21 * 60 } else { 8 * 60 };
        let home = self.home.clone();
        for day in (0..30).filter(|day| day % 7 < 5) {
            let at = START + day * DAY + (shift + dice.roll(90)) * MINUTE;
            if dice.percent(25) {
                self.prompt(at - 5_000, "approved", &home);
            }
            self.say(at, "sign_in", "succeeded", &home, "password");
        }
        let some = |dice: &mut Dice| {
            START + (2 + dice.roll(26)) * DAY + (shift + 200 + dice.roll(200)) * MINUTE
        };
        if dice.percent(8) {
            let (at, failures) = (some(dice), 1 + dice.roll(2));
            self.mishap(at, failures, &home, dice);
        }
        if dice.percent(1) {
            let (at, failures) = (some(dice), 3 + dice.roll(3));
            self.mishap(at, failures, &home, dice);
        }
        if dice.percent(1) {
            let at = some(dice);
            (0..30).for_each(|i| self.say(at + i * 30_000, "prompt", "timed_out", &home, "vpn"));
        }
        if dice.percent(5) {
            let at = some(dice);
            (0..4).for_each(|i| self.prompt(at + i * 400, "timed_out", &home));
        }
        if dice.percent(3) {
            self.travel(some(dice), dice);
        }
        if dice.percent(3) {
            let at = some(dice);
            let new = From { device: Some(format!("{}-new", self.name)), ..home };
            self.mishap(at, 1, &new, dice);
            self.say(at + 9 * MINUTE, "factor_change", "succeeded", &new, "password");
        }
    }

    fn travel(&mut self, at: i64, dice: &mut Dice) {
        let ip = format!("192.0.2.{}", 1 + dice.roll(250));
        let away = From { ip, asn: 64_600, country: "PT", ..self.home.clone() };
        // Three in a row away from home are rare; they ask a person.
        let failures = if dice.roll(100) == 0 { 3 } else { dice.roll(3) };
        self.mishap(at, failures, &away, dice);
        self.mishap(at + DAY, 0, &away, dice);
    }

    /// An attack; gives its first and last moment.
    fn suffer(&mut self, shape: usize, dice: &mut Dice) -> (i64, i64) {
        let ip = if shape == 3 {
            "203.0.113.66".into()
        } else {
            format!("203.0.113.{}", 1 + dice.roll(60))
        };
        let from = From { ip, asn: 64_700 + dice.roll(3), country: "XX", device: None };
        let begin = START + (3 + dice.roll(25)) * DAY + dice.roll(1_440) * MINUTE;
        let (count, pause, outcomes): (i64, i64, &[&str]) = match shape {
            0 => (6 + dice.roll(12), 30_000, &["denied", "timed_out"]),
            1 => (5 + dice.roll(10), 30_000, &["timed_out", "denied"]),
            2 => (5 + dice.roll(3), (15 + dice.roll(90)) * MINUTE, &["timed_out", "denied"]),
            3 => (3 + dice.roll(4), 60_000, &["timed_out", "denied"]),
            4 => (3 + dice.roll(3), 40_000, &["wrong_answer"]),
            _ => (3, 45_000, &["denied"]),
        };
        let mut at = begin;
        for i in 0..usize::try_from(count).unwrap() {
            self.prompt(at, outcomes[i % outcomes.len()], &from);
            at += pause + dice.roll(pause / 5);
        }
        let taken = matches!(shape, 1 | 5) || shape == 2 && dice.percent(50);
        if taken {
            at = at - pause + 2 * MINUTE;
            self.prompt(at, "approved", &from);
            self.say(at + 1_000, "sign_in", "succeeded", &from, "password");
        }
        (begin, at)
    }
}

#[derive(Debug, Default)]
struct Figures {
    events: usize,
    caught: usize,
    missed: Vec<&'static str>,
    /// Incidents without an attack, by stage.
    wolf: BTreeMap<String, usize>,
    breached: usize,
}

fn month(seed: u64, people: usize) -> Figures {
    let mut dice = Dice(seed);
    let mut figures = Figures::default();
    let every = people / ATTACKS;
    for crowd in (0..people).step_by(CROWD) {
        let mut events = Vec::new();
        let mut attacks = BTreeMap::new();
        for number in crowd..(crowd + CROWD).min(people) {
            let mut person = Person::new(number, &mut dice);
            person.live(&mut dice);
            if number % every == every / 2 && number / every < ATTACKS {
                let shape = (number / every) % SHAPES.len();
                attacks.insert(person.name.clone(), (shape, person.suffer(shape, &mut dice)));
            }
            events.extend(person.events);
        }
        figures.events += events.len();
        let body = serde_json::to_vec(&events).unwrap();
        let table = quell::open_data_summary("events", &body).unwrap();
        assert_eq!(table["problems"], 0);
        judge(&table, attacks, &mut figures);
    }
    figures
}

fn judge(table: &Value, mut attacks: BTreeMap<String, (usize, (i64, i64))>, figures: &mut Figures) {
    let at = |incident: &Value, key: &str| {
        let text = incident[key].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    };
    let mut found = Vec::new();
    for incident in table["incidents"].as_array().unwrap() {
        let subject = incident["subject"].as_str().unwrap();
        let stage = incident["stage"].as_str().unwrap();
        let of = attacks.iter().find(|(name, (_, (first, last)))| {
            subject.ends_with(name.as_str())
                && at(incident, "first") <= *last
                && at(incident, "last") >= *first
        });
        if let Some((name, _)) = of {
            found.push(name.clone());
            figures.breached += usize::from(stage == "breached");
            continue;
        }
        if stage != "noted" {
            println!("      {subject}, {stage}: {}", incident["reason"].as_str().unwrap());
        }
        *figures.wolf.entry(stage.to_owned()).or_default() += 1;
    }
    for name in found {
        figures.caught += usize::from(attacks.remove(&name).is_some());
    }
    figures.missed.extend(attacks.values().map(|(shape, _)| SHAPES[*shape]));
}

/// `noted` starts no run; `suspected` and above do. Only `breached` blocks an ordinary person by itself.
#[test]
fn attacks_are_caught_and_the_wolf_is_not_cried() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let people = number("QUELL_PEOPLE");
    let months = match number("QUELL_SEED") {
        Some(seed) => vec![(seed, people.unwrap_or(2_000))],
        None => vec![
            (1, people.unwrap_or(20_000)),
            (2, people.unwrap_or(2_000)),
            (3, people.unwrap_or(2_000)),
        ],
    };

    println!(
        "seed  people  events  caught  breached  false: noted  suspected  confirmed  breached  missed"
    );
    for (seed, people) in months {
        let people = usize::try_from(people).unwrap();
        let figures = month(seed, people);
        let wolf = |stage: &str| figures.wolf.get(stage).copied().unwrap_or_default();
        println!(
            "{seed:4}  {people:6}  {:6}  {:3}/{ATTACKS}  {:8}  {:12}  {:9}  {:9}  {:8}  {}",
            figures.events,
            figures.caught,
            figures.breached,
            wolf("noted"),
            wolf("suspected"),
            wolf("confirmed"),
            wolf("breached"),
            figures.missed.join(", "),
        );

        // 0.97 of thirty: one missed is too many.
        assert_eq!(figures.caught, ATTACKS, "seed {seed} missed {:?}", figures.missed);
        assert!(wolf("breached") <= people / 20_000, "seed {seed}");
        let cried: usize = figures.wolf.values().sum();
        assert!(cried * 1_000 <= people, "seed {seed}: {cried} false incidents");
    }
}
