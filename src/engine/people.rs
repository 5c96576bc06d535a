//! What people and tokens cause: contain-now, restore, pause, notes, plans, people and tokens.
//!
//! Who may is settled by the caller (`server`, `console`); what it leads to is settled here.

use chrono::TimeDelta;

use super::clean;
use super::driver::{Engine, Tx};
use super::ingest::follow_up;
use super::ports::StoreError;
use super::restore::{self, RESTORE};
use super::shelf::About;
use crate::approval::stand_in::Unfit;
use crate::approval::statement::{canonical, sha256_hex};
use crate::approval::who::Bar;
use crate::model::action::{Effect, Outcome, Proof, Repeat};
use crate::model::deed::By;
use crate::model::entry::{
    Entry, IncidentRisen, PersonEnrolled, PlanPublished, Rise, RunStarted, StepSkipped,
    StepVerified, TokenChanged,
};
use crate::model::id::{IncidentId, PersonId, PlanDigest, PlaybookName, RunId, SubjectId};
use crate::model::incident::{Incident, MayCause, Stage};
use crate::model::plan::{Plan, Trigger};
use crate::model::run::{Cell, CellKey, CellState, Conclusion, Purpose, StepIs};
use crate::model::subject::{AccountKey, Alias, Subject};
use crate::model::time::Time;

/// How long a hold that runs out during another restore of its incident waits for that to end.
const RESTORE_AGAIN: TimeDelta = TimeDelta::minutes(5);

