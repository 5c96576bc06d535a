//! `quell connector list|show|check|schema`.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::output::Output;
use super::table::columns;
use super::{Format, Verdict};
use crate::connector::builtin;
use crate::connector::catalogue::Catalogue;
use crate::connector::contracts;
use crate::connector::schema::schemas;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the connectors and what they can do.
    List {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one connector: its actions, what they need and how each is proved.
    Show {
        name: String,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Check the manifests and replay their contract cases.
    Check {
        /// A folder of manifests that overlays those that come with Quell.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the JSON Schemas of `connector.yaml` and of actions, for editors.
    Schema,
}

pub(super) fn run(command: Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::List { format } => list(format, output),
        Command::Show { name, format } => show(&name, format, output),
        Command::Check { dir, format } => check(dir.as_deref(), format, output),
        Command::Schema => {
            let all: serde_json::Map<String, Value> =
                schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
            output.json(&Value::Object(all))?;
            Ok(Verdict::Fine)
        }
    }
}

fn builtin_catalogue() -> anyhow::Result<Catalogue> {
    Catalogue::builtin().context("the connectors that come with Quell do not load")
}

fn list(format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    let catalogue = builtin_catalogue()?;
    let rows: Vec<(String, String, String)> = catalogue
        .connectors
        .iter()
        .map(|(name, c)| (name.clone(), c.manifest.title.clone(), c.actions.len().to_string()))
        .collect();
    if format == Format::Json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(n, t, a)| json!({"connector": n, "title": t, "actions": a}))
            .collect();
        output.json(&Value::Array(rows))?;
        return Ok(Verdict::Fine);
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(a, b, c)| vec![a, b, c]).collect();
    output.data(&columns(&["CONNECTOR", "TITLE", "ACTIONS"], &rows))?;
    Ok(Verdict::Fine)
}

fn show(name: &str, format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    let catalogue = builtin_catalogue()?;
    let Some(described) = catalogue.connectors.get(name) else {
        let known: Vec<&str> = catalogue.connectors.keys().map(String::as_str).collect();
        bail!("there is no connector `{name}`; there are {}", known.join(", "));
    };
    let rows: Vec<Vec<String>> = described
        .actions
        .values()
        .map(|a| {
            vec![
                a.action.clone(),
                a.implements.clone().unwrap_or_default(),
                word(&a.effect),
                word(&a.repeat),
                a.permissions.join(" "),
            ]
        })
        .collect();
    if format == Format::Json {
        let actions: Vec<Value> = rows
            .iter()
            .map(|r| json!({"action": r[0], "implements": r[1], "effect": r[2], "repeat": r[3], "permissions": r[4]}))
            .collect();
        output.json(
            &json!({"connector": name, "title": described.manifest.title, "actions": actions}),
        )?;
        return Ok(Verdict::Fine);
    }
    output.data(&format!("{}\n\n", described.manifest.title))?;
    output.data(&columns(&["ACTION", "IMPLEMENTS", "EFFECT", "REPEAT", "PERMISSIONS"], &rows))?;
    Ok(Verdict::Fine)
}

fn word<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

fn check(dir: Option<&Path>, format: Format, output: &mut Output) -> anyhow::Result<Verdict> {
    let catalogue = match dir {
        Some(dir) => Catalogue::with_folder(dir),
        None => Catalogue::builtin(),
    };
    let catalogue = catalogue.map_err(|errors| anyhow::anyhow!("{}", errors.0.join("\n")))?;
    let lines = contracts::run(&catalogue, builtin::exchanges());
    let broken: Vec<&contracts::Line> = lines.iter().filter(|l| l.problem.is_some()).collect();
    if format == Format::Json {
        output.json(&serde_json::to_value(&lines)?)?;
    } else {
        output.data(&columns(
            &["CONNECTOR", "CASES", "DOCUMENTED", "RECORDED", "ASSUMED", "BROKEN"],
            &summary(&lines),
        ))?;
        for line in &broken {
            let problem = line.problem.as_deref().unwrap_or_default();
            output.data(&format!(
                "{}/{} · {}: {problem}\n",
                line.connector, line.action, line.case
            ))?;
        }
    }
    Ok(if broken.is_empty() { Verdict::Fine } else { Verdict::Problems })
}

fn summary(lines: &[contracts::Line]) -> Vec<Vec<String>> {
    let mut counts: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for line in lines {
        let row = counts.entry(&line.connector).or_default();
        row[0] += 1;
        row[match line.marked {
            contracts::Marked::Documented => 1,
            contracts::Marked::Recorded => 2,
            contracts::Marked::Assumed => 3,
        }] += 1;
        row[4] += usize::from(line.problem.is_some());
    }
    counts
        .into_iter()
        .map(|(name, row)| {
            std::iter::once(name.to_owned()).chain(row.map(|n| n.to_string())).collect()
        })
        .collect()
}
