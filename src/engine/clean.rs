//! What must be clean before somebody is let in again, as far as is known.
//!
//! A hold that runs out is taken off without asking only if all that can be told is clean; whoever decides about a
//! way back sees the same list.

use super::state::{Hold, State};
use crate::model::asked::Reply;
use crate::model::incident::{ApprovalSeen, Incident};
use crate::model::run::{Cell, Conclusion, Purpose};
use crate::model::subject::AccountKey;
use crate::model::time::{Time, rfc3339};
use std::collections::BTreeMap;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Clean,
    Unclean,
    /// Nobody has looked.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) why: String,
}

fn check(what: &'static str, verdict: Verdict, why: impl Into<String>) -> Check {
    Check { what, verdict, why: why.into() }
}

/// Whether a hold that ran out may be taken off without asking: nothing hostile was let in, and
/// what was exposed has been replaced.
pub(crate) fn is_clean(state: &State, incident: &Incident) -> bool {
    [approval(incident), password(state, incident), factors(state, incident)]
        .iter()
        .all(|check| check.verdict == Verdict::Clean)
}

/// Everything that bears on letting the person in again.
pub(crate) fn checks(state: &State, incident: &Incident, now: Time) -> Vec<Check> {
    let mut all = vec![
        approval(incident),
        password(state, incident),
        factors(state, incident),
        sessions(state, incident),
        mailbox(state, incident),
        since(incident),
        person(incident),
    ];
    all.extend(accounts(state, incident, now));
    all
}

fn approval(incident: &Incident) -> Check {
    let (verdict, why) = match incident.approval {
        ApprovalSeen::None => (Verdict::Clean, "no prompt was approved"),
        ApprovalSeen::Own => (Verdict::Clean, "the only approval was the person's own"),
        ApprovalSeen::Hostile => (Verdict::Unclean, "an attacker's prompt was approved"),
        ApprovalSeen::Unknown => (Verdict::Unknown, "a prompt was approved; whose is not known"),
    };
    check("Approval", verdict, why)
}

/// The newest cell of a capability for each account and item, but for those that mean nothing there.
fn newest<'s>(
    state: &'s State,
    incident: &Incident,
    capability: &str,
) -> BTreeMap<(Option<AccountKey>, String), &'s Cell> {
    let mut runs: Vec<_> =
        state.runs_of(incident.id).filter(|r| r.purpose != Purpose::Restore).collect();
    runs.sort_by_key(|run| run.id);
    let cells = runs.into_iter().flat_map(|run| run.cells_by_round()).filter(|cell| {
        cell.capability.as_ref().is_some_and(|c| c.as_str() == capability) && !cell.not_applicable
    });
    let item = |cell: &Cell| cell.key.item.split_once('#').map_or("", |(_, i)| i).to_owned();
    cells.map(|cell| ((cell.account.clone(), item(cell)), cell)).collect()
}

fn is_proved(cell: &Cell) -> bool {
    cell.conclusion() == Some(Conclusion::Succeeded) && cell.verified.is_some()
}

fn password(state: &State, incident: &Incident) -> Check {
    const WHAT: &str = "Password";
    if !incident.password_exposed {
        return check(WHAT, Verdict::Clean, "was not exposed");
    }
    let resets = newest(state, incident, "identity.reset_credentials");
    let open: Vec<String> = resets
        .iter()
        .filter(|(_, cell)| !is_proved(cell))
        .filter_map(|((account, _), _)| account.as_ref().map(ToString::to_string))
        .collect();
    if resets.is_empty() {
        return check(WHAT, Verdict::Unclean, "was exposed, and nothing replaced it");
    }
    if open.is_empty() {
        return check(WHAT, Verdict::Clean, "was exposed; its replacement was read back");
    }
    check(WHAT, Verdict::Unclean, format!("was exposed, and not replaced at {}", open.join(", ")))
}

fn factors(state: &State, incident: &Incident) -> Check {
    const WHAT: &str = "Factors";
    let removed = newest(state, incident, "identity.remove_factor");
    let is_gone = |id: &str| removed.iter().any(|((_, item), cell)| item == id && is_proved(cell));
    let left: Vec<&str> = incident
        .hostile_factors
        .iter()
        .map(|factor| factor.id.as_str())
        .filter(|id| !is_gone(id))
        .collect();
    match (incident.hostile_factors.len(), left.len()) {
        (0, _) => check(WHAT, Verdict::Clean, "none was added that is known of"),
        (n, 0) => {
            check(WHAT, Verdict::Clean, format!("{n} added in the attack: removed, read back"))
        }
        (_, _) => check(WHAT, Verdict::Unclean, format!("still there: {}", left.join(", "))),
    }
}

