//! What each entry does to subjects, incidents, plans, people and limits.

use std::sync::Arc;

use super::{
    Delivered, DeliveryKey, Enrolment, Hold, Holds, Left, Pause, Published, RowKey, State,
};
use crate::model::entry::{Commit, Entry, IncidentOpened, IncidentRisen, PlanPublished, Rise};
use crate::model::event::{Event, EventOutcome};
use crate::model::id::{EventId, IncidentId, SubjectId};
use crate::model::incident::{
    Campaign, Containment, ContainmentState, EvidenceCounts, Incident, IncidentStatus, Severity,
};
use crate::model::subject::{Account, Alias, Subject};
use crate::model::time::Time;

/// How many joined events' ids an incident remembers against repetition.
const EVENT_IDS_MAX: usize = 500;
/// How many of each kind of hostile mark (addresses, sessions …) an incident remembers.
const HOSTILE_MAX: usize = 64;

impl State {
    /// Applies one journal line.
    pub(crate) fn apply(&mut self, commit: &Commit) {
        for entry in &commit.entries {
            self.apply_entry(commit.at, entry);
        }
        self.seq = commit.seq;
    }

    /// Applies one entry of a commit that is being put together.
    pub(crate) fn apply_entry(&mut self, at: Time, entry: &Entry) {
        match entry {
            Entry::DeploymentCreated(e) => {
                self.deployment = Some(e.clone());
                self.touch(RowKey::Deployment);
            }
            Entry::DeploymentRestored(e) => self.restored(&e.key),
            Entry::DeliveryAccepted(e) => self.delivered(at, e),
            Entry::EventJoined { incident, event, .. } => self.event_joined(*incident, event),
            Entry::AlertRaised { .. }
            | Entry::ReportReceived { .. }
            | Entry::IncidentByHand { .. } => self.told(entry),
            Entry::SubjectCreated { subject } => self.subject_created(subject),
            Entry::SubjectResolved { subject, name, accounts, aliases } => {
                self.subject_resolved(at, *subject, name, accounts, aliases);
            }
            Entry::SubjectMerged { from, into } => self.subject_merged(at, *from, *into),
            Entry::IncidentOpened(e) => self.incident_opened(at, e),
            Entry::IncidentJoined(e) => self.incident_risen(at, e, false),
            Entry::IncidentStaged(e) => self.incident_risen(at, e, true),
            Entry::IncidentContained { incident, watch_until } => {
                self.with_incident(*incident, |i| i.contained(at, *watch_until));
            }
            Entry::IncidentClosed { incident, .. } => {
                self.with_incident(*incident, |i| i.status = IncidentStatus::Closed);
            }
            Entry::PersonAsked(e) => self.person_asked(at, e),
            Entry::PersonAnswered(e) => self.person_answered(e),
            Entry::PlanPublished(e) => self.plan_published(at, e),
            Entry::PauseChanged { .. }
            | Entry::PersonEnrolled(_)
            | Entry::EnrolmentIssued { .. }
            | Entry::TokenChanged(_)
            | Entry::DelegationGiven(_)
            | Entry::DelegationEnded(_) => self.apply_access(at, entry),
            Entry::PollAdvanced(_) | Entry::ConnectionTested(_) => self.apply_upkeep(entry),
            Entry::HoldPlaced { .. } | Entry::HoldReleased { .. } | Entry::HoldVerified { .. } => {
                self.apply_hold(at, entry);
            }
            Entry::NoticeSent(told) => self.told_to(at, told, false),
            Entry::NoticeFailed(told) => self.told_to(at, told, true),
            Entry::NoticesFollowed { through } => self.followed(*through),
            Entry::Snapshot { rows } => self.say_again(rows),
            Entry::IncidentsDropped { incidents, subjects } => self.drop_all(incidents, subjects),
            Entry::DeedSigned(_) | Entry::GuardrailsChanged(_) | Entry::CeilingRaised(_) => {
                self.apply_guardrails(at, entry);
            }
            Entry::IncidentNote { .. }
            | Entry::AttemptRefused(_)
            | Entry::DeliveryJudged(_)
            | Entry::SettingsReread(_)
            | Entry::GuardrailRefused { .. }
            | Entry::JournalPruned { .. }
            | Entry::Checkpoint { .. } => {}
            _ => self.apply_run_entry(at, entry),
        }
    }

