//! What is done now and then: signed checkpoints, dropping evidence that is old enough, looking after
//! the disk.

use chrono::TimeDelta;
use std::sync::Arc;
use tokio::sync::watch;

use super::keeper::Turn;
use super::retention;
use crate::config;
use crate::engine::driver::Engine;
use crate::engine::ports::Store as _;
use crate::model::time::{Span, Time};
use crate::server::Metrics;
use crate::store::disk::DiskStore;

/// Lines after which a checkpoint is due at once.
const LINES: u64 = 100;
/// The time after which it is due if there was any line.
const EVERY: TimeDelta = TimeDelta::seconds(60);
const LOOK: TimeDelta = TimeDelta::seconds(1);
const MEASURE: TimeDelta = TimeDelta::minutes(5);
const SWEEP: TimeDelta = TimeDelta::hours(1);

/// Sets the chores going until the process ends.
pub(super) fn begin(
    engine: &Engine,
    store: &Arc<DiskStore>,
    metrics: &Metrics,
    settings: &config::Store,
    (turn, closed): (&Turn, &watch::Receiver<bool>),
) {
    let (own, kept, until) = (engine.clone(), store.clone(), closed.clone());
    engine.tasks().spawn(async move { room(own, kept, until).await });
    let (own, kept, until) = (engine.clone(), store.clone(), closed.clone());
    let metrics = metrics.clone();
    engine.tasks().spawn(async move { measure(own, kept, metrics, until).await });
    let (own, kept, until) = (engine.clone(), store.clone(), closed.clone());
    engine.tasks().spawn(async move { checkpoints(own, kept, until).await });
    let (own, kept, until) = (engine.clone(), store.clone(), closed.clone());
    let evidence = settings.retention;
    engine.tasks().spawn(async move { sweep(own, kept, evidence, until).await });
    if settings.journal_retention > Span::hours(0) {
        let (own, kept, until) = (engine.clone(), store.clone(), closed.clone());
        let (turn, kept_for) = (turn.clone(), settings.journal_retention);
        engine.tasks().spawn(async move { journal(own, kept, (turn, kept_for), until).await });
    }
}

/// Waits; false once the process ends.
async fn wait(engine: &Engine, until: Time, closed: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = closed.wait_for(|closing| *closing) => false,
        () = engine.ports().clock.sleep_until(until) => true,
    }
}

async fn checkpoints(engine: Engine, store: Arc<DiskStore>, mut closed: watch::Receiver<bool>) {
    let (mut signed, mut at) = (store.durable(), engine.now());
    while wait(&engine, engine.now() + LOOK, &mut closed).await {
        let lines = store.durable().saturating_sub(signed);
        if lines < LINES && (lines == 0 || engine.now() - at < EVERY) {
            continue;
        }
        let entry = store.checkpoint();
        if let Err(error) = engine.commit(|tx| tx.push(entry)).await {
            tracing::error!("Could not commit a checkpoint: {error}");
            continue;
        }
        // The checkpoint's own line asks for no other.
        (signed, at) = (store.durable(), engine.now());
    }
}

/// Looks at the disk's room every second.
async fn room(engine: Engine, store: Arc<DiskStore>, mut closed: watch::Receiver<bool>) {
    loop {
        if let Err(error) = store.look_at_room() {
            tracing::warn!("Could not look after the disk: {error}");
        }
        if !wait(&engine, engine.now() + LOOK, &mut closed).await {
            return;
        }
    }
}

/// Shows the folder's sizes, and has an index that grew too large made again.
async fn measure(
    engine: Engine,
    store: Arc<DiskStore>,
    metrics: Metrics,
    mut closed: watch::Receiver<bool>,
) {
    // Not at once: counting rows reads them all.
    while wait(&engine, engine.now() + MEASURE, &mut closed).await {
        let behind = store.index_behind().is_some();
        metrics.index_behind(behind);
        if behind {
            continue;
        }
        match store.stats().await {
            Ok(stats) => {
                let parts = [
                    ("journal", stats.journal_bytes),
                    ("index", stats.index_bytes),
                    ("evidence", stats.evidence_bytes),
                ];
                metrics.stored(&parts);
                if store.keep_index_small(&stats) {
                    tracing::info!(
                        "The next start makes the index again: it takes {} bytes for {} of rows",
                        stats.index_bytes,
                        stats.row_bytes
                    );
                }
            }
            Err(error) => tracing::warn!("Could not measure the data folder: {error}"),
        }
    }
}

/// Drops the journal's lines that are old enough.
async fn journal(
    engine: Engine,
    store: Arc<DiskStore>,
    (turn, kept_for): (Turn, Span),
    mut closed: watch::Receiver<bool>,
) {
    while wait(&engine, engine.now() + SWEEP, &mut closed).await {
        // A copy that is under way reads all lines: the next hour will do.
        let Ok(_turn) = turn.clone().try_acquire_owned() else { continue };
        match retention::enforce(&engine, &store, kept_for).await {
            Ok(None) => {}
            Ok(Some(gone)) => tracing::info!(
                "Dropped {} cases older than {kept_for} and {} bytes of the journal, up to line {}",
                gone.cases,
                gone.bytes,
                gone.through
            ),
            Err(error) => tracing::error!("Could not drop old cases: {error}"),
        }
    }
}

async fn sweep(
    engine: Engine,
    store: Arc<DiskStore>,
    retention: Span,
    mut closed: watch::Receiver<bool>,
) {
    loop {
        let (evidence, before) = (store.evidence(), engine.now() - retention.delta());
        match super::off_runtime(move || evidence.drop_before(before)).await {
            Ok(0) => {}
            Ok(files) => tracing::info!("Dropped {files} hours of evidence older than {retention}"),
            Err(error) => tracing::error!("Could not drop old evidence: {error}"),
        }
        if !wait(&engine, engine.now() + SWEEP, &mut closed).await {
            return;
        }
    }
}
