//! Doors for people: what somebody tells Quell itself, rather than a source that delivers.
//!
//! A door's word carries as far as a report's ever does: sessions may end, nothing else is done without
//! people. Who stands in it is settled by the caller.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

use super::{Answer, Fact, Incoming};
use crate::engine::driver::Engine;
use crate::engine::policy::SourceView;
use crate::engine::ports::StoreError;
use crate::model::alert::{Proof, Report};
use crate::model::event::AccountName;
use crate::model::id::{ReportId, SourceId};
use crate::model::incident::MayCause;
use crate::model::subject::Alias;

/// Where a person told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The public form.
    Form,
    /// A call that an agent wrote down.
    HelpDesk,
}

impl Door {
    /// What stands in the journal where a source's name does.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Form => "report-form",
            Self::HelpDesk => "help-desk",
        }
    }
}

/// What somebody told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Whose account gets the prompts.
    pub(crate) login: String,
    pub(crate) proof: Proof,
    pub(crate) text: String,
    /// The agent who wrote it down.
    pub(crate) taken_by: Option<String>,
    /// Names this telling, so that a form that is sent twice tells once.
    pub(crate) once: String,
}

/// The door of whoever was asked; what they say is about somebody who is known.
pub(super) fn asked() -> Incoming {
    Incoming {
        source: SourceView {
            id: SourceId::new("asked"),
            may_cause: MayCause::Revoke,
            connections: Vec::new(),
            aliases: BTreeMap::new(),
        },
        delivery: String::new(),
        facts: Vec::new(),
        accepted: 0,
        rejected: Vec::new(),
        replayed: false,
    }
}

impl Engine {
    /// Takes a report that a person made here. When it returns, the report is on disk.
    pub(crate) async fn told(&self, door: Door, told: Told) -> Result<Answer, StoreError> {
        let alias = Alias::login(&told.login);
        self.fetch_named(std::slice::from_ref(&alias)).await?;
        let known = self.read(|core| core.state.subject_by_alias(&alias).is_some());
        // Of somebody who is known, anybody's word makes no further connection Quell's business.
        let connections = if known {
            Vec::new()
        } else {
            self.ports().catalogue.connections_for("identity.revoke_sessions")
        };
        let digest = Sha256::digest(format!("{}/{}", door.name(), told.once));
        let mut ten = [0; 10];
        ten.copy_from_slice(&digest[..10]);
        let now = self.now();
        let report = Report {
            id: ReportId::mint(now, ten),
            account: AccountName { login: Some(told.login), provider_id: None },
            time: now,
            proof: told.proof,
            text: told.text,
            taken_by: told.taken_by,
        };
        let answer = self
            .ingest(Incoming {
                source: SourceView {
                    id: SourceId::new(door.name()),
                    may_cause: MayCause::Revoke,
                    connections,
                    aliases: BTreeMap::new(),
                },
                delivery: told.once,
                facts: vec![Fact::Report(Box::new(report))],
                accepted: 1,
                rejected: Vec::new(),
                replayed: false,
            })
            .await?;
        Ok(answer.replying())
    }
}
