//! From bytes and headers to a verified delivery, and from that to events, alerts and reports.
//!
//! One road, in this order: cap the body, authenticate its raw bytes ([`Verifier::verify`]
//! is the only way to a [`Verified`]), inflate, and only then [`parse`]. A bad record costs
//! only itself: records in = understood + irrelevant + problems.
//!
//! May use `model`, and to read mappings `diagnostic` and the YAML of `playbook`. Knows no axum, no HTTP client, no store and no clock: the time of
//! receipt is handed in. Every text that is kept has been tamed.

mod asserted;
mod auth;
mod body;
mod client;
mod cloud;
mod duo;
mod entra;
mod generic;
mod json;
mod kind;
mod mail;
mod mapping;
mod microsoft;
mod okta;
mod parsed;
mod pingid;
mod problem;
mod ring;
mod set;
mod shipped;
mod siem;
mod slack;
mod teams;
mod verify;

use serde_json::Value;
use std::sync::Arc;

use crate::model::time::Time;

#[cfg(any(test, fuzzing))]
pub(crate) use auth::Encoding;
pub(crate) use auth::{Auth, Place};
pub(crate) use kind::Kind;
pub(crate) use mapping::{Mapping, read as read_mapping};
pub(crate) use okta::challenge as okta_challenge;
pub(crate) use parsed::{Parsed, Record};
pub(crate) use problem::{Problem, SetError};
pub(crate) use ring::{KeySet, Ring};
pub(crate) use set::{OfStream, of_stream};
pub(crate) use shipped::mappings as shipped_mappings;
pub(crate) use verify::{Verified, Verifier};

/// What a body is read as: a kind, and the deployment's own mapping where the kind is [`Kind::Mapping`].
#[derive(Debug, Clone)]
pub(crate) struct Format {
    pub(crate) kind: Kind,
    pub(crate) mapping: Option<Arc<Mapping>>,
}

impl From<Kind> for Format {
    fn from(kind: Kind) -> Self {
        Self { kind, mapping: None }
    }
}

impl Format {
    fn mapping(&self) -> Result<Option<&Mapping>, Problem> {
        match (self.kind, &self.mapping) {
            (Kind::Shipped(shipped), _) => Ok(Some(shipped.mapping())),
            (Kind::Mapping, Some(mapping)) => Ok(Some(mapping)),
            (Kind::Mapping, None) => Err(Problem::NoMapping),
            _ => Ok(None),
        }
    }
}

/// Understands a plain (inflated) body as records of one kind.
///
/// An error concerns the body as a whole; what is wrong with one record is in
/// [`Parsed::problems`].
pub(crate) fn parse(
    format: impl Into<Format>,
    bytes: &[u8],
    received_at: Time,
) -> Result<Parsed, Problem> {
    parse_most(&format.into(), bytes, received_at, body::RECORDS_MAX)
}

/// The same of a file that nobody sends: months of a log, however many records it holds.
pub(crate) fn parse_file(
    format: impl Into<Format>,
    bytes: &[u8],
    received_at: Time,
) -> Result<Parsed, Problem> {
    parse_most(&format.into(), bytes, received_at, usize::MAX)
}

fn parse_most(
    format: &Format,
    bytes: &[u8],
    received_at: Time,
    most: usize,
) -> Result<Parsed, Problem> {
    let rows = split(format, bytes, received_at, most)?;
    let mapping = format.mapping()?;
    let native = native(format.kind);
    let mut parsed = Parsed::default();
    for (index, row) in rows.into_iter().enumerate() {
        let verdict = row.and_then(|row| match mapping {
            Some(mapping) => mapping.record(&row, received_at),
            None => native(&row, received_at),
        });
        parsed.take(index, verdict, received_at);
    }
    Ok(parsed)
}

type Reader = fn(&Value, Time) -> Result<parsed::Verdict, Problem>;

fn native(kind: Kind) -> Reader {
    match kind {
        Kind::Events => generic::event,
        Kind::Alerts => generic::alert,
        Kind::Reports => generic::report,
        Kind::Okta => okta::record,
        Kind::Entra => entra::record,
        Kind::PingId => pingid::record,
        Kind::Duo => duo::record,
        Kind::Sentinel => microsoft::sentinel,
        Kind::Defender => microsoft::defender,
        Kind::Splunk => siem::splunk,
        Kind::Elastic => siem::elastic,
        Kind::Wazuh => siem::wazuh,
        Kind::Mail => mail::report,
        Kind::Slack => slack::report,
        Kind::Teams => teams::report,
        // These are read by their mapping.
        Kind::Mapping | Kind::Shipped(_) => |_, _| Err(Problem::NoMapping),
    }
}

