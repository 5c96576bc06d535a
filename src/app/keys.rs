//! Sets the renewers going, one for each source that names where its transmitter's keys are.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

use super::BootError;
use crate::connector::outbound::{Transport, Way, dial};
use crate::engine::driver::Engine;
use crate::intake::Place;
use crate::jwks::{Parts, Renewal, Renewals, Renewer};
use crate::model::id::SourceId;
use crate::server::Source;
use crate::store::disk::DiskStore;
use crate::store::jwks::KeySets;

/// Begins to read keys. What an earlier process read counts when this returns.
pub(super) async fn begin(
    engine: &Engine,
    sources: &BTreeMap<SourceId, Source>,
    store: &DiskStore,
    closing: &watch::Receiver<bool>,
) -> Result<Renewals, BootError> {
    let shelf = Arc::new(KeySets::at(&store.path().join("jwks")));
    let ports = engine.ports();
    let mut begun = Vec::new();
    for (id, source) in sources {
        let read = source.verifier.as_ref().and_then(|verifier| verifier.renewed());
        let Some((place, ring)) = read else { continue };
        let renewal = Renewal::new(ring.clone(), ports.clock.clone(), place);
        let renewer = Renewer::new(Parts {
            source: id.clone(),
            place: place.clone(),
            renewal: renewal.clone(),
            transport: way_out(id, place)?,
            shelf: shelf.clone(),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            closing: closing.clone(),
        });
        engine.tasks().spawn(renewer.await.run());
        begun.push((id.clone(), renewal));
    }
    Ok(begun.into_iter().collect())
}

fn way_out(id: &SourceId, place: &Place) -> Result<Arc<dyn Transport>, BootError> {
    let way = Way { networks: &place.allow_networks, native: None };
    dial()(way)
        .map_err(|error| BootError::Source { source_id: id.to_string(), why: error.to_string() })
}
