//! The state: the fold of the journal. One `apply` per entry, no decisions, no clock.
//!
//! Every change also names the rows it touched, so that the store's index can be
//! written behind the journal and rebuilt from it: `fold(journal) == rows` is a
//! check that anyone can run.

mod answers;
mod asked;
mod delegations;
mod fold;
mod fold_run;
mod guarded;
mod load;
mod retire;
mod rows;
mod shelf;
mod told;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::approval::{Approval, ApprovalState};
use crate::model::asked::OpenAsk;
use crate::model::deed::Seconded;
use crate::model::entry::{
    CeilingRaised, ConnectionTested, DeploymentCreated, GuardrailsChanged, PersonEnrolled,
    TokenChanged,
};
use crate::model::id::{
    ActionId, ApprovalId, Capability, ConnectionId, DelegationId, IncidentId, PersonId, PlanDigest,
    PlaybookName, RunId, SourceId, SubjectId, TokenId,
};
use crate::model::incident::{ContainmentState, Incident, IncidentStatus, Severity};
use crate::model::oncall::Delegation;
use crate::model::plan::Plan;
use crate::model::poll::PollAdvanced;
use crate::model::run::{Cell, Run, RunStatus};
use crate::model::subject::{AccountKey, Alias, Subject};
use crate::model::time::Time;

pub(crate) use answers::{Delivered, Deliveries, DeliveryKey, Known};
pub(crate) use fold::is_stronger;
pub(crate) use guarded::{SECONDS_WAIT, act_key};
pub(crate) use load::{ALWAYS, Cells, ENDED_RUNS, ended_run};
pub(crate) use rows::{ALIAS, RowKey, ended_key, parse};
pub(crate) use shelf::{People, Shelf};
pub(crate) use told::Telling;

/// Why an account is shut, and for whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Holds {
    pub(crate) account: AccountKey,
    pub(crate) capability: Capability,
    /// Quell itself shut it; what was shut before is never opened by Quell.
    pub(crate) ours: bool,
    pub(crate) by: BTreeMap<IncidentId, Hold>,
}

/// One incident's hold on one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) run: RunId,
    /// The action that placed it; its manifest names the undo.
    pub(crate) action: ActionId,
    pub(crate) placed_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Time>,
    /// The provider's word for the state that it left the account in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<Left>,
}

/// How Quell left an account, and when that was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) status: String,
    pub(crate) at: Time,
}

/// A published plan and its YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) plan: Arc<Plan>,
    pub(crate) source: String,
    pub(crate) by: String,
    pub(crate) at: Time,
}

/// An enrolment ticket that has not been used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Enrolment {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    pub(crate) expires_at: Time,
}

/// The kill switch, when it is pulled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pause {
    pub(crate) by: String,
    pub(crate) reason: String,
    pub(crate) at: Time,
}

/// Everything that the journal says, all told, but for people [at rest](Shelf).
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The last applied commit.
    pub(crate) seq: u64,
    pub(crate) deployment: Option<DeploymentCreated>,
    pub(crate) subjects: HashMap<SubjectId, Subject>,
    pub(crate) aliases: HashMap<Alias, SubjectId>,
    pub(crate) incidents: BTreeMap<IncidentId, Box<Incident>>,
    /// The newest incident of each subject.
    pub(crate) newest: HashMap<SubjectId, IncidentId>,
    /// All incidents of each subject, oldest first.
    pub(crate) cases: HashMap<SubjectId, Vec<IncidentId>>,
    pub(crate) runs: BTreeMap<RunId, Box<Run>>,
    pub(crate) live: BTreeSet<RunId>,
    pub(crate) approvals: BTreeMap<ApprovalId, Approval>,
    pub(crate) plans: BTreeMap<PlanDigest, Published>,
    pub(crate) published: BTreeMap<PlaybookName, PlanDigest>,
    pub(crate) holds: BTreeMap<(AccountKey, Capability), Holds>,
    pub(crate) deliveries: Deliveries,
    /// How many runs have ended so.
    pub(crate) ended: BTreeMap<RunStatus, u64>,
    /// When each ceiling was used, oldest first; pruned to the last day.
    pub(crate) ceilings: BTreeMap<String, Vec<Time>>,
    pub(crate) paused: Option<Pause>,
    pub(crate) guardrails: Option<GuardrailsChanged>,
    /// Campaigns for which more blocks may be done.
    pub(crate) raises: BTreeMap<String, CeilingRaised>,
    /// What some of those whom it takes have signed, by a digest of what it is.
    pub(crate) seconds: BTreeMap<String, Seconded>,
    pub(crate) people: BTreeMap<PersonId, PersonEnrolled>,
    pub(crate) enrolments: BTreeMap<String, Enrolment>,
    pub(crate) tokens: BTreeMap<TokenId, TokenChanged>,
    /// Who is asked in whose place, now or later.
    pub(crate) delegations: BTreeMap<DelegationId, Delegation>,
    /// How far each polled source has got.
    pub(crate) polls: BTreeMap<SourceId, PollAdvanced>,
    /// What came of trying each connection last.
    pub(crate) tests: BTreeMap<ConnectionId, ConnectionTested>,
    pub(crate) telling: Telling,
    /// Links to persons concerned that still open, by the hash of their secret.
    pub(crate) asks: BTreeMap<String, OpenAsk>,
    pub(crate) shelf: Shelf,
    changed: BTreeSet<RowKey>,
    /// Live runs that rows of their own were written for.
    spread: BTreeSet<RunId>,
}

