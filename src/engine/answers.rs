//! People's answers: counted in one commit, so that nobody answers twice and nothing is granted by half.

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

impl Engine {
    /// Records a person's verified answer; once answers are enough, the run goes on.
    pub(crate) async fn decide_approval(
        &self,
        approval: ApprovalId,
        by: PersonId,
        signed: Signed,
    ) -> Result<ApprovalState, Refusal> {
        self.fetch_about(About::Approval(approval)).await?;
        // A case of their own bars them, and may be at rest.
        self.fetch_named(&[Alias::login(&signed.by_name)]).await?;
        let (result, written) = self.transact(|tx| self.decided(tx, approval, by, signed));
        written.await?;
        result
    }

    fn decided(
        &self,
        tx: &mut Tx<'_>,
        id: ApprovalId,
        by: PersonId,
        signed: Signed,
    ) -> Result<ApprovalState, Refusal> {
        let question =
            tx.core.state.approvals.get(&id).cloned().ok_or(Refusal::Missing("approval"))?;
        let who = Approvers::new(&tx.core.state, self.policy(), tx.at);
        who.bar(&question, by)?;
        let person = tx.core.state.people.get(&by).ok_or(Refusal::Missing("person"))?;
        let (name, groups, grouped) =
            (person.name.clone(), who.groups(&person.name), who.grouped());
        let statement = &signed.statement;
        let asked: Vec<StatementItem> = question.items.iter().map(StatementItem::from).collect();
        let all_known =
            statement.items.iter().all(|item| asked.contains(item)) && !statement.items.is_empty();
        if !all_known
            || statement.plan != question.plan
            || statement.run != question.run
            || statement.approval != id
            || statement.asks.is_some_and(|asks| asks != question.asks)
        {
            return Err(Refusal::Changed);
        }
        let cells = question
            .items
            .iter()
            .filter(|item| statement.items.contains(&StatementItem::from(*item)))
            .map(|item| item.cell.clone());
        let vote = Vote {
            by,
            name,
            groups,
            decision: statement.decision,
            cells: cells.collect(),
            at: tx.at,
        };
        let incident = question.incident;
        let (state, granted) = match tally(&question, &vote, grouped) {
            Tally::Open => {
                let voted = ApprovalVoted { approval: id, incident, vote, signed };
                tx.push(Entry::ApprovalVoted(Box::new(voted)));
                return Ok(ApprovalState::Pending);
            }
            Tally::NothingInCommon => return Err(Refusal::NothingInCommon),
            Tally::SameGroup => return Err(Refusal::SameGroup),
            Tally::Settled { state, granted } => (state, granted),
        };
        tx.push(Entry::ApprovalDecided(Box::new(ApprovalDecided {
            approval: id,
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
        Ok(state)
    }

    /// What was done at once does not stand: it is undone, and nobody is asked again.
    fn not_ratified(&self, tx: &mut Tx<'_>, question: &Approval, by: PersonId) {
        let undone = self.start_restore(tx, question.incident, (NOT_RATIFIED, Some(by)), None);
        if let Err(refusal) = undone {
            tracing::warn!(incident.id = %question.incident, "Was not ratified, and nothing was to be undone: {refusal}");
        }
    }
}
