//! What a run does next: a pure function of plan, state and time.
//!
//! It looks at every step of every round in written order and says what can be
//! done now. The driver applies the answers and asks again until there is
//! nothing more to say; then the run waits for a call, a person or a time.

mod begun;
mod cell;
mod contained;
mod expand;
mod flow;
mod judge;
mod ratify;
pub(crate) mod rise;

pub(crate) use flow::{CRASHES_MAX, Took};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Scopes;
use super::policy::Policy;
use super::ports::Catalogue;
use super::state::State;
use crate::model::action::{ActionSpec, Call, Rank};
use crate::model::approval::{Asks, Item, Tier};
use crate::model::id::{ApprovalId, Capability, ConnectionId, RunId};
use crate::model::plan::{AskRule, OnTimeout, Plan};
use crate::model::run::{
    Cell, CellKey, CellState, Conclusion, Purpose, Round, Run, RunStatus, WaitingOn,
};
use crate::model::subject::AccountKey;
use crate::model::time::Time;

/// Whether a connection takes another call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Free,
    /// As many calls under way as it may have.
    Full,
    /// Throttled, or its breaker is open, until then.
    Shut(Time),
}

/// How far reading a subject's accounts is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookUp {
    Due,
    UnderWay,
    /// It failed; again then.
    Again(Time),
}

/// Stands for the look-ups among the lanes; no connection may be called so.
pub(crate) fn look_up_lane() -> ConnectionId {
    "(look-up)".into()
}

/// What is under way in this process, which the journal does not say.
pub(crate) trait Busy {
    fn in_flight(&self, run: RunId, cell: &CellKey) -> bool;
    fn lane(&self, connection: &ConnectionId) -> Lane;
    /// Another cell's action on this account is between intent and resolved outcome.
    fn locked(&self, account: &AccountKey, run: RunId, cell: &CellKey) -> bool;
    fn look_up(&self, run: RunId) -> LookUp;
}

/// What `decide` looks at.
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) run: &'a Run,
    pub(crate) plan: Arc<Plan>,
    pub(crate) now: Time,
    pub(crate) policy: Arc<Policy>,
    pub(crate) catalogue: &'a dyn Catalogue,
    pub(crate) busy: &'a dyn Busy,
}

/// One thing to do now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// Read the subject's accounts.
    LookUp,
    /// The step ends without an effect.
    Skip(Box<Skip>),
    /// A block's choice is made, for good in this round.
    Decide {
        cell: CellKey,
        took: Took,
    },
    /// A guardrail says no; `until` = look again then, otherwise the step ends as refused.
    Refuse {
        skip: Box<Skip>,
        guardrail: String,
        until: Option<Time>,
    },
    /// Commit the intent, then call.
    Intend(Box<Intend>),
    /// Ask the provider whether it is so.
    ReadBack {
        cell: CellKey,
        in_doubt: bool,
    },
    BeginWait {
        cell: CellKey,
        until: Time,
    },
    Park {
        cell: CellKey,
        problem: String,
    },
    Ask {
        items: Vec<Item>,
        rule: AskRule,
        asks: Asks,
        tier: Tier,
    },
    Expire {
        approval: ApprovalId,
    },
    /// Nothing is left of it that needs a yes: evidence that rose has overtaken it.
    Withdraw {
        approval: ApprovalId,
    },
    Continue {
        round: Round,
    },
    /// A cell's outcome needs no read-back: it ends.
    Settle {
        cell: CellKey,
        conclusion: Conclusion,
        reason: String,
    },
    Contained,
    End {
        status: RunStatus,
    },
    WaitOn(WaitingOn),
}

/// How a step ends that has no effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Skip {
    pub(crate) cell: CellKey,
    pub(crate) capability: Option<Capability>,
    pub(crate) account: Option<AccountKey>,
    pub(crate) conclusion: Conclusion,
    pub(crate) not_applicable: bool,
    pub(crate) reason: String,
}

/// An effect about to be intended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Intend {
    pub(crate) cell: CellKey,
    pub(crate) account: Option<AccountKey>,
    pub(crate) spec: ActionSpec,
    pub(crate) call: Call,
    pub(crate) attempt: u32,
    pub(crate) grant: Option<ApprovalId>,
    pub(crate) ceiling: Option<String>,
    /// It is done first, and people are asked afterwards whether it stands.
    pub(crate) ratify: bool,
}

/// The answer.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Decided {
    pub(crate) commands: Vec<Command>,
    /// When to ask again although nothing happened.
    pub(crate) wake: Option<Time>,
    /// Connections and accounts that the run waits for; asked again when they are free.
    pub(crate) lanes: BTreeMap<ConnectionId, Rank>,
    pub(crate) accounts: BTreeSet<AccountKey>,
}

