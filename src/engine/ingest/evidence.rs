//! What an event, an alert or a report says about its person's incident.

use std::collections::BTreeSet;

use super::Incoming;
use super::open::{Weight, raise, subject_of};
use crate::detect::{AFTERMATH, About, Open, Signal, Told, belongs};
use crate::engine::driver::{Engine, Tx};
use crate::engine::policy::SourceView;
use crate::engine::ports::StoreError;
use crate::model::alert::{Alert, Proof, Report};
use crate::model::asked::Channel;
use crate::model::entry::Entry;
use crate::model::event::{AccountName, Event};
use crate::model::id::{AlertId, ConnectionId, EventId, IncidentId, ReportId, SubjectId};
use crate::model::incident::{ApprovalSeen, HostileContext, HostileFactor, Incident, Stage};
use crate::model::plan::Trigger;
use crate::model::subject::AccountKey;
use crate::model::time::Time;

impl Engine {
    pub(super) fn take_event(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        event: &Event,
        touched: &mut BTreeSet<IncidentId>,
    ) {
        let (key, subject) = known_subject(tx, incoming, &event.account);
        let who = subject.and_then(|id| tx.core.state.subject(id));
        let privileged = who.is_some_and(crate::model::subject::Subject::privileged);
        let open = subject.and_then(|id| tx.core.state.open_incident(id, tx.at)).cloned();
        let view = open.as_ref().map(Open::from);
        let (source, may_cause) = (&incoming.source.id, incoming.source.may_cause);
        let told = Some(Told { source, may_cause });
        let about = About { privileged, open: view.as_ref(), now: tx.at, who, told };
        let signals = tx.core.detector.observe(&key, event, &about);
        for signal in signals {
            let incident = self.take_signal(tx, incoming, event, &signal);
            touched.insert(incident);
        }
        // What happens to a person whose incident is open belongs to its story, even without a signal.
        if let Some(open) = open
            && belongs(event, open.first_event_at)
        {
            join_events(tx, incoming, open.id, std::slice::from_ref(event));
        }
        self.bear_out(tx, incoming, event, touched);
    }

    /// Somebody's word opened an incident, or raised it: what was told before it may mean more now.
    fn look_back(&self, tx: &mut Tx<'_>, incoming: &Incoming, account: &AccountName) {
        let (key, subject) = known_subject(tx, incoming, account);
        let open = subject.and_then(|id| tx.core.state.open_incident(id, tx.at)).cloned();
        let view = open.as_ref().map(Open::from);
        let who = subject.and_then(|id| tx.core.state.subject(id));
        let privileged = who.is_some_and(crate::model::subject::Subject::privileged);
        let told = Told { source: &incoming.source.id, may_cause: incoming.source.may_cause };
        let about = About { privileged, open: view.as_ref(), now: tx.at, who, told: Some(told) };
        for signal in tx.core.detector.look_again(&key, &about) {
            if let Some(event) = signal.events.last() {
                self.take_signal(tx, incoming, event, &signal);
            }
        }
    }

    /// A failed prompt beside a report says the same whichever of the two came first.
    fn bear_out(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        event: &Event,
        touched: &mut BTreeSet<IncidentId>,
    ) {
        let (_, subject) = known_subject(tx, incoming, &event.account);
        let open = subject.and_then(|id| Some((id, tx.core.state.open_incident(id, tx.at)?)));
        let Some((subject, case)) = open.filter(|_| event.is_failed_prompt()) else { return };
        let near = |report: &Report| (report.time - event.time).abs() <= AFTERMATH.delta();
        let report = case.report.as_deref().filter(|report| near(report));
        let more = case.stage < Stage::Confirmed || !case.password_exposed;
        if let Some(report) = report.filter(|_| more).cloned() {
            let weight = reported(self, tx, incoming, &report, Stage::Confirmed, true);
            touched.insert(raise(self, tx, incoming, subject, weight));
        }
    }

