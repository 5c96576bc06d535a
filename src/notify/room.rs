//! Follows the journal and makes the calls.
//!
//! One call a channel at a time, so that messages keep their order; channels do not wait for each other. What came
//! of a call is committed before the next one begins.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use url::Url;

use super::facts::facts;
use super::meter::Meters;
use super::options::{Channel, Kind, Options};
use super::outbox::{ATTEMPTS, Fold, Key, Kinds, Outbox, PATIENCE, Standing, backoff, is_post};
use super::words::{Notice, Together, gathered, notice};
use crate::engine::driver::Engine;
use crate::engine::ports::StoreError;
use crate::engine::state::State;
use crate::model::action::{Call, CallResult, Outcome};
use crate::model::approval::{Approval, ApprovalState};
use crate::model::entry::Entry;
use crate::model::incident::ApprovalSeen;
use crate::model::notice::{About, Did, Fact, Told};
use crate::model::run::Run;
use crate::model::text::tame_field;
use crate::model::time::{Span, Time};

/// Commits read at once.
const READ: usize = 256;
/// Lines with nothing to tell after which that is journalled, so that a start need not read them again.
const QUIET: u64 = 2_000;
/// How long at most until everything is looked at again.
const LOOK: chrono::TimeDelta = chrono::TimeDelta::seconds(1);
/// How long a commit takes to reach the disk, usually.
const SOON: Duration = Duration::from_millis(20);

/// One call that is made, and for which errands.
struct Sent {
    keys: Vec<Key>,
    did: Did,
    result: CallResult,
}

/// Why the room looks again.
enum Next {
    End,
    Settle(Sent),
    Moved,
    Look,
}

/// What a channel can do with an errand now.
enum Deed {
    Make(Did, Box<Call>),
    /// There is nothing that it could do: what it was told stays as it is.
    Leave,
}

struct Room {
    engine: Engine,
    outbox: Outbox,
    base: Url,
    booted_at: Time,
    /// When a question's next rung is due.
    rung: Option<Time>,
    sent: mpsc::UnboundedSender<Sent>,
    meters: Meters,
}

/// Tells people until the process ends.
pub(crate) async fn follow(
    engine: Engine,
    options: Options,
    (base, meters): (Url, Meters),
    mut closing: watch::Receiver<bool>,
) {
    let (sent, mut came) = mpsc::unbounded_channel();
    let booted_at = engine.now();
    let after = match begin_at(&engine).await {
        Ok(after) => after,
        Err(error) => return tracing::error!("Nobody is told of anything: {error}"),
    };
    let outbox = Outbox::new(options, after);
    let mut moved = engine.watch();
    let mut room = Room { engine, outbox, base, booted_at, rung: None, sent, meters };
    loop {
        if let Err(error) = room.read().await {
            tracing::error!("Could not read what there is to tell: {error}");
        }
        room.survey();
        let until = room.next_look();
        let clock = room.engine.ports().clock.clone();
        let next = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Next::End,
            Some(sent) = came.recv() => Next::Settle(sent),
            _ = moved.changed() => Next::Moved,
            () = clock.sleep_until(until) => Next::Look,
        };
        match next {
            Next::End => return,
            Next::Settle(sent) => room.settle(sent).await,
            // Announced before it is on disk, so that it is looked for a little later.
            Next::Moved => tokio::time::sleep(SOON).await,
            Next::Look => {}
        }
    }
}

/// The line behind which there is something to tell: from here on, where nobody was ever told.
async fn begin_at(engine: &Engine) -> Result<u64, StoreError> {
    if let Some(through) = engine.read(|core| core.state.telling.through) {
        return Ok(through);
    }
    let through = engine.ports().store.durable();
    engine.commit(|tx| tx.push(Entry::NoticesFollowed { through })).await?;
    Ok(through)
}

impl Room {
    /// Takes in what was committed since.
    async fn read(&mut self) -> Result<(), StoreError> {
        let store = self.engine.ports().store.clone();
        loop {
            let durable = store.durable();
            if durable <= self.outbox.after {
                break;
            }
            let mut commits = store.commits(self.outbox.after, READ).await?;
            // Nothing leaves the process before it is on disk.
            commits.retain(|commit| commit.seq <= durable);
            if commits.is_empty() {
                break;
            }
            let now = self.engine.now();
            for commit in &commits {
                let found = facts(commit);
                let outbox = &mut self.outbox;
                self.engine.read(|core| {
                    for fact in &found {
                        outbox.take(fact, &core.state.telling, now);
                    }
                });
                self.outbox.after = commit.seq;
            }
        }
        let through = self.outbox.through();
        let known = self.engine.read(|core| core.state.telling.through).unwrap_or_default();
        if through >= known + QUIET {
            self.engine.commit(|tx| tx.push(Entry::NoticesFollowed { through })).await?;
        }
        Ok(())
    }

