//! What no playbook can override, and that only a quorum changes it.
//!
//! The settings are what somebody with the machine wishes. What holds is what was adopted: the first time as it
//! is found, from then on when a quorum has signed the change, like a playbook that waits to be published.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::approvers::Approvers;
use super::driver::{Engine, Tx};
use super::people::Refusal;
use super::policy::{Policy, Release, SourceView};
use super::ports::StoreError;
use super::state::{SECONDS_WAIT, act_key};
use crate::approval::statement::{canonical, sha256_hex};
use crate::model::deed::{Deed, SignedDeed};
use crate::model::entry::{CeilingRaised, Entry, GuardrailsChanged};
use crate::model::id::{PersonId, RunId, SourceId};
use crate::model::incident::MayCause;

/// Everything that only a quorum changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guardrails {
    pub(crate) policy: Policy,
    /// The groups of each approver, by name in lower case.
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    /// Sources whose word may lock somebody out.
    #[serde(default)]
    pub(crate) contain: BTreeSet<SourceId>,
}

impl Guardrails {
    /// Reads what was adopted. A setting that this version does not know any more is passed over.
    pub(crate) fn read(rules: &Value) -> Option<Self> {
        let known = serde_json::to_value(Policy::default()).ok()?;
        let mut rules = rules.clone();
        retain_known(rules.get_mut("policy")?, &known);
        serde_json::from_value(rules).ok()
    }

    /// Names these guardrails exactly.
    pub(crate) fn digest(&self) -> String {
        sha256_hex(&canonical(self))
    }

    /// As people read them, a line a setting.
    pub(crate) fn text(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| serde_json::to_string_pretty(&value).ok())
            .unwrap_or_default()
    }

    /// What is different from `before`, as a diff.
    pub(crate) fn diff(&self, before: &Self) -> String {
        let (before, after) = (before.text(), self.text());
        let diff = similar::TextDiff::from_lines(&before, &after);
        diff.unified_diff().context_radius(2).header("in force", "settings").to_string()
    }

    fn in_force(self) -> Policy {
        Policy { groups: self.groups, contain: Some(self.contain), ..self.policy }
    }

    fn changed(&self, by: Vec<PersonId>, needed: u32, diff: String) -> Entry {
        Entry::GuardrailsChanged(Box::new(GuardrailsChanged {
            digest: self.digest(),
            rules: serde_json::to_value(self).unwrap_or_default(),
            by,
            needed,
            diff,
        }))
    }
}

fn retain_known(value: &mut Value, known: &Value) {
    let (Some(value), Some(known)) = (value.as_object_mut(), known.as_object()) else { return };
    value.retain(|name, _| known.contains_key(name));
    for (name, inner) in value {
        if known[name.as_str()].is_object() {
            retain_known(inner, &known[name.as_str()]);
        }
    }
}

/// How far people are with what takes several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signing {
    /// Whose signatures count now.
    pub(crate) by: Vec<PersonId>,
    pub(crate) needed: u32,
    /// Enough, and of different groups where there are groups.
    pub(crate) done: bool,
}

impl Engine {
    /// Settles what holds at a start, or once the settings were read again. What they say otherwise waits for people.
    pub(crate) async fn settle_guardrails(
        &self,
        wanted: Guardrails,
        lab: bool,
    ) -> Result<(), StoreError> {
        let adopted = self.read(|core| {
            core.state.guardrails.as_ref().and_then(|known| Guardrails::read(&known.rules))
        });
        match adopted {
            Some(adopted) if adopted == wanted => {
                self.set_policy(wanted.in_force());
                self.change(|core| core.wished = None);
            }
            Some(adopted) if !lab && !adopted.policy.auto_publish => {
                tracing::warn!(
                    "The settings would change what guards everybody; that waits for people to sign it"
                );
                self.set_policy(adopted.in_force());
                self.change(|core| core.wished = Some(wanted));
            }
            before => {
                let diff = before.map(|before| wanted.diff(&before)).unwrap_or_default();
                let entry = wanted.changed(Vec::new(), 0, diff);
                self.commit(|tx| tx.push(entry)).await?;
                self.set_policy(wanted.in_force());
            }
        }
        Ok(())
    }

