//! A month without any attack: everyday life, each one's mishaps, and what befalls many at once.

use std::rc::Rc;

use super::people::{DAY, DAYS, Dice, From, HOUR, Log, MINUTE, Person, START};

/// Every kind, as the table names it.
pub const KINDS: [&str; 11] = [
    "a prompt missed",
    "a phone elsewhere",
    "vpn reconnects",
    "one push, many devices",
    "travel",
    "a new phone",
    "an outage",
    "conference wi-fi",
    "re-registration",
    "new starters",
    "nothing known",
];

pub fn lives(log: &mut Log, people: &[Person], dice: &mut Dice) {
    for person in people {
        everyday(log, person, dice);
        mishaps(log, person, dice);
    }
    outage(log, people, dice);
    conference(log, people, dice);
    registration(log, people, dice);
    starters(log, people, dice);
}

fn is_weekday(day: i64) -> bool {
    // The month begins on a Friday.
    !matches!(day % 7, 1 | 2)
}

fn everyday(log: &mut Log, person: &Person, dice: &mut Dice) {
    for day in (0..DAYS).filter(|day| is_weekday(*day)) {
        let at = START + day * DAY + (person.shift + dice.roll(90)) * MINUTE;
        let from = person.place(day);
        if dice.permille(250) {
            log.prompt(person.number, at - 5_000, "approved", &from);
        }
        log.signs_in(person.number, at, &from, "password");
        if let Some(vpn) = person.vpn.as_ref().filter(|_| dice.permille(400)) {
            log.signs_in(person.number, at + dice.roll(4 * HOUR), vpn, "vpn");
        }
    }
}

/// Some moment of a working day, with its place.
fn some(person: &Person, dice: &mut Dice) -> (i64, Rc<From>) {
    let mut day = 2 + dice.roll(26);
    while !is_weekday(day) {
        day += 1;
    }
    let at = START + day * DAY + (person.shift + 200 + dice.roll(200)) * MINUTE;
    (at, person.place(day))
}

/// A few prompts that fail, and the one that is answered. Gives the last moment.
fn fails(
    log: &mut Log,
    (who, at): (usize, i64),
    failures: i64,
    from: &Rc<From>,
    dice: &mut Dice,
) -> i64 {
    for n in 0..failures {
        let outcome = *dice.one(&["timed_out", "denied", "timed_out"]);
        log.prompt(who, at + n * 70_000, outcome, from);
    }
    log.approves(who, at + failures * 70_000, from);
    at + failures * 70_000
}

fn mishaps(log: &mut Log, person: &Person, dice: &mut Dice) {
    let who = person.number;
    for (chance, least, more, what) in
        [(80, 1, 2, "a prompt missed"), (10, 3, 3, "a phone elsewhere")]
    {
        if dice.permille(chance) {
            let (at, from) = some(person, dice);
            let failures = least + dice.roll(more);
            let last = fails(log, (who, at), failures, &from, dice);
            log.went_wrong(what, who, at, last);
        }
    }
    if dice.permille(10) {
        let (at, from) = some(person, dice);
        let from = person.vpn.clone().unwrap_or(from);
        log.signs_in(who, at - HOUR, &from, "vpn");
        for n in 0..30 {
            log.say((who, at + n * 30_000), "prompt", "timed_out", &from, "vpn");
        }
        log.went_wrong("vpn reconnects", who, at, at + 30 * 30_000);
    }
    if dice.permille(50) {
        let (at, from) = some(person, dice);
        for n in 0..4 {
            log.prompt(who, at + n * 400, "timed_out", &from);
        }
        log.went_wrong("one push, many devices", who, at, at + 2_000);
    }
    if dice.permille(30) {
        travels(log, person, dice);
    }
    if dice.permille(30) {
        let (at, from) = some(person, dice);
        let new = Person::with_device(&from, format!("phone-of-{who}"));
        fails(log, (who, at), 1, &new, dice);
        log.say((who, at + 9 * MINUTE), "factor_change", "succeeded", &new, "password");
        log.went_wrong("a new phone", who, at, at + 9 * MINUTE);
    }
}

fn travels(log: &mut Log, person: &Person, dice: &mut Dice) {
    // Nobody is at home and away on the same morning.
    let at = some(person, dice).0 + 4 * HOUR;
    let ip = format!("100.{}.{}.{}", 64 + dice.roll(16), dice.roll(250), 1 + dice.roll(250));
    let asn = 64_600 + dice.roll(10);
    let away = Rc::new(From { ip, asn, country: "PT", ..(*person.home).clone() });
    // Three in a row away from home are rare; they ask a person.
    let failures = if dice.roll(100) == 0 { 3 } else { dice.roll(3) };
    let last = fails(log, (person.number, at), failures, &away, dice);
    log.went_wrong("travel", person.number, at, last);
    fails(log, (person.number, at + DAY), 0, &away, dice);
}