    /// From here on it is a copy, which signs with a key of its own.
    fn restored(&mut self, key: &str) {
        if let Some(deployment) = &mut self.deployment {
            key.clone_into(&mut deployment.key);
        }
        self.touch(RowKey::Deployment);
        self.tell_anew();
    }

    fn drop_all(&mut self, incidents: &[IncidentId], subjects: &[SubjectId]) {
        for id in incidents {
            self.drop_incident(*id);
        }
        for id in subjects {
            self.drop_subject(*id);
        }
    }

    /// The kill switch, people, tokens, and who stands in for whom.
    fn apply_access(&mut self, at: Time, entry: &Entry) {
        match entry {
            Entry::PauseChanged { paused, by, reason } => {
                self.paused = paused.then(|| Pause { by: by.clone(), reason: reason.clone(), at });
                self.touch(RowKey::Pause);
                self.apply_guardrails(at, entry);
            }
            Entry::PersonEnrolled(e) => {
                self.enrolments.remove(&e.ticket);
                self.touch(RowKey::Enrolment(e.ticket.clone()));
                self.people.insert(e.person, (**e).clone());
                self.touch(RowKey::Person(e.person));
            }
            Entry::EnrolmentIssued { hash, name, roles, expires_at } => {
                let enrolment =
                    Enrolment { name: name.clone(), roles: roles.clone(), expires_at: *expires_at };
                self.enrolments.insert(hash.clone(), enrolment);
                self.touch(RowKey::Enrolment(hash.clone()));
            }
            Entry::TokenChanged(e) => {
                self.tokens.insert(e.token, (**e).clone());
                self.touch(RowKey::Token(e.token));
            }
            Entry::DelegationGiven(given) => self.delegation_given(at, given),
            Entry::DelegationEnded(ended) => self.delegation_ended(ended),
            _ => {}
        }
    }

    pub(super) fn with_incident(&mut self, id: IncidentId, change: impl FnOnce(&mut Incident)) {
        if let Some(incident) = self.incidents.get_mut(&id) {
            change(incident);
            self.touch(RowKey::Incident(id));
        }
    }

    fn delivered(&mut self, at: Time, e: &crate::model::entry::DeliveryAccepted) {
        let key = DeliveryKey::new(e.source.as_str(), &e.delivery);
        let delivered = Delivered { at, receipt: e.receipt, answer: e.answer.clone() };
        self.touch(RowKey::Delivery(key));
        for old in self.deliveries.insert(key, delivered) {
            self.touch(RowKey::Delivery(old));
        }
    }

    /// Somebody told of the incident; the newest is what expressions see.
    fn told(&mut self, entry: &Entry) {
        match entry {
            Entry::AlertRaised { incident, alert, .. } => self.with_incident(*incident, |i| {
                i.counts.alerts += 1;
                i.alert = Some(alert.clone());
            }),
            Entry::ReportReceived { incident, report, .. } => self.with_incident(*incident, |i| {
                i.counts.reports += 1;
                i.report = Some(report.clone());
                remember(i, EventId::new(report.id.to_string()));
            }),
            Entry::IncidentByHand { incident, by } => self.with_incident(*incident, |i| {
                if !i.by_hand.contains(by) {
                    i.by_hand.push(by.clone());
                }
            }),
            _ => {}
        }
    }

    fn event_joined(&mut self, incident: IncidentId, event: &Event) {
        self.with_incident(incident, |i| {
            if i.event_ids.contains(&event.id) {
                return;
            }
            remember(i, event.id.clone());
            count(&mut i.counts, event.outcome);
        });
    }

