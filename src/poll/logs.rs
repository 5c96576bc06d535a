//! The providers' logs, as data: where each is read, in what order it tells, how fast it may be asked.
//!
//! What a request says and what an answer holds is in one pure file a provider. A record reaches `intake`
//! as it came; here only its time is read, because the cursor goes by it.

mod duo;
mod graph;
mod okta;

use chrono::DateTime;
use serde::Serialize;
use serde_json::Value;

use crate::connector::manifest::Rate;
use crate::connector::pull::{Place, Reading};
use crate::connector::response::Answer;
use crate::intake::Kind;
use crate::model::time::{Span, Time};

/// In what order a log gives its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By time, or by when the provider wrote them: what is on a page is not later than what follows.
    OldestFirst,
    /// Any other: nothing is known of the whole before its last page.
    Any,
}

/// Whose manner of asking and answering it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// Microsoft Graph: the path, and the field that is filtered by.
    Graph {
        path: &'static str,
        time: &'static str,
    },
    Okta,
    Duo,
}

/// One log of one provider.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// As `log = "…"` names it.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The connector that a connection to it is of.
    pub(crate) connector: &'static str,
    /// The right that the connection's credential needs.
    pub(crate) permission: &'static str,
    pub(crate) order: Order,
    /// Whether the last page names where later records will be.
    pub(crate) follows: bool,
    /// The shortest time between two polls.
    pub(crate) least: Span,
    /// The newest records that are left for the next poll.
    pub(crate) delay: Span,
    /// How late a record may come and still be found, where the source does not say.
    pub(crate) overlap: Span,
    /// The longest stretch that is asked for at once; what lies behind it is asked for next.
    pub(crate) window: Option<Span>,
    /// How long the provider keeps it.
    pub(crate) kept: Span,
    bucket: &'static str,
    rate: Rate,
    speaks: Speaks,
}

/// Graph allows 5 reports in 10 s for each registration and tenant. Two are left for those who contain, who
/// count under the same name.
const REPORTS: (&str, Rate) = ("list-sign-ins", Rate { calls: 3, per: Span::seconds(10) });

const fn reports(name: &'static str, path: &'static str, time: &'static str) -> Log {
    Log {
        name,
        kind: Kind::Entra,
        connector: "entra-id",
        permission: "AuditLog.Read.All",
        // Newest first, as far as it is documented at all.
        order: Order::Any,
        follows: false,
        least: Span::seconds(20),
        delay: Span::seconds(0),
        // Minutes are usual, and a quarter of an hour is exceeded at times.
        overlap: Span::minutes(30),
        window: Some(Span::hours(6)),
        // Without a premium licence it is 7 days, and then there is no log of sign-ins.
        kept: Span::hours(30 * 24),
        bucket: REPORTS.0,
        rate: REPORTS.1,
        speaks: Speaks::Graph { path, time },
    }
}

/// Every log that can be polled.
pub(crate) static ALL: [Log; 6] = [
    reports("sign_ins", "/v1.0/auditLogs/signIns", "createdDateTime"),
    // Only there a sign-in lists its steps: which prompt was denied, which was approved.
    reports("sign_ins_beta", "/beta/auditLogs/signIns", "createdDateTime"),
    reports("audits", "/v1.0/auditLogs/directoryAudits", "activityDateTime"),
    Log {
        permission: "IdentityRiskEvent.Read.All",
        // Some are found hours after what they are about, and filtered by when they were found.
        overlap: Span::minutes(60),
        bucket: "list-risk-detections",
        rate: Rate { calls: 1, per: Span::seconds(1) },
        ..reports("risk_detections", "/v1.0/identityProtection/riskDetections", "detectedDateTime")
    },
    Log {
        name: "system",
        kind: Kind::Okta,
        connector: "okta",
        permission: "okta.logs.read",
        order: Order::OldestFirst,
        follows: true,
        least: Span::seconds(10),
        delay: Span::seconds(0),
        overlap: Span::minutes(10),
        window: None,
        kept: Span::hours(90 * 24),
        bucket: "poll-log",
        // A token gets half of an endpoint's bucket; the smallest is 60 a minute.
        rate: Rate { calls: 25, per: Span::minutes(1) },
        speaks: Speaks::Okta,
    },
    Log {
        name: "authentication",
        kind: Kind::Duo,
        connector: "duo",
        permission: "Grant read log",
        order: Order::OldestFirst,
        follows: false,
        // Duo asks for no more than that.
        least: Span::minutes(1),
        // Records show after two minutes, on purpose.
        delay: Span::minutes(2),
        overlap: Span::minutes(10),
        window: None,
        kept: Span::hours(180 * 24),
        bucket: "poll-authentication",
        // Further pages of one poll are no further polls.
        rate: Rate { calls: 30, per: Span::minutes(1) },
        speaks: Speaks::Duo,
    },
];

/// What is asked of a log: a stretch of time, or where a former answer said that it goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) from: Time,
    /// `None`: whatever there is.
    pub(crate) until: Option<Time>,
    pub(crate) next: Option<&'a str>,
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Page {
    /// How many records there are.
    pub(crate) records: usize,
    /// The newest record's time.
    pub(crate) newest: Option<Time>,
    /// Where the next page is.
    pub(crate) next: Option<String>,
    /// There is nothing more for now; `next` is where later records will be.
    pub(crate) caught_up: bool,
}

/// Why an answer is no page of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds no list of records")]
pub(crate) struct NoPage;

impl Log {
    /// The logs of a kind of source.
    pub(crate) fn of(kind: Kind) -> impl Iterator<Item = &'static Self> {
        ALL.iter().filter(move |log| log.kind == kind)
    }

    /// The request that asks for a page.
    pub(crate) fn reading(&self, ask: &Ask<'_>) -> Reading {
        let at = match (self.speaks, ask.next) {
            (Speaks::Graph { .. } | Speaks::Okta, Some(link)) => Place::Link(link.to_owned()),
            (Speaks::Graph { path, time }, None) => {
                Place::Path { path, query: graph::query(time, ask) }
            }
            (Speaks::Okta, None) => Place::Path { path: okta::PATH, query: okta::query(ask) },
            (Speaks::Duo, _) => Place::Path { path: duo::PATH, query: duo::query(ask) },
        };
        Reading { at, bucket: self.bucket, rate: self.rate }
    }

    /// The records of an answer, each as it came.
    pub(crate) fn rows<'a>(&self, answer: &'a Answer) -> &'a [Value] {
        let rows = match self.speaks {
            Speaks::Graph { .. } => &answer.body["value"],
            Speaks::Okta => &answer.body,
            Speaks::Duo => &answer.body["response"]["authlogs"],
        };
        rows.as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// What an answer holds.
    pub(crate) fn page(&self, answer: &Answer) -> Result<Page, NoPage> {
        match self.speaks {
            Speaks::Graph { time, .. } => graph::page(answer, time),
            Speaks::Okta => okta::page(answer),
            Speaks::Duo => duo::page(answer),
        }
    }
}

/// As it is named in configuration.
impl Serialize for Log {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// A record's time, as RFC 3339 in a field of it.
fn time_in(record: &Value, field: &str) -> Option<Time> {
    DateTime::parse_from_rfc3339(record[field].as_str()?).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests;
