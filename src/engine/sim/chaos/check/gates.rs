//! Who may have said yes to what, judged from the response doctrine's text and not by the engine's code.

use super::super::catalogue::spec;
use super::walk::Walk;
use crate::approval::statement::params_digest;
use crate::model::action::{ActionSpec, Effect, Reversal};
use crate::model::approval::{Approval, ApprovalState, Asks};
use crate::model::entry::{ApprovalDecided, Commit, StepIntent};
use crate::model::incident::{ApprovalSeen, Incident, MayCause, Stage};
use crate::model::plan::Mode;
use crate::model::run::{Cell, Conclusion, Run};
use crate::model::subject::Link;

/// A containment that lasts until it is undone: what ceilings count.
pub(super) fn is_a_block(spec: &ActionSpec) -> bool {
    spec.effect == Effect::Contain && spec.reversal == Reversal::Undo
}

/// The first decision counts, in time, by somebody who may.
pub(super) fn a_decision_is_valid(walk: &mut Walk<'_>, commit: &Commit, e: &ApprovalDecided) {
    let promise = "a_decision_is_by_somebody_who_may_and_in_time";
    let Some(question) = walk.state.approvals.get(&e.approval).cloned() else {
        return walk.say(promise, "about no question");
    };
    if question.state != ApprovalState::Pending || commit.at >= question.expires_at {
        walk.say(promise, format!("{} was {:?} or over", e.approval, question.state));
    }
    let name = walk.state.people.get(&e.by).map(|p| p.name.clone()).unwrap_or_default();
    let starter = walk.state.runs.get(&question.run).and_then(|r| r.started_by.clone());
    let victim = walk
        .state
        .incidents
        .get(&question.incident)
        .and_then(|i| walk.state.subject(i.subject))
        .is_some_and(|s| {
            s.name == name
                || s.accounts
                    .iter()
                    .any(|a| walk.play.outside.tenant.owner(&a.key()) == Some(&name))
        });
    let by_hand = walk.state.incidents.get(&question.incident);
    let by_hand = by_hand.is_some_and(|i| i.by_hand.contains(&name));
    if victim || by_hand || starter.as_ref() == Some(&name) {
        walk.say("the_victim_and_the_starter_never_decide", name);
    }
    let same = question.votes.iter().filter(|v| v.decision == e.signed.statement.decision);
    let mut others: Vec<_> = same.map(|v| v.by).filter(|by| *by != e.by).collect();
    others.sort();
    others.dedup();
    let alone = e.state == ApprovalState::Denied && question.asks != Asks::Ratify;
    if !alone && others.len() + 1 < question.quorum as usize {
        walk.say("as_many_people_decide_as_it_takes", format!("{} alone", e.approval));
    }
    let all_ticked = |cell| question.votes.iter().all(|v| v.by == e.by || v.cells.contains(cell));
    if e.state == ApprovalState::Approved && !e.granted.iter().all(all_ticked) {
        walk.say("as_many_people_decide_as_it_takes", "what one of them left out is granted");
    }
    if e.begin_until != commit.at + walk.play.story.policy.grant.delta() {
        walk.say(promise, "its grant has another length than the policy's");
    }
}

/// What locks a privileged person out, or lets them in, takes two people.
pub(super) fn a_question_asks_enough_people(walk: &mut Walk<'_>, question: &Approval) {
    let case = walk.state.incidents.get(&question.incident);
    let subject = case.and_then(|i| walk.state.subject(i.subject));
    let privileged = subject.is_some_and(|s| s.accounts.iter().any(|a| a.privileged));
    let grave = question.items.iter().any(|item| {
        spec(item.action.as_str()).is_some_and(|s| {
            matches!(s.effect, Effect::Contain | Effect::Restore) && !s.point_in_time
        })
    });
    if privileged && grave && question.quorum < 2 {
        walk.say("as_many_people_decide_as_it_takes", format!("{} asks one", question.id));
    }
}

/// What was done before anybody was asked is put to people once it is there.
pub(super) fn what_was_done_first_is_put_to_people(walk: &Walk<'_>) -> Vec<String> {
    let asked = |run: &Run, cell: &Cell| {
        walk.state.approvals.values().any(|q| {
            q.run == run.id
                && q.asks == Asks::Ratify
                && q.items.iter().any(|item| item.cell == cell.key)
        })
    };
    let mut wrong = Vec::new();
    for run in walk.state.runs.values().filter(|r| !r.cancelled && r.crashes < 3) {
        for cell in run.cells().filter(|c| c.ratify) {
            if cell.conclusion() == Some(Conclusion::Succeeded) && !asked(run, cell) {
                wrong.push(format!("nobody was asked whether {:?} stands", cell.key));
            }
        }
    }
    wrong
}

