//! What the simulated systems offer: one action of each `repeat` class, and two changes that can be undone.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::model::action::{
    ActionSpec, Effect, Input, Proof, Repeat, Reversal, Signature, Strength, ValueType,
};
use crate::model::time::Span;

struct Line {
    capability: &'static str,
    action: &'static str,
    effect: Effect,
    repeat: Repeat,
    reversal: Reversal,
    item: Option<ValueType>,
    undo: Option<&'static str>,
    proved: bool,
}

const fn line(
    capability: &'static str,
    action: &'static str,
    effect: Effect,
    repeat: Repeat,
    item: Option<ValueType>,
) -> Line {
    Line {
        capability,
        action,
        effect,
        repeat,
        reversal: Reversal::None,
        item,
        undo: None,
        proved: true,
    }
}

const ACCOUNT: Option<ValueType> = Some(ValueType::Account);

const LINES: &[Line] = &[
    line("identity.revoke_sessions", "idp/revoke", Effect::Contain, Repeat::Set, ACCOUNT),
    Line {
        reversal: Reversal::Undo,
        undo: Some("idp/unblock"),
        ..line("identity.block_sign_in", "idp/block", Effect::Contain, Repeat::Set, ACCOUNT)
    },
    line("identity.unblock_sign_in", "idp/unblock", Effect::Restore, Repeat::Set, ACCOUNT),
    Line {
        reversal: Reversal::Undo,
        undo: Some("idp/clear"),
        ..line("identity.mark_compromised", "idp/mark", Effect::Contain, Repeat::Set, ACCOUNT)
    },
    line("identity.dismiss_risk", "idp/clear", Effect::Restore, Repeat::Set, ACCOUNT),
    Line {
        reversal: Reversal::Recover,
        ..line("identity.reset_credentials", "idp/reset", Effect::Contain, Repeat::Set, ACCOUNT)
    },
    Line {
        reversal: Reversal::Recover,
        ..line(
            "identity.remove_factor",
            "idp/remove",
            Effect::Contain,
            Repeat::Set,
            Some(ValueType::Factor),
        )
    },
    line("identity.list_factors", "idp/factors", Effect::Read, Repeat::Set, ACCOUNT),
    line("identity.get_user", "idp/get", Effect::Read, Repeat::Set, ACCOUNT),
    line("ticket.open", "desk/open", Effect::Record, Repeat::Verify, None),
    Line {
        proved: false,
        ..line("ticket.comment", "desk/comment", Effect::Record, Repeat::Keyed, None)
    },
    Line { proved: false, ..line("notify.page", "pager/page", Effect::Notify, Repeat::Once, None) },
    Line {
        proved: false,
        ..line("notify.message", "pager/message", Effect::Notify, Repeat::Once, None)
    },
];

/// The action behind a capability's or its own name.
pub(super) fn spec(name: &str) -> Option<ActionSpec> {
    let line = LINES.iter().find(|l| l.capability == name || l.action == name)?;
    Some(ActionSpec {
        id: line.action.into(),
        capability: line.capability.into(),
        effect: line.effect,
        repeat: line.repeat,
        reversal: line.reversal,
        point_in_time: line.action == "idp/revoke",
        proof: if line.proved {
            Proof::ReadBack(Strength::State)
        } else {
            Proof::None("it cannot be read".into())
        },
        undo: line.undo.map(Into::into),
        residual: None,
        assume_done: line.action == "pager/message",
        timeout: Span::seconds(10),
    })
}

/// Every name that a plan may use.
pub(super) static SIGNATURES: LazyLock<BTreeMap<String, Signature>> = LazyLock::new(|| {
    let of = |l: &Line| {
        let (name, kind) = match l.item {
            Some(ValueType::Factor) => ("factor", ValueType::Factor),
            _ => ("account", ValueType::Account),
        };
        let input =
            Input { kind, required: true, default: None, max_length: None, summary: String::new() };
        Signature {
            inputs: l.item.map(|_| (name.to_owned(), input)).into_iter().collect(),
            outputs: BTreeMap::new(),
            effect: l.effect,
            reversal: l.reversal,
            has_undo: l.undo.is_some(),
            point_in_time: l.action == "idp/revoke",
            summary: String::new(),
        }
    };
    let names = |l: &Line| [(l.capability.to_owned(), of(l)), (l.action.to_owned(), of(l))];
    LINES.iter().flat_map(names).collect()
});