/// Puts the readable records of a body into JSON arrays of at most `cap` bytes each, so that a
/// file longer than one delivery may be can be replayed as several.
pub(crate) fn rebatch(
    format: impl Into<Format>,
    bytes: &[u8],
    cap: usize,
    received_at: Time,
) -> Result<Vec<String>, Problem> {
    let mut batches: Vec<String> = Vec::new();
    let (mut open, mut held) = (String::new(), 0);
    let rows = split(&format.into(), bytes, received_at, usize::MAX)?;
    for row in rows.into_iter().flatten() {
        let row = row.to_string();
        // One level more is one too many for the whole batch: such a record goes alone.
        if body::depth(&row) >= body::DEPTH_MAX {
            if !open.is_empty() {
                batches.push(std::mem::take(&mut open) + "]");
            }
            batches.push(row);
            continue;
        }
        let full = open.len() + row.len() + 2 > cap || held == body::RECORDS_MAX;
        if !open.is_empty() && full {
            batches.push(std::mem::take(&mut open) + "]");
        }
        held = if open.is_empty() { 1 } else { held + 1 };
        open.push(if open.is_empty() { '[' } else { ',' });
        open.push_str(&row);
    }
    if !open.is_empty() {
        batches.push(open + "]");
    }
    Ok(batches)
}

/// How many records a body is cut into, readable or not.
#[cfg(any(test, fuzzing))]
pub(crate) fn count(kind: Kind, bytes: &[u8]) -> Result<usize, Problem> {
    split(&kind.into(), bytes, Time::UNIX_EPOCH, body::RECORDS_MAX).map(|rows| rows.len())
}

fn split(
    format: &Format,
    bytes: &[u8],
    received_at: Time,
    most: usize,
) -> Result<body::Rows, Problem> {
    if let Some(mapping) = format.mapping()? {
        let rows = mapping.rows(bytes, received_at, most)?;
        let is_cloud = format.kind.is_cloudevents();
        let checked = |row: Result<Value, Problem>| row.and_then(cloud::checked);
        return Ok(if is_cloud { rows.into_iter().map(checked).collect() } else { rows });
    }
    if format.kind == Kind::Entra && body::looks_like_csv(bytes) {
        return body::csv_rows(bytes, most);
    }
    match format.kind {
        Kind::Mail => mail::rows(bytes, most),
        Kind::Slack => slack::rows(bytes, most),
        kind => body::rows(bytes, kind.wrappers(), most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Time {
        "2026-05-05T10:15:30Z".parse().unwrap()
    }

    fn any_json() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "eventType",
            "uuid",
            "published",
            "actor",
            "outcome",
            "target",
            "debugContext",
            "records",
            "properties",
            "status",
            "errorCode",
            "authenticationDetails",
            "createdDateTime",
            "category",
            "result",
            "message",
            "recorded",
            "actors",
            "resources",
            "id",
            "kind",
            "account",
            "time",
            "user.authentication.auth_via_mfa",
            "SignInLogs",
            "AuditLogs",
            "2026-05-05T10:15:00Z",
            "50074",
        ]);
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            word.clone().prop_map(|w| format!("{w:?}")),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5)
                    .prop_map(|v| format!("[{}]", v.join(","))),
                prop::collection::vec((word.clone(), inner), 0..6).prop_map(|v| {
                    let members: Vec<_> = v.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for kind in Kind::all() {
                drop(parse(kind, &bytes, now()));
            }
        }

        #[test]
        fn every_record_is_accounted_for(text in any_json()) {
            for kind in Kind::all() {
                let rows = count(kind, text.as_bytes()).unwrap_or_default();
                if let Ok(parsed) = parse(kind, text.as_bytes(), now()) {
                    let told = parsed.understood + parsed.irrelevant.len() + parsed.problems.len();
                    prop_assert_eq!(told, rows);
                }
            }
        }
    }

    #[test]
    fn a_rebatched_body_holds_the_same_records() {
        let body = br#"{"records":[{"a":1},{"a":2},{"a":3}]}"#;

        let batches = rebatch(Kind::Entra, body, 18, now()).unwrap();

        assert_eq!(batches, [r#"[{"a":1},{"a":2}]"#, r#"[{"a":3}]"#]);
    }

    #[test]
    fn a_record_as_deep_as_may_be_does_not_cost_its_batch() {
        let depth = body::DEPTH_MAX - 1;
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let body = format!("{{\"a\":1}}\n{deep}\n{{\"a\":2}}");

        let batches = rebatch(Kind::Events, body.as_bytes(), 9_999, now()).unwrap();

        let records = |batch: &String| count(Kind::Events, batch.as_bytes()).unwrap();
        assert_eq!(batches.iter().map(records).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
