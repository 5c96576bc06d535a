//! Whose accounts are whose: what a look-up of a subject told, and two subjects that turn out to be one person.

use super::carry_out::{backoff, serve, settle};
use super::{Engine, Tx};
use crate::engine::decide::{is_look_up, look_up_lane};
use crate::engine::ports::Found;
use crate::model::entry::{Entry, IncidentRisen, Rise, StepSkipped};
use crate::model::id::{ConnectionId, IncidentId, RunId, StepPath, SubjectId};
use crate::model::incident::{Incident, IncidentStatus};
use crate::model::run::{CellKey, Conclusion};
use crate::model::subject::Account;
use crate::model::time::Time;

/// How a look-up says that an account was read but its roles were not.
const ROLES: &str = "roles:";

/// A subject's accounts were read.
pub(super) fn of_look_up(engine: &Engine, run: RunId, asked: &[ConnectionId], found: Found) {
    let fraction = engine.ports().entropy.fraction();
    let ((), _written) = engine.transact(|tx| {
        let tries = tx.core.desk.end_look_up(run);
        looked_up(engine, tx, run, (asked, found), tries, fraction);
        serve(&engine.0, tx, &look_up_lane());
    });
}

fn looked_up(
    engine: &Engine,
    tx: &mut Tx<'_>,
    run: RunId,
    (asked, found): (&[ConnectionId], Found),
    tries: u32,
    fraction: f64,
) {
    let Some((incident, subject, started_at)) = tx.core.state.runs.get(&run).and_then(|r| {
        let incident = tx.core.state.incidents.get(&r.incident)?;
        Some((incident.id, incident.subject, r.started_at))
    }) else {
        return;
    };
    let deadline = started_at + engine.policy().step_deadline.delta();
    let again =
        (!found.unread.is_empty() && tx.at < deadline).then(|| tx.at + backoff(tries, fraction));
    match again {
        Some(at) => tx.core.desk.look_ups.insert(run, (tries, Some(at))),
        None => tx.core.desk.look_ups.remove(&run),
    };
    if again.is_some() && found.accounts.is_empty() {
        settle(&engine.0, tx, run);
        return;
    }
    note_unread(tx, run, incident, &found, again);
    let subject = merge_known(engine, tx, subject, &found);
    let mut accounts = found.accounts;
    for account in &mut accounts {
        account.protected = engine.policy().protects(account);
        account.roles_unread =
            found.unread.iter().any(|(c, why)| *c == account.connection && why.starts_with(ROLES));
        account.read_at = tx.at;
    }
    // What a connection said last stands, with its age, while it is silent or was not asked: its
    // steps must not vanish.
    let known = tx.core.state.subject(subject).map(|s| s.accounts.clone()).unwrap_or_default();
    let stands = |k: &Account| {
        let silent = found.unread.iter().any(|(c, _)| *c == k.connection);
        (silent || !asked.contains(&k.connection)) && !accounts.iter().any(|a| a.key() == k.key())
    };
    let kept: Vec<Account> = known.into_iter().filter(stands).collect();
    accounts.extend(kept);
    let name = found.name.unwrap_or_default();
    tx.push(Entry::SubjectResolved { subject, name, accounts, aliases: found.aliases });
    leave_unread(tx, incident, subject, asked, &found.unread);
    // Accounts that came to light may be due for steps of runs that have ended.
    if let Some(incident) = tx.core.state.newest.get(&subject).copied() {
        crate::engine::ingest::follow_up(engine, tx, incident);
    }
    settle(&engine.0, tx, run);
}

/// Connections that have not told what accounts the person has: asked again at `again`, or given
/// up on. It is journalled, so that a restart does not take a part for the whole.
fn note_unread(
    tx: &mut Tx<'_>,
    run: RunId,
    incident: IncidentId,
    found: &Found,
    again: Option<Time>,
) {
    let key = |connection: &str| CellKey {
        step: StepPath::new(CellKey::LOOK_UP),
        item: connection.into(),
    };
    let concluded = |cell: CellKey, conclusion, reason| {
        Entry::StepSkipped(Box::new(StepSkipped {
            run,
            incident,
            cell,
            capability: Some("identity.get_user".into()),
            account: None,
            conclusion,
            not_applicable: false,
            reason,
        }))
    };
    let waited_for: Vec<CellKey> = tx.core.state.runs.get(&run).map_or_else(Vec::new, |r| {
        let open = r.cells().filter(|c| is_look_up(c) && c.conclusion().is_none());
        open.map(|c| c.key.clone()).collect()
    });
    for cell in waited_for {
        if !found.unread.iter().any(|(c, _)| c.as_str() == cell.item) {
            tx.push(concluded(cell, Conclusion::Succeeded, String::new()));
        }
    }
    for (connection, problem) in &found.unread {
        let cell = key(connection.as_str());
        let problem =
            format!("`{connection}` could not be asked for this person's accounts: {problem}");
        tracing::warn!(run.id = %run, incident.id = %incident, "{problem}");
        tx.push(match again {
            Some(_) => Entry::StepParked { run, incident, cell, until: again, problem },
            None => concluded(cell, Conclusion::Failed, problem),
        });
    }
}