    /// Somebody signs that what the settings say holds from here on; once enough have, it does.
    pub(crate) async fn adopt(&self, signed: SignedDeed) -> Result<Signing, Refusal> {
        let (result, written) = self.transact(|tx| {
            let wanted = tx.core.wished.clone().ok_or(Refusal::Missing("change"))?;
            if !matches!(&signed.statement.deed, Deed::Adopt { digest } if *digest == wanted.digest())
            {
                return Err(Refusal::Changed);
            }
            let signing = self.seconded(tx, signed)?;
            if signing.done {
                let known = tx.core.state.guardrails.as_ref();
                let before = known.and_then(|known| Guardrails::read(&known.rules));
                let diff = before.map(|before| wanted.diff(&before)).unwrap_or_default();
                tx.push(wanted.changed(signing.by.clone(), signing.needed, diff));
                tx.core.wished = None;
                self.set_policy(wanted.in_force());
                self.settle_live(tx);
            }
            Ok(signing)
        });
        written.await?;
        result
    }

    /// Somebody signs that more blocks may be done for one campaign; once enough have, they may.
    pub(crate) async fn raise_ceiling(&self, signed: SignedDeed) -> Result<Signing, Refusal> {
        let Deed::Raise { campaign, blocks, until } = signed.statement.deed.clone() else {
            return Err(Refusal::Changed);
        };
        let (result, written) = self.transact(|tx| {
            let signing = self.seconded(tx, signed)?;
            if signing.done {
                let (by, needed) = (signing.by.clone(), signing.needed);
                let raised = CeilingRaised { campaign, blocks, until, by, needed };
                tx.push(Entry::CeilingRaised(raised));
                self.settle_live(tx);
            }
            Ok(signing)
        });
        written.await?;
        result
    }

    /// Somebody signs that the pause ends; where the policy wants several, it does once they have.
    pub(crate) async fn release(&self, signed: SignedDeed) -> Result<Signing, Refusal> {
        let Deed::Release { reason } = signed.statement.deed.clone() else {
            return Err(Refusal::Changed);
        };
        let (result, written) = self.transact(|tx| {
            if tx.core.state.paused.is_none() {
                return Err(Refusal::Already("going on"));
            }
            let (by, person) = (signed.by_name.clone(), signed.statement.person);
            let signing = match self.policy().release {
                Release::Quorum => self.seconded(tx, signed)?,
                Release::One => {
                    tx.push(Entry::DeedSigned(Box::new(signed)));
                    Signing { by: vec![person], needed: 1, done: true }
                }
            };
            if signing.done {
                tx.push(Entry::PauseChanged { paused: false, by, reason });
                self.settle_live(tx);
            }
            Ok(signing)
        });
        written.await?;
        result
    }

    /// Counts one more signature under an act that takes several.
    fn seconded(&self, tx: &mut Tx<'_>, signed: SignedDeed) -> Result<Signing, Refusal> {
        let policy = self.policy();
        let (by, key) = (signed.statement.person, act_key(&signed.statement.deed));
        Approvers::new(&tx.core.state, &policy, tx.at).may_guard(by)?;
        tx.push(Entry::DeedSigned(Box::new(signed)));
        Ok(Approvers::new(&tx.core.state, &policy, tx.at).signing(&key))
    }

    fn settle_live(&self, tx: &mut Tx<'_>) {
        let live: Vec<RunId> = tx.core.state.live.iter().copied().collect();
        for run in live {
            self.settle(tx, run);
        }
    }

    /// A source's word carries no further than what was adopted.
    pub(super) fn as_adopted(&self, source: &mut SourceView) {
        let policy = self.policy();
        if policy.contain.as_ref().is_some_and(|adopted| !adopted.contains(&source.id)) {
            source.may_cause = source.may_cause.min(MayCause::Revoke);
        }
    }
}

impl Approvers<'_> {
    /// Whose signatures under an act count now, and whether they are enough.
    pub(crate) fn signing(&self, key: &str) -> Signing {
        let signed = self.state.seconds.get(key).map(|s| s.by.as_slice()).unwrap_or_default();
        let counts = signed
            .iter()
            .filter(|s| s.at > self.now - SECONDS_WAIT && self.may_guard(s.person).is_ok());
        let by: Vec<PersonId> = counts.map(|s| s.person).collect();
        let needed = self.guarding_quorum();
        Signing { done: self.is_guarding_quorum(&by), by, needed }
    }
}