    /// Weighs an event of the evidence log's tail: its process may have died before the journal
    /// had what it leads to. What did get there is not told twice.
    pub(crate) async fn weigh_again(
        &self,
        source: SourceView,
        event: Event,
    ) -> Result<(), StoreError> {
        let incoming = Incoming::bare(source);
        self.fetch_named(&super::open::aliases(&incoming, &event.account)).await?;
        let weighed = self.commit(|tx| {
            let (key, subject) = known_subject(tx, &incoming, &event.account);
            let joined = subject
                .and_then(|id| tx.core.state.newest.get(&id))
                .and_then(|id| tx.core.state.incidents.get(id))
                .is_some_and(|i| i.event_ids.contains(&event.id));
            if joined {
                let told =
                    Told { source: &incoming.source.id, may_cause: incoming.source.may_cause };
                let about = About { now: tx.at, told: Some(told), ..About::default() };
                drop(tx.core.detector.observe(&key, &event, &about));
                return tx.core.detector.stirred();
            }
            let mut touched = BTreeSet::new();
            self.take_event(tx, &incoming, &event, &mut touched);
            for incident in touched {
                super::follow_up(self, tx, incident);
            }
            tx.core.detector.stirred()
        });
        self.look_again(weighed.await?, false).await
    }

    pub(super) fn take_signal(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        event: &Event,
        signal: &Signal,
    ) -> IncidentId {
        let subject = subject_of(self, tx, incoming, &event.account);
        let open = tx.core.state.open_incident(subject, tx.at).cloned();
        let reported = open.as_ref().is_some_and(|i| i.counts.reports > 0);
        let denials = signal.events.iter().any(Event::is_failed_prompt);
        let stage = stage_of(signal, open.as_ref(), reported && denials);
        let weight = Weight {
            stage,
            approval: signal.approval,
            password_exposed: signal.password_exposed,
            stale: incoming.replayed || signal.stale || is_old(self, tx, signal.last),
            reason: signal.reason.clone(),
            hostile_factors: hostile_factors(tx, incoming, subject, event, signal),
            hostile: signal.hostile.clone(),
            hostile_entry_at: signal.hostile_entry_at,
            first_event_at: signal.first,
            last_evidence_at: signal.last,
            trigger: Some(Trigger::Alert(signal.kind)),
            campaign: signal.campaign.clone(),
        };
        let incident = raise(self, tx, incoming, subject, weight);
        join_events(tx, incoming, incident, &signal.events);
        join_story(tx, incoming, incident, &event.account);
        let alert = Alert {
            id: AlertId::mint(tx.at, self.ports().entropy.id()),
            kind: signal.kind,
            account: event.account.clone(),
            time: signal.last,
            stage: signal.stage,
            reason: signal.reason.clone(),
            rule: signal.rule.clone(),
            events: signal.event_ids(),
            password_exposed: signal.password_exposed,
            link: None,
        };
        tx.push(Entry::AlertRaised {
            incident,
            alert: Box::new(alert),
            source: incoming.source.id.clone(),
        });
        incident
    }

    pub(super) fn take_alert(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        alert: &Alert,
        touched: &mut BTreeSet<IncidentId>,
    ) {
        let subject = subject_of(self, tx, incoming, &alert.account);
        let reported =
            tx.core.state.open_incident(subject, tx.at).is_some_and(|i| i.counts.reports > 0);
        let stage = if reported { alert.stage.max(Stage::Confirmed) } else { alert.stage };
        let weight = Weight {
            // A posted alert never says more than `confirmed`: a breach is seen within an open incident only.
            stage: stage.min(Stage::Confirmed),
            approval: ApprovalSeen::None,
            password_exposed: alert.password_exposed,
            stale: incoming.replayed || is_old(self, tx, alert.time),
            reason: alert.reason.clone(),
            hostile_factors: Vec::new(),
            hostile: HostileContext::default(),
            hostile_entry_at: None,
            first_event_at: alert.time,
            last_evidence_at: alert.time,
            trigger: Some(Trigger::Alert(alert.kind)),
            campaign: None,
        };
        let incident = raise(self, tx, incoming, subject, weight);
        join_story(tx, incoming, incident, &alert.account);
        tx.push(Entry::AlertRaised {
            incident,
            alert: Box::new(alert.clone()),
            source: incoming.source.id.clone(),
        });
        self.look_back(tx, incoming, &alert.account);
        touched.insert(incident);
    }

