//! `[sources.NAME] poll = { … }`: which log of which connection, when, and how late its records may come.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::logs::Log;
use super::schedule::Schedule;
use crate::connector::options::Options as Connection;
use crate::intake::Kind;
use crate::model::id::ConnectionId;
use crate::model::time::{Span, Time};

/// Bounds of `overlap`: what is shorter is less than clocks differ by, what is longer is read again each time.
const OVERLAP: (Span, Span) = (Span::minutes(1), Span::hours(12));
/// Bounds of `look_back`. Evidence older than an hour never acts by itself.
const LOOK_BACK: (Span, Span) = (Span::minutes(5), Span::hours(24 * 7));

/// How a source's log is polled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Options {
    pub(crate) connection: ConnectionId,
    pub(crate) log: &'static Log,
    pub(crate) schedule: Schedule,
    /// How late a record may come and still be found: each poll begins so long before what it knows.
    pub(crate) overlap: Span,
    /// Where a source begins that has never been polled.
    pub(crate) look_back: Span,
}

/// The same as it is typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typed {
    connection: ConnectionId,
    log: Option<String>,
    #[serde(default = "every_minute")]
    schedule: Schedule,
    overlap: Option<Span>,
    #[serde(default = "an_hour")]
    look_back: Span,
}

fn every_minute() -> Schedule {
    const EVERY_MINUTE: &str = "* * * * *";
    EVERY_MINUTE.parse().unwrap_or_else(|_| unreachable!("a line of stars is a schedule"))
}

fn an_hour() -> Span {
    Span::hours(1)
}

impl Options {
    /// What is typed means for a source of this kind, or why it means nothing.
    pub(crate) fn of(kind: Kind, typed: Typed) -> Result<Self, String> {
        let logs: Vec<&'static Log> = Log::of(kind).collect();
        let names =
            || logs.iter().map(|log| format!("`{}`", log.name)).collect::<Vec<_>>().join(", ");
        let log = match (&logs[..], &typed.log) {
            ([], _) => {
                return Err(format!(
                    "`poll`: no log gives records of the kind `{kind}`: those of `entra`, `okta` and `duo` can be polled"
                ));
            }
            ([only], None) => only,
            (_, None) => return Err(format!("`poll` needs `log`: one of {}", names())),
            (_, Some(name)) => logs.iter().find(|log| log.name == *name).ok_or_else(|| {
                format!("`poll`: `{name}` is no log of `{kind}`: use {}", names())
            })?,
        };
        let within = |name: &str, span: Span, (least, most): (Span, Span)| {
            let fits = least <= span && span <= most;
            fits.then_some(())
                .ok_or_else(|| format!("`poll`: `{name}` is `{span}`: {least} to {most}"))
        };
        let overlap = typed.overlap.unwrap_or(log.overlap);
        within("overlap", overlap, OVERLAP)?;
        within("look_back", typed.look_back, LOOK_BACK)?;
        // Each stretch begins an overlap before the one before it ended, and has to get on all the same.
        if let Some(window) = log.window
            && overlap.delta() * 2 > window.delta()
        {
            let most = Span::seconds(window.delta().num_seconds() / 2);
            return Err(format!(
                "`poll`: `overlap` is `{overlap}`: at most {most} for `{}`",
                log.name
            ));
        }
        Ok(Self {
            connection: typed.connection,
            log,
            schedule: typed.schedule,
            overlap,
            look_back: typed.look_back,
        })
    }

    /// Everything that keeps it from being polled as it stands among the configured connections.
    pub(crate) fn problems(&self, connections: &BTreeMap<ConnectionId, Connection>) -> Vec<String> {
        let mut problems = Vec::new();
        let log = self.log;
        match connections.get(&self.connection) {
            None => problems.push(format!(
                "it is polled through the connection `{}`, which is not configured",
                self.connection
            )),
            Some(found) if found.connector != log.connector => problems.push(format!(
                "its log `{}` is read through a connection of the connector `{}`; `{}` is of `{}`",
                log.name, log.connector, self.connection, found.connector
            )),
            Some(_) => {}
        }
        // Which instant is looked from makes no difference that lasts: a line comes round again.
        let tightest =
            self.schedule.tightest(Time::from_timestamp(1_767_225_600, 0).unwrap_or_default());
        if tightest < log.least {
            problems.push(format!(
                "its schedule `{}` polls every {tightest}, and the provider's limit for `{}` is one poll in {}",
                self.schedule, log.name, log.least
            ));
        }
        problems
    }

    /// Whether both read the same log: what one of them takes in, the other would take in again.
    pub(crate) fn is_same_log(&self, other: &Self) -> bool {
        self.connection == other.connection
            && self.log.name.trim_end_matches("_beta") == other.log.name.trim_end_matches("_beta")
    }
}
