//! A made-up month of a made-up company, played through the whole of Quell in `auto` mode: who is caught and
//! contained, how often the wolf is cried, and who is locked out though nobody attacked them.
//!
//! `QUELL_SEED`, `QUELL_PEOPLE` and `QUELL_ATTACKS` choose another month ([`people`], [`noise`], [`attacks`]). What
//! is done to people is the lab's word ([`quell::Rehearsal`]). All of this is synthetic.

mod attacks;
mod judge;
mod noise;
mod people;

use attacks::Attack;
use judge::{Figures, Total};
use people::{DAY, DAYS, Dice, Log, MINUTE, Person, START};

/// A body holds ten thousand records.
const BODY: usize = 5_000;

/// A month: what happens, and what is behind it.
struct Month {
    log: Log,
    attacks: Vec<Attack>,
}

impl Month {
    fn new(seed: u64, people: usize, attacks: usize) -> Self {
        let mut dice = Dice(seed);
        let company: Vec<Person> = (0..people).map(|n| Person::new(n, &mut dice)).collect();
        let mut log = Log::default();
        noise::lives(&mut log, &company, &mut dice);
        let attacks = attacks::strike(&mut log, people, attacks, &mut dice);
        log.lines.sort_by_key(|line| (line.at, line.who));
        Self { log, attacks }
    }

    /// Posts each minute's lines at the end of that minute.
    fn play(&self) -> serde_json::Value {
        let names = self.log.lines.iter().map(|line| line.who).max().unwrap_or_default() + 1;
        let mut house = quell::Rehearsal::new(names, START - DAY).unwrap();
        let mut told = 0;
        for minute in self.log.lines.chunk_by(|a, b| a.at / MINUTE == b.at / MINUTE) {
            let due = (minute[0].at / MINUTE + 1) * MINUTE;
            for part in minute.chunks(BODY) {
                house.deliver(due, "events", &people::body(part, told)).unwrap();
                told += part.len();
            }
        }
        house.until(START + (DAYS + 2) * DAY).unwrap()
    }
}

fn given(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// `noted` starts no run; `suspected` and above end sessions. Nobody's yes is needed for what locks an ordinary
/// person out only once it is `breached`. The promises: recall 0.97, one false incident a month for a thousand
/// people, and one person for twenty thousand who is blocked or reset though nobody attacked them.
#[test]
fn attacks_are_caught_and_contained_and_nobody_else_is_locked_out() {
    let people = given("QUELL_PEOPLE");
    let attacks = given("QUELL_ATTACKS").unwrap_or(30);
    let seeds = match (given("QUELL_SEED"), people) {
        (Some(seed), _) => seed..=seed,
        (None, Some(_)) => 1..=1,
        (None, None) => 1..=3,
    };
    let people = people.unwrap_or(2_000);
    let mut total = Total::default();
    for seed in seeds {
        let month = Month::new(u64::try_from(seed).unwrap(), people, attacks);
        let figures = Figures::of(&month, &month.play());
        figures.print(seed, people, month.log.lines.len());
        figures.check(seed);
        total.add(&figures, people);
    }
    total.check();
}
