//! Decisions: a passkey signs one exact statement, once, within two minutes.

use serde_json::Value;
use std::collections::BTreeSet;
use webauthn_rs::prelude::{PasskeyAuthentication, PublicKeyCredential, RequestChallengeResponse};

use super::bind::bind;
use super::sign_in::passkey;
use super::{Begun, LIFETIME, People, Problem, lock};
use crate::approval::statement::{canonical, challenge_of, root, sha256_hex, together};
use crate::engine::approvers::Approvers;
use crate::model::approval::{
    Approval, ApprovalState, Asks, Decision, Item, Signed, Statement, StatementItem,
};
use crate::model::entry::PersonEnrolled;
use crate::model::id::{ApprovalId, DeploymentId, PersonId};
use crate::model::text::tame;

/// What must be written where a privileged person is concerned.
const JUSTIFICATION_MIN: usize = 15;
const JUSTIFICATION_MAX: usize = 1_000;
/// How many people's cases one answer may be about: more than that nobody reads.
pub(crate) const TOGETHER_MAX: usize = 25;

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

/// A part of one answer to several questions.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) approval: ApprovalId,
    /// The [`tick`]s of the items to approve.
    pub(crate) items: Vec<String>,
}

/// What a person wants to decide about several people's cases at once.
#[derive(Debug, Clone)]
pub(crate) struct Together {
    pub(crate) parts: Vec<Part>,
    pub(crate) decision: Decision,
    pub(crate) justification: String,
}

pub(super) struct Deciding {
    person: PersonId,
    statements: Vec<Statement>,
    justification: String,
    passkey: Value,
    state: PasskeyAuthentication,
}

/// Names one exact action on a page: any change to it changes the name.
pub(crate) fn tick(item: &Item) -> String {
    sha256_hex(&canonical(&StatementItem::from(item)))
}

/// Questions, by whom they would be answered, and where.
struct Facing {
    person: PersonEnrolled,
    deployment: DeploymentId,
    asked: Vec<Asked>,
}

struct Asked {
    question: Approval,
    /// Whom it concerns.
    whom: String,
}

