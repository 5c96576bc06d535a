//! Lines that are no JSON, as records: syslog (RFC 5424 and what came before it), `ArcSight`'s CEF, and plain text.

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Map, Value};
use syslog_loose::{ProcId, Variant};

use super::super::body::document;
use crate::model::time::{Time, rfc3339};

/// How a body is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Lines {
    /// One document, an array or wrapper of them, or one a line.
    #[default]
    Json,
    Cef,
    Syslog,
    /// `{"message": LINE}`.
    Text,
}

impl Lines {
    pub(super) const ALL: [(Self, &'static str); 4] =
        [(Self::Json, "json"), (Self::Cef, "cef"), (Self::Syslog, "syslog"), (Self::Text, "text")];

    /// One line as a record. Nothing is refused here: a rule that finds nothing in it passes it over.
    pub(super) fn record(self, line: &str, received_at: Time) -> Value {
        match self {
            Self::Json | Self::Text => Value::Object(Map::from_iter([put("message", line)])),
            Self::Syslog => syslog(line, received_at),
            Self::Cef => cef(line, received_at),
        }
    }
}

fn put(name: &str, text: &str) -> (String, Value) {
    (name.to_owned(), Value::String(text.to_owned()))
}

/// `time`, `host`, `app`, `process`, `id`, `message`, each structured element under its own id, and
/// `json` where the message is a document.
fn syslog(line: &str, received_at: Time) -> Value {
    // The old form has no year: the one in which the line is not from the future.
    let year = |(month, ..): syslog_loose::IncompleteDate| {
        let ahead = month > received_at.month() + 1;
        received_at.year() - i32::from(ahead)
    };
    let read = syslog_loose::parse_message_with_year_tz(line, year, Some(Utc), Variant::Either);
    let mut record = Map::new();
    let at = read.timestamp.map(|at| rfc3339(DateTime::to_utc(&at)));
    record.extend(at.map(|at| put("time", &at)));
    record.extend(read.hostname.map(|host| put("host", host)));
    record.extend(read.appname.map(|app| put("app", app)));
    record.extend(read.msgid.map(|id| put("id", id)));
    record.extend(read.procid.map(|process| match process {
        ProcId::PID(number) => ("process".to_owned(), number.into()),
        ProcId::Name(name) => put("process", name),
    }));
    for element in read.structured_data {
        let params = element.params.iter().map(|(name, text)| put(name, text));
        record.insert(element.id.to_owned(), Value::Object(params.collect()));
    }
    let message = read.msg.trim();
    if message.starts_with('{')
        && let Ok(json) = document(message)
    {
        record.insert("json".to_owned(), json);
    }
    record.extend([put("message", message)]);
    Value::Object(record)
}

/// The names of the header's fields, as `ArcSight`'s implementation standard has them.
const HEADER: [&str; 6] =
    ["deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity"];

/// The header and the extension's keys in one object, under what syslog said before them.
fn cef(line: &str, received_at: Time) -> Value {
    let Some(start) = line.find("CEF:") else {
        return Lines::Text.record(line, received_at);
    };
    let before = line[..start].trim();
    let mut record = match syslog(before, received_at) {
        Value::Object(record) if !before.is_empty() => record,
        _ => Map::new(),
    };
    record.remove("message");
    let mut rest = line[start..].split_once('|').map_or("", |(_, rest)| rest);
    for name in HEADER {
        let (text, after) = cut(rest, '|');
        record.extend([put(name, &unescaped(text))]);
        rest = after;
    }
    record.extend(extension(rest));
    Value::Object(record)
}

/// Up to the first such sign that no backslash stands before, and what comes after it.
fn cut(text: &str, at: char) -> (&str, &str) {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == at => return (&text[..index], &text[index + c.len_utf8()..]),
            _ => {}
        }
    }
    (text, "")
}

/// `key=value key=value`; a value may hold blanks, so that a key begins behind the last one before `=`.
fn extension(text: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = Vec::new();
    let (mut key, mut rest) = match text.split_once('=') {
        Some((key, rest)) => (key.trim(), rest),
        None => return found,
    };
    loop {
        let (value, after) = cut(rest, '=');
        if value.len() == rest.len() {
            found.push(put(key, unescaped(value).trim()));
            return found;
        }
        let (value, next) = value.rsplit_once(' ').unwrap_or(("", value));
        found.push(put(key, unescaped(value).trim()));
        (key, rest) = (next, after);
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn now() -> Time {
        "2026-01-05T10:15:30Z".parse().unwrap()
    }

    #[test]
    fn a_cef_line_is_its_header_and_its_keys() {
        let line = r"Dec 31 23:59:01 xdr CEF:0|Hex\|node|XDR|1.0|100|MFA fatigue|8|suser=ana@example.com msg=3 prompts \= denied  rt=1777975573000 cs1Label=";

        let record = Lines::Cef.record(line, now());

        assert_eq!(record["deviceVendor"], "Hex|node");
        assert_eq!(record["name"], "MFA fatigue");
        assert_eq!(record["suser"], "ana@example.com");
        assert_eq!(record["msg"], "3 prompts = denied");
        assert_eq!(record["rt"], "1777975573000");
        assert_eq!(record["cs1Label"], "");
        assert_eq!(record["host"], "xdr");
        assert_eq!(record["time"], "2025-12-31T23:59:01.000Z", "of the year before");
    }

    #[test]
    fn both_forms_of_syslog_are_read() {
        let new = r#"<34>1 2026-01-05T10:00:00.5Z gate vpn 17 ID47 [mfa@32473 user="ana" result="denied"] {"a": 1}"#;
        let old = "<34>Jan  5 10:00:00 gate vpn[17]: push denied for ana";

        let told = Lines::Syslog.record(new, now());
        assert_eq!(told["mfa@32473"], json!({"user": "ana", "result": "denied"}));
        assert_eq!((&told["json"]["a"], &told["host"]), (&json!(1), &json!("gate")));
        assert_eq!(told["time"], "2026-01-05T10:00:00.500Z");

        let told = Lines::Syslog.record(old, now());
        assert_eq!(told["message"], "push denied for ana");
        assert_eq!((&told["app"], &told["process"]), (&json!("vpn"), &json!(17)));
    }

    proptest! {
        #[test]
        fn any_line_is_a_record(line in "(<34>1? )?(CEF:)?[ -~|=\\\\é]{0,120}") {
            for (lines, _) in Lines::ALL {
                prop_assert!(lines.record(&line, now()).is_object());
            }
        }
    }
}
