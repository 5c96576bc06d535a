//! What was really done, held against what was intended.

use std::collections::BTreeMap;

use super::super::catalogue::spec;
use super::super::tenant::{Did, SOMEBODY};
use super::walk::Walk;
use crate::model::action::{Effect, Repeat};

fn by_quell<'w>(walk: &'w Walk<'_>) -> impl Iterator<Item = &'w Did> {
    walk.log.iter().filter(|d| d.key != SOMEBODY)
}

/// The intent was on disk before the request left.
pub(super) fn every_effect_has_a_durable_intent(walk: &Walk<'_>) -> Vec<String> {
    let intended = |did: &Did| {
        let of = walk.intents.get(&did.key);
        of.is_some_and(|all| all.iter().any(|i| i.seq <= did.sent_at && i.action == did.action))
    };
    by_quell(walk)
        .filter(|did| !intended(did))
        .map(|did| format!("{} on {:?} at head {}", did.action, did.account, did.sent_at))
        .collect()
}

/// By its `repeat` class: `once` and `verify` one effect, `keyed` one that counts, and never more than attempts.
pub(super) fn nothing_happens_twice(walk: &Walk<'_>) -> Vec<String> {
    let mut counts: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for did in by_quell(walk) {
        let count = counts.entry((&did.action, &did.key)).or_default();
        count.0 += 1;
        count.1 += usize::from(did.changed);
    }
    let mut wrong = Vec::new();
    for ((action, key), (all, changed)) in counts {
        let attempts = walk.intents.get(key).map_or(0, Vec::len);
        let again = walk.resumed.get(key).copied().unwrap_or_default();
        let allowed = match spec(action).map(|s| s.repeat) {
            Some(Repeat::Once) => 1 + again,
            Some(Repeat::Verify) => 1,
            _ => attempts,
        };
        let keyed = spec(action).is_some_and(|s| s.repeat == Repeat::Keyed) && changed > 1;
        if all > allowed || keyed {
            wrong.push(format!("{action} {all} times under {key}, {allowed} allowed"));
        }
    }
    wrong
}

/// After the pause's commit nothing leaves.
pub(super) fn no_effect_starts_while_paused(walk: &Walk<'_>) -> Vec<String> {
    let paused = |head: u64| {
        walk.pauses.iter().rev().find(|(seq, _)| *seq <= head).is_some_and(|(_, paused)| *paused)
    };
    by_quell(walk)
        .filter(|did| paused(did.sent_at))
        .map(|did| format!("{} on {:?} at head {}", did.action, did.account, did.sent_at))
        .collect()
}

/// Never the last one, unless sign-in is blocked or the password is another.
pub(super) fn the_last_factor_stays(walk: &Walk<'_>) -> Vec<String> {
    by_quell(walk)
        .filter(|did| did.disarmed)
        .map(|did| format!("{:?} was left without a factor", did.account))
        .collect()
}

/// Who closed it last before Quell opened it was Quell.
pub(super) fn restore_opens_only_what_quell_shut(walk: &Walk<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (n, did) in walk.log.iter().enumerate() {
        if did.action != "idp/unblock" || !did.changed {
            continue;
        }
        let shut = walk.log[..n]
            .iter()
            .rev()
            .find(|d| d.action == "idp/block" && d.account == did.account && d.changed);
        if shut.is_some_and(|d| d.key == SOMEBODY && !raced(walk, d)) {
            wrong.push(format!("{:?} was shut by somebody else", did.account));
        }
    }
    wrong
}

/// Somebody closed the account while a block of Quell's was under way: nobody can tell whose it is.
fn raced(walk: &Walk<'_>, shut: &Did) -> bool {
    let runs = walk.state.runs.values().flat_map(|r| r.cells.values());
    let mut blocks = runs.filter(|c| {
        c.account == shut.account
            && c.applied.as_ref().is_some_and(|a| a.call.action.as_str() == "idp/block")
    });
    blocks.any(|c| {
        let key = c.applied.as_ref().map(|a| a.call.key.as_str()).unwrap_or_default();
        let begun = walk.intents.get(key).and_then(|all| all.first()).map(|i| i.seq);
        // It lay between the intent and what came of the last attempt.
        let last = walk.log.iter().filter(|d| d.key == key).map(|d| d.done_at).max();
        begun.is_some_and(|b| b <= shut.sent_at) && last.is_none_or(|last| shut.sent_at <= last)
    })
}

/// What was opened at this head was held by nobody else.
pub(super) fn holds_are_respected(walk: &mut Walk<'_>, head: u64) {
    let opened: Vec<Did> = walk
        .log
        .iter()
        .filter(|d| d.sent_at == head && d.key != SOMEBODY)
        .filter(|d| spec(&d.action).is_some_and(|s| s.effect == Effect::Restore))
        .cloned()
        .collect();
    for did in opened {
        let Some(own) = walk.intents.get(&did.key).and_then(|i| i.last()).map(|i| i.incident)
        else {
            continue;
        };
        let others = walk.state.holds.values().filter(|h| {
            Some(&h.account) == did.account.as_ref()
                && h.by.values().any(|hold| {
                    spec(hold.action.as_str()).and_then(|s| s.undo).map(|u| u.0)
                        == Some(did.action.clone())
                })
                && h.by.keys().any(|incident| *incident != own)
        });
        if others.count() > 0 {
            let text = format!("{} on {:?}", did.action, did.account);
            walk.say("nothing_is_opened_that_another_incident_holds", text);
        }
    }
}
