//! What must be true of every story, whatever happened in it. Each promise is a function of its own name.
//!
//! The oracle is the world's own list of effects, held against the journal, which is walked
//! entry by entry with the state as it stood before. Effects carry the journal's durable head
//! at the time they left, so that order needs no clock.

mod effects;
mod end;
mod gates;
mod walk;

use super::play::{Play, Rows, folded, unlike};
use crate::engine::state::State;

pub(super) use walk::Walk;

/// Everything that is wrong with a story that has ended.
pub(super) fn all(play: &Play<'_>) -> Vec<String> {
    let mut wrong = play.wrong.clone();
    let seen = play.outside.seen.lock().unwrap().clone();
    wrong.extend(seen.into_iter().map(|s| format!("a_connection_takes_what_it_can: {s}")));
    let journal = play.told();
    let mut walk = Walk::new(play, &journal);
    walk.go();
    wrong.append(&mut walk.wrong);
    for (name, found) in [
        ("acknowledged_is_never_lost", end::acknowledged_is_never_lost(play)),
        ("every_effect_has_a_durable_intent", effects::every_effect_has_a_durable_intent(&walk)),
        ("nothing_happens_twice", effects::nothing_happens_twice(&walk)),
        ("no_effect_starts_while_paused", effects::no_effect_starts_while_paused(&walk)),
        ("the_last_factor_stays", effects::the_last_factor_stays(&walk)),
        ("restore_opens_only_what_quell_shut", effects::restore_opens_only_what_quell_shut(&walk)),
        ("every_run_ends_or_waits_for_something_named", end::every_run_ends_or_waits(&walk)),
        (
            "what_was_done_first_is_put_to_people",
            gates::what_was_done_first_is_put_to_people(&walk),
        ),
        ("no_hostile_approval_is_absorbed", end::no_hostile_approval_is_absorbed(&walk)),
        ("rising_evidence_is_answered", end::rising_evidence_is_answered(&walk)),
    ] {
        wrong.extend(found.into_iter().map(|text| format!("{name}: {text}")));
    }
    wrong
}

/// Rows behind the journal are what the journal says, and so is what is left of it once its oldest
/// lines are dropped.
pub(super) async fn the_fold_is_the_projection(play: &mut Play<'_>) {
    play.ended_at = play.outside.disk.head();
    play.note_panics();
    let through = retire(play).await;
    let stopped = tokio::time::timeout(std::time::Duration::from_mins(1), play.engine.stop());
    if stopped.await.is_err() {
        play.wrong.push("a_stop_ends: it waits for ever".into());
        return;
    }
    let rows = play.outside.disk.rows.lock().unwrap().1.clone();
    let whole = folded(&play.outside.disk).all_rows();
    // An index that failed at the very end is made again by the next start.
    if let Some(row) = unlike(&rows, &whole).filter(|_| !play.outside.disk.has_failed()) {
        play.wrong.push(format!("the_fold_is_the_projection: the index has {row}"));
    }
    let Some(through) = through else { return };
    let mut rest = State::default();
    for commit in play.outside.disk.journal().iter().filter(|c| c.seq > through) {
        rest.apply(commit);
    }
    // Answers are remembered for a day; only older lines are ever dropped.
    let but_answers = |rows: Rows| -> Rows {
        rows.into_iter().filter(|(key, _)| !key.starts_with("delivery/")).collect()
    };
    if let Some(row) = unlike(&but_answers(rest.all_rows()), &but_answers(whole)) {
        play.wrong.push(format!("dropped_lines_are_not_needed: behind {through} is {row}"));
    }
}

/// Makes some of the lines unneeded; which.
async fn retire(play: &Play<'_>) -> Option<u64> {
    let projected = play.outside.disk.rows.lock().unwrap().0;
    let through = 1 + play.story.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) % projected.max(1);
    let retired = play.engine.retire(through);
    let patience = std::time::Duration::from_mins(1);
    // A sick index may not answer; then nothing is dropped.
    let retired = tokio::time::timeout(patience, retired).await.ok()?.ok()?;
    play.outside.trace.say(format!("== retired {retired:?} up to {through}"));
    Some(through)
}
