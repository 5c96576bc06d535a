//! `quell token create|list|revoke`.

use clap::Subcommand;
use serde_json::json;

use super::client::{Client, block_on, part};
use super::lists::How;
use super::output::Output;
use super::{Verdict, table};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token. It is shown this once.
    Create {
        /// What it is for.
        name: String,
        /// What it may do: `ingest`, `read`, `contain`, `author`, `admin`; several with commas.
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<String>,
        /// For `ingest`: the source whose deliveries it brings.
        #[arg(long)]
        source: Option<String>,
        /// How long it lasts, at most 90 days.
        #[arg(long, default_value = "90d", value_name = "SPAN")]
        expires_in: String,
        #[command(flatten)]
        how: How,
    },
    /// List tokens.
    List {
        #[command(flatten)]
        how: How,
    },
    /// Revoke a token at once.
    Revoke {
        id: String,
        #[command(flatten)]
        how: How,
    },
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::Create { name, scope, source, expires_in, how } => {
            let client = Client::new(&how.server)?;
            let body = json!({
                "name": name, "scopes": scope, "source": source, "expires_in": expires_in,
            });
            let made = block_on(async { client.post("/v1/tokens", &body).await })?;
            table::one(&made, how.format, output)
        }
        Command::List { how } => {
            let client = Client::new(&how.server)?;
            let items = block_on(async { client.all("/v1/tokens").await })?;
            let columns = [
                "id",
                "name",
                "scopes",
                "source",
                "made_by",
                "last_used_at",
                "expires_at",
                "revoked",
            ];
            table::print(&items, &columns, how.format, output)
        }
        Command::Revoke { id, how } => {
            let client = Client::new(&how.server)?;
            let path = format!("/v1/tokens/{}", part(id));
            let revoked = block_on(async { client.delete(&path).await })?;
            table::one(&revoked, how.format, output)
        }
    }
}
