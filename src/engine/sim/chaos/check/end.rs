//! What must be so once everything has healed and hours have passed, and what `contained` has to mean.

use std::collections::BTreeSet;

use super::super::play::Play;
use super::super::tenant::Did;
use super::walk::Walk;
use crate::engine::state::{DeliveryKey, Known, State};
use crate::model::approval::ApprovalState;
use crate::model::id::IncidentId;
use crate::model::incident::{Incident, IncidentStatus, Stage};
use crate::model::plan::Mode;
use crate::model::run::{Cell, CellState, Conclusion, Purpose, Run, RunStatus, WaitingOn};
use crate::model::subject::AccountKey;

/// What was answered with a receipt is in the journal, or led to nothing that belongs there.
pub(super) fn acknowledged_is_never_lost(play: &Play<'_>) -> Vec<String> {
    let mut state = State::default();
    play.told().iter().for_each(|commit| state.apply(commit));
    let evidence = play.outside.disk.evidence.lock().unwrap();
    let mut lost = Vec::new();
    for told in &play.acknowledged {
        let known = state.deliveries.get(DeliveryKey::new(told.source, &told.delivery));
        let kept = evidence.iter().any(|line| {
            line["delivery"] == told.delivery.as_str() && line["source"] == told.source
        });
        let incidents_are_there =
            told.answer.incidents.iter().all(|t| state.incidents.contains_key(&t.incident));
        let remembered = match known {
            Some(Known::Here(known)) => {
                known.receipt == told.answer.receipt || (told.only_events && kept)
            }
            Some(Known::Written) => false,
            None => told.only_events && (kept || told.answer.accepted == 0),
        };
        if !remembered || !incidents_are_there {
            lost.push(format!("{} of {}: {:?}", told.delivery, told.source, told.answer));
        }
    }
    lost
}

/// Hours after everything healed, only people keep anything waiting, and each by name.
pub(super) fn every_run_ends_or_waits(walk: &Walk<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for run in walk.state.runs.values().filter(|r| !r.status.ended()) {
        let parked = run.cells.values().any(|c| matches!(c.state, CellState::Parked { .. }));
        let asked = walk.state.approvals.values().any(|a| {
            a.run == run.id && a.state == ApprovalState::Pending && a.expires_at > walk.play.now()
        });
        let named = match (run.status, run.waiting_on) {
            (RunStatus::Waiting, Some(WaitingOn::Approval)) => asked,
            (RunStatus::Waiting, Some(WaitingOn::Operator)) => parked || run.crashes >= 3,
            _ => is_held_up_by_a_ceiling(run),
        };
        if !named {
            let cells: Vec<String> = run
                .cells
                .values()
                .filter(|c| c.conclusion().is_none())
                .map(|c| format!("{} {} {:?}", c.key.step, c.key.item, c.state))
                .collect();
            let on = (run.status, run.waiting_on);
            wrong.push(format!("{} {on:?} for {cells:?}", run.id));
        }
        // A step waits for people or for nothing: its deadline is long over.
        for cell in run.cells.values().filter(|_| run.crashes < 3) {
            if matches!(
                cell.state,
                CellState::Intended
                    | CellState::InDoubt { .. }
                    | CellState::Retrying { .. }
                    | CellState::Applied { .. }
            ) {
                wrong
                    .push(format!("{} {} is still {:?}", cell.key.step, cell.key.item, cell.state));
            }
        }
    }
    for question in walk.state.approvals.values() {
        if question.state == ApprovalState::Pending && question.expires_at < walk.play.now() {
            wrong.push(format!("question {} is open after its time", question.id));
        }
    }
    for (holds, hold) in
        walk.state.holds.values().flat_map(|h| h.by.values().map(move |hold| (h, hold)))
    {
        if hold.expires_at.is_some_and(|at| at < walk.play.now()) {
            wrong.push(format!("the hold on {} has run out and stands", holds.account));
        }
    }
    wrong
}

fn is_held_up_by_a_ceiling(run: &Run) -> bool {
    run.waiting_on == Some(WaitingOn::Timer)
        && run.cells.values().any(|c| matches!(c.state, CellState::Waiting { .. }))
}

fn cells<'w>(walk: &'w Walk<'_>, incident: IncidentId) -> impl Iterator<Item = &'w Cell> {
    walk.state
        .runs_of(incident)
        .filter(|r| r.purpose != Purpose::Restore && r.playbook.as_str() == "contain")
        .flat_map(Run::cells)
}

fn effects<'w>(
    walk: &'w Walk<'_>,
    action: &'static str,
    account: &'w AccountKey,
) -> impl Iterator<Item = &'w Did> {
    walk.log.iter().filter(move |d| d.action == action && d.account.as_ref() == Some(account))
}

/// Whether some step on the account ended or waits in a way that people see as not done.
fn is_said_to_be_open<'c>(cells: impl Iterator<Item = &'c Cell>, item: &str, step: &str) -> bool {
    cells.filter(|c| c.key.item == item && c.key.step.step().starts_with(step)).any(|c| {
        match &c.state {
            CellState::Concluded { conclusion } => match conclusion {
                Conclusion::Succeeded => false,
                Conclusion::Skipped => c.not_applicable || c.problem.is_some(),
                _ => true,
            },
            _ => true,
        }
    })
}

