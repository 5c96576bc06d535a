//! The only file that prints. A closed pipe is not an error: whoever reads has seen enough.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use super::ColorWhen;
use crate::diagnostic::{Colour, Diagnostic, render};

pub(super) struct Output {
    stderr_colour: Colour,
}

impl Output {
    pub(super) fn new(when: ColorWhen) -> Self {
        let wanted = match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                // https://no-color.org: set and not empty.
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !refused && io::stderr().is_terminal()
            }
        };
        Self { stderr_colour: if wanted { Colour::Ansi } else { Colour::Plain } }
    }

    /// A result.
    #[expect(clippy::unused_self, reason = "printing needs an `Output`, which only `main` makes")]
    pub(super) fn data(&mut self, text: &str) -> anyhow::Result<()> {
        settle(io::stdout().lock().write_all(text.as_bytes()))
    }

    /// A result as JSON.
    pub(super) fn json(&mut self, value: &serde_json::Value) -> anyhow::Result<()> {
        self.data(&format!("{value:#}\n"))
    }

    /// Problems in files that people wrote.
    pub(super) fn problems(&mut self, problems: &[Diagnostic]) -> anyhow::Result<()> {
        let text = render(problems, self.stderr_colour);
        settle(io::stderr().lock().write_all(text.as_bytes()))
    }

    /// What somebody should know besides the result.
    #[expect(clippy::unused_self, reason = "printing needs an `Output`, which only `main` makes")]
    pub(super) fn note(&mut self, text: &str) -> anyhow::Result<()> {
        settle(writeln!(io::stderr().lock(), "{text}"))
    }

    /// Why the command could not do its job.
    #[expect(clippy::unused_self, reason = "printing needs an `Output`, which only `main` makes")]
    pub(super) fn fail(&mut self, error: &anyhow::Error) -> ExitCode {
        _ = writeln!(io::stderr().lock(), "error: {error:#}");
        ExitCode::from(2)
    }
}

/// What was typed means nothing, or asked for help.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell if this fails.
    _ = error.print();
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

fn settle(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("could not write the result"))
        }
        _ => Ok(()),
    }
}
