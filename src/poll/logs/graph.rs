//! Microsoft Graph's reports: a filter by time, pages by a link.

use chrono::TimeDelta;

use super::{Ask, NoPage, Page, time_in};
use crate::connector::response::Answer;
use crate::model::time::Time;

/// Half of what a page may hold: a record of a sign-in has several kilobytes.
const TOP: usize = 500;

pub(super) fn query(field: &str, ask: &Ask<'_>) -> Vec<(&'static str, String)> {
    let seconds = |at: Time| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Whole seconds: the one that has begun is asked for too.
    let until = ask.until.map(|until| seconds(until + TimeDelta::seconds(1)));
    let from = format!("{field} ge {}", seconds(ask.from));
    let filter = match until {
        Some(until) => format!("{from} and {field} le {until}"),
        None => from,
    };
    vec![("$filter", filter), ("$top", TOP.to_string())]
}

pub(super) fn page(answer: &Answer, field: &str) -> Result<Page, NoPage> {
    let records = answer.body["value"].as_array().ok_or(NoPage)?;
    let next = answer.body["@odata.nextLink"].as_str().filter(|url| !url.is_empty());
    Ok(Page {
        records: records.len(),
        newest: records.iter().filter_map(|record| time_in(record, field)).max(),
        next: next.map(str::to_owned),
        caught_up: next.is_none(),
    })
}
