//! Deliveries that were refused and may be judged once more, when what was wrong with the settings has been mended.
//!
//! A second judgement goes through the same door. What a signature proves is kept with it and proved again, under the
//! secrets of then. A secret in a header is proof as well, but must not lie on a disk: such a delivery is
//! kept without it, and only if it had been proved.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::intake::Kind;
use crate::model::id::{ReceiptId, SourceId};
use crate::model::time::Time;

/// One refused delivery, but for its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) id: ReceiptId,
    pub(crate) source: SourceId,
    /// When it was received: its signature has to have been fresh then, and its records are as old as that.
    pub(crate) at: Time,
    /// As what a tool said that it be read; a hook's is its source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// The problem's type.
    pub(crate) problem: String,
    pub(crate) detail: String,
    pub(crate) proof: Proved,
    /// Its sender was told that it was taken, although nothing of it could be used.
    #[serde(default)]
    pub(crate) answered: bool,
}

/// What says that its source sent it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proved {
    /// The raw body and these headers, whenever it is asked. `held`: it was so when it came.
    Signed { headers: Vec<(String, String)>, held: bool },
    /// It was proved when it came. The body is plain.
    Passed { delivery: String, by_token: bool, replayed: bool },
}

impl Kept {
    /// Whether its sender had proved it when it came: a stranger's take nothing of the others' room.
    pub(crate) fn was_proved(&self) -> bool {
        match self.proof {
            Proved::Signed { held, .. } => held,
            Proved::Passed { .. } => true,
        }
    }
}

/// Where they lie. Bounded: what does not fit any more is gone, and nobody was promised otherwise.
#[async_trait]
pub(crate) trait Shelf: Send + Sync {
    async fn keep(&self, kept: Kept, body: Bytes);
    /// All of them, the newest first.
    fn all(&self) -> Vec<Kept>;
    async fn body(&self, id: ReceiptId) -> Option<(Kept, Bytes)>;
    async fn forget(&self, id: ReceiptId);
}