impl State {
    /// The subject that an alias names, following merges.
    pub(crate) fn subject_by_alias(&self, alias: &Alias) -> Option<&Subject> {
        self.aliases.get(alias).and_then(|id| self.subject(*id))
    }

    /// A subject by id, following merges.
    pub(crate) fn subject(&self, id: SubjectId) -> Option<&Subject> {
        let mut subject = self.subjects.get(&id)?;
        // A chain of merges is as long as there were merges of this person: few, but never a loop.
        for _ in 0..16 {
            match subject.merged_into {
                Some(into) => subject = self.subjects.get(&into)?,
                None => break,
            }
        }
        Some(subject)
    }

    /// The incident that evidence about a subject joins at `now`, if one is still watched.
    pub(crate) fn open_incident(&self, subject: SubjectId, now: Time) -> Option<&Incident> {
        let incident = self.incidents.get(self.newest.get(&subject)?)?;
        (incident.status != IncidentStatus::Closed && now <= incident.watch_until)
            .then_some(incident)
    }

    /// Whether an incident was closed because an older one of the same person goes on.
    pub(crate) fn is_joined(&self, incident: IncidentId) -> bool {
        self.incidents.get(&incident).is_some_and(|i| {
            let newest = self.newest.get(&i.subject);
            i.status == IncidentStatus::Closed && newest.is_some_and(|newest| *newest < i.id)
        })
    }

    /// Whether what a cell did was taken back since.
    pub(crate) fn is_undone(&self, incident: IncidentId, cell: &Cell) -> bool {
        self.undone_at(incident, cell).is_some()
    }

    /// When what a cell did was taken back.
    pub(crate) fn undone_at(&self, incident: IncidentId, cell: &Cell) -> Option<Time> {
        let (account, capability) = (cell.account.as_ref()?.to_string(), cell.capability.as_ref()?);
        let lines = &self.incidents.get(&incident)?.containment;
        let line = lines.iter().find(|l| l.account == account && l.capability == *capability)?;
        (line.state == ContainmentState::Undone).then_some(line.at)
    }

    pub(crate) fn plan(&self, digest: &PlanDigest) -> Option<&Arc<Plan>> {
        self.plans.get(digest).map(|published| &published.plan)
    }

    /// The plan that a run pins: published, or its own (restore).
    pub(crate) fn plan_of(&self, run: RunId) -> Option<&Arc<Plan>> {
        self.plan(&self.runs.get(&run)?.plan)
    }

    /// How urgent a run is: as its incident.
    pub(crate) fn severity_of(&self, run: RunId) -> Severity {
        let incident = self.runs.get(&run).and_then(|r| self.incidents.get(&r.incident));
        incident.map_or(Severity::Low, |i| i.severity)
    }

    /// How often a ceiling was used since `since`.
    pub(crate) fn used(&self, ceiling: &str, since: Time) -> usize {
        self.ceilings.get(ceiling).map_or(0, |at| at.iter().filter(|t| **t > since).count())
    }

    /// Open questions that may be answered, and told of, together with others.
    pub(crate) fn open_together(&self, now: Time) -> impl Iterator<Item = &Approval> {
        self.approvals.values().filter(move |q| {
            q.state == ApprovalState::Pending && q.expires_at > now && q.joins_others()
        })
    }

    /// Runs of an incident, oldest first.
    pub(crate) fn runs_of(&self, incident: IncidentId) -> impl Iterator<Item = &Run> {
        self.incidents
            .get(&incident)
            .into_iter()
            .flat_map(|i| i.runs.iter().filter_map(|id| self.runs.get(id).map(AsRef::as_ref)))
    }

    /// Holds that an incident has placed.
    pub(crate) fn holds_of(&self, incident: IncidentId) -> impl Iterator<Item = (&Holds, &Hold)> {
        self.holds
            .values()
            .filter_map(move |holds| holds.by.get(&incident).map(|hold| (holds, hold)))
    }

    fn touch(&mut self, row: RowKey) {
        self.changed.insert(row);
    }
}
