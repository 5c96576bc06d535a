//! `quell init`: settings, data folder, keys, the first ticket and the first token.

use anyhow::{Context as _, bail};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::client::block_on;
use super::config::{ConfigArgs, load, report};
use super::output::Output;
use super::{Format, Verdict};
use crate::app::{Founded, SystemClock, SystemEntropy, found};
use crate::config::{DEFAULT, FILE};
use crate::engine::ports::Clock;
use crate::store::folder::Folder;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// The data folder to make.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Make a lab deployment; it stays one for good.
    #[arg(long)]
    lab: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let file = args.config.config.clone().unwrap_or_else(|| FILE.into());
    let wrote = write_settings(&file, args)?;
    let data = args.data.as_ref().map(|d| ("store.path", d.display().to_string(), "--data"));
    let lab = args.lab.then(|| ("server.lab", "true".to_owned(), "--lab"));
    let named = ConfigArgs { config: Some(file.clone()) };
    let config = match load(&named, data.into_iter().chain(lab).collect())? {
        Ok(loaded) => loaded.config,
        Err(problems) => return report(&problems, Format::Text, output),
    };
    let path = &config.store.path;
    if Folder::exists(path) {
        bail!("there is a data folder at `{}` already: name another with `--data`", path.display());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let made = block_on(async {
        let made = found(path, config.server.lab, &clock, &SystemEntropy).await;
        made.with_context(|| format!("could not make the data folder `{}`", path.display()))
    })?;
    let base = config.server.public_url.as_str().trim_end_matches('/').to_owned();
    tell(&made, &base, path, wrote.then_some(file.as_path()), args.format, output)?;
    Ok(Verdict::Fine)
}

/// Writes the documented defaults, unless there are settings already.
fn write_settings(file: &Path, args: &Args) -> anyhow::Result<bool> {
    if file.exists() {
        return Ok(false);
    }
    let mut text = DEFAULT.to_owned();
    if args.lab {
        text = text.replacen("lab = false", "lab = true", 1);
    }
    if let Some(data) = &args.data {
        let quoted = toml::Value::String(data.display().to_string()).to_string();
        text = text.replacen("path = \"data\"", &format!("path = {quoted}"), 1);
    }
    std::fs::write(file, text)
        .with_context(|| format!("could not write the settings to `{}`", file.display()))?;
    Ok(true)
}

fn tell(
    made: &Founded,
    base: &str,
    path: &Path,
    wrote: Option<&Path>,
    format: Format,
    output: &mut Output,
) -> anyhow::Result<()> {
    let enrol = format!("{base}/enrol/{}", made.ticket);
    if format == Format::Json {
        return output.json(&json!({
            "deployment": made.deployment,
            "data": path.display().to_string(),
            "checkpoint_key": made.key,
            "enrol": enrol,
            "token": made.token,
        }));
    }
    if let Some(file) = wrote {
        output.data(&format!(
            "Wrote {}: read it, and add sources and connections.\n",
            file.display()
        ))?;
    }
    output.data(&format!(
        "Made the deployment {} in {}.\n\n\
         Both of these are shown this once.\n\
         Enrol the first passkey within a day, once `quell serve` runs:\n  {enrol}\n\
         The first token, for QUELL_TOKEN:\n  {}\n\n\
         Keep the checkpoints' public key elsewhere: `quell audit verify --key` proves the journal with it.\n  {}\n",
        made.deployment,
        path.display(),
        made.token,
        made.key,
    ))
}
