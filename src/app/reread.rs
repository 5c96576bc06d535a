//! Settings taken while Quell runs: what is only about intake. What else has changed is named, and waits for a restart.
//!
//! All of it is read and checked before anything is taken, so that a file with mistakes changes nothing. A delivery that
//! is being judged is judged to its end by what held when its body had come; the next one goes by what was taken.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

use super::{BootError, detections, playbooks, sources};
use crate::approval::statement::{canonical, sha256_hex};
use crate::config::{self, Config, Layers, Loaded, Source, place};
use crate::detect::Rules;
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::driver::Engine;
use crate::model::action::Signatures;
use crate::model::entry::SettingsReread;
use crate::model::id::{ConnectionId, PlanDigest, PlaybookName, SourceId};
use crate::playbook::Checked;
use crate::secret::{Scrubber, Sources as Secrets};
use crate::server::{self, Candidates, Received, Reread, Rereads, Roster, Unread};

/// Reads the file and what is laid over it, as the start did.
pub(crate) type Reading = Arc<dyn Fn() -> Result<Loaded, Unread> + Send + Sync>;

/// Reads layers again and checks them as the start does.
pub(crate) fn reading(
    layers: impl Fn() -> std::io::Result<Layers> + Send + Sync + 'static,
    secrets: Secrets,
) -> Reading {
    Arc::new(move || {
        let unread = |error| Unread::Failed(format!("the settings could not be read: {error}"));
        let loaded = config::load(&layers().map_err(unread)?).map_err(Unread::Problems)?;
        let mut found = config::check(&loaded, &secrets);
        found.retain(|problem| problem.severity == Severity::Error);
        if found.is_empty() { Ok(loaded) } else { Err(Unread::Problems(found)) }
    })
}

/// What settings are read and taken by.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) reading: Option<Reading>,
    pub(super) engine: Engine,
    pub(super) secrets: Secrets,
    pub(super) scrubber: Scrubber,
    pub(super) signatures: Arc<Signatures>,
    pub(super) candidates: Candidates,
    pub(super) roster: Roster,
    pub(super) received: Received,
}

/// Takes settings anew, one reading after the other.
pub(super) struct Rereader {
    parts: Parts,
    now: Mutex<Now>,
}

/// What holds.
#[derive(Clone)]
pub(super) struct Now {
    /// As the process was started, with the sources of the last reading.
    pub(super) config: Config,
    pub(super) rules: Rules,
    /// The playbooks that were read last; those that people brought otherwise are not among them.
    pub(super) playbooks: BTreeMap<PlaybookName, PlanDigest>,
    /// The text of each source's mapping.
    mappings: Mappings,
}

type Mappings = BTreeMap<SourceId, String>;

/// Everything that a reading leads to, found to be sound.
struct Sound {
    next: Now,
    sources: BTreeMap<SourceId, server::Source>,
    playbooks: Vec<Checked>,
    restart: Vec<String>,
}

impl Now {
    pub(super) fn new(
        config: Config,
        rules: Rules,
        playbooks: BTreeMap<PlaybookName, PlanDigest>,
    ) -> Self {
        // What cannot be read is not the text of a mapping that is in use.
        let mappings = mappings(&config.sources).unwrap_or_default();
        Self { config, rules, playbooks, mappings }
    }
}

impl Rereader {
    pub(super) fn new(parts: Parts, now: Now) -> Self {
        Self { parts, now: Mutex::new(now) }
    }

    async fn take(&self, by: &str) -> Result<Reread, Unread> {
        let mut now = self.now.lock().await;
        let (parts, held) = (self.parts.clone(), now.clone());
        let sound = tokio::task::spawn_blocking(move || parts.read(held)).await;
        let sound = sound.map_err(|error| Unread::Failed(format!("reading failed: {error}")))??;
        let Sound { next, sources, playbooks, restart } = sound;
        let Parts { engine, received, roster, candidates, .. } = &self.parts;
        let mut taken = changed(&now, &next);
        let digest = digest(&next);
        let entry = SettingsReread {
            by: by.to_owned(),
            digest: digest.clone(),
            taken: taken.clone(),
            restart: restart.clone(),
        };
        engine.note_reread(entry).await?;
        let lab = next.config.server.lab;
        engine.settle_guardrails(next.config.guardrails(), lab).await?;
        engine.learn_sources(next.config.sources.iter().map(|(id, source)| source.view(id)));
        let is = &next.config.sources;
        engine.forget_sources(now.config.sources.keys().filter(|id| !is.contains_key(*id)));
        received.expect(sources::kinds(&sources, &next.config));
        roster.replace(sources);
        let mut waiting: Vec<String> = Vec::new();
        if engine.read(|core| core.wished.is_some()) {
            waiting.push("guardrails".to_owned());
        }
        *now = next;
        for (name, published) in playbooks::take(playbooks, lab, engine, candidates).await? {
            let list = if published { &mut taken } else { &mut waiting };
            list.push(format!("playbooks.{name}"));
        }
        Ok(Reread { digest, taken, restart, waiting })
    }
}

#[async_trait]
impl Rereads for Rereader {
    async fn reread(&self, by: &str) -> Result<Reread, Unread> {
        let done = self.take(by).await;
        match &done {
            Ok(reread) => {
                let said = |names: &[String]| match names {
                    [] => "nothing".to_owned(),
                    names => names.join(", "),
                };
                tracing::info!(
                    "Read the settings again at the word of `{by}`: took {}",
                    said(&reread.taken)
                );
                if !reread.restart.is_empty() {
                    tracing::warn!("Left what waits for a restart: {}", said(&reread.restart));
                }
            }
            Err(unread) => tracing::error!(
                "Read the settings again at the word of `{by}` and took nothing: {}",
                unread.told()
            ),
        }
        done
    }
}

