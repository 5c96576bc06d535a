//! Every connection: how it answers, what can be asked of it for whom, and what nobody tells of.
//!
//! Only what this process knows. It keeps no result of `quell connection test`, and says so.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::render;
use super::show::{At, Coded, Mark, NOT_USED, OFFERED, WANTING};
use super::signed_in::SignedIn;
use super::words;
use crate::engine::driver::Core;
use crate::engine::ports::Catalogue;
use crate::model::action::{Target, Unavailable};
use crate::model::connected::Connected;
use crate::model::id::{Capability, ConnectionId};
use crate::model::subject::{AccountKey, Authority};
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;

/// Accounts that are tried in thought, as the classes of people are called.
const CLASSES: [(&str, Authority, bool); 3] = [
    ("ordinary", Authority::Cloud, false),
    ("privileged", Authority::Cloud, true),
    ("synced", Authority::Synced, false),
];

#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    frame: Frame,
    connections: Vec<Row>,
    /// Sources from which nothing has come since the start.
    silent: Vec<String>,
}

struct Row {
    name: String,
    connector: String,
    title: String,
    state: Mark,
    calls: Option<(usize, usize)>,
    shut_until: Option<At>,
    facts: Vec<(&'static str, String)>,
    /// It has accounts, and no source tells of them.
    unheard: bool,
    capabilities: Vec<Offered>,
    lacks: String,
}

struct Offered {
    what: String,
    /// The same as playbooks write it, where that is another word.
    name: Option<String>,
    /// In the order of [`CLASSES`]: whether it can be done, and why not.
    classes: Vec<(Mark, Option<Coded>)>,
    rights: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let now = state.engine.now();
    let catalogue = &*state.engine.ports().catalogue;
    let connected = catalogue.connected();
    let row = |core: &Core, one: &Connected| row(core, catalogue, one, now);
    let connections = state.engine.read(|core| connected.iter().map(|c| row(core, c)).collect());
    let all = state.received.all();
    let silent = all.iter().filter(|(_, seen)| seen.last_accepted.is_none());
    render(&ConnectionsPage {
        frame: Frame::new(&state, &by, "Connections"),
        connections,
        silent: silent.map(|(name, _)| tame_field(name)).collect(),
    })
}

fn row(core: &Core, catalogue: &dyn Catalogue, one: &Connected, now: Time) -> Row {
    let lane = core.desk.connections().find(|(id, _)| **id == one.id).map(|(_, lane)| lane);
    let state = lane.map_or(NOT_USED, |lane| lane.standing(now).into());
    let mut facts =
        vec![("May act on", one.targets.to_owned()), ("Signs in with", one.credential.to_owned())];
    facts.extend(one.privileged.map(|auth| ("For privileged accounts with", auth.to_owned())));
    let offered = one.capabilities.iter();
    let identity = one.capabilities.keys().any(|c| c.as_str().starts_with("identity."));
    let lacks: Vec<String> = one.lacks.iter().map(|c| tame_field(c.as_str())).collect();
    Row {
        name: tame_field(one.id.as_str()),
        connector: tame_field(&one.connector),
        title: tame_field(&one.title),
        state,
        calls: lane.map(|lane| (lane.in_use, lane.limit)),
        shut_until: core.desk.shut_until(&one.id, now).map(At),
        facts,
        unheard: identity && !is_heard(core, &one.id),
        capabilities: offered
            .map(|(capability, rights)| Offered {
                what: tame_field(words::short(capability)),
                name: (words::short(capability) != capability.as_str())
                    .then(|| tame_field(capability.as_str())),
                classes: classes(catalogue, &one.id, capability),
                rights: tame(&rights.iter().cloned().collect::<Vec<_>>().join(", "), 400),
            })
            .collect(),
        lacks: lacks.join(", "),
    }
}

/// Whether a source may name accounts of it.
fn is_heard(core: &Core, connection: &ConnectionId) -> bool {
    core.sources.values().any(|source| source.connections.contains(connection))
}

fn classes(
    catalogue: &dyn Catalogue,
    connection: &ConnectionId,
    capability: &Capability,
) -> Vec<(Mark, Option<Coded>)> {
    let try_for = |(_, authority, privileged)| {
        let target = Target {
            account: AccountKey { connection: connection.clone(), provider_id: "…".to_owned() },
            authority,
            status: String::new(),
            privileged,
        };
        match catalogue.resolve(capability.as_str(), connection, Some(&target)) {
            Ok(_) => (OFFERED, None),
            Err(
                Unavailable::Unsupported(why)
                | Unavailable::NotApplicable(why)
                | Unavailable::ElsewhereUnreachable(why),
            ) => (WANTING, Some(Coded(tame_field(&why)))),
        }
    };
    CLASSES.into_iter().map(try_for).collect()
}
