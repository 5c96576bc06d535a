//! `quell playbook publish`, and `quell playbook run [--dry]`.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::client::{Client, ServerArgs, block_on, part};
use super::config::{ConfigArgs, load, report};
use super::output::Output;
use super::{Format, Verdict, table};
use crate::app::{self, SystemClock, SystemEntropy};
use crate::config::{self, Config};
use crate::connector::outbound;
use crate::engine::ports::Catalogue as _;
use crate::model::action::Unavailable;
use crate::model::plan::{Does, Form, Plan, PlanStep};
use crate::playbook::{Library, SHIPPED};
use crate::secret::Scrubber;

#[derive(Debug, clap::Args)]
pub(super) struct Publish {
    /// The file.
    file: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The playbook's name; with `--dry` also a file.
    playbook: String,
    /// Do nothing: list each step with the actions that the configured connections have for it.
    #[arg(long, conflicts_with = "subject")]
    dry: bool,
    /// Whom to contain: a sign-in name or a subject's id.
    #[arg(long, required_unless_present = "dry")]
    subject: Option<String>,
    /// Why, for the journal.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    config: ConfigArgs,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

/// Submits a playbook. A lab publishes it; elsewhere it waits for a person on the console.
pub(super) fn publish(args: &Publish, output: &mut Output) -> anyhow::Result<Verdict> {
    let text = read(&args.file)?;
    let client = Client::new(&args.server)?;
    let kept =
        block_on(async { client.post_text("/v1/playbooks", "application/yaml", text).await })?;
    if args.format == Format::Json {
        output.json(&kept)?;
        return Ok(Verdict::Fine);
    }
    let name = kept["name"].as_str().unwrap_or_default();
    let told = if kept["candidate"].is_object() {
        format!("`{name}` waits on the console: a person publishes it with a passkey\n")
    } else {
        format!("`{name}` is published\n")
    };
    output.data(&told)?;
    Ok(Verdict::Fine)
}

pub(super) fn run(args: &Run, output: &mut Output) -> anyhow::Result<Verdict> {
    let Some(subject) = &args.subject else { return dry(args, output) };
    let client = Client::new(&args.server)?;
    let path = format!("/v1/playbooks/{}/runs", part(&args.playbook));
    let body = json!({ "subject": subject, "reason": args.reason });
    let started = block_on(async { client.post(&path, &body).await })?;
    table::one(&started, args.format, output)
}

fn dry(args: &Run, output: &mut Output) -> anyhow::Result<Verdict> {
    let config = match load(&args.config, Vec::new())? {
        Ok(loaded) => loaded.config,
        Err(problems) => return report(&problems, Format::Text, output),
    };
    let (path, text) = find(&args.playbook, &config)?;
    let reach = app::connect(
        &config,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        &config::secrets(config.server.lab),
        &Scrubber::default(),
        outbound::dial(),
    )?;
    let checked = match library(&path, &config)?.check(&path, &text, reach.signatures()) {
        Ok(checked) => checked,
        Err(problems) => return report(&problems, Format::Text, output),
    };
    let rows: Vec<Value> =
        checked.plan.steps.iter().flat_map(|step| step_rows(&checked.plan, step, &reach)).collect();
    table::print(
        &rows,
        &["step", "does", "connection", "action", "in", "when"],
        args.format,
        output,
    )
}

/// The blocks around a step and the branches that lead to it, outermost first.
fn place(plan: &Plan, step: &PlanStep) -> Option<String> {
    let around = plan.around(&step.place).into_iter().map(|(block, branch)| match &block.form {
        Form::Parallel { .. } => format!("{} {}", block.id, branch.unwrap_or_default()),
        Form::Switch { on, .. } => format!("{on} = {}", branch.unwrap_or("(other)")),
        Form::Call { playbook, .. } => format!("call {playbook}"),
    });
    let finally = step.place.finally.then(|| "finally".to_owned());
    let words: Vec<String> = finally.into_iter().chain(around).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// A step on every connection that could do it, with what it would call there.
fn step_rows(plan: &Plan, step: &PlanStep, reach: &app::ports::Reach) -> Vec<Value> {
    let row = |does: &str, connection: Value, action: Value| {
        json!({
            "step": step.id, "does": does, "connection": connection, "action": action,
            "in": place(plan, step), "for_each": step.for_each, "when": step.when,
            "after": step.after,
        })
    };
    match &step.does {
        Does::Wait(span) => vec![row(&format!("wait {span}"), Value::Null, Value::Null)],
        Does::Ask { message } => vec![row(&format!("ask: {message}"), Value::Null, Value::Null)],
        Does::Use { name, connection, .. } => {
            let on = match connection {
                Some(connection) => vec![connection.clone()],
                None => reach.connections_for(name),
            };
            if on.is_empty() {
                return vec![row(name, Value::Null, "unsupported: no connection has it".into())];
            }
            let resolved = |id| match reach.resolve(name, id, None) {
                Ok(spec) => spec.id.to_string(),
                Err(
                    Unavailable::Unsupported(why)
                    | Unavailable::NotApplicable(why)
                    | Unavailable::ElsewhereUnreachable(why),
                ) => format!("unsupported: {why}"),
            };
            on.iter().map(|id| row(name, json!(id), resolved(id).into())).collect()
        }
    }
}

fn find(name: &str, config: &Config) -> anyhow::Result<(String, String)> {
    if Path::new(name).is_file() {
        return Ok((name.to_owned(), read(Path::new(name))?));
    }
    let files = app::playbook_files(&config.store.playbooks)?;
    let stem =
        |path: &str| path.rsplit('/').next().unwrap_or(path).trim_end_matches(".yaml") == name;
    let found = files.into_iter().find(|(path, _)| stem(path));
    let Some(found) = found else {
        let known: Vec<_> = SHIPPED.iter().map(|(path, _)| *path).collect();
        bail!("there is no playbook or file `{name}`; Quell comes with {}", known.join(", "));
    };
    Ok(found)
}

/// What a playbook may call: what the deployment knows, and what stands beside a file.
fn library(path: &str, config: &Config) -> anyhow::Result<Library> {
    let beside = Path::new(path).is_file().then_some(path);
    let mut library = super::playbook::around(beside);
    for (path, text) in app::playbook_files(&config.store.playbooks)? {
        library.put(&path, &text);
    }
    Ok(library)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))
}
