//! The response doctrine's "Who decides", for one step and one item.

use crate::model::action::{Effect, Reversal};
use crate::model::approval::Tier;
use crate::model::incident::{ApprovalSeen, MayCause, Stage};
use crate::model::plan::Mode;
use crate::model::subject::{Account, Link};

/// Everything that the doctrine looks at.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that the doctrine asks for")]
pub(crate) struct Question<'a> {
    pub(crate) effect: Effect,
    pub(crate) reversal: Reversal,
    /// Revocation: its effect is a moment, it is cheap, and it never waits for anybody.
    pub(crate) point_in_time: bool,
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    pub(crate) approval: ApprovalSeen,
    pub(crate) may_cause: MayCause,
    /// Evidence older than an hour, or marked as replayed.
    pub(crate) stale: bool,
    pub(crate) account: Option<&'a Account>,
    pub(crate) subject_privileged: bool,
    /// The playbook itself asks for approval.
    pub(crate) playbook_asks: bool,
    /// The playbook wants people asked afterwards what it does without a yes.
    pub(crate) playbook_ratifies: bool,
    /// A hold that runs out on a clean account, or what people have refused to ratify.
    pub(crate) is_settled: bool,
}

/// What the doctrine says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// At once. `ceiling` names the budget that it counts against.
    Go {
        ceiling: Option<&'static str>,
        /// People are asked afterwards whether it stands.
        ratify: bool,
    },
    Ask {
        reason: String,
    },
    /// No approval can allow it.
    Refuse {
        guardrail: &'static str,
        reason: String,
    },
    /// Only journalled.
    Observe,
}

/// Blocks without a person's yes.
pub(crate) const AUTO_BLOCKS: &str = "automatic_blocks";
/// Blocks with one.
pub(crate) const APPROVED_BLOCKS: &str = "approved_blocks";
/// Blocks after a hostile approval or of a privileged person: their own budget, so that decoys cannot use it up.
pub(crate) const RESERVED_BLOCKS: &str = "reserved_blocks";

const GO: Gate = Gate::Go { ceiling: None, ratify: false };

/// Judges one step for one item.
pub(crate) fn gate(q: &Question<'_>) -> Gate {
    match q.effect {
        Effect::Read => GO,
        _ if q.mode == Mode::Observe => Gate::Observe,
        Effect::Record | Effect::Notify if q.playbook_asks => ask("the playbook asks"),
        Effect::Record | Effect::Notify => GO,
        Effect::Restore if q.is_settled => GO,
        Effect::Restore => ask("restoring access is a person's decision"),
        Effect::Contain => contain(q),
    }
}

fn contain(q: &Question<'_>) -> Gate {
    let weak = q.account.is_some_and(|a| a.link == Link::Weak);
    if q.stale {
        return ask("the evidence is more than an hour old or was replayed");
    }
    if weak {
        return ask("the account is linked by mail address or name only");
    }
    if q.playbook_asks {
        return ask("the playbook asks");
    }
    if q.point_in_time {
        return match q.may_cause {
            MayCause::Record => ask("its source may only cause records"),
            MayCause::Revoke | MayCause::Contain => GO,
        };
    }
    if let Some(account) = q.account.filter(|a| a.protected) {
        return Gate::Refuse {
            guardrail: "protected",
            reason: format!(
                "`{}` is on the protected list: revoke and page, never block or reset",
                account.login
            ),
        };
    }
    if let Some(account) = q.account.filter(|a| a.roles_unread) {
        return Gate::Refuse {
            guardrail: "unresolved",
            reason: format!(
                "the roles of `{}` could not be read: revoke and page, never block or reset",
                account.login
            ),
        };
    }
    judged(q)
}

/// Steps that lock a person out.
fn judged(q: &Question<'_>) -> Gate {
    if q.mode != Mode::Auto {
        return ask("the mode is `approve`");
    }
    if q.may_cause < MayCause::Contain {
        return ask("its source may cause revocation only");
    }
    if q.stage < Stage::Breached {
        return ask("the incident is not `breached`");
    }
    // Act, then ask: an administrator's account in an attacker's hands cannot wait for two people.
    // What cannot be taken back does wait.
    let privileged = q.subject_privileged;
    if privileged && (q.approval != ApprovalSeen::Hostile || q.reversal != Reversal::Undo) {
        return ask("the person is privileged");
    }
    let ratify = privileged || (q.playbook_ratifies && q.reversal == Reversal::Undo);
    Gate::Go { ceiling: ceiling(q, AUTO_BLOCKS), ratify }
}

/// How much it takes to say yes to it.
pub(crate) fn tier(q: &Question<'_>) -> Tier {
    match q.effect {
        Effect::Read | Effect::Record | Effect::Notify => Tier::Harmless,
        Effect::Contain if q.point_in_time => Tier::Harmless,
        Effect::Contain | Effect::Restore if q.subject_privileged => Tier::Privileged,
        Effect::Contain | Effect::Restore => Tier::LocksOut,
    }
}