/// After a hostile approval every account is revoked once more, or it is said why not.
pub(super) fn no_hostile_approval_is_absorbed(walk: &Walk<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (incident, told) in &walk.hostile {
        let Some(case) = walk.state.incidents.get(incident) else { continue };
        let Some(subject) = walk.state.subject(case.subject) else { continue };
        if !is_answered_by_a_run(walk, case) {
            continue;
        }
        for account in &subject.accounts {
            let key = account.key();
            let item = key.to_string();
            let revoked_at = walk.play.outside.tenant.holder(&key).and_then(|h| h.revoked_at);
            let again = effects(walk, "idp/revoke", &key).any(|d| d.done_at >= *told)
                || revoked_at >= case.hostile_entry_at;
            if !again && !is_said_to_be_open(cells(walk, *incident), &item, "revoke") {
                wrong.push(format!("{item} was not revoked after commit {told} of {incident}"));
            }
        }
    }
    wrong
}

fn is_answered_by_a_run(walk: &Walk<'_>, case: &Incident) -> bool {
    let mut runs = walk.state.runs_of(case.id).filter(|r| r.playbook.as_str() == "contain");
    case.status != IncidentStatus::Closed
        && runs.any(|r| r.mode != Mode::Observe)
        && !walk.state.runs_of(case.id).any(|r| r.crashes >= 3)
        && walk.state.runs_of(case.id).all(|r| {
            r.purpose == Purpose::Restore
                || r.playbook.as_str() != "contain"
                || !r.cells.values().any(|c| matches!(c.state, CellState::Parked { .. }))
        })
}

/// What the evidence calls for at the end has been begun, asked or refused for every account.
pub(super) fn rising_evidence_is_answered(walk: &Walk<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in walk.state.incidents.values() {
        let live = walk.state.runs_of(case.id).any(|r| !r.status.ended());
        if case.stage < Stage::Confirmed || live || !is_answered_by_a_run(walk, case) {
            continue;
        }
        let Some(subject) = walk.state.subject(case.subject) else { continue };
        let spoken: BTreeSet<(&str, &str)> =
            cells(walk, case.id).map(|c| (c.key.step.step(), c.key.item.as_str())).collect();
        let read_at = spoken.iter().filter(|(step, _)| *step == "revoke").count();
        for account in subject.accounts.iter().filter(|_| read_at > 0) {
            let item = account.key().to_string();
            if !spoken.contains(&("revoke", item.as_str())) {
                continue;
            }
            let mut due = vec!["block"];
            due.extend(case.password_exposed.then_some("reset"));
            for step in due.into_iter().filter(|s| !spoken.contains(&(s, item.as_str()))) {
                wrong.push(format!("{step} of {item} in {} was never begun", case.id));
            }
        }
        for factor in &case.hostile_factors {
            let item = format!("{}#{}", factor.account, factor.id);
            if !spoken.contains(&("factors", item.as_str())) {
                wrong.push(format!("factor {item} in {} was never looked at", case.id));
            }
        }
    }
    wrong
}

/// `contained` is said of what is so in the world.
pub(super) fn contained_is_contained_in_the_world(
    walk: &mut Walk<'_>,
    incident: IncidentId,
    head: u64,
) {
    let Some(case) = walk.state.incidents.get(&incident) else { return };
    let Some(subject) = walk.state.subject(case.subject) else { return };
    let told = walk.hostile.get(&incident).copied().unwrap_or_default();
    let mut wrong = Vec::new();
    for key in truly(
        walk,
        subject.accounts.iter().map(crate::model::subject::Account::key),
        &subject.connections,
    ) {
        let Some(holder) = walk.play.outside.tenant.holder(&key) else { continue };
        let before = |action| effects(walk, action, &key).filter(move |d| d.done_at < head);
        let revoked = before("idp/revoke").map(|d| d.done_at).max();
        let last =
            |action: &'static str| before(action).filter(|d| d.changed).map(|d| d.done_at).max();
        // What was told late may have been answered before.
        let since = before("idp/revoke").filter_map(|d| d.at).max() >= case.hostile_entry_at;
        if !holder.guest && (revoked.is_none() || (revoked < Some(told) && !since)) {
            wrong.push(format!("{key} was not revoked since commit {told}"));
        }
        if case.stage < Stage::Confirmed {
            continue;
        }
        if last("idp/block").is_none_or(|shut| last("idp/unblock").is_some_and(|o| o > shut)) {
            wrong.push(format!("{key} is open"));
        }
        if case.password_exposed && before("idp/reset").next().is_none() {
            wrong.push(format!("{key} has its old password"));
        }
    }
    for text in wrong {
        walk.say("contained_is_contained_in_the_world", format!("{incident}: {text}"));
    }
}

/// The accounts that a subject's owner has on those connections, whether or not they were read.
fn truly(
    walk: &Walk<'_>,
    read: impl Iterator<Item = AccountKey>,
    connections: &[crate::model::id::ConnectionId],
) -> Vec<AccountKey> {
    let read: Vec<AccountKey> = read.collect();
    let owner = read.first().and_then(|k| walk.play.outside.tenant.owner(k));
    let all = owner.and_then(|o| walk.play.outside.tenant.people.get(o));
    let all = all.cloned().unwrap_or(read);
    all.into_iter().filter(|k| connections.contains(&k.connection)).collect()
}