    /// Climbs the ladder, diverts what failed, and begins whatever is due.
    fn survey(&mut self) {
        let now = self.engine.now();
        let Self { engine, outbox, rung, .. } = self;
        let begun = engine.read(|core| {
            let state = &core.state;
            let open = open_questions(state);
            let storm = state.open_together(now).count() >= STORM;
            *rung = outbox.climb(&open, &state.telling, (now, storm));
            outbox.divert(&open, &state.telling, now);
            let kinds = Kinds {
                urgent: &|fact| is_urgent(state, fact),
                fold: &|fact| fold(state, fact, storm),
            };
            outbox.begin(&state.telling, now, &kinds)
        });
        for keys in begun {
            self.start(keys);
        }
    }

    fn next_look(&self) -> Time {
        let latest = self.engine.now() + LOOK;
        let due = [self.rung, self.outbox.next_due()].into_iter().flatten().min();
        due.map_or(latest, |due| due.min(latest))
    }

    fn start(&mut self, keys: Vec<Key>) {
        match self.deed(&keys) {
            Deed::Leave => self.leave(keys),
            Deed::Make(did, call) => {
                let (engine, sent) = (self.engine.clone(), self.sent.clone());
                self.engine.tasks().spawn(async move {
                    let result = engine.ports().actions.call(&call).await;
                    // Without a room nobody waits for it: it is told once more after the next start.
                    drop(sent.send(Sent { keys, did, result }));
                });
            }
        }
    }

    /// Nothing can be said there. That a thread is over has to be known all the same: what comes later about the
    /// same is then a message of its own.
    fn leave(&mut self, keys: Vec<Key>) {
        let now = self.engine.now();
        let over = |key: &Key| {
            let closed = self.outbox.get(key).is_some_and(|errand| errand.fact.closed);
            closed && self.engine.read(|core| core.state.telling.standing(&key.0, &key.1).is_some())
        };
        let (over, other): (Vec<Key>, Vec<Key>) = keys.into_iter().partition(over);
        for key in &other {
            self.outbox.done(key, now);
        }
        if !over.is_empty() {
            let result = CallResult::done(Value::Null);
            // The room itself takes it out again.
            drop(self.sent.send(Sent { keys: over, did: Did::Left, result }));
        }
    }

    /// What is to be called for these errands of one channel.
    fn deed(&self, keys: &[Key]) -> Deed {
        let facts: Vec<&Fact> =
            keys.iter().filter_map(|key| self.outbox.get(key)).map(|errand| &errand.fact).collect();
        let (Some(key), Some(fact)) = (keys.first(), facts.first()) else { return Deed::Leave };
        let Some(channel) = self.outbox.options().channels.get(&key.1) else { return Deed::Leave };
        let can = |name: &str| {
            self.engine.ports().catalogue.resolve(name, &channel.connection, None).ok()
        };
        let Some(kind) = channel.kind(|name| can(name).is_some()) else { return Deed::Leave };
        let make = |did: Did, capability: &str, message: Option<String>| {
            let Some(spec) = can(capability) else { return Deed::Leave };
            let own: Vec<Fact> = facts.iter().map(|fact| (*fact).clone()).collect();
            let said = self.engine.read(|core| match own.as_slice() {
                [one] => notice(&core.state, one, &self.base),
                several => {
                    let together = together(&core.state, several, self.engine.now());
                    gathered(&core.state, several, together.as_ref(), &self.base)
                }
            });
            let thread = self.named(if own.len() == 1 { &key.0 } else { "gathered" }, fact.of);
            let inputs = match kind {
                Kind::Ticket => {
                    let ticket = self.engine.read(|core| ticket(&core.state, fact, channel));
                    let Some(ticket) = ticket else { return Deed::Leave };
                    comment(&ticket, &said)
                }
                _ => inputs(capability, channel, &said, &thread, message, fact),
            };
            let call = Call {
                connection: channel.connection.clone(),
                action: spec.id,
                inputs,
                key: self.key(key, fact, did),
            };
            Deed::Make(did, Box::new(call))
        };
        let standing =
            self.engine.read(|core| core.state.telling.standing(&key.0, &key.1).cloned());
        let open = standing.filter(|known| !known.failed && !known.told.fact.closed);
        match (open, facts.len()) {
            (_, 2..) => make(Did::Gathered, kind.capability(), None),
            (None, _) => make(Did::Posted, kind.capability(), None),
            // A ticket is a record: what is new about the same is a comment of its own.
            (Some(_), _) if kind == Kind::Ticket && !fact.closed => {
                make(Did::Posted, kind.capability(), None)
            }
            (Some(known), _) => match (kind, known.told.message) {
                (Kind::Message, Some(message)) if can("notify.update").is_some() => {
                    make(Did::Updated, "notify.update", Some(message))
                }
                (Kind::Page, Some(message)) if fact.closed => {
                    make(Did::Updated, "notify.close", Some(message))
                }
                // Nothing can be changed there: whoever was asked is told that they no longer are.
                (Kind::Message | Kind::Mail, Some(_))
                    if fact.closed && matches!(fact.about, About::Question(_)) =>
                {
                    make(Did::Posted, kind.capability(), None)
                }
                _ => Deed::Leave,
            },
        }
    }

