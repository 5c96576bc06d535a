//! Reading other people's JSON: members by name whatever their case, blanks that are
//! spelled out as words, documents inside strings, and the many ways to write a time.

use chrono::{DateTime, Datelike, NaiveDateTime};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::net::IpAddr;

use super::body::document;
use crate::model::id::{AlertId, EventId, ReportId};
use crate::model::text::tame_field;
use crate::model::time::Time;

/// Words that mean "nothing" in the logs that are read here.
const NOTHING: [&str; 6] = ["null", "none", "unknown", "n/a", "undefined", "-"];

/// Longest text that is tried as a document; it may be read several times.
const EMBEDDED_MAX: usize = 65_536;

/// The member `name`; forwarders change the case of keys, so case counts for nothing.
pub(super) fn get<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    map.get(name)
        .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v))
        .filter(|v| !v.is_null())
}

/// [`get`] along a path.
pub(super) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |v, name| get(v, name))
}

/// A text, a number or a flag as tamed text; nothing where the record says nothing in words.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(s) => {
            let s = s.trim();
            let blank = s.is_empty() || NOTHING.iter().any(|word| s.eq_ignore_ascii_case(word));
            (!blank).then(|| tame_field(s))
        }
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

/// A text, a number or a flag as it stands in the record.
pub(super) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(s) => Some(Cow::Borrowed(s)),
        Value::Number(n) => Some(Cow::Owned(n.to_string())),
        Value::Bool(b) => Some(Cow::Owned(b.to_string())),
        _ => None,
    }
}

/// [`text`] at a path.
pub(super) fn text_at(value: &Value, path: &[&str]) -> Option<String> {
    at(value, path).and_then(text)
}

/// The value itself, or the document inside it where it is JSON in a string.
pub(super) fn embedded(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::String(s) if s.len() <= EMBEDDED_MAX && s.trim_start().starts_with(['{', '[']) => {
            document(s.trim()).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => Cow::Borrowed(value),
    }
}

pub(super) fn ip_at(value: &Value, path: &[&str]) -> Option<IpAddr> {
    text_at(value, path)?.parse().ok()
}

/// An AS number: `64500`, `"64500"` or `"AS64500"`; zero means that none is known.
pub(super) fn asn_at(value: &Value, path: &[&str]) -> Option<u32> {
    let text = text_at(value, path)?;
    let digits = text.trim_start_matches(['A', 'S', 'a', 's']);
    digits.split('.').next()?.parse::<u32>().ok().filter(|asn| *asn != 0)
}

/// A time in any of the spellings that the sources use. What has no zone is UTC.
pub(super) fn time(value: &Value) -> Option<Time> {
    let at = match value {
        Value::Number(n) => {
            let n = n.as_i64()?;
            let millis = if n.unsigned_abs() < 100_000_000_000 { n.checked_mul(1_000)? } else { n };
            DateTime::from_timestamp_millis(millis)?
        }
        Value::String(s) => time_text(s.trim())?,
        _ => return None,
    };
    is_sane(at).then_some(at)
}

/// Seconds or milliseconds since 1970, with or without a fraction.
pub(super) fn epoch(n: f64) -> Option<Time> {
    let millis = if n.abs() < 1e11 { n * 1_000.0 } else { n };
    // Further than any calendar goes.
    if !millis.is_finite() || millis.abs() > 1e15 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it was looked at: far below what i64 holds"
    )]
    DateTime::from_timestamp_millis(millis as i64).filter(|at| is_sane(*at))
}

/// Far enough from the calendar's ends that spans can be added without a second thought.
pub(super) fn is_sane(at: Time) -> bool {
    (1990..2200).contains(&at.year())
}

fn time_text(text: &str) -> Option<Time> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%m/%d/%Y, %I:%M:%S%.f %p"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|at| at.and_utc())
}

/// An event's id in its source's name space. What is too long or has hidden characters is
/// hashed whole, so that no two ids are cut or tamed to the same text.
pub(super) fn event_id(space: &str, raw: &str) -> EventId {
    if raw.len() <= 200 && tame_field(raw) == raw {
        EventId::new(format!("{space}:{raw}"))
    } else {
        EventId::new(format!("{space}:sha256-{}", sha256_hex(raw.as_bytes())))
    }
}

/// For a record without an id: the same record always gets the same one.
pub(super) fn content_id(space: &str, row: &Value) -> EventId {
    EventId::new(format!("{space}:sha256-{}", sha256_hex(row.to_string().as_bytes())))
}

/// An alert id that the same assertion always gets again, however often it is delivered.
pub(super) fn alert_id(at: Time, seed: &str) -> AlertId {
    AlertId::mint(at, ten_bytes(seed))
}

/// [`alert_id`] for reports.
pub(super) fn report_id(at: Time, seed: &str) -> ReportId {
    ReportId::mint(at, ten_bytes(seed))
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn ten_bytes(seed: &str) -> [u8; 10] {
    let digest: [u8; 32] = Sha256::digest(seed.as_bytes()).into();
    let mut out = [0; 10];
    out.copy_from_slice(&digest[..10]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::rfc3339;
    use serde_json::json;

    #[test]
    fn every_spelling_of_a_time_gives_the_same_instant() {
        for spelling in [
            json!("2021-04-28T14:08:45.221Z"),
            json!("2021-04-28T16:08:45.221+02:00"),
            json!("2021-04-28 14:08:45.221000000"),
            json!("4/28/2021, 2:08:45.221 PM"),
            json!(1_619_618_925_221_i64),
        ] {
            assert_eq!(rfc3339(time(&spelling).unwrap()), "2021-04-28T14:08:45.221Z", "{spelling}");
        }
    }

    #[test]
    fn a_time_at_the_end_of_the_calendar_is_no_time() {
        for odd in [json!("redacted"), json!(i64::MAX), json!("+262142-01-01 00:00:00"), json!(0)] {
            assert_eq!(time(&odd), None, "{odd}");
        }
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        for word in ["", " ", "null", "None", "unknown", "N/A"] {
            assert_eq!(text(&json!(word)), None);
        }
    }

    /// Or an attacker could hide a prompt behind another one's id.
    #[test]
    fn long_ids_are_not_cut_to_the_same_text() {
        let (a, b) = ("x".repeat(300) + "1", "x".repeat(300) + "2");

        assert_ne!(event_id("okta", &a), event_id("okta", &b));
    }
}
