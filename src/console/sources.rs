//! What comes in, by source, and what was refused lately.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;

use super::ConsoleState;
use super::again::KeptRow;
use super::frame::Frame;
use super::problem::render;
use super::show::At;
use super::signed_in::SignedIn;
use crate::jwks;
use crate::model::id::SourceId;
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;
use crate::people::Act;
use crate::poll::Meter;
use crate::server::{Seen, Stream};

/// Longest text that is shown of what went wrong.
const PROBLEM_MAX: usize = 500;

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
    /// What is fetched is posted by nobody.
    posted: bool,
    last: Option<At>,
    log: Option<Log>,
    /// Of a transmitter whose keys are read again and again.
    keys: Option<Keys>,
    /// Of a transmitter's stream: when it was last proved, and what it is said to be.
    verified: Option<(At, String)>,
    stream: Option<(At, bool, String)>,
    counts: Vec<(&'static str, u64)>,
    refusals: Vec<Refused>,
    kept: Vec<KeptRow>,
}

struct Refused {
    at: At,
    problem: String,
    detail: String,
}

/// A log that is polled.
struct Log {
    /// `sign_ins of entra`.
    what: String,
    through: Option<At>,
    succeeded: Option<At>,
    next: Option<At>,
    /// Since when it is not read, and how often in a row that failed.
    failing: Option<(At, u32)>,
    held: Option<At>,
    failed: Option<Refused>,
}

/// A transmitter's keys.
struct Keys {
    /// Where they are read.
    at: String,
    count: usize,
    read: Option<At>,
    until: Option<At>,
    next: Option<At>,
    stuck: Option<(At, String)>,
    failed: Option<Refused>,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let received = state.received.all();
    let mut sources: BTreeMap<String, Row> =
        received.iter().map(|(name, seen)| (name.clone(), row(name, seen))).collect();
    for kept in state.again.kept() {
        if let Some(row) = sources.get_mut(kept.source.as_str()) {
            row.kept.push(KeptRow::from(&kept));
        }
    }
    let through = state.engine.read(|core| {
        let polls = core.state.polls.iter();
        polls.map(|(id, cursor)| (id.clone(), cursor.through)).collect::<BTreeMap<_, _>>()
    });
    for (id, meter) in state.polls.all() {
        let row = sources.entry(id.to_string()).or_insert_with(|| Row::polled(&id, &meter));
        row.log = Some(log(&meter, through.get(&id).copied()));
    }
    let now = state.engine.now();
    for (id, meter) in state.keys.meters() {
        if let Some(row) = sources.get_mut(id.as_str()) {
            row.keys = Some(of_keys(&meter, now));
        }
    }
    let (sources, tends) = (sources.into_values().collect(), by.may(Act::Tend));
    render(&SourcesPage { frame: Frame::new(&state, &by, "Sources"), sources, tends })
}

impl Row {
    /// A source of which nothing was posted.
    fn polled(id: &SourceId, meter: &Meter) -> Self {
        Self {
            name: tame_field(id.as_str()),
            kind: meter.kind.clone(),
            posted: false,
            last: None,
            log: None,
            keys: None,
            verified: None,
            stream: None,
            counts: vec![
                ("New facts", meter.taken),
                ("Known already", meter.known),
                ("Records left out", meter.rejected),
                ("Polls that failed", meter.failures.values().sum()),
            ],
            refusals: Vec::new(),
            kept: Vec::new(),
        }
    }
}

fn log(meter: &Meter, through: Option<Time>) -> Log {
    let connection = meter.connection.as_ref().map(|c| tame_field(c.as_str())).unwrap_or_default();
    Log {
        what: format!("{} of {connection}", meter.log),
        through: through.map(At),
        succeeded: meter.succeeded_at.map(At),
        next: meter.next_at.map(At),
        failing: meter.failing_since.map(|since| (At(since), meter.in_a_row)),
        held: meter.held_since.map(At),
        failed: meter.failed.as_ref().map(|failed| Refused {
            at: At(failed.at),
            problem: failed.kind.to_owned(),
            detail: tame(&failed.problem, PROBLEM_MAX),
        }),
    }
}

fn of_keys(meter: &jwks::Meter, now: Time) -> Keys {
    Keys {
        at: tame(&meter.jwks_uri, PROBLEM_MAX),
        count: meter.keys,
        read: meter.read_at.map(At),
        until: meter.believed_until.map(At),
        next: meter.next_at.map(At),
        stuck: meter.stuck(now).map(|(since, why)| (At(since), tame(&why, PROBLEM_MAX))),
        failed: meter.failed.as_ref().map(|failed| Refused {
            at: At(failed.at),
            problem: failed.kind.to_owned(),
            detail: tame(&failed.problem, PROBLEM_MAX),
        }),
    }
}

fn verified(stream: &Stream) -> Option<(At, String)> {
    stream.verified.as_ref().map(|(at, state)| (At(*at), tame_field(state)))
}

/// What the transmitter says of its stream, and whether that is good.
fn said(stream: &Stream) -> Option<(At, bool, String)> {
    let said = stream.status.as_ref()?;
    let words = format!("{} ({})", tame_field(&said.status), tame_field(&said.reason));
    Some((At(said.at), said.status == "enabled", words))
}

fn row(name: &str, seen: &Seen) -> Row {
    Row {
        name: tame_field(name),
        kind: tame_field(&seen.kind),
        posted: true,
        last: seen.last_accepted.map(At),
        log: None,
        keys: None,
        verified: verified(&seen.stream),
        stream: said(&seen.stream),
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
