//! Goes through a journal, entry by entry, and checks every answer of a person and every effect that
//! needed one: who signed precisely what, that enough people did, and that what was done is what they signed.
//!
//! Nothing but the journal takes part. A journal whose oldest lines were dropped may speak of questions that
//! were in those; of them only the signatures are checked.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::offline::{Invalid, verify_decided, verify_deed, verify_voted};
use crate::approval::statement::{canonical, params_digest, sha256_hex};
use crate::model::approval::{Approval, ApprovalState, Asks, StatementItem};
use crate::model::deed::{Deed, DeedStatement, SignedDeed};
use crate::model::entry::{
    ApprovalDecided, ApprovalVoted, CeilingRaised, Entry, GuardrailsChanged, PersonEnrolled,
    RunStarted, StepIntent, TokenChanged,
};
use crate::model::id::{ApprovalId, PersonId};
use crate::model::run::{CellKey, Purpose};

/// What has been read so far.
#[derive(Default)]
pub(crate) struct Decisions {
    people: BTreeMap<PersonId, PersonEnrolled>,
    questions: BTreeMap<ApprovalId, Question>,
    /// Acts whose consequences are still to come.
    deeds: Vec<DeedStatement>,
    /// Whether what guards everybody is taken from the settings, whatever they say; once something was adopted.
    at_will: Option<bool>,
    lab: bool,
    /// Lines before the first may be missing by right.
    begins_late: bool,
    began: bool,
}

struct Question {
    asked: Approval,
    voted: Vec<ApprovalVoted>,
    /// What may be done on its account.
    granted: Vec<CellKey>,
}

/// The first thing that does not hold in a whole journal.
#[cfg(test)]
pub(crate) fn first_problem(entries: &[Entry]) -> Option<String> {
    let mut decisions = Decisions::default();
    entries.iter().find_map(|entry| decisions.check(entry).err())
}

impl Decisions {
    /// Looks at one more entry. An error says what does not hold.
    pub(crate) fn check(&mut self, entry: &Entry) -> Result<(), String> {
        if !std::mem::replace(&mut self.began, true) {
            self.begins_late = !matches!(entry, Entry::DeploymentCreated(_));
        }
        match entry {
            Entry::DeploymentCreated(made) => self.lab = made.lab,
            Entry::PersonEnrolled(person) => {
                self.people.insert(person.person, (**person).clone());
            }
            Entry::ApprovalOpened { approval } => {
                let question = Question {
                    asked: (**approval).clone(),
                    voted: Vec::new(),
                    granted: Vec::new(),
                };
                self.questions.insert(approval.id, question);
            }
            Entry::ApprovalVoted(voted) => return self.voted(voted),
            Entry::ApprovalDecided(decided) => return self.decided(decided),
            Entry::ApprovalExpired { approval, granted, .. } => {
                if let Some(question) = self.questions.get_mut(approval) {
                    question.granted.clone_from(granted);
                }
            }
            Entry::StepIntent(intent) => return self.begun(intent),
            Entry::RunStarted(run) => return self.restored(run),
            Entry::DeedSigned(deed) => return self.did(deed),
            Entry::GuardrailsChanged(changed) => return self.guarded(changed),
            Entry::CeilingRaised(raised) => return self.raised(raised),
            _ => return self.is_signed(entry),
        }
        Ok(())
    }

    fn did(&mut self, deed: &SignedDeed) -> Result<(), String> {
        let about = |why: String| format!("an act of {}: {why}", deed.by_name);
        let person = self.person(deed.statement.person).map_err(about)?;
        verify_deed(deed, person).map_err(|invalid| about(invalid.to_string()))?;
        self.deeds.push(deed.statement.clone());
        Ok(())
    }

