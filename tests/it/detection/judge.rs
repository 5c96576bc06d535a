//! Compares what Quell did with what really went on.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::Month;
use super::attacks::{CAMPAIGNS, SHAPES, Suffered};
use super::noise::KINDS;
use super::people::{DAY, HOUR, Line, MINUTE, login};

/// What locks somebody out, by the lab's word.
const LOCKS: [&str; 3] = ["blocked", "password set", "factor removed"];

/// Of the people whom a shape of attack was about.
#[derive(Debug, Default)]
struct Shape {
    people: usize,
    found: usize,
    /// The attacker was let in.
    taken: usize,
    /// Of those, shut out again and the password replaced, and Quell says contained.
    contained: usize,
}

#[derive(Debug, Default)]
pub struct Figures {
    shapes: BTreeMap<&'static str, Shape>,
    missed: Vec<String>,
    /// Attacks on one or many of which nobody was found.
    attacks_missed: usize,
    attacks: usize,
    /// Incidents about nobody who was attacked: what went wrong instead, and the stage.
    wolf: BTreeMap<(&'static str, String), usize>,
    wrongly: BTreeMap<String, BTreeSet<String>>,
    told: Vec<String>,
}

struct Case<'v> {
    login: &'v str,
    first: i64,
    last: i64,
    value: &'v Value,
}

impl Figures {
    pub fn of(month: &Month, told: &Value) -> Self {
        let cases: Vec<Case<'_>> = told["incidents"].as_array().unwrap().iter().map(case).collect();
        let mut figures = Self::default();
        let mut hit: BTreeMap<String, (&'static str, &Suffered)> = BTreeMap::new();
        for attack in &month.attacks {
            let victims = attack.victims.iter().map(|(who, hurt)| (login(*who), hurt));
            let mut any = false;
            for (login, hurt) in victims {
                let mine = |case: &&Case<'_>| is_about(case, &login, hurt);
                let shape = figures.shapes.entry(attack.shape).or_default();
                shape.people += 1;
                shape.taken += usize::from(hurt.taken);
                if let Some(case) = cases.iter().find(mine) {
                    any = true;
                    shape.found += 1;
                    shape.contained +=
                        usize::from(hurt.taken && is_contained(case, &login, hurt, told));
                } else {
                    figures.missed.push(format!("{}: {login}", attack.shape));
                }
                hit.insert(login, (attack.shape, hurt));
            }
            figures.attacks += 1;
            figures.attacks_missed += usize::from(!any);
        }
        for case in &cases {
            let attacked = hit.get(case.login);
            if attacked.is_none_or(|(_, hurt)| !is_about(case, case.login, hurt)) {
                figures.cried(month, case);
            }
        }
        for effect in told["effects"].as_array().unwrap() {
            let (login, what) =
                (effect["login"].as_str().unwrap(), effect["effect"].as_str().unwrap());
            let during =
                |hurt: &Suffered| (hurt.first..=hurt.last + DAY).contains(&time(&effect["at"]));
            let deserved = hit.get(login).is_some_and(|(_, hurt)| during(hurt));
            if LOCKS.contains(&what) && !deserved {
                figures.wrongly.entry(login.to_owned()).or_default().insert(what.to_owned());
            }
        }
        for login in figures.wrongly.keys() {
            let about = cases.iter().filter(|case| case.login == *login);
            figures.told.extend(about.map(|case| format!("{login}: {}", story(month, case))));
        }
        figures
    }

    fn cried(&mut self, month: &Month, case: &Case<'_>) {
        let mut mishaps = month.log.mishaps.iter();
        let what = mishaps
            .find(|m| {
                login(m.who) == case.login
                    && case.first <= m.last + HOUR
                    && m.first - HOUR <= case.last
            })
            .map_or(KINDS[KINDS.len() - 1], |mishap| mishap.what);
        let stage = case.value["stage"].as_str().unwrap().to_owned();
        let (rule, why) = (&case.value["rule"], case.value["reason"].as_str().unwrap());
        self.told.push(format!("{what}: {}, {stage} by {rule}: {why}", case.login));
        *self.wolf.entry((what, stage)).or_default() += 1;
    }

    fn false_incidents(&self) -> usize {
        self.wolf.values().sum()
    }

    pub fn print(&self, seed: usize, people: usize, events: usize) {
        println!("\nseed {seed}: {people} people, {events} events, {} attacks", self.attacks);
        println!("  {:<26} people  found  let in  shut out again", "attack");
        for name in SHAPES.iter().chain(&CAMPAIGNS) {
            let Some(shape) = self.shapes.get(name) else { continue };
            println!(
                "  {name:<26} {:>6} {:>6} {:>7} {:>15}",
                shape.people, shape.found, shape.taken, shape.contained
            );
        }
        self.missed.iter().for_each(|line| println!("  missed {line}"));
        println!("  {:<26}  noted  suspected  confirmed  breached", "false incidents by");
        for kind in KINDS {
            let of =
                |stage: &str| self.wolf.get(&(kind, stage.to_owned())).copied().unwrap_or_default();
            println!(
                "  {kind:<26} {:>6} {:>10} {:>10} {:>9}",
                of("noted"),
                of("suspected"),
                of("confirmed"),
                of("breached")
            );
        }
        self.told.iter().for_each(|line| println!("    {line}"));
        let (all, limit) = (self.false_incidents(), people / 1_000);
        println!(
            "  {all} false incidents ({limit} are allowed), locked out wrongly: {:?}",
            self.wrongly
        );
    }

    /// Recall 0.97, and whoever was let in is shut out again.
    pub fn check(&self, seed: usize) {
        let (found, all) =
            self.shapes.values().fold((0, 0), |(f, a), shape| (f + shape.found, a + shape.people));
        assert_eq!(self.attacks_missed, 0, "seed {seed}: {:?}", self.missed);
        assert!(found * 100 >= all * 97, "seed {seed}: {found} of {all} found: {:?}", self.missed);
        let (contained, taken) = self
            .shapes
            .values()
            .fold((0, 0), |(c, t), shape| (c + shape.contained, t + shape.taken));
        assert!(contained * 100 >= taken * 97, "seed {seed}: {contained} of {taken} contained");
    }
}

/// What all months together came to: in a few thousand people a rate cannot be told.
#[derive(Default)]
pub struct Total {
    people: usize,
    wrongly: usize,
    cried: usize,
}

impl Total {
    pub fn add(&mut self, figures: &Figures, people: usize) {
        self.people += people;
        self.wrongly += figures.wrongly.len();
        self.cried += figures.false_incidents();
    }

