//! Sets the pollers going, one for each source that has `poll`.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

use crate::config::Config;
use crate::engine::driver::Engine;
use crate::model::id::SourceId;
use crate::poll::{Known, Meters, Parts, Poller, Pull};
use crate::server::Source;

/// Begins to poll. `known`: what the evidence log has of each source.
pub(super) fn begin(
    engine: &Engine,
    config: &Config,
    sources: &BTreeMap<SourceId, Source>,
    pull: &Arc<dyn Pull>,
    (mut known, closing): (BTreeMap<SourceId, Known>, &watch::Receiver<bool>),
) -> Meters {
    let meters = Meters::default();
    for (id, source) in sources {
        let Some(options) = config.sources.get(id).and_then(|s| s.poll.clone()) else { continue };
        tracing::info!(source.id = %id, "Polls `{id}` at `{}`", options.schedule);
        let poller = Poller::new(Parts {
            engine: engine.clone(),
            origin: source.origin.clone(),
            options,
            pull: pull.clone(),
            known: known.remove(id).unwrap_or_default(),
            meters: meters.clone(),
            closing: closing.clone(),
        });
        engine.tasks().spawn(poller.run());
    }
    meters
}
