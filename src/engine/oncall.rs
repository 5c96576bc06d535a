//! To whom a question is put: whose turn it is, who stands in for them, and who comes next.
//!
//! Being asked gives no right: whoever may decide is `Approvers`' to say, and everybody who may can answer at any
//! time. Whoever may not is passed over here.

use std::collections::BTreeSet;

use super::approvers::Approvers;
use super::driver::{Core, Engine};
use super::policy::Policy;
use crate::approval::roles::{Act, may};
use crate::approval::rota::Roster;
use crate::model::approval::{Approval, Tier};
use crate::model::entry::PersonEnrolled;
use crate::model::id::PersonId;
use crate::model::oncall::{Addressed, Asked, Level, Named, Scope};
use crate::model::time::Time;

impl Engine {
    /// Takes over what the pager said, or that it said nothing.
    pub(crate) fn learn_roster(&self, learn: impl FnOnce(&mut Roster)) {
        self.change(|core| learn(&mut core.roster));
    }
}

/// Who is asked next, once the question has been put to everybody up to `passed`: so many levels at once that they
/// could settle it; at the last level, and where there is no rota, everybody who may decide.
pub(crate) fn address(
    core: &Core,
    policy: &Policy,
    question: &Approval,
    passed: Option<Level>,
    now: Time,
) -> Addressed {
    let rota = &policy.oncall.rota;
    let levels = core.roster.levels(rota, policy.oncall.stale, now);
    let until = question.expires_at;
    if levels.is_empty() {
        return Addressed { level: None, everybody: true, people: Vec::new(), at: now, until };
    }
    let who = Approvers::new(&core.state, policy, now);
    let above: Vec<Level> =
        levels.into_iter().filter(|level| passed.is_none_or(|passed| *level > passed)).collect();
    let mut people: Vec<Asked> = Vec::new();
    let ids = |people: &[Asked]| people.iter().map(|a| a.person).collect::<Vec<PersonId>>();
    let mut reached = passed;
    for level in &above {
        let (names, by) = core.roster.on(rota, policy.oncall.stale, *level, now);
        for name in names {
            let Some((person, instead_of)) = turn(core, &who, question, &name) else { continue };
            if people.iter().all(|known| known.person != person.person) {
                let (level, name) = (*level, person.name.clone());
                people.push(Asked { person: person.person, name, by, level, instead_of });
            }
        }
        reached = Some(*level);
        if !people.is_empty() && who.settle(question, &ids(&people)) {
            break;
        }
    }
    let enough = !people.is_empty() && who.settle(question, &ids(&people));
    let last = reached.is_none() || reached >= above.last().copied();
    // A rota of one level is asked alone first.
    let everybody = last && (passed.is_some() || !enough);
    Addressed { level: reached, everybody, people, at: now, until }
}

/// Who is asked when it is `name`'s turn: they, or who stands in for them; none where neither may answer.
///
/// One step only: whoever stands in passes nothing on.
fn turn<'a>(
    core: &Core,
    who: &Approvers<'a>,
    question: &Approval,
    name: &str,
) -> Option<(&'a PersonEnrolled, Option<String>)> {
    let person = who.named(name)?;
    let stands_in = core.state.delegations.values().find(|given| {
        given.from == person.person
            && given.is_in_force(who.now)
            && (given.scope == Scope::All || question.tier < Tier::Privileged)
    });
    let free = |person: &&PersonEnrolled| who.bar(question, person.person).is_ok();
    let other = stands_in.and_then(|given| who.state.people.get(&given.to)).filter(free);
    match other {
        Some(other) => Some((other, Some(person.name.clone()))),
        None => Some(person).filter(free).map(|person| (person, None)),
    }
}

/// Somebody whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnDuty {
    /// As the settings have it.
    pub(crate) name: String,
    pub(crate) by: Named,
    /// Who is asked in their place.
    pub(crate) stands_in: Option<String>,
}

/// Who is on call now, level by level; empty where there is no rota and no pager.
pub(crate) fn on_duty(core: &Core, policy: &Policy, now: Time) -> Vec<(Level, Vec<OnDuty>)> {
    let (rota, stale) = (&policy.oncall.rota, policy.oncall.stale);
    let stands_in = |name: &str| {
        let from = |from_name: &str| from_name.to_lowercase() == name.to_lowercase();
        let given = core.state.delegations.values();
        let mut given = given.filter(|g| from(&g.from_name) && g.is_in_force(now));
        given.next().map(|g| g.to_name.clone())
    };
    let levels = core.roster.levels(rota, stale, now).into_iter();
    levels
        .map(|level| {
            let (names, by) = core.roster.on(rota, stale, level, now);
            let on = names.into_iter().map(|name| OnDuty { stands_in: stands_in(&name), name, by });
            (level, on.collect())
        })
        .collect()
}

/// People with a turn to come who could not decide if they were asked today, and why.
pub(crate) fn unready(core: &Core, policy: &Policy, now: Time) -> Vec<(String, &'static str)> {
    let until = now + policy.oncall.horizon.delta();
    let names: BTreeSet<String> = policy
        .oncall
        .rota
        .stretches(now, until)
        .into_iter()
        .flat_map(|stretch| stretch.people)
        .collect();
    let why = |name: &str| {
        let same = |p: &&PersonEnrolled| p.name.to_lowercase() == name.to_lowercase();
        match core.state.people.values().find(same) {
            None => Some("has no passkey"),
            Some(person) if !may(&person.roles, Act::Decide) => Some("has no role that decides"),
            Some(_) => None,
        }
    };
    names.into_iter().filter_map(|name| why(&name).map(|why| (name.clone(), why))).collect()
}