    pub(super) fn take_report(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        report: &Report,
        touched: &mut BTreeSet<IncidentId>,
    ) {
        let (key, _) = known_subject(tx, incoming, &report.account);
        let subject = subject_of(self, tx, incoming, &report.account);
        let open = tx.core.state.open_incident(subject, tx.at).cloned();
        let told = EventId::new(report.id.to_string());
        if let Some(case) = open.as_ref().filter(|case| case.event_ids.contains(&told)) {
            // Another delivery of the same report.
            touched.insert(case.id);
            return;
        }
        let view = open.as_ref().map(Open::from);
        let about = About { open: view.as_ref(), now: tx.at, ..About::default() };
        let signals = tx.core.detector.observe_report(&key, report, &about);
        let of_case = |holds: fn(&Incident) -> bool| open.as_ref().is_some_and(holds);
        let denied = signals.iter().any(|s| s.events.iter().any(Event::is_failed_prompt))
            || of_case(|i| i.counts.denied + i.counts.timed_out + i.counts.wrong_answer > 0)
            || tx.core.detector.story(&key, report.time).iter().any(|event| {
                event.is_failed_prompt() && event.time <= report.time + AFTERMATH.delta()
            });
        // Two who know nothing of each other, in whichever order they speak.
        let borne_out = denied || of_case(|i| i.counts.alerts > 0);
        let stage = match (report.proof, borne_out) {
            (_, true) => Stage::Confirmed,
            (Proof::SelfProved, false) => Stage::Suspected,
            // Kept and answered; it does not count alone.
            (Proof::AuthenticatedOther | Proof::Relayed, false) => Stage::Noted,
        };
        let weight = reported(self, tx, incoming, report, stage, denied);
        let incident = raise(self, tx, incoming, subject, weight);
        join_story(tx, incoming, incident, &report.account);
        let source = incoming.source.id.clone();
        tx.push(Entry::ReportReceived { incident, report: Box::new(report.clone()), source });
        // What the word makes of the prompts beside it; had it come first, they would have said so.
        for signal in signals {
            if let Some(event) = signal.events.last() {
                self.take_signal(tx, incoming, event, &signal);
            }
        }
        self.look_back(tx, incoming, &report.account);
        touched.insert(incident);
    }
}

impl Engine {
    /// The person concerned says that the prompts were not theirs.
    pub(in crate::engine) fn disowned(&self, tx: &mut Tx<'_>, case: &Incident, channel: Channel) {
        let Some(subject) = tx.core.state.subject(case.subject).cloned() else { return };
        let counts = &case.counts;
        let failed = counts.denied + counts.timed_out + counts.wrong_answer > 0;
        let incoming = super::doors::asked();
        let proved = channel.proof() == Proof::AuthenticatedOther;
        let weight = Weight {
            campaign: None,
            stage: if failed || proved { Stage::Confirmed } else { Stage::Suspected },
            approval: ApprovalSeen::None,
            password_exposed: failed,
            stale: false,
            reason: "the person, asked by another way, says that the prompts were not theirs"
                .to_owned(),
            hostile_factors: Vec::new(),
            hostile: HostileContext::default(),
            hostile_entry_at: None,
            first_event_at: case.first_event_at,
            last_evidence_at: tx.at,
            trigger: Some(Trigger::Report),
        };
        let incident = raise(self, tx, &incoming, subject.id, weight);
        let login = subject.aliases.iter().find_map(|alias| alias.0.strip_prefix("login:"));
        let report = Report {
            id: ReportId::mint(tx.at, self.ports().entropy.id()),
            account: AccountName {
                login: Some(login.unwrap_or(&subject.name).to_owned()),
                provider_id: None,
            },
            time: tx.at,
            proof: channel.proof(),
            text: String::new(),
            taken_by: None,
        };
        let source = incoming.source.id;
        tx.push(Entry::ReportReceived { incident, report: Box::new(report), source });
        super::follow_up(self, tx, incident);
    }
}

/// What a report says, with failed prompts beside it or without.
fn reported(
    engine: &Engine,
    tx: &Tx<'_>,
    incoming: &Incoming,
    report: &Report,
    stage: Stage,
    denied: bool,
) -> Weight {
    Weight {
        stage,
        approval: ApprovalSeen::None,
        password_exposed: denied,
        stale: incoming.replayed || is_old(engine, tx, report.time),
        reason: "the person reports a prompt that they did not ask for".to_owned(),
        hostile_factors: Vec::new(),
        hostile: HostileContext::default(),
        hostile_entry_at: None,
        first_event_at: report.time,
        last_evidence_at: report.time,
        trigger: Some(Trigger::Report),
        campaign: None,
    }
}

