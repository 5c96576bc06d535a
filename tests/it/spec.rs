//! Runs `tests/spec/*.md`, the executable specification of the playbook language.
//!
//! A section with a `yaml` block and a `text` block after it is a case: the
//! playbook is checked by the real command (`yaml` blocks before the last are playbooks beside it), and what it writes to standard
//! error is the text, or `checks clean` followed by the plan's summary. Set
//! `QUELL_BLESS=1` to rewrite the expected blocks, then read the diff.
#![allow(clippy::unwrap_used, reason = "a test's own files are as it left them")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One case: its heading and what stands between the fences.
struct Case {
    heading: String,
    playbook: String,
    /// Playbooks in the same folder, which it may call.
    beside: Vec<String>,
    expected: String,
    /// Byte range of the expected text in the file.
    at: std::ops::Range<usize>,
}

#[test]
fn every_case_of_the_specification_holds() {
    let bless = std::env::var_os("QUELL_BLESS").is_some();
    let mut wrong = String::new();
    let mut broken = 0;
    for file in spec_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut blessed = text.clone();
        let cases = cases(&text);
        assert!(!cases.is_empty(), "{} has no cases", file.display());
        // Backwards, so that earlier places stay where they are.
        for case in cases.iter().rev() {
            let (actual, clean) = checked(&case.playbook, &case.beside);
            broken += usize::from(!clean);
            if actual == case.expected {
                continue;
            }
            blessed.replace_range(case.at.clone(), &actual);
            let name = file.file_name().unwrap().to_string_lossy();
            _ = writeln!(
                wrong,
                "== {name}: {}\n-- expected\n{}\n-- actual\n{actual}",
                case.heading, case.expected
            );
        }
        if bless && blessed != text {
            std::fs::write(&file, blessed).unwrap();
        }
    }

    assert!(bless || wrong.is_empty(), "{wrong}");
    assert!(broken >= 30, "only {broken} broken playbooks are specified");
}

/// A code that no case shows is a rule that nobody has tried.
#[test]
fn every_code_of_the_language_is_shown_by_a_case() {
    let specified: String =
        spec_files().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();

    let listed = quell(&["explain"]);

    let codes: Vec<&str> = listed.stdout.lines().filter_map(|line| line.get(..4)).collect();
    assert!(codes.len() >= 30);
    // P028 is about manifests that nobody ships: it is shown beside its rule.
    for code in codes.iter().filter(|code| code.starts_with('P') && **code != "P028") {
        assert!(specified.contains(&format!("error[{code}]")), "{code}");
    }
}

/// Each file counts once, each error once, and the order is that of the files.
#[test]
fn problems_in_several_files_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let text = "playbook: a\ntriggers: [manual]\nsteps:\n  - id: a\n    wait: 15\n";
    std::fs::write(folder.path().join("a.yaml"), text).unwrap();
    std::fs::write(folder.path().join("b.yaml"), text.replace("manual", "by_hand")).unwrap();
    std::fs::write(folder.path().join("b.test.yaml"), "no: playbook").unwrap();

    let result = quell(&["playbook", "check", folder.path().to_str().unwrap()]);

    assert_eq!(result.code, 1);
    assert!(result.stderr.ends_with("3 errors in 2 files\n"), "{}", result.stderr);
    let order: Vec<usize> =
        ["a.yaml:5", "b.yaml:2", "b.yaml:5"].map(|at| result.stderr.find(at).unwrap()).to_vec();
    assert!(order.is_sorted());
}

#[test]
fn what_cannot_be_read_is_exit_code_2() {
    let result = quell(&["playbook", "check", "does-not-exist.yaml"]);

    assert_eq!(result.code, 2);
    assert!(result.stderr.starts_with("error: could not read does-not-exist.yaml"));
    assert_eq!(quell(&["playbook", "chekc"]).code, 2);
    assert_eq!(quell(&["explain", "P999"]).code, 2);
}

#[test]
fn the_shipped_playbooks_check_clean() {
    let result = quell(&["playbook", "check", "--format", "json"]);

    let rows: serde_json::Value = serde_json::from_str(&result.stdout).unwrap();
    assert_eq!((result.code, result.stderr.as_str()), (0, ""));
    assert!(rows.as_array().unwrap().iter().all(|row| row["digest"].is_string()));
}

fn spec_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
        .collect();
    files.sort();
    files
}

/// Each `text` block together with the `yaml` block before it.
fn cases(markdown: &str) -> Vec<Case> {
    let (mut heading, mut playbooks, mut cases) = (String::new(), Vec::new(), Vec::new());
    let mut at = 0;
    let mut fence: Option<(&str, usize)> = None;
    for line in markdown.split_inclusive('\n') {
        let trimmed = line.trim_end();
        match fence {
            None if trimmed.starts_with('#') => trimmed.clone_into(&mut heading),
            None => {
                if let Some(language) = trimmed.strip_prefix("```") {
                    fence = Some((language, at + line.len()));
                }
            }
            Some((language, start)) if trimmed == "```" => {
                let block = markdown[start..at].to_owned();
                match language {
                    "yaml" => playbooks.push(block),
                    "text" => cases.push(Case {
                        heading: heading.clone(),
                        playbook: playbooks.pop().unwrap_or_else(|| panic!("{heading}: no yaml")),
                        beside: std::mem::take(&mut playbooks),
                        expected: block,
                        at: start..at,
                    }),
                    _ => {}
                }
                fence = None;
            }
            Some(_) => {}
        }
        at += line.len();
    }
    cases
}

/// What the command says to a playbook, and whether it is content.
fn checked(playbook: &str, beside: &[String]) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    for (n, text) in beside.iter().enumerate() {
        std::fs::write(folder.path().join(format!("beside-{}.yaml", n + 1)), text).unwrap();
    }
    std::fs::write(folder.path().join("playbook.yaml"), playbook).unwrap();
    let run = |args: &[&str]| quell_in(folder.path(), args);
    let result = run(&["playbook", "check", "playbook.yaml"]);
    if result.code == 0 {
        assert_eq!(result.stderr, "");
        let graph = run(&["playbook", "graph", "playbook.yaml"]);
        return (format!("checks clean\n{}", graph.stdout), true);
    }
    assert_eq!((result.code, result.stdout.as_str()), (1, ""));
    (result.stderr, false)
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn quell(args: &[&str]) -> Ran {
    quell_in(Path::new(env!("CARGO_MANIFEST_DIR")), args)
}

fn quell_in(folder: &Path, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_quell"))
        .args(args)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
