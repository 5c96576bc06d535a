//! Duo's authentication log: a stretch in milliseconds, and pages by an offset that is a pair.

use serde_json::Value;

use super::{Ask, NoPage, Page, time_in};
use crate::connector::response::Answer;
use crate::model::time::Time;

pub(super) const PATH: &str = "/admin/v2/logs/authentication";

/// The most that a page holds.
const LIMIT: usize = 1_000;

pub(super) fn query(ask: &Ask<'_>) -> Vec<(&'static str, String)> {
    // Both ends have to be there.
    let until = ask.until.unwrap_or(ask.from);
    let mut query = vec![
        ("mintime", ask.from.timestamp_millis().to_string()),
        ("maxtime", until.timestamp_millis().to_string()),
        ("limit", LIMIT.to_string()),
        ("sort", "ts:asc".to_owned()),
    ];
    query.extend(ask.next.map(|offset| ("next_offset", offset.to_owned())));
    query
}

pub(super) fn page(answer: &Answer) -> Result<Page, NoPage> {
    let response = &answer.body["response"];
    let records = response["authlogs"].as_array().ok_or(NoPage)?;
    // Where the page ends, a list without entries stands for none.
    let next = match &response["metadata"]["next_offset"] {
        Value::Array(parts) if !parts.is_empty() => {
            let parts: Vec<String> = parts.iter().filter_map(part).collect();
            Some(parts.join(","))
        }
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    Ok(Page {
        records: records.len(),
        newest: records.iter().filter_map(time).max(),
        caught_up: next.is_none(),
        next,
    })
}

fn part(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn time(record: &Value) -> Option<Time> {
    time_in(record, "isotimestamp")
        .or_else(|| Time::from_timestamp(record["timestamp"].as_i64()?, 0))
}
