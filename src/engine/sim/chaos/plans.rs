//! The playbooks of a story: the shape of the shipped one, with what its author may have changed.

use std::collections::BTreeMap;

use super::draw::Draw;
use crate::model::alert::AlertKind;
use crate::model::plan::{AskRule, Does, OnError, OnTimeout, Plan, PlanStep, RatifyRule, Trigger};
use crate::model::time::Span;

/// What the author wanted.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent wish")]
pub(super) struct Wish {
    /// How long blocks last.
    pub(super) expires: Option<u8>,
    /// The risk mark, a second change that can be undone.
    pub(super) marks: bool,
    pub(super) stops: bool,
    /// Inputs that change while people think.
    pub(super) notes: bool,
    /// The playbook asks before it revokes, and silence grants it.
    pub(super) asks: bool,
    pub(super) waits: bool,
    pub(super) also: bool,
    /// Blocks that need nobody's yes are put to people afterwards.
    pub(super) ratifies: bool,
}

pub(super) fn wish(draw: &Draw) -> Wish {
    let mut wish = Wish {
        expires: draw.pick(&[None, Some(20), Some(60)]),
        marks: draw.chance(50),
        stops: draw.chance(15),
        notes: draw.chance(25),
        asks: draw.chance(12),
        waits: draw.chance(15),
        also: draw.chance(20),
        ratifies: false,
    };
    // Of what is drawn already: another draw would make another story of every seed.
    wish.ratifies = wish.stops != wish.notes;
    wish
}

fn step(id: &str, name: &str) -> PlanStep {
    PlanStep::new(id, Does::action(name))
}

fn each(id: &str, name: &str, after: &[&str]) -> PlanStep {
    PlanStep {
        for_each: Some("subject.accounts".into()),
        after: after.iter().map(|id| (*id).to_owned()).collect(),
        ..step(id, name)
    }
}

pub(super) const SURE: &str = r#"incident.stage in ["confirmed", "breached"]"#;

fn with(name: &str, input: &str, text: &str) -> Does {
    let with = BTreeMap::from([(input.to_owned(), serde_json::json!(text))]);
    Does::Use { name: name.into(), connection: None, with }
}

/// The playbook that contains.
pub(super) fn container(wish: Wish) -> Plan {
    let mut block = PlanStep {
        when: Some(SURE.into()),
        expires: wish.expires.map(|m| Span::minutes(i64::from(m))),
        ..each("block", "identity.block_sign_in", &[])
    };
    if wish.notes {
        block.does = with("identity.block_sign_in", "note", "{{ incident.counts.alerts }} alerts");
    }
    block.ratify = wish.ratifies.then(|| RatifyRule {
        timeout: Some(Span::minutes(10)),
        quorum: u32::from(wish.marks) * 2,
    });
    let mut revoke = each("revoke", "identity.revoke_sessions", &[]);
    if wish.asks {
        revoke.approval =
            Some(AskRule { timeout: Span::minutes(4), on_timeout: OnTimeout::Approve, quorum: 0 });
    }
    if wish.stops {
        revoke.on_error = OnError::Stop;
    }
    let reset = PlanStep {
        when: Some(format!("incident.password_exposed and {SURE}")),
        ..each("reset", "identity.reset_credentials", &["block"])
    };
    let factors = PlanStep {
        for_each: Some("incident.hostile_factors".into()),
        // Without `after`, the guardrail is all that keeps the last one.
        after: if wish.notes { Vec::new() } else { vec!["block".into()] },
        ..step("factors", "identity.remove_factor")
    };
    let mark = PlanStep {
        when: Some(SURE.into()),
        expires: Some(Span::minutes(30)),
        ..each("mark", "identity.mark_compromised", &[])
    };
    let ticket = PlanStep {
        does: with("ticket.open", "title", "Push bombing: {{ subject.name }}"),
        ..step("ticket", "ticket.open")
    };
    let pause = PlanStep { does: Does::Wait(Span::minutes(2)), ..step("pause", "") };
    let again = each("revoke_again", "identity.revoke_sessions", &["block", "reset"]);
    let comment = PlanStep { after: vec!["block".into()], ..step("comment", "ticket.comment") };
    let mut steps =
        vec![ticket, step("page", "notify.page"), step("tell", "notify.message"), revoke];
    steps.extend(wish.marks.then_some(mark));
    steps.extend([block, factors, reset]);
    steps.extend(wish.waits.then_some(pause));
    steps.extend([again, comment]);
    plan("contain", false, steps)
}

/// One that runs beside it.
pub(super) fn beside() -> Plan {
    plan("look", true, vec![each("who", "identity.get_user", &[]), step("note", "ticket.comment")])
}

fn plan(name: &str, also: bool, steps: Vec<PlanStep>) -> Plan {
    Plan {
        name: name.into(),
        title: String::new(),
        attack: Vec::new(),
        triggers: vec![
            Trigger::Alert(AlertKind::MfaFatigue),
            Trigger::Alert(AlertKind::MfaFraudReported),
            Trigger::Report,
            Trigger::Manual,
        ],
        also,
        mode: None,
        watch: None,
        steps,
        inputs: BTreeMap::new(),
        blocks: Vec::new(),
    }
}