/// Why something that a person asked for was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// Somebody or the clock was faster.
    #[error("it was already {0}")]
    Already(&'static str),
    #[error("{0} may not decide this")]
    Barred(String),
    #[error(transparent)]
    Bar(#[from] Bar),
    #[error("the statement does not match the question any more; load the page again")]
    Changed,
    #[error(
        "the approvers before you ticked other actions; tick at least one that all of you approve, or deny"
    )]
    NothingInCommon,
    #[error("the approvers before you are of your group; somebody of another group has to answer")]
    SameGroup,
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("{0}")]
    Nothing(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Starts containment of a person by hand, at stage `confirmed`.
    pub(crate) async fn contain(
        &self,
        subject: SubjectId,
        by: &str,
        reason: &str,
    ) -> Result<(IncidentId, Option<RunId>), Refusal> {
        self.fetch_about(About::Subject(subject)).await?;
        let (result, written) = self.transact(|tx| {
            let known =
                tx.core.state.subject(subject).cloned().ok_or(Refusal::Missing("subject"))?;
            let evidence = Rise {
                stage: Stage::Confirmed,
                approval: crate::model::incident::ApprovalSeen::None,
                password_exposed: true,
                may_cause: MayCause::Contain,
                stale: false,
                privileged: known.privileged(),
                reason: format!("{by}: {reason}"),
                hostile_factors: Vec::new(),
                hostile: crate::model::incident::HostileContext::default(),
                first_event_at: tx.at,
                last_evidence_at: tx.at,
                hostile_entry_at: None,
                watch_until: tx.at + self.policy().watch.delta(),
                trigger: Some(Trigger::Manual),
                campaign: None,
            };
            let incident = if let Some(incident) =
                tx.core.state.open_incident(known.id, tx.at).map(|i| i.id)
            {
                tx.push(Entry::IncidentStaged(Box::new(IncidentRisen { incident, evidence })));
                incident
            } else {
                let incident = IncidentId::mint(tx.at, self.ports().entropy.id());
                let opened =
                    crate::model::entry::IncidentOpened { incident, subject: known.id, evidence };
                tx.push(Entry::IncidentOpened(Box::new(opened)));
                incident
            };
            tx.push(Entry::IncidentByHand { incident, by: by.to_owned() });
            follow_up(self, tx, incident);
            let run = tx.core.state.incidents.get(&incident).and_then(|i| i.runs.last().copied());
            Ok((incident, run))
        });
        written.await?;
        result
    }

    /// The subject behind a sign-in name; somebody whom no record has named yet is made one, so that
    /// containing by hand does not wait for evidence.
    pub(crate) async fn subject_named(&self, login: &str) -> Result<SubjectId, StoreError> {
        let alias = Alias::login(login);
        self.fetch_named(std::slice::from_ref(&alias)).await?;
        self.commit(|tx| {
            if let Some(known) = tx.core.state.subject_by_alias(&alias) {
                return known.id;
            }
            let id = SubjectId::mint(tx.at, self.ports().entropy.id());
            let subject = Subject {
                id,
                name: login.to_owned(),
                aliases: vec![alias],
                accounts: Vec::new(),
                resolved_at: None,
                merged_into: None,
                silent: Vec::new(),
                connections: self.ports().catalogue.connections_for("identity.revoke_sessions"),
            };
            tx.push(Entry::SubjectCreated { subject: Box::new(subject) });
            id
        })
        .await
    }

    /// Asks people whether what an incident changed may be taken back. The answer is a passkey's, on the approval page.
    pub(crate) async fn request_restore(
        &self,
        incident: IncidentId,
        by: &str,
    ) -> Result<RunId, Refusal> {
        self.fetch_about(About::Incident(incident)).await?;
        if restore::is_reserved(by) {
            return Err(Refusal::Barred(by.to_owned()));
        }
        let (result, written) =
            self.transact(|tx| self.start_restore(tx, incident, (by, None), None));
        written.await?;
        result
    }

    /// A hold ran out: taken off if everything is clean, otherwise people are asked.
    pub(super) fn hold_expired(&self, incident: IncidentId, account: &AccountKey) {
        let ((), _written) = self.transact(|tx| {
            let Some(case) = tx.core.state.incidents.get(&incident).cloned() else { return };
            // One way back at a time: the hold's turn comes when the other has ended.
            let busy = tx
                .core
                .state
                .runs_of(incident)
                .any(|r| r.purpose == Purpose::Restore && !r.status.ended());
            let is_clean = clean::is_clean(&tx.core.state, &case);
            let by = if is_clean { restore::CLEAN_EXPIRY } else { restore::EXPIRY };
            // Its time is over either way; a hold that people decide about has none.
            let held: Vec<_> = tx
                .core
                .state
                .holds_of(incident)
                .filter(|(h, _)| h.account == *account)
                .map(|(h, hold)| (h.capability.clone(), hold.clone(), h.ours))
                .collect();
            for (capability, hold, ours) in held {
                tx.push(Entry::HoldPlaced {
                    incident,
                    run: hold.run,
                    account: account.clone(),
                    capability,
                    action: hold.action,
                    ours,
                    expires_at: busy.then(|| tx.at + RESTORE_AGAIN),
                });
            }
            if busy {
                return;
            }
            if let Err(refusal) = self.start_restore(tx, incident, (by, None), Some(account)) {
                tracing::warn!(incident.id = %incident, "A hold ran out and nothing was to be undone: {refusal}");
            }
        });
    }

    pub(super) fn start_restore(
        &self,
        tx: &mut Tx<'_>,
        incident: IncidentId,
        (by, decided_by): (&str, Option<PersonId>),
        only: Option<&AccountKey>,
    ) -> Result<RunId, Refusal> {
        let case: Incident = tx
            .core
            .state
            .incidents
            .get(&incident)
            .map(|i| (**i).clone())
            .ok_or(Refusal::Missing("incident"))?;
        if let Some(live) = tx
            .core
            .state
            .runs_of(incident)
            .find(|r| r.purpose == Purpose::Restore && !r.status.ended())
        {
            return Ok(live.id);
        }
        let way = restore::way_back(&tx.core.state, &*self.ports().catalogue, &case, only);
        if way.plan.steps.is_empty() {
            return Err(Refusal::Nothing(
                "this incident holds nothing that could be undone".to_owned(),
            ));
        }
        let run = RunId::mint(tx.at, self.ports().entropy.id());
        tx.push(Entry::RunStarted(Box::new(RunStarted {
            run,
            incident,
            playbook: PlaybookName::new(RESTORE),
            plan: PlanDigest::new(sha256_hex(&canonical(&way.plan))),
            purpose: Purpose::Restore,
            mode: self.policy().mode.max(crate::model::plan::Mode::Approve),
            rises_seen: case.rises,
            round: None,
            started_by: Some(by.to_owned()),
            decided_by,
            own_plan: Some(Box::new(way.plan)),
        })));
        for (cell, how) in way.not_reversible {
            let named = CellKey {
                step: StepIs::not_reversible(&cell.key.step),
                item: cell.key.item.clone(),
            };
            tx.push(Entry::StepSkipped(Box::new(StepSkipped {
                run,
                incident,
                cell: named,
                capability: None,
                account: cell.account,
                conclusion: Conclusion::Skipped,
                not_applicable: false,
                reason: format!("{}: {how}", cell.capability.map(|c| c.0).unwrap_or_default()),
            })));
        }
        self.settle(tx, run);
        Ok(run)
    }

    /// Lets a parked step of a run try again. A person's decision.
    pub(crate) async fn resume(&self, run: RunId, by: impl Into<By>) -> Result<usize, Refusal> {
        let by = by.into();
        let (result, written) = self.transact(|tx| {
            let live = tx
                .core
                .state
                .runs
                .get(&run)
                .filter(|r| !r.status.ended())
                .ok_or(Refusal::Missing("live run"))?;
            let incident = live.incident;
            let parked: Vec<Cell> = live
                .cells()
                .filter(|c| matches!(c.state, CellState::Parked { .. }))
                .cloned()
                .collect();
            let by = signed(tx, by);
            for known in &parked {
                let (cell, until) = (known.key.clone(), Some(tx.at));
                tx.push(Entry::StepParked {
                    run,
                    incident,
                    cell,
                    until,
                    problem: format!("resumed by {by}"),
                });
                if let Some(next) = self.to_be_looked_for(known, tx.at) {
                    tx.push(Entry::StepVerified(Box::new(StepVerified {
                        run,
                        incident,
                        cell: known.key.clone(),
                        strength: None,
                        output: serde_json::Value::Null,
                        problem: known.problem.clone(),
                        next,
                    })));
                }
            }
            self.settle(tx, run);
            Ok(parked.len())
        });
        written.await?;
        result
    }

    /// A step that may have been done, and can be looked for, is looked for before it is done again.
    fn to_be_looked_for(&self, cell: &Cell, at: Time) -> Option<CellState> {
        let (sent, catalogue) = (&cell.applied.as_ref()?.call, &self.ports().catalogue);
        let action = catalogue.resolve(sent.action.as_str(), &sent.connection, None).ok()?;
        let can = action.repeat != Repeat::Once
            && action.effect != Effect::Read
            && matches!(action.proof, Proof::ReadBack(_));
        match cell.outcome.filter(|_| can)? {
            Outcome::Unknown => Some(CellState::InDoubt { at, reads: 0 }),
            Outcome::Done | Outcome::Unchanged => Some(CellState::Applied { at, reads: 0 }),
            Outcome::NotSent | Outcome::Refused | Outcome::Throttled => None,
        }
    }

    /// Stops all effects at once, or lets them go on.
    pub(crate) async fn pause(
        &self,
        paused: bool,
        by: impl Into<By>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let by = by.into();
        self.commit(|tx| {
            let (by, reason) = (signed(tx, by), reason.to_owned());
            tx.push(Entry::PauseChanged { paused, by, reason });
            if !paused {
                let live: Vec<RunId> = tx.core.state.live.iter().copied().collect();
                for run in live {
                    self.settle(tx, run);
                }
            }
        })
        .await
    }

    pub(crate) async fn note(
        &self,
        incident: IncidentId,
        by: &str,
        note: &str,
    ) -> Result<(), Refusal> {
        let note = note.to_owned();
        let entry = |by| Entry::IncidentNote { incident, by, note };
        self.on_incident(incident, by.into(), entry).await
    }

    /// Closes a case. After a hostile approval only a person may, which the caller has made sure of.
    pub(crate) async fn close(
        &self,
        incident: IncidentId,
        by: impl Into<By>,
        note: &str,
    ) -> Result<(), Refusal> {
        let note = note.to_owned();
        let entry = |by| Entry::IncidentClosed { incident, by, note };
        self.on_incident(incident, by.into(), entry).await
    }

    /// Adds an entry to an incident that exists.
    async fn on_incident(
        &self,
        incident: IncidentId,
        by: By,
        entry: impl FnOnce(String) -> Entry,
    ) -> Result<(), Refusal> {
        self.fetch_about(About::Incident(incident)).await?;
        let (result, written) = self.transact(|tx| {
            if !tx.core.state.incidents.contains_key(&incident) {
                return Err(Refusal::Missing("incident"));
            }
            let by = signed(tx, by);
            tx.push(entry(by));
            Ok(())
        });
        written.await?;
        result
    }

    /// Makes a checked plan the one that runs from here on; true if it was not already.
    pub(crate) async fn publish(
        &self,
        plan: Plan,
        digest: PlanDigest,
        source: String,
        by: impl Into<By>,
        diff: String,
    ) -> Result<bool, StoreError> {
        let by = by.into();
        self.commit(|tx| {
            if tx.core.state.published.get(&plan.name) == Some(&digest) {
                return false;
            }
            let name = plan.name.clone();
            let by = signed(tx, by);
            tx.push(Entry::PlanPublished(Box::new(PlanPublished {
                name,
                digest,
                plan,
                source,
                by,
                diff,
                signed: None,
            })));
            true
        })
        .await
    }

    /// A single-use ticket to enrol a passkey; only its hash is kept.
    pub(crate) async fn issue_enrolment(
        &self,
        hash: String,
        name: &str,
        roles: Vec<String>,
        by: impl Into<By>,
    ) -> Result<(), StoreError> {
        let by = by.into();
        self.commit(|tx| {
            signed(tx, by);
            let expires_at = tx.at + TimeDelta::hours(24);
            tx.push(Entry::EnrolmentIssued { hash, name: name.to_owned(), roles, expires_at });
        })
        .await
    }

    /// Uses a ticket up.
    pub(crate) async fn enrol(&self, mut person: PersonEnrolled) -> Result<(), Refusal> {
        let (result, written) = self.transact(|tx| {
            let ticket =
                tx.core.state.enrolments.get(&person.ticket).ok_or(Refusal::Already("used"))?;
            if ticket.expires_at <= tx.at {
                return Err(Refusal::Already("expired"));
            }
            person.enrolled_at = Some(tx.at);
            tx.push(Entry::PersonEnrolled(Box::new(person)));
            Ok(())
        });
        written.await?;
        result
    }

    pub(crate) async fn change_token(&self, token: TokenChanged) -> Result<(), StoreError> {
        self.commit(|tx| tx.push(Entry::TokenChanged(Box::new(token)))).await
    }
}

/// Journals the signature of what follows, if there is one; whose it is.
pub(super) fn signed(tx: &mut Tx<'_>, by: By) -> String {
    if let Some(deed) = by.signed {
        tx.push(Entry::DeedSigned(deed));
    }
    by.name
}
