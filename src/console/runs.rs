//! One run: its plan as a drawing that follows what happens, and each step with all that became of it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::ConsoleState;
use super::frame::Frame;
use super::graph::{Drawing, Look, does, draw};
use super::lists::{QuestionRow, question_row};
use super::problem::{Oops, Problem, render};
use super::show::{At, Coded, Mark, NOT_BEGUN, NOT_DUE, NOT_REACHED, urgency};
use super::signed_in::SignedIn;
use super::timeline::named;
use super::words;
use crate::engine::approvers::Approvers;
use crate::engine::driver::Core;
use crate::engine::shelf::About;
use crate::engine::state::State as Facts;
use crate::model::action::{Outcome, Strength};
use crate::model::id::RunId;
use crate::model::plan::{Mode, Plan, PlanStep};
use crate::model::run::{Cell, CellState, Purpose, Run, WaitingOn};
use crate::model::subject::Subject;
use crate::model::text::{tame, tame_field};
use crate::people::Act;

/// Cells of a step that the page shows; a run has one for each account or factor.
const CELLS: usize = 50;
/// Lines of a cell's inputs.
const INPUT_LINES: usize = 60;

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    id: String,
    playbook: String,
    status: Mark,
    waiting: Option<&'static str>,
    incident: String,
    whom: String,
    continues: Option<String>,
    facts: Vec<(&'static str, String)>,
    started: At,
    ended: Option<At>,
    digest: String,
    rounds: Vec<RoundRow>,
    questions: Vec<QuestionRow>,
    drawing: Option<Drawing>,
    steps: Vec<StepRow>,
    /// What the run did that is no step of its plan.
    others: Vec<CellRow>,
    may_resume: bool,
}

struct RoundRow {
    number: usize,
    at: At,
    steps: String,
}

