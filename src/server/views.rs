//! What the API shows: wire types, made from the state and never read back.

use serde::Serialize;
use serde_json::Value;

use crate::engine::state::{Holds, State};
use crate::model::approval::{Approval, ApprovalState, Decision, Tier, Vote};
use crate::model::incident::{
    ApprovalSeen, Campaign, ContainmentState, Incident, IncidentStatus, Severity, Stage,
};
use crate::model::oncall::{Addressed, Level};
use crate::model::run::{Cell, CellState, Run, RunStatus, WaitingOn};
use crate::model::subject::Subject;
use crate::model::time::{Time, rfc3339};

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Give it as `cursor` for what follows; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// A case.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct IncidentView {
    id: String,
    subject: SubjectName,
    status: IncidentStatus,
    stage: Stage,
    severity: Severity,
    approval: ApprovalSeen,
    password_exposed: bool,
    /// Old or replayed evidence: acts only with approval.
    stale: bool,
    reason: String,
    /// Many people and one source, of which this is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<Campaign>,
    evidence: Evidence,
    opened_at: String,
    first_event_at: String,
    last_evidence_at: String,
    watch_until: String,
    contained_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_contained_at: Option<String>,
    /// When evidence last opened it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    reopened_at: Option<String>,
    /// From the incident's opening to its first containment.
    time_to_contain_ms: Option<i64>,
    containment: Vec<ContainmentView>,
    runs: Vec<String>,
    /// Questions that wait for people.
    approvals: Vec<String>,
}

impl IncidentView {
    /// The case in one line.
    pub(super) fn headline(&self) -> String {
        format!("Incident {}: {}, {}", self.id, self.subject.name, self.stage.name())
    }

