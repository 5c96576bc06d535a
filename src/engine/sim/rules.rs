//! The engine's rules, each on one quiet run.

use super::{OLGA, PETE, Sim, describe, ended, ended_well, person};
use crate::engine::guardrails::Guardrails;
use crate::engine::ingest::Fact;
use crate::engine::policy::Policy;
use crate::model::approval::{Approval, ApprovalState, Decision};
use crate::model::entry::{CeilingRaised, Entry};
use crate::model::incident::{ContainmentState, IncidentStatus, MayCause, Stage};
use crate::model::plan::Mode;
use crate::model::run::{Conclusion, Purpose, RunStatus, WaitingOn};
use crate::model::time::Span;

#[tokio::test(start_paused = true)]
async fn a_suspected_incident_revokes_tickets_and_is_contained() {
    let sim = Sim::new(1, Mode::Auto).await;

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;

    let runs = sim.runs();
    assert!(ended_well(&runs[0]), "{}", describe(&runs[0]));
    assert_eq!(sim.world.did("idp/block"), 0);
    assert_eq!(sim.world.tickets.lock().unwrap().len(), 1);
    assert_eq!(sim.world.did("idp/revoke"), 2, "before and after");
    let incident = sim.incident();
    assert_eq!(incident.status, IncidentStatus::Contained);
    assert!(
        incident.containment.iter().all(|c| c.state == ContainmentState::Verified),
        "{:?}",
        incident.containment
    );
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_incident_asks_once_and_acts_on_yes_in_order() {
    let sim = Sim::new(2, Mode::Approve).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    let question = sim.pending().unwrap();
    assert_eq!(question.items.len(), 2, "block and reset are one question");
    assert_eq!(sim.world.did("idp/revoke"), 1, "revocation waits for nobody");
    assert_eq!(sim.runs()[0].waiting_on, Some(WaitingOn::Approval));
    assert!(sim.answer(Decision::Approve).await);
    sim.pass(Span::seconds(60)).await;

    let runs = sim.runs();
    assert!(ended_well(&runs[0]), "{}", describe(&runs[0]));
    let order: Vec<String> = sim
        .world
        .log
        .lock()
        .unwrap()
        .iter()
        .map(|d| d.action.clone())
        .filter(|a| a.starts_with("idp"))
        .collect();
    assert_eq!(order, ["idp/revoke", "idp/block", "idp/reset", "idp/revoke"]);
    assert_eq!(sim.incident().status, IncidentStatus::Contained);
}

#[tokio::test(start_paused = true)]
async fn a_denied_block_stops_nothing_else_and_keeps_the_incident_open() {
    let sim = Sim::new(3, Mode::Approve).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(10)).await;
    sim.answer(Decision::Deny).await;
    sim.pass(Span::seconds(60)).await;

    assert!(ended(&sim.runs()[0]));
    assert_eq!(sim.world.did("idp/block"), 0);
    assert_eq!(sim.world.did("idp/revoke"), 2);
    assert_eq!(sim.incident().status, IncidentStatus::Open);
}

#[tokio::test(start_paused = true)]
async fn silence_means_no_for_what_locks_a_person_out() {
    let sim = Sim::new(4, Mode::Approve).await;

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(30)).await;
    assert_eq!(sim.pending().unwrap().escalations, 1, "it is asked on once");
    sim.pass(Span::minutes(15)).await;

    assert!(sim.pending().is_none());
    assert_eq!(sim.world.did("idp/block"), 0);
    let run = &sim.runs()[0];
    assert!(
        run.cells.values().any(|c| c.conclusion() == Some(Conclusion::Expired)),
        "{}",
        describe(run)
    );
    assert!(ended(run));
}

#[tokio::test(start_paused = true)]
async fn a_hostile_approval_after_the_end_makes_one_continuation_that_blocks_and_revokes_again() {
    let sim = Sim::new(5, Mode::Auto).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(60)).await;
    let revoked = sim.world.did("idp/revoke");

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(2)).await;

    let runs = sim.runs();
    assert_eq!(runs.len(), 2);
    assert!(matches!(runs[1].purpose, Purpose::Continue { .. }));
    assert!(ended_well(&runs[1]), "{}", describe(&runs[1]));
    assert_eq!(sim.world.did("idp/block"), 1);
    assert_eq!(sim.world.did("idp/reset"), 1);
    assert_eq!(sim.world.did("idp/revoke"), revoked + 2, "{}", describe(&runs[1]));
    assert_eq!(sim.world.tickets.lock().unwrap().len(), 1, "never a second ticket");
    assert_eq!(sim.incident().status, IncidentStatus::Contained);
}

