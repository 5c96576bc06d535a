//! A new deployment: folder, keys, first entry, first token, first enrolment ticket.

use chrono::TimeDelta;
use std::path::Path;
use std::sync::Arc;

use crate::engine::ports::{Clock, Entropy, Store, StoreError};
use crate::model::entry::{Commit, DeploymentCreated, Entry};
use crate::model::id::DeploymentId;
use crate::people::Ticket;
use crate::server::{self, Scope};
use crate::store::folder::{Folder, Options};

/// What is shown once, when a deployment is made.
pub(crate) struct Founded {
    pub(crate) deployment: DeploymentId,
    /// The checkpoints' public key: keep it elsewhere.
    pub(crate) key: String,
    /// Enrols the first passkey, once, within a day.
    pub(crate) ticket: String,
    /// Makes other tokens.
    pub(crate) token: String,
}

/// Makes a data folder with a deployment in it.
pub(crate) async fn found(
    path: &Path,
    lab: bool,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> Result<Founded, StoreError> {
    let (folder, options) = (path.to_owned(), Options::new(clock.clone()));
    let (store, key) = super::off_runtime(move || {
        let key = Folder::create(&folder)?;
        Ok((Folder::open(&folder, options)?.0, key))
    })
    .await?;
    let at = clock.now();
    let deployment = DeploymentId::mint(at, entropy.id());
    let ticket = Ticket::draw(entropy);
    let scopes = [Scope::Read, Scope::Contain, Scope::Author, Scope::Admin];
    let mut minted = server::mint(entropy, at, "first", &scopes, None, server::LONGEST);
    minted.kept.by = Some("quell init".to_owned());
    let entries = vec![
        Entry::DeploymentCreated(DeploymentCreated { deployment, lab, key: key.clone() }),
        Entry::EnrolmentIssued {
            hash: ticket.hash(),
            name: "first administrator".to_owned(),
            roles: vec!["admin".to_owned(), "approver".to_owned()],
            expires_at: at + TimeDelta::hours(24),
        },
        Entry::TokenChanged(Box::new(minted.kept)),
    ];
    store.submit(Commit { seq: 1, at, entries }).await?;
    store.close().await?;
    Ok(Founded { deployment, key, ticket: ticket.reveal().to_owned(), token: minted.text })
}
