//! Made-up people, where they are, and what their provider's log says of them. All of it is synthetic.

use serde::Serialize;
use std::rc::Rc;

/// 2026-05-01, a Friday, in milliseconds.
pub const START: i64 = 1_777_593_600_000;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
pub const DAYS: i64 = 30;

/// `SplitMix64`: a seed is the same month whatever a library does.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }

    /// In tenths of a percent.
    pub fn permille(&mut self, chance: i64) -> bool {
        self.roll(1_000) < chance
    }

    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub fn below(&mut self, many: usize) -> usize {
        usize::try_from(self.roll(i64::try_from(many).unwrap())).unwrap()
    }
}

/// Where somebody signs in from.
#[derive(Clone)]
pub struct From {
    pub ip: String,
    pub asn: i64,
    pub country: &'static str,
    pub device: Option<String>,
}

/// One line of the provider's log.
pub struct Line {
    pub at: i64,
    pub who: usize,
    pub kind: &'static str,
    pub outcome: &'static str,
    pub origin: &'static str,
    pub from: Rc<From>,
}

/// The line as a source posts it.
#[derive(Serialize)]
struct Posted<'l> {
    id: String,
    kind: &'static str,
    outcome: &'static str,
    account: String,
    time: String,
    factor: &'static str,
    origin: &'static str,
    ip: &'l str,
    asn: i64,
    place: Place,
    session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'l str>,
    synthetic: bool,
}

#[derive(Serialize)]
struct Place {
    country: &'static str,
}

/// A body with these lines; each is told under its number.
pub fn body(lines: &[Line], first: usize) -> Vec<u8> {
    let posted: Vec<Posted<'_>> =
        lines.iter().enumerate().map(|(n, line)| post(first + n, line)).collect();
    serde_json::to_vec(&posted).unwrap()
}

fn post(number: usize, line: &Line) -> Posted<'_> {
    Posted {
        id: format!("e{number}"),
        kind: line.kind,
        outcome: line.outcome,
        account: login(line.who),
        time: chrono::DateTime::from_timestamp_millis(line.at).unwrap().to_rfc3339(),
        factor: if line.outcome == "failed" { "password" } else { "push" },
        origin: line.origin,
        ip: &line.from.ip,
        asn: line.from.asn,
        place: Place { country: line.from.country },
        session: format!("{}:{}:{}", line.who, line.from.ip, line.at / (30 * MINUTE)),
        device: line.from.device.as_deref(),
        synthetic: true,
    }
}

/// The lab's names.
pub fn login(who: usize) -> String {
    format!("person-{:04}@lab.example", who + 1)
}

/// One of the company's people.
pub struct Person {
    pub number: usize,
    pub home: Rc<From>,
    /// Where their office's router says that they are, if they have an office.
    pub office: Option<Rc<From>>,
    /// The company's gateway, for those who use it.
    pub vpn: Option<Rc<From>>,
    /// When their day begins, in minutes after midnight.
    pub shift: i64,
}

/// An office has so many people at most.
const OFFICE: usize = 400;

impl Person {
    pub fn new(number: usize, dice: &mut Dice) -> Self {
        // One in a hundred brings a device that no provider vouches for.
        let device = (!dice.permille(10)).then(|| format!("laptop-{number}"));
        let ip = format!("198.18.{}.{}", dice.roll(250), 1 + dice.roll(250));
        let home = From { ip, asn: 64_500 + dice.roll(5), country: "DE", device };
        let at = |ip: String, asn: i64| Rc::new(From { ip, asn, ..home.clone() });
        let site = number / OFFICE;
        let office = dice.permille(600).then(|| at(format!("198.19.{}.1", site % 250), 64_520));
        // The company's client runs on the company's devices.
        let has_client = home.device.is_some() && dice.permille(300);
        let vpn = has_client.then(|| at("198.19.255.1".into(), 64_521));
        let shift = if dice.permille(100) { 21 * 60 } else { 8 * 60 };
        Self { number, home: Rc::new(home), office, vpn, shift }
    }

    /// Where they work on a day of the month.
    pub fn place(&self, day: i64) -> Rc<From> {
        let turn = (day + i64::try_from(self.number).unwrap()) % 5;
        match &self.office {
            Some(office) if turn < 3 => Rc::clone(office),
            _ => Rc::clone(&self.home),
        }
    }

    /// The place as a device sees it that is not theirs yet.
    pub fn with_device(from: &From, device: String) -> Rc<From> {
        Rc::new(From { device: Some(device), ..from.clone() })
    }
}

/// What is told of people, and why: the reason is for the judge only.
#[derive(Default)]
pub struct Log {
    pub lines: Vec<Line>,
    pub mishaps: Vec<Mishap>,
}

/// Something that went wrong without an attack.
pub struct Mishap {
    pub who: usize,
    pub what: &'static str,
    pub first: i64,
    pub last: i64,
}

impl Log {
    pub fn say(
        &mut self,
        (who, at): (usize, i64),
        kind: &'static str,
        outcome: &'static str,
        from: &Rc<From>,
        origin: &'static str,
    ) {
        self.lines.push(Line { at, who, kind, outcome, origin, from: Rc::clone(from) });
    }

    pub fn prompt(&mut self, who: usize, at: i64, outcome: &'static str, from: &Rc<From>) {
        self.say((who, at), "prompt", outcome, from, "password");
    }

    pub fn signs_in(&mut self, who: usize, at: i64, from: &Rc<From>, origin: &'static str) {
        self.say((who, at), "sign_in", "succeeded", from, origin);
    }

    /// A prompt is answered, and the person is in.
    pub fn approves(&mut self, who: usize, at: i64, from: &Rc<From>) {
        self.prompt(who, at, "approved", from);
        self.signs_in(who, at + 1_000, from, "password");
    }

    pub fn went_wrong(&mut self, what: &'static str, who: usize, first: i64, last: i64) {
        self.mishaps.push(Mishap { who, what, first, last });
    }
}