    /// What a reader wants to know first.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("Why", self.reason.clone()),
            ("Severity", self.severity.name().to_owned()),
            ("Approved prompt", self.approval.name().to_owned()),
            ("First event", self.first_event_at.clone()),
            ("Opened", self.opened_at.clone()),
        ];
        facts.extend(
            self.campaign
                .as_ref()
                .map(|c| ("Campaign", format!("{}: {}, {} people", c.id, c.key, c.people))),
        );
        facts.extend(self.contained_at.clone().map(|at| ("Contained", at)));
        facts.extend(self.reopened_at.clone().map(|at| ("Opened again", at)));
        facts
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SubjectName {
    id: String,
    name: String,
    privileged: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Evidence {
    events: u32,
    denied: u32,
    timed_out: u32,
    wrong_answer: u32,
    approved: u32,
    alerts: u32,
    reports: u32,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ContainmentView {
    account: String,
    capability: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    item: String,
    state: ContainmentState,
    residual: Option<String>,
    at: String,
}

impl IncidentView {
    pub(super) fn of(state: &State, incident: &Incident) -> Self {
        let subject = state.subject(incident.subject);
        let counts = &incident.counts;
        let waits = |a: &&Approval| a.incident == incident.id && a.state == ApprovalState::Pending;
        Self {
            id: incident.id.to_string(),
            subject: SubjectName {
                id: incident.subject.to_string(),
                name: subject.map(|s| s.name.clone()).unwrap_or_default(),
                privileged: subject.is_some_and(Subject::privileged),
            },
            status: incident.status,
            stage: incident.stage,
            severity: incident.severity,
            approval: incident.approval,
            password_exposed: incident.password_exposed,
            stale: incident.stale,
            reason: incident.reason.clone(),
            campaign: incident.campaign.clone(),
            evidence: Evidence {
                events: counts.events,
                denied: counts.denied,
                timed_out: counts.timed_out,
                wrong_answer: counts.wrong_answer,
                approved: counts.approved,
                alerts: counts.alerts,
                reports: counts.reports,
            },
            opened_at: rfc3339(incident.opened_at),
            first_event_at: rfc3339(incident.first_event_at),
            last_evidence_at: rfc3339(incident.last_evidence_at),
            watch_until: rfc3339(incident.watch_until),
            contained_at: incident.contained_at.map(rfc3339),
            first_contained_at: incident.first_contained_at.map(rfc3339),
            reopened_at: incident.reopened_at.map(rfc3339),
            time_to_contain_ms: incident
                .first_contained_at
                .map(|at| (at - incident.opened_at).num_milliseconds()),
            containment: containment(incident),
            runs: incident.runs.iter().map(ToString::to_string).collect(),
            approvals: state.approvals.values().filter(waits).map(|a| a.id.to_string()).collect(),
        }
    }
}

fn containment(incident: &Incident) -> Vec<ContainmentView> {
    let line = |c: &crate::model::incident::Containment| ContainmentView {
        account: c.account.clone(),
        capability: c.capability.to_string(),
        item: c.item.clone(),
        state: c.state,
        residual: c.residual.clone(),
        at: rfc3339(c.at),
    };
    incident.containment.iter().map(line).collect()
}

/// A person with their accounts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SubjectView {
    id: String,
    name: String,
    privileged: bool,
    protected: bool,
    aliases: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    accounts: Value,
    /// When the accounts were read; absent: known by name only.
    resolved_at: Option<String>,
    incidents: Vec<String>,
}

impl SubjectView {
    pub(super) fn of(state: &State, subject: &Subject) -> Self {
        let incidents = state.cases.get(&subject.id).into_iter().flatten();
        Self {
            id: subject.id.to_string(),
            name: subject.name.clone(),
            privileged: subject.privileged(),
            protected: subject.protected(),
            aliases: subject.aliases.iter().map(ToString::to_string).collect(),
            accounts: serde_json::to_value(&subject.accounts).unwrap_or_default(),
            resolved_at: subject.resolved_at.map(rfc3339),
            incidents: incidents.map(ToString::to_string).collect(),
        }
    }
}

/// One execution of a plan.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct RunView {
    id: String,
    incident: String,
    playbook: String,
    plan: String,
    #[schema(value_type = Object)]
    purpose: Value,
    #[schema(value_type = String)]
    mode: Value,
    status: RunStatus,
    waiting_on: Option<WaitingOn>,
    started_at: String,
    ended_at: Option<String>,
    started_by: Option<String>,
    steps: Vec<StepView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StepView {
    step: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    item: String,
    capability: Option<String>,
    account: Option<String>,
    state: &'static str,
    conclusion: Option<&'static str>,
    #[schema(value_type = Option<String>)]
    outcome: Value,
    attempts: u32,
    verified: bool,
    problem: Option<String>,
}

impl RunView {
    pub(super) fn of(run: &Run) -> Self {
        Self {
            id: run.id.to_string(),
            incident: run.incident.to_string(),
            playbook: run.playbook.to_string(),
            plan: run.plan.to_string(),
            purpose: serde_json::to_value(&run.purpose).unwrap_or_default(),
            mode: serde_json::to_value(run.mode).unwrap_or_default(),
            status: run.status,
            waiting_on: run.waiting_on,
            started_at: rfc3339(run.started_at),
            ended_at: run.ended_at.map(rfc3339),
            started_by: run.started_by.clone(),
            steps: run.cells().map(step).collect(),
        }
    }
}

fn step(cell: &Cell) -> StepView {
    let parked = match &cell.state {
        CellState::Parked { problem } => Some(problem.clone()),
        _ => None,
    };
    StepView {
        step: cell.key.step.to_string(),
        item: cell.key.item.clone(),
        capability: cell.capability.as_ref().map(ToString::to_string),
        account: cell.account.as_ref().map(ToString::to_string),
        state: state_name(&cell.state),
        conclusion: cell.conclusion().map(crate::model::run::Conclusion::name),
        outcome: serde_json::to_value(cell.outcome).unwrap_or_default(),
        attempts: cell.attempt,
        verified: cell.verified.is_some(),
        problem: parked.or_else(|| cell.problem.clone()),
    }
}

fn state_name(state: &CellState) -> &'static str {
    match state {
        CellState::Asked { .. } => "asked",
        CellState::Granted { .. } => "granted",
        CellState::Intended => "intended",
        CellState::Retrying { .. } => "retrying",
        CellState::InDoubt { .. } => "in_doubt",
        CellState::Applied { .. } => "applied",
        CellState::Waiting { .. } => "waiting",
        CellState::Parked { .. } => "parked",
        CellState::Concluded { .. } => "concluded",
    }
}