    /// What only a person's passkey does follows its signature.
    fn is_signed(&mut self, entry: &Entry) -> Result<(), String> {
        let named = |by: &str| self.people.values().any(|p| p.name == by);
        let (what, needed): (_, &dyn Fn(&Deed) -> bool) = match entry {
            // The first person is invited by whoever sets the deployment up; a lab invites by itself.
            Entry::EnrolmentIssued { name, roles, .. } if !self.people.is_empty() && !self.lab => {
                let is_it = move |deed: &Deed| matches!(deed, Deed::Invite { name: n, role } if n == name && roles == std::slice::from_ref(role));
                return self.take("an invitation", &is_it);
            }
            Entry::PlanPublished(plan) if named(&plan.by) => (
                "a published playbook",
                &|deed| matches!(deed, Deed::Publish { digest, .. } if *digest == plan.digest),
            ),
            Entry::PauseChanged { paused: false, by, .. } if named(by) => {
                let is_it = |deed: &Deed| matches!(deed, Deed::Release { .. });
                let signed = self.take("the end of a pause", &is_it);
                // Where several signed, the others' have served as well.
                self.deeds.retain(|said| !is_it(&said.deed));
                return signed;
            }
            // What a token of the scope `admin` makes names that token.
            Entry::TokenChanged(token)
                if !token.revoked && token.by.as_deref().is_some_and(named) =>
            {
                return self.take_said("a token", &|said| is_for(said, token));
            }
            Entry::DelegationGiven(given) => {
                let is_it = move |deed: &Deed| {
                    let Deed::Delegate { to, begins, ends, scope } = deed else { return false };
                    (to, begins, ends, scope)
                        == (&given.to, &given.begins, &given.ends, &given.scope)
                };
                return self.take("somebody's standing in", &is_it);
            }
            Entry::DelegationEnded(ended) => {
                let is_it = move |deed: &Deed| matches!(deed, Deed::Recall { delegation } if *delegation == ended.delegation);
                return self.take("the end of somebody's standing in", &is_it);
            }
            Entry::StepParked { run, until: Some(_), problem, .. }
                if problem.starts_with("resumed by ") =>
            {
                let is_it = |deed: &Deed| matches!(deed, Deed::Resume { run: r } if r == run);
                // One act lets all parked steps of a run go on.
                let known = self.begins_late || self.deeds.iter().any(|said| is_it(&said.deed));
                return if known { Ok(()) } else { Err(unsigned("a resumed step")) };
            }
            _ => return Ok(()),
        };
        self.take(what, needed)
    }

    /// Uses up the signature of an act.
    fn take(&mut self, what: &str, is_it: &dyn Fn(&Deed) -> bool) -> Result<(), String> {
        self.take_said(what, &|said| is_it(&said.deed))
    }

    fn take_said(
        &mut self,
        what: &str,
        is_it: &dyn Fn(&DeedStatement) -> bool,
    ) -> Result<(), String> {
        match self.deeds.iter().position(is_it) {
            Some(at) => drop(self.deeds.remove(at)),
            None if self.begins_late => {}
            None => return Err(unsigned(what)),
        }
        Ok(())
    }

    /// What guards everybody is what was signed, by as many as it took.
    fn guarded(&mut self, changed: &GuardrailsChanged) -> Result<(), String> {
        if sha256_hex(&canonical(&changed.rules)) != changed.digest {
            return Err("the guardrails are not those that their digest names".to_owned());
        }
        let free = changed.rules["policy"]["auto_publish"] == Value::Bool(true);
        let before = self.at_will.replace(free);
        let at_will = self.lab || self.begins_late || before.unwrap_or(true);
        if changed.by.is_empty() && at_will {
            return Ok(());
        }
        let is_it =
            |deed: &Deed| matches!(deed, Deed::Adopt { digest } if *digest == changed.digest);
        self.is_signed_by("the guardrails", &changed.by, changed.needed, &is_it)
    }

    fn raised(&mut self, raised: &CeilingRaised) -> Result<(), String> {
        let same = Deed::Raise {
            campaign: raised.campaign.clone(),
            blocks: raised.blocks,
            until: raised.until,
        };
        self.is_signed_by("a raised ceiling", &raised.by, raised.needed, &|deed| *deed == same)
    }

    fn is_signed_by(
        &mut self,
        what: &str,
        by: &[PersonId],
        needed: u32,
        is_it: &dyn Fn(&Deed) -> bool,
    ) -> Result<(), String> {
        let different: BTreeSet<&PersonId> = by.iter().collect();
        if different.len() < needed.max(1) as usize {
            return Err(format!("{what}: {} of {needed} people signed", different.len()));
        }
        for person in different {
            self.take_said(what, &|said| said.person == *person && is_it(&said.deed))?;
        }
        Ok(())
    }

    fn person(&self, by: PersonId) -> Result<&PersonEnrolled, String> {
        self.people.get(&by).ok_or_else(|| "its person was never enrolled".to_owned())
    }