/// No gated effect without a valid grant, in time, for exactly these parameters.
pub(super) fn an_effect_has_its_grant(
    walk: &mut Walk<'_>,
    commit: &Commit,
    intent: &StepIntent,
    spec: &ActionSpec,
    before: Option<&StepIntent>,
) {
    let Some(run) = walk.state.runs.get(&intent.run).cloned() else { return };
    let Some(case) = walk.state.incidents.get(&intent.incident).cloned() else { return };
    if run.mode == Mode::Observe && spec.effect != Effect::Read {
        walk.say("observing_changes_nothing", format!("{:?}", intent.cell));
    }
    if run.status.ended() {
        walk.say("an_ended_run_does_nothing", format!("{:?}", intent.cell));
    }
    if protected(walk, intent) && spec.effect == Effect::Contain && !spec.point_in_time {
        walk.say("a_protected_account_is_only_revoked", format!("{:?}", intent.cell));
    }
    if intent.attempt > 1 {
        let first = before.and_then(|b| b.grant);
        if first != intent.grant {
            walk.say("an_attempt_repeats_the_same_call", format!("{:?}: its grant", intent.cell));
        }
        return;
    }
    let needed = needs_a_person(walk, intent, spec, &run, &case);
    match (needed, intent.grant) {
        (Some(why), None) => {
            let text = format!("{:?} needs a person: {why}", intent.cell);
            walk.say("no_gated_effect_without_a_grant", text);
        }
        (_, Some(_)) => a_grant_is_for_this_and_in_time(walk, commit, intent),
        (None, None) => {}
    }
    let wished = walk.state.plan(&run.plan).and_then(|p| p.step(intent.cell.step.step()));
    let is_wished = wished.is_some_and(|step| step.ratify.is_some());
    if is_wished && intent.grant.is_none() && is_a_block(spec) && !intent.ratify {
        let text = format!("{:?} is not put to people afterwards", intent.cell);
        walk.say("what_the_playbook_wants_ratified_is", text);
    }
}

fn a_grant_is_for_this_and_in_time(walk: &mut Walk<'_>, commit: &Commit, intent: &StepIntent) {
    let promise = "a_grant_is_for_exactly_this_and_in_time";
    let Some(question) = intent.grant.and_then(|g| walk.state.approvals.get(&g)).cloned() else {
        return walk.say(promise, "there is no such question");
    };
    let digest = params_digest(&intent.call.inputs);
    let same = question
        .items
        .iter()
        .any(|i| i.cell == intent.cell && i.action == intent.call.action && i.params == digest);
    if !same || !question.granted.contains(&intent.cell) {
        walk.say(promise, format!("{:?} was not granted as it is sent", intent.cell));
    }
    let until = question.decided_at.map(|at| at + walk.play.story.policy.grant.delta());
    if until.is_none_or(|until| commit.at > until) {
        walk.say(promise, format!("{:?} began after its grant had run out", intent.cell));
    }
    let silence = question.state == ApprovalState::Expired;
    let harmless = intent.call.action.as_str() == "idp/revoke";
    if question.state != ApprovalState::Approved && !(silence && harmless) {
        walk.say(promise, format!("{:?} was {:?}", intent.cell, question.state));
    }
}

fn protected(walk: &Walk<'_>, intent: &StepIntent) -> bool {
    let login = intent.account.as_ref().and_then(|a| walk.play.outside.tenant.owner(a));
    login.is_some_and(|l| walk.play.story.policy.protected.iter().any(|p| p == l))
}

/// Why this step may not begin without somebody's yes.
fn needs_a_person(
    walk: &Walk<'_>,
    intent: &StepIntent,
    spec: &ActionSpec,
    run: &Run,
    case: &Incident,
) -> Option<&'static str> {
    if matches!(spec.effect, Effect::Read | Effect::Record | Effect::Notify) {
        return None;
    }
    if spec.effect == Effect::Restore {
        let clean = run.started_by.as_deref() == Some("expiry-clean") && is_clean(walk, case);
        let refused = run.decided_by.is_some()
            && walk.state.approvals.values().any(|q| {
                let denied = q.state == ApprovalState::Denied && q.asks == Asks::Ratify;
                denied && q.incident == case.id && (q.quorum < 2 || !q.votes.is_empty())
            });
        return (!clean && !refused).then_some("it opens");
    }
    let subject = walk.state.subject(case.subject);
    let account = intent.account.as_ref().and_then(|a| subject.and_then(|s| s.account(a)));
    let plan = walk.state.plan(&run.plan);
    let step = plan.and_then(|p| p.step(intent.cell.step.step()));
    if case.stale {
        return Some("the evidence is old");
    }
    if account.is_some_and(|a| a.link == Link::Weak) {
        return Some("the link is weak");
    }
    if step.is_some_and(|s| s.approval.is_some()) {
        return Some("the playbook asks");
    }
    if spec.point_in_time {
        return (case.may_cause == MayCause::Record).then_some("its source may only record");
    }
    if run.mode != Mode::Auto {
        return Some("the mode is approve");
    }
    if case.may_cause != MayCause::Contain {
        return Some("its source may not contain");
    }
    if case.stage != Stage::Breached {
        return Some("there is no breach");
    }
    let privileged = subject.is_some_and(|s| s.accounts.iter().any(|a| a.privileged));
    let first = is_a_block(spec) && case.approval == ApprovalSeen::Hostile && intent.ratify;
    (privileged && !first).then_some("the person is privileged")
}

fn is_clean(walk: &Walk<'_>, case: &Incident) -> bool {
    let quiet = matches!(case.approval, ApprovalSeen::None | ApprovalSeen::Own);
    let reset = walk.state.runs_of(case.id).flat_map(|r| r.cells.values()).any(|c| {
        c.capability.as_ref().is_some_and(|c| c.as_str() == "identity.reset_credentials")
            && c.conclusion() == Some(Conclusion::Succeeded)
    });
    quiet && (!case.password_exposed || reset)
}
