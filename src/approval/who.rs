//! Who may answer a question, and when answers are enough.

use chrono::TimeDelta;
use std::collections::BTreeSet;

use crate::model::approval::{Approval, ApprovalState, Asks, Decision, Vote};
use crate::model::id::{IncidentId, PersonId};
use crate::model::run::CellKey;
use crate::model::time::Time;

/// How long a new passkey decides nothing, once two others can.
pub(crate) const FRESH: TimeDelta = TimeDelta::hours(24);

/// What bears on whether somebody may answer, read from the state at the moment of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Standing<'a> {
    pub(crate) person: PersonId,
    pub(crate) name: &'a str,
    /// Their roles allow deciding.
    pub(crate) has_role: bool,
    pub(crate) enrolled_at: Option<Time>,
    /// Approvers besides this one whose passkeys are not new.
    pub(crate) others: usize,
    /// Their own account is in the hands of somebody else, or was.
    pub(crate) own_case: Option<IncidentId>,
    /// They published the version of the playbook that asks.
    pub(crate) published: bool,
}

/// Why somebody may not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Bar {
    #[error("it was already {0}")]
    Closed(&'static str),
    #[error("your role does not allow this")]
    Role,
    #[error("{0} may not decide this: it concerns them or they started it")]
    Concerned(String),
    #[error("{0} may not decide: their own account is in an incident ({1})")]
    OwnCase(String, IncidentId),
    #[error(
        "{0} published this version of the playbook; for a privileged person somebody else decides"
    )]
    Publisher(String),
    #[error("this passkey is new and decides from {} on", crate::model::time::rfc3339(*.0))]
    Fresh(Time),
    #[error("you have answered already; another person has to answer as well")]
    Voted,
}

/// Whether somebody may answer a question now.
pub(crate) fn bar(question: &Approval, who: &Standing<'_>, now: Time) -> Result<(), Bar> {
    let closed = match question.state {
        ApprovalState::Pending if question.expires_at <= now => Some("expired"),
        ApprovalState::Pending => None,
        ApprovalState::Approved => Some("approved"),
        ApprovalState::Denied => Some("denied"),
        ApprovalState::Expired => Some("expired"),
        ApprovalState::Cancelled => Some("cancelled"),
    };
    if let Some(closed) = closed {
        return Err(Bar::Closed(closed));
    }
    if !who.has_role {
        return Err(Bar::Role);
    }
    if question.barred.iter().any(|barred| is_same(barred, who.name)) {
        return Err(Bar::Concerned(who.name.to_owned()));
    }
    in_own_hands(who, now)?;
    if question.tier.is_typed() && who.published {
        return Err(Bar::Publisher(who.name.to_owned()));
    }
    let voted = |v: &Vote| v.by == who.person || is_same(&v.name, who.name);
    if question.votes.iter().any(voted) {
        return Err(Bar::Voted);
    }
    Ok(())
}

/// Whether somebody may change what guards everybody.
pub(crate) fn bar_from_guarding(who: &Standing<'_>, now: Time) -> Result<(), Bar> {
    if who.has_role { in_own_hands(who, now) } else { Err(Bar::Role) }
}

/// Whether somebody's word is theirs: no attacker holds their account, and their passkey is not new.
fn in_own_hands(who: &Standing<'_>, now: Time) -> Result<(), Bar> {
    if let Some(incident) = who.own_case {
        return Err(Bar::OwnCase(who.name.to_owned(), incident));
    }
    match who.enrolled_at.map(|at| at + FRESH).filter(|from| *from > now) {
        Some(from) if who.others >= 2 => Err(Bar::Fresh(from)),
        _ => Ok(()),
    }
}

/// `olga` and `olga@corp.example` are taken for one person: to bar one too many costs a
/// second approver, one too few lets a victim's account decide its own case.
pub(crate) fn is_same(barred: &str, name: &str) -> bool {
    let local = |s: &str| s.split('@').next().unwrap_or_default().trim().to_lowercase();
    let both_qualified = barred.contains('@') && name.contains('@');
    barred.trim().eq_ignore_ascii_case(name.trim())
        || (!both_qualified && local(barred) == local(name))
}

/// What answers come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tally {
    /// Others have to answer as well.
    Open,
    Settled {
        state: ApprovalState,
        granted: Vec<CellKey>,
    },
    /// Together with the answers before it nothing would be granted.
    NothingInCommon,
    /// It would be enough if it came from another group.
    SameGroup,
}

/// Counts one more answer. `grouped`: approvers are in groups, and several must not be of one.
///
/// One no is enough against what has not been done. What was done at once and stands until
/// it is undone takes as many people to undo as it takes to keep.
pub(crate) fn tally(question: &Approval, vote: &Vote, grouped: bool) -> Tally {
    if vote.decision == Decision::Deny && question.asks != Asks::Ratify {
        return Tally::Settled { state: ApprovalState::Denied, granted: Vec::new() };
    }
    let same: Vec<&Vote> = question
        .votes
        .iter()
        .chain([vote])
        .filter(|known| known.decision == vote.decision)
        .collect();
    let in_common = || {
        let mut cells = vote.cells.clone();
        cells.retain(|cell| same.iter().all(|v| v.cells.contains(cell)));
        cells
    };
    let granted = if vote.decision == Decision::Approve { in_common() } else { Vec::new() };
    if vote.decision == Decision::Approve && granted.is_empty() {
        return Tally::NothingInCommon;
    }
    if same.len() < question.quorum as usize {
        return Tally::Open;
    }
    let groups: BTreeSet<&str> = same.iter().flat_map(|v| &v.groups).map(String::as_str).collect();
    if grouped && question.quorum > 1 && groups.len() < 2 {
        return Tally::SameGroup;
    }
    let state = match vote.decision {
        Decision::Approve => ApprovalState::Approved,
        Decision::Deny => ApprovalState::Denied,
    };
    Tally::Settled { state, granted }
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_victims_account_does_not_decide_under_a_shorter_name() {
        assert!(is_same("Olga@corp.example", "olga@CORP.example"));
        assert!(is_same("olga@corp.example", "olga"));
        assert!(!is_same("olga@corp.example", "olga@other.example"));
        assert!(!is_same("olga@corp.example", "oleg"));
    }
}