    fn subject_created(&mut self, subject: &Subject) {
        for alias in &subject.aliases {
            self.name(alias, subject.id);
        }
        self.subjects.insert(subject.id, subject.clone());
        self.touch(RowKey::Subject(subject.id));
    }

    fn name(&mut self, alias: &Alias, subject: SubjectId) {
        if self.aliases.insert(alias.clone(), subject) != Some(subject) {
            self.touch(RowKey::Alias(alias.clone()));
        }
    }

    fn subject_resolved(
        &mut self,
        at: Time,
        id: SubjectId,
        name: &str,
        accounts: &[Account],
        aliases: &[Alias],
    ) {
        for alias in aliases {
            self.name(alias, id);
        }
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if !name.is_empty() {
            name.clone_into(&mut subject.name);
        }
        let known = !subject.accounts.is_empty();
        let gained = accounts.iter().any(|account| subject.account(&account.key()).is_none());
        subject.accounts = accounts.to_vec();
        subject.resolved_at = Some(at);
        subject.silent.clear();
        for alias in aliases {
            if !subject.aliases.contains(alias) {
                subject.aliases.push(alias.clone());
            }
        }
        let privileged = subject.privileged();
        self.touch(RowKey::Subject(id));
        if let Some(incident) = self.newest.get(&id).copied() {
            let gained = gained && (known || self.runs_of(incident).any(|r| r.status.ended()));
            self.with_incident(incident, |i| {
                if !i.asked.iter().any(|asked| asked.lowers) {
                    i.severity = i.severity.max(Severity::of(i.stage, privileged));
                }
                // What was answered for fewer accounts is due for the others.
                i.rises += u32::from(gained);
            });
        }
    }

    fn subject_merged(&mut self, at: Time, from: SubjectId, into: SubjectId) {
        let (mut aliases, mut accounts, mut connections) = (Vec::new(), Vec::new(), Vec::new());
        // Unknown only to a fold that began behind the line which made them.
        if let Some(gone) = self.subjects.get_mut(&from) {
            gone.merged_into = Some(into);
            (aliases, accounts, connections) =
                (gone.aliases.clone(), gone.accounts.clone(), gone.connections.clone());
            self.touch(RowKey::Subject(from));
        }
        for alias in &aliases {
            self.name(alias, into);
        }
        if let Some(kept) = self.subjects.get_mut(&into) {
            for alias in aliases {
                if !kept.aliases.contains(&alias) {
                    kept.aliases.push(alias);
                }
            }
            for account in accounts {
                if kept.account(&account.key()).is_none() {
                    kept.accounts.push(account);
                }
            }
            for connection in connections {
                if !kept.connections.contains(&connection) {
                    kept.connections.push(connection);
                }
            }
            self.touch(RowKey::Subject(into));
        }
        for case in self.cases.remove(&from).unwrap_or_default() {
            self.with_incident(case, |i| i.subject = into);
            self.is_case_of(into, case);
            self.touch(RowKey::Cases(from));
        }
        if let Some(incident) = self.newest.remove(&from) {
            let other = self.newest.get(&into).copied().unwrap_or(incident);
            let open = |id: IncidentId| {
                self.incidents
                    .get(&id)
                    .is_some_and(|i| i.status != IncidentStatus::Closed && at <= i.watch_until)
            };
            // Of two open ones the older goes on; otherwise evidence joins whichever still can.
            let goes_on = match (open(other), open(incident)) {
                (true, true) => other.min(incident),
                (true, false) => other,
                (false, true) => incident,
                (false, false) => other.max(incident),
            };
            self.newest.insert(into, goes_on);
        }
    }

