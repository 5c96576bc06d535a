//! What was done first and is put to people afterwards.

use super::Command;
use super::cell::Pass;
use crate::approval::statement::params_digest;
use crate::model::approval::{ApprovalState, Asks, Item, Tier};
use crate::model::plan::{AskRule, OnTimeout, RatifyRule};
use crate::model::run::{Cell, CellState, Conclusion};
use crate::model::subject::Subject;

impl Pass<'_, '_> {
    /// Asks about what has been done and was not asked about yet; true when no such question is open or due.
    pub(super) fn ratifications(&mut self) -> bool {
        let (run, state) = (self.view.run, self.view.state);
        let asked: Vec<_> = run
            .asked
            .iter()
            .filter_map(|id| state.approvals.get(id))
            .filter(|question| question.asks == Asks::Ratify)
            .collect();
        let mut all = true;
        for question in asked.iter().filter(|q| q.state == ApprovalState::Pending) {
            all &= self.asked(question.id);
        }
        let is_asked =
            |cell: &Cell| asked.iter().any(|q| q.items.iter().any(|i| i.cell == cell.key));
        let due: Vec<&Cell> = run.cells().filter(|c| c.ratify && !is_asked(c)).collect();
        // Those whose call is under way are part of the same question in a moment.
        if due.is_empty() || due.iter().any(|c| c.state == CellState::Intended) {
            return all && due.is_empty();
        }
        let (rule, tier) = self.ratified_by(&due);
        let people = tier.quorum().max(rule.quorum);
        let items: Vec<Item> = due.into_iter().filter_map(|c| self.done(c, people)).collect();
        // Asked while paused as well: it is no effect, and whoever pulled the switch may want it undone.
        if items.is_empty() {
            return all;
        }
        let asks = Asks::Ratify;
        self.out.commands.push(Command::Ask { items, rule, asks, tier });
        false
    }

    /// How long and how many people are asked: the longest time, so that nobody's no is cut short, and as many people
    /// as any of the steps wants. What the doctrine itself has ratified has its time and its number whatever a playbook says.
    fn ratified_by(&self, cells: &[&Cell]) -> (AskRule, Tier) {
        let doctrines = self.view.policy.ratify_timeout;
        let wishes: Vec<Option<&RatifyRule>> = cells.iter().map(|c| self.wish(c)).collect();
        let is_doctrines = self.is_privileged() || wishes.iter().any(Option::is_none);
        let own = |wish: Option<&RatifyRule>| wish.and_then(|w| w.timeout).unwrap_or(doctrines);
        let longest = wishes.iter().copied().map(own).max();
        let timeout = longest.max(is_doctrines.then_some(doctrines)).unwrap_or(doctrines);
        let quorum = wishes.iter().flatten().map(|wish| wish.quorum).max().unwrap_or(0);
        let tier = if is_doctrines { Tier::Privileged } else { Tier::LocksOut };
        (AskRule { timeout, on_timeout: OnTimeout::Deny, quorum }, tier)
    }

    /// What the playbook says of a step that was done first.
    fn wish(&self, cell: &Cell) -> Option<&RatifyRule> {
        self.view.plan.step(cell.key.step.step())?.ratify.as_ref()
    }

    fn is_privileged(&self) -> bool {
        let incident = self.view.state.incidents.get(&self.view.run.incident);
        let subject = incident.and_then(|i| self.view.state.subject(i.subject));
        subject.is_none_or(Subject::privileged)
    }

    /// The item that stands for a cell whose effect is there.
    fn done(&self, cell: &Cell, people: u32) -> Option<Item> {
        let is_done = matches!(cell.state, CellState::Applied { .. })
            || cell.conclusion() == Some(Conclusion::Succeeded);
        let sent = &cell.applied.as_ref().filter(|_| is_done)?.call;
        let login = cell.account.as_ref().and_then(|key| self.account(key)).map(|a| &a.login);
        Some(Item {
            cell: cell.key.clone(),
            capability: cell.capability.clone()?,
            action: sent.action.clone(),
            target: cell
                .account
                .as_ref()
                .map_or_else(|| sent.connection.to_string(), ToString::to_string),
            account: cell.account.clone(),
            target_name: login.cloned().unwrap_or_default(),
            params: params_digest(&sent.inputs),
            inputs: sent.inputs.clone(),
            reason: if self.is_privileged() || self.wish(cell).is_none() {
                "it was done at once: a privileged person let somebody in".to_owned()
            } else {
                "it was done at once, and the playbook wants it looked at".to_owned()
            },
            reversal: match people {
                1 => "undone if somebody says no".to_owned(),
                2 => "undone if two people say no".to_owned(),
                more => format!("undone if {more} people say no"),
            },
        })
    }
}
