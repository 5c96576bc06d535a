//! What comes in, by source: what was posted, what is polled, and what a transmitter says of its stream.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::identity::{Allowed, Read};
use super::received::{Seen, Stream};
use super::state::Api;
use crate::jwks;
use crate::model::id::SourceId;
use crate::model::text::{tame, tame_field};
use crate::model::time::{Time, rfc3339};
use crate::poll::Meter;

/// Longest text that is told of what went wrong.
const PROBLEM_MAX: usize = 500;

/// One source, as it has been since the start.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(super) struct SourceView {
    name: String,
    kind: String,
    /// When a delivery was last taken.
    last_accepted: Option<String>,
    accepted: u64,
    /// Deliveries that had been taken before.
    repeated: u64,
    refused: u64,
    records: u64,
    records_rejected: u64,
    /// Of a transmitter of event tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<StreamView>,
    /// Of a transmitter whose keys are read at `jwks_uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<KeysView>,
    /// Of a source that is polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<LogView>,
}

/// A transmitter's keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct KeysView {
    jwks_uri: String,
    /// How many count.
    count: usize,
    /// When those were read that count, by this process or one before it.
    read_at: Option<String>,
    /// Until when they count, if no others are read.
    believed_until: Option<String>,
    next_at: Option<String>,
    failing_since: Option<String>,
    /// Failures since they were last read.
    in_a_row: u32,
    /// Since when something is wrong that a person should know of.
    stuck_since: Option<String>,
    /// What that is.
    problem: Option<String>,
    /// The last failure, whatever came after it.
    failed: Option<FailedView>,
}

/// What a transmitter said of its stream.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StreamView {
    /// When a verification came last.
    verified_at: Option<String>,
    /// The state that it brought, as whoever asked for it gave it.
    state: Option<String>,
    /// `enabled`, `paused` or `disabled`, if the transmitter has said so.
    status: Option<String>,
    reason: Option<String>,
    status_at: Option<String>,
}

/// A polled log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LogView {
    name: &'static str,
    connection: Option<String>,
    /// Up to when it is taken in.
    through: Option<String>,
    succeeded_at: Option<String>,
    next_at: Option<String>,
    failing_since: Option<String>,
    /// Failures since a page last came through.
    in_a_row: u32,
    /// Since when it is not read, where that has lasted so long that a person should know.
    stuck_since: Option<String>,
    /// The last failure, whatever came after it.
    failed: Option<FailedView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct FailedView {
    at: String,
    kind: &'static str,
    problem: String,
}

/// Lists the sources with what has come from each since the start.
#[utoipa::path(get, path = "/v1/sources", tag = "ops",
    responses((status = 200, body = Vec<SourceView>), (status = "4XX", body = super::problem::Problem)))]
pub(super) async fn list(State(api): State<Api>, _: Allowed<Read>) -> Json<Vec<SourceView>> {
    let now = api.engine().now();
    let through: BTreeMap<String, Time> = api.engine().read(|core| {
        core.state.polls.iter().map(|(id, cursor)| (id.to_string(), cursor.through)).collect()
    });
    let (seen, polls) = (api.received().all(), api.polls().all());
    let meters: BTreeMap<String, Meter> =
        polls.into_iter().map(|(id, meter)| (id.to_string(), meter)).collect();
    let keys = api.keys().meters();
    let names: BTreeSet<&String> = seen.keys().chain(meters.keys()).collect();
    let view = |name: &String| {
        let mut view = seen.get(name).map(posted).unwrap_or_default();
        view.name = tame_field(name);
        view.keys = keys.get(&SourceId::new(name)).map(|meter| of_keys(meter, now));
        if let Some(meter) = meters.get(name) {
            view.kind.clone_from(&meter.kind);
            view.log = Some(log(meter, through.get(name).copied(), now));
        }
        view
    };
    Json(names.into_iter().map(view).collect())
}

fn posted(seen: &Seen) -> SourceView {
    SourceView {
        kind: tame_field(&seen.kind),
        last_accepted: seen.last_accepted.map(rfc3339),
        accepted: seen.accepted,
        repeated: seen.repeated,
        refused: seen.refused,
        records: seen.records,
        records_rejected: seen.records_rejected,
        stream: (seen.stream != Stream::default()).then(|| stream(&seen.stream)),
        ..SourceView::default()
    }
}

fn stream(said: &Stream) -> StreamView {
    let status = said.status.as_ref();
    StreamView {
        verified_at: said.verified.as_ref().map(|(at, _)| rfc3339(*at)),
        state: said.verified.as_ref().map(|(_, state)| state.clone()),
        status: status.map(|status| status.status.clone()),
        reason: status.map(|status| status.reason.clone()),
        status_at: status.map(|status| rfc3339(status.at)),
    }
}

fn of_keys(meter: &jwks::Meter, now: Time) -> KeysView {
    let (stuck_since, problem) = meter.stuck(now).unzip();
    KeysView {
        jwks_uri: tame(&meter.jwks_uri, PROBLEM_MAX),
        count: meter.keys,
        read_at: meter.read_at.map(rfc3339),
        believed_until: meter.believed_until.map(rfc3339),
        next_at: meter.next_at.map(rfc3339),
        failing_since: meter.failing_since.map(rfc3339),
        in_a_row: meter.in_a_row,
        stuck_since: stuck_since.map(rfc3339),
        problem: problem.map(|why| tame(&why, PROBLEM_MAX)),
        failed: meter.failed.as_ref().map(|failed| FailedView {
            at: rfc3339(failed.at),
            kind: failed.kind,
            problem: tame(&failed.problem, PROBLEM_MAX),
        }),
    }
}

fn log(meter: &Meter, through: Option<Time>, now: Time) -> LogView {
    LogView {
        name: meter.log,
        connection: meter.connection.as_ref().map(ToString::to_string),
        through: through.map(rfc3339),
        succeeded_at: meter.succeeded_at.map(rfc3339),
        next_at: meter.next_at.map(rfc3339),
        failing_since: meter.failing_since.map(rfc3339),
        in_a_row: meter.in_a_row,
        stuck_since: meter.stuck_since(now).map(rfc3339),
        failed: meter.failed.as_ref().map(|failed| FailedView {
            at: rfc3339(failed.at),
            kind: failed.kind,
            problem: tame(&failed.problem, PROBLEM_MAX),
        }),
    }
}
