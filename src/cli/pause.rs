//! `quell pause`: stops all effects at once. Only a person ends it, on the console.

use serde_json::json;

use super::client::{Client, ServerArgs, block_on};
use super::output::Output;
use super::{Format, Verdict, table};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    let body = json!({ "paused": true, "reason": args.reason });
    let paused = block_on(async { client.post("/v1/pause", &body).await })?;
    table::one(&paused, args.format, output)
}
