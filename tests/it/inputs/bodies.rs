//! Bodies that cannot be read, or hold what no record may.

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write as _;

use super::case::{Case, mark, now};
use super::doors::{event, sound};

pub(super) fn cases() -> Vec<Case> {
    [
        not_json(),
        encodings(),
        sizes(),
        packed(),
        shapes(),
        types(),
        accounts(),
        times(),
        numbers(),
        vendors(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn text(name: &str) -> String {
    String::from_utf8(sound(name)).unwrap()
}

/// A field of a sound alert replaced by raw JSON.
fn alert_with(name: &str, field: &str, raw: &str) -> String {
    let mut body: Value = serde_json::from_slice(&sound(name)).unwrap();
    body[field] = json!("%");
    body.to_string().replace("\"%\"", raw)
}

fn not_json() -> Vec<Case> {
    let no = |name: &str, body: String| {
        Case::to("siem", name, body.into_bytes()).refused(400, "not-json")
    };
    let whole = text("json-cut");
    vec![
        no("words", mark("words")),
        no("empty", String::new()),
        no("blank", " \n\t\r\n ".into()),
        no("json-cut", whole[..whole.len() - 1].to_owned()),
        no("json-and-more", format!("{} trailing", text("json-and-more"))),
        no("single-quotes", text("single-quotes").replace('"', "'")),
        no("trailing-comma", text("trailing-comma").replace('}', ",}")),
        no("comment", format!("/* {} */ {{}}", mark("comment"))),
        no("nan", alert_with("nan", "password_exposed", "NaN")),
        no("nul-inside", text("nul-inside").replace("test", "te\0st")),
        no("nul-in-front", format!("\0{}", text("nul-in-front"))),
        no("only-nul", "\0".repeat(5_000)),
        no("line-break-in-text", text("line-break-in-text").replace("test", "te\nst")),
        no("half-a-surrogate", alert_with("half-a-surrogate", "rule", "\"\\ud800\"")),
        no(
            "xml",
            format!(
                "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>&e;{}</x>",
                mark("xml")
            ),
        ),
        no("yaml", format!("kind: !!python/object/apply:os.system ['{}']", mark("yaml"))),
        no("form", format!("kind=mfa_fatigue&account={}", mark("form"))),
        no("number-is-infinite", alert_with("number-is-infinite", "password_exposed", "1e999")),
        Case::to("signins", "csv-ragged", format!("a,b\n{},2,3,4\n", mark("csv-ragged")))
            .taken(0, &["not-csv"]),
        Case::to(
            "signins",
            "csv-of-something-else",
            format!("a,b\n{},2\n", mark("csv-of-something-else")),
        )
        .taken(0, &["unknown-shape"]),
    ]
}

fn encodings() -> Vec<Case> {
    let utf16 = |name: &str, big: bool| -> Vec<u8> {
        let units = format!("\u{feff}{}", text(name));
        units
            .encode_utf16()
            .flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect()
    };
    let no = |name: &str, body: Vec<u8>| Case::to("siem", name, body).refused(400, "not-utf8");
    let spoilt = |name: &str, bytes: &[u8]| {
        let (front, back) = (text(name), sound(name));
        let at = front.find("\"test\"").unwrap() + 1;
        [&back[..at], bytes, &back[at..]].concat()
    };
    vec![
        no("utf16-little", utf16("utf16-little", false)),
        no("utf16-big", utf16("utf16-big", true)),
        no("latin1", spoilt("latin1", b"M\xfcller")),
        no("overlong", spoilt("overlong", b"\xc0\xaf")),
        no("surrogate-bytes", spoilt("surrogate-bytes", b"\xed\xa0\x80")),
        no("cut-character", spoilt("cut-character", b"\xe2\x82")),
        no("bytes", (0..=255_u8).cycle().take(9_000).collect()),
        Case::to("siem", "bom", [b"\xef\xbb\xbf".to_vec(), sound("bom")].concat()),
    ]
}

fn sizes() -> Vec<Case> {
    const SMALL: usize = 256 * 1024;
    const BATCH: usize = 4 * 1024 * 1024;
    let deep = |name: &str, n: usize, open: &str, close: &str| {
        let inner = format!("{}\"{}\"{}", open.repeat(n), mark(name), close.repeat(n));
        Case::to("siem", name, inner).refused(422, "too-deep")
    };
    let padded = |source: &str, name: &str, body: Vec<u8>, to: usize| {
        let mut body = body;
        body.resize(to, b' ');
        Case::to(source, name, body)
    };
    let large = |case: Case| case.refused(413, "body-too-large");
    let event = |name: &str| event(name).to_string().into_bytes();
    let many = |n: usize| format!("[{}1]", "1,".repeat(n - 1));
    vec![
        deep("deep-65", 65, "[", "]"),
        deep("deep-1000", 1_000, "[", "]"),
        deep("deep-objects-1000", 1_000, "{\"a\":", "}"),
        deep("deep-100000", 100_000, "[", "]"),
        Case::to("mfa", "deep-4-million", "[".repeat(4_000_000)).refused(422, "too-deep"),
        Case::to(
            "siem",
            "deep-in-a-text",
            alert_with("deep-in-a-text", "rule", &format!("\"{}\"", "[".repeat(9_000))),
        ),
        padded("siem", "small-at-the-cap", sound("small-at-the-cap"), SMALL),
        large(padded("siem", "small-over-the-cap", sound("small-over-the-cap"), SMALL + 1)),
        large(padded("oktahook", "okta-over-the-cap", sound("okta-over-the-cap"), SMALL + 1)),
        large(padded("desk", "report-over-the-cap", sound("report-over-the-cap"), SMALL + 1)),
        padded("mfa", "batch-at-the-cap", event("batch-at-the-cap"), BATCH),
        large(padded("mfa", "batch-over-the-cap", event("batch-over-the-cap"), BATCH + 1)),
        large(padded("signins", "entra-over-the-cap", sound("entra-over-the-cap"), BATCH + 1)),
        large(padded("ping", "ping-over-the-cap", sound("ping-over-the-cap"), BATCH + 1)),
        large(padded("nobody", "unknown-over-the-cap", sound("unknown-over-the-cap"), SMALL + 1)),
        large(padded("mfa", "huge", event("huge"), 16 * 1024 * 1024)),
        Case::to("siem", "many-records", many(10_001)).refused(413, "too-many-records"),
        Case::to("mfa", "many-lines", "{}\n".repeat(10_001)).refused(413, "too-many-records"),
        Case::to("siem", "as-many-as-may-be", many(10_000)).taken(0, &["unknown-shape"; 10_000]),
        Case::to("siem", "many-keys", format!("{{{}\"z\":0}}", keys(15_000)))
            .taken(0, &["unknown-shape"]),
        Case::to(
            "siem",
            "many-events-named",
            alert_with("many-events-named", "events", &format!("[{}\"e\"]", "\"e\",".repeat(500))),
        )
        .taken(0, &["bad-field"]),
    ]
}

fn keys(count: usize) -> String {
    let keys: Vec<String> = (0..count).map(|n| format!("\"k{n}\":0,")).collect();
    keys.concat()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn packed() -> Vec<Case> {
    let sent = |source: &str, name: &str, coding: &str, body: Vec<u8>| {
        Case::to(source, name, body).with("content-encoding", coding)
    };
    let gzip = |name: &str, body: Vec<u8>| sent("siem", name, "gzip", body);
    let unknown = |name: &str, coding: &str| {
        sent("siem", name, coding, sound(name)).refused(415, "wrong-encoding")
    };
    let bad = |name: &str, body: Vec<u8>| gzip(name, body).refused(400, "bad-gzip");
    let whole = |name: &str| zipped(&sound(name));
    let mut flipped = whole("gzip-flipped");
    let last = flipped.len() - 6;
    flipped[last] ^= 0xff;
    let cut = whole("gzip-cut");
    vec![
        gzip("gzip", whole("gzip")),
        sent("siem", "gzip-in-capitals", "GZIP", whole("gzip-in-capitals")),
        sent("siem", "identity", "identity", sound("identity")),
        gzip(
            "gzip-in-parts",
            [zipped(&sound("gzip-in-parts")[..20]), zipped(&sound("gzip-in-parts")[20..])].concat(),
        ),
        gzip("gzip-bomb", zipped(&vec![b' '; 100_000_000])).refused(413, "body-too-large"),
        sent("mfa", "gzip-bomb-for-batches", "gzip", zipped(&vec![b'['; 200_000_000]))
            .refused(413, "body-too-large"),
        gzip("gzip-of-gzip", zipped(&whole("gzip-of-gzip"))).refused(400, "not-utf8"),
        gzip("gzip-of-nothing", zipped(b"")).refused(400, "not-json"),
        bad("gzip-of-no-gzip", sound("gzip-of-no-gzip")),
        bad("gzip-cut", cut[..cut.len() - 9].to_vec()),
        bad("gzip-flipped", flipped),
        bad("gzip-with-a-tail", [whole("gzip-with-a-tail"), b"tail".to_vec()].concat()),
        bad("gzip-empty", Vec::new()),
        Case::to("siem", "gzip-not-told", whole("gzip-not-told")).refused(400, "not-utf8"),
        unknown("encoding-br", "br"),
        unknown("encoding-deflate", "deflate"),
        unknown("encoding-zstd", "zstd"),
        unknown("encoding-twice", "gzip, gzip"),
        unknown("encoding-is-a-script", "<script>alert(1)</script>"),
        unknown("encoding-is-long", &"g".repeat(20_000)),
    ]
}

fn shapes() -> Vec<Case> {
    let odd =
        |name: &str, raw: &str| Case::to("siem", name, raw.to_owned()).taken(0, &["unknown-shape"]);
    let doubled = text("keys-doubled").replace("\"kind\":", "\"kind\":\"nonsense\",\"kind\":");
    let spoilt = text("keys-doubled-badly").replace("\"stage\":", "\"stage\":\"suspected\",\"x\":");
    vec![
        odd("null", "null"),
        odd("true", "true"),
        odd("seven", "7"),
        odd("a-text", "\"{{ 7 }}\""),
        odd("empty-object", "{}"),
        Case::to("siem", "empty-array", "[]").taken(0, &[]),
        Case::to("siem", "empty-wrapper", "{\"alerts\":[]}").taken(0, &[]),
        odd("array-in-array", "[[]]"),
        odd("wrapper-is-an-object", "{\"alerts\":{\"0\":{}}}"),
        odd("wrapper-of-another-kind", "{\"events\":[]}"),
        odd("prototype", "{\"__proto__\":{\"admin\":true},\"constructor\":1}"),
        Case::to("siem", "mixed", format!("[1,{},null,[],\"x\"]", text("mixed")))
            .taken(1, &["unknown-shape"; 4]),
        Case::to("siem", "keys-doubled", doubled),
        Case::to("siem", "keys-doubled-badly", spoilt).taken(0, &["unknown-shape"]),
        Case::to("siem", "key-unknown", alert_with("key-unknown", "severity", "9"))
            .taken(0, &["unknown-shape"]),
        Case::to(
            "siem",
            "key-in-capitals",
            text("key-in-capitals").replace("\"kind\"", "\"KIND\""),
        )
        .taken(0, &["unknown-shape"]),
        Case::to(
            "mfa",
            "lines-partly-bad",
            format!("{}\n{{\"id\":\n{{}}\n", event("lines-partly-bad")),
        )
        .taken(1, &["not-json", "unknown-shape"]),
        Case::to(
            "mfa",
            "line-too-deep",
            format!("{}\n{}\n", event("line-too-deep"), "[".repeat(90)),
        )
        .taken(1, &["too-deep"]),
    ]
}

/// Every field once with a value of the wrong type, and once left out.
fn types() -> Vec<Case> {
    let whole = |kind: &str| match kind {
        "siem" => {
            json!({"id": "a", "kind": "mfa_fatigue", "account": {"login": "person-0001@lab.example"},
            "time": now().to_rfc3339(), "stage": "suspected", "reason": "r", "rule": "r", "events": ["e"],
            "password_exposed": true, "link": "https://siem.example/1"})
        }
        "desk" => {
            json!({"id": "a", "account": "person-0001@lab.example", "time": now().to_rfc3339(),
            "proof": "relayed", "text": "t"})
        }
        _ => json!({"id": "a", "kind": "prompt", "account": {"login": "person-0001@lab.example"},
            "time": now().to_rfc3339(), "outcome": "denied", "factor": "push", "origin": "vpn",
            "ip": "203.0.113.9", "asn": 64500, "place": {"country": "NO"}, "device": "d", "app": "a",
            "session": "s", "correlation": "c", "factor_id": "f", "changed_by": "own",
            "new_device": true, "message": "m", "synthetic": true}),
    };
    let mut cases = Vec::new();
    for (source, required) in [
        ("siem", vec!["kind", "account"]),
        ("desk", vec!["account"]),
        ("mfa", vec!["id", "kind", "account", "time", "outcome"]),
    ] {
        let good = whole(source);
        let keys: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
        for (what, value) in
            [("an-object", json!({"a": {}})), ("a-number", json!(-1.5)), ("a-list", json!([[1]]))]
        {
            let rows: Vec<Value> = keys
                .iter()
                .map(|key| {
                    let mut row = good.clone();
                    row[key.as_str()] = value.clone();
                    row
                })
                .collect();
            // An unknown key in a place is passed over, and the place is then an empty one.
            let lenient = usize::from(source == "mfa" && what == "an-object");
            let rejected = vec!["unknown-shape"; rows.len() - lenient];
            let name = format!("every-field-of-{source}-is-{what}");
            cases.push(
                Case::to(source, name, Value::from(rows).to_string())
                    .taken(lenient as u64, &rejected),
            );
        }
        let rows: Vec<Value> = required
            .iter()
            .map(|key| {
                let mut row = good.clone();
                row.as_object_mut().unwrap().remove(*key);
                row
            })
            .collect();
        let rejected = vec!["unknown-shape"; rows.len()];
        let name = format!("every-field-of-{source}-missing");
        cases.push(Case::to(source, name, Value::from(rows).to_string()).taken(0, &rejected));
    }
    cases
}

fn accounts() -> Vec<Case> {
    let nobody =
        |name: &str, account: &str| Case::to("siem", name, alert_with(name, "account", account));
    vec![
        nobody("account-empty", "{}").taken(0, &["missing-field"]),
        nobody("account-blank", "\"  \\t \"").taken(0, &["missing-field"]),
        nobody("account-null", "null").taken(0, &["unknown-shape"]),
        nobody("account-is-a-list", "[\"person-0001@lab.example\"]").taken(0, &["unknown-shape"]),
        nobody("account-with-more", "{\"login\":\"x\",\"admin\":true}")
            .taken(0, &["unknown-shape"]),
    ]
}

fn times() -> Vec<Case> {
    let at = |name: &str, raw: &str| Case::to("siem", name, alert_with(name, "time", raw));
    let none = |name: &str, raw: &str| at(name, raw).taken(0, &["unknown-shape"]);
    let bad = |name: &str, raw: &str| at(name, raw).taken(0, &["bad-field"]);
    let ahead = (now() + chrono::TimeDelta::minutes(10)).to_rfc3339();
    vec![
        bad("time-9999", "\"9999-12-31T23:59:59Z\""),
        bad("time-262142", "\"+262142-12-31T23:59:59Z\""),
        bad("time-before-our-era", "\"-0044-03-15T12:00:00Z\""),
        bad("time-zero", "\"0000-01-01T00:00:00Z\""),
        bad("time-1970", "\"1970-01-01T00:00:00Z\""),
        none("time-year-overflows", "\"999999999-01-01T00:00:00Z\""),
        none("time-epoch-as-text", "\"1700000000\""),
        none("time-epoch", "1700000000"),
        none("time-negative", "-1"),
        none("time-empty", "\"\""),
        none("time-month-13", "\"2026-13-01T00:00:00Z\""),
        none("time-february-30", "\"2026-02-30T00:00:00Z\""),
        none("time-without-a-zone", "\"2026-01-01T00:00:00\""),
        none("time-zone-overflows", "\"2026-01-01T00:00:00+99:99\""),
        none("time-in-words", "\"tomorrow\""),
        at("time-far-ahead", "\"2199-01-01T00:00:00Z\"").taken(0, &["future-time"]),
        at("time-ten-minutes-ahead", &format!("\"{ahead}\"")).taken(0, &["future-time"]),
        at("time-long-ago", "\"1990-01-01T00:00:00Z\""),
        at("time-leap-second", "\"2016-12-31T23:59:60Z\""),
        at("time-very-exact", "\"2024-01-01T00:00:00.123456789123456789Z\""),
    ]
}

fn numbers() -> Vec<Case> {
    let with = |name: &str, field: &str, raw: &str| {
        let mut body = event(name);
        body[field] = json!("%");
        Case::to("mfa", name, body.to_string().replace("\"%\"", raw))
    };
    let none =
        |name: &str, field: &str, raw: &str| with(name, field, raw).taken(0, &["unknown-shape"]);
    vec![
        with("asn-most", "asn", "4294967295"),
        none("asn-too-much", "asn", "4294967296"),
        none("asn-negative", "asn", "-1"),
        none("asn-huge", "asn", &"9".repeat(300)),
        none("asn-broken", "asn", "1.5"),
        none("asn-as-text", "asn", "\"64500\""),
        none("ip-too-big", "ip", "\"256.1.1.1\""),
        none("ip-is-a-name", "ip", "\"localhost\""),
        none("ip-is-a-range", "ip", "\"10.0.0.0/8\""),
        none("ip-with-a-zone", "ip", "\"fe80::1%eth0\""),
        none("ip-octal", "ip", "\"0177.0.0.1\""),
        with("ip-six", "ip", "\"::ffff:203.0.113.9\""),
        none("kind-unknown", "kind", "\"impersonation\""),
        none("outcome-unknown", "outcome", "\"perhaps\""),
        none("factor-unknown", "factor", "\"blood\""),
        with("id-blank", "id", "\" \"").taken(0, &["missing-field"]),
    ]
}

/// What vendors' records must not do: their readers are lenient, so most only say nothing.
#[expect(clippy::too_many_lines, reason = "a table")]
fn vendors() -> Vec<Case> {
    let sent = |source: &str, name: &str, body: Value| Case::to(source, name, body.to_string());
    let at = now().to_rfc3339();
    let okta = |field: &str, value: Value| {
        let mut row = json!({"eventType": "user.session.start", "uuid": "u", "published": at,
            "actor": {"alternateId": "person-0001@lab.example"}, "outcome": {"result": "SUCCESS"}});
        row[field] = value;
        row
    };
    let ping = |field: &str, value: Value| {
        let mut row = json!({"source": "PINGID", "id": "p", "recorded": at,
            "actors": [{"type": "user", "name": "person-0001@lab.example"}],
            "result": {"status": "FAILURE", "message": "VPN Auth. Denied"}});
        row[field] = value;
        row
    };
    let entra = |field: &str, value: Value| {
        let mut row = json!({"id": "e", "createdDateTime": at, "category": "SignInLogs",
            "userPrincipalName": "person-0001@lab.example", "status": {"errorCode": 0}});
        row[field] = value;
        row
    };
    vec![
        sent("oktahook", "okta-no-records", json!([null, 7, "x", [], {}]))
            .taken(0, &["unknown-shape"; 5]),
        sent("oktahook", "okta-type-is-a-list", okta("eventType", json!(["user.session.start"])))
            .taken(0, &["unknown-shape"]),
        sent("oktahook", "okta-without-time", okta("published", json!(null)))
            .taken(0, &["missing-field"]),
        sent("oktahook", "okta-time-is-an-object", okta("published", json!({"a": 1})))
            .taken(0, &["missing-field"]),
        sent("oktahook", "okta-time-9999", okta("published", json!("9999-12-31T23:59:59Z")))
            .taken(0, &["missing-field"]),
        sent("oktahook", "okta-time-huge", okta("published", json!(i64::MAX)))
            .taken(0, &["missing-field"]),
        sent("oktahook", "okta-time-ahead", okta("published", json!("2199-01-01T00:00:00Z")))
            .taken(0, &["future-time"]),
        sent("oktahook", "okta-actor-is-a-list", okta("actor", json!([{"alternateId": "x"}])))
            .taken(0, &["missing-field"]),
        sent(
            "oktahook",
            "okta-actor-says-nothing",
            okta("actor", json!({"alternateId": "unknown", "id": "null"})),
        )
        .taken(0, &["missing-field"]),
        sent("ping", "ping-no-records", json!([null, 7, "x", [], {}]))
            .taken(0, &["unknown-shape"; 5]),
        sent("ping", "ping-without-people", ping("actors", json!([]))).taken(0, &["missing-field"]),
        sent("ping", "ping-people-are-texts", ping("actors", json!(["user"])))
            .taken(0, &["missing-field"]),
        sent("ping", "ping-without-time", ping("recorded", json!(false)))
            .taken(0, &["missing-field"]),
        sent("ping", "ping-time-ahead", ping("recorded", json!("2199-01-01T00:00:00Z")))
            .taken(0, &["future-time"]),
        sent("signins", "entra-no-records", json!([null, 7, "x", [], {}]))
            .taken(0, &["unknown-shape"; 5]),
        sent("signins", "entra-without-a-code", entra("status", json!({"errorCode": {}})))
            .taken(0, &["missing-field"]),
        sent("signins", "entra-without-a-person", entra("userPrincipalName", json!([])))
            .taken(0, &["missing-field"]),
        sent("signins", "entra-without-time", entra("createdDateTime", json!("yesterday")))
            .taken(0, &["missing-field"]),
        sent(
            "signins",
            "entra-time-ahead",
            entra("createdDateTime", json!("2199-01-01T00:00:00Z")),
        )
        .taken(0, &["future-time"]),
    ]
}
