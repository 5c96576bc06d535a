//! Trying a connection's credentials from its page: each makes a harmless call, as `quell connection test` has it.
//!
//! It changes nothing anywhere, but it calls out: one at a time, and not twice in half a minute.

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

use super::ConsoleState;
use super::problem::{Oops, Problem};
use super::signed_in::SignedIn;
use crate::model::entry::{ClassTested, ConnectionTested};
use crate::model::id::ConnectionId;
use crate::people::Act;

/// How long one result stands before a connection is tried again.
const STANDS: TimeDelta = TimeDelta::seconds(30);

/// Makes the calls.
#[async_trait]
pub(crate) trait Probe: Send + Sync {
    /// Tries every credential of a connection; none if there is no such connection.
    async fn test(&self, connection: &ConnectionId) -> Option<Tried>;
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) classes: Vec<ClassTested>,
    /// Settings that are not given, each with the actions that are lacking for it.
    pub(crate) unset: BTreeMap<String, Vec<String>>,
}

/// One try at a time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tries {
    probe: Arc<dyn Probe>,
    turn: Arc<Mutex<()>>,
}

impl Tries {
    pub(crate) fn new(probe: Arc<dyn Probe>) -> Self {
        Self { probe, turn: Arc::default() }
    }
}

pub(super) async fn test(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(connection): Path<String>,
) -> Result<Response, Oops> {
    by.must(Act::Tend)?;
    let connection = ConnectionId::new(connection);
    let early = |why: &str| Problem::new(StatusCode::TOO_MANY_REQUESTS, why);
    let Ok(_turn) = state.tries.turn.try_lock() else {
        return Err(early("A connection is being tried: wait for its result").page());
    };
    let now = state.engine.now();
    let last = state.engine.read(|core| core.state.tests.get(&connection).map(|t| t.at));
    if last.is_some_and(|at| now < at + STANDS) {
        return Err(early("It was tried a moment ago: its result is on the page").page());
    }
    let tried = state.tries.probe.test(&connection).await;
    let Tried { classes, unset } = tried.ok_or_else(|| Problem::missing("connection"))?;
    let (at, by) = (state.engine.now(), by.person.name);
    let tested = ConnectionTested { connection, at, by, classes, unset };
    state.engine.note_tested(tested).await?;
    Ok(Redirect::to("/connections").into_response())
}
