//! Sources as the server wants them: secrets looked up, verifiers made.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BootError;
use crate::config::{Config, Source};
use crate::delivery::Origin;
use crate::intake::{Auth, Format, Mapping, Verifier, read_mapping};
use crate::jwks;
use crate::model::id::SourceId;
use crate::secret::{Reference, Scrubber, Sources as Secrets};
use crate::server::{self, Bucket, Received};

/// Makes every configured source ready to receive.
pub(super) fn ready(
    config: &Config,
    secrets: &Secrets,
    scrubber: &Scrubber,
) -> Result<BTreeMap<SourceId, server::Source>, BootError> {
    let mut ready = BTreeMap::new();
    for (id, source) in &config.sources {
        let refuse = |why: String| BootError::Source { source_id: id.to_string(), why };
        let open = source.auth.as_ref().is_some_and(Auth::is_open);
        if open && !(config.server.lab && config.server.listen.ip().is_loopback()) {
            return Err(refuse("`auth = \"none\"` is for a lab that listens on loopback".into()));
        }
        if let Some(problem) = polled(config, source) {
            return Err(refuse(problem));
        }
        if let Some(problem) = source.auth.as_ref().and_then(Auth::place).and_then(jwks::problem) {
            return Err(refuse(problem));
        }
        let verifier = verifier(source, secrets, scrubber).map_err(refuse)?;
        let made = server::Source {
            origin: origin(id, source)?,
            verifier,
            bucket: Bucket::per_minute(source.per_minute),
        };
        ready.insert(id.clone(), made);
    }
    Ok(ready)
}

/// Why a source cannot be polled as it is configured. `config check` tells more.
fn polled(config: &Config, source: &Source) -> Option<String> {
    let poll = source.poll.as_ref()?;
    let twice = config.sources.values().filter_map(|other| other.poll.as_ref());
    if twice.filter(|other| other.is_same_log(poll)).count() > 1 {
        return Some("another source polls the same log".into());
    }
    poll.problems(&config.connections).into_iter().next()
}

pub(super) fn origin(id: &SourceId, source: &Source) -> Result<Origin, BootError> {
    Ok(Origin {
        view: source.view(id),
        format: Format { kind: source.kind, mapping: mapping(source)? },
        highest_stage: source.highest_stage(),
        proof: source.proof,
    })
}

/// The mapping that a source's records are read by, if it has one of its own.
pub(crate) fn mapping(source: &Source) -> Result<Option<Arc<Mapping>>, BootError> {
    let Some(path) = &source.mapping else { return Ok(None) };
    let refuse = |source| BootError::MappingFile { path: path.clone(), source };
    let text = std::fs::read_to_string(path).map_err(refuse)?;
    let read = read_mapping(&path.display().to_string(), &text);
    Ok(Some(Arc::new(read.map_err(BootError::Mapping)?)))
}

fn verifier(
    source: &Source,
    secrets: &Secrets,
    scrubber: &Scrubber,
) -> Result<Option<Verifier>, String> {
    let Some(auth) = &source.auth else { return Ok(None) };
    let mut values = Vec::new();
    for name in auth.secrets() {
        let reference: Reference =
            name.parse().map_err(|e: crate::secret::SecretError| e.to_string())?;
        let secret = secrets.resolve(&reference).map_err(|e| e.to_string())?;
        scrubber.register(&secret);
        values.push(secret.expose().as_bytes().to_vec());
    }
    Verifier::new(auth.clone(), values).map(Some).map_err(|e| e.to_string())
}

/// A place for what comes in, by source. Of a polled one nothing is awaited; its meter tells.
pub(super) fn received(sources: &BTreeMap<SourceId, server::Source>, config: &Config) -> Received {
    Received::of(kinds(sources, config))
}

/// The sources that post, with what kind of records.
pub(super) fn kinds(
    sources: &BTreeMap<SourceId, server::Source>,
    config: &Config,
) -> Vec<(String, String)> {
    let is_polled = |id| config.sources.get(id).is_some_and(|source| source.poll.is_some());
    let posted = sources.iter().filter(|(id, _)| !is_polled(*id));
    posted.map(|(id, s)| (id.to_string(), s.origin.format.kind.to_string())).collect()
}
