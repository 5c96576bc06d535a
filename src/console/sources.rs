//! What comes in, by source, and what was refused lately.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::ConsoleState;
use super::again::KeptRow;
use super::frame::Frame;
use super::problem::render;
use super::show::At;
use super::signed_in::SignedIn;
use crate::model::text::tame_field;
use crate::people::Act;
use crate::server::Seen;

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    sources: Vec<Row>,
    /// The reader may have refused deliveries judged again.
    tends: bool,
}

struct Row {
    name: String,
    kind: String,
    last: Option<At>,
    counts: Vec<(&'static str, u64)>,
    refusals: Vec<Refused>,
    kept: Vec<KeptRow>,
}

struct Refused {
    at: At,
    problem: String,
    detail: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let all = state.again.kept();
    let received = state.received.all();
    let sources = received.iter().map(|(name, seen)| Row {
        kept: all.iter().filter(|kept| kept.source.as_str() == name).map(KeptRow::from).collect(),
        ..row(name, seen)
    });
    let (sources, tends) = (sources.collect(), by.may(Act::Tend));
    render(&SourcesPage { frame: Frame::new(&state, &by, "Sources"), sources, tends })
}

fn row(name: &str, seen: &Seen) -> Row {
    Row {
        name: tame_field(name),
        kind: tame_field(&seen.kind),
        last: seen.last_accepted.map(At),
        kept: Vec::new(),
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
