//! Playbooks at boot: those that come with Quell, with a folder's laid over them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::PoisonError;

use super::BootError;
use crate::config::Config;
use crate::engine::driver::Engine;
use crate::engine::ports::StoreError;
use crate::model::action::Signatures;
use crate::model::id::{PlanDigest, PlaybookName};
use crate::playbook::{Checked, Library, SHIPPED};
use crate::server::{self, Candidate, Candidates};

/// Path and text of every playbook, by file name.
pub(crate) fn gather(folder: &Path) -> Result<Vec<(String, String)>, BootError> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut files: BTreeMap<String, (String, String)> = SHIPPED
        .iter()
        .map(|(path, text)| (name(path), ((*path).to_owned(), (*text).to_owned())))
        .collect();
    if !folder.as_os_str().is_empty() {
        let refuse = |source| BootError::PlaybookFiles { path: folder.to_owned(), source };
        for entry in std::fs::read_dir(folder).map_err(refuse)? {
            let path = entry.map_err(refuse)?.path();
            let shown = path.display().to_string();
            let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
            if path.is_file() && yaml && !shown.contains(".test.") {
                let text = std::fs::read_to_string(&path).map_err(refuse)?;
                files.insert(name(&shown), (shown, text));
            }
        }
    }
    Ok(files.into_values().collect())
}

/// Publishes them in a lab or with `auto_publish`; else what differs waits for a person. Gives what was read.
pub(super) async fn load(
    config: &Config,
    engine: &Engine,
    signatures: &Signatures,
    candidates: &Candidates,
) -> Result<BTreeMap<PlaybookName, PlanDigest>, BootError> {
    let found = check(config, signatures)?;
    let read = digests(&found);
    take(found, config.server.lab, engine, candidates).await?;
    Ok(read)
}

/// Each one's version.
pub(super) fn digests(found: &[Checked]) -> BTreeMap<PlaybookName, PlanDigest> {
    found.iter().map(|checked| (checked.plan.name.clone(), checked.digest.clone())).collect()
}

/// Takes in those that are not published as they are; says of each whether it is published now.
pub(super) async fn take(
    found: Vec<Checked>,
    lab: bool,
    engine: &Engine,
    candidates: &Candidates,
) -> Result<Vec<(PlaybookName, bool)>, StoreError> {
    let by = match (lab, engine.policy().auto_publish) {
        (true, _) => Some("lab"),
        (false, true) => Some("auto_publish"),
        (false, false) => None,
    };
    let mut taken = Vec::new();
    for checked in found {
        let name = checked.plan.name.clone();
        let text = checked.whole_text();
        let (same, diff) = engine.read(|core| {
            let same = core.state.published.get(&name) == Some(&checked.digest);
            (same, server::diff(&core.state, &name, &text))
        });
        if same {
            continue;
        }
        if let Some(by) = by {
            engine.publish(checked.plan, checked.digest, text, by, diff).await?;
            tracing::info!(playbook.name = %name, "Published the playbook `{name}`");
        } else {
            let by = checked.source.path.clone();
            let candidate = Candidate { checked, by, at: engine.now(), diff };
            let mut waiting = candidates.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.insert(name.clone(), candidate);
            drop(waiting);
            tracing::warn!(playbook.name = %name, "The playbook `{name}` waits for a person to publish it");
        }
        taken.push((name, by.is_some()));
    }
    Ok(taken)
}

/// Reads and checks all of them, each with those that it calls.
pub(super) fn check(config: &Config, signatures: &Signatures) -> Result<Vec<Checked>, BootError> {
    let (mut sound, mut problems) = (Vec::new(), Vec::new());
    let files = gather(&config.store.playbooks)?;
    let mut library = Library::default();
    for (path, text) in &files {
        library.put(path, text);
    }
    for (path, text) in files {
        match library.check(&path, &text, signatures) {
            Ok(checked) => sound.push(checked),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(sound) } else { Err(BootError::Playbooks(problems)) }
}
