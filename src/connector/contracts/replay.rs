//! Replays one case: builds the request, reads the answer, judges the read-back, compares.

use http::HeaderMap;
use serde_json::Value;
use std::collections::BTreeMap;

use super::case::{Case, Exchange, Expected, Response, Seen, Shown};
use crate::connector::catalogue::Described;
use crate::connector::connections::settings;
use crate::connector::manifest::{Action, Look, Verify};
use crate::connector::request::{self, Given, Prepared};
use crate::connector::response::{self, Answer, Verdict};
use crate::connector::{input, proof};
use crate::model::action::{CallResult, Outcome, ReadBack};
use crate::model::time::Time;

const PASSWORD: &str = "Generated-Password-1!";

/// Says what differs.
pub(super) fn case(
    described: &Described,
    action: &Action,
    exchange: &Exchange,
    case: &Case,
) -> Result<(), String> {
    let mut chosen = exchange.given.settings.clone();
    chosen.extend(case.settings.clone());
    let mut problems = Vec::new();
    let settings = settings(described, &chosen, "https://vendor.example", &mut problems);
    if let Some(problem) = problems.pop() {
        return Err(problem);
    }
    let mut inputs = exchange.given.inputs.clone();
    inputs.extend(case.inputs.clone());
    let given = Given {
        connector: &described.manifest,
        action,
        settings: &settings,
        inputs: input::complete(&action.inputs, &inputs)?,
        key: exchange.given.key.as_deref().unwrap_or("key-1"),
        sent_at: exchange.given.sent_at.unwrap_or(Time::UNIX_EPOCH),
        password: request::makes_password(action).then_some(PASSWORD),
    };
    let result = called(described, &given, exchange, case)?;
    compare(case, &result)?;
    for seen in &case.verify {
        let find = action.find.as_ref().filter(|_| seen.in_doubt);
        let proof = match &action.verify {
            Some(Verify::Look(look)) => Some(look),
            _ => None,
        };
        let look = find.or(proof).ok_or("the action has no read-back")?;
        let applied = if seen.in_doubt { Value::Null } else { result.output.clone() };
        judge(described, look, &given, &applied, seen).map_err(|e| format!("verify: {e}"))?;
    }
    Ok(())
}

fn called(
    described: &Described,
    given: &Given<'_>,
    exchange: &Exchange,
    case: &Case,
) -> Result<CallResult, String> {
    let prepared = match request::build(given) {
        Ok(prepared) => prepared,
        Err(error) if case.response.is_none() => {
            return Ok(CallResult::failed(Outcome::Refused, error.to_string()));
        }
        Err(error) => return Err(error.to_string()),
    };
    same(&prepared, case.request.as_ref().unwrap_or(&exchange.request))?;
    let response = case.response.as_ref().ok_or("the request was built; what is the response?")?;
    let answer = answer(response);
    match response::judge(given, &answer) {
        Verdict::Failure(result) => Ok(result),
        Verdict::Success(outcome) => success(given, case, &answer, outcome),
        Verdict::Look(refused) => {
            let seen = case.look.as_ref().ok_or("unclear: the case needs `look`")?;
            let look = given.action.already_so.as_ref().ok_or("unclear without `already_so`")?;
            judge(described, look, given, &Value::Null, seen).map_err(|e| format!("look: {e}"))?;
            Ok(match seen.expect {
                Shown::Holds => CallResult { outcome: Outcome::Unchanged, ..refused },
                Shown::Fails => refused,
                Shown::Unread => CallResult { outcome: Outcome::Unknown, ..refused },
            })
        }
    }
}

fn success(
    given: &Given<'_>,
    case: &Case,
    answer: &Answer,
    outcome: Outcome,
) -> Result<CallResult, String> {
    let (mut items, mut next) = response::page(given, answer)?;
    if next != case.expect.next {
        return Err(format!("the next page is {next:?}, not {:?}", case.expect.next));
    }
    for response in &case.more {
        let (more, after) = response::page(given, &self::answer(response))?;
        items.extend(more);
        next = after;
    }
    let output = response::outputs(given, answer, items, next.is_none())?;
    Ok(CallResult { outcome, ..CallResult::done(output) })
}

