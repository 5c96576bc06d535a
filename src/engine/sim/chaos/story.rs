//! A whole story drawn from one seed: a deployment, its people, and what happens to them when.

use super::draw::Draw;
use super::plans::{self, Wish};
use super::weather::Plight;
use crate::approval::rota::{Options, Rota};
use crate::engine::policy::Policy;
use crate::model::incident::{MayCause, Stage};
use crate::model::plan::Mode;
use crate::model::time::Span;

/// A person with accounts.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact about a person")]
pub(super) struct Person {
    pub(super) name: String,
    /// The connection of each account, and how many of its factors the attacker added is drawn later.
    pub(super) accounts: Vec<&'static str>,
    pub(super) privileged: bool,
    pub(super) protected: bool,
    pub(super) weak: bool,
    pub(super) guest: bool,
    pub(super) factors: u64,
    /// Closed by somebody before the story begins.
    pub(super) shut: bool,
}

/// Who sends deliveries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) id: &'static str,
    pub(super) may_cause: MayCause,
    pub(super) connections: &'static [&'static str],
}

pub(super) const SOURCES: [Source; 4] = [
    Source { id: "siem", may_cause: MayCause::Contain, connections: &["idp", "okta"] },
    Source { id: "idp-log", may_cause: MayCause::Contain, connections: &["idp"] },
    Source { id: "forms", may_cause: MayCause::Revoke, connections: &["idp", "okta"] },
    Source { id: "plain", may_cause: MayCause::Record, connections: &["okta"] },
];

/// What a delivery states.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Alert {
        stage: Stage,
        exposed: bool,
    },
    /// Failed prompts from the attacker's address, and perhaps one that was approved.
    Burst {
        prompts: u64,
        approved: bool,
    },
    /// A success from the attacker's address.
    Entry,
    /// The person's own.
    OwnSignIn,
    Factor(u64),
    Report {
        own: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: u64,
    pub(super) source: usize,
    pub(super) person: usize,
    /// By the immutable id of this account rather than by sign-in name.
    pub(super) by_id: Option<usize>,
    pub(super) what: What,
    pub(super) age_s: u64,
    pub(super) replayed: bool,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Yes,
    Part,
    No,
    /// Signed for other parameters than those asked about.
    Forged,
    /// Two people at once, one of them saying no.
    Race,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Deliver(Delivery),
    Contain {
        person: usize,
    },
    Decide {
        which: u64,
        who: usize,
        how: How,
    },
    Restore {
        which: u64,
        by: usize,
    },
    Close {
        which: u64,
    },
    Resume {
        which: u64,
    },
    Pause(bool),
    /// The process dies; the next one starts so many seconds later.
    Kill,
    DieAtCommit(u64),
    DieInEffect(u64),
    /// The wall clock is put forward or back.
    Jump(i64),
    Weather {
        connection: &'static str,
        plight: Option<Plight>,
    },
    /// Somebody closes an account by other means.
    Shut {
        person: usize,
        account: usize,
    },
    Publish(Wish),
}

/// How questions that are still open at the end are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Yes,
    No,
    Silence,
}

#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) seed: u64,
    pub(super) policy: Policy,
    pub(super) people: Vec<Person>,
    pub(super) wish: Wish,
    /// Faults in a thousand calls.
    pub(super) rate: u64,
    /// How long a dead process stays down.
    pub(super) down_s: u64,
    /// By milliseconds from the start.
    pub(super) acts: Vec<(u64, Act)>,
    pub(super) ending: Ending,
}

/// Who may be asked: two on call, and everybody's own account as well.
pub(super) const ON_CALL: [&str; 2] = ["olga.oncall", "pete.oncall"];