#[tokio::test(start_paused = true)]
async fn a_hostile_approval_during_a_run_is_answered_in_it() {
    let sim = Sim::new(6, Mode::Approve).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(20)).await;

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::seconds(20)).await;

    let runs = sim.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].rounds.len(), 1, "{}", describe(&runs[0]));
    assert_eq!(sim.world.did("idp/revoke"), 2, "revoked again at once: {}", describe(&runs[0]));
}

#[tokio::test(start_paused = true)]
async fn equal_evidence_is_absorbed() {
    let sim = Sim::new(7, Mode::Auto).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(60)).await;

    for n in 0..20 {
        let fact = Fact::Alert(Box::new(sim.an_alert("dana", Stage::Suspected)));
        sim.deliver(&format!("again-{n}"), MayCause::Contain, fact).await.unwrap();
    }
    sim.pass(Span::seconds(60)).await;

    assert_eq!(sim.runs().len(), 1);
    assert_eq!(sim.incident().counts.alerts, 21);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_gets_the_same_answer_and_starts_nothing() {
    let sim = Sim::new(8, Mode::Auto).await;

    let first = sim.alert("dana", Stage::Suspected).await.unwrap();
    let second = sim.alert("dana", Stage::Suspected).await.unwrap();

    assert_eq!(first.receipt, second.receipt);
    assert!(second.duplicate && !first.duplicate);
    assert_eq!(first.incidents, second.incidents);
    assert_eq!(sim.incident().counts.alerts, 1);
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_stops_effects_while_intake_goes_on() {
    let sim = Sim::new(9, Mode::Auto).await;
    sim.engine.pause(true, "olga", "drill").await.unwrap();

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(5)).await;
    assert!(sim.world.log.lock().unwrap().is_empty());
    sim.engine.pause(false, "olga", "over").await.unwrap();
    sim.pass(Span::minutes(1)).await;

    assert!(ended_well(&sim.runs()[0]), "{}", describe(&sim.runs()[0]));
}

#[tokio::test(start_paused = true)]
async fn restore_opens_what_quell_shut_and_says_what_cannot_be_taken_back() {
    let sim = Sim::new(10, Mode::Auto).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(20)).await;
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(2)).await;
    assert!(!sim.world.person("dana").enabled);

    sim.engine.request_restore(sim.incident().id, "desk").await.unwrap();
    sim.pass(Span::seconds(10)).await;
    assert!(!sim.world.person("dana").enabled, "never without a person's decision");
    assert!(sim.answer(Decision::Approve).await);
    sim.pass(Span::minutes(1)).await;

    assert!(sim.world.person("dana").enabled);
    let runs = sim.runs();
    let restore = runs.last().unwrap();
    assert_eq!(restore.status, RunStatus::Succeeded, "{}", describe(restore));
    let said: Vec<&str> = restore.cells.values().filter_map(|c| c.problem.as_deref()).collect();
    assert!(
        said.iter().any(|s| s.contains("reset_credentials") && s.contains("not reversible")),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_account_that_was_shut_before_is_never_opened() {
    let sim = Sim::new(11, Mode::Auto).await;
    sim.world.people.lock().unwrap().entry("dana".into()).or_default().enabled = false;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(2)).await;

    sim.engine.request_restore(sim.incident().id, "desk").await.unwrap();
    sim.pass(Span::seconds(10)).await;
    sim.answer(Decision::Approve).await;
    sim.pass(Span::minutes(1)).await;

    assert!(!sim.world.person("dana").enabled);
    assert_eq!(sim.world.did("idp/unblock"), 0);
}

