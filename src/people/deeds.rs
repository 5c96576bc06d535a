//! Acts that nobody asked for, signed by the passkey of whoever does them.

use serde_json::Value;
use webauthn_rs::prelude::{PasskeyAuthentication, PublicKeyCredential, RequestChallengeResponse};

use super::bind::bind;
use super::sign_in::passkey;
use super::{Act, Begun, LIFETIME, People, Problem, lock, may};
use crate::approval::statement::deed_challenge;
use crate::engine::{delegations, tokens};
use crate::model::deed::{Deed, DeedStatement, SignedDeed};
use crate::model::id::PersonId;
use crate::model::incident::ApprovalSeen;

pub(super) struct Doing {
    person: PersonId,
    statement: DeedStatement,
    passkey: Value,
    state: PasskeyAuthentication,
}

impl People {
    /// Has a statement drawn up about an act, and what the passkey needs to sign it.
    pub(crate) fn deed_begin(
        &self,
        by: PersonId,
        deed: Deed,
    ) -> Result<(DeedStatement, Begun<RequestChallengeResponse>), Problem> {
        let kept = self.allowed(by, &deed)?.passkey;
        let deployment = self.0.engine.read(|core| core.state.deployment.clone());
        let deployment = deployment.ok_or(Problem::Missing("deployment"))?.deployment;
        let (now, mut nonce) = (self.now(), [0; 32]);
        self.0.engine.ports().entropy.fill(&mut nonce);
        let statement = DeedStatement {
            rp: self.0.rp.clone(),
            deployment,
            deed,
            person: by,
            nonce: hex::encode(nonce),
            issued_at: now,
            expires_at: now + LIFETIME,
        };
        let key = passkey(&kept).ok_or(Problem::Missing("passkey"))?;
        let (mut options, state) = self.0.webauthn.start_passkey_authentication(&[key])?;
        let state = bind(&mut options, &state, deed_challenge(&statement))?;
        let doing = Doing { person: by, statement: statement.clone(), passkey: kept, state };
        let ceremony = self.secret();
        lock(&self.0.doing).begin(ceremony.clone(), &by.to_string(), now, doing);
        Ok((statement, Begun { ceremony, options }))
    }

    /// Checks the signature, and once more that the person may; the act itself is the caller's.
    pub(crate) fn deed_finish(
        &self,
        by: PersonId,
        ceremony: &str,
        answer: &PublicKeyCredential,
    ) -> Result<SignedDeed, Problem> {
        let begun = lock(&self.0.doing).take(ceremony, self.now()).ok_or(Problem::Ceremony)?;
        let person = self.allowed(by, &begun.statement.deed)?;
        if begun.person != by || person.passkey != begun.passkey {
            return Err(Problem::Ceremony);
        }
        let result = self.0.webauthn.finish_passkey_authentication(answer, &begun.state)?;
        self.count(&result)?;
        Ok(SignedDeed {
            statement: begun.statement,
            by_name: person.name,
            assertion: serde_json::to_value(answer).map_err(|e| Problem::Shape(e.to_string()))?,
            credential: begun.passkey,
        })
    }

    fn allowed(
        &self,
        by: PersonId,
        deed: &Deed,
    ) -> Result<crate::model::entry::PersonEnrolled, Problem> {
        let person = self.person(by).ok_or(Problem::Missing("person"))?;
        let act = match deed {
            Deed::Invite { .. } => Act::Invite,
            Deed::Publish { .. } => Act::Publish,
            Deed::Resume { .. } => Act::Resume,
            Deed::Release { .. } => Act::Release,
            Deed::Adopt { .. } | Deed::Raise { .. } => Act::Guard,
            Deed::Token { .. } => Act::Tokens,
            // Who has no turn of their own has none to hand over.
            Deed::Delegate { .. } => Act::Decide,
            // Whose it is, is looked at below.
            Deed::Recall { .. } => Act::Note,
            Deed::Close { incident, .. } => {
                let approval = self
                    .0
                    .engine
                    .read(|core| core.state.incidents.get(incident).map(|i| i.approval))
                    .ok_or(Problem::Missing("incident"))?;
                if approval == ApprovalSeen::Hostile { Act::CloseHostile } else { Act::Close }
            }
        };
        if !may(&person.roles, act) {
            return Err(Problem::Role);
        }
        let (now, policy) = (self.now(), self.0.engine.policy());
        self.0.engine.read(|core| {
            tokens::allowed(&core.state, &policy, by, deed, now)?;
            delegations::allowed(&core.state, by, deed, now)?;
            Ok(person)
        })
    }
}