struct StepRow {
    /// Names it on this page.
    anchor: String,
    name: String,
    what: String,
    mark: Mark,
    count: String,
    /// Where it stands and what it waits for.
    rules: Vec<(&'static str, Coded)>,
    cells: Vec<CellRow>,
    more: usize,
}

struct CellRow {
    anchor: String,
    name: Coded,
    state: Mark,
    round: Option<u32>,
    facts: Vec<(&'static str, String)>,
    times: Vec<(&'static str, At)>,
    approval: Option<String>,
    problem: Option<Coded>,
    inputs: String,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, Oops> {
    let id: RunId = id.parse().map_err(|_| Problem::missing("run"))?;
    state.engine.fetch_about(About::Run(id)).await?;
    let frame = Frame::new(&state, &by, "Run");
    let now = state.engine.now();
    let policy = state.engine.policy();
    let page = state.engine.read(|core| {
        let run = core.state.runs.get(&id)?;
        let who = Approvers::new(&core.state, &policy, now);
        let asked = run.asked.iter().filter_map(|id| core.state.approvals.get(id));
        let questions = asked.map(|q| question_row(&who, q, &by.person)).collect();
        Some(assemble(frame, &by, core, run, questions))
    });
    Ok(render(&page.ok_or_else(|| Problem::missing("run"))?))
}

fn assemble(
    frame: Frame,
    by: &SignedIn,
    core: &Core,
    run: &Run,
    questions: Vec<QuestionRow>,
) -> RunPage {
    let state = &core.state;
    let incident = state.incidents.get(&run.incident);
    let subject = incident.and_then(|i| state.subject(i.subject));
    let whom = subject.map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name));
    let playbook = tame_field(run.playbook.as_str());
    let teller = Teller { state, run, subject };
    let plan = state.plan(&run.plan);
    let parked = run.cells().any(|cell| matches!(cell.state, CellState::Parked { .. }));
    RunPage {
        frame: Frame { title: format!("Run: {playbook}, {whom}"), ..frame },
        id: run.id.to_string(),
        status: run.status.into(),
        waiting: run.waiting_on.filter(|_| !run.status.ended()).map(waits),
        incident: run.incident.to_string(),
        continues: match run.purpose {
            Purpose::Continue { continues } => Some(continues.to_string()),
            Purpose::Contain | Purpose::Restore => None,
        },
        facts: facts(run, &whom),
        started: At(run.started_at),
        ended: run.ended_at.map(At),
        digest: tame_field(run.plan.as_str()),
        rounds: rounds(run),
        questions,
        drawing: plan.and_then(|plan| draw(plan, &|step| teller.look(plan, step))),
        steps: plan.map(|plan| teller.steps(plan)).unwrap_or_default(),
        others: teller.others(plan.map(AsRef::as_ref)),
        may_resume: parked && !run.status.ended() && by.may(Act::Resume),
        playbook,
        whom,
    }
}

fn waits(on: WaitingOn) -> &'static str {
    match on {
        WaitingOn::Approval => "It waits for people to decide.",
        WaitingOn::Timer => "It waits for a time to come.",
        WaitingOn::Connection => "It waits for a connection that does not answer.",
        WaitingOn::Operator => "It waits for a person to look at a step that could not go on.",
    }
}

fn facts(run: &Run, whom: &str) -> Vec<(&'static str, String)> {
    let why = match run.purpose {
        Purpose::Contain => "a playbook contains",
        Purpose::Continue { .. } => "more evidence came after an earlier run",
        Purpose::Restore => "takes back what was changed",
    };
    let mode = match run.mode {
        Mode::Observe => "observe",
        Mode::Approve => "approve",
        Mode::Auto => "auto",
    };
    let mut facts = vec![
        ("Person", whom.to_owned()),
        ("Purpose", why.to_owned()),
        ("Mode", mode.to_owned()),
        ("Started by", run.started_by.as_deref().map_or_else(|| "the evidence".into(), tame_field)),
    ];
    if run.crashes > 0 {
        facts.push(("Quell died during it", format!("{} times", run.crashes)));
    }
    if run.cancelled {
        facts.push(("Cancelled", "nothing begins any more but its last steps".to_owned()));
    }
    facts
}

fn rounds(run: &Run) -> Vec<RoundRow> {
    let risen = run.rounds.iter().filter(|round| !round.prefix.is_empty());
    let row = |(n, round): (usize, &crate::model::run::Round)| RoundRow {
        number: n + 1,
        at: At(round.started_at),
        steps: tame(&round.steps.join(", "), 500),
    };
    risen.enumerate().map(row).collect()
}

/// What a run's cells say about its steps.
struct Teller<'s> {
    state: &'s Facts,
    run: &'s Run,
    subject: Option<&'s Subject>,
}

