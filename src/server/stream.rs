//! The journal as it grows, as server-sent events. `Last-Event-ID` is a journal sequence.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

use super::extract::Asked;
use super::identity::{Admin, Allowed, Read};
use super::problem::{Kind, Problem};
use super::state::Api;
use super::views::Page;
use crate::model::entry::Commit;
use crate::model::time::rfc3339;

/// Commits read at once.
const READ: usize = 64;
/// How long at most until the journal is looked at again, whatever was announced.
const LOOK: Duration = Duration::from_millis(500);

/// Streams what is committed from now on, or after `Last-Event-ID`.
#[utoipa::path(get, path = "/v1/stream", tag = "stream",
    params(("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn stream(
    State(api): State<Api>,
    _: Allowed<Read>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let after = match headers.get("last-event-id") {
        None => api.engine().ports().store.durable(),
        Some(id) => id.to_str().ok().and_then(|id| id.parse().ok()).ok_or_else(|| {
            Problem::new(Kind::BadRequest).detail("`Last-Event-ID` is a journal sequence")
        })?,
    };
    let place = api.stream_place().ok_or_else(|| {
        Problem::new(Kind::Busy).detail("as many streams are open as may be").retry_after(30)
    })?;
    let reader = Reader { api, after, ready: VecDeque::new(), _place: place };
    let events = futures::stream::unfold(reader, |mut reader| async move {
        reader.next().await.map(|event| (Ok(event), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// Only lines after this sequence.
    #[serde(default)]
    cursor: u64,
}

/// Gives the journal's commits, oldest first. The last page is empty.
#[utoipa::path(get, path = "/v1/journal", tag = "stream", params(After),
    responses((status = 200, body = Page<Object>), (status = "4XX", body = Problem)))]
pub(super) async fn journal(
    State(api): State<Api>,
    _: Allowed<Admin>,
    Asked(after): Asked<After>,
) -> Result<Json<Page<Value>>, Problem> {
    let commits = api.engine().ports().store.commits(after.cursor, READ).await?;
    let next = commits.last().map(|commit| commit.seq.to_string());
    let items = commits.iter().filter_map(|c| serde_json::to_value(c).ok()).collect();
    Ok(Json(Page { items, next }))
}

struct Reader {
    api: Api,
    after: u64,
    ready: VecDeque<Event>,
    /// One of the streams that may be open; given back with it.
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// The next event; `None` when the process ends or the journal cannot be read.
    async fn next(&mut self) -> Option<Event> {
        let mut moved = self.api.engine().watch();
        let mut closing = self.api.closing();
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if *closing.borrow() {
                return None;
            }
            let store = &self.api.engine().ports().store;
            let commits = if store.durable() > self.after {
                store.commits(self.after, READ).await.ok()?
            } else {
                Vec::new()
            };
            for commit in &commits {
                self.after = commit.seq;
                self.ready.extend(events(commit));
            }
            if commits.is_empty() {
                tokio::select! {
                    _ = closing.changed() => return None,
                    // Announced before it is on disk, so that it is looked for again.
                    _ = moved.changed() => tokio::time::sleep(Duration::from_millis(20)).await,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        }
    }
}

fn events(commit: &Commit) -> Vec<Event> {
    let one = |entry: &crate::model::entry::Entry| {
        let data = serde_json::to_value(entry).unwrap_or_default();
        let kind = data["type"].as_str().unwrap_or_default().to_owned();
        let brief = json!({
            "seq": commit.seq,
            "at": rfc3339(commit.at),
            "type": kind,
            "incident": entry.incident(),
            "run": data["run"],
        });
        Event::default().id(commit.seq.to_string()).event(kind).data(brief.to_string())
    };
    commit.entries.iter().map(one).collect()
}
