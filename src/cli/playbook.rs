//! `quell playbook check|graph|schema|new|publish|run`.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

use super::output::Output;
use super::{Format, Verdict, playbook_run};
use crate::app::detections::overlaid;
use crate::detect::{self, is_detection};
use crate::diagnostic::{self, Diagnostic, to_json};
use crate::model::action::Signatures;
use crate::playbook::{self, Checked, Library, SHIPPED};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check playbooks and report every problem in one go.
    Check {
        /// Files or folders; without any, the playbooks that come with Quell.
        paths: Vec<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Run a playbook's trials in the lab, in virtual time.
    Test(super::trial::Args),
    /// Print a playbook as a Mermaid flowchart.
    Graph {
        /// A file, or the name of a playbook that comes with Quell.
        playbook: String,
    },
    /// Print the JSON Schema of the language, for editors.
    Schema,
    /// Write a new playbook that checks clean.
    New {
        /// Its name, such as `contain-push-bombing`.
        name: String,
        /// The folder to write it to.
        #[arg(long, default_value = "playbooks", value_name = "DIR")]
        dir: PathBuf,
    },
    /// Submit a playbook to a running Quell; outside a lab a person publishes it.
    Publish(playbook_run::Publish),
    /// Start a playbook for a person, or list what it would call.
    Run(playbook_run::Run),
}

pub(super) fn run(command: Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::Check { paths, format } => check(&paths, format, output),
        Command::Test(args) => super::trial::run(&args, output),
        Command::Graph { playbook } => graph(&playbook, output),
        Command::Schema => {
            output.json(&playbook::schema(&signatures()?))?;
            Ok(Verdict::Fine)
        }
        Command::New { name, dir } => new(&name, &dir, output),
        Command::Publish(args) => playbook_run::publish(&args, output),
        Command::Run(args) => playbook_run::run(&args, output),
    }
}

/// A playbook's path, as people know it, and its text.
type Written = (String, String);

fn check(paths: &[PathBuf], format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    let signatures = signatures()?;
    let written = gather(paths)?;
    let (own, written): (Vec<Written>, Vec<Written>) =
        written.into_iter().partition(|(_, text)| is_detection(text));
    let library = around(written.iter().map(|(path, _)| path.as_str()));
    let mut problems = Vec::new();
    let mut rows = Vec::new();
    for (path, text) in &written {
        match library.check(path, text, &signatures) {
            Ok(checked) => rows.push(row(path, &checked)),
            Err(found) => {
                rows.push(json!({"path": path, "problems": found.iter().map(to_json).collect::<Vec<_>>()}));
                problems.extend(found);
            }
        }
    }
    for (path, _) in &own {
        rows.push(json!({"path": path, "detection": true, "problems": []}));
    }
    if let Err(found) = detect::read(&overlaid(own)) {
        for row in rows.iter_mut().filter(|row| row["detection"] == true) {
            let here = found.iter().filter(|p| row["path"] == p.source.path.as_str());
            row["problems"] = here.map(to_json).collect();
        }
        problems.extend(found);
    }
    diagnostic::sort(&mut problems);
    match format {
        Format::Json => output.json(&Value::Array(rows))?,
        Format::Text => tell(&rows, &problems, output)?,
    }
    Ok(if problems.is_empty() { Verdict::Fine } else { Verdict::Problems })
}

fn row(path: &str, checked: &Checked) -> Value {
    json!({
        "path": path,
        "playbook": checked.plan.name,
        "digest": checked.digest,
        "steps": checked.plan.steps.len(),
        "problems": [],
    })
}

fn tell(rows: &[Value], problems: &[Diagnostic], output: &mut Output) -> anyhow::Result<()> {
    for row in rows.iter().filter(|row| row["digest"].is_string()) {
        let short: String = row["digest"].as_str().unwrap_or_default().chars().take(12).collect();
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let steps = row["steps"].as_u64().unwrap_or_default();
        let plural = if steps == 1 { "" } else { "s" };
        output.data(&format!(
            "{}: `{}` checks clean ({steps} step{plural}, plan {short})\n",
            text("path"),
            text("playbook"),
        ))?;
    }
    for row in rows.iter().filter(|row| row["detection"] == true && row["problems"] == json!([])) {
        let path = row["path"].as_str().unwrap_or_default();
        output.data(&format!("{path}: the detection checks clean\n"))?;
    }
    output.problems(problems)
}

fn graph(name: &str, output: &mut Output) -> anyhow::Result<Verdict> {
    let shipped = SHIPPED.iter().find(|(path, _)| path_stem(path) == name);
    let (path, text) = match shipped {
        Some((path, text)) if !Path::new(name).exists() => ((*path).to_owned(), (*text).to_owned()),
        _ => read(Path::new(name))?,
    };
    match around([path.as_str()]).check(&path, &text, &signatures()?) {
        Ok(checked) => {
            output.data(&playbook::graph(&checked.plan))?;
            Ok(Verdict::Fine)
        }
        Err(problems) => {
            output.problems(&problems)?;
            Ok(Verdict::Problems)
        }
    }
}

/// What playbooks at these paths may call: those that come with Quell, and over them those in the
/// same folders. What cannot be read cannot be called.
pub(super) fn around<'p>(paths: impl IntoIterator<Item = &'p str>) -> Library {
    let mut library = Library::shipped();
    let folder = |path: &str| Path::new(path).parent().map(Path::to_owned);
    let mut folders: Vec<PathBuf> = paths.into_iter().filter_map(folder).collect();
    folders.sort();
    folders.dedup();
    for folder in folders {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &*folder };
        let files = in_folder(here).unwrap_or_default();
        for (path, text) in files.iter().filter_map(|file| read(file).ok()) {
            library.put(path.strip_prefix("./").unwrap_or(&path), &text);
        }
    }
    library
}

fn new(name: &str, dir: &Path, output: &mut Output) -> anyhow::Result<Verdict> {
    let files = [
        (dir.join(format!("{name}.yaml")), playbook::skeleton(name)?),
        (dir.join(format!("{name}.test.yaml")), playbook::TRIALS.to_owned()),
    ];
    if let Some((there, _)) = files.iter().find(|(path, _)| path.exists()) {
        bail!("{} is there already", there.display());
    }
    std::fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    for (path, text) in &files {
        let unwritten = || format!("could not write {}", path.display());
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .with_context(unwritten)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).with_context(unwritten)?;
        output.data(&format!("{}\n", path.display()))?;
    }
    Ok(Verdict::Fine)
}

fn gather(paths: &[PathBuf]) -> anyhow::Result<Vec<Written>> {
    if paths.is_empty() {
        return Ok(SHIPPED.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect());
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_folder(path)?);
            let detections = path.join("detections");
            if detections.is_dir() {
                files.extend(in_folder(&detections)?);
            }
        } else {
            files.push(path.clone());
        }
    }
    if files.is_empty() {
        bail!("there are no playbooks in the given folders");
    }
    files.iter().map(|file| read(file)).collect()
}

/// A folder's playbooks in name order; their trials (`*.test.yaml`) are not playbooks.
fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("could not read the folder {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let yaml = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml");
        if path.is_file() && yaml && !name.contains(".test.") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> anyhow::Result<Written> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {shown}"))?;
    Ok((shown, text))
}

fn path_stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".yaml")
}

/// What playbooks may call.
pub(super) fn signatures() -> anyhow::Result<Signatures> {
    let catalogue = crate::connector::catalogue::Catalogue::builtin()
        .context("the connectors that come with Quell do not load")?;
    Ok(catalogue.signatures())
}
