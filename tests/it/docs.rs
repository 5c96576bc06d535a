//! What the guides show is what the files say, and what the binary accepts.

use std::path::Path;

use crate::world::quell;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Blocks behind `<!-- MARK: argument -->`, with their argument.
fn marked(text: &str, mark: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in text.split(&format!("<!-- {mark}: ")).skip(1) {
        let (argument, rest) = part.split_once(" -->").unwrap();
        let block = rest.split("```").nth(1).unwrap();
        let (_, block) = block.split_once('\n').unwrap();
        found.push((argument.to_owned(), block.to_owned()));
    }
    found
}

#[test]
fn excerpts_in_the_guides_are_the_files_own_lines() {
    let mut seen = 0;
    for guide in ["README.md", "playbooks/README.md", "connectors/README.md", "deploy/README.md"] {
        for (file, block) in marked(&read(guide), "excerpt") {
            assert!(
                read(&file).contains(&block),
                "{guide}: the excerpt of {file} is not in it:\n{block}"
            );
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_shipped_settings_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/quell.toml");
    let ran =
        quell(folder.path()).args(["config", "check", "--config"]).arg(path).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn commands_in_the_readme_exist() {
    let folder = tempfile::tempdir().unwrap();
    let readme = read("README.md");
    let mut seen = 0;
    for line in readme.lines().filter_map(|l| l.strip_prefix("quell ")) {
        let words: Vec<&str> =
            line.split_whitespace().take_while(|w| !w.starts_with(['-', '#', '.'])).collect();
        if words.is_empty() {
            continue;
        }
        let known =
            quell(folder.path()).args(&words[..words.len().min(2)]).arg("--help").output().unwrap();
        let alone = quell(folder.path()).args(&words[..1]).arg("--help").output().unwrap();
        assert!(known.status.success() || alone.status.success(), "quell {line}");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}
