//! Judges what a look at the provider shows: a read-back, a look before, a search after doubt. Pure.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::expr::{self, ExprError};
use super::manifest::Look;
use super::request::{Given, account_of};
use crate::model::action::{CallResult, Outcome, ReadBack};

/// The read's inputs. Those that the manifest leaves out are the applied call's own account.
pub(crate) fn inputs(
    look: &Look,
    given: &Given<'_>,
    applied: &Value,
    wants_account: bool,
) -> Result<BTreeMap<String, Value>, ExprError> {
    let ctx = context(given, applied)?;
    let mut out = BTreeMap::new();
    if wants_account && let Some(account) = account_of(&given.inputs) {
        out.insert("account".to_owned(), account.clone());
    }
    for (name, expression) in &look.inputs {
        out.insert(name.clone(), expr::evaluate_strict(expression, &ctx)?);
    }
    Ok(out)
}

/// Whether what was read is as expected; for a search, with the action's own outputs.
pub(crate) fn judge(look: &Look, given: &Given<'_>, applied: &Value, read: CallResult) -> ReadBack {
    if !matches!(read.outcome, Outcome::Done | Outcome::Unchanged) {
        let problem = read.problem.unwrap_or_else(|| "the read-back failed".into());
        return ReadBack::Unread { problem, retry_after: read.retry_after };
    }
    let judged = context(given, applied).and_then(|mut ctx| {
        ctx["output"] = read.output.clone();
        let holds = expr::holds(&look.expect, &ctx)?;
        Ok((holds, found(look, &ctx, read.output)?))
    });
    match judged {
        Ok((true, output)) => ReadBack::Holds { strength: look.strength, output },
        Ok((false, _)) => ReadBack::Fails { problem: format!("`{}` does not hold", look.expect) },
        Err(error) => ReadBack::Unread { problem: error.to_string(), retry_after: None },
    }
}

fn found(look: &Look, ctx: &Value, read: Value) -> Result<Value, ExprError> {
    if look.outputs.is_empty() {
        return Ok(read);
    }
    let mut out = Map::new();
    for (name, expression) in &look.outputs {
        out.insert(name.clone(), expr::evaluate(expression, ctx)?);
    }
    Ok(Value::Object(out))
}

fn context(given: &Given<'_>, applied: &Value) -> Result<Value, ExprError> {
    let mut ctx = given.context()?;
    ctx["applied"] = if applied.is_null() { json!({}) } else { applied.clone() };
    Ok(ctx)
}