    /// A thread's name outside: no other deployment's.
    fn named(&self, thread: &str, of: u64) -> String {
        let deployment = self.engine.read(|core| {
            core.state.deployment.as_ref().map(|d| d.deployment.to_string()).unwrap_or_default()
        });
        if thread == "gathered" {
            return format!("quell/{deployment}/gathered/{of}");
        }
        format!("quell/{deployment}/{thread}")
    }

    /// Stable over retries and restarts: whoever honours keys takes it once.
    fn key(&self, key: &Key, fact: &Fact, did: Did) -> String {
        let thread = self.named(&key.0, fact.of);
        let text = format!("notice|{thread}|{}|{}|{did:?}|{}", key.1, fact.of, fact.closed);
        hex::encode(&Sha256::digest(text)[..16])
    }

    /// Journals what came of a call.
    async fn settle(&mut self, sent: Sent) {
        let now = self.engine.now();
        let Sent { keys, did, result } = sent;
        if matches!(result.outcome, Outcome::Done | Outcome::Unchanged) {
            let message = result.output["message"].as_str().map(str::to_owned);
            let message = message.filter(|_| did != Did::Gathered);
            self.journal(&keys, did, now, |told| told.message.clone_from(&message)).await;
            return;
        }
        let wait = result.retry_after.map_or_else(Default::default, Span::delta);
        let attempts = keys.first().and_then(|key| self.outbox.get(key)).map_or(0, |e| e.attempts);
        let passes = !matches!(result.outcome, Outcome::Refused) && !result.connection_fault;
        if passes && attempts + 1 < ATTEMPTS && wait <= PATIENCE {
            let at = now + backoff(attempts).max(wait);
            let doubt = result.outcome == Outcome::Unknown;
            for key in &keys {
                self.outbox.again(key, at, doubt);
            }
            return;
        }
        let problem = tame_field(result.problem.as_deref().unwrap_or("it was not taken"));
        let channel = keys.first().map(|key| key.1.clone()).unwrap_or_default();
        tracing::error!(channel = %channel, "Could not tell `{channel}`: {problem}");
        self.journal(&keys, did, now, |told| told.problem = Some(problem.clone())).await;
    }

    async fn journal(&mut self, keys: &[Key], did: Did, now: Time, complete: impl Fn(&mut Told)) {
        let mut entries: Vec<Told> = Vec::new();
        for key in keys {
            let Some(errand) = self.outbox.get(key).cloned() else { continue };
            self.outbox.done(key, now);
            let mut told = Told {
                channel: key.1.clone(),
                perhaps_again: is_post(did) && (errand.in_doubt || errand.fact.at < self.booted_at),
                fact: errand.fact,
                did,
                message: None,
                instead_of: errand.instead_of,
                problem: None,
                next: None,
                through: 0,
            };
            complete(&mut told);
            let result = match (&told.problem, did) {
                (Some(_), _) => "failed",
                (None, Did::Posted | Did::Gathered) => "sent",
                (None, Did::Updated | Did::Left) => "updated",
            };
            self.meters.count(&told.channel, result);
            entries.push(told);
        }
        let (outbox, through) = (&self.outbox, self.outbox.through());
        let committed = self.engine.commit(|tx| {
            for mut told in entries {
                told.through = through;
                if told.problem.is_none() {
                    tx.push(Entry::NoticeSent(Box::new(told)));
                    continue;
                }
                if is_post(did) {
                    let key = (told.fact.about.to_string(), told.channel.clone());
                    told.next = outbox.next_rung(&key, &told.fact, &tx.core.state.telling);
                }
                tx.push(Entry::NoticeFailed(Box::new(told)));
            }
        });
        if let Err(error) = committed.await {
            tracing::error!("Could not journal who was told: {error}");
        }
    }
}

