//! Okta's System Log in its polling mode: no end, oldest first by when Okta wrote it, and a link that leads
//! on for ever. An empty page says that there is nothing more for now.

use super::{Ask, NoPage, Page, time_in};
use crate::connector::expr::link_next;
use crate::connector::response::Answer;
use crate::model::time::rfc3339;

pub(super) const PATH: &str = "/api/v1/logs";

/// Half of what a page may hold.
const LIMIT: usize = 500;

pub(super) fn query(ask: &Ask<'_>) -> Vec<(&'static str, String)> {
    vec![
        ("since", rfc3339(ask.from)),
        ("sortOrder", "ASCENDING".to_owned()),
        ("limit", LIMIT.to_string()),
    ]
}

pub(super) fn page(answer: &Answer) -> Result<Page, NoPage> {
    let records = answer.body.as_array().ok_or(NoPage)?;
    let next = answer.headers.get("link").and_then(|header| link_next(header));
    Ok(Page {
        records: records.len(),
        newest: records.iter().filter_map(|record| time_in(record, "published")).max(),
        caught_up: records.is_empty() || next.is_none(),
        next,
    })
}
