//! The way in: the router, the taking apart of requests, faults and the call log.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

use super::fault::{Fault, strike};
use super::oracle::CallRecord;
use super::reply::{Asked, Reply, error};
use super::world::{System, World};
use super::{Lab, channels, duo, graph, login, okta, receiver, servicenow};
use crate::model::time::Time;

/// Longest request that the lab reads.
const LONGEST: usize = 1 << 20;

/// Marks a request that came without a network, and so can be told plainly that it got no answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct InProcess;

/// Marks a response that never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Unreachable,
    Silent,
    Reset,
    CutOff,
}

impl Lab {
    /// The whole lab as a router: the systems at `/graph`, `/login`, `/okta`, `/duo`, `/servicenow`, `/webhook`,
    /// `/slack`, `/teams`, `/pagerduty` and `/mail`, and the switches and the oracle at `/lab`.
    pub(crate) fn router(&self) -> Router {
        let system = |root: &str, system: System| {
            let lab = self.clone();
            let door = any(move |request: Request| enter(lab.clone(), system, request));
            Router::new().route(root, door.clone()).route(&format!("{root}/{{*path}}"), door)
        };
        Router::new()
            .merge(system("/graph", System::Graph))
            .merge(system("/login", System::Login))
            .merge(system("/okta", System::Okta))
            .merge(system("/duo", System::Duo))
            .merge(system("/servicenow", System::Servicenow))
            .merge(system("/webhook", System::Webhook))
            .merge(system("/slack", System::Slack))
            .merge(system("/teams", System::Teams))
            .merge(system("/pagerduty", System::Pagerduty))
            .merge(system("/mail", System::Mail))
            .merge(super::switches::router())
            .with_state(self.clone())
    }
}

/// The state of a handler below `/lab`.
pub(super) type Inside = State<Lab>;

async fn enter(lab: Lab, system: System, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let inside = parts.extensions.get::<InProcess>().is_some();
    let raw = to_bytes(body, LONGEST).await.unwrap_or_default();
    let asked = take_apart(&parts, &raw, (lab.clock)());
    let (reply, fault) = lab.act(system, &asked);
    match fault {
        Some(Fault::Unreachable) => lost(Lost::Unreachable, inside).await,
        Some(Fault::TimeoutBefore | Fault::TimeoutAfter) => lost(Lost::Silent, inside).await,
        Some(Fault::ResetAfter) => lost(Lost::Reset, inside).await,
        Some(Fault::Truncated) => lost(Lost::CutOff, inside).await,
        Some(Fault::Slow { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            response(reply, asked.at)
        }
        _ => response(reply, asked.at),
    }
}

impl Lab {
    /// One call: the fault that hits it, its effect, and its line in the log. All under one lock.
    fn act(&self, system: System, asked: &Asked) -> (Reply, Option<Fault>) {
        let mut world = self.world();
        let operation = operation(system, asked);
        let fault = strike(&mut world.switches, system, operation);
        let reply = match fault {
            Some(Fault::Throttle { retry_after }) => throttled(system, retry_after, asked.at),
            Some(Fault::Error) => error(system, 500, "E0000009", "Internal Server Error"),
            Some(Fault::Forbidden) => error(system, 403, forbidden(system), "Not permitted."),
            Some(Fault::Unauthorized) => error(system, 401, "InvalidAuthenticationToken", "No."),
            Some(Fault::TimeoutBefore | Fault::Unreachable) => Reply::default(),
            _ => match limited(&world, system, operation, asked.at) {
                Some(Wait(wait)) => throttled(system, wait, asked.at),
                None => answer(&mut world, system, asked, operation),
            },
        };
        let reply = match fault {
            Some(Fault::ErrorAfter) => Reply {
                effect: reply.effect,
                login: reply.login,
                key: reply.key,
                ..error(system, 500, "E0000009", "Internal Server Error")
            },
            _ => reply,
        };
        world.calls.push(CallRecord {
            at: asked.at,
            system,
            operation: operation.to_owned(),
            method: asked.method.to_string(),
            path: format!("/{}", asked.path.join("/")),
            key: reply.key.as_deref().map(str::to_owned),
            login: reply.login.as_deref().map(str::to_owned),
            effect: reply.effect.map(str::to_owned),
            status: reply.status,
            fault,
        });
        (reply, fault)
    }
}

fn operation(system: System, asked: &Asked) -> &'static str {
    match system {
        System::Graph => graph::operation(asked),
        System::Okta => okta::operation(asked),
        System::Duo => duo::operation(asked),
        System::Servicenow => servicenow::operation(asked),
        System::Webhook => receiver::operation(asked),
        System::Login => "token",
        System::Slack | System::Teams | System::Pagerduty | System::Mail => {
            channels::operation(system, asked)
        }
    }
}

