//! The language as a whole: plans, digests, and that no text can hurt it.

use proptest::prelude::*;

use super::*;
use crate::model::plan::{Does, OnTimeout};

const SMALL: &str = "playbook: small\ntriggers: [manual]\nsteps:\n  - id: wait\n    wait: 15m\n";

fn codes(text: &str) -> Vec<&'static str> {
    match check("t.yaml", text, &fixture::signatures()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.code).collect(),
    }
}

fn step(lines: &str) -> String {
    let mut text = "playbook: t\ntriggers: [manual]\nsteps:\n".to_owned();
    for line in lines.lines() {
        text.extend(["  ", line, "\n"]);
    }
    text
}

#[test]
fn the_shipped_playbook_becomes_the_plan_it_says() {
    let (path, text) = SHIPPED[0];

    let plan = check(path, text, &fixture::signatures()).unwrap().plan;

    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["ticket", "revoke", "block", "factors", "reset", "revoke_again"]);
    let block = plan.step("block").unwrap();
    assert_eq!(block.for_each.as_deref(), Some("subject.accounts"));
    assert_eq!(block.expires, Some("24h".parse().unwrap()));
    assert_eq!(plan.step("revoke_again").unwrap().after, ["block", "factors", "reset"]);
    let Does::Use { with, .. } = &plan.step("ticket").unwrap().does else { panic!("no use") };
    assert_eq!(with["severity"], "{{ incident.severity }}");
}

#[test]
fn a_step_reads_the_steps_it_names() {
    let text = step(
        "- { id: open, use: ticket.open, with: { title: x } }\n\
         - { id: note, use: ticket.comment, with: { ticket: \"{{ steps.open.output.id }}\", text: \"{{ steps.open.outcome }} x\" } }\n\
         - { id: last, use: notify.message, when: steps.note.conclusion == 'failed', with: { text: x } }",
    );

    let plan = check("t.yaml", &text, &fixture::signatures()).unwrap().plan;

    assert_eq!(plan.step("note").unwrap().reads, ["open"]);
    assert_eq!(plan.step("last").unwrap().reads, ["note"]);
}

#[test]
fn comments_and_spelling_do_not_change_the_digest_but_meaning_does() {
    let of = |text: &str| check("t.yaml", text, &fixture::signatures()).unwrap().digest;
    let respelled =
        "# why\ntriggers:\n  - manual\nplaybook: 'small'\nsteps: [{ wait: 15m, id: wait }]";

    assert_eq!(of(SMALL), of(respelled));
    assert_ne!(of(SMALL), of(&SMALL.replace("15m", "16m")));
    assert_eq!(of(SMALL).as_str().len(), 64);
}

#[test]
fn an_approval_keeps_what_was_stated() {
    let text = step(
        "- id: revoke\n  use: identity.revoke_sessions\n  for_each: subject.accounts\n  approval: { timeout: 1h, on_timeout: escalate }",
    );

    let plan = check("t.yaml", &text, &fixture::signatures()).unwrap().plan;

    let ask = plan.steps[0].approval.clone().unwrap();
    assert_eq!((ask.timeout.to_string().as_str(), ask.on_timeout), ("1h", OnTimeout::Escalate));
}

#[test]
fn all_problems_come_in_one_go_and_in_file_order() {
    let text = "playbook: T\ntitel: x\ntriggers: [manual]\nsteps:\n  - id: a\n    use: ticket.opne\n    after: z\n";

    assert_eq!(codes(text), ["P007", "P004", "P010", "P022"]);
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("a: {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    let blocks: Vec<String> = (0..200).map(|n| format!("{}a:\n", "  ".repeat(n))).collect();

    for text in [deep, blocks.concat(), format!("a: {}", "x".repeat(300_000))] {
        assert_eq!(codes(&text), ["P032"], "{text:.30}");
    }
}

/// Anchors that multiply must be stopped before they fill the memory.
#[test]
fn a_bomb_of_aliases_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = format!("*a{}, ", n - 1).repeat(10);
        text += &[
            "a",
            &n.to_string(),
            ": &a",
            &n.to_string(),
            " [",
            before.trim_end_matches(", "),
            "]\n",
        ]
        .concat();
    }

    assert!(!codes(&text).is_empty());
}

/// What a caller gets is cut out of what was published: an author's comment must not cut it short.
#[test]
fn a_comment_that_looks_like_a_called_text_cuts_nothing_off() {
    let (_, shipped) = SHIPPED[0];
    let text = shipped.replacen("\nsteps:", "\n\n# called: nobody\n\nsteps:", 1);
    assert_ne!(text, shipped);
    let whole = check("t.yaml", &text, &fixture::signatures()).unwrap().whole_text();

    assert_eq!(own_text(&whole), text);
}

/// An error of the engine's at run time would come too late: nothing that checks may fail to compile.
#[test]
fn what_checks_clean_compiles() {
    for (path, text) in SHIPPED {
        let plan = check(path, text, &fixture::signatures()).unwrap().plan;
        for expression in plan.steps.iter().flat_map(|s| s.when.iter().chain(&s.for_each)) {
            assert_eq!(crate::template::check(expression), Ok(()));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_and_can_be_shown(text in "\\PC{0,200}") {
        answer(&text);
    }

    #[test]
    fn any_damage_to_a_playbook_is_answered(cut in 0usize..900, put in "[\\PC\n]{0,12}") {
        let (_, shipped) = SHIPPED[0];
        let mut at = cut.min(shipped.len());
        while !shipped.is_char_boundary(at) {
            at -= 1;
        }
        answer(&format!("{}{put}{}", &shipped[..at], &shipped[at..]));
        answer(&format!("{}{put}", &shipped[..at]));
    }

    #[test]
    fn any_expression_is_answered(when in "[a-z.|()\\[\\]{}'\"= ]{0,40}") {
        answer(&step(&format!("- {{ id: a, wait: 1m, when: {when:?} }}")));
        answer(&step(&format!("- id: a\n  wait: 1m\n  when: {when}")));
    }
}

fn answer(text: &str) {
    if let Err(problems) = check("t.yaml", text, &fixture::signatures()) {
        assert!(!problems.is_empty());
        let shown = crate::diagnostic::render(&problems, crate::diagnostic::Colour::Plain);
        assert!(shown.contains("t.yaml"));
    }
}
