//! What a decision signs. The passkey's challenge is SHA-256 over a domain prefix and the statement's
//! canonical JSON, so the assertion itself proves who approved precisely what.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

use crate::model::approval::{Approval, Decision, Signed, Statement, StatementItem};
use crate::model::deed::DeedStatement;
use crate::model::id::{DeploymentId, PersonId};

/// Keeps these signatures from meaning anything elsewhere.
const DOMAIN: &[u8] = b"quell/approval/v1\0";
const TOGETHER_DOMAIN: &[u8] = b"quell/approvals/v1\0";
const DEED_DOMAIN: &[u8] = b"quell/deed/v1\0";

/// JSON with sorted keys and no spaces: one spelling for one value.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    // `Value`'s maps are ordered by key, so a detour through it sorts struct fields as well.
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    serde_json::to_vec(&value).unwrap_or_default()
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The digest of an action's inputs: what a grant and the request about to be sent are compared by.
///
/// An account counts by its connection and immutable id. What is read about it (its status,
/// its display name) changes while people think, above all by containment itself.
pub(crate) fn params_digest(inputs: &BTreeMap<String, Value>) -> String {
    let named: BTreeMap<&String, Value> =
        inputs.iter().map(|(name, value)| (name, lasting(value))).collect();
    sha256_hex(&canonical(&named))
}

fn lasting(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.contains_key("connection") && map.contains_key("id") => {
            serde_json::json!({ "connection": map["connection"], "id": map["id"] })
        }
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), lasting(v))).collect(),
        Value::Array(list) => list.iter().map(lasting).collect(),
        other => other.clone(),
    }
}

/// One digest over all items, in order.
pub(crate) fn root(items: &[StatementItem]) -> String {
    let mut hash = Sha256::new();
    for item in items {
        hash.update(Sha256::digest(canonical(item)));
    }
    hex::encode(hash.finalize())
}

/// An answer that nobody signed, for trials and simulations: offline it proves nothing.
pub(crate) fn unsigned(
    question: &Approval,
    items: Vec<StatementItem>,
    decision: Decision,
    approver: PersonId,
    name: &str,
) -> Signed {
    let statement = Statement {
        rp: "trial".to_owned(),
        deployment: DeploymentId(uuid::Uuid::nil()),
        approval: question.id,
        incident: question.incident,
        run: question.run,
        plan: question.plan.clone(),
        root: root(&items),
        items,
        decision,
        asks: Some(question.asks),
        typed: None,
        justification: String::new(),
        approver,
        nonce: String::new(),
        issued_at: question.opened_at,
        expires_at: question.expires_at,
    };
    Signed {
        statement,
        together: Vec::new(),
        justification: String::new(),
        by_name: name.to_owned(),
        assertion: Value::Null,
        credential: Value::Null,
    }
}

/// The challenge that the passkey signs.
pub(crate) fn challenge(statement: &Statement) -> [u8; 32] {
    digest(DOMAIN, statement)
}

/// The challenge of one signature under these statements.
pub(crate) fn challenge_of(statements: &[Statement]) -> [u8; 32] {
    match statements {
        [only] => challenge(only),
        several => together_challenge(&together(several)),
    }
}

/// The digests that one signature under several statements is over; none for a statement alone.
pub(crate) fn together(statements: &[Statement]) -> Vec<String> {
    if statements.len() < 2 {
        return Vec::new();
    }
    statements.iter().map(|statement| hex::encode(challenge(statement))).collect()
}

/// The challenge that an answer's signature must be over. `None`: its statement is not among those signed.
pub(crate) fn signed_challenge(signed: &Signed) -> Option<[u8; 32]> {
    let own = challenge(&signed.statement);
    if signed.together.is_empty() {
        return Some(own);
    }
    signed.together.contains(&hex::encode(own)).then(|| together_challenge(&signed.together))
}

fn together_challenge(digests: &[String]) -> [u8; 32] {
    digest(TOGETHER_DOMAIN, &digests)
}

/// The same for an act that nobody asked for.
pub(crate) fn deed_challenge(statement: &DeedStatement) -> [u8; 32] {
    digest(DEED_DOMAIN, statement)
}

fn digest<T: Serialize>(domain: &[u8], statement: &T) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(domain);
    hash.update(canonical(statement));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_change_a_digest() {
        let a: BTreeMap<String, Value> =
            serde_json::from_str(r#"{"b":{"y":1,"x":2},"a":1}"#).unwrap();
        let b: BTreeMap<String, Value> =
            serde_json::from_str(r#"{"a":1,"b":{"x":2,"y":1}}"#).unwrap();

        assert_eq!(params_digest(&a), params_digest(&b));
    }

    #[test]
    fn any_change_to_an_item_changes_the_root() {
        let item = StatementItem {
            step: "block".into(),
            item: "entra:1".into(),
            action: "entra-id/disable-account".into(),
            target: "entra:1".into(),
            params: "00".into(),
        };
        let before = root(std::slice::from_ref(&item));

        for changed in [
            StatementItem { target: "entra:2".into(), ..item.clone() },
            StatementItem { params: "01".into(), ..item.clone() },
            StatementItem { action: "entra-id/enable-account".into(), ..item },
        ] {
            assert_ne!(root(&[changed]), before);
        }
    }
}
