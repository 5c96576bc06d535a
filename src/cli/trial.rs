//! `quell playbook test`: runs a playbook's trials in the lab, in virtual time.

use anyhow::{Context as _, bail};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

use super::output::Output;
use super::table::columns;
use super::{Format, Verdict};
use crate::app::trial::{self, Coverage, Line};
use crate::playbook::SHIPPED_TRIALS;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// Playbooks, each with `NAME.test.yaml` beside it; without any, those that come with Quell.
    paths: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A playbook and its trials, as read.
struct Written {
    path: String,
    text: String,
    trials: String,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let signatures = super::playbook::signatures()?;
    let mut verdict = Verdict::Fine;
    let mut told = Vec::new();
    for written in gather(&args.paths)? {
        let library = super::playbook::around([written.path.as_str()]);
        let checked = match library.check(&written.path, &written.text, &signatures) {
            Ok(checked) => checked,
            Err(problems) => {
                output.problems(&problems)?;
                verdict = Verdict::Problems;
                continue;
            }
        };
        let script = trial::parse(&written.trials)
            .map_err(|error| anyhow::anyhow!("the trials of {}: {error}", written.path))?;
        let (lines, coverage) =
            trial::run(&checked, &script).context("the trials could not be run")?;
        if lines.iter().any(|line| !line.problems.is_empty()) {
            verdict = Verdict::Problems;
        }
        if args.format == Format::Json {
            told.push(
                json!({"playbook": checked.plan.name, "trials": lines, "coverage": coverage}),
            );
        } else {
            show(&checked.plan.name.to_string(), &lines, &coverage, output)?;
        }
    }
    if args.format == Format::Json {
        output.json(&Value::Array(told))?;
    }
    Ok(verdict)
}

fn gather(paths: &[PathBuf]) -> anyhow::Result<Vec<Written>> {
    if paths.is_empty() {
        let own = |(path, text, trials): &(&str, &str, &str)| Written {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
            trials: (*trials).to_owned(),
        };
        return Ok(SHIPPED_TRIALS.iter().map(own).collect());
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
    };
    let mut written = Vec::new();
    for path in paths {
        if path.extension().is_none_or(|e| e != "yaml") {
            bail!("{} is not a playbook: give the `.yaml` file", path.display());
        }
        let trials = path.with_extension("test.yaml");
        written.push(Written {
            path: path.display().to_string(),
            text: read(path)?,
            trials: read(&trials)?,
        });
    }
    Ok(written)
}

fn show(
    name: &str,
    lines: &[Line],
    coverage: &Coverage,
    output: &mut Output,
) -> anyhow::Result<()> {
    output.data(&format!("{name}\n"))?;
    for line in lines {
        let mark = if line.problems.is_empty() { "ok  " } else { "FAIL" };
        output.data(&format!("  {mark} {}\n", line.trial))?;
        for problem in &line.problems {
            output.data(&format!("         {problem}\n"))?;
        }
    }
    let rows: Vec<Vec<String>> = coverage
        .steps
        .iter()
        .map(|(step, ends)| {
            let ends: Vec<String> = ends.iter().map(|(end, n)| format!("{end} {n}")).collect();
            vec![
                step.clone(),
                if ends.is_empty() { "never reached".to_owned() } else { ends.join(", ") },
            ]
        })
        .collect();
    output.data(&columns(&["  STEP", "ENDED"], &rows))?;
    let ran = coverage.steps.len() - coverage.never_ran().len();
    output.data(&format!(
        "  coverage: {ran} of {} steps, {} of {} branches\n\n",
        coverage.steps.len(),
        coverage.seen_true + coverage.seen_false,
        2 * coverage.conditions,
    ))
}