fn open_questions(state: &State) -> Vec<Standing> {
    let open = state.approvals.values().filter(|a| a.state == ApprovalState::Pending);
    let level = |a: &Approval| a.addressed.last().filter(|last| !last.everybody)?.level;
    let asked =
        |a: &Approval| a.addressed.last().map(|last| last.people.clone()).unwrap_or_default();
    open.map(|a| Standing {
        question: a.id,
        incident: a.incident,
        opened_at: a.opened_at,
        level: level(a),
        people: asked(a).iter().map(|asked| asked.name.to_lowercase()).collect(),
    })
    .collect()
}

/// What is never held back: somebody is inside, or a privileged person is concerned.
fn is_urgent(state: &State, fact: &Fact) -> bool {
    let Some(incident) = fact.incident.and_then(|id| state.incidents.get(&id)) else {
        return matches!(fact.about, About::Pause(_));
    };
    incident.approval == ApprovalSeen::Hostile
        || state.subject(incident.subject).is_some_and(crate::model::subject::Subject::privileged)
}

/// So many questions at once are a storm: they are told together, whatever they are about.
const STORM: usize = 10;

/// What a question is told together with: those of its campaign, or of a storm. Restores and privileged people's never are.
fn fold(state: &State, fact: &Fact, storm: bool) -> Option<Fold> {
    let About::Question(id) = fact.about else { return None };
    let question = state.approvals.get(&id).filter(|question| question.joins_others())?;
    if storm {
        return Some(Fold::Storm);
    }
    let campaign = state.incidents.get(&question.incident)?.campaign.as_ref()?;
    Some(Fold::Campaign(campaign.id.clone()))
}

/// On which page these are decided, if they all are questions that one page is for.
fn together<'s>(state: &'s State, facts: &[Fact], now: Time) -> Option<Together<'s>> {
    let open = state.open_together(now).count();
    let mut folds = facts.iter().map(|fact| fold(state, fact, open >= STORM));
    let first = folds.next()??;
    if folds.any(|fold| fold.as_ref() != Some(&first)) {
        return None;
    }
    match first {
        Fold::Storm => Some(Together::Storm(open)),
        Fold::Campaign(_) => {
            let incident = state.incidents.get(&facts.first()?.incident?)?;
            incident.campaign.as_ref().map(Together::Campaign)
        }
    }
}

/// The ticket that a run opened at the channel's connection for the case.
fn ticket(state: &State, fact: &Fact, channel: &Channel) -> Option<String> {
    let opened = state.runs_of(fact.incident?).flat_map(Run::cells).filter(|cell| {
        cell.capability.as_ref().is_some_and(|c| c.as_str() == "ticket.open")
            && cell.applied.as_ref().is_some_and(|a| a.call.connection == channel.connection)
    });
    opened.filter_map(|cell| cell.output["id"].as_str()).last().map(str::to_owned)
}

fn comment(ticket: &str, said: &Notice) -> BTreeMap<String, Value> {
    let text = format!("{}\n{}\n{}", said.title, said.text, said.link);
    BTreeMap::from([("ticket".to_owned(), json!(ticket)), ("text".to_owned(), json!(text))])
}

/// The inputs of the capability, which every action that implements it takes.
fn inputs(
    capability: &str,
    channel: &Channel,
    said: &Notice,
    thread: &str,
    message: Option<String>,
    fact: &Fact,
) -> BTreeMap<String, Value> {
    let mut inputs = BTreeMap::from([("text".to_owned(), json!(said.text))]);
    let mut put = |name: &str, value: Value| drop(inputs.insert(name.to_owned(), value));
    if let Some(message) = message {
        put("message", json!(message));
    }
    if capability == "notify.close" {
        return inputs;
    }
    put("to", json!(channel.to));
    put("title", json!(said.title));
    put("severity", json!(said.severity.name()));
    put("link", json!(said.link));
    let incident = fact.incident.map(|id| id.to_string());
    put(
        "data",
        json!({"topic": fact.topic.name(), "thread": thread, "incident": incident, "closed": fact.closed}),
    );
    if capability == "notify.update" {
        put("closed", json!(fact.closed));
    } else {
        put("thread", json!(thread));
    }
    inputs
}
