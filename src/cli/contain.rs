//! `quell contain SUBJECT`.

use serde_json::json;

use super::client::{Client, ServerArgs, block_on, part};
use super::output::Output;
use super::{Format, Verdict, table};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom: a sign-in name or a subject's id.
    subject: String,
    /// Why, for the journal.
    #[arg(long, default_value = "")]
    reason: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let client = Client::new(&args.server)?;
    let path = format!("/v1/subjects/{}/contain", part(&args.subject));
    let started = block_on(async { client.post(&path, &json!({ "reason": args.reason })).await })?;
    let verdict = table::one(&started, args.format, output)?;
    if started["run"].is_null() {
        anyhow::bail!(
            "nothing is done about it: no published playbook answers this incident; publish one \
             (`quell playbook publish`), and contain again"
        );
    }
    Ok(verdict)
}
