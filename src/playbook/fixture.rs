//! A small table of signatures: what tests of the language may call.

use crate::model::action::{Effect, Input, Reversal, Signature, Signatures, ValueType as T};

fn signature(effect: Effect, inputs: &[(&str, T, bool)], outputs: &[(&str, T)]) -> Signature {
    let input = |kind, required| Input {
        kind,
        required,
        default: None,
        max_length: (kind == T::String).then_some(200),
        summary: String::new(),
    };
    Signature {
        inputs: inputs
            .iter()
            .map(|(n, kind, must)| ((*n).to_owned(), input(*kind, *must)))
            .collect(),
        outputs: outputs.iter().map(|(n, kind)| ((*n).to_owned(), *kind)).collect(),
        effect,
        reversal: Reversal::None,
        has_undo: false,
        point_in_time: false,
        summary: String::new(),
    }
}

pub(crate) fn signatures() -> Signatures {
    let account = &[("account", T::Account, true)][..];
    let revoke = Signature {
        point_in_time: true,
        ..signature(Effect::Contain, account, &[("revoked_at", T::Time)])
    };
    let block = Signature {
        reversal: Reversal::Undo,
        has_undo: true,
        ..signature(Effect::Contain, account, &[])
    };
    let recover = |inputs| Signature {
        reversal: Reversal::Recover,
        ..signature(Effect::Contain, inputs, &[])
    };
    let mark = Signature { reversal: Reversal::Undo, ..signature(Effect::Record, account, &[]) };
    let open = signature(
        Effect::Record,
        &[
            ("title", T::String, true),
            ("queue", T::String, false),
            ("severity", T::String, false),
            ("description", T::String, false),
            ("urgent", T::Boolean, false),
            ("priority", T::Integer, false),
            ("labels", T::List, false),
            ("due", T::Time, false),
        ],
        &[("id", T::String), ("number", T::String), ("url", T::String)],
    );
    let comment = &[("ticket", T::String, true), ("text", T::String, true)][..];
    [
        ("identity.revoke_sessions", revoke),
        ("identity.block_sign_in", block),
        ("identity.reset_credentials", recover(account)),
        ("identity.remove_factor", recover(&[("factor", T::Factor, true)])),
        (
            "identity.get_user",
            signature(Effect::Read, account, &[("login", T::String), ("status", T::String)]),
        ),
        ("identity.mark_compromised", mark),
        ("ticket.open", open),
        ("ticket.comment", signature(Effect::Record, comment, &[])),
        ("ticket.close", signature(Effect::Record, &[("ticket", T::String, true)], &[])),
        ("notify.message", signature(Effect::Notify, &[("text", T::String, true)], &[])),
    ]
    .into_iter()
    .map(|(name, signature)| (name.to_owned(), signature))
    .collect()
}