impl Parts {
    /// Reads and checks all of it. Changes nothing.
    fn read(&self, now: Now) -> Result<Sound, Unread> {
        let Some(reading) = &self.reading else {
            return Err(Unread::Failed("this Quell has no file with settings".to_owned()));
        };
        let loaded = reading()?;
        let (config, mut restart) = intake_of(&now.config, loaded.config.clone());
        let unfit = |error| unread(error, &loaded);
        let texts = mappings(&config.sources).map_err(unfit)?;
        let made = sources::ready(&config, &self.secrets, &self.scrubber).map_err(unfit)?;
        if mappings(&config.sources).map_err(unfit)? != texts {
            let why = "a mapping was written while it was read: have the settings read again";
            return Err(Unread::Failed(why.to_owned()));
        }
        if detections::load(&config.store.playbooks).map_err(unfit)? != now.rules {
            restart.push("detections".to_owned());
        }
        let mut sound = playbooks::check(&config, &self.signatures).map_err(unfit)?;
        let digests = playbooks::digests(&sound);
        sound.retain(|checked| now.playbooks.get(&checked.plan.name) != Some(&checked.digest));
        let next = Now { config, mappings: texts, playbooks: digests, ..now };
        Ok(Sound { next, sources: made, playbooks: sound, restart })
    }
}

/// An error of the start as one of a reading: with its place, where it has one.
fn unread(error: BootError, loaded: &Loaded) -> Unread {
    match error {
        BootError::Playbooks(found) | BootError::Mapping(found) => Unread::Problems(found),
        BootError::Store(error) => Unread::Store(error),
        BootError::Source { ref source_id, .. } => {
            let at = place(&loaded.text.text, &["sources", source_id]);
            let found = Diagnostic::error("C002", &loaded.text, at, error.to_string(), "");
            Unread::Problems(vec![found])
        }
        BootError::MappingFile { source: ref why, .. }
        | BootError::PlaybookFiles { source: ref why, .. } => {
            Unread::Failed(format!("{error}: {why}"))
        }
        other => Unread::Failed(other.to_string()),
    }
}

/// The text of each mapping that a source names.
fn mappings(sources: &BTreeMap<SourceId, Source>) -> Result<Mappings, BootError> {
    let read = |(id, path): (&SourceId, &PathBuf)| {
        let refuse = |source| BootError::MappingFile { path: path.clone(), source };
        Ok((id.clone(), std::fs::read_to_string(path).map_err(refuse)?))
    };
    let named = sources.iter().filter_map(|(id, source)| Some((id, source.mapping.as_ref()?)));
    named.map(read).collect()
}

/// The settings of this process with the sources that can be taken, and what cannot.
fn intake_of(now: &Config, wished: Config) -> (Config, Vec<String>) {
    let mut restart = differences(now, &wished);
    let mut sources = wished.sources;
    let names: BTreeSet<SourceId> = now.sources.keys().chain(sources.keys()).cloned().collect();
    for id in names {
        let (before, after) = (now.sources.get(&id), sources.get(&id));
        if before == after || !waits(before, after, |id| now.connections.contains_key(id)) {
            continue;
        }
        restart.push(format!("sources.{id}"));
        match before {
            Some(before) => drop(sources.insert(id, before.clone())),
            None => drop(sources.remove(&id)),
        }
    }
    (Config { sources, ..now.clone() }, restart)
}

/// Whether a source cannot be taken as it is now: a poller goes on as it began, and so does whoever reads a
/// transmitter's keys; connections are made at the start.
fn waits(
    before: Option<&Source>,
    after: Option<&Source>,
    is_made: impl Fn(&ConnectionId) -> bool,
) -> bool {
    let polls = [before, after].into_iter().flatten().any(|source| source.poll.is_some());
    let keys =
        |source: Option<&Source>| source.and_then(|source| source.auth.as_ref()?.place()).cloned();
    polls
        || keys(before) != keys(after)
        || after.is_some_and(|source| !source.connections.iter().all(is_made))
}

/// The keys outside of `[sources]` that differ, section by section. Never their values.
fn differences(before: &Config, after: &Config) -> Vec<String> {
    let (before, after) = (object(before), object(after));
    let mut found = Vec::new();
    for section in keys(&before, &after).into_iter().filter(|section| *section != "sources") {
        match (before.get(section), after.get(section)) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                let differ = |key: &&str| before.get(*key) != after.get(*key);
                let keys = keys(before, after).into_iter().filter(differ);
                found.extend(keys.map(|key| format!("{section}.{key}")));
            }
            (before, after) if before != after => found.push(section.to_owned()),
            _ => {}
        }
    }
    found
}

fn object(config: &Config) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn keys<'m>(one: &'m Map<String, Value>, other: &'m Map<String, Value>) -> BTreeSet<&'m str> {
    one.keys().chain(other.keys()).map(String::as_str).collect()
}

/// The sources that are otherwise than before. A secret that was replaced under the same name is not among them: it is
/// looked up, and compared with nothing.
fn changed(before: &Now, after: &Now) -> Vec<String> {
    let (was, is) = (&before.config.sources, &after.config.sources);
    let names: BTreeSet<&SourceId> = was.keys().chain(is.keys()).collect();
    let differs = |id: &&SourceId| {
        was.get(*id) != is.get(*id) || before.mappings.get(*id) != after.mappings.get(*id)
    };
    names.into_iter().filter(differs).map(|id| format!("sources.{id}")).collect()
}

/// Names what intake goes by: the sources as they are typed, their mappings, and the playbooks that were read.
fn digest(now: &Now) -> String {
    sha256_hex(&canonical(&json!({
        "sources": now.config.sources, "mappings": now.mappings, "playbooks": now.playbooks,
    })))
}
