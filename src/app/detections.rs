//! Detections: those that come with Quell, with the folder `detections` of a folder of playbooks
//! laid over them, file by file.

use std::collections::BTreeMap;
use std::path::Path;

use super::BootError;
use crate::detect::{self, Rules};

/// Path and text.
pub(crate) type Written = (String, String);

/// The detections that a folder of playbooks leads to; an empty path is no folder.
pub(crate) fn load(playbooks: &Path) -> Result<Rules, BootError> {
    detect::read(&gather(playbooks)?).map_err(BootError::Playbooks)
}

fn gather(playbooks: &Path) -> Result<Vec<Written>, BootError> {
    let folder = playbooks.join("detections");
    if playbooks.as_os_str().is_empty() || !folder.is_dir() {
        return Ok(detect::shipped());
    }
    let refuse = |source| BootError::PlaybookFiles { path: folder.clone(), source };
    let mut own = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        if path.is_file() && path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            let text = std::fs::read_to_string(&path).map_err(refuse)?;
            own.push((path.display().to_string(), text));
        }
    }
    Ok(overlaid(own))
}

/// A person's files over the shipped ones of the same file name.
pub(crate) fn overlaid(own: Vec<Written>) -> Vec<Written> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let all = detect::shipped().into_iter().chain(own);
    let files: BTreeMap<String, Written> = all.map(|file| (name(&file.0), file)).collect();
    files.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folders_detection_takes_the_place_of_the_shipped_one() {
        let folder = tempfile::tempdir().unwrap();
        let detections = folder.path().join("detections");
        std::fs::create_dir(&detections).unwrap();
        let stricter = "detection: push-burst\nstage: noted\nfailed: 2\n";
        std::fs::write(detections.join("push-burst.yaml"), stricter).unwrap();

        let rules = load(folder.path()).unwrap();

        assert_eq!(rules.rules.len(), Rules::default().rules.len());
        let burst = rules.rules.iter().find(|rule| rule.name == "push-burst").unwrap();
        assert_eq!(burst.failed, 2);
    }
}
