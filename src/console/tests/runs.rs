//! A run's page: its plan as a drawing and as a list, and what became of each step.

use axum::http::StatusCode;
use serde_json::json;
use std::collections::BTreeMap;

use super::{HOSTILE, approver, case_of, with_role};
use crate::model::action::{Call, Outcome, Strength};
use crate::model::entry::{Entry, RunStarted, StepIntent, StepOutcome, StepVerified};
use crate::model::id::{ApprovalId, PlanDigest, RunId};
use crate::model::plan::{Block, Does, Form, Mode, Place, Plan, PlanStep, Within};
use crate::model::run::{CellKey, CellState, Conclusion, Purpose, Round};
use crate::people::stand::Stand;

/// A plan whose every text is `text`: three steps in a row, the last in a branch.
fn plan(text: &str) -> Plan {
    let step = |id: &str| PlanStep {
        when: Some(text.to_owned()),
        for_each: Some(text.to_owned()),
        ..PlanStep::new(id, Does::action(&format!("identity.{text}")))
    };
    let within = Within { block: text.to_owned(), branch: Some(text.to_owned()) };
    let inner = Place { within: Some(within), finally: false };
    let ask = PlanStep { place: inner, ..PlanStep::new("ask", Does::Ask { message: text.into() }) };
    let block = Block {
        id: text.to_owned(),
        place: Place::default(),
        form: Form::Switch { on: text.to_owned(), cases: vec![text.to_owned()] },
        when: Some(text.to_owned()),
        after: vec!["block".into()],
        reads: vec!["revoke".into()],
    };
    Plan {
        name: text.into(),
        title: text.to_owned(),
        attack: Vec::new(),
        triggers: Vec::new(),
        also: false,
        mode: None,
        watch: None,
        inputs: BTreeMap::new(),
        blocks: vec![block],
        steps: vec![
            step("revoke"),
            PlanStep { after: vec!["revoke".into()], ..step("block") },
            ask,
            step(text),
        ],
    }
}

/// A run of such a plan, in the case that a question is about.
async fn started(stand: &Stand, question: ApprovalId, text: &str) -> RunId {
    started_for(stand, question, text, None).await
}

/// The same, of which only some steps are due.
async fn started_for(
    stand: &Stand,
    question: ApprovalId,
    text: &str,
    round: Option<Round>,
) -> RunId {
    let (incident, _) = case_of(stand, question);
    let run = RunId::mint(stand.engine.now(), stand.engine.ports().entropy.id());
    let started = RunStarted {
        run,
        incident,
        playbook: text.into(),
        plan: PlanDigest::new("plan-2"),
        purpose: Purpose::Contain,
        mode: Mode::Auto,
        rises_seen: 1,
        round,
        started_by: Some(text.to_owned()),
        decided_by: None,
        own_plan: Some(Box::new(plan(text))),
    };
    stand.engine.commit(|tx| tx.push(Entry::RunStarted(Box::new(started)))).await.unwrap();
    run
}

fn key(step: &str, item: &str) -> CellKey {
    CellKey { step: step.into(), item: item.to_owned() }
}

/// One account's step, from its intent to what came back.
async fn tried(stand: &Stand, question: ApprovalId, run: RunId, item: &str, next: CellState) {
    let (incident, _) = case_of(stand, question);
    let now = stand.engine.now();
    let intent = StepIntent {
        run,
        incident,
        cell: key("revoke", item),
        capability: "identity.revoke_sessions".into(),
        account: None,
        attempt: 1,
        call: Call {
            connection: "idp".into(),
            action: "okta/clear-sessions".into(),
            inputs: BTreeMap::from([("comment".to_owned(), json!(item))]),
            key: "k".into(),
        },
        grant: None,
        ceiling: None,
        ratify: false,
    };
    let outcome = StepOutcome {
        run,
        incident,
        cell: key("revoke", item),
        attempt: 1,
        outcome: Outcome::Done,
        status: Some(200),
        output: json!({}),
        problem: Some(item.to_owned()),
        residual: Some(item.to_owned()),
        next,
        sent_at: now,
    };
    let both = [Entry::StepIntent(Box::new(intent)), Entry::StepOutcome(Box::new(outcome))];
    stand.engine.commit(|tx| both.into_iter().for_each(|entry| tx.push(entry))).await.unwrap();
}

