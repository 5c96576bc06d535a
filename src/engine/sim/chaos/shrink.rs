//! A smaller story in which the same promise breaks.

use super::story::Story;
use super::tell;

/// Stories that are tried at most.
const TRIES: usize = 150;

fn promise(wrong: &[String]) -> Option<&str> {
    wrong.first().and_then(|w| w.split(':').next())
}

/// Leaves out what is not needed for the first thing that went wrong.
pub(super) fn shrink(story: &Story, wrong: &[String]) -> Story {
    let Some(wanted) = promise(wrong).map(str::to_owned) else { return story.clone() };
    let mut left = TRIES;
    let mut still = |story: &Story| {
        left = left.saturating_sub(1);
        left > 0 && tell(story, false).wrong.iter().any(|w| w.starts_with(&wanted))
    };
    let mut small = story.clone();
    let calm = Story { rate: 0, ..small.clone() };
    if still(&calm) {
        small = calm;
    }
    let mut at = 0;
    while at < small.acts.len() {
        let mut without = small.clone();
        without.acts.remove(at);
        if still(&without) {
            small = without;
        } else {
            at += 1;
        }
    }
    small
}
