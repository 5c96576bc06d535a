//! `quell delivery list|judge`: refused deliveries that are kept, and a second judgement of one.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, block_on, part};
use super::lists::How;
use super::output::Output;
use super::{Verdict, table};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List deliveries that were refused and are kept.
    List {
        #[command(flatten)]
        how: How,
    },
    /// Have one judged again, by the settings as they are now. Its sender has to be proved as ever.
    Judge {
        id: String,
        #[command(flatten)]
        how: How,
    },
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::List { how } => {
            let client = Client::new(&how.server)?;
            let items = block_on(async { client.all("/v1/deliveries/refused").await })?;
            let columns = ["id", "source", "received_at", "proved", "problem", "detail"];
            table::print(&items, &columns, how.format, output)
        }
        Command::Judge { id, how } => {
            let client = Client::new(&how.server)?;
            let path = format!("/v1/deliveries/refused/{}/judge", part(id));
            let answer = block_on(async { client.post(&path, &Value::Null).await })?;
            table::one(&answer, how.format, output)
        }
    }
}
