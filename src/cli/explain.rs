//! `quell explain CODE`.

use anyhow::bail;

use super::Verdict;
use super::output::Output;
use crate::diagnostic::{all_codes, explain};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The code, such as P014. Without it, all codes are listed.
    code: Option<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> anyhow::Result<Verdict> {
    let Some(code) = &args.code else {
        for (code, page) in all_codes() {
            let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
            let title = title.strip_prefix(code).unwrap_or(title).trim_start_matches([':', ' ']);
            output.data(&format!("{code}  {title}\n"))?;
        }
        return Ok(Verdict::Fine);
    };
    let Some(page) = explain(code) else {
        bail!("there is no code `{code}`: `quell explain` lists them all");
    };
    output.data(page)?;
    Ok(Verdict::Fine)
}
