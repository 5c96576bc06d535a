//! Decisions: a passkey signs one exact statement, once, within two minutes.

use serde_json::Value;
use webauthn_rs::prelude::{PasskeyAuthentication, PublicKeyCredential, RequestChallengeResponse};

use super::bind::bind;
use super::sign_in::passkey;
use super::{Begun, LIFETIME, People, Problem, lock};
use crate::approval::statement::{canonical, challenge, root, sha256_hex};
use crate::engine::approvers::Approvers;
use crate::model::approval::{
    Approval, ApprovalState, Asks, Decision, Item, Signed, Statement, StatementItem,
};
use crate::model::entry::PersonEnrolled;
use crate::model::id::{ApprovalId, DeploymentId, PersonId};
use crate::model::text::tame;
use crate::model::time::Time;

/// What must be written where a privileged person is concerned.
const JUSTIFICATION_MIN: usize = 15;
const JUSTIFICATION_MAX: usize = 1_000;

/// What a person wants to decide.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) approval: ApprovalId,
    pub(crate) decision: Decision,
    /// The [`tick`]s of the items to approve; a denial is of everything.
    pub(crate) items: Vec<String>,
    pub(crate) justification: String,
    /// Whom it concerns, typed again where a privileged person is concerned.
    pub(crate) confirm: String,
}

pub(super) struct Deciding {
    person: PersonId,
    statement: Statement,
    justification: String,
    passkey: Value,
    state: PasskeyAuthentication,
}

/// Names one exact action on a page: any change to it changes the name.
pub(crate) fn tick(item: &Item) -> String {
    sha256_hex(&canonical(&StatementItem::from(item)))
}

/// What is asked, by whom it would be answered, and where.
struct Facing {
    question: Approval,
    person: PersonEnrolled,
    deployment: DeploymentId,
    /// Whom it concerns.
    whom: String,
}

impl Facing {
    /// Whether this answer needs a reason and a typed name: one that lets something happen
    /// to a privileged person.
    fn is_typed(&self, decision: Decision) -> bool {
        let acts = match self.question.asks {
            Asks::Ratify => decision == Decision::Deny,
            Asks::Contain | Asks::Restore => decision == Decision::Approve,
        };
        acts && self.question.tier.is_typed()
    }
}

impl People {
    /// Has a statement drawn up, and what the passkey needs to sign it.
    pub(crate) fn decide_begin(
        &self,
        by: PersonId,
        wish: &Wish,
    ) -> Result<(Statement, Begun<RequestChallengeResponse>), Problem> {
        let now = self.now();
        let facing = self.facing(by, wish.approval)?;
        let justification = tame(wish.justification.trim(), JUSTIFICATION_MAX);
        let mut typed = None;
        if facing.is_typed(wish.decision) {
            if justification.chars().count() < JUSTIFICATION_MIN {
                return Err(Problem::Justification(JUSTIFICATION_MIN));
            }
            if !wish.confirm.trim().eq_ignore_ascii_case(facing.whom.trim()) {
                return Err(Problem::Confirm(facing.whom));
            }
            typed = Some(facing.whom.clone());
        }
        let items = chosen(&facing.question, wish)?;
        let mut statement = self.statement(&facing, wish.decision, items, &justification, now);
        statement.typed = typed;
        let kept = facing.person.passkey;
        let key = passkey(&kept).ok_or(Problem::Missing("passkey"))?;
        let (mut options, state) = self.0.webauthn.start_passkey_authentication(&[key])?;
        let state = bind(&mut options, &state, challenge(&statement))?;
        let deciding = Deciding {
            person: by,
            statement: statement.clone(),
            justification,
            passkey: kept,
            state,
        };
        let ceremony = self.secret();
        lock(&self.0.deciding).begin(ceremony.clone(), &by.to_string(), now, deciding);
        Ok((statement, Begun { ceremony, options }))
    }

    /// Checks the signature and everything else once more, and hands the decision to the engine.
    pub(crate) async fn decide_finish(
        &self,
        by: PersonId,
        approval: ApprovalId,
        ceremony: &str,
        answer: &PublicKeyCredential,
    ) -> Result<ApprovalState, Problem> {
        let now = self.now();
        let begun = lock(&self.0.deciding).take(ceremony, now).ok_or(Problem::Ceremony)?;
        if begun.person != by || begun.statement.approval != approval {
            return Err(Problem::Ceremony);
        }
        let facing = self.facing(by, approval)?;
        if facing.person.passkey != begun.passkey {
            return Err(Problem::Ceremony);
        }
        let result = self.0.webauthn.finish_passkey_authentication(answer, &begun.state)?;
        self.count(&result)?;
        let signed = Signed {
            statement: begun.statement,
            justification: begun.justification,
            by_name: facing.person.name,
            assertion: serde_json::to_value(answer).map_err(|e| Problem::Shape(e.to_string()))?,
            credential: begun.passkey,
        };
        Ok(self.0.engine.decide_approval(approval, by, signed).await?)
    }

    /// What somebody would answer, if they may.
    fn facing(&self, by: PersonId, approval: ApprovalId) -> Result<Facing, Problem> {
        self.0.engine.read(|core| {
            let state = &core.state;
            let question =
                state.approvals.get(&approval).cloned().ok_or(Problem::Missing("approval"))?;
            let person = state.people.get(&by).cloned().ok_or(Problem::Missing("person"))?;
            let deployment =
                state.deployment.as_ref().ok_or(Problem::Missing("deployment"))?.deployment;
            Approvers::new(state, self.0.engine.policy(), self.now()).bar(&question, by)?;
            let incident = state.incidents.get(&question.incident);
            let subject = incident.and_then(|incident| state.subject(incident.subject));
            let whom = subject.map(|s| s.name.clone()).unwrap_or_default();
            Ok(Facing { question, person, deployment, whom })
        })
    }

    fn statement(
        &self,
        facing: &Facing,
        decision: Decision,
        items: Vec<StatementItem>,
        justification: &str,
        now: Time,
    ) -> Statement {
        let mut nonce = [0; 32];
        self.0.engine.ports().entropy.fill(&mut nonce);
        let question = &facing.question;
        Statement {
            rp: self.0.rp.clone(),
            deployment: facing.deployment,
            approval: question.id,
            incident: question.incident,
            run: question.run,
            plan: question.plan.clone(),
            root: root(&items),
            items,
            decision,
            asks: Some(question.asks),
            typed: None,
            justification: sha256_hex(justification.as_bytes()),
            approver: facing.person.person,
            nonce: hex::encode(nonce),
            issued_at: now,
            expires_at: question.expires_at.min(now + LIFETIME),
        }
    }
}

/// The items that a decision is about. A tick that names no item means that the question changed.
fn chosen(question: &Approval, wish: &Wish) -> Result<Vec<StatementItem>, Problem> {
    if wish.decision == Decision::Deny {
        return Ok(question.items.iter().map(StatementItem::from).collect());
    }
    if wish.items.is_empty() {
        return Err(Problem::NoItems);
    }
    let ticks: Vec<(String, &Item)> = question.items.iter().map(|i| (tick(i), i)).collect();
    if wish.items.iter().any(|wanted| !ticks.iter().any(|(tick, _)| tick == wanted)) {
        return Err(Problem::Changed);
    }
    let wanted = ticks.iter().filter(|(tick, _)| wish.items.contains(tick));
    Ok(wanted.map(|(_, item)| StatementItem::from(*item)).collect())
}
