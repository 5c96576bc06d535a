//! Plants one bug of `list.toml` at a time in a copy of the sources, and says which test caught it.
//!
//! Needs the Rust toolchain and nothing else. The copy and its build live under `target/mutants`;
//! dependencies are taken from the ordinary build where there is one.

use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Stories that are played against each bug.
const SEEDS: &str = "4000";
/// A bug that makes a test hang is caught as well.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    file: String,
    find: String,
    replace: String,
    part: String,
}

/// A copy of the sources with a build of its own.
struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    fn make(root: &Path) -> Self {
        let base = root.join("target/mutants");
        let scratch = Self { tree: base.join("tree"), target: base.join("build") };
        copy(root, &scratch.tree, true);
        for part in ["deps", "build", ".fingerprint"] {
            let (from, to) =
                (root.join("target/debug").join(part), scratch.target.join("debug").join(part));
            if !to.exists() && from.exists() {
                link(&from, &to);
            }
        }
        scratch
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(&self.tree).args(["test", "--locked", "--lib"]).args(args);
        command.env("CARGO_TARGET_DIR", &self.target).env("QUELL_SIM_SEEDS", SEEDS);
        command.env("QUELL_SIM_SHOWN", "1").env("QUELL_SIM_SHRINK", "0");
        command
    }

    /// How it was caught, if it was.
    fn try_one(&self, mutant: &Mutant) -> Result<Option<String>, String> {
        let path = self.tree.join(&mutant.file);
        let sound = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", mutant.file))?;
        let places = sound.matches(&mutant.find).count();
        if places != 1 {
            return Err(format!("its text is in {} {places} times", mutant.file));
        }
        write(&path, &sound.replace(&mutant.find, &mutant.replace));
        let found = self.run(&mutant.part);
        write(&path, &sound);
        found
    }

    fn run(&self, part: &str) -> Result<Option<String>, String> {
        let built = self.cargo(&["--no-run"]).output().map_err(|e| e.to_string())?;
        if !built.status.success() {
            let text = String::from_utf8_lossy(&built.stderr).into_owned();
            let error = text.lines().find(|l| l.starts_with("error")).unwrap_or_default();
            return Err(format!("it does not compile: {error}"));
        }
        let log = self.target.join("output");
        let out = fs::File::create(&log).map_err(|e| e.to_string())?;
        let err = out.try_clone().map_err(|e| e.to_string())?;
        let mut command = self.cargo(&[part, "--", "--nocapture"]);
        let mut child = command
            .stdout(Stdio::from(out))
            .stderr(Stdio::from(err))
            .spawn()
            .map_err(|e| e.to_string())?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                child.kill().map_err(|e| e.to_string())?;
                return Ok(Some("it hangs".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let bytes = fs::read(&log).map_err(|e| e.to_string())?;
        Ok((!status.success()).then(|| catcher(&String::from_utf8_lossy(&bytes))))
    }
}

/// The broken promise and its seed, or the test that failed.
fn catcher(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let replay = lines.iter().position(|l| l.contains("replay: tests/run sim --seed"));
    if let Some(at) = replay.filter(|at| *at > 0) {
        let promise = lines[at - 1].split(':').next().unwrap_or_default();
        let seed = lines[at].rsplit(' ').next().unwrap_or_default();
        return format!("{promise} (seed {seed})");
    }
    let failed = lines.iter().find(|l| l.starts_with("test ") && l.ends_with("FAILED"));
    let named = lines.iter().find(|l| l.starts_with("thread '") && l.contains("panicked"));
    match (failed, named) {
        (Some(line), _) => line.trim_start_matches("test ").replace(" ... FAILED", ""),
        (None, Some(line)) => line.split('\'').nth(1).unwrap_or_default().to_owned(),
        (None, None) => "the test process died".to_owned(),
    }
}

/// Writes so that cargo sees a change, however quickly one follows the other.
fn write(path: &Path, text: &str) {
    std::thread::sleep(Duration::from_millis(20));
    fs::write(path, text).unwrap();
}

/// Copies what differs; files keep their time unless they changed.
fn copy(from: &Path, to: &Path, top: bool) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let (source, copied) = (entry.path(), to.join(&name));
        if entry.file_type().unwrap().is_dir() {
            let left_out = name == ".git" || name == "node_modules" || (top && name == "target");
            if !left_out {
                copy(&source, &copied, false);
            }
        } else if fs::read(&copied).ok() != fs::read(&source).ok() {
            fs::copy(&source, &copied).unwrap();
        }
    }
}

/// Takes built dependencies over without building them; Quell's own are left out.
fn link(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let own = name.to_string_lossy();
        if ["quell-", "libquell-", "it-", "mutants-"].iter().any(|p| own.starts_with(p)) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            link(&entry.path(), &to.join(&name));
        } else {
            fs::hard_link(entry.path(), to.join(&name)).unwrap();
        }
    }
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("tests/mutants/list.toml")).unwrap();
    let list: List = toml::from_str(&text).unwrap();
    let scratch = Scratch::make(root);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let chosen =
        |m: &&Mutant| wanted.is_empty() || wanted.iter().any(|w| m.name.contains(w.as_str()));
    let (mut survived, mut all) = (0, 0);
    for mutant in list.mutant.iter().filter(chosen) {
        let begun = Instant::now();
        let verdict = match scratch.try_one(mutant) {
            Ok(Some(how)) => how,
            Ok(None) => "SURVIVED".to_owned(),
            Err(why) => format!("COULD NOT BE PLANTED: {why}"),
        };
        let caught = !verdict.starts_with("SURVIVED") && !verdict.starts_with("COULD");
        survived += i32::from(!caught);
        all += 1;
        let seconds = begun.elapsed().as_secs();
        println!("{:<42} {:<70} {seconds:>4} s", mutant.name, verdict);
    }
    println!("{all} mutants, {survived} not caught");
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
