//! Incidents are opened, joined and raised; subjects are found or made.

use super::Incoming;
use crate::engine::driver::{Engine, Tx};
use crate::engine::state::is_stronger;
use crate::model::entry::{Entry, IncidentOpened, IncidentRisen, Rise};
use crate::model::event::AccountName;
use crate::model::id::{IncidentId, SubjectId};
use crate::model::incident::{
    ApprovalSeen, Campaign, HostileContext, HostileFactor, IncidentStatus, Stage,
};
use crate::model::plan::Trigger;
use crate::model::subject::{AccountKey, Alias, Subject};
use crate::model::time::Time;

/// What one piece of evidence says.
pub(super) struct Weight {
    pub(super) stage: Stage,
    pub(super) approval: ApprovalSeen,
    pub(super) password_exposed: bool,
    pub(super) stale: bool,
    pub(super) reason: String,
    pub(super) hostile_factors: Vec<HostileFactor>,
    pub(super) hostile: HostileContext,
    pub(super) hostile_entry_at: Option<Time>,
    pub(super) first_event_at: Time,
    pub(super) last_evidence_at: Time,
    pub(super) trigger: Option<Trigger>,
    pub(super) campaign: Option<Campaign>,
}

/// The names under which a record speaks of a person, the most telling first.
pub(super) fn aliases(incoming: &Incoming, account: &AccountName) -> Vec<Alias> {
    let mut aliases = Vec::new();
    if let Some(login) = &account.login {
        let mapped = incoming.source.aliases.get(login).unwrap_or(login);
        aliases.push(Alias::login(mapped));
    }
    if let Some(id) = &account.provider_id {
        for connection in &incoming.source.connections {
            let key = AccountKey { connection: connection.clone(), provider_id: id.clone() };
            aliases.push(Alias::account(&key));
        }
        if aliases.is_empty() {
            aliases.push(Alias(format!("id:{}:{id}", incoming.source.id)));
        }
    }
    aliases
}

/// The subject that an account name means; a provisional one is made for a name not seen before.
pub(super) fn subject_of(
    engine: &Engine,
    tx: &mut Tx<'_>,
    incoming: &Incoming,
    account: &AccountName,
) -> SubjectId {
    let aliases = aliases(incoming, account);
    if let Some(known) = aliases.iter().find_map(|a| tx.core.state.subject_by_alias(a)) {
        let (id, missing) =
            (known.id, incoming.source.connections.iter().any(|c| !known.connections.contains(c)));
        if missing {
            let mut subject = known.clone();
            for connection in &incoming.source.connections {
                if !subject.connections.contains(connection) {
                    subject.connections.push(connection.clone());
                }
            }
            // Another source may name accounts elsewhere: they are read before the next run acts.
            subject.resolved_at = None;
            tx.push(Entry::SubjectCreated { subject: Box::new(subject) });
        }
        return id;
    }
    let name = account.login.clone().or_else(|| account.provider_id.clone()).unwrap_or_default();
    let subject = Subject {
        id: SubjectId::mint(tx.at, engine.ports().entropy.id()),
        name: incoming.source.aliases.get(&name).cloned().unwrap_or(name),
        aliases,
        accounts: Vec::new(),
        resolved_at: None,
        merged_into: None,
        silent: Vec::new(),
        connections: incoming.source.connections.clone(),
    };
    let id = subject.id;
    tx.push(Entry::SubjectCreated { subject: Box::new(subject) });
    id
}

/// Opens an incident, joins the open one, or raises it.
pub(super) fn raise(
    engine: &Engine,
    tx: &mut Tx<'_>,
    incoming: &Incoming,
    subject: SubjectId,
    weight: Weight,
) -> IncidentId {
    let privileged = tx.core.state.subject(subject).is_some_and(Subject::privileged);
    let open = tx.core.state.open_incident(subject, tx.at).cloned();
    let watch = engine.policy().watch.delta();
    let watch_until = match &open {
        Some(i) if i.status == IncidentStatus::Contained => i.watch_until,
        _ => tx.at + watch,
    };
    let evidence = Rise {
        stage: weight.stage,
        approval: weight.approval,
        password_exposed: weight.password_exposed,
        may_cause: incoming.source.may_cause,
        stale: weight.stale,
        privileged,
        reason: weight.reason,
        hostile_factors: weight.hostile_factors,
        hostile: weight.hostile,
        first_event_at: weight.first_event_at,
        last_evidence_at: weight.last_evidence_at,
        hostile_entry_at: weight.hostile_entry_at,
        watch_until,
        trigger: weight.trigger,
        campaign: weight.campaign,
    };
    let Some(open) = open else {
        let incident = IncidentId::mint(tx.at, engine.ports().entropy.id());
        tracing::info!(incident.id = %incident, stage = weight.stage.name(), "Opened incident `{incident}`");
        tx.push(Entry::IncidentOpened(Box::new(IncidentOpened { incident, subject, evidence })));
        return incident;
    };
    let incident = open.id;
    let stronger = is_stronger(&open, &evidence);
    let risen =
        Box::new(IncidentRisen { incident, evidence: keep_reason(evidence, &open, stronger) });
    tx.push(if stronger { Entry::IncidentStaged(risen) } else { Entry::IncidentJoined(risen) });
    incident
}

/// Weaker evidence does not replace the sentence that says why.
fn keep_reason(
    mut evidence: Rise,
    open: &crate::model::incident::Incident,
    stronger: bool,
) -> Rise {
    if !stronger || evidence.stage < open.stage {
        evidence.reason.clone_from(&open.reason);
    }
    evidence
}