impl Story {
    pub(super) fn draw(seed: u64) -> Self {
        let draw = Draw::new(seed);
        let people: Vec<Person> = (0..draw.between(1, 3)).map(|n| person(&draw, n)).collect();
        let policy = policy(&draw, &people);
        let minutes = draw.pick(&[10, 25, 60, 120]);
        let mut acts = Vec::new();
        evidence(&draw, people.len() as u64, minutes, &mut acts);
        answers(&draw, people.len(), minutes, &mut acts);
        trouble(&draw, &people, minutes, &mut acts);
        acts.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            policy,
            people,
            wish: plans::wish(&draw),
            rate: draw.pick(&[0, 0, 60, 150, 300, 450]),
            down_s: draw.pick(&[0, 2, 30, 900]),
            acts,
            ending: draw.pick(&[Ending::Yes, Ending::Yes, Ending::No, Ending::Silence]),
        }
    }
}

fn person(draw: &Draw, n: u64) -> Person {
    let accounts: &[Vec<&'static str>] =
        &[vec!["idp"], vec!["idp", "okta"], vec!["okta", "idp"], vec!["idp", "idp"]];
    Person {
        name: format!("p{n}@corp"),
        accounts: draw.pick(accounts),
        privileged: draw.chance(15),
        protected: draw.chance(8),
        weak: draw.chance(8),
        guest: draw.chance(8),
        factors: draw.between(1, 3),
        shut: draw.chance(15),
    }
}

fn policy(draw: &Draw, people: &[Person]) -> Policy {
    let mut policy = Policy {
        mode: draw.pick(&[
            Mode::Auto,
            Mode::Auto,
            Mode::Auto,
            Mode::Approve,
            Mode::Approve,
            Mode::Observe,
        ]),
        approval_timeout: Span::minutes(draw.pick(&[5, 20])),
        grant: Span::minutes(draw.pick(&[1, 10])),
        step_deadline: Span::minutes(draw.pick(&[4, 15])),
        protected: people.iter().filter(|p| p.protected).map(|p| p.name.clone()).collect(),
        ..Policy::default()
    };
    if draw.chance(40) {
        policy.ceilings.automatic_blocks = draw.index(3);
        policy.ceilings.approved_blocks = draw.index(3);
        policy.ceilings.reserved_blocks = draw.index(3);
    }
    // Half of all stories have a rota, and half of those channels through which nobody is ever told.
    if policy.approval_timeout == Span::minutes(5) {
        policy.oncall.rota = rota();
        let silent = policy.grant == Span::minutes(1);
        policy.oncall.channels.extend(silent.then(|| "nobody".to_owned()));
    }
    policy
}

fn rota() -> Rota {
    let text = format!(
        "calendars.x = {{ zone = 'Europe/Berlin', working_hours = ['mon-fri 09:00-17:00'] }}
        answer.locks_out = {{ working = '5m', off = '6m' }}
        [[shifts]]\nlevel = 'first'\ncalendar = 'x'\npeople = ['{}']
        [[shifts]]\nlevel = 'lead'\ncalendar = 'x'\npeople = ['{}']",
        ON_CALL[0], ON_CALL[1]
    );
    let (rota, problems) = toml::from_str::<Options>(&text).unwrap().read();
    assert_eq!(problems, []);
    rota
}

/// Alerts, events and reports, in any order; some come again, word for word.
fn evidence(draw: &Draw, people: u64, minutes: u64, acts: &mut Vec<(u64, Act)>) {
    let all = draw.between(2, 7);
    for id in 0..all {
        let what = match draw.below(12) {
            0..=4 => What::Alert {
                stage: draw.pick(&[Stage::Suspected, Stage::Confirmed, Stage::Confirmed]),
                exposed: draw.chance(70),
            },
            5 | 6 => What::Burst { prompts: draw.between(2, 7), approved: draw.chance(60) },
            7 => What::Entry,
            8 => What::OwnSignIn,
            9 => What::Factor(draw.below(2)),
            _ => What::Report { own: draw.chance(70) },
        };
        let delivery = Delivery {
            id,
            source: draw.pick(&[0, 0, 0, 1, 2, 3]),
            person: usize::try_from(draw.below(people)).unwrap(),
            by_id: draw.chance(25).then(|| draw.index(2)),
            what,
            age_s: if draw.chance(8) { 5_000 } else { draw.below(20) },
            replayed: draw.chance(5),
        };
        let at = if id == 0 { 0 } else { draw.below(minutes * 60_000) };
        acts.push((at, Act::Deliver(delivery.clone())));
        if draw.chance(25) {
            acts.push((at + draw.below(600_000), Act::Deliver(delivery)));
        }
    }
}

fn answers(draw: &Draw, people: usize, minutes: u64, acts: &mut Vec<(u64, Act)>) {
    for _ in 0..draw.between(0, 12) {
        let how =
            draw.pick(&[How::Yes, How::Yes, How::Yes, How::Part, How::No, How::Forged, How::Race]);
        let act =
            Act::Decide { which: draw.below(8), who: draw.index(ON_CALL.len() + people), how };
        acts.push((draw.below(minutes * 60_000), act));
    }
    // A yes that cannot be used at once, and perhaps not in time.
    if draw.chance(15) {
        let at = draw.below(minutes * 60_000);
        acts.push((at, Act::Pause(true)));
        acts.push((at + 10, Act::Decide { which: 0, who: 0, how: How::Yes }));
        acts.push((at + draw.between(30_000, 900_000), Act::Pause(false)));
    }
    for _ in 0..draw.below(4) {
        let (which, by) = (draw.below(4), draw.index(ON_CALL.len()));
        acts.push((draw.below(minutes * 60_000), Act::Restore { which, by }));
    }
    for _ in 0..draw.below(3) {
        acts.push((draw.below(minutes * 60_000), Act::Resume { which: draw.below(4) }));
    }
    if draw.chance(25) {
        acts.push((draw.below(minutes * 60_000), Act::Close { which: draw.below(3) }));
    }
    if draw.chance(15) {
        acts.push((draw.below(minutes * 60_000), Act::Contain { person: draw.index(people) }));
    }
}

fn trouble(draw: &Draw, people: &[Person], minutes: u64, acts: &mut Vec<(u64, Act)>) {
    let end = minutes * 60_000;
    if draw.chance(25) {
        let at = draw.below(end);
        acts.push((at, Act::Pause(true)));
        acts.push((at + draw.below(600_000), Act::Pause(false)));
    }
    if draw.chance(45) {
        for _ in 0..draw.between(1, 4) {
            let act = match draw.below(4) {
                0 => Act::Kill,
                1 | 2 => Act::DieAtCommit(draw.between(1, 12)),
                _ => Act::DieInEffect(draw.between(1, 4)),
            };
            let at = if draw.chance(50) { draw.below(3_000) } else { draw.below(end) };
            acts.push((at, act));
        }
    }
    if draw.chance(15) {
        let ms = i64::try_from(draw.between(1_000, 1_200_000)).unwrap();
        acts.push((draw.below(end), Act::Jump(if draw.chance(60) { ms } else { -ms / 4 })));
    }
    if draw.chance(30) {
        let connection = draw.pick(&["idp", "okta", "desk", "pager"]);
        let plight =
            draw.pick(&[Plight::Slow, Plight::Dead, Plight::Refusing(3), Plight::Refusing(200)]);
        let at = if draw.chance(50) { 0 } else { draw.below(end) };
        acts.push((at, Act::Weather { connection, plight: Some(plight) }));
        acts.push((at + draw.below(1_500_000), Act::Weather { connection, plight: None }));
    }
    if draw.chance(20) {
        let person = draw.index(people.len());
        let account = draw.index(people[person].accounts.len());
        acts.push((draw.below(end), Act::Shut { person, account }));
    }
    if draw.chance(12) {
        acts.push((draw.below(end), Act::Publish(plans::wish(draw))));
    }
}
