//! Reads an answer into one of the six outcomes, as the manifest says. Pure.
//!
//! Rules in the manifest come first, in the order done, unchanged, unclear, refused,
//! retry, connection fault. What none of them names: 404 as `not_found` says, other 4xx
//! and every redirect is a refusal, and 408 and 5xx mean that nobody knows.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::expr::{self, ExprError};
use super::manifest::{Action, NotFound, Output, Rule};
use super::request::Given;
use super::retry_after::retry_after;
use crate::model::action::{CallResult, Effect, Outcome, ValueType};
use crate::model::text::tame_field;

/// One answer as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Lower-case names; repeated headers are joined with `, `.
    pub(crate) headers: BTreeMap<String, String>,
    /// `null` when empty or not JSON.
    pub(crate) body: Value,
    /// There were bytes, but they are not JSON.
    pub(crate) garbled: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut named: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            named
                .entry(name.as_str().to_owned())
                .and_modify(|all| {
                    all.push_str(", ");
                    all.push_str(&value);
                })
                .or_insert_with(|| value.to_string());
        }
        let blank = body.iter().all(u8::is_ascii_whitespace);
        let parsed = if blank { None } else { serde_json::from_slice(body).ok() };
        Self {
            status,
            headers: named,
            garbled: !blank && parsed.is_none(),
            body: parsed.unwrap_or_default(),
        }
    }

    fn context(&self, given: &Given<'_>) -> Result<Value, ExprError> {
        let mut ctx = given.context()?;
        ctx["status"] = json!(self.status);
        ctx["headers"] = json!(self.headers);
        ctx["body"] = self.body.clone();
        Ok(ctx)
    }
}

/// What an answer means before its outputs are read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It worked: read the outputs, after the further pages of a list.
    Success(Outcome),
    /// It may be so already; if a look says no, this is the result.
    Look(CallResult),
    /// It did not.
    Failure(CallResult),
}

/// Judges an answer.
pub(crate) fn judge(given: &Given<'_>, answer: &Answer) -> Verdict {
    match verdict(given, answer) {
        Ok(verdict) => verdict,
        Err(error) => {
            Verdict::Failure(failure(given, answer, Outcome::Unknown, &error.to_string()))
        }
    }
}

fn verdict(given: &Given<'_>, answer: &Answer) -> Result<Verdict, ExprError> {
    let rules = &given.action.response;
    let ctx = answer.context(given)?;
    let any = |rules: &[Rule]| matches(rules, answer.status, &ctx);
    if any(&rules.done)? {
        return Ok(success(given, answer, &ctx, Outcome::Done));
    }
    if any(&rules.unchanged)? {
        return Ok(success(given, answer, &ctx, Outcome::Unchanged));
    }
    let words = words(given, answer, &ctx);
    if any(&rules.unclear)? {
        return Ok(Verdict::Look(failure(given, answer, Outcome::Refused, &words)));
    }
    if any(&rules.refused)? {
        return Ok(Verdict::Failure(failure(given, answer, Outcome::Refused, &words)));
    }
    if any(&rules.retry)? {
        return Ok(Verdict::Failure(failure(given, answer, Outcome::Throttled, &words)));
    }
    if any(&rules.connection_fault)? {
        let problem = format!("{words}{}", remedy(given.action, &ctx));
        let mut result = failure(given, answer, Outcome::Refused, &problem);
        result.connection_fault = true;
        return Ok(Verdict::Failure(result));
    }
    Ok(match (answer.status, rules.not_found) {
        (404, NotFound::Done) => Verdict::Success(Outcome::Done),
        (404, NotFound::Unchanged) => Verdict::Success(Outcome::Unchanged),
        // Among them a success that we were never told of: nobody knows.
        (200..300 | 408 | 500.., _) => {
            Verdict::Failure(failure(given, answer, Outcome::Unknown, &words))
        }
        _ => Verdict::Failure(failure(given, answer, Outcome::Refused, &words)),
    })
}

fn success(given: &Given<'_>, answer: &Answer, ctx: &Value, outcome: Outcome) -> Verdict {
    let response = &given.action.response;
    let wants_body = response.complete.is_some() || given.action.effect == Effect::Read;
    if answer.garbled && wants_body {
        return Verdict::Failure(failure(
            given,
            answer,
            Outcome::Unknown,
            "the answer is not JSON",
        ));
    }
    match response.complete.as_deref().map_or(Ok(true), |complete| expr::holds(complete, ctx)) {
        Ok(true) => Verdict::Success(outcome),
        Ok(false) => {
            let why = "the answer lacks what it must hold";
            Verdict::Failure(failure(given, answer, Outcome::Unknown, why))
        }
        Err(error) => {
            Verdict::Failure(failure(given, answer, Outcome::Unknown, &error.to_string()))
        }
    }
}

