//! Makes calls and read-backs, outside the lock, and hands in what came back. A connector that breaks leaves its call in
//! doubt, like one whose answer never came: nothing waits for it for ever.

use super::{Effect, Engine, accounts, outcome};
use crate::engine::ports::Found;
use crate::model::action::{
    ActionSpec, Call, CallResult, Effect as Kind, Outcome, ReadBack, Reversal,
};
use crate::model::id::{ConnectionId, RunId};
use crate::model::run::{CellKey, Conclusion, Run};
use crate::model::subject::Alias;

/// Performs one effect and commits its result.
pub(super) async fn perform(engine: &Engine, effect: Effect) {
    match effect {
        Effect::Call { run, cell, spec, call, attempt } => {
            // The clock on the wall may be set meanwhile.
            let (sent_at, sent) = (engine.now(), tokio::time::Instant::now());
            let made = engine.tasks().guarded(make(engine, run, &spec, &call)).await;
            let made = made.unwrap_or_else(|why| Made {
                result: CallResult::failed(Outcome::Unknown, why),
                looked: false,
                held_back: false,
            });
            let sent = (sent_at, sent.elapsed());
            outcome::of_call(engine, run, &cell, &spec, attempt, sent, made);
        }
        Effect::ReadBack { run, cell, in_doubt } => read_back(engine, run, cell, in_doubt).await,
        Effect::LookUp { run } => look_up(engine, run).await,
    }
}

/// What came of an intent.
pub(super) struct Made {
    pub(super) result: CallResult,
    /// It is known that it was not so before: what the call changed is Quell's own.
    pub(super) looked: bool,
    /// The kill switch was pulled between intent and call: nothing was sent.
    pub(super) held_back: bool,
}

async fn make(engine: &Engine, run: RunId, spec: &ActionSpec, call: &Call) -> Made {
    let actions = &engine.ports().actions;
    // Only what Quell itself changed may ever be undone, so it looks before it changes.
    let reversible = spec.effect == Kind::Restore
        || (spec.effect == Kind::Contain && spec.reversal == Reversal::Undo);
    let before = if reversible { actions.already_so(call).await } else { None };
    let looked = before == Some(false);
    let made = |result| Made { result, looked, held_back: false };
    if before == Some(true) {
        return made(CallResult {
            outcome: Outcome::Unchanged,
            ..CallResult::done(serde_json::Value::Null)
        });
    }
    if spec.capability.as_str() == "identity.remove_factor"
        && let Some(refused) = last_factor(engine, run, call).await
    {
        return made(refused);
    }
    if spec.effect != Kind::Read && engine.read(|core| core.state.paused.is_some()) {
        let result = CallResult::failed(Outcome::NotSent, "all effects are paused");
        return Made { result, looked, held_back: true };
    }
    made(actions.call(call).await)
}

/// The last factor is never removed unless sign-in is blocked or the password already reset: whoever
/// holds the password would enrol the next one.
async fn last_factor(engine: &Engine, run: RunId, call: &Call) -> Option<CallResult> {
    let item = call.inputs.values().find_map(crate::engine::context::account_of)?;
    let safe = engine.read(|core| {
        let blocked = core.state.holds.keys().any(|(account, capability)| {
            *account == item && capability.as_str() == "identity.block_sign_in"
        });
        let reset = core.state.runs.get(&run).is_some_and(|r| {
            core.state.runs_of(r.incident).flat_map(Run::cells).any(|c| {
                c.account.as_ref() == Some(&item)
                    && c.capability
                        .as_ref()
                        .is_some_and(|c| c.as_str() == "identity.reset_credentials")
                    && c.conclusion() == Some(Conclusion::Succeeded)
            })
        });
        blocked || reset
    });
    if safe {
        return None;
    }
    let refuse =
        |why: &str| CallResult::failed(Outcome::Refused, format!("guardrail `last_factor`: {why}"));
    let ports = engine.ports();
    let Ok(spec) = ports.catalogue.resolve("identity.list_factors", &item.connection, None) else {
        return Some(refuse("the account's factors cannot be listed"));
    };
    let account = call.inputs.values().find_map(|v| v.get("account")).cloned()?;
    let input =
        ports.catalogue.item_input("identity.list_factors").unwrap_or_else(|| "account".to_owned());
    let list = Call {
        connection: item.connection.clone(),
        action: spec.id,
        inputs: std::collections::BTreeMap::from([(input, account)]),
        key: String::new(),
    };
    let listed = ports.actions.call(&list).await;
    match listed.output.get("factors").and_then(|f| f.as_array()).map(Vec::len) {
        Some(n) if n > 1 => None,
        Some(_) => Some(refuse(
            "it is the last one, and sign-in is neither blocked nor the password reset",
        )),
        None => Some(refuse("the account's factors could not be listed")),
    }
}

async fn read_back(engine: &Engine, run: RunId, cell: CellKey, in_doubt: bool) {
    let applied = engine.read(|core| {
        core.state.runs.get(&run).and_then(|r| r.cells.get(&cell)).and_then(|c| c.applied.clone())
    });
    let Some(applied) = applied else { return };
    let read = engine.tasks().guarded(engine.ports().actions.read_back(&applied)).await;
    let found = read.unwrap_or_else(|problem| ReadBack::Unread { problem, retry_after: None });
    outcome::of_read_back(engine, run, &cell, &applied.call.connection, in_doubt, found);
}

async fn look_up(engine: &Engine, run: RunId) {
    let asked = engine.read(|core| {
        let r = core.state.runs.get(&run)?;
        let incident = core.state.incidents.get(&r.incident)?;
        let subject = core.state.subject(incident.subject)?;
        let tries = core.desk.look_ups.get(&run).map_or(1, |(tries, _)| *tries);
        let soon = (tries <= 1).then(|| core.desk.answering(&subject.connections, engine.now()));
        Some((subject.aliases.clone(), subject.connections.clone(), soon))
    });
    let Some((aliases, connections, soon)) = asked else { return };
    let unread = |why: &str| Found {
        unread: connections.iter().map(|c| (c.clone(), why.to_owned())).collect(),
        ..Found::default()
    };
    let reading = engine.tasks().guarded(read_accounts(engine, &aliases, &connections, soon));
    let found = reading.await.unwrap_or_else(|why| unread(&why));
    if let Err(error) = engine.fetch_named(&found.aliases).await {
        // Whoever else has these accounts is not known now: as if nobody had told of them.
        let none = unread(&format!("its people are not known: {error}"));
        return accounts::of_look_up(engine, run, &connections, none);
    }
    accounts::of_look_up(engine, run, &connections, found);
}

async fn read_accounts(
    engine: &Engine,
    aliases: &[Alias],
    connections: &[ConnectionId],
    soon: Option<Vec<ConnectionId>>,
) -> Found {
    let directory = &engine.ports().directory;
    // At first nobody waits for a slow or dead connection; later it gets the time that it takes.
    let Some(answering) = soon else { return directory.look_up(aliases, connections).await };
    let mut found = directory.look_up_soon(aliases, &answering).await;
    let dead = connections.iter().filter(|c| !answering.contains(c));
    found.unread.extend(dead.map(|c| (c.clone(), "its breaker is open".to_owned())));
    found
}
