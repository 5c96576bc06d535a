//! Who could answer a question now, read from the state: roles, passkeys, groups and cases of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::Policy;
use super::state::State;
use crate::approval::roles::{Act, may};
use crate::approval::who::{Bar, FRESH, Standing, bar, bar_from_guarding, is_same};
use crate::model::approval::{Approval, Tier, Vote};
use crate::model::entry::PersonEnrolled;
use crate::model::id::{IncidentId, PersonId};
use crate::model::incident::{ApprovalSeen, Incident, IncidentStatus, Stage};
use crate::model::subject::Subject;
use crate::model::time::Time;

/// Everybody who is enrolled, as they stand at one moment. Made once for a page or an answer.
pub(crate) struct Approvers<'a> {
    pub(crate) state: &'a State,
    policy: &'a Policy,
    pub(crate) now: Time,
    people: BTreeMap<PersonId, Known<'a>>,
}

struct Known<'a> {
    person: &'a PersonEnrolled,
    has_role: bool,
    own_case: Option<IncidentId>,
}

impl<'a> Approvers<'a> {
    pub(crate) fn new(state: &'a State, policy: &'a Policy, now: Time) -> Self {
        let bad: Vec<(IncidentId, &Subject)> = state
            .incidents
            .values()
            .filter(|i| is_in_other_hands(i))
            .filter_map(|i| Some((i.id, state.subject(i.subject)?)))
            .collect();
        let known = |person: &'a PersonEnrolled| Known {
            person,
            has_role: may(&person.roles, Act::Decide),
            own_case: bad.iter().find(|(_, s)| is_called(s, &person.name)).map(|(id, _)| *id),
        };
        let people = state.people.iter().map(|(id, person)| (*id, known(person))).collect();
        Self { state, policy, now, people }
    }

    /// Whether somebody may answer a question.
    pub(crate) fn bar(&self, question: &Approval, person: PersonId) -> Result<(), Bar> {
        let standing = self.standing(person).ok_or(Bar::Role)?;
        let author = self.state.plans.get(&question.plan).map(|p| p.by.as_str());
        let published = author.is_some_and(|by| is_same(by, standing.name));
        bar(question, &Standing { published, ..standing }, self.now)
    }

    /// Whether somebody may sign a change of what guards everybody.
    pub(crate) fn may_guard(&self, person: PersonId) -> Result<(), Bar> {
        bar_from_guarding(&self.standing(person).ok_or(Bar::Role)?, self.now)
    }

    /// How many have to sign such a change: two, where two could.
    pub(crate) fn guarding_quorum(&self) -> u32 {
        let able = self.people.keys().filter(|id| self.may_guard(**id).is_ok()).count();
        if able < 2 { 1 } else { 2 }
    }

    /// Whether these people are enough for it, and of different groups where those who could are.
    pub(crate) fn is_guarding_quorum(&self, by: &[PersonId]) -> bool {
        let groups = |ids: &mut dyn Iterator<Item = &PersonId>| -> BTreeSet<String> {
            let known = ids.filter_map(|id| self.people.get(id));
            known.flat_map(|known| self.groups(&known.person.name)).collect()
        };
        let needed = self.guarding_quorum();
        let able = groups(&mut self.people.keys().filter(|id| self.may_guard(**id).is_ok()));
        let of_several = able.len() < 2 || groups(&mut by.iter()).len() >= 2;
        by.len() >= needed as usize && (needed < 2 || of_several)
    }

    fn standing(&self, person: PersonId) -> Option<Standing<'_>> {
        let known = self.people.get(&person)?;
        Some(Standing {
            person,
            name: &known.person.name,
            has_role: known.has_role,
            enrolled_at: known.person.enrolled_at,
            others: self.settled().filter(|p| p.person != person).count(),
            own_case: known.own_case,
            published: false,
        })
    }

    /// Approvers whose passkeys are not new.
    fn settled(&self) -> impl Iterator<Item = &PersonEnrolled> {
        let now = self.now;
        self.people
            .values()
            .filter(move |k| k.has_role && k.person.enrolled_at.is_none_or(|at| at + FRESH <= now))
            .map(|known| known.person)
    }

    /// Whether approvers are in groups: then several answers must not come from one.
    pub(crate) fn grouped(&self) -> bool {
        let approvers = self.people.values().filter(|k| k.has_role);
        approvers.into_iter().any(|k| !self.groups(&k.person.name).is_empty())
    }

    /// The groups that the settings put somebody in.
    pub(crate) fn groups(&self, name: &str) -> Vec<String> {
        self.policy.groups.get(&name.to_lowercase()).cloned().unwrap_or_default()
    }

    /// Whether enough of those who may still answer are enrolled.
    pub(crate) fn can_settle(&self, question: &Approval) -> bool {
        let free = self.people.keys().copied().filter(|id| self.bar(question, *id).is_ok());
        self.settle(question, &free.collect::<Vec<_>>())
    }

    /// Somebody who is enrolled, by the name that the settings have for them.
    pub(crate) fn named(&self, name: &str) -> Option<&'a PersonEnrolled> {
        let same = |known: &&Known<'a>| known.person.name.to_lowercase() == name.to_lowercase();
        self.people.values().find(same).map(|known| known.person)
    }

    /// Whether these would be enough to settle a question, with those who have answered.
    pub(crate) fn settle(&self, question: &Approval, people: &[PersonId]) -> bool {
        let votes = question.votes.iter().map(|v: &Vote| v.groups.clone());
        let names = people.iter().filter_map(|id| self.people.get(id));
        let groups = names.map(|known| self.groups(&known.person.name));
        self.are_enough(votes.chain(groups).collect(), question.quorum)
    }

    /// Tiers whose questions could be settled by nobody, whomever they were about.
    pub(crate) fn out_of_reach(&self) -> Vec<Tier> {
        let able: Vec<Vec<String>> = self
            .people
            .values()
            .filter(|k| k.has_role && k.own_case.is_none())
            .map(|k| self.groups(&k.person.name))
            .collect();
        [Tier::LocksOut, Tier::Privileged]
            .into_iter()
            .filter(|tier| !self.are_enough(able.clone(), tier.quorum()))
            .collect()
    }

    fn are_enough(&self, groups: Vec<Vec<String>>, quorum: u32) -> bool {
        let many = groups.len() >= quorum as usize;
        let different: BTreeSet<String> = groups.into_iter().flatten().collect();
        many && (quorum < 2 || !self.grouped() || different.len() >= 2)
    }
}

/// Being bombed or reported does not disarm the rota; somebody who let an attacker in does not decide.
fn is_in_other_hands(incident: &Incident) -> bool {
    incident.status != IncidentStatus::Closed
        && (incident.approval == ApprovalSeen::Hostile
            || incident.stage == Stage::Breached
            || !incident.hostile_factors.is_empty())
}

fn is_called(subject: &Subject, name: &str) -> bool {
    is_same(&subject.name, name)
        || subject.accounts.iter().any(|a| is_same(&a.login, name))
        || subject
            .aliases
            .iter()
            .any(|a| a.0.strip_prefix("login:").is_some_and(|l| is_same(l, name)))
}
