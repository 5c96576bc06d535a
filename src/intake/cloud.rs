//! `CloudEvents` 1.0 over HTTP: attributes in `ce-` headers with the data as the body (binary mode), one document
//! (structured), or a list of them (batch). What comes in binary mode is made the document that it would have been.
//!
//! Attributes say what an event is and whom it concerns. Where they stand in headers, a signature of the body proves
//! none of them, so that such a source has to send documents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::DateTime;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::body::document;
use super::json::text_at;
use super::problem::Problem;
use crate::model::text::tame_field;

const PREFIX: &str = "ce-";
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];
/// Named otherwise in headers: by `Content-Type`, and by the body.
const NOT_IN_HEADERS: [&str; 3] = ["datacontenttype", "data", "data_base64"];
const STRUCTURED: &str = "application/cloudevents";

/// The document that a delivery in binary mode stands for; nothing if it is one already.
pub(super) fn from_binary(
    headers: &HeaderMap,
    body: &[u8],
    signs_body_only: bool,
) -> Result<Option<Bytes>, Problem> {
    let media = media_type(headers)?;
    let essence = media.as_deref().map(essence).unwrap_or_default();
    if let Some(form) = essence.strip_prefix(STRUCTURED) {
        return match form {
            "+json" | "-batch+json" => Ok(None),
            _ => Err(shape("of CloudEvents' own formats only JSON is read")),
        };
    }
    let mut event = attributes(headers)?;
    if event.is_empty() {
        return Ok(None);
    }
    if signs_body_only {
        return Err(shape(
            "this source signs its bodies, and `ce-` headers are no part of them: send `application/cloudevents+json`",
        ));
    }
    put_data(&mut event, media, &essence, body)?;
    let event = checked(Value::Object(event))?;
    Ok(Some(event.to_string().into()))
}

/// A document with all that the specification requires of it, and with its data where mappings look for it.
pub(super) fn checked(mut event: Value) -> Result<Value, Problem> {
    if !event.is_object() {
        return Err(shape("it is not an object"));
    }
    for name in REQUIRED {
        if event[name].as_str().is_none_or(|text| text.trim().is_empty()) {
            return Err(Problem::MissingField(name));
        }
    }
    if event["specversion"] != "1.0" {
        return Err(bad("specversion", "only version 1.0 is read"));
    }
    let time = event.get("time").filter(|time| !time.is_null());
    if time.is_some_and(|at| at.as_str().is_none_or(|at| DateTime::parse_from_rfc3339(at).is_err()))
    {
        return Err(bad("time", "it is no RFC 3339 time"));
    }
    let data = event.get("data_base64").and_then(Value::as_str);
    if let Some(data) = data.filter(|_| event.get("data").is_none()) {
        let bytes = STANDARD.decode(data).map_err(|_| bad("data_base64", "it is no base64"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            event["data"] = document(&text).unwrap_or(Value::String(text));
        }
    }
    Ok(event)
}

/// What names an event among all: its source and its id in it.
pub(super) fn name(event: &Value) -> Option<String> {
    let (source, id) = (text_at(event, &["source"])?, text_at(event, &["id"])?);
    // Of a source and an id that hold blanks, no other two make the same name.
    Some(format!("{}:{source} {id}", source.len()))
}

fn attributes(headers: &HeaderMap) -> Result<Map<String, Value>, Problem> {
    let mut found = Map::new();
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else { continue };
        if NOT_IN_HEADERS.contains(&name) {
            return Err(bad(header.as_str(), "the body says it, and `Content-Type` what it is"));
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(bad(&tame_field(header.as_str()), "an attribute is of letters and digits"));
        }
        let text = value.to_str().ok().and_then(decoded);
        let text = text.ok_or_else(|| bad(header.as_str(), "it is no percent-encoded UTF-8"))?;
        if found.insert(name.to_owned(), Value::String(text)).is_some() {
            return Err(bad(header.as_str(), "it is there twice"));
        }
    }
    Ok(found)
}

/// A header's value as the binding writes it: perhaps in quotes, and percent-encoded beyond plain ASCII.
fn decoded(value: &str) -> Option<String> {
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let plain = quoted.map_or_else(|| value.to_owned(), without_escapes);
    percent_decode_str(&plain).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn without_escapes(quoted: &str) -> String {
    let mut out = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(c) = rest.next() {
        out.extend(if c == '\\' { rest.next() } else { Some(c) });
    }
    out
}

fn put_data(
    event: &mut Map<String, Value>,
    media: Option<String>,
    essence: &str,
    body: &[u8],
) -> Result<(), Problem> {
    if let Some(media) = media {
        event.insert("datacontenttype".to_owned(), Value::String(media));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let is_json = essence.ends_with("/json") || essence.ends_with("+json");
    let data = match std::str::from_utf8(body) {
        Ok(text) if is_json => document(text)?,
        // Without a type it may be JSON; nothing else could be made of it.
        Ok(text) if essence.is_empty() => document(text).unwrap_or_else(|_| text.into()),
        Ok(text) => text.into(),
        Err(_) if is_json => return Err(Problem::NotUtf8),
        Err(_) => {
            event.insert("data_base64".to_owned(), STANDARD.encode(body).into());
            return Ok(());
        }
    };
    event.insert("data".to_owned(), data);
    Ok(())
}

fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(http::header::CONTENT_TYPE).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value.trim().to_owned())),
        _ => Err(bad("content-type", "it is there twice, or not plain text")),
    }
}

fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_lowercase()
}

