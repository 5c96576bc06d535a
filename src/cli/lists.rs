//! `quell incident|run|approval list|show`, and `incident export|request-restore`.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, ServerArgs, block_on, part};
use super::output::Output;
use super::{Format, Verdict, table};

#[derive(Debug, Subcommand)]
pub(super) enum Incident {
    /// List incidents, newest first.
    List {
        /// Only `open`, `contained` or `closed` ones.
        #[arg(long)]
        status: Option<String>,
        /// Only those at `noted`, `suspected`, `confirmed` or `breached`.
        #[arg(long)]
        stage: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Show one incident.
    Show {
        id: String,
        #[command(flatten)]
        how: How,
    },
    /// Write everything that happened in an incident, for a report or another tool.
    Export {
        id: String,
        #[arg(long = "as", value_enum, default_value_t)]
        form: Form,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Ask people whether what an incident changed may be taken back.
    RequestRestore {
        id: String,
        #[command(flatten)]
        how: How,
    },
}

/// In what form an incident is told.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(super) enum Form {
    #[default]
    Markdown,
    Json,
    Csv,
}

#[derive(Debug, Subcommand)]
pub(super) enum Run {
    /// List runs, newest first.
    List {
        /// Only `running`, `waiting`, `succeeded`, `failed` or `cancelled` ones.
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Show one run with its steps.
    Show {
        id: String,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Approval {
    /// List questions to people, newest first.
    List {
        /// Only `pending`, `approved`, `denied`, `expired` or `cancelled` ones.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Show one question. It is answered on the console.
    Show {
        id: String,
        #[command(flatten)]
        how: How,
    },
}

/// How to ask and how to print.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) fn incident(command: &Incident, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Incident::List { status, stage, how } => {
            let path = filtered("/v1/incidents", &[("status", status), ("stage", stage)]);
            let columns = ["id", "status", "stage", "severity", "subject.name", "opened_at"];
            list(&path, &columns, how, output)
        }
        Incident::Show { id, how } => show("/v1/incidents", id, how, output),
        Incident::Export { id, form, server } => {
            let form = match form {
                Form::Markdown => "markdown",
                Form::Json => "json",
                Form::Csv => "csv",
            };
            let client = Client::new(server)?;
            let path = format!("/v1/incidents/{}/story?format={form}", part(id));
            output.data(&block_on(async { client.text(&path).await })?)?;
            Ok(Verdict::Fine)
        }
        Incident::RequestRestore { id, how } => {
            let client = Client::new(&how.server)?;
            let path = format!("/v1/incidents/{}/request-restore", part(id));
            let asked = block_on(async { client.post(&path, &json!({})).await })?;
            table::one(&asked, how.format, output)
        }
    }
}

pub(super) fn run(command: &Run, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Run::List { status, how } => {
            let columns = ["id", "status", "waiting_on", "playbook", "incident", "started_at"];
            list(&filtered("/v1/runs", &[("status", status)]), &columns, how, output)
        }
        Run::Show { id, how } => show("/v1/runs", id, how, output),
    }
}

pub(super) fn approval(command: &Approval, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Approval::List { state, how } => {
            let columns = ["id", "state", "asks", "incident", "expires_at"];
            list(&filtered("/v1/approvals", &[("state", state)]), &columns, how, output)
        }
        Approval::Show { id, how } => show("/v1/approvals", id, how, output),
    }
}

fn filtered(path: &str, filters: &[(&str, &Option<String>)]) -> String {
    let given: Vec<String> = filters
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|v| format!("{name}={}", part(v))))
        .collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

fn list(path: &str, columns: &[&str], how: &How, output: &mut Output) -> anyhow::Result<Verdict> {
    let client = Client::new(&how.server)?;
    let items = block_on(async { client.all(path).await })?;
    table::print(&items, columns, how.format, output)
}

fn show(path: &str, id: &str, how: &How, output: &mut Output) -> anyhow::Result<Verdict> {
    let client = Client::new(&how.server)?;
    let shown = block_on(async { client.get(&format!("{path}/{}", part(id))).await })?;
    table::one(&shown, how.format, output)
}
