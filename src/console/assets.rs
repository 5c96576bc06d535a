//! The style sheet and the script, compiled in, with an `ETag` each.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

use crate::approval::statement::sha256_hex;

static CSS: &[u8] = include_bytes!("assets/console.css");
static JS: &[u8] = include_bytes!("assets/console.js");
static CSS_TAG: LazyLock<String> = LazyLock::new(|| tag(CSS));
static JS_TAG: LazyLock<String> = LazyLock::new(|| tag(JS));

pub(super) async fn css(headers: HeaderMap) -> Response {
    asset(&headers, "text/css; charset=utf-8", CSS, &CSS_TAG)
}

pub(super) async fn js(headers: HeaderMap) -> Response {
    asset(&headers, "text/javascript; charset=utf-8", JS, &JS_TAG)
}

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", &sha256_hex(bytes)[..32])
}

fn asset(headers: &HeaderMap, kind: &'static str, body: &'static [u8], tag: &str) -> Response {
    let kept = headers.get(header::IF_NONE_MATCH).is_some_and(|t| t.as_bytes() == tag.as_bytes());
    // Always asked for again, as a new version must not meet an old page.
    let same = [(header::ETAG, tag.to_owned()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if kept {
        return (StatusCode::NOT_MODIFIED, same).into_response();
    }
    (same, [(header::CONTENT_TYPE, kind)], body).into_response()
}
