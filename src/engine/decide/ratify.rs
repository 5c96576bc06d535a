//! What was done first and is put to people afterwards.

use super::Command;
use super::cell::Pass;
use crate::approval::statement::params_digest;
use crate::model::approval::{ApprovalState, Asks, Item, Tier};
use crate::model::plan::{AskRule, OnTimeout};
use crate::model::run::{Cell, CellState, Conclusion};

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
        let items: Vec<Item> = due.into_iter().filter_map(|c| self.done(c)).collect();
        // Asked while paused as well: it is no effect, and whoever pulled the switch may want it undone.
        if items.is_empty() {
            return all;
        }
        let rule = AskRule {
            timeout: self.view.policy.ratify_timeout,
            on_timeout: OnTimeout::Deny,
            quorum: 0,
        };
        let (asks, tier) = (Asks::Ratify, Tier::Privileged);
        self.out.commands.push(Command::Ask { items, rule, asks, tier });
        false
    }

    /// The item that stands for a cell whose effect is there.
    fn done(&self, cell: &Cell) -> Option<Item> {
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
            reason: "it was done at once: a privileged person let somebody in".to_owned(),
            reversal: "undone if two people say no".to_owned(),
        })
    }
}
