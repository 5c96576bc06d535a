//! Questions to people: opened for all that a run can ask at once, ended by silence or with their run.

use super::carry_out::settle_cell;
use super::{Inner, Tx};
use crate::engine::oncall::address;
use crate::model::action::Effect as Kind;
use crate::model::approval::{Approval, ApprovalState, Asks, Item, Tier};
use crate::model::entry::Entry;
use crate::model::id::{ApprovalId, IncidentId, RunId};
use crate::model::notice::About;
use crate::model::oncall::Longer;
use crate::model::plan::{AskRule, OnTimeout};
use crate::model::run::{CellKey, CellState, Conclusion, Purpose};
use crate::model::time::Span;

/// How often a question is prolonged because nobody could be told. After that it ends, and silence is no yes.
const UNTOLD_MAX: u32 = 3;

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
    let case = tx.core.state.incidents.get(&incident);
    barred.extend(case.into_iter().flat_map(|i| i.by_hand.iter().cloned()));
    if let Some(i) = case
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
    let mut approval = Approval {
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
        untold: 0,
        stands: Some(rule.timeout),
        addressed: Vec::new(),
        decided_at: None,
        decided_by: None,
        granted: Vec::new(),
        barred,
    };
    let asked = address(tx.core, &inner.policy(), &approval, None, tx.at);
    tracing::info!(approval.id = %approval.id, incident.id = %incident, "Asked people about {} actions", approval.items.len());
    approval.addressed.push(asked);
    tx.push(Entry::ApprovalOpened { approval: Box::new(approval) });
    true
}

/// Silence. It grants only what the playbook says it grants, and never what locks a person out.
pub(super) fn expire(inner: &Inner, tx: &mut Tx<'_>, run: RunId, approval: ApprovalId) -> bool {
    let Some(question) = tx.core.state.approvals.get(&approval).cloned() else { return false };
    if question.state != ApprovalState::Pending {
        return false;
    }
    if question.goes_on() {
        stand_longer(inner, tx, &question, Longer::Silence, "nobody had answered");
        return true;
    }
    let mut granted: Vec<CellKey> = question
        .items
        .iter()
        .filter(|item| is_granted_by_silence(inner, tx, run, item))
        .map(|item| item.cell.clone())
        .collect();
    // Silence would be a yes: to doing it, or to leaving it as it was done.
    let is_consent = question.asks == Asks::Ratify || !granted.is_empty();
    let told = tx.core.state.telling.reached(&thread(&question), question.opened_at);
    let unheard = !inner.policy().oncall.channels.is_empty() && !told;
    if unheard && is_consent && question.untold < UNTOLD_MAX {
        let why = "nobody could be told of it, so silence says nothing";
        stand_longer(inner, tx, &question, Longer::Untold, why);
        return true;
    }
    if unheard {
        granted.clear();
    }
    let begin_until = (!granted.is_empty()).then(|| tx.at + inner.policy().grant.delta());
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

fn thread(question: &Approval) -> String {
    About::Question(question.id).to_string()
}

/// The question stands as long again: silence passes it on to the next, a downtime begins anew with the first,
/// and of whom nobody could tell are asked again.
fn stand_longer(inner: &Inner, tx: &mut Tx<'_>, question: &Approval, why: Longer, reason: &str) {
    // The first time it stood is what it was asked for.
    let stood =
        (question.expires_at - question.opened_at) / (1 + question.escalations.cast_signed());
    let expires_at = tx.at + question.stands.map_or(stood, Span::delta);
    let passed = match why {
        Longer::Silence | Longer::Untold => question.addressed.last().and_then(|a| a.level),
        Longer::Downtime => None,
    };
    // Those who may answer are those who may once it stands again.
    let again = Approval { expires_at, ..question.clone() };
    let addressed = address(tx.core, &inner.policy(), &again, passed, tx.at);
    tracing::warn!(approval.id = %question.id, incident.id = %question.incident, "Asked on: {reason} (`{}`)", question.id);
    tx.push(Entry::ApprovalEscalated {
        approval: question.id,
        incident: question.incident,
        expires_at,
        reason: reason.to_owned(),
        why,
        addressed: Some(Box::new(addressed)),
    });
}

/// Questions whose time ran out while Quell was not running: nobody could have answered, so that silence says nothing.
pub(super) fn ask_on(inner: &Inner, tx: &mut Tx<'_>, run: RunId) {
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
        let why = "Quell was not running when its time ran out, so nobody could answer";
        stand_longer(inner, tx, &question, Longer::Downtime, why);
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
    // Access is never opened by silence.
    let opens = tx.core.state.runs.get(&run).is_none_or(|r| r.purpose == Purpose::Restore);
    wanted && harmless && !opens
}

/// Takes a question back. Nobody has to answer it any more.
pub(super) fn withdraw(tx: &mut Tx<'_>, incident: IncidentId, approval: ApprovalId) {
    let state = ApprovalState::Cancelled;
    let (granted, begin_until) = (Vec::new(), None);
    tx.push(Entry::ApprovalExpired { approval, incident, state, granted, begin_until });
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
        withdraw(tx, incident, approval);
    }
}
