//! What surrounds every page.

use super::ConsoleState;
use super::look::Look;
use super::show::At;
use super::signed_in::SignedIn;
use crate::model::approval::ApprovalState;
use crate::model::text::tame_field;

/// The head and foot of a page.
pub(super) struct Frame {
    pub(super) title: String,
    /// The signed-in person's name; none on the pages before.
    pub(super) who: Option<String>,
    pub(super) lab: bool,
    pub(super) paused: Option<Paused>,
    /// Questions waiting for an answer.
    pub(super) waiting: usize,
    pub(super) look: Look,
    /// The journal's head as this page shows it; the script refreshes when it has moved on.
    pub(super) seq: u64,
}

pub(super) struct Paused {
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) at: At,
}

impl Frame {
    /// Around pages for nobody in particular.
    pub(super) fn bare(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            who: None,
            lab: false,
            paused: None,
            waiting: 0,
            look: Look::default(),
            seq: 0,
        }
    }

    pub(super) fn new(state: &ConsoleState, by: &SignedIn, title: impl Into<String>) -> Self {
        let now = state.engine.now();
        state.engine.read(|core| {
            let pending = |a: &&crate::model::approval::Approval| {
                a.state == ApprovalState::Pending && a.expires_at > now
            };
            Self {
                title: title.into(),
                who: Some(tame_field(&by.person.name)),
                lab: state.lab,
                paused: core.state.paused.as_ref().map(|pause| Paused {
                    by: tame_field(&pause.by),
                    reason: tame_field(&pause.reason),
                    at: At(pause.at),
                }),
                look: by.look,
                waiting: core.state.approvals.values().filter(pending).count(),
                seq: core.state.seq,
            }
        })
    }
}
