//! Signing in with a passkey: found by the authenticator itself, or by a typed name.

use serde_json::Value;
use sha2::{Digest, Sha256};
use webauthn_rs::prelude::{
    Passkey, PasskeyAuthentication, PublicKeyCredential, RequestChallengeResponse,
};

use super::{Begun, People, Problem, lock};
use crate::model::id::PersonId;

pub(super) struct SigningIn {
    state: PasskeyAuthentication,
}

/// The passkey in a person's entry.
pub(super) fn passkey(value: &Value) -> Option<Passkey> {
    serde_json::from_value(value.clone()).ok()
}

impl People {
    /// Everybody's passkeys.
    pub(super) fn passkeys(&self) -> Vec<(PersonId, Passkey)> {
        self.0.engine.read(|core| {
            let people = core.state.people.values();
            people.filter_map(|p| passkey(&p.passkey).map(|key| (p.person, key))).collect()
        })
    }

    /// Starts a sign-in. Whether a typed name exists cannot be told from the answer.
    pub(crate) fn sign_in_begin(
        &self,
        name: Option<&str>,
    ) -> Result<Begun<RequestChallengeResponse>, Problem> {
        let all = self.passkeys();
        let keys: Vec<Passkey> = all.iter().map(|(_, key)| key.clone()).collect();
        let (mut options, state) = self.0.webauthn.start_passkey_authentication(&keys)?;
        let offer = &mut options.public_key.allow_credentials;
        match name.map(str::trim).filter(|n| !n.is_empty()) {
            None => offer.clear(),
            Some(name) => {
                let known = self.named(name);
                let wanted = all
                    .iter()
                    .find(|(person, _)| Some(*person) == known)
                    .map_or_else(|| self.made_up(name), |(_, key)| key.cred_id().clone());
                if let Some(mut first) = offer.first().cloned() {
                    first.id = wanted;
                    first.transports = None;
                    *offer = vec![first];
                }
            }
        }
        let (ceremony, now) = (self.secret(), self.now());
        lock(&self.0.signing_in).begin(ceremony.clone(), "", now, SigningIn { state });
        Ok(Begun { ceremony, options })
    }

    /// Opens a session; returns who it is and the session's secret.
    pub(crate) fn sign_in_finish(
        &self,
        ceremony: &str,
        answer: &PublicKeyCredential,
        agent: &str,
    ) -> Result<(PersonId, String), Problem> {
        let begun = lock(&self.0.signing_in).take(ceremony, self.now()).ok_or(Problem::Ceremony)?;
        let result = self.0.webauthn.finish_passkey_authentication(answer, &begun.state)?;
        let owner = self
            .passkeys()
            .into_iter()
            .find(|(_, key)| key.cred_id() == result.cred_id())
            .map(|(person, _)| person)
            // Replaced since the ceremony began.
            .ok_or(Problem::Ceremony)?;
        self.count(&result)?;
        Ok((owner, self.open_session(owner, agent)))
    }

    pub(super) fn named(&self, name: &str) -> Option<PersonId> {
        self.0.engine.read(|core| {
            let mut people = core.state.people.values();
            people.find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.person)
        })
    }

    /// The same stranger always gets the same credential id, which nobody has.
    fn made_up(&self, name: &str) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.0.stranger);
        hash.update(name.to_lowercase());
        hash.finalize().to_vec()
    }
}