impl Teller<'_> {
    /// A step's cells in all rounds, the first round first.
    fn cells(&self, step: &str) -> Vec<&Cell> {
        let cells = self.run.cells_by_round().into_iter();
        cells.filter(|cell| cell.key.step.step() == step).collect()
    }

    /// How a step stands as a whole: in its newest round, by what most needs a look.
    fn stands(&self, step: &str) -> (Mark, String) {
        let cells = self.cells(step);
        let Some(round) = cells.last().map(|cell| cell.key.step.round()) else {
            return (self.idle(step), String::new());
        };
        let newest: Vec<&&Cell> = cells.iter().filter(|c| c.key.step.round() == round).collect();
        let worst = newest.iter().max_by_key(|cell| urgency(&cell.state));
        let mark = worst.map_or(NOT_BEGUN, |cell| Mark::from(&cell.state));
        let like = newest.iter().filter(|cell| Mark::from(&cell.state) == mark).count();
        let count = match (newest.len(), round) {
            (1, 0) => String::new(),
            (1, round) => format!("round {round}"),
            (n, 0) => format!("{like} of {n}"),
            (n, round) => format!("{like} of {n}, round {round}"),
        };
        (mark, count)
    }

    /// Why nothing is said of a step: a continuation has only some of its plan's to do.
    fn idle(&self, step: &str) -> Mark {
        let rounds = &self.run.rounds;
        let limited = rounds.iter().any(|round| round.prefix.is_empty());
        let due = rounds.iter().any(|round| round.steps.iter().any(|id| id == step));
        match (limited && !due, self.run.status.ended()) {
            (true, _) => NOT_DUE,
            (false, true) => NOT_REACHED,
            (false, false) => NOT_BEGUN,
        }
    }

    fn look(&self, plan: &Plan, step: &PlanStep) -> Look {
        let (mark, count) = self.stands(&step.id);
        Look { mark: Some(mark), count, href: format!("#{}", anchor(plan, step)) }
    }

    fn steps(&self, plan: &Plan) -> Vec<StepRow> {
        let row = |step: &PlanStep| {
            let (mark, count) = self.stands(&step.id);
            let anchor = anchor(plan, step);
            let cells = self.cells(&step.id);
            let shown = cells.iter().take(CELLS).enumerate();
            StepRow {
                name: tame_field(&step.id),
                what: does(step),
                mark,
                count,
                rules: rules(plan, step),
                more: cells.len().saturating_sub(CELLS),
                cells: shown.map(|(n, c)| self.cell(c, format!("{anchor}-{n}"))).collect(),
                anchor,
            }
        };
        plan.steps.iter().map(row).collect()
    }

    /// Cells of blocks, and lines of a way back that are no step.
    fn others(&self, plan: Option<&Plan>) -> Vec<CellRow> {
        let is_step = |cell: &&Cell| plan.is_some_and(|p| p.step(cell.key.step.step()).is_some());
        let others = self.run.cells_by_round().into_iter().filter(|cell| !is_step(cell));
        others.take(CELLS).enumerate().map(|(n, c)| self.cell(c, format!("other-{n}"))).collect()
    }

    fn cell(&self, cell: &Cell, anchor: String) -> CellRow {
        let called = if cell.key.item.is_empty() {
            format!("`{}`", tame_field(cell.key.step.step()))
        } else {
            tame_field(&cell.key.item)
        };
        let round = cell.key.step.round();
        let problem = match &cell.state {
            CellState::Parked { problem } => Some(problem.as_str()),
            _ => cell.problem.as_deref(),
        };
        CellRow {
            anchor,
            name: Coded(named(&called, self.subject)),
            state: (&cell.state).into(),
            round: (round > 0).then_some(round),
            facts: self.facts(cell),
            times: times(cell),
            approval: asked_in(cell),
            problem: problem.map(|text| Coded(named(&tame(text, 500), self.subject))),
            inputs: inputs(cell),
        }
    }

    fn facts(&self, cell: &Cell) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if cell.attempt > 0 {
            facts.push(("Attempts", cell.attempt.to_string()));
        }
        if let Some(applied) = &cell.applied {
            let sent = format!("{} at {}", applied.call.action, applied.call.connection);
            facts.push(("Action", tame_field(&sent)));
        }
        facts.extend(cell.outcome.map(|outcome| ("Outcome", came(outcome).to_owned())));
        if cell.applied.is_some() {
            facts.push(("Read back", read_back(cell).to_owned()));
        }
        if cell.ratify {
            facts.push(("Decided", "done at once; people are asked whether it stands".to_owned()));
        }
        if cell.not_applicable {
            facts.push(("Applies", "means nothing for such an account".to_owned()));
        }
        facts.extend(cell.residual.as_deref().map(|text| ("What remains", tame_field(text))));
        facts.extend(self.way_back(cell).map(|text| ("Afterwards", text)));
        facts
    }

    /// Whether it was taken back, or how it can be.
    fn way_back(&self, cell: &Cell) -> Option<String> {
        if self.run.purpose != Purpose::Restore
            && self.state.undone_at(self.run.incident, cell).is_some()
        {
            return Some("taken back since".to_owned());
        }
        let asked = self.run.asked.iter().filter_map(|id| self.state.approvals.get(id));
        let item = asked.flat_map(|q| &q.items).find(|item| item.cell == cell.key)?;
        Some(words::undo(item))
    }
}