#[tokio::test(start_paused = true)]
async fn privileged_people_are_revoked_and_asked_about() {
    let sim = Sim::new(12, Mode::Auto).await;
    sim.world.privileged("root");
    sim.alert("root", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;

    assert_eq!(sim.world.did("idp/block"), 0);
    assert_eq!(sim.world.did("idp/revoke"), 1);
    assert_eq!(sim.pending().unwrap().quorum, 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_ran_out_while_nothing_ran_is_asked_on() {
    let mut sim = Sim::new(33, Mode::Approve).await;
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    sim.kill();
    sim.pass(Span::hours(3)).await;
    sim.crash();
    sim.pass(Span::seconds(10)).await;

    assert!(sim.answer(Decision::Approve).await);
    sim.pass(Span::minutes(1)).await;
    assert_eq!(sim.world.did("idp/block"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_ceiling_holds_under_a_storm() {
    let mut policy = Policy { mode: Mode::Auto, ..Policy::default() };
    policy.ceilings.automatic_blocks = 2;
    policy.ceilings.reserved_blocks = 3;
    let sim = Sim::with(13, policy).await;
    for n in 0..12 {
        sim.alert(&format!("p{n}"), Stage::Suspected).await.unwrap();
    }
    sim.pass(Span::seconds(30)).await;
    let incidents: Vec<_> = sim.engine.read(|c| c.state.incidents.values().cloned().collect());

    for incident in &incidents {
        sim.hostile_approval(incident).await;
    }
    sim.pass(Span::minutes(5)).await;

    assert_eq!(sim.world.did("idp/block"), 5, "two automatic and three reserved");
}

/// Fifty people say yes at once, and decoys come before the one that is real.
#[tokio::test(start_paused = true)]
async fn fifty_grants_at_once_do_not_pass_one_ceiling_and_decoys_use_up_nothing_that_is_reserved() {
    let mut policy = Policy { mode: Mode::Approve, ..Policy::default() };
    policy.ceilings.approved_blocks = 7;
    policy.ceilings.reserved_blocks = 2;
    let sim = Sim::with(35, policy).await;
    for n in 0..50 {
        sim.alert(&format!("decoy{n}"), Stage::Confirmed).await.unwrap();
    }
    sim.pass(Span::minutes(2)).await;
    let asked: Vec<_> = sim.engine.read(|c| c.state.approvals.values().cloned().collect());
    assert_eq!(asked.len(), 50);

    let yes = asked.iter().map(|question| sim.answer_as(question, OLGA, Decision::Approve));
    assert!(futures::future::join_all(yes).await.into_iter().all(|taken| taken));
    sim.pass(Span::minutes(10)).await;
    assert_eq!(sim.world.did("idp/block"), 7);

    sim.alert("real", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(20)).await;
    let newest = sim.engine.read(|c| c.state.incidents.values().next_back().cloned()).unwrap();
    sim.hostile_approval(&newest).await;
    sim.pass(Span::seconds(20)).await;
    let of_it = |q: &&Approval| q.incident == newest.id && q.state == ApprovalState::Pending;
    let question = sim.engine.read(|c| c.state.approvals.values().find(of_it).cloned()).unwrap();
    assert!(sim.answer_as(&question, OLGA, Decision::Approve).await);
    sim.pass(Span::minutes(1)).await;
    assert!(!sim.world.person("real").enabled, "its budget is its own");
    assert_eq!(sim.world.did("idp/block"), 8);
}

#[tokio::test(start_paused = true)]
async fn a_source_locks_nobody_out_until_a_quorum_has_let_it() {
    let sim = Sim::new(38, Mode::Auto).await;
    let policy = Policy { mode: Mode::Auto, ..Policy::default() };
    let rules = Guardrails { policy, groups: [].into(), contain: [].into() };
    sim.engine.settle_guardrails(rules.clone(), false).await.unwrap();
    sim.alert("dana", Stage::Suspected).await.unwrap();
    assert_eq!(sim.incident().may_cause, MayCause::Revoke);

    let rules = Guardrails { contain: ["siem".into()].into(), ..rules };
    sim.engine.settle_guardrails(rules, true).await.unwrap();
    sim.alert("dana", Stage::Confirmed).await.unwrap();
    assert_eq!(sim.incident().may_cause, MayCause::Contain);
}

#[tokio::test(start_paused = true)]
async fn a_raised_ceiling_is_one_campaigns_and_ends() {
    let mut policy = Policy { mode: Mode::Auto, ..Policy::default() };
    policy.ceilings.automatic_blocks = 0;
    policy.ceilings.reserved_blocks = 1;
    let sim = Sim::with(37, policy).await;
    for n in 0..8 {
        sim.alert(&format!("p{n}"), Stage::Suspected).await.unwrap();
    }
    sim.pass(Span::seconds(30)).await;
    let incidents: Vec<_> = sim.engine.read(|c| c.state.incidents.values().cloned().collect());
    for (n, incident) in incidents.iter().enumerate() {
        sim.in_campaign(incident, if n < 6 { "drip" } else { "other" }).await;
    }
    let raised = |until| {
        Entry::CeilingRaised(CeilingRaised {
            campaign: "drip".into(),
            blocks: 3,
            until,
            by: vec![person(OLGA), person(PETE)],
            needed: 2,
        })
    };
    let until = sim.engine.now() + Span::minutes(30).delta();
    sim.engine.commit(|tx| tx.push(raised(until))).await.unwrap();

    for incident in &incidents[..5] {
        sim.hostile_approval(incident).await;
    }
    sim.hostile_approval(&incidents[6]).await;
    sim.pass(Span::minutes(5)).await;
    assert_eq!(sim.world.did("idp/block"), 4, "one reserved, three of the campaign");
    assert!(sim.world.person("p6").enabled, "another campaign has no part in it");
    sim.pass(Span::hours(2)).await;
    sim.hostile_approval(&incidents[5]).await;
    sim.pass(Span::minutes(5)).await;

    assert_eq!(sim.world.did("idp/block"), 5, "the ordinary ceiling alone, an hour later");
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_step_fails_and_the_others_go_on() {
    let sim = Sim::new(14, Mode::Auto).await;
    *sim.world.script.lock().unwrap() = vec![super::world::Fault::Forbidden];

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;

    assert_eq!(sim.runs()[0].status, RunStatus::Failed);
    assert_eq!(
        sim.world.log.lock().unwrap().len(),
        2,
        "of ticket and two revocations, one was refused"
    );
}

#[tokio::test(start_paused = true)]
async fn the_fold_of_the_journal_is_the_projection() {
    let sim = Sim::new(15, Mode::Auto).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(2)).await;
    sim.engine.stop().await;

    let mut folded = crate::engine::state::State::default();
    for commit in sim.store.written() {
        folded.apply(&commit);
    }
    let rows = sim.store.rows.lock().unwrap().clone();
    assert_eq!(folded.all_rows(), rows);
    let mut back = crate::engine::state::State::from_rows(folded.seq, rows.clone()).unwrap();
    // Answers to deliveries stay in their rows.
    let but_answers = |rows: &std::collections::BTreeMap<String, bytes::Bytes>| -> Vec<String> {
        rows.keys().filter(|key| !key.starts_with("delivery/")).cloned().collect()
    };
    let all = back.all_rows();
    assert_eq!(but_answers(&all), but_answers(&rows));
    assert!(all.iter().all(|(key, row)| rows.get(key) == Some(row)));
}

/// What was contained is not so any more once the attacker is let in, until the new answer is proved.
#[tokio::test(start_paused = true)]
async fn an_incident_is_not_contained_while_its_new_question_is_open() {
    let sim = Sim::new(16, Mode::Approve).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(60)).await;
    assert_eq!(sim.incident().status, IncidentStatus::Contained);

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::seconds(60)).await;

    assert!(sim.pending().is_some());
    assert_eq!(sim.incident().status, IncidentStatus::Open);
    sim.answer(Decision::Approve).await;
    sim.pass(Span::seconds(60)).await;
    let incident = sim.incident();
    assert_eq!(incident.status, IncidentStatus::Contained);
    let last = sim.world.log.lock().unwrap().last().map(|d| (d.action.clone(), d.at)).unwrap();
    assert_eq!(last.0, "idp/revoke", "the last revocation is the proof");
    assert!(incident.contained_at.unwrap() >= last.1);
}

/// A condition that speaks of `item` is asked for each item.
#[tokio::test(start_paused = true)]
async fn a_condition_on_the_item_is_asked_for_each_item() {
    let sim = Sim::new(17, Mode::Auto).await;
    let mut plan = super::playbook();
    plan.name = "a-first".into();
    plan.steps.retain(|s| s.id == "revoke" || s.id == "ticket");
    plan.steps[1].when = Some("item.login == 'somebody else'".into());
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();

    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;

    let run = &sim.runs()[0];
    assert!(ended_well(run), "{}", describe(run));
    assert_eq!(sim.world.did("idp/revoke"), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_grants_only_what_the_playbook_says_and_locks_nobody_out() {
    let sim = Sim::new(18, Mode::Approve).await;
    let mut plan = super::playbook();
    plan.name = "a-first".into();
    let rule = crate::model::plan::AskRule {
        timeout: Span::minutes(5),
        on_timeout: crate::model::plan::OnTimeout::Approve,
        quorum: 0,
    };
    for step in plan.steps.iter_mut().filter(|s| s.id == "revoke" || s.id == "block") {
        step.approval = Some(rule.clone());
    }
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();

    sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::minutes(1)).await;
    assert_eq!(sim.world.did("idp/revoke"), 0, "the playbook asks");
    sim.pass(Span::minutes(20)).await;

    assert_eq!(sim.world.did("idp/revoke"), 2, "{}", describe(&sim.runs()[0]));
    assert_eq!(sim.world.did("idp/block"), 0, "silence never locks anybody out");
}

/// A continuing run's cells have the names of the run before it; that must not make them new.
#[tokio::test(start_paused = true)]
async fn a_continuation_over_a_longer_list_does_only_what_is_new() {
    let sim = Sim::new(19, Mode::Auto).await;
    let mut plan = super::playbook();
    plan.name = "a-first".into();
    plan.steps.retain(|s| s.id == "ticket");
    plan.steps[0].for_each = Some("['a', 'b'] if incident.stage == 'breached' else ['a']".into());
    sim.engine.publish(plan, "plan-2".into(), String::new(), "test", String::new()).await.unwrap();
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::seconds(30)).await;
    assert_eq!(sim.world.tickets.lock().unwrap().len(), 1);

    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::seconds(30)).await;

    assert_eq!(sim.runs().len(), 2);
    assert_eq!(sim.world.tickets.lock().unwrap().len(), 2, "{}", describe(&sim.runs()[1]));
}