impl Decided {
    fn wake_at(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }
}

/// Whether what the runs of its incident did contains it as things are, although it does not say so yet.
pub(crate) fn is_contained(view: &View<'_>) -> bool {
    contained::now(view, &Scopes::new(view.state, view.run, &view.plan))
}

/// Says what the run does next.
pub(crate) fn decide(view: &View<'_>) -> Decided {
    let mut decided = Decided::default();
    if view.run.status.ended() {
        return decided;
    }
    if let Some(round) = rise::due_round(view) {
        decided.commands.push(Command::Continue { round });
        return decided;
    }
    let scopes = Scopes::new(view.state, view.run, &view.plan);
    let mut pass = cell::Pass::new(view, &scopes, &mut decided);
    let mut all_concluded = pass.rounds();
    let reading = pass.reads_accounts();
    all_concluded &= !reading;
    all_concluded &= pass.what_is_left();
    all_concluded &= pass.ratifications();
    pass.withdraw_overtaken();
    let to_ask = std::mem::take(&mut pass.to_ask);
    let waiting = pass.waiting;
    let contain_open = pass.contain_open || reading;
    if !to_ask.is_empty() && view.state.paused.is_none() {
        decided.commands.push(ask(view, to_ask));
    }
    // Only once all that was to be said of this pass has been: what is about to begin is not done.
    if !contain_open && decided.commands.is_empty() && contained::now(view, &scopes) {
        decided.commands.push(Command::Contained);
    }
    if all_concluded && decided.commands.iter().all(|c| matches!(c, Command::Contained)) {
        let status =
            if view.run.cancelled { RunStatus::Cancelled } else { contained::end_status(view) };
        decided.commands.push(Command::End { status });
    } else if let Some(on) =
        waiting.filter(|on| decided.commands.is_empty() && view.run.waiting_on != Some(*on))
    {
        decided.commands.push(Command::WaitOn(on));
    }
    decided
}

/// The rounds of a run, oldest first. A continuation has no round of its own but those listed.
pub(super) fn rounds(run: &Run) -> Vec<RoundView> {
    let mut rounds = Vec::with_capacity(run.rounds.len() + 1);
    if !matches!(run.purpose, Purpose::Continue { .. }) {
        rounds.push(RoundView { prefix: String::new(), steps: None });
    }
    rounds.extend(
        run.rounds
            .iter()
            .map(|r| RoundView { prefix: r.prefix.clone(), steps: Some(r.steps.clone()) }),
    );
    rounds
}

/// A round as `decide` walks it; `steps: None` = all of the plan.
#[derive(Debug, Clone)]
pub(super) struct RoundView {
    pub(super) prefix: String,
    pub(super) steps: Option<Vec<String>>,
}

impl RoundView {
    pub(super) fn has(&self, step: &str) -> bool {
        self.steps.as_ref().is_none_or(|steps| steps.iter().any(|s| s == step))
    }
}

/// One thing to ask about, before it is part of a question.
pub(super) struct Asking {
    pub(super) item: Item,
    pub(super) rule: Option<AskRule>,
    pub(super) tier: Tier,
}

/// Everything in a run that is resolvable now is one question.
fn ask(view: &View<'_>, asking: Vec<Asking>) -> Command {
    let asks = if view.run.purpose == Purpose::Restore { Asks::Restore } else { Asks::Contain };
    let tier = asking.iter().map(|a| a.tier).max().unwrap_or_default();
    let calendars = view.policy.oncall.rota.time_to_answer(tier, view.now);
    let default = AskRule {
        timeout: calendars.unwrap_or(view.policy.approval_timeout),
        on_timeout: OnTimeout::Escalate,
        quorum: 0,
    };
    // One question has one clock: the strictest of its steps'; and as many people as any of them wants.
    let rules = || asking.iter().filter_map(|a| a.rule.clone());
    let mut rule = rules().min_by_key(|r| r.timeout).unwrap_or(default);
    rule.quorum = rules().map(|r| r.quorum).max().unwrap_or(0);
    Command::Ask { items: asking.into_iter().map(|a| a.item).collect(), rule, asks, tier }
}

/// A cell that stands for asking a connection which accounts the person has.
pub(super) fn is_look_up(cell: &Cell) -> bool {
    cell.key.is_look_up()
}

/// A state in which nothing more will happen to the cell.
pub(super) fn is_concluded(state: &CellState) -> bool {
    matches!(state, CellState::Concluded { .. })
}