fn matches(rules: &[Rule], status: u16, ctx: &Value) -> Result<bool, ExprError> {
    for rule in rules {
        match rule {
            Rule::Status(s) if *s == status => return Ok(true),
            Rule::When { status: s, when } if *s == status && expr::holds(when, ctx)? => {
                return Ok(true);
            }
            _ => {}
        }
    }
    Ok(false)
}

fn failure(given: &Given<'_>, answer: &Answer, outcome: Outcome, problem: &str) -> CallResult {
    let reset = given.connector.limits.reset_header.as_deref();
    CallResult {
        status: Some(answer.status),
        retry_after: retry_after(&answer.headers, reset, given.sent_at),
        ..CallResult::failed(outcome, problem)
    }
}

/// `HTTP 403 Authorization_RequestDenied: Insufficient privileges …`, fit to show.
fn words(given: &Given<'_>, answer: &Answer, ctx: &Value) -> String {
    let say = |expression: &Option<String>| {
        let value = expr::evaluate(expression.as_deref()?, ctx).ok()?;
        value.as_str().filter(|text| !text.is_empty()).map(tame_field)
    };
    let error = &given.connector.error;
    let mut out = format!("HTTP {}", answer.status);
    if let Some(code) = say(&error.code) {
        out.push(' ');
        out.push_str(&code);
    }
    if let Some(message) = say(&error.message) {
        out.push_str(": ");
        out.push_str(&message);
    }
    out
}

/// What the connection lacks, and what a person does meanwhile.
fn remedy(action: &Action, ctx: &Value) -> String {
    let needs = match action.permissions.as_slice() {
        [] => String::new(),
        permissions => format!("; it needs {}", permissions.join(", ")),
    };
    match action.manual.as_deref().map(|manual| expr::render_text(manual, ctx)) {
        Some(Ok(manual)) => format!("{needs}; by hand: {manual}"),
        _ => needs,
    }
}

/// The outputs of a success: from the first answer, and the items of all pages.
pub(crate) fn outputs(
    given: &Given<'_>,
    answer: &Answer,
    items: Vec<Value>,
    all: bool,
) -> Result<Value, String> {
    let mut ctx = answer.context(given).map_err(|e| e.to_string())?;
    ctx["items"] = Value::Array(items);
    ctx["complete"] = Value::Bool(all);
    let mut out = Map::new();
    for (name, output) in &given.action.response.outputs {
        let value = match output {
            Output::Value(expression) => expr::evaluate(expression, &ctx),
            Output::Each { each, fields, when } => list(each, fields, when.as_deref(), &ctx),
        };
        out.insert(name.clone(), value.map_err(|e| e.to_string())?);
    }
    Ok(Value::Object(out))
}

fn list(
    each: &str,
    fields: &BTreeMap<String, String>,
    when: Option<&str>,
    ctx: &Value,
) -> Result<Value, ExprError> {
    let Value::Array(items) = expr::evaluate(each, ctx)? else { return Ok(json!([])) };
    // Without the whole answer in it, so that a thousand items do not each carry a thousand.
    let mut ctx = ctx.clone();
    ctx["body"] = Value::Null;
    ctx["items"] = Value::Null;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        ctx["item"] = item;
        if when.map_or(Ok(true), |when| expr::holds(when, &ctx))? {
            let mut made = Map::new();
            for (name, expression) in fields {
                made.insert(name.clone(), expr::evaluate(expression, &ctx)?);
            }
            out.push(Value::Object(made));
        }
    }
    Ok(Value::Array(out))
}

/// The items of one page, and where the next one is.
pub(crate) fn page(
    given: &Given<'_>,
    answer: &Answer,
) -> Result<(Vec<Value>, Option<String>), String> {
    let Some(paging) = &given.action.response.paging else { return Ok((Vec::new(), None)) };
    let ctx = answer.context(given).map_err(|e| e.to_string())?;
    let Value::Array(items) = expr::evaluate(&paging.items, &ctx).map_err(|e| e.to_string())?
    else {
        return Err("the answer holds no list".into());
    };
    let next = expr::evaluate(&paging.next, &ctx).map_err(|e| e.to_string())?;
    Ok((items, next.as_str().filter(|url| !url.is_empty()).map(str::to_owned)))
}

/// Checks outputs against what the capability promises; `null` is always allowed.
pub(crate) fn mistyped(output: &Value, promised: &BTreeMap<String, ValueType>) -> Option<String> {
    promised.iter().find_map(|(name, kind)| {
        let value = &output[name];
        let wrong = !value.is_null() && !super::input::fits(*kind, value);
        wrong.then(|| format!("the output `{name}` is not a {}", kind.name()))
    })
}
