//! Whole stories from seeds: evidence, people, faults, deaths and clocks in random order, and what must be true of every one.
//!
//! `QUELL_SIM_SEED=N` replays one story and prints all that happened in it; `QUELL_SIM_SEEDS`
//! says how many are played. A seed tells everything: the same one gives the same story.

mod catalogue;
mod check;
mod clock;
mod disk;
pub(super) mod draw;
mod facts;
mod life;
mod link;
mod people;
mod plans;
mod play;
mod shrink;
pub(super) mod soak;
mod story;
mod tenant;
mod tests;
mod trace;
mod weather;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;

use super::in_virtual_time;
use crate::engine::tasks::said;
use play::Play;
use story::Story;
use weather::Fault;

/// What came of one story.
#[derive(Default)]
struct Told {
    wrong: Vec<String>,
    trace: String,
    deaths: u64,
    faults: BTreeMap<Fault, u64>,
    approvals: u64,
    effects: u64,
    commits: u64,
}

/// Stands for threads and networks that go on while a process dies.
#[expect(clippy::disallowed_methods, reason = "what runs outside the engine is no task of its")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

/// Plays a story from beginning to end. A panic in the engine is a wrong like any other.
fn tell(story: &Story, traced: bool) -> Told {
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        in_virtual_time(async {
            let mut play = Play::begin(story, traced).await;
            Box::pin(play.all()).await;
            told(&play)
        })
    }));
    played.unwrap_or_else(|panic| {
        let text = said(&*panic).unwrap_or("of unknown cause");
        Told { wrong: vec![format!("the_engine_does_not_panic: {text}")], ..Told::default() }
    })
}

fn told(play: &Play<'_>) -> Told {
    let decided = |c: &crate::model::entry::Commit| {
        let is = |e: &&crate::model::entry::Entry| {
            matches!(e, crate::model::entry::Entry::ApprovalDecided(_))
        };
        c.entries.iter().filter(is).count() as u64
    };
    let journal = play.outside.disk.journal();
    Told {
        wrong: check::all(play),
        trace: play.outside.trace.text(),
        deaths: play.deaths,
        faults: play.outside.weather.counts.lock().unwrap().clone(),
        approvals: journal.iter().map(decided).sum(),
        effects: play.outside.effects.load(Ordering::Relaxed),
        commits: journal.len() as u64,
    }
}
