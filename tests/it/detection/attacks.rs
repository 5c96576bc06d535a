//! What attackers do in the month, and on whom.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::people::{DAY, Dice, From, HOUR, Log, MINUTE, START};

/// Attacks on one person each, in turns.
pub const SHAPES: [&str; 6] =
    ["burst", "burst, approved", "slow drip", "spray, pushes", "wrong number", "short, approved"];
/// Attacks on many, one of each in a month.
pub const CAMPAIGNS: [&str; 3] =
    ["one source, many people", "many sources, slow", "spray, then pushes"];

/// One attack; what each of its people suffered, by their number.
pub struct Attack {
    pub shape: &'static str,
    pub victims: BTreeMap<usize, Suffered>,
}

/// From the first hostile moment to the last.
pub struct Suffered {
    pub first: i64,
    pub last: i64,
    /// Somebody approved, and the attacker was in.
    pub taken: bool,
}

impl Attack {
    fn on(shape: &'static str) -> Self {
        Self { shape, victims: BTreeMap::new() }
    }

    fn hits(&mut self, who: usize, first: i64, last: i64, taken: bool) {
        self.victims.insert(who, Suffered { first, last, taken });
    }
}

/// A victim is attacked once, and neighbours in number share an office.
pub fn strike(log: &mut Log, people: usize, attacks: usize, dice: &mut Dice) -> Vec<Attack> {
    let mut free: Vec<usize> = (0..people).collect();
    let mut done = Vec::new();
    for n in 0..attacks {
        let who = free.swap_remove(dice.below(free.len()));
        let mut attack = Attack::on(SHAPES[n % SHAPES.len()]);
        let (first, last, taken) = alone(log, who, n % SHAPES.len(), dice);
        attack.hits(who, first, last, taken);
        done.push(attack);
    }
    let mut crowd = |least: usize, more: usize, dice: &mut Dice| -> Vec<usize> {
        let many = least + dice.below(more);
        (0..many).map(|_| free.swap_remove(dice.below(free.len()))).collect()
    };
    done.push(one_source(log, &crowd(8, 18, dice), dice));
    done.push(many_sources(log, &crowd(4, 6, dice), dice));
    done.push(spray(log, &crowd(15, 25, dice), dice));
    done
}

fn foreign(ip: String, dice: &mut Dice) -> Rc<From> {
    Rc::new(From { ip, asn: 64_700 + dice.roll(3), country: "XX", device: None })
}

fn some(dice: &mut Dice) -> i64 {
    START + (3 + dice.roll(25)) * DAY + dice.roll(1_440) * MINUTE
}

/// Prompts until they stop, or somebody says yes. Gives the last moment.
fn pushes(
    log: &mut Log,
    (who, begin): (usize, i64),
    (count, pause): (i64, i64),
    outcomes: &[&'static str],
    (from, taken): (&Rc<From>, bool),
    dice: &mut Dice,
) -> i64 {
    let mut at = begin;
    for n in 0..usize::try_from(count).unwrap() {
        log.prompt(who, at, outcomes[n % outcomes.len()], from);
        at += pause + dice.roll(pause / 5);
    }
    let last = at - pause;
    if !taken {
        return last;
    }
    log.approves(who, last + 2 * MINUTE, from);
    last + 2 * MINUTE
}

fn alone(log: &mut Log, who: usize, shape: usize, dice: &mut Dice) -> (i64, i64, bool) {
    let ip = match shape {
        3 => "203.0.113.66".into(),
        _ => format!("203.0.113.{}", 1 + dice.roll(60)),
    };
    let (from, begin) = (foreign(ip, dice), some(dice));
    let (count, pause, outcomes): (i64, i64, &[&'static str]) = match shape {
        0 => (6 + dice.roll(12), 30_000, &["denied", "timed_out"]),
        1 => (5 + dice.roll(10), 30_000, &["timed_out", "denied"]),
        2 => (5 + dice.roll(3), (15 + dice.roll(90)) * MINUTE, &["timed_out", "denied"]),
        3 => (3 + dice.roll(4), 60_000, &["timed_out", "denied"]),
        4 => (3 + dice.roll(3), 40_000, &["wrong_answer"]),
        _ => (3, 45_000, &["denied"]),
    };
    let taken = matches!(shape, 1 | 5) || shape == 2 && dice.permille(500);
    let last = pushes(log, (who, begin), (count, pause), outcomes, (&from, taken), dice);
    (begin, last, taken)
}

/// One address asks many people within the hour, three to six times each; some are worn down.
fn one_source(log: &mut Log, crowd: &[usize], dice: &mut Dice) -> Attack {
    let mut attack = Attack::on(CAMPAIGNS[0]);
    let (from, begin) = (foreign("203.0.113.180".into(), dice), some(dice));
    for who in crowd {
        let at = begin + dice.roll(50) * MINUTE;
        let (count, taken) = (3 + dice.roll(4), dice.permille(150));
        let told: &[&'static str] = &["timed_out", "denied"];
        let last = pushes(log, (*who, at), (count, 45_000), told, (&from, taken), dice);
        attack.hits(*who, at, last, taken);
    }
    attack
}

/// Each is asked now and then over a day, every time from an address of its own.
fn many_sources(log: &mut Log, crowd: &[usize], dice: &mut Dice) -> Attack {
    let mut attack = Attack::on(CAMPAIGNS[1]);
    let begin = some(dice);
    for who in crowd {
        let first = begin + dice.roll(6 * HOUR);
        let (mut at, mut last) = (first, first);
        for _ in 0..5 + dice.roll(3) {
            let ip = format!("203.0.113.{}", 190 + dice.roll(60));
            let from = foreign(ip, dice);
            let outcome = *dice.one(&["timed_out", "denied"]);
            log.prompt(*who, at, outcome, &from);
            last = at;
            at += HOUR + dice.roll(3 * HOUR);
        }
        attack.hits(*who, first, last, false);
    }
    attack
}

/// Passwords are tried on many from one network; whoever had one that fits is asked hours later.
fn spray(log: &mut Log, crowd: &[usize], dice: &mut Dice) -> Attack {
    let mut attack = Attack::on(CAMPAIGNS[2]);
    let begin = some(dice);
    let near = |dice: &mut Dice| format!("192.0.2.{}", 1 + dice.roll(200));
    for who in crowd {
        let from = foreign(near(dice), dice);
        let at = begin + dice.roll(4 * HOUR);
        log.say((*who, at), "sign_in", "failed", &from, "unknown");
    }
    for who in crowd.iter().take(3 + dice.below(3)) {
        let from = foreign(near(dice), dice);
        let at = begin + 5 * HOUR + dice.roll(12 * HOUR);
        let (count, taken) = (2 + dice.roll(3), dice.permille(400));
        // Two are not told apart from a slip unless somebody says yes.
        let count = if taken { count } else { count.max(3) };
        let last = pushes(log, (*who, at), (count, 60_000), &["denied"], (&from, taken), dice);
        attack.hits(*who, at, last, taken);
    }
    attack
}