fn answer(world: &mut World, system: System, asked: &Asked, operation: &str) -> Reply {
    match (system, operation) {
        (System::Login, _) => login::answer(world, asked, System::Graph),
        (System::Okta, "token") => login::answer(world, asked, System::Okta),
        (System::Graph, _) => graph::answer(world, asked, operation),
        (System::Okta, _) => okta::answer(world, asked, operation),
        (System::Duo, _) => duo::answer(world, asked, operation),
        (System::Servicenow, _) => servicenow::answer(world, asked, operation),
        (System::Webhook, _) => receiver::answer(world, asked, operation),
        _ => channels::answer(world, system, asked, operation),
    }
}

/// The wait that a throttling vendor names, if it names one.
struct Wait(Option<u32>);

/// The vendor's own limits.
fn limited(world: &World, system: System, operation: &str, now: Time) -> Option<Wait> {
    let risk = ["mark-compromised", "dismiss-risk", "get-risk"].contains(&operation);
    let bucket = match operation {
        _ if system == System::Graph && risk => "risk",
        // One allowance for all reports.
        "poll-sign-ins" | "poll-audits" => "list-sign-ins",
        own => own,
    };
    let own =
        world.limits.iter().find(|((s, b), _)| *s == system && (*b == bucket || b.is_empty()));
    let ((_, name), rate) = own?;
    let wait = world.pace.admit(&format!("{system:?}/{name}"), *rate, now).err()?;
    // Graph's risk endpoints throttle without saying for how long.
    Some(Wait((*name != "risk").then(|| u32::try_from(wait.delta().num_seconds()).unwrap_or(1))))
}

fn throttled(system: System, wait: Option<u32>, now: Time) -> Reply {
    let code = match system {
        System::Okta => "E0000047",
        System::Duo => "42901",
        _ => "TooManyRequests",
    };
    let mut reply = error(system, 429, code, "Too many requests.");
    match (system, wait) {
        // Okta says when, not how long.
        (System::Okta, Some(wait)) => {
            let reset = now.timestamp() + i64::from(wait);
            reply.headers.push(("x-rate-limit-remaining", "0".into()));
            reply.headers.push(("x-rate-limit-reset", reset.to_string()));
        }
        (_, Some(wait)) => reply.headers.push(("retry-after", wait.to_string())),
        (_, None) => {}
    }
    reply
}

fn forbidden(system: System) -> &'static str {
    match system {
        System::Graph => "Authorization_RequestDenied",
        System::Okta => "E0000006",
        System::Duo => "40301",
        System::Servicenow => "Operation Failed",
        _ => "forbidden",
    }
}

fn take_apart(parts: &http::request::Parts, raw: &Bytes, at: Time) -> Asked {
    let path = parts.uri.path().trim_start_matches('/');
    let (root, rest) = path.split_once('/').unwrap_or((path, ""));
    let decode = |segment: &str| {
        percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
    };
    let query = parts.uri.query().unwrap_or_default();
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Asked {
        method: parts.method.clone(),
        path: rest.split('/').filter(|s| !s.is_empty()).map(decode).collect(),
        query,
        base: format!("http://{}/{root}", host(&parts.headers)),
        headers: parts.headers.clone(),
        body: serde_json::from_slice(raw).unwrap_or(Value::Null),
        raw: raw.to_vec(),
        at,
    }
}

fn host(headers: &HeaderMap) -> &str {
    headers.get("host").and_then(|h| h.to_str().ok()).unwrap_or("localhost")
}

fn response(reply: Reply, at: Time) -> Response {
    let body = reply.body.map_or_else(Body::empty, |json| Body::from(json.to_string()));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
    let date = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let fixed = [("date", date), ("content-type", "application/json".into())];
    for (name, value) in fixed.into_iter().chain(reply.headers) {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A response that never arrives. In-process it says so; on a socket it behaves so.
async fn lost(how: Lost, inside: bool) -> Response {
    if inside {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(how);
        return response;
    }
    if how == Lost::Silent {
        std::future::pending::<()>().await;
    }
    // A body that breaks off takes the connection with it.
    let broken = std::io::Error::other("the lab cut the connection");
    let start = Ok(Bytes::from_static(b"{\"id\":"));
    Response::new(Body::from_stream(futures::stream::iter([start, Err(broken)])))
}
