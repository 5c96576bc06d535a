//! Duo's Admin API, as far as its authentication log: a signed request, a stretch of time, pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::reply::{Asked, Reply, error};
use super::world::{LogRecord, System, World};
use crate::connector::auth::duo::signature;
use crate::model::time::{Span, Time, rfc3339};

const SYSTEM: System = System::Duo;

/// The integration key of the lab's application.
pub(super) const KEY: &str = "DILAB000000000000000";

/// Records show so much later, on purpose.
const DELAY: Span = Span::minutes(2);

/// The operation's name, for faults and the call log.
pub(super) fn operation(asked: &Asked) -> &'static str {
    match asked.route() {
        ("GET", path) if path == ["admin", "v2", "logs", "authentication"] => "poll-authentication",
        _ => "unknown",
    }
}

/// Answers.
pub(super) fn answer(world: &World, asked: &Asked, operation: &str) -> Reply {
    if !is_signed(world, asked) {
        return error(SYSTEM, 401, "40103", "Invalid signature in request credentials");
    }
    if operation == "unknown" {
        return error(SYSTEM, 404, "40401", "Resource not found");
    }
    let stamp = |name: &str| asked.asks(name).parse().ok().and_then(Time::from_timestamp_millis);
    let (Some(since), Some(until)) = (stamp("mintime"), stamp("maxtime")) else {
        return error(SYSTEM, 400, "40002", "Invalid request parameters");
    };
    let mut all = world.logged(SYSTEM, asked.at - DELAY.delta());
    all.retain(|r| r.at >= since && r.at <= until);
    all.sort_by_key(|r| r.at);
    let size = asked.asks("limit").parse().unwrap_or(100).clamp(1, 1000);
    // The pair's second half would name the record; here it counts.
    let offset = asked.asks("next_offset").split_once(',');
    let skip = offset.and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
    let (page, next) = world.page(&all, skip, size);
    let last = page.last().map_or(0, |r| r.at.timestamp_millis());
    let next = next.map(|next| json!([last.to_string(), next.to_string()]));
    let page: Vec<Value> = page.into_iter().map(record).collect();
    let metadata = json!({"next_offset": next, "total_objects": all.len()});
    let response = json!({"authlogs": page, "metadata": metadata});
    Reply::json(200, json!({"stat": "OK", "response": response}))
}

fn is_signed(world: &World, asked: &Asked) -> bool {
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&asked.query).finish();
    let url = format!("{}/{}?{query}", asked.base, asked.path.join("/"));
    let request = http::Request::builder().method(&asked.method).uri(url).body(&asked.raw);
    let Ok(request) = request else { return false };
    let signed = signature(&request, asked.header("date"), &world.credentials.duo_secret);
    let pair = signed.map(|signed| STANDARD.encode(format!("{KEY}:{signed}")));
    pair.is_some_and(|pair| asked.header("authorization") == format!("Basic {pair}"))
}

fn record(record: &LogRecord) -> Value {
    let (result, reason) =
        if record.succeeded { ("success", "user_approved") } else { ("denied", "user_mistake") };
    json!({
        "txid": record.id,
        "timestamp": record.at.timestamp(),
        "isotimestamp": rfc3339(record.at),
        "event_type": "authentication",
        "factor": "duo_push",
        "result": result,
        "reason": reason,
        "email": record.account,
        "user": {"key": format!("DU-{}", record.account), "name": record.account},
        "application": {"name": "VPN"},
        "access_device": {"ip": record.ip},
    })
}
