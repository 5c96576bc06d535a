//! The store's files over the API: a backup and an export, streamed while everything goes on.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use std::io;

use super::identity::{Admin, Allowed};
use super::problem::Problem;
use super::state::Api;
use crate::engine::ports::StoreError;

/// Bytes to come. One that ends with an error is not whole, and the connection breaks off.
pub(crate) type Download = BoxStream<'static, io::Result<Bytes>>;

/// How the store's parts are.
pub(crate) struct Standing {
    /// `whole`, `being_proved` while older lines are still read, or `damaged`: see the log.
    pub(crate) journal: &'static str,
    /// `kept`, or `behind`: the next start makes it again.
    pub(crate) index: &'static str,
}

/// Whoever has the files.
pub(crate) trait Files: Send + Sync {
    fn standing(&self) -> Standing;
    /// Everything that makes the data folder again, as one archive. `Busy` while another is made.
    fn backup(&self) -> Result<Download, StoreError>;
    /// The journal's lines as they are. `Busy` while another is made.
    fn export(&self) -> Result<Download, StoreError>;
}

/// Sends a backup: a gzipped tar of the journal and the evidence, with a manifest at its end. The
/// signing key is not in it.
#[utoipa::path(get, path = "/v1/store/backup", tag = "control",
    responses((status = 200, content_type = "application/gzip", body = String), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn backup(
    State(api): State<Api>,
    caller: Allowed<Admin>,
) -> Result<Response, Problem> {
    let download = api.files().backup()?;
    tracing::info!("Began a backup for `{}`", caller.by());
    Ok(sent(&api, download, "application/gzip"))
}

/// Sends the journal, one line a commit, with the hashes that prove it.
#[utoipa::path(get, path = "/v1/store/export", tag = "control",
    responses((status = 200, content_type = "application/x-ndjson", body = String), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn export(
    State(api): State<Api>,
    caller: Allowed<Admin>,
) -> Result<Response, Problem> {
    let download = api.files().export()?;
    tracing::info!("Began an export for `{}`", caller.by());
    Ok(sent(&api, download, "application/x-ndjson"))
}

fn sent(api: &Api, download: Download, kind: &'static str) -> Response {
    let parts = stream::unfold(Some((download, api.closing())), |state| async move {
        let (mut download, mut closing) = state?;
        let part = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => None,
            part = download.next() => Some(part?),
        };
        match part {
            Some(part) => Some((part, Some((download, closing)))),
            // What is sent so far is not whole.
            None => Some((Err(io::Error::other("the process ends")), None)),
        }
    });
    ([(CONTENT_TYPE, kind)], Body::from_stream(parts)).into_response()
}