/// The budget that a step which may run counts against; blocks only, revocations never.
pub(crate) fn ceiling(q: &Question<'_>, ordinary: &'static str) -> Option<&'static str> {
    let reserved = q.approval == ApprovalSeen::Hostile || q.subject_privileged;
    (q.reversal == Reversal::Undo && q.effect == Effect::Contain).then_some(if reserved {
        RESERVED_BLOCKS
    } else {
        ordinary
    })
}

fn ask(reason: &str) -> Gate {
    Gate::Ask { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Question<'static> {
        Question {
            effect: Effect::Contain,
            reversal: Reversal::Undo,
            point_in_time: false,
            mode: Mode::Auto,
            stage: Stage::Breached,
            approval: ApprovalSeen::Hostile,
            may_cause: MayCause::Contain,
            stale: false,
            account: None,
            subject_privileged: false,
            playbook_asks: false,
            playbook_ratifies: false,
            is_settled: false,
        }
    }

    fn revoke() -> Question<'static> {
        Question { reversal: Reversal::None, point_in_time: true, ..block() }
    }

    fn asks(gate: &Gate) -> bool {
        matches!(gate, Gate::Ask { .. })
    }

    #[test]
    fn a_breach_of_an_ordinary_person_is_blocked_at_once_in_auto() {
        assert_eq!(gate(&block()), Gate::Go { ceiling: Some(RESERVED_BLOCKS), ratify: false });
        assert_eq!(
            gate(&Question { approval: ApprovalSeen::None, ..block() }),
            Gate::Go { ceiling: Some(AUTO_BLOCKS), ratify: false }
        );
    }

    #[test]
    fn nobody_is_locked_out_on_one_reports_word() {
        for stage in [Stage::Noted, Stage::Suspected, Stage::Confirmed] {
            assert!(asks(&gate(&Question { stage, ..block() })), "{stage:?}");
        }
        assert!(asks(&gate(&Question { may_cause: MayCause::Revoke, ..block() })));
    }

    #[test]
    fn revocation_waits_for_nobody_in_approve_mode_and_not_for_privileged_people() {
        let q = Question {
            mode: Mode::Approve,
            subject_privileged: true,
            stage: Stage::Suspected,
            ..revoke()
        };

        assert_eq!(gate(&q), GO);
    }

    #[test]
    fn a_privileged_person_who_let_somebody_in_is_blocked_first_and_people_ratify() {
        let breached = Question { subject_privileged: true, ..block() };

        assert_eq!(gate(&breached), Gate::Go { ceiling: Some(RESERVED_BLOCKS), ratify: true });
        for waits in [
            Question { reversal: Reversal::Recover, ..breached.clone() },
            Question { approval: ApprovalSeen::Unknown, ..breached.clone() },
            Question { mode: Mode::Approve, ..breached.clone() },
        ] {
            assert!(asks(&gate(&waits)));
            assert_eq!(tier(&waits), Tier::Privileged);
        }
        assert_eq!(tier(&Question { subject_privileged: true, ..revoke() }), Tier::Harmless);
    }

    #[test]
    fn a_playbook_that_has_blocks_ratified_lets_nothing_happen_that_would_not() {
        let wished = Question { playbook_ratifies: true, ..block() };

        assert_eq!(gate(&wished), Gate::Go { ceiling: Some(RESERVED_BLOCKS), ratify: true });
        for waits in [
            Question { mode: Mode::Approve, ..wished.clone() },
            Question { stage: Stage::Confirmed, ..wished.clone() },
            Question { may_cause: MayCause::Revoke, ..wished.clone() },
            Question { stale: true, ..wished.clone() },
            Question {
                subject_privileged: true,
                approval: ApprovalSeen::Unknown,
                ..wished.clone()
            },
        ] {
            assert!(asks(&gate(&waits)), "{waits:?}");
        }
    }

    #[test]
    fn old_or_replayed_evidence_never_acts_without_approval() {
        assert!(asks(&gate(&Question { stale: true, ..revoke() })));
        assert!(asks(&gate(&Question { stale: true, ..block() })));
    }

    #[test]
    fn observing_changes_nothing() {
        for effect in [Effect::Contain, Effect::Restore, Effect::Record, Effect::Notify] {
            assert_eq!(gate(&Question { mode: Mode::Observe, effect, ..block() }), Gate::Observe);
        }
    }

    #[test]
    fn access_is_never_restored_by_itself_unless_a_clean_hold_ran_out() {
        let restore = Question { effect: Effect::Restore, ..block() };

        assert!(asks(&gate(&restore)));
        assert_eq!(gate(&Question { is_settled: true, ..restore }), GO);
    }
}