    fn voted(&mut self, voted: &ApprovalVoted) -> Result<(), String> {
        let about = |why: String| format!("an answer to {}: {why}", voted.approval);
        let person = self.person(voted.vote.by).map_err(about)?;
        verify_voted(voted, person).map_err(|invalid| about(invalid.to_string()))?;
        let late = self.begins_late;
        let Some(question) = self.questions.get_mut(&voted.approval) else {
            return if late { Ok(()) } else { Err(about("nobody had asked".to_owned())) };
        };
        is_about(&question.asked, &voted.signed.statement).map_err(about)?;
        if question.voted.iter().any(|known| known.vote.by == voted.vote.by) {
            return Err(about("the same person answered twice".to_owned()));
        }
        question.voted.push(voted.clone());
        Ok(())
    }

    fn decided(&mut self, decided: &ApprovalDecided) -> Result<(), String> {
        let about = |why: String| format!("the decision on {}: {why}", decided.approval);
        let person = self.person(decided.by).map_err(about)?;
        verify_decided(decided, person).map_err(|invalid| about(invalid.to_string()))?;
        let late = self.begins_late;
        let Some(question) = self.questions.get_mut(&decided.approval) else {
            return if late { Ok(()) } else { Err(about("nobody had asked".to_owned())) };
        };
        is_about(&question.asked, &decided.signed.statement).map_err(about)?;
        let statement = &decided.signed.statement;
        let others: Vec<&ApprovalVoted> = question
            .voted
            .iter()
            .filter(|v| v.vote.decision == statement.decision && v.vote.by != decided.by)
            .collect();
        let one_is_enough =
            decided.state == ApprovalState::Denied && question.asked.asks != Asks::Ratify;
        let needed = if one_is_enough { 1 } else { question.asked.quorum as usize };
        if others.len() + 1 < needed {
            let why = format!("{} of {needed} people answered so", others.len() + 1);
            return Err(about(why));
        }
        let ticked = |cell: &CellKey| others.iter().all(|v| v.vote.cells.contains(cell));
        if !decided.granted.iter().all(ticked) {
            return Err(about("it grants what not everybody approved".to_owned()));
        }
        question.granted.clone_from(&decided.granted);
        Ok(())
    }

    /// What was begun on account of a yes is exactly what the yes was about.
    fn begun(&self, intent: &StepIntent) -> Result<(), String> {
        let Some(grant) = intent.grant else { return Ok(()) };
        let about = |why: &str| Err(format!("step `{}` under {grant}: {why}", intent.cell.step));
        let Some(question) = self.questions.get(&grant) else {
            return if self.begins_late { Ok(()) } else { about("nobody had asked") };
        };
        if !question.granted.contains(&intent.cell) {
            return about("there is no decision that grants it");
        }
        let params = params_digest(&intent.call.inputs);
        let same = |item: &&crate::model::approval::Item| {
            item.cell == intent.cell && item.action == intent.call.action && item.params == params
        };
        if question.asked.items.iter().any(|item| same(&item)) {
            return Ok(());
        }
        about("what was sent is not what was approved")
    }

    /// What was undone without another question was undone by people's no.
    fn restored(&self, run: &RunStarted) -> Result<(), String> {
        let refused =
            |q: &Question| q.asked.asks == Asks::Ratify && q.asked.incident == run.incident;
        if run.purpose != Purpose::Restore || run.decided_by.is_none() || self.begins_late {
            return Ok(());
        }
        if self.questions.values().any(refused) {
            return Ok(());
        }
        Err(format!("the way back {} was begun without a decision", run.run))
    }
}

/// Whether this is the token that was signed for, and lasts no longer.
fn is_for(said: &DeedStatement, token: &TokenChanged) -> bool {
    let Deed::Token { name, scopes, source, lasts } = &said.deed else { return false };
    (name, scopes, source) == (&token.name, &token.scopes, &token.source)
        && token.expires_at == said.issued_at + lasts.delta()
}

fn unsigned(what: &str) -> String {
    format!("{what}: nobody's passkey signed it")
}

/// A statement about other actions, another plan or another run is about another question.
fn is_about(asked: &Approval, said: &crate::model::approval::Statement) -> Result<(), String> {
    let items: Vec<StatementItem> = asked.items.iter().map(StatementItem::from).collect();
    let same = [
        ("incident", said.incident == asked.incident),
        ("run", said.run == asked.run),
        ("plan", said.plan == asked.plan),
        ("items", said.items.iter().all(|item| items.contains(item))),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(Invalid::Statement(what).to_string()),
        None => Ok(()),
    }
}
