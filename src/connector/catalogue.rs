//! All capabilities and manifests: compiled in, overlaid from a folder, checked as a whole.
//!
//! A catalogue that exists is consistent: `load` runs every rule of `check` first. May read
//! the overlay folder; knows no network and no configured connection.

use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::builtin::{self, File};
use super::capability::Capabilities;
use super::check;
use super::manifest::{Action, Connector};
use crate::model::action::{Reversal, Signature, Signatures, ValueType};

/// Why the manifests cannot be used: every problem at once.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ManifestErrors(pub(crate) Vec<String>);

/// A connector with its actions by name.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) manifest: Connector,
    pub(crate) actions: BTreeMap<String, Action>,
}

/// Every capability and every connector.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    pub(crate) capabilities: Capabilities,
    pub(crate) connectors: BTreeMap<String, Described>,
}

impl Catalogue {
    /// The manifests that are compiled in.
    pub(crate) fn builtin() -> Result<Self, ManifestErrors> {
        Self::load(Vec::new())
    }

    /// The compiled-in manifests with the files of a `connectors` folder laid over them, file by file.
    pub(crate) fn with_folder(folder: &Path) -> Result<Self, ManifestErrors> {
        let mut files = Vec::new();
        collect(folder, folder, &mut files)
            .map_err(|e| ManifestErrors(vec![format!("{}: {e}", folder.display())]))?;
        Self::load(files)
    }

    /// The compiled-in manifests with `overlay` laid over them.
    pub(crate) fn load(overlay: Vec<File>) -> Result<Self, ManifestErrors> {
        let mut files: BTreeMap<String, String> = builtin::manifests().collect();
        files.extend(overlay);
        let mut problems = Vec::new();
        let catalogue = Self::read(&files, &mut problems);
        problems.extend(check::catalogue(&catalogue));
        if problems.is_empty() { Ok(catalogue) } else { Err(ManifestErrors(problems)) }
    }

    fn read(files: &BTreeMap<String, String>, problems: &mut Vec<String>) -> Self {
        let capabilities = files
            .get("capabilities.yaml")
            .and_then(|text| parse("capabilities.yaml", text, problems))
            .unwrap_or_default();
        let mut connectors = BTreeMap::new();
        for (path, text) in files {
            let Some(name) = path.strip_suffix("/connector.yaml") else { continue };
            let Some(manifest) = parse::<Connector>(path, text, problems) else { continue };
            if manifest.connector != name {
                problems
                    .push(format!("{path}: `connector` must be `{name}`, as the folder is called"));
            }
            connectors.insert(name.to_owned(), Described { manifest, actions: BTreeMap::new() });
        }
        for (path, text) in files {
            let Some((folder, file)) = path.split_once('/') else { continue };
            let Some(name) = file.strip_suffix(".yaml").filter(|n| *n != "connector") else {
                continue;
            };
            if name.contains('/') {
                continue;
            }
            let Some(connector) = connectors.get_mut(folder) else {
                problems.push(format!("{path}: there is no {folder}/connector.yaml"));
                continue;
            };
            let Some(action) = parse::<Action>(path, text, problems) else { continue };
            if action.action != name {
                problems.push(format!("{path}: `action` must be `{name}`, as the file is called"));
            }
            connector.actions.insert(name.to_owned(), action);
        }
        Self { capabilities, connectors }
    }

    /// The action `connector/action`.
    pub(crate) fn action(&self, name: &str) -> Option<(&Described, &Action)> {
        let (connector, action) = name.split_once('/')?;
        let described = self.connectors.get(connector)?;
        Some((described, described.actions.get(action)?))
    }