fn judge(
    described: &Described,
    look: &Look,
    given: &Given<'_>,
    applied: &Value,
    seen: &Seen,
) -> Result<(), String> {
    let action = described.actions.get(&look.action).ok_or("there is no such read")?;
    let wants_account = action.inputs.contains_key("account");
    let inputs = proof::inputs(look, given, applied, wants_account).map_err(|e| e.to_string())?;
    let read = Given {
        action,
        inputs: input::complete(&action.inputs, &inputs)?,
        password: None,
        ..given.clone()
    };
    let prepared = request::build(&read).map_err(|e| e.to_string())?;
    if let Some(expected) = &seen.request {
        same(&prepared, expected)?;
    }
    let answer = answer(&seen.response);
    let result = match response::judge(&read, &answer) {
        Verdict::Failure(result) | Verdict::Look(result) => result,
        Verdict::Success(outcome) => {
            let (items, next) = response::page(&read, &answer)?;
            let output = response::outputs(&read, &answer, items, next.is_none())?;
            CallResult { outcome, ..CallResult::done(output) }
        }
    };
    let shown = proof::judge(look, given, applied, result);
    let (kind, output) = match &shown {
        ReadBack::Holds { output, .. } => (Shown::Holds, Some(output)),
        ReadBack::Fails { .. } => (Shown::Fails, None),
        ReadBack::Unread { .. } => (Shown::Unread, None),
    };
    if kind != seen.expect {
        return Err(format!("{shown:?} instead of {:?}", seen.expect));
    }
    among(output.unwrap_or(&Value::Null), &seen.output)
}

fn answer(response: &Response) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, value) in &response.headers {
        if let (Ok(name), Ok(value)) =
            (name.parse::<http::HeaderName>(), http::HeaderValue::from_str(value))
        {
            headers.append(name, value);
        }
    }
    let json = response.body.as_ref().map(Value::to_string);
    let body = response.text.clone().or(json).unwrap_or_default();
    Answer::new(response.status, &headers, body.as_bytes())
}

fn same(prepared: &Prepared, expected: &Expected) -> Result<(), String> {
    let (path, query) = prepared.path.split_once('?').unwrap_or((&prepared.path, ""));
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let json: Option<Value> = serde_json::from_slice(&prepared.body).ok();
    differs("method", &prepared.method, &expected.method)?;
    differs("path", &path, &expected.path.as_str())?;
    differs("query", &query, &expected.query)?;
    differs("json", &json, &expected.json)?;
    for (name, value) in &expected.headers {
        let sent = prepared.headers.get(&name.to_lowercase());
        differs(&format!("header {name}"), &sent, &Some(value))?;
    }
    Ok(())
}

fn compare(case: &Case, result: &CallResult) -> Result<(), String> {
    let expect = &case.expect;
    let problem = result.problem.as_deref().unwrap_or_default();
    if result.outcome != expect.outcome {
        return Err(format!("{:?} ({problem}) instead of {:?}", result.outcome, expect.outcome));
    }
    if let Some(part) = &expect.problem
        && !problem.contains(part.as_str())
    {
        return Err(format!("the problem is `{problem}`, without `{part}`"));
    }
    differs("retry_after", &result.retry_after, &expect.retry_after)?;
    differs("connection_fault", &result.connection_fault, &expect.connection_fault)?;
    among(&result.output, &expect.output)
}

fn among(output: &Value, expected: &BTreeMap<String, Value>) -> Result<(), String> {
    expected
        .iter()
        .try_for_each(|(name, value)| differs(&format!("output {name}"), &&output[name], &value))
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what} is {is:?}, not {should:?}")) }
}
