//! Enrolment: a single-use ticket and a passkey make a person.

use webauthn_rs::prelude::{
    CreationChallengeResponse, PasskeyRegistration, RegisterPublicKeyCredential, Uuid,
};

use super::{Begun, People, Problem, lock, ticket_hash};
use crate::model::entry::PersonEnrolled;
use crate::model::id::PersonId;
use crate::model::time::Time;

/// What a ticket is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Invitation {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    pub(crate) expires_at: Time,
    /// The person is enrolled already: their passkey will be replaced.
    pub(crate) replaces: Option<PersonId>,
}

pub(super) struct Enrolling {
    ticket: String,
    person: PersonId,
    handle: Uuid,
    invitation: Invitation,
    state: PasskeyRegistration,
}

impl People {
    /// What a ticket is for, if it is still good. Changes nothing.
    pub(crate) fn invitation(&self, ticket: &str) -> Option<Invitation> {
        let (hash, now) = (ticket_hash(ticket), self.now());
        self.0.engine.read(|core| {
            let found = core.state.enrolments.get(&hash).filter(|e| e.expires_at > now)?;
            let replaces = core
                .state
                .people
                .values()
                .find(|p| p.name.eq_ignore_ascii_case(&found.name))
                .map(|p| p.person);
            Some(Invitation {
                name: found.name.clone(),
                roles: found.roles.clone(),
                expires_at: found.expires_at,
                replaces,
            })
        })
    }

    /// Starts making a passkey.
    pub(crate) fn enrol_begin(
        &self,
        ticket: &str,
    ) -> Result<Begun<CreationChallengeResponse>, Problem> {
        let invitation = self.invitation(ticket).ok_or(Problem::Ticket)?;
        let (now, entropy) = (self.now(), &self.0.engine.ports().entropy);
        let known = invitation.replaces.and_then(|id| self.person(id));
        let (person, handle) = known.map_or_else(
            || (PersonId::mint(now, entropy.id()), PersonId::mint(now, entropy.id()).0),
            |known| (known.person, known.user_handle),
        );
        let (mut options, state) = self.0.webauthn.start_passkey_registration(
            handle,
            &invitation.name,
            &invitation.name,
            None,
        )?;
        // Found again without typing a name, where the authenticator can.
        if let Some(wish) = &mut options.public_key.authenticator_selection {
            wish.resident_key = serde_json::from_value("preferred".into()).ok();
        }
        let (ceremony, hash) = (self.secret(), ticket_hash(ticket));
        let enrolling = Enrolling { ticket: hash.clone(), person, handle, invitation, state };
        lock(&self.0.enrolling).begin(ceremony.clone(), &hash, now, enrolling);
        Ok(Begun { ceremony, options })
    }

    /// Uses the ticket up and makes the person.
    pub(crate) async fn enrol_finish(
        &self,
        ticket: &str,
        ceremony: &str,
        answer: &RegisterPublicKeyCredential,
    ) -> Result<PersonId, Problem> {
        let begun = lock(&self.0.enrolling).take(ceremony, self.now()).ok_or(Problem::Ceremony)?;
        if begun.ticket != ticket_hash(ticket) {
            return Err(Problem::Ceremony);
        }
        let passkey = self.0.webauthn.finish_passkey_registration(answer, &begun.state)?;
        if self.passkeys().iter().any(|(_, known)| known.cred_id() == passkey.cred_id()) {
            return Err(Problem::Taken);
        }
        let passkey = serde_json::to_value(&passkey).map_err(|e| Problem::Shape(e.to_string()))?;
        let person = begun.person;
        self.0
            .engine
            .enrol(PersonEnrolled {
                person,
                name: begun.invitation.name,
                roles: begun.invitation.roles,
                passkey,
                user_handle: begun.handle,
                ticket: begun.ticket,
                enrolled_at: None,
            })
            .await?;
        // Whoever holds the old passkey's sessions is not necessarily who enrolled the new one.
        self.end_sessions_of(person);
        Ok(person)
    }
}
