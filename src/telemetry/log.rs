//! The log: one line an event, JSON or for people, scrubbed.

use std::io::{self, Write};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::{LogFormat, Server};
use crate::secret::Scrubber;

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFilter {
    #[error("`server.log` is no filter: `{0}`; write it like `info` or `info,quell::engine=debug`")]
    Filter(String),
}

/// Begins to log to standard error. A process that logs already goes on as it does.
pub(crate) fn start(options: &Server, scrubber: &Scrubber) -> Result<(), BadFilter> {
    let filter =
        EnvFilter::try_new(&options.log).map_err(|_| BadFilter::Filter(options.log.clone()))?;
    let layer = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(Scrubbed { scrubber: scrubber.clone() });
    let begun = match options.log_format {
        LogFormat::Json => layer.json().flatten_event(true).try_init(),
        LogFormat::Pretty => layer.with_ansi(false).try_init(),
    };
    // Tests and `demo` start several Quells in one process.
    drop(begun);
    Ok(())
}

/// Takes secrets out of each line on its way to standard error.
#[derive(Clone)]
struct Scrubbed {
    scrubber: Scrubber,
}

impl<'w> MakeWriter<'w> for Scrubbed {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Write for Scrubbed {
    /// One call is one whole line: that is how the subscriber writes.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        io::stderr().lock().write_all(self.scrubber.text(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