#[tokio::test]
async fn a_runs_page_draws_its_plan_and_lists_the_same() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (_ann, browser) = approver(&stand).await;
    let run = started(&stand, question, "watch").await;
    let path = format!("/runs/{run}");

    let before = browser.get(&path).await.body;
    let applied = || CellState::Applied { at: stand.engine.now(), reads: 0 };
    let done = || CellState::Concluded { conclusion: Conclusion::Succeeded };
    tried(&stand, question, run, "idp:1", applied()).await;
    tried(&stand, question, run, "idp:2", done()).await;
    let after = browser.get(&path).await.body;

    assert_eq!(before.matches("<g class=\"cube quiet\">").count(), 4, "{before}");
    assert!(before.contains("not begun") && before.contains("one of, by watch"), "{before}");
    // The one that needs a look is shown, in the drawing and in the list.
    assert!(after.contains("<g class=\"cube wait\">"), "{after}");
    assert_eq!(after.matches("1 of 2").count(), 3, "box, its title and the list: {after}");
    assert!(after.contains("href=\"#step-1\"") && after.contains("id=\"step-1\""));
    assert!(after.contains("mia at idp") && after.contains("okta/clear-sessions at idp"));
    assert!(after.contains("Read back</dt><dd>under way"), "{after}");
    let (incident, _) = case_of(&stand, question);
    let case = browser.get(&format!("/incidents/{incident}")).await.body;
    assert!(case.contains(&format!("href=\"/runs/{run}\"")), "{case}");
}

/// A continuation pins the whole plan and has some of its steps to do.
#[tokio::test]
async fn what_a_continuation_has_not_to_do_is_not_shown_as_to_come() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (_ann, browser) = approver(&stand).await;
    let started_at = stand.engine.now();
    let round = Round { prefix: String::new(), started_at, steps: vec!["block".into()] };
    let run = started_for(&stand, question, "watch", Some(round)).await;

    let page = browser.get(&format!("/runs/{run}")).await.body;

    let drawn = page.split("<svg").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(drawn.matches("</tspan> not begun").count(), 1, "{drawn}");
    assert_eq!(drawn.matches("</tspan> not due here").count(), 3, "{drawn}");
}

#[tokio::test]
async fn what_was_read_back_is_told_on_the_runs_page() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let viewer = with_role(&stand, "vic", "viewer").await;
    let run = started(&stand, question, "watch").await;
    let now = stand.engine.now();
    tried(&stand, question, run, "idp:1", CellState::Applied { at: now, reads: 0 }).await;
    let verified = StepVerified {
        run,
        incident: case_of(&stand, question).0,
        cell: key("revoke", "idp:1"),
        strength: Some(Strength::State),
        output: json!({}),
        problem: None,
        next: CellState::Concluded { conclusion: Conclusion::Succeeded },
    };
    stand.engine.commit(|tx| tx.push(Entry::StepVerified(Box::new(verified)))).await.unwrap();

    let page = viewer.get(&format!("/runs/{run}")).await;

    assert_eq!(page.status, StatusCode::OK);
    let told = "Read back</dt><dd>the provider&#39;s own state shows it";
    assert!(page.body.contains(told), "{}", page.body);
    assert!(page.body.contains("<g class=\"cube good\">"));
    assert_eq!(viewer.get("/runs/none").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn hostile_text_stays_text_in_the_drawing_and_beside_it() {
    let stand = Stand::new().await;
    let question = stand.ask(HOSTILE, true).await;
    let (_ann, browser) = approver(&stand).await;
    let run = started(&stand, question, HOSTILE).await;
    let parked = CellState::Parked { problem: HOSTILE.to_owned() };
    tried(&stand, question, run, HOSTILE, parked).await;

    let html = browser.get(&format!("/runs/{run}")).await.body;

    assert!(html.contains("alert(1)"), "it is shown: {html}");
    super::inert(&html, "/runs");
}