/// What most needs to be seen of a page's steps, by position: ids may be long, or not fit into an address.
fn anchor(plan: &Plan, step: &PlanStep) -> String {
    let place = plan.steps.iter().position(|s| s.id == step.id).unwrap_or_default();
    format!("step-{}", place + 1)
}

fn rules(plan: &Plan, step: &PlanStep) -> Vec<(&'static str, Coded)> {
    let code = |text: &str| Coded(format!("`{}`", tame(&text.replace('`', "'"), 300)));
    let list = |ids: &[String]| {
        let ids: Vec<String> = ids.iter().map(|id| code(id).0).collect();
        Coded(ids.join(", "))
    };
    let mut rules = Vec::new();
    let around: Vec<String> = plan
        .around(&step.place)
        .into_iter()
        .flat_map(|(block, branch)| [Some(block.id.clone()), branch.map(str::to_owned)])
        .flatten()
        .collect();
    if !around.is_empty() {
        rules.push(("in", list(&around)));
    }
    if step.place.finally {
        rules.push(("at last", Coded("once everything else has ended".to_owned())));
    }
    if !step.after.is_empty() {
        rules.push(("after", list(&step.after)));
    }
    if !step.reads.is_empty() {
        rules.push(("uses", list(&step.reads)));
    }
    rules.extend(step.for_each.as_deref().map(|each| ("for each", code(each))));
    rules.extend(step.when.as_deref().map(|when| ("when", code(when))));
    if step.ratify.is_some() {
        let asked = "where it is done without a yes, people are asked whether it stands";
        rules.push(("then", Coded(asked.to_owned())));
    }
    rules
}

fn came(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotSent => "not sent",
        Outcome::Done => "done",
        Outcome::Unchanged => "it was so already",
        Outcome::Refused => "refused by the provider",
        Outcome::Throttled => "the provider asked to wait",
        Outcome::Unknown => "nobody knows whether it arrived",
    }
}

fn read_back(cell: &Cell) -> &'static str {
    match (cell.verified, &cell.state) {
        (Some(Strength::State), _) => "the provider's own state shows it",
        (Some(Strength::Log), _) => "the provider's log shows it",
        (None, CellState::Applied { .. }) => "under way",
        (None, _) => "no",
    }
}

fn times(cell: &Cell) -> Vec<(&'static str, At)> {
    let mut times = Vec::new();
    times.extend(cell.began_at.map(|at| ("Began", At(at))));
    times.extend(cell.done_at.map(|at| ("Done", At(at))));
    match &cell.state {
        CellState::Retrying { at } => times.push(("Again", At(*at))),
        CellState::InDoubt { at, .. } | CellState::Applied { at, .. } => {
            times.push(("Looked at again", At(*at)));
        }
        CellState::Waiting { until } => times.push(("Goes on", At(*until))),
        CellState::Granted { until, .. } => times.push(("Must begin before", At(*until))),
        _ => {}
    }
    times
}

fn asked_in(cell: &Cell) -> Option<String> {
    let asked = match &cell.state {
        CellState::Asked { approval } | CellState::Granted { approval, .. } => Some(*approval),
        _ => cell.grant,
    };
    asked.map(|id| id.to_string())
}

/// What was sent, as the journal has it: a call holds no secret.
fn inputs(cell: &Cell) -> String {
    let Some(applied) = &cell.applied else { return String::new() };
    let text = serde_json::to_string_pretty(&applied.call.inputs).unwrap_or_default();
    let lines = text.lines().map(|line| tame(line, 400));
    lines.take(INPUT_LINES).collect::<Vec<_>>().join("\n")
}
