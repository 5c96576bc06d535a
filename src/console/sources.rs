//! What comes in, by source, and what was refused lately.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::render;
use super::show::At;
use super::signed_in::SignedIn;
use crate::model::text::tame_field;
use crate::server::Seen;

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    sources: Vec<Row>,
}

struct Row {
    name: String,
    kind: String,
    last: Option<At>,
    counts: Vec<(&'static str, u64)>,
    refusals: Vec<Refused>,
}

struct Refused {
    at: At,
    problem: String,
    detail: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let sources = state.received.all().iter().map(|(name, seen)| row(name, seen)).collect();
    render(&SourcesPage { frame: Frame::new(&state, &by, "Sources"), sources })
}

fn row(name: &str, seen: &Seen) -> Row {
    Row {
        name: tame_field(name),
        kind: tame_field(&seen.kind),
        last: seen.last_accepted.map(At),
        counts: vec![
            ("Deliveries taken", seen.accepted),
            ("Sent again", seen.repeated),
            ("Refused", seen.refused),
            ("Records taken", seen.records),
            ("Records left out", seen.records_rejected),
        ],
        refusals: seen
            .refusals
            .iter()
            .map(|r| Refused {
                at: At(r.at),
                problem: tame_field(&r.problem),
                detail: tame_field(&r.detail),
            })
            .collect(),
    }
}