    /// The actions of a connector that a `use:` name means: one if it names one, else all that implement it.
    pub(crate) fn implementing<'a>(&'a self, connector: &str, name: &str) -> Vec<&'a Action> {
        let Some(described) = self.connectors.get(connector) else { return Vec::new() };
        match name.split_once('/') {
            Some((own, action)) if own == connector => {
                described.actions.get(action).into_iter().collect()
            }
            Some(_) => Vec::new(),
            None => described
                .actions
                .values()
                .filter(|action| action.implements.as_deref() == Some(name))
                .collect(),
        }
    }

    /// What a playbook may call: every capability, and every action as `connector/action`.
    pub(crate) fn signatures(&self) -> Signatures {
        let undoable: BTreeSet<&str> = self
            .connectors
            .values()
            .flat_map(|c| c.actions.values())
            .filter(|a| a.undo.is_some())
            .filter_map(|a| a.implements.as_deref())
            .collect();
        let mut signatures: Signatures = self
            .capabilities
            .iter()
            .map(|(name, c)| (name.clone(), c.signature(undoable.contains(name.as_str()))))
            .collect();
        for (name, described) in &self.connectors {
            for action in described.actions.values() {
                signatures.insert(format!("{name}/{}", action.action), self.own_signature(action));
            }
        }
        signatures
    }

    fn own_signature(&self, action: &Action) -> Signature {
        let declared = action.implements.as_ref().and_then(|name| self.capabilities.get(name));
        let outputs = action.response.outputs.keys().map(|output| {
            let kind = declared.and_then(|c| c.outputs.get(output)).copied();
            (output.clone(), kind.unwrap_or(ValueType::Any))
        });
        Signature {
            inputs: action.inputs.clone(),
            outputs: outputs.collect(),
            effect: action.effect,
            reversal: declared.map_or(Reversal::None, |c| c.reversal),
            has_undo: action.undo.is_some(),
            point_in_time: declared.is_some_and(|c| c.point_in_time),
            summary: action.summary.clone(),
        }
    }
}

fn parse<T: DeserializeOwned>(path: &str, text: &str, problems: &mut Vec<String>) -> Option<T> {
    serde_saphyr::from_str(text).map_err(|e| problems.push(format!("{path}: {e}"))).ok()
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "exchanges") {
                collect(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "yaml") {
            let name =
                path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            files.push((name, std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compiled_in_is_consistent() {
        if let Err(problems) = Catalogue::builtin() {
            panic!("{problems}");
        }
    }

    #[test]
    fn a_file_of_the_overlay_replaces_the_one_compiled_in() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("okta")).unwrap();
        let text = builtin::manifests().find(|(p, _)| p == "okta/suspend.yaml").unwrap().1;
        let text = text.replace("title: Suspend user", "title: Ours");
        std::fs::write(folder.path().join("okta/suspend.yaml"), text).unwrap();

        let catalogue = Catalogue::with_folder(folder.path()).unwrap();

        assert_eq!(catalogue.action("okta/suspend").unwrap().1.title, "Ours");
    }

    #[test]
    fn every_problem_of_an_overlay_is_said_at_once() {
        let overlay = vec![
            ("okta/suspend.yaml".to_owned(), "action: suspend\nunknown: 1\n".to_owned()),
            ("nobody/act.yaml".to_owned(), "action: act\n".to_owned()),
        ];

        let problems = Catalogue::load(overlay).unwrap_err().0;

        assert!(problems.iter().any(|p| p.starts_with("okta/suspend.yaml")), "{problems:?}");
        assert!(problems.iter().any(|p| p.starts_with("nobody/act.yaml")), "{problems:?}");
    }

    #[test]
    fn a_capability_knows_whether_something_undoes_it() {
        let signatures = Catalogue::builtin().unwrap().signatures();

        assert!(signatures["identity.block_sign_in"].has_undo);
        assert!(!signatures["identity.revoke_sessions"].has_undo);
        assert!(signatures["identity.revoke_sessions"].point_in_time);
        assert_eq!(
            signatures["identity.remove_factor"].item_input(),
            Some(("factor", ValueType::Factor))
        );
        assert!(signatures.contains_key("okta/suspend"));
    }
}