    fn incident_opened(&mut self, at: Time, e: &IncidentOpened) {
        let rise = &e.evidence;
        let incident = Incident {
            id: e.incident,
            subject: e.subject,
            status: IncidentStatus::Open,
            stage: rise.stage,
            severity: Severity::of(rise.stage, rise.privileged),
            approval: rise.approval,
            password_exposed: rise.password_exposed,
            may_cause: rise.may_cause,
            stale: rise.stale,
            reason: rise.reason.clone(),
            hostile_factors: rise.hostile_factors.clone(),
            hostile: rise.hostile.clone(),
            counts: EvidenceCounts::default(),
            opened_at: at,
            first_event_at: rise.first_event_at,
            last_evidence_at: rise.last_evidence_at,
            hostile_entry_at: rise.hostile_entry_at,
            watch_until: rise.watch_until,
            contained_at: None,
            first_contained_at: None,
            entry_contained_at: None,
            reopened_at: None,
            containment: Vec::new(),
            runs: Vec::new(),
            triggers: rise.trigger.into_iter().collect(),
            rises: 0,
            campaign: rise.campaign.clone(),
            alert: None,
            report: None,
            by_hand: Vec::new(),
            event_ids: Vec::new(),
            asked: Vec::new(),
        };
        self.newest.insert(e.subject, e.incident);
        self.is_case_of(e.subject, e.incident);
        self.incidents.insert(e.incident, Box::new(incident));
        self.touch(RowKey::Incident(e.incident));
    }

    fn is_case_of(&mut self, subject: SubjectId, incident: IncidentId) {
        let cases = self.cases.entry(subject).or_default();
        if let Err(at) = cases.binary_search(&incident) {
            cases.insert(at, incident);
        }
        self.touch(RowKey::Cases(subject));
    }

    fn incident_risen(&mut self, at: Time, e: &IncidentRisen, staged: bool) {
        let rise = &e.evidence;
        self.with_incident(e.incident, |i| {
            i.stage = i.stage.max(rise.stage);
            i.severity = i.severity.max(Severity::of(i.stage, rise.privileged));
            // What the person vouched for was said of what was known then.
            i.asked.iter_mut().for_each(|asked| asked.lowers = false);
            i.approval = i.approval.max(rise.approval);
            i.password_exposed |= rise.password_exposed;
            i.may_cause = i.may_cause.max(rise.may_cause);
            i.stale &= rise.stale;
            i.reason.clone_from(&rise.reason);
            for factor in &rise.hostile_factors {
                if !i
                    .hostile_factors
                    .iter()
                    .any(|f| f.id == factor.id && f.account == factor.account)
                {
                    i.hostile_factors.push(factor.clone());
                }
            }
            i.hostile.merge(&rise.hostile, HOSTILE_MAX);
            i.first_event_at = i.first_event_at.min(rise.first_event_at);
            i.last_evidence_at = i.last_evidence_at.max(rise.last_evidence_at);
            if rise.hostile_entry_at > i.hostile_entry_at {
                i.hostile_entry_at = rise.hostile_entry_at;
                i.entry_contained_at = None;
            }
            i.watch_until = i.watch_until.max(rise.watch_until);
            if let Some(trigger) = rise.trigger.filter(|t| !i.triggers.contains(t)) {
                i.triggers.push(trigger);
            }
            let news = |new: &&Campaign| new.says_more_than(i.campaign.as_ref());
            if let Some(campaign) = rise.campaign.as_ref().filter(news) {
                i.campaign = Some(campaign.clone());
            }
            if staged {
                i.rises += 1;
                if i.status == IncidentStatus::Contained {
                    i.status = IncidentStatus::Open;
                    i.contained_at = None;
                    i.reopened_at = Some(at);
                }
            }
        });
    }

    fn plan_published(&mut self, at: Time, e: &PlanPublished) {
        let published = Published {
            plan: Arc::new(e.plan.clone()),
            source: e.source.clone(),
            by: e.by.clone(),
            at,
        };
        self.plans.insert(e.digest.clone(), published);
        self.published.insert(e.name.clone(), e.digest.clone());
        self.touch(RowKey::Plan(e.digest.clone()));
        self.touch(RowKey::Published(e.name.clone()));
    }

