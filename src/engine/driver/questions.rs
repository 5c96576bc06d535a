//! Questions to people: opened for all that a run can ask at once, ended by silence or with their run.

use super::carry_out::settle_cell;
use super::{Inner, Tx};
use crate::model::action::Effect as Kind;
use crate::model::approval::{Approval, ApprovalState, Asks, Item, Tier};
use crate::model::entry::Entry;
use crate::model::id::{ApprovalId, IncidentId, RunId};
use crate::model::plan::{AskRule, OnTimeout};
use crate::model::run::{Cell, CellKey, CellState, Conclusion};

/// How often a question is prolonged before silence means what it means.
const ESCALATIONS_MAX: u32 = 1;

pub(super) fn open_question(
    inner: &Inner,
    tx: &mut Tx<'_>,
    run: RunId,
    (asks, tier): (Asks, Tier),
    items: Vec<Item>,
    rule: &AskRule,
) -> bool {
    let Some(r) = tx.core.state.runs.get(&run) else { return false };
    let (incident, plan) = (r.incident, r.plan.clone());
    let mut barred: Vec<String> = r.started_by.clone().into_iter().collect();
    if let Some(i) = tx.core.state.incidents.get(&incident)
        && let Some(subject) = tx.core.state.subject(i.subject)
    {
        barred.push(subject.name.clone());
        barred.extend(subject.accounts.iter().map(|a| a.login.clone()));
        barred.extend(
            subject
                .aliases
                .iter()
                .filter_map(|a| a.0.strip_prefix("login:").map(ToOwned::to_owned)),
        );
    }
    let approval = Approval {
        id: ApprovalId::mint(tx.at, inner.ports.entropy.id()),
        incident,
        run,
        plan,
        asks,
        items,
        opened_at: tx.at,
        expires_at: tx.at + rule.timeout.delta(),
        on_timeout: rule.on_timeout,
        state: ApprovalState::Pending,
        tier,
        quorum: tier.quorum().max(rule.quorum),
        votes: Vec::new(),
        escalations: 0,
        decided_at: None,
        decided_by: None,
        granted: Vec::new(),
        barred,
    };
    tracing::info!(approval.id = %approval.id, incident.id = %incident, "Asked people about {} actions", approval.items.len());
    tx.push(Entry::ApprovalOpened { approval: Box::new(approval) });
    true
}

/// Silence. It grants only what the playbook says it grants, and never what locks a person out.
pub(super) fn expire(inner: &Inner, tx: &mut Tx<'_>, run: RunId, approval: ApprovalId) -> bool {
    let Some(question) = tx.core.state.approvals.get(&approval).cloned() else { return false };
    if question.state != ApprovalState::Pending {
        return false;
    }
    if question.on_timeout == OnTimeout::Escalate && question.escalations < ESCALATIONS_MAX {
        escalate(tx, &question, "nobody had answered");
        return true;
    }
    let granted: Vec<CellKey> = question
        .items
        .iter()
        .filter(|item| is_granted_by_silence(inner, tx, run, item))
        .map(|item| item.cell.clone())
        .collect();
    let begin_until = (!granted.is_empty()).then(|| tx.at + inner.policy.grant.delta());
    let state = ApprovalState::Expired;
    let incident = question.incident;
    tracing::error!(approval.id = %approval, incident.id = %incident, "Nobody answered question `{approval}` in time");
    tx.push(Entry::ApprovalExpired {
        approval,
        incident,
        state,
        granted: granted.clone(),
        begin_until,
    });
    for item in question.items.into_iter().filter(|item| !granted.contains(&item.cell)) {
        let asked = tx
            .core
            .state
            .runs
            .get(&run)
            .and_then(|r| r.cells.get(&item.cell))
            .map(|c| c.state.clone());
        if asked == Some(CellState::Asked { approval }) {
            settle_cell(
                inner,
                tx,
                run,
                item.cell,
                Conclusion::Expired,
                "nobody answered in time".to_owned(),
            );
        }
    }
    true
}

/// The question stands as long again; whoever tells people tells the next ones.
fn escalate(tx: &mut Tx<'_>, question: &Approval, reason: &str) {
    // The first time it stood is what it was asked for.
    let stood =
        (question.expires_at - question.opened_at) / (1 + question.escalations.cast_signed());
    tracing::warn!(approval.id = %question.id, incident.id = %question.incident, "Asked on: {reason} to `{}`", question.id);
    tx.push(Entry::ApprovalEscalated {
        approval: question.id,
        incident: question.incident,
        expires_at: tx.at + stood,
        reason: reason.to_owned(),
    });
}

/// Questions whose time ran out while Quell was not running: nobody could have answered, so that silence says nothing.
pub(super) fn ask_on(tx: &mut Tx<'_>, run: RunId) {
    let overdue: Vec<Approval> = tx
        .core
        .state
        .runs
        .get(&run)
        .into_iter()
        .flat_map(|r| &r.asked)
        .filter_map(|id| tx.core.state.approvals.get(id))
        .filter(|q| q.state == ApprovalState::Pending && q.expires_at <= tx.at)
        .cloned()
        .collect();
    for question in overdue {
        escalate(
            tx,
            &question,
            "Quell was not running when its time ran out, so nobody could answer",
        );
    }
}

fn is_granted_by_silence(inner: &Inner, tx: &Tx<'_>, run: RunId, item: &Item) -> bool {
    let Some(plan) = tx.core.state.plan_of(run) else { return false };
    let step = plan.step(item.cell.step.step());
    let wanted = step
        .and_then(|s| s.approval.as_ref())
        .is_some_and(|rule| rule.on_timeout == OnTimeout::Approve);
    let harmless = inner.ports.catalogue.signature(item.capability.as_str()).is_some_and(|s| {
        s.point_in_time || matches!(s.effect, Kind::Record | Kind::Notify | Kind::Read)
    });
    wanted && harmless
}

/// The question that a cell waits for.
pub(super) fn question_about(tx: &Tx<'_>, run: RunId, cell: &CellKey) -> Option<ApprovalId> {
    match tx.core.state.runs.get(&run)?.cells.get(cell)?.state {
        CellState::Asked { approval } => Some(approval),
        _ => None,
    }
}

/// Takes a question back of which nothing is left to decide: evidence that rose has overtaken it.
pub(super) fn withdraw(tx: &mut Tx<'_>, run: RunId, incident: IncidentId, approval: ApprovalId) {
    let waits = |cell: &Cell| cell.state == CellState::Asked { approval };
    let left = tx.core.state.runs.get(&run).is_some_and(|r| r.cells().any(waits));
    let state = ApprovalState::Cancelled;
    if !left {
        tx.push(Entry::ApprovalExpired {
            approval,
            incident,
            state,
            granted: Vec::new(),
            begin_until: None,
        });
    }
}

pub(super) fn cancel_questions(tx: &mut Tx<'_>, run: RunId) {
    let open: Vec<_> = tx
        .core
        .state
        .approvals
        .values()
        .filter(|a| a.run == run && a.state == ApprovalState::Pending)
        .map(|a| (a.id, a.incident))
        .collect();
    for (approval, incident) in open {
        tx.push(Entry::ApprovalExpired {
            approval,
            incident,
            state: ApprovalState::Cancelled,
            granted: Vec::new(),
            begin_until: None,
        });
    }
}
