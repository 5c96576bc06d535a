//! Every connection: how it answers, what can be asked of it for whom, and what nobody tells of.
//!
//! Only what this deployment knows: `quell connection test` on a command line is another process, and what it
//! found is not here.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::ConsoleState;
use super::frame::Frame;
use super::problem::render;
use super::show::{At, Coded, DOES_NOT_WORK, Mark, NOT_USED, OFFERED, WANTING, WORKS};
use super::signed_in::SignedIn;
use super::words;
use crate::engine::driver::Core;
use crate::engine::ports::Catalogue;
use crate::model::action::{Target, Unavailable};
use crate::model::connected::Connected;
use crate::model::entry::{ClassTested, ConnectionTested};
use crate::model::id::{Capability, ConnectionId};
use crate::model::subject::{AccountKey, Authority};
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;
use crate::people::Act;

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
    /// The reader may try them.
    tends: bool,
}

struct Row {
    name: String,
    /// The same in an address.
    path: String,
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
    /// How the credentials did when they were tried last.
    tested: Option<Tested>,
    /// Sources that tell of its accounts, and from which nothing has come since the start.
    silent: String,
}

struct Tested {
    at: At,
    by: String,
    classes: Vec<Class>,
    unset: Vec<(String, String)>,
}

struct Class {
    of: String,
    credential: String,
    works: Mark,
    problem: String,
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
    let all = state.received.all();
    let silent = all.iter().filter(|(_, seen)| seen.last_accepted.is_none());
    let silent: Vec<&str> = silent.map(|(name, _)| name.as_str()).collect();
    let connections = state.engine.read(|core| {
        connected.iter().map(|one| row(core, catalogue, one, (&silent, now))).collect()
    });
    render(&ConnectionsPage {
        frame: Frame::new(&state, &by, "Connections"),
        connections,
        silent: silent.iter().map(|name| tame_field(name)).collect(),
        tends: by.may(Act::Tend),
    })
}

fn row(
    core: &Core,
    catalogue: &dyn Catalogue,
    one: &Connected,
    (silent, now): (&[&str], Time),
) -> Row {
    let unheard_of = told_by(core, &one.id).filter(|name| silent.contains(name)).map(tame_field);
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
        path: utf8_percent_encode(one.id.as_str(), NON_ALPHANUMERIC).to_string(),
        connector: tame_field(&one.connector),
        title: tame_field(&one.title),
        state,
        calls: lane.map(|lane| (lane.in_use, lane.limit)),
        shut_until: core.desk.shut_until(&one.id, now).map(At),
        facts,
        unheard: identity && told_by(core, &one.id).next().is_none(),
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
        tested: core.state.tests.get(&one.id).map(tested),
        silent: unheard_of.collect::<Vec<_>>().join(", "),
    }
}

fn tested(tested: &ConnectionTested) -> Tested {
    let class = |class: &ClassTested| Class {
        of: tame_field(&class.of),
        credential: tame_field(&class.credential),
        works: if class.works { WORKS } else { DOES_NOT_WORK },
        problem: tame(class.problem.as_deref().unwrap_or_default(), 500),
    };
    let unset = tested.unset.iter();
    let unset = unset.map(|(setting, lacks)| (tame_field(setting), tame(&lacks.join(", "), 400)));
    Tested {
        at: At(tested.at),
        by: tame_field(&tested.by),
        classes: tested.classes.iter().map(class).collect(),
        unset: unset.collect(),
    }
}

/// The sources that may name accounts of it.
fn told_by<'c>(core: &'c Core, connection: &'c ConnectionId) -> impl Iterator<Item = &'c str> {
    let tells = core.sources.values().filter(|source| source.connections.contains(connection));
    tells.map(|source| source.id.as_str())
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