    fn apply_hold(&mut self, at: Time, entry: &Entry) {
        match entry {
            Entry::HoldPlaced { incident, run, account, capability, action, ours, expires_at } => {
                let key = (account.clone(), capability.clone());
                let holds = self.holds.entry(key).or_insert_with(|| Holds {
                    account: account.clone(),
                    capability: capability.clone(),
                    ours: *ours,
                    by: std::collections::BTreeMap::new(),
                });
                let hold = Hold {
                    run: *run,
                    action: action.clone(),
                    placed_at: at,
                    expires_at: *expires_at,
                    left: holds.by.get(incident).and_then(|known| known.left.clone()),
                };
                holds.by.insert(*incident, hold);
                self.touch(RowKey::Hold(account.clone(), capability.clone()));
            }
            Entry::HoldVerified { incident, account, capability, status } => {
                let key = (account.clone(), capability.clone());
                let hold = self.holds.get_mut(&key).and_then(|holds| holds.by.get_mut(incident));
                if let Some(hold) = hold {
                    hold.left = Some(Left { status: status.clone(), at });
                    self.touch(RowKey::Hold(account.clone(), capability.clone()));
                }
            }
            Entry::HoldReleased { incident, account, capability, opened, reason } => {
                let key = (account.clone(), capability.clone());
                if let Some(holds) = self.holds.get_mut(&key) {
                    holds.by.remove(incident);
                    if holds.by.is_empty() {
                        self.holds.remove(&key);
                    }
                }
                self.touch(RowKey::Hold(account.clone(), capability.clone()));
                let (name, opened, reason) = (account.to_string(), *opened, reason.clone());
                self.with_incident(*incident, |i| {
                    for line in &mut i.containment {
                        if line.account == name && line.capability == *capability {
                            line.state = ContainmentState::Undone;
                            line.residual = (!opened).then(|| reason.clone());
                            line.at = at;
                        }
                    }
                });
            }
            _ => {}
        }
    }

    pub(super) fn set_containment(&mut self, incident: IncidentId, line: Containment) {
        self.with_incident(incident, |i| {
            let same = |l: &&mut Containment| {
                l.account == line.account && l.capability == line.capability && l.item == line.item
            };
            match i.containment.iter_mut().find(same) {
                Some(old) => *old = line,
                None => i.containment.push(line),
            }
        });
    }
}

/// What is told again later counts once.
fn remember(incident: &mut Incident, id: EventId) {
    incident.event_ids.push(id);
    if incident.event_ids.len() > EVENT_IDS_MAX {
        incident.event_ids.remove(0);
    }
}

fn count(counts: &mut EvidenceCounts, outcome: EventOutcome) {
    counts.events += 1;
    match outcome {
        EventOutcome::Denied | EventOutcome::Reported => counts.denied += 1,
        EventOutcome::TimedOut => counts.timed_out += 1,
        EventOutcome::WrongAnswer => counts.wrong_answer += 1,
        EventOutcome::Approved => counts.approved += 1,
        EventOutcome::Prompted | EventOutcome::Succeeded | EventOutcome::Failed => {}
    }
}

/// What the incident would say after `rise`: used to tell a rise from a repetition.
pub(crate) fn is_stronger(incident: &Incident, rise: &Rise) -> bool {
    rise.stage > incident.stage
        || rise.approval > incident.approval
        || (rise.password_exposed && !incident.password_exposed)
        || rise.hostile_entry_at > incident.hostile_entry_at
        || rise.may_cause > incident.may_cause
        || (incident.stale && !rise.stale)
        || rise.trigger.is_some_and(|t| !incident.triggers.contains(&t))
        || rise.hostile_factors.iter().any(|f| {
            !incident.hostile_factors.iter().any(|g| g.id == f.id && g.account == f.account)
        })
}