impl Asked {
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
        let mut facing = self.facing(by, &[wish.approval])?;
        let asked = facing.asked.pop().ok_or(Problem::Missing("approval"))?;
        let justification = tame(wish.justification.trim(), JUSTIFICATION_MAX);
        let mut typed = None;
        if asked.is_typed(wish.decision) {
            if justification.chars().count() < JUSTIFICATION_MIN {
                return Err(Problem::Justification(JUSTIFICATION_MIN));
            }
            if !wish.confirm.trim().eq_ignore_ascii_case(asked.whom.trim()) {
                return Err(Problem::Confirm(asked.whom));
            }
            typed = Some(asked.whom.clone());
        }
        let items = chosen(&asked.question, wish.decision, &wish.items)?;
        let statement = Statement {
            typed,
            ..self.statement(&facing, &asked.question, wish.decision, items, &justification)
        };
        let begun = self.sign(facing.person, vec![statement.clone()], justification)?;
        Ok((statement, begun))
    }

    /// The same for several people's cases at once: a statement each, and one signature under them all.
    pub(crate) fn together_begin(
        &self,
        by: PersonId,
        wish: &Together,
    ) -> Result<(Vec<Statement>, Begun<RequestChallengeResponse>), Problem> {
        let ids: Vec<ApprovalId> = wish.parts.iter().map(|part| part.approval).collect();
        if ids.is_empty() {
            return Err(Problem::NoItems);
        }
        if ids.len() > TOGETHER_MAX {
            return Err(Problem::TooMany(TOGETHER_MAX));
        }
        if ids.iter().collect::<BTreeSet<_>>().len() < ids.len() {
            return Err(Problem::Changed);
        }
        let facing = self.facing(by, &ids)?;
        if let Some(alone) = facing.asked.iter().find(|a| !a.question.joins_others()) {
            return Err(Problem::Alone(alone.whom.clone()));
        }
        let justification = tame(wish.justification.trim(), JUSTIFICATION_MAX);
        let statements = facing.asked.iter().zip(&wish.parts).map(|(asked, part)| {
            let items = chosen(&asked.question, wish.decision, &part.items)?;
            Ok(self.statement(&facing, &asked.question, wish.decision, items, &justification))
        });
        let statements = statements.collect::<Result<Vec<Statement>, Problem>>()?;
        let begun = self.sign(facing.person, statements.clone(), justification)?;
        Ok((statements, begun))
    }

    /// Begins the ceremony whose challenge the statements are.
    fn sign(
        &self,
        person: PersonEnrolled,
        statements: Vec<Statement>,
        justification: String,
    ) -> Result<Begun<RequestChallengeResponse>, Problem> {
        let key = passkey(&person.passkey).ok_or(Problem::Missing("passkey"))?;
        let (mut options, state) = self.0.webauthn.start_passkey_authentication(&[key])?;
        let state = bind(&mut options, &state, challenge_of(&statements))?;
        let (by, passkey) = (person.person, person.passkey);
        let deciding = Deciding { person: by, statements, justification, passkey, state };
        let ceremony = self.secret();
        let owner = by.to_string();
        lock(&self.0.deciding).begin(ceremony.clone(), &owner, self.now(), deciding);
        Ok(Begun { ceremony, options })
    }

    /// Checks the signature and everything else once more, and hands the decision to the engine.
    pub(crate) async fn decide_finish(
        &self,
        by: PersonId,
        approval: ApprovalId,
        ceremony: &str,
        answer: &PublicKeyCredential,
    ) -> Result<ApprovalState, Problem> {
        let begun = lock(&self.0.deciding).take(ceremony, self.now()).ok_or(Problem::Ceremony)?;
        if !matches!(&begun.statements[..], [only] if only.approval == approval) {
            return Err(Problem::Ceremony);
        }
        let done = self.handed_in(by, begun, answer).await?;
        done.first().map(|(_, state)| *state).ok_or(Problem::Ceremony)
    }

    /// The same for what [`together_begin`](Self::together_begin) began: all of it counts, or nothing.
    pub(crate) async fn together_finish(
        &self,
        by: PersonId,
        ceremony: &str,
        answer: &PublicKeyCredential,
    ) -> Result<Vec<(ApprovalId, ApprovalState)>, Problem> {
        let begun = lock(&self.0.deciding).take(ceremony, self.now()).ok_or(Problem::Ceremony)?;
        self.handed_in(by, begun, answer).await
    }

    async fn handed_in(
        &self,
        by: PersonId,
        begun: Deciding,
        answer: &PublicKeyCredential,
    ) -> Result<Vec<(ApprovalId, ApprovalState)>, Problem> {
        let ids: Vec<ApprovalId> = begun.statements.iter().map(|s| s.approval).collect();
        let person = self.facing(by, &ids)?.person;
        if begun.person != by || person.passkey != begun.passkey {
            return Err(Problem::Ceremony);
        }
        let result = self.0.webauthn.finish_passkey_authentication(answer, &begun.state)?;
        self.count(&result)?;
        let assertion = serde_json::to_value(answer).map_err(|e| Problem::Shape(e.to_string()))?;
        let together = together(&begun.statements);
        let signed = begun.statements.into_iter().map(|statement| Signed {
            statement,
            together: together.clone(),
            justification: begun.justification.clone(),
            by_name: person.name.clone(),
            assertion: assertion.clone(),
            credential: begun.passkey.clone(),
        });
        Ok(self.0.engine.decide_approvals(by, signed.collect()).await?)
    }

    /// What somebody would answer, if they may answer all of it.
    fn facing(&self, by: PersonId, approvals: &[ApprovalId]) -> Result<Facing, Problem> {
        self.0.engine.read(|core| {
            let state = &core.state;
            let person = state.people.get(&by).cloned().ok_or(Problem::Missing("person"))?;
            let deployment =
                state.deployment.as_ref().ok_or(Problem::Missing("deployment"))?.deployment;
            let policy = self.0.engine.policy();
            let who = Approvers::new(state, &policy, self.now());
            let asked = approvals.iter().map(|id| {
                let question =
                    state.approvals.get(id).cloned().ok_or(Problem::Missing("approval"))?;
                who.bar(&question, by)?;
                let incident = state.incidents.get(&question.incident);
                let subject = incident.and_then(|incident| state.subject(incident.subject));
                let whom = subject.map(|s| s.name.clone()).unwrap_or_default();
                Ok(Asked { question, whom })
            });
            let asked = asked.collect::<Result<Vec<Asked>, Problem>>()?;
            Ok(Facing { person, deployment, asked })
        })
    }

    fn statement(
        &self,
        facing: &Facing,
        question: &Approval,
        decision: Decision,
        items: Vec<StatementItem>,
        justification: &str,
    ) -> Statement {
        let (now, mut nonce) = (self.now(), [0; 32]);
        self.0.engine.ports().entropy.fill(&mut nonce);
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
fn chosen(
    question: &Approval,
    decision: Decision,
    wanted: &[String],
) -> Result<Vec<StatementItem>, Problem> {
    if decision == Decision::Deny {
        return Ok(question.items.iter().map(StatementItem::from).collect());
    }
    if wanted.is_empty() {
        return Err(Problem::NoItems);
    }
    let ticks: Vec<(String, &Item)> = question.items.iter().map(|i| (tick(i), i)).collect();
    if wanted.iter().any(|wanted| !ticks.iter().any(|(tick, _)| tick == wanted)) {
        return Err(Problem::Changed);
    }
    let wanted = ticks.iter().filter(|(tick, _)| wanted.contains(tick));
    Ok(wanted.map(|(_, item)| StatementItem::from(*item)).collect())
}