fn sessions(state: &State, incident: &Incident) -> Check {
    const WHAT: &str = "Sessions";
    let revoked = newest(state, incident, "identity.revoke_sessions");
    if revoked.is_empty() {
        return check(WHAT, Verdict::Unclean, "were not revoked");
    }
    // A revocation before the attacker came in proves nothing.
    let late = |cell: &Cell| match (incident.hostile_entry_at, cell.done_at) {
        (Some(entry), Some(done)) => done >= entry,
        (entry, _) => entry.is_none(),
    };
    let bad: Vec<String> = revoked
        .iter()
        .filter(|(_, cell)| cell.conclusion() != Some(Conclusion::Succeeded) || !late(cell))
        .filter_map(|((account, _), _)| account.as_ref().map(ToString::to_string))
        .collect();
    if bad.is_empty() {
        return check(WHAT, Verdict::Clean, "revoked since the last hostile sign-in");
    }
    check(
        WHAT,
        Verdict::Unclean,
        format!("not revoked since the last hostile sign-in at {}", bad.join(", ")),
    )
}

/// Hidden rules, forwarding, delegates and consents are where an attacker stays.
fn mailbox(state: &State, incident: &Incident) -> Check {
    let looked = |capability| newest(state, incident, capability);
    let read: Vec<&str> = ["identity.list_inbox_rules", "identity.list_grants"]
        .into_iter()
        .filter(|capability| {
            looked(capability).values().any(|cell| cell.conclusion() == Some(Conclusion::Succeeded))
        })
        .collect();
    match read.len() {
        0 => check("Mailbox and grants", Verdict::Unknown, "not checked"),
        _ => check(
            "Mailbox and grants",
            Verdict::Unknown,
            "rules or grants were read; forwarding, delegates and hidden rules were not",
        ),
    }
}

fn since(incident: &Incident) -> Check {
    const WHAT: &str = "Since containment";
    match incident.contained_at {
        None => check(WHAT, Verdict::Unclean, "it is not contained"),
        Some(at) if incident.last_evidence_at > at => check(
            WHAT,
            Verdict::Unclean,
            format!("evidence of {} came after it", rfc3339(incident.last_evidence_at)),
        ),
        Some(at) => check(WHAT, Verdict::Clean, format!("no evidence since {}", rfc3339(at))),
    }
}

fn person(incident: &Incident) -> Check {
    const WHAT: &str = "The person";
    let last =
        incident.asked.iter().rev().find_map(|asked| asked.reply.map(|reply| (reply, asked)));
    match last {
        Some((Reply::Yes, asked)) => check(
            WHAT,
            Verdict::Clean,
            format!("said that it was them, over {}", asked.channel.words()),
        ),
        Some((Reply::No, asked)) => check(
            WHAT,
            Verdict::Unknown,
            format!("said that it was not them, over {}", asked.channel.words()),
        ),
        Some((Reply::Unsure, _)) => check(WHAT, Verdict::Unknown, "was not sure"),
        None => check(WHAT, Verdict::Unknown, "has not been asked"),
    }
}

/// How an account stands against how Quell left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drift {
    None,
    /// Somebody else has changed it since: what it was, and is.
    Changed(String, String),
    /// It was not read since.
    Unread,
    /// The provider has no word for it.
    Untold,
}

/// Whether somebody else has touched what a hold of this incident shut. Whoever leaves the company, or was shut out by
/// a person meanwhile, must not be let in by Quell.
pub(crate) fn drift(
    state: &State,
    incident: &Incident,
    account: &AccountKey,
    hold: &Hold,
) -> Drift {
    let Some(left) = &hold.left else { return Drift::Untold };
    let known = state.subject(incident.subject).and_then(|s| s.account(account));
    match known {
        Some(known) if known.read_at < left.at => Drift::Unread,
        Some(known) if known.status.eq_ignore_ascii_case(&left.status) => Drift::None,
        Some(known) => Drift::Changed(left.status.clone(), known.status.clone()),
        None => Drift::Changed(left.status.clone(), "not found".to_owned()),
    }
}

fn accounts(state: &State, incident: &Incident, now: Time) -> Vec<Check> {
    let mut held: Vec<_> = state.holds_of(incident.id).collect();
    held.sort_by_key(|(holds, _)| holds.account.clone());
    let mut all = Vec::new();
    for (holds, hold) in held {
        let key = &holds.account;
        let read = state.subject(incident.subject).and_then(|s| s.account(key)).map(|a| a.read_at);
        let age = read.map_or_else(String::new, |at| {
            format!(", read {} minutes ago", (now - at).num_minutes())
        });
        let (verdict, why) = match drift(state, incident, key, hold) {
            Drift::None => (Verdict::Clean, format!("is as Quell left it{age}")),
            Drift::Changed(was, is) => (
                Verdict::Unclean,
                format!("somebody else has changed it: was `{was}`, is `{is}`{age}"),
            ),
            Drift::Unread => (Verdict::Unknown, "was not read since Quell shut it".to_owned()),
            Drift::Untold => (Verdict::Unknown, format!("how Quell left it is not known{age}")),
        };
        all.push(check("Account", verdict, format!("{key} {why}")));
        if holds.by.len() > 1 {
            let why = format!("{key} is held by another incident as well, and stays shut");
            all.push(check("Account", Verdict::Unknown, why));
        }
        if !holds.ours {
            let why = format!("{key} was shut before Quell came, and stays so");
            all.push(check("Account", Verdict::Unknown, why));
        }
    }
    all
}