fn is_old(engine: &Engine, tx: &Tx<'_>, time: Time) -> bool {
    time < tx.at - engine.policy().evidence_age.delta()
}

/// The key that detection windows go by, and the subject if it is known already.
pub(super) fn known_subject(
    tx: &Tx<'_>,
    incoming: &Incoming,
    account: &AccountName,
) -> (String, Option<SubjectId>) {
    let aliases = super::open::aliases(incoming, account);
    let known = aliases.iter().find_map(|a| tx.core.state.subject_by_alias(a)).map(|s| s.id);
    // By alias rather than by subject id, so that windows outlive the subject's first naming and a merge.
    let key = aliases.first().map(ToString::to_string).unwrap_or_default();
    (key, known)
}

fn join_events(tx: &mut Tx<'_>, incoming: &Incoming, incident: IncidentId, events: &[Event]) {
    for event in events {
        let known =
            tx.core.state.incidents.get(&incident).is_some_and(|i| i.event_ids.contains(&event.id));
        if !known {
            let source = incoming.source.id.clone();
            tx.push(Entry::EventJoined { incident, event: Box::new(event.clone()), source });
        }
    }
}

/// What was told before and raised nothing by itself: too few prompts, or some that a detection does not count.
fn join_story(tx: &mut Tx<'_>, incoming: &Incoming, incident: IncidentId, account: &AccountName) {
    let (key, _) = known_subject(tx, incoming, account);
    let Some(first) = tx.core.state.incidents.get(&incident).map(|i| i.first_event_at) else {
        return;
    };
    let story = tx.core.detector.story(&key, first);
    join_events(tx, incoming, incident, &story);
}

/// A breach is only ever seen within an open incident; a hostile approval opens one as confirmed
/// and raises it in the same breath.
fn stage_of(signal: &Signal, open: Option<&Incident>, reported_and_denied: bool) -> Stage {
    let breach = signal.approval == ApprovalSeen::Hostile || signal.stage == Stage::Breached;
    if breach && (open.is_some() || signal.events.iter().any(Event::is_failed_prompt)) {
        return Stage::Breached;
    }
    if reported_and_denied {
        return signal.stage.max(Stage::Confirmed);
    }
    signal.stage
}

fn hostile_factors(
    tx: &Tx<'_>,
    incoming: &Incoming,
    subject: SubjectId,
    event: &Event,
    signal: &Signal,
) -> Vec<HostileFactor> {
    let Some(seen) = signal.hostile_factor.clone() else { return Vec::new() };
    let Some(account) = account_of(tx, incoming, subject, event) else { return Vec::new() };
    let kind = seen
        .factor
        .and_then(|f| serde_json::to_value(f).ok())
        .and_then(|v| v.as_str().map(ToOwned::to_owned));
    vec![HostileFactor {
        account,
        id: seen.id,
        kind: kind.unwrap_or_default(),
        added_at: seen.added_at,
    }]
}

/// The account that a factor change is about: by its id where that is known, else on the source's first connection.
fn account_of(
    tx: &Tx<'_>,
    incoming: &Incoming,
    subject: SubjectId,
    event: &Event,
) -> Option<AccountKey> {
    let known = tx.core.state.subject(subject);
    let on = |connection: &ConnectionId| {
        known
            .and_then(|s| s.accounts.iter().find(|a| a.connection == *connection))
            .map(|a| a.provider_id.clone())
    };
    if let Some(id) = &event.account.provider_id
        && let Some(account) = known.and_then(|s| s.accounts.iter().find(|a| a.provider_id == *id))
    {
        return Some(account.key());
    }
    let connection = incoming.source.connections.first()?;
    // Directories take a sign-in name where they take an id; better than losing the factor.
    let provider_id = event
        .account
        .provider_id
        .clone()
        .or_else(|| on(connection))
        .or_else(|| event.account.login.clone())?;
    Some(AccountKey { connection: connection.clone(), provider_id })
}