/// A connection that a source named meanwhile, or that came with a merge, is still to be read.
/// So is one that was silent for an incident which has been joined: its failure is shown nowhere else.
fn leave_unread(
    tx: &mut Tx<'_>,
    incident: IncidentId,
    subject: SubjectId,
    asked: &[ConnectionId],
    silent: &[(ConnectionId, String)],
) {
    let joined = tx.core.state.is_joined(incident);
    let was_read = |c: &ConnectionId| {
        asked.contains(c) && !(joined && silent.iter().any(|(silent, _)| silent == c))
    };
    let known = tx.core.state.subject(subject);
    let unread = known.filter(|s| !silent.is_empty() || s.connections.iter().any(|c| !was_read(c)));
    if let Some(mut subject) = unread.cloned() {
        if !subject.connections.iter().all(was_read) {
            subject.resolved_at = None;
        }
        let no_answer = silent.iter().filter(|(_, why)| !why.starts_with(ROLES));
        subject.silent = no_answer.map(|(connection, _)| connection.clone()).collect();
        tx.push(Entry::SubjectCreated { subject: Box::new(subject) });
    }
}

/// An account that another subject has already means that both are one person: the older survives.
fn merge_known(engine: &Engine, tx: &mut Tx<'_>, subject: SubjectId, found: &Found) -> SubjectId {
    let mut kept = subject;
    let others: Vec<SubjectId> = found
        .aliases
        .iter()
        .filter_map(|alias| tx.core.state.subject_by_alias(alias).map(|s| s.id))
        .filter(|id| *id != subject)
        .collect();
    for other in others {
        if other == kept {
            continue;
        }
        let (old, young) = if other < kept { (other, kept) } else { (kept, other) };
        let both = (open(tx, old), open(tx, young));
        tx.push(Entry::SubjectMerged { from: young, into: old });
        if let (Some(older), Some(younger)) = both {
            join(engine, tx, &older, &younger);
        }
        kept = old;
    }
    kept
}

fn open(tx: &Tx<'_>, subject: SubjectId) -> Option<Incident> {
    tx.core.state.open_incident(subject, tx.at).cloned()
}

/// The younger incident's evidence goes on in the older one.
fn join(engine: &Engine, tx: &mut Tx<'_>, a: &Incident, b: &Incident) {
    let (older, younger) = if a.id < b.id { (a, b) } else { (b, a) };
    let evidence = Rise {
        stage: younger.stage,
        approval: younger.approval,
        password_exposed: younger.password_exposed,
        may_cause: younger.may_cause,
        stale: younger.stale,
        privileged: false,
        reason: younger.reason.clone(),
        hostile_factors: younger.hostile_factors.clone(),
        hostile: younger.hostile.clone(),
        first_event_at: younger.first_event_at,
        last_evidence_at: younger.last_evidence_at,
        hostile_entry_at: younger.hostile_entry_at,
        watch_until: younger.watch_until,
        trigger: None,
        campaign: younger.campaign.clone(),
    };
    tx.push(Entry::IncidentStaged(Box::new(IncidentRisen { incident: older.id, evidence })));
    if younger.status != IncidentStatus::Closed {
        let note = format!("joined incident {}", older.id);
        tx.push(Entry::IncidentClosed { incident: younger.id, by: "quell".to_owned(), note });
    }
    let live: Vec<RunId> =
        younger.runs.iter().copied().filter(|id| tx.core.state.live.contains(id)).collect();
    // They end what is under way, begin nothing, and are cancelled then.
    for id in live {
        super::carry_out::cancel(&engine.0, tx, id);
    }
}
