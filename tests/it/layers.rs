//! The walls of the house: dependencies point down, and each crate stays in its room.
//!
//! The table in `src/README.md` is this one; a room that is not in it fails the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Module → layer. A module may use its own layer and those below.
const LAYERS: &[(&str, u8)] = &[
    ("model", 0),
    ("secret", 0),
    ("diagnostic", 0),
    ("template", 1),
    ("playbook", 1),
    ("connector", 1),
    ("intake", 2),
    ("detect", 2),
    ("approval", 2),
    ("engine", 2),
    ("store", 3),
    ("delivery", 3),
    ("jwks", 3),
    ("poll", 3),
    ("people", 3),
    ("notify", 3),
    ("server", 3),
    ("console", 3),
    ("lab", 3),
    ("config", 4),
    ("telemetry", 4),
    ("app", 4),
    ("cli", 4),
    ("fuzz", 4),
];

/// Neighbours that must not know each other although the layers would allow it.
const STRANGERS: &[(&str, &str)] = &[
    ("playbook", "connector"),
    ("connector", "playbook"),
    ("engine", "playbook"),
    ("engine", "connector"),
    ("engine", "intake"),
    ("intake", "engine"),
    ("store", "server"),
    ("store", "console"),
    ("poll", "store"),
    ("poll", "server"),
    ("delivery", "server"),
    ("jwks", "store"),
    ("jwks", "server"),
    ("lab", "poll"),
    ("lab", "engine"),
    ("lab", "store"),
    ("notify", "connector"),
    ("notify", "store"),
    ("notify", "server"),
    ("notify", "console"),
    ("notify", "people"),
];

/// Crate → the modules that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("axum", &["server", "console", "lab", "app", "cli"]),
    ("reqwest", &["connector", "cli"]),
    ("lettre", &["connector"]),
    ("sled", &["store"]),
    ("minijinja", &["template", "connector"]),
    ("serde_saphyr", &["playbook", "connector", "app"]),
    ("askama", &["console"]),
    ("webauthn_rs", &["people", "console"]),
    ("webauthn_authenticator_rs", &["people"]),
    ("openidconnect", &["people"]),
    ("clap", &["cli"]),
    ("cron", &["poll"]),
    ("jiff", &["approval"]),
    ("mail_parser", &["intake"]),
    (
        "tokio",
        &[
            "connector",
            "engine",
            "store",
            "people",
            "poll",
            "jwks",
            "notify",
            "server",
            "console",
            "lab",
            "app",
            "cli",
            "telemetry",
        ],
    ),
];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests beside the code may reach up for a whole Quell.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = if name.ends_with("/tests.rs") { "//! Tests." } else { code };
            (
                name,
                format!(
                    "{code}{}",
                    "\n".repeat(text.lines().count().saturating_sub(code.lines().count()))
                ),
            )
        })
        .collect()
}

fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Modules of this crate that a file names in its code (not in its comments).
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().map(|l| l.split("//").next().unwrap_or_default()) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(name);
        }
    }
    found
}

#[test]
fn dependencies_point_down_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let own = module(&file);
        if matches!(own, "lib" | "main") {
            continue;
        }
        let Some(layer) = layers.get(own) else {
            broken.push(format!("{file}: the room `{own}` has no layer"));
            continue;
        };
        for used in uses(&text) {
            let Some(other) = layers.get(used.as_str()) else { continue };
            if other > layer {
                broken.push(format!("{file}: layer {layer} uses `{used}` of layer {other}"));
            }
            if STRANGERS.contains(&(own, used.as_str())) && !file.ends_with("tests.rs") {
                broken.push(format!("{file}: `{own}` must not know `{used}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_crate_stays_in_its_rooms() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let own = module(&file);
        if matches!(own, "lib" | "main") {
            continue;
        }
        for (name, rooms) in CRATES {
            let named = text.lines().map(|l| l.split("//").next().unwrap_or_default()).any(|l| {
                l.match_indices(&format!("{name}::"))
                    .any(|(at, _)| !l[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            });
            if named && !rooms.contains(&own) {
                broken.push(format!("{file}: `{name}` belongs to {rooms:?}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "without a header: {silent:?}");
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().count() > 500)
        .map(|(file, text)| format!("{file}: {}", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}
