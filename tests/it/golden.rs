//! A store written by an earlier Quell must always open, and say the same.

use std::io::Read as _;
use std::path::Path;

use crate::world::quell;

/// The headless demonstration of the first release: two incidents' worth of entries, decisions with
/// their passkey assertions, holds placed and released. Its key is a throwaway.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/golden/v1");

fn unpack(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            unpack(&path, &to.join(name));
        } else if let Some(plain) = name.strip_suffix(".gz") {
            let mut bytes = Vec::new();
            let packed = std::fs::File::open(&path).unwrap();
            flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
            std::fs::write(to.join(plain), bytes).unwrap();
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn golden_store_opens_verifies_and_rebuilds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    unpack(Path::new(GOLDEN), &data);
    let run = |args: &[&str]| {
        let ran = quell(folder.path()).args(args).arg(&data).output().unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(ran.status.success(), "{args:?}: {text}");
        text
    };

    let audited = run(&["audit", "verify"]);
    run(&["store", "rebuild"]);
    run(&["store", "verify"]);

    assert!(audited.contains("43"), "{audited}");
}