fn shape(why: &str) -> Problem {
    Problem::UnknownShape(why.to_owned())
}

fn bad(field: &str, why: &str) -> Problem {
    Problem::BadField { field: field.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use serde_json::json;

    fn heads(pairs: &[(&str, &str)]) -> HeaderMap {
        let name = |text: &str| text.parse::<HeaderName>().unwrap();
        let pairs = pairs.iter().map(|(n, v)| (name(n), HeaderValue::from_str(v).unwrap()));
        let mut heads = HeaderMap::new();
        pairs.for_each(|(name, value)| _ = heads.append(name, value));
        heads
    }

    const PLAIN: [(&str, &str); 4] =
        [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-source", "/idp"), ("ce-type", "t")];

    fn read(more: &[(&str, &str)], body: &[u8]) -> Result<Value, String> {
        let event = from_binary(&heads(&[&PLAIN, more].concat()), body, false);
        let event = event.map_err(|problem| problem.to_string())?;
        Ok(serde_json::from_slice(&event.expect("binary mode")).unwrap())
    }

    #[test]
    fn headers_and_body_make_the_document_that_they_stand_for() {
        let subject = ("ce-subject", "Euro%20%E2%82%AC");
        let event =
            read(&[subject, ("content-type", "application/json; charset=utf-8")], b"{\"a\":1}");
        assert_eq!(
            event.unwrap(),
            json!({"specversion": "1.0", "id": "7", "source": "/idp", "type": "t",
                "subject": "Euro €", "datacontenttype": "application/json; charset=utf-8",
                "data": {"a": 1}})
        );

        let data = |media: &str, body: &[u8]| read(&[("content-type", media)], body).unwrap();
        assert_eq!(data("text/plain", b"{}")["data"], "{}");
        assert_eq!(data("application/vnd.x+json", b"[1]")["data"], json!([1]));
        assert_eq!(data("application/octet-stream", &[0xff])["data_base64"], "/w==");
        assert_eq!(read(&[], b"{\"a\":1}").unwrap()["data"], json!({"a": 1}));
        assert_eq!(read(&[], b"").unwrap().get("data"), None);
        assert_eq!(read(&[("ce-x", "\"a \\\" b\"")], b"").unwrap()["x"], "a \" b");
    }

    #[test]
    fn a_document_is_left_as_it_is() {
        for media in
            ["application/cloudevents+json; charset=utf-8", "application/cloudevents-batch+json"]
        {
            let both = heads(&[&PLAIN[..], &[("content-type", media)]].concat());
            assert_eq!(from_binary(&both, b"{}", true), Ok(None), "{media}");
        }
        assert_eq!(
            from_binary(&heads(&[("content-type", "application/json")]), b"{}", true),
            Ok(None)
        );
    }

    #[test]
    fn what_is_wrong_with_the_headers_is_named() {
        for missing in 0..PLAIN.len() {
            let mut some = PLAIN.to_vec();
            let (name, _) = some.remove(missing);
            let said = from_binary(&heads(&some), b"{}", false).unwrap_err().to_string();
            assert_eq!(said, format!("`{}` is missing", name.trim_start_matches("ce-")));
        }
        let said = |more, body| read(more, body).unwrap_err();
        assert_eq!(said(&[("ce-id", "8")], b"{}"), "`ce-id` cannot be used: it is there twice");
        assert!(said(&[("ce-time", "today")], b"{}").contains("no RFC 3339 time"));
        assert!(said(&[("ce-data", "{}")], b"{}").contains("`ce-data`"));
        assert!(said(&[("ce-subject", "%ff")], b"{}").contains("no percent-encoded UTF-8"));
        assert!(said(&[("ce-a_b", "x")], b"{}").contains("letters and digits"));
        assert!(said(&[("content-type", "application/json")], b"{").starts_with("not JSON"));
        assert!(
            said(&[("content-type", "application/cloudevents+avro")], b"{").contains("only JSON")
        );
        let old =
            [("ce-specversion", "0.3"), ("ce-id", "7"), ("ce-source", "/idp"), ("ce-type", "t")];
        let old = from_binary(&heads(&old), b"{}", false).unwrap_err().to_string();
        assert_eq!(old, "`specversion` cannot be used: only version 1.0 is read");
    }

    /// Whoever sits between could else make a signed body another event about somebody else.
    #[test]
    fn headers_beside_a_signed_body_prove_nothing() {
        let said = from_binary(&heads(&PLAIN), b"{}", true).unwrap_err().to_string();

        assert!(said.contains("send `application/cloudevents+json`"), "{said}");
    }

    #[test]
    fn data_in_base64_is_read_where_it_is_text() {
        let event = json!({"specversion": "1.0", "id": "7", "source": "/idp", "type": "t", "data_base64": "eyJhIjoxfQ=="});

        assert_eq!(checked(event).unwrap()["data"], json!({"a": 1}));
    }

    proptest! {
        /// A delivery under a name that was used is answered as a repetition: none may take another's name.
        #[test]
        fn no_two_events_have_one_name(a in "[a :]{1,4}", b in "[a :]{1,4}", c in "[a :]{1,4}", d in "[a :]{1,4}") {
            let named = |source: &str, id: &str| name(&json!({"source": source.trim(), "id": id.trim()}));
            let same = (a.trim(), b.trim()) == (c.trim(), d.trim());
            let names = (named(&a, &b), named(&c, &d));
            if let (Some(one), Some(other)) = names {
                prop_assert_eq!(one == other, same);
            }
        }
    }
}