    /// Whoever plays fewer people than the promise is about is allowed what chance does to a rate that is kept.
    pub fn check(&self) {
        let Self { people, wrongly, cried } = *self;
        let slack = if people < 10_000 { 3 } else { 0 };
        println!(
            "\nin all: {people} people, {cried} false incidents, {wrongly} locked out wrongly"
        );
        assert!(wrongly * 20_000 <= people.max(20_000), "{wrongly} of {people} locked out wrongly");
        assert!(cried * 1_000 <= people + slack * 1_000, "{cried} false incidents for {people}");
    }
}

/// What the log says of somebody around an incident, for whoever asks why it was one.
fn story(month: &Month, case: &Case<'_>) -> String {
    let near = case.first - 2 * HOUR..=case.last + 2 * HOUR;
    let mine =
        month.log.lines.iter().filter(|l| near.contains(&l.at) && login(l.who) == case.login);
    let line = |l: &Line| {
        let minute = (l.at - case.first) / MINUTE;
        format!("{minute:+} min {} {} {} {:?}", l.kind, l.outcome, l.from.ip, l.from.device)
    };
    mine.map(line).collect::<Vec<_>>().join("; ")
}

fn case(value: &Value) -> Case<'_> {
    let login = value["login"].as_str().unwrap();
    Case { login, first: time(&value["first"]), last: time(&value["last"]), value }
}

fn time(value: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_millis()
}

fn is_about(case: &Case<'_>, login: &str, hurt: &Suffered) -> bool {
    case.login == login && case.first <= hurt.last && case.last >= hurt.first
}

/// Blocked and with a new password after the attacker came in, and Quell says contained.
fn is_contained(case: &Case<'_>, login: &str, hurt: &Suffered, told: &Value) -> bool {
    let was = |what: &str| {
        told["effects"].as_array().unwrap().iter().any(|effect| {
            effect["login"] == login && effect["effect"] == what && time(&effect["at"]) >= hurt.last
        })
    };
    !case.value["contained"].is_null() && was("blocked") && was("password set")
}
