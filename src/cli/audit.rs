//! `quell audit verify|export`: the journal as proof.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use std::path::{Path, PathBuf};

use super::client::{Client, ServerArgs, block_on};
use super::output::Output;
use super::{Format, Verdict, table};
use crate::model::entry::Entry;
use crate::people::decisions::Decisions;
use crate::store::anchor::{self, Anchor};
use crate::store::verify;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove that no line of a data folder's journal was changed. It changes nothing.
    Verify {
        /// The data folder, a copy of it, or an export.
        #[arg(default_value = "data", value_name = "DIR|FILE")]
        folder: PathBuf,
        /// The checkpoints' public key, as `quell init` printed it; again for each key that a restore
        /// printed. Without any, the journal's own are believed.
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// Checkpoints kept on another machine, as `quell audit export` printed them. Only with them is a journal
        /// proved whose folder, signing key included, was in somebody else's hands.
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print every entry of a running Quell's journal, one commit a line.
    Export {
        #[command(flatten)]
        server: ServerArgs,
        /// Only the signed checkpoints: a few bytes an hour to keep on another machine.
        #[arg(long)]
        checkpoints: bool,
        /// Only commits after this sequence.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
    },
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    match command {
        Command::Verify { folder, key, anchor, format } => {
            if let Some(no_key) = key.iter().find(|key| !is_key(key)) {
                anyhow::bail!(
                    "`--key {no_key}` is no public key of checkpoints: it is what `quell init` printed, 44 signs of base64"
                );
            }
            let anchors = anchor.as_deref().map(|file| anchors(file, key));
            let anchors = anchors.transpose()?.unwrap_or_default();
            let mut decisions = Decisions::default();
            let also = &mut |entry: &Entry| decisions.check(entry);
            let report = verify::audit_anchored(folder, key, &anchors, also)
                .with_context(|| format!("could not read a journal in `{}`", folder.display()))?;
            table::one(&serde_json::to_value(&report)?, *format, output)?;
            if *format == Format::Text && report.first_bad.is_none() {
                output.data(&proved(report.head, report.signed_up_to))?;
            }
            Ok(if report.first_bad.is_none() { Verdict::Fine } else { Verdict::Problems })
        }
        Command::Export { server, checkpoints, after } => {
            let client = Client::new(server)?;
            export(&client, *after, *checkpoints, output)
        }
    }
}

/// How much of a whole journal nobody can have made up.
fn proved(head: u64, signed: u64) -> String {
    match (signed, head.saturating_sub(signed)) {
        (0, lines) => {
            format!(
                "\nNone of its {lines} lines is signed yet: they fit together, which whoever wrote them could see to.\n"
            )
        }
        (signed, 0) => format!("\nAll of it is signed, up to line {signed}.\n"),
        (signed, after) => format!(
            "\nIt is signed up to line {signed}; the {after} after it fit together, and the next checkpoint signs them.\n"
        ),
    }
}

/// An Ed25519 public key, base64.
fn is_key(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

fn anchors(file: &Path, keys: &[String]) -> anyhow::Result<Vec<Anchor>> {
    let named = || format!("could not use the anchors in `{}`", file.display());
    let text = std::fs::read_to_string(file).with_context(named)?;
    anchor::read(&text, keys).with_context(named)
}

fn export(
    client: &Client,
    after: u64,
    checkpoints: bool,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    let mut cursor = after;
    loop {
        let path = format!("/v1/journal?cursor={cursor}");
        let page = block_on(async { client.get(&path).await })?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        for commit in &items {
            if checkpoints {
                let entries = commit["entries"].as_array().into_iter().flatten();
                for entry in entries.filter(|e| e["type"] == "checkpoint") {
                    output.data(&format!("{entry}\n"))?;
                }
            } else {
                output.data(&format!("{commit}\n"))?;
            }
        }
        match items.last().and_then(|last| last["seq"].as_u64()) {
            Some(seq) => cursor = seq,
            None => return Ok(Verdict::Fine),
        }
    }
}
