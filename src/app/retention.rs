//! Drops the journal's oldest lines, whole segments at a time, once nothing is needed of them any more.

use std::sync::Arc;

use super::off_runtime;
use crate::engine::driver::Engine;
use crate::engine::ports::StoreError;
use crate::model::time::Span;
use crate::store::disk::DiskStore;

/// How many segments a retention is spread over: a line goes at the latest by a tenth of it too late.
const SEGMENTS: i32 = 10;

/// What was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) cases: usize,
    pub(super) through: u64,
    pub(super) bytes: u64,
}

/// Drops what is older than `kept_for`, if a segment can go.
pub(super) async fn enforce(
    engine: &Engine,
    store: &Arc<DiskStore>,
    kept_for: Span,
) -> Result<Option<Gone>, StoreError> {
    let now = engine.now();
    let kept = store.clone();
    let (old, worn) = (now - kept_for.delta(), now - kept_for.delta() / SEGMENTS);
    let last = off_runtime(move || {
        kept.roll_if_older(worn)?;
        kept.droppable(old)
    })
    .await?;
    let Some(last) = last else { return Ok(None) };
    let retired = engine.retire(last.seq).await?;
    let pruned = store.pruned(&last);
    engine.commit(|tx| tx.push(pruned)).await?;
    let (kept, through) = (store.clone(), last.seq);
    let bytes = off_runtime(move || kept.prune(&last)).await?;
    Ok(Some(Gone { cases: retired.dropped, through, bytes }))
}
