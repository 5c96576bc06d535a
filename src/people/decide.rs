//! Decisions: a passkey signs one exact statement, once, within two minutes.

use serde_json::Value;
use webauthn_rs::prelude::{PasskeyAuthentication, PublicKeyCredential, RequestChallengeResponse};

use super::bind::bind;
use super::sign_in::passkey;
use super::{Act, Begun, LIFETIME, People, Problem, lock, may};
use crate::approval::statement::{canonical, root, sha256_hex};
use crate::engine::people::Refusal;
use crate::model::approval::{
    Approval, ApprovalState, Decision, Item, Signed, Statement, StatementItem,
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

/// Whether a person may decide a question now.
pub(crate) fn eligible(
    person: &PersonEnrolled,
    question: &Approval,
    now: Time,
) -> Result<(), Problem> {
    let already = match question.state {
        ApprovalState::Pending if question.expires_at <= now => Some("expired"),
        ApprovalState::Pending => None,
        ApprovalState::Approved => Some("approved"),
        ApprovalState::Denied => Some("denied"),
        ApprovalState::Expired => Some("expired"),
        ApprovalState::Cancelled => Some("cancelled"),
    };
    if let Some(already) = already {
        return Err(Refusal::Already(already).into());
    }
    if !may(&person.roles, Act::Decide) {
        return Err(Problem::Role);
    }
    if question.barred.iter().any(|barred| is_same(barred, &person.name)) {
        return Err(Problem::Barred(person.name.clone()));
    }
    Ok(())
}

/// `olga` and `olga@corp.example` are taken for one person: to bar one too many costs a
/// second approver, one too few lets a victim's account decide its own case.
fn is_same(barred: &str, name: &str) -> bool {
    let local = |s: &str| s.split('@').next().unwrap_or_default().trim().to_lowercase();
    let both_qualified = barred.contains('@') && name.contains('@');
    barred.trim().eq_ignore_ascii_case(name.trim())
        || (!both_qualified && local(barred) == local(name))
}

/// What is asked, by whom it would be answered, and where.
struct Facing {
    question: Approval,
    person: PersonEnrolled,
    deployment: DeploymentId,
    privileged: bool,
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
        eligible(&facing.person, &facing.question, now)?;
        let justification = tame(wish.justification.trim(), JUSTIFICATION_MAX);
        let short = justification.chars().count() < JUSTIFICATION_MIN;
        if facing.privileged && wish.decision == Decision::Approve && short {
            return Err(Problem::Justification(JUSTIFICATION_MIN));
        }
        let items = chosen(&facing.question, wish)?;
        let statement = self.statement(&facing, wish.decision, items, &justification, now);
        let kept = facing.person.passkey;
        let key = passkey(&kept).ok_or(Problem::Missing("passkey"))?;
        let (mut options, state) = self.0.webauthn.start_passkey_authentication(&[key])?;
        let state = bind(&mut options, &state, &statement)?;
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
        eligible(&facing.person, &facing.question, now)?;
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

    fn facing(&self, by: PersonId, approval: ApprovalId) -> Result<Facing, Problem> {
        self.0.engine.read(|core| {
            let state = &core.state;
            let question =
                state.approvals.get(&approval).cloned().ok_or(Problem::Missing("approval"))?;
            let person = state.people.get(&by).cloned().ok_or(Problem::Missing("person"))?;
            let deployment =
                state.deployment.as_ref().ok_or(Problem::Missing("deployment"))?.deployment;
            let subject = state
                .incidents
                .get(&question.incident)
                .and_then(|incident| state.subject(incident.subject));
            let privileged = subject.is_some_and(crate::model::subject::Subject::privileged);
            Ok(Facing { question, person, deployment, privileged })
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

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_victims_account_does_not_decide_under_a_shorter_name() {
        assert!(is_same("Olga@corp.example", "olga@CORP.example"));
        assert!(is_same("olga@corp.example", "olga"));
        assert!(!is_same("olga@corp.example", "olga@other.example"));
        assert!(!is_same("olga@corp.example", "oleg"));
    }
}
