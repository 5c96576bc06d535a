//! A made-up person with a passkey in software, for the throwaway demo and for tests.
//!
//! It goes through the same ceremonies as everybody else; nothing here can be reached
//! from a request.

use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_rs::prelude::{
    CreationChallengeResponse, PublicKeyCredential, RegisterPublicKeyCredential,
    RequestChallengeResponse, Url,
};

use super::{People, Problem, Wish, tick};
use crate::engine::ports::StoreError;
use crate::model::approval::{ApprovalState, Decision};
use crate::model::id::{ApprovalId, PersonId};

/// Why the made-up person could not act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SoftError {
    #[error(transparent)]
    People(#[from] Problem),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the software passkey failed: {0}")]
    Authenticator(String),
}

/// Makes a passkey in software, as a browser at `origin` would have one made.
pub(crate) fn made(
    origin: &Url,
    options: CreationChallengeResponse,
) -> Result<(SoftPasskey, RegisterPublicKeyCredential), SoftError> {
    // Without the flag the software passkey refuses, as user verification is required.
    let mut key = SoftPasskey::new(true);
    let answer = key
        .do_registration(origin.clone(), options)
        .map_err(|e| SoftError::Authenticator(format!("{e:?}")))?;
    Ok((key, answer))
}

/// A person whose passkey is in this process.
pub(crate) struct SoftPerson {
    pub(crate) id: PersonId,
    #[cfg(test)]
    pub(crate) name: String,
    origin: Url,
    key: SoftPasskey,
}

impl SoftPerson {
    /// Invites and enrols a made-up person.
    pub(crate) async fn enrol(
        people: &People,
        name: &str,
        roles: &[&str],
    ) -> Result<Self, SoftError> {
        let ticket = people.invite(name, roles).await?;
        let begun = people.enrol_begin(ticket.reveal())?;
        let origin = people.origin().clone();
        let (key, answer) = made(&origin, begun.options)?;
        let id = people.enrol_finish(ticket.reveal(), &begun.ceremony, &answer).await?;
        Ok(Self {
            id,
            #[cfg(test)]
            name: name.to_owned(),
            origin,
            key,
        })
    }

    /// Answers a challenge, as a browser at `origin` would.
    pub(crate) fn answer_at(
        &mut self,
        origin: &Url,
        options: RequestChallengeResponse,
    ) -> Result<PublicKeyCredential, SoftError> {
        self.key
            .do_authentication(origin.clone(), options)
            .map_err(|e| SoftError::Authenticator(format!("{e:?}")))
    }

    /// [`SoftPerson::answer_at`] the deployment's own address.
    pub(crate) fn answer(
        &mut self,
        options: RequestChallengeResponse,
    ) -> Result<PublicKeyCredential, SoftError> {
        let origin = self.origin.clone();
        self.answer_at(&origin, options)
    }

    #[cfg(test)]
    /// Signs in; returns the session's secret.
    pub(crate) fn sign_in(&mut self, people: &People) -> Result<String, SoftError> {
        let begun = people.sign_in_begin(Some(&self.name))?;
        let answer = self.answer(begun.options)?;
        Ok(people.sign_in_finish(&begun.ceremony, &answer, "software passkey")?.1)
    }

    /// Approves or denies everything that a question asks.
    pub(crate) async fn decide(
        &mut self,
        people: &People,
        approval: ApprovalId,
        decision: Decision,
        justification: &str,
    ) -> Result<ApprovalState, SoftError> {
        let items = people.ticks(approval);
        let confirm = people.whom(approval);
        let wish =
            Wish { approval, decision, items, justification: justification.to_owned(), confirm };
        let (_, begun) = people.decide_begin(self.id, &wish)?;
        let answer = self.answer(begun.options)?;
        Ok(people.decide_finish(self.id, approval, &begun.ceremony, &answer).await?)
    }
}

impl People {
    /// Whom a question concerns, as an approver would type it.
    fn whom(&self, approval: ApprovalId) -> String {
        let whom = self.0.engine.read(|core| {
            let question = core.state.approvals.get(&approval)?;
            let incident = core.state.incidents.get(&question.incident)?;
            Some(core.state.subject(incident.subject)?.name.clone())
        });
        whom.unwrap_or_default()
    }

    /// All ticks of a question.
    pub(crate) fn ticks(&self, approval: ApprovalId) -> Vec<String> {
        self.0.engine.read(|core| {
            let question = core.state.approvals.get(&approval);
            question.into_iter().flat_map(|q| q.items.iter().map(tick)).collect()
        })
    }
}
