//! What no playbook can override, and who has signed to change it.

use chrono::TimeDelta;

use super::State;
use super::rows::{RowKey, parse};
use crate::approval::statement::{canonical, sha256_hex};
use crate::engine::ports::StoreError;
use crate::model::deed::{Deed, Second, Seconded, SignedDeed};
use crate::model::entry::Entry;
use crate::model::time::Time;

/// How long one signature waits for the others.
pub(crate) const SECONDS_WAIT: TimeDelta = TimeDelta::hours(24);

/// What an act is called while people sign it: a digest of what it is exactly.
pub(crate) fn act_key(deed: &Deed) -> String {
    sha256_hex(&canonical(deed))
}

impl State {
    pub(super) fn apply_guardrails(&mut self, at: Time, entry: &Entry) {
        match entry {
            Entry::DeedSigned(signed) if signed.statement.deed.may_take_several() => {
                self.seconded(at, signed);
            }
            Entry::GuardrailsChanged(e) => {
                self.guardrails = Some((**e).clone());
                self.touch(RowKey::Guardrails);
                // What others were asked to sign was to change what held before.
                self.forget_seconds(|deed| matches!(deed, Deed::Adopt { .. }));
            }
            Entry::CeilingRaised(e) => {
                let over: Vec<String> = self
                    .raises
                    .iter()
                    .filter(|(_, r)| r.until <= at)
                    .map(|(c, _)| c.clone())
                    .collect();
                for campaign in over {
                    self.raises.remove(&campaign);
                    self.touch(RowKey::Raise(campaign));
                }
                self.raises.insert(e.campaign.clone(), e.clone());
                self.touch(RowKey::Raise(e.campaign.clone()));
                self.forget_seconds(
                    |deed| matches!(deed, Deed::Raise { campaign, .. } if *campaign == e.campaign),
                );
            }
            Entry::PauseChanged { .. } => {
                self.forget_seconds(|deed| matches!(deed, Deed::Release { .. }));
            }
            _ => {}
        }
    }

    fn seconded(&mut self, at: Time, signed: &SignedDeed) {
        let stale: Vec<String> = self
            .seconds
            .iter()
            .filter(|(_, s)| s.by.iter().all(|second| second.at <= at - SECONDS_WAIT))
            .map(|(key, _)| key.clone())
            .collect();
        for key in stale {
            self.seconds.remove(&key);
            self.touch(RowKey::Second(key));
        }
        let (deed, person) = (&signed.statement.deed, signed.statement.person);
        let key = act_key(deed);
        let known = self
            .seconds
            .entry(key.clone())
            .or_insert_with(|| Seconded { deed: deed.clone(), by: Vec::new() });
        known.by.retain(|second| second.person != person);
        known.by.push(Second { person, name: signed.by_name.clone(), at });
        self.touch(RowKey::Second(key));
    }

    fn forget_seconds(&mut self, is_it: impl Fn(&Deed) -> bool) {
        let gone: Vec<String> =
            self.seconds.iter().filter(|(_, s)| is_it(&s.deed)).map(|(k, _)| k.clone()).collect();
        for key in gone {
            self.seconds.remove(&key);
            self.touch(RowKey::Second(key));
        }
    }

    /// Takes over one of the rows of all this.
    pub(super) fn load_guardrails(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        match key.split_once('/') {
            Some(("raise", campaign)) => {
                self.raises.insert(campaign.to_owned(), parse(key, value)?);
            }
            Some((_, digest)) => drop(self.seconds.insert(digest.to_owned(), parse(key, value)?)),
            None => self.guardrails = Some(parse(key, value)?),
        }
        Ok(())
    }

    /// Names the rows of all this.
    pub(super) fn guardrail_rows(&self) -> Vec<RowKey> {
        let mut keys: Vec<RowKey> = self.guardrails.iter().map(|_| RowKey::Guardrails).collect();
        keys.extend(self.raises.keys().map(|campaign| RowKey::Raise(campaign.clone())));
        keys.extend(self.seconds.keys().map(|digest| RowKey::Second(digest.clone())));
        keys
    }
}
