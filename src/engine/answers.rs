//! People's answers: counted in one commit, so that nobody answers twice and nothing is granted by half.

use std::collections::BTreeSet;

use super::approvers::Approvers;
use super::driver::{Engine, Tx};
use super::people::Refusal;
use super::restore::NOT_RATIFIED;
use super::shelf::About;
use crate::approval::who::{Tally, tally};
use crate::model::approval::{Approval, ApprovalState, Asks, Signed, StatementItem, Vote};
use crate::model::entry::{ApprovalDecided, ApprovalVoted, Entry};
use crate::model::id::{ApprovalId, PersonId};
use crate::model::subject::Alias;

/// An answer that has been looked at and may be recorded.
struct Weighed {
    question: Approval,
    vote: Vote,
    tally: Tally,
    signed: Signed,
}

impl Engine {
    /// Records a person's verified answer; once answers are enough, the run goes on.
    pub(crate) async fn decide_approval(
        &self,
        approval: ApprovalId,
        by: PersonId,
        signed: Signed,
    ) -> Result<ApprovalState, Refusal> {
        if signed.statement.approval != approval {
            return Err(Refusal::Changed);
        }
        let done = self.decide_approvals(by, vec![signed]).await?;
        done.first().map(|(_, state)| *state).ok_or(Refusal::Missing("approval"))
    }

    /// The same for several questions: all answers are recorded in one commit, or none.
    pub(crate) async fn decide_approvals(
        &self,
        by: PersonId,
        answers: Vec<Signed>,
    ) -> Result<Vec<(ApprovalId, ApprovalState)>, Refusal> {
        for signed in &answers {
            self.fetch_about(About::Approval(signed.statement.approval)).await?;
        }
        if let Some(signed) = answers.first() {
            // A case of their own bars them, and may be at rest.
            self.fetch_named(&[Alias::login(&signed.by_name)]).await?;
        }
        let (result, written) = self.transact(|tx| {
            let weighed = self.weighed(tx, by, answers)?;
            Ok(weighed.into_iter().map(|answer| self.record(tx, by, answer)).collect())
        });
        written.await?;
        result
    }

    fn weighed(
        &self,
        tx: &Tx<'_>,
        by: PersonId,
        answers: Vec<Signed>,
    ) -> Result<Vec<Weighed>, Refusal> {
        let policy = self.policy();
        let who = Approvers::new(&tx.core.state, &policy, tx.at);
        let person = tx.core.state.people.get(&by).ok_or(Refusal::Missing("person"))?;
        let several = answers.len() > 1;
        let mut seen = BTreeSet::new();
        let weigh = |signed: Signed| {
            let statement = &signed.statement;
            if !seen.insert(statement.approval) {
                return Err(Refusal::Changed);
            }
            let question = tx.core.state.approvals.get(&statement.approval).cloned();
            let question = question.ok_or(Refusal::Missing("approval"))?;
            who.bar(&question, by)?;
            if !is_about(&question, &signed) || (several && !question.joins_others()) {
                return Err(Refusal::Changed);
            }
            let cells = question
                .items
                .iter()
                .filter(|item| statement.items.contains(&StatementItem::from(*item)))
                .map(|item| item.cell.clone());
            let vote = Vote {
                by,
                name: person.name.clone(),
                groups: who.groups(&person.name),
                decision: statement.decision,
                cells: cells.collect(),
                at: tx.at,
            };
            let tally = match tally(&question, &vote, who.grouped()) {
                Tally::NothingInCommon => return Err(Refusal::NothingInCommon),
                Tally::SameGroup => return Err(Refusal::SameGroup),
                counted => counted,
            };
            Ok(Weighed { question, vote, tally, signed })
        };
        answers.into_iter().map(weigh).collect()
    }

    fn record(
        &self,
        tx: &mut Tx<'_>,
        by: PersonId,
        answer: Weighed,
    ) -> (ApprovalId, ApprovalState) {
        let Weighed { question, vote, tally, signed } = answer;
        let (approval, incident) = (question.id, question.incident);
        let Tally::Settled { state, granted } = tally else {
            let voted = ApprovalVoted { approval, incident, vote, signed };
            tx.push(Entry::ApprovalVoted(Box::new(voted)));
            return (approval, ApprovalState::Pending);
        };
        tx.push(Entry::ApprovalDecided(Box::new(ApprovalDecided {
            approval,
            incident,
            state,
            granted,
            by,
            signed,
            begin_until: tx.at + self.policy().grant.delta(),
        })));
        if question.asks == Asks::Ratify && state == ApprovalState::Denied {
            self.not_ratified(tx, &question, by);
        }
        self.settle(tx, question.run);
        (approval, state)
    }

    /// What was done at once does not stand: it is undone, and nobody is asked again.
    fn not_ratified(&self, tx: &mut Tx<'_>, question: &Approval, by: PersonId) {
        let undone = self.start_restore(tx, question.incident, (NOT_RATIFIED, Some(by)), None);
        if let Err(refusal) = undone {
            tracing::warn!(incident.id = %question.incident, "Was not ratified, and nothing was to be undone: {refusal}");
        }
    }
}

/// Whether an answer is about what is asked now, and not about something that it was before.
fn is_about(question: &Approval, signed: &Signed) -> bool {
    let statement = &signed.statement;
    let asked: Vec<StatementItem> = question.items.iter().map(StatementItem::from).collect();
    !statement.items.is_empty()
        && statement.items.iter().all(|item| asked.contains(item))
        && statement.plan == question.plan
        && statement.run == question.run
        && statement.asks.is_none_or(|asks| asks == question.asks)
}
