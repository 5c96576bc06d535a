//! The kept inputs of every target: what was found once stays fixed.

use std::path::{Path, PathBuf};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 7] = [
    ("anchor", super::anchor),
    ("headers", super::headers),
    ("intake", super::intake),
    ("journal", super::journal),
    ("manifest", super::manifest),
    ("playbook", super::playbook),
    ("template", super::template),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn what_the_corpus_holds_keeps_every_promise() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, target) in TARGETS {
        let inputs = files(&kept.join(name));
        assert!(!inputs.is_empty(), "no inputs for {name}");
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            std::panic::catch_unwind(|| target(&data))
                .unwrap_or_else(|_| panic!("{}", input.display()));
        }
    }
}

/// A target that nobody plays, or inputs that nobody reads, would look like proof.
#[test]
fn every_fuzz_target_is_played() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut built: Vec<_> = files(&fuzz.join("fuzz_targets")).into_iter().map(stem).collect();
    let mut kept: Vec<_> = files(&fuzz.join("corpus")).into_iter().map(stem).collect();
    built.sort();
    kept.sort();

    let played: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();

    assert_eq!(built, played);
    assert_eq!(kept, played);
}