/// For forty minutes of a morning the provider sends no push: one in fifty has to answer one, and waits, tries again, gives up.
fn outage(log: &mut Log, people: &[Person], dice: &mut Dice) {
    let day = *dice.one(&[10, 11, 12, 13, 14, 17, 18, 19]);
    let begins = START + day * DAY + (10 * 60 + dice.roll(120)) * MINUTE;
    for person in people.iter().filter(|person| person.shift == 8 * 60) {
        if !dice.permille(20) {
            continue;
        }
        let from = person.vpn.clone().filter(|_| dice.permille(200));
        let from = from.unwrap_or_else(|| person.place(day));
        let at = begins + dice.roll(30) * MINUTE;
        let tries = 1 + dice.roll(5);
        for n in 0..tries {
            log.prompt(person.number, at + n * (60_000 + dice.roll(40_000)), "timed_out", &from);
        }
        let over = begins + 45 * MINUTE + dice.roll(60) * MINUTE;
        log.approves(person.number, over, &from);
        log.went_wrong("an outage", person.number, at, at + tries * 100_000);
    }
}

/// Forty or more of the company sit in a hall, behind one address that is new for all of them.
fn conference(log: &mut Log, people: &[Person], dice: &mut Dice) {
    let day = *dice.one(&[5, 6, 7, 12, 13, 14]);
    let guests = (people.len() / 50).clamp(20, 60);
    let begin = dice.below(people.len() - guests * 3);
    for person in people[begin..].iter().step_by(3).take(guests) {
        let ip = "198.51.100.80".to_owned();
        let hall = Rc::new(From { ip, asn: 64_650, country: "AT", ..(*person.home).clone() });
        // Nobody is in the office and in the hall on the same morning.
        let at = START + day * DAY + (16 * 60 + dice.roll(120)) * MINUTE;
        let failures = if dice.permille(150) { 1 + dice.roll(2) } else { 0 };
        let last = fails(log, (person.number, at), failures, &hall, dice);
        log.went_wrong("conference wi-fi", person.number, at, last);
        fails(log, (person.number, at + DAY - HOUR), 0, &hall, dice);
    }
}

/// One office registers its phones anew: new devices, prompts that nobody expected, changed factors.
fn registration(log: &mut Log, people: &[Person], dice: &mut Dice) {
    let day = *dice.one(&[18, 19, 20, 21, 24, 25]);
    let site: Vec<&Person> = people.iter().filter(|p| p.office.is_some()).take(200).collect();
    for person in site {
        let Some(office) = &person.office else { continue };
        let at = START + day * DAY + (9 * 60 + dice.roll(300)) * MINUTE;
        let new = Person::with_device(office, format!("new-phone-of-{}", person.number));
        let failures = if dice.permille(300) { 1 + dice.roll(2) } else { 0 };
        let last = fails(log, (person.number, at), failures, &new, dice);
        let changed = last + MINUTE + dice.roll(5 * MINUTE);
        log.say((person.number, changed), "factor_change", "succeeded", &new, "password");
        log.went_wrong("re-registration", person.number, at, changed);
    }
}

/// People of whom nothing is known come to an office on their first day, and find their phone.
fn starters(log: &mut Log, people: &[Person], dice: &mut Dice) {
    let known = log.lines.iter().map(|line| line.who).max().unwrap_or_default() + 1;
    for n in 0..(people.len() / 400).max(3) {
        let who = known + n;
        let day = *dice.one(&[3, 4, 10, 17, 24]);
        let mut from = From::clone(&people[dice.below(people.len())].home);
        from.ip = format!("198.19.{}.1", dice.roll(i64::try_from(people.len() / 400 + 1).unwrap()));
        from.asn = 64_520;
        from.device = Some(format!("laptop-{who}"));
        let from = Rc::new(from);
        let at = START + day * DAY + (9 * 60 + dice.roll(60)) * MINUTE;
        let failures = dice.roll(3);
        let last = fails(log, (who, at), failures, &from, dice);
        log.went_wrong("new starters", who, at, last);
        for later in day + 1..DAYS {
            if is_weekday(later) {
                let at = START + later * DAY + (8 * 60 + dice.roll(90)) * MINUTE;
                log.signs_in(who, at, &from, "password");
            }
        }
    }
}
