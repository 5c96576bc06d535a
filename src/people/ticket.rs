//! Enrolment tickets: shown once, kept as a hash, used once, good for a day.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::People;
use crate::approval::statement::sha256_hex;
use crate::engine::ports::{Entropy, StoreError};
use crate::model::deed::SignedDeed;

/// A new ticket. Whoever has it can enrol a passkey under its name.
pub(crate) struct Ticket(String);

impl Ticket {
    /// Draws a ticket; its [`Ticket::hash`] is what may be kept.
    pub(crate) fn draw(entropy: &dyn Entropy) -> Self {
        Self(secret(entropy))
    }

    /// The secret itself, to be shown once.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> String {
        ticket_hash(&self.0)
    }
}

/// What the journal knows of a ticket: SHA-256, hex, of its text.
pub(crate) fn ticket_hash(secret: &str) -> String {
    sha256_hex(secret.as_bytes())
}

/// 256 random bits, base64url.
pub(super) fn secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

impl People {
    /// Issues a ticket without a person, as the demonstration does. Under the name of an enrolled person it replaces that person's passkey.
    pub(crate) async fn invite(&self, name: &str, roles: &[&str]) -> Result<Ticket, StoreError> {
        let ticket = Ticket::draw(&*self.0.engine.ports().entropy);
        let roles = roles.iter().map(|&r| r.to_owned()).collect();
        self.0.engine.issue_enrolment(ticket.hash(), name, roles, "quell").await?;
        Ok(ticket)
    }

    /// [`People::invite`] by a person's passkey.
    pub(crate) async fn invite_signed(
        &self,
        name: &str,
        role: &str,
        by: SignedDeed,
    ) -> Result<Ticket, StoreError> {
        let ticket = Ticket::draw(&*self.0.engine.ports().entropy);
        self.0.engine.issue_enrolment(ticket.hash(), name, vec![role.to_owned()], by).await?;
        Ok(ticket)
    }
}