/// A question to people.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ApprovalView {
    id: String,
    incident: String,
    run: String,
    state: ApprovalState,
    #[schema(value_type = String)]
    asks: Value,
    opened_at: String,
    expires_at: String,
    decided_at: Option<String>,
    tier: Tier,
    /// How many people must say yes.
    quorum: u32,
    /// Who has answered so far, where one answer is not enough.
    votes: Vec<VoteView>,
    escalations: u32,
    /// How often it stood longer because nobody could be told of it.
    untold: u32,
    /// To whom it was put, in turn. Everybody who may decide can answer at any time.
    addressed: Vec<AddressedView>,
    #[schema(value_type = Vec<Object>)]
    items: Value,
}

/// To whom a question was put at one time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct AddressedView {
    level: Option<Level>,
    people: Vec<String>,
    /// Everybody who may decide, besides.
    everybody: bool,
    at: String,
    until: String,
}

impl AddressedView {
    fn of(asked: &Addressed) -> Self {
        Self {
            level: asked.level,
            people: asked.people.iter().map(|a| a.name.clone()).collect(),
            everybody: asked.everybody,
            at: rfc3339(asked.at),
            until: rfc3339(asked.until),
        }
    }
}

impl ApprovalView {
    pub(super) fn of(approval: &Approval) -> Self {
        Self {
            id: approval.id.to_string(),
            incident: approval.incident.to_string(),
            run: approval.run.to_string(),
            state: approval.state,
            asks: serde_json::to_value(approval.asks).unwrap_or_default(),
            opened_at: rfc3339(approval.opened_at),
            expires_at: rfc3339(approval.expires_at),
            decided_at: approval.decided_at.map(rfc3339),
            tier: approval.tier,
            quorum: approval.quorum,
            votes: approval.votes.iter().map(VoteView::of).collect(),
            escalations: approval.escalations,
            untold: approval.untold,
            addressed: approval.addressed.iter().map(AddressedView::of).collect(),
            items: serde_json::to_value(&approval.items).unwrap_or_default(),
        }
    }
}

/// One answer of several.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct VoteView {
    by: String,
    #[schema(value_type = String)]
    decision: Decision,
    at: String,
}

impl VoteView {
    fn of(vote: &Vote) -> Self {
        Self { by: vote.name.clone(), decision: vote.decision, at: rfc3339(vote.at) }
    }
}

/// What keeps an account shut.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct HoldView {
    account: String,
    capability: String,
    /// Quell shut it, and may open it when the last hold goes.
    ours: bool,
    holds: Vec<HeldBy>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HeldBy {
    incident: String,
    run: String,
    action: String,
    placed_at: String,
    expires_at: Option<String>,
}

impl HoldView {
    pub(super) fn of(holds: &Holds) -> Self {
        let by = holds.by.iter().map(|(incident, hold)| HeldBy {
            incident: incident.to_string(),
            run: hold.run.to_string(),
            action: hold.action.to_string(),
            placed_at: rfc3339(hold.placed_at),
            expires_at: hold.expires_at.map(rfc3339),
        });
        Self {
            account: holds.account.to_string(),
            capability: holds.capability.to_string(),
            ours: holds.ours,
            holds: by.collect(),
        }
    }
}

/// One journal entry.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntryView {
    /// The journal line.
    seq: u64,
    at: String,
    #[serde(rename = "type")]
    kind: String,
    /// The entry, as the journal has it.
    #[schema(value_type = Object)]
    data: Value,
}

impl EntryView {
    pub(super) fn new(seq: u64, at: Time, entry: Value) -> Self {
        let kind = entry["type"].as_str().unwrap_or_default().to_owned();
        Self { seq, at: rfc3339(at), kind, data: entry }
    }
}
