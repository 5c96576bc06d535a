//! Logs, read and judged without acting: `quell replay --detect-only`.
//!
//! Records are taken in the order in which they happened, each as if it had arrived at once,
//! and incidents are joined for a day after their last evidence, as they are in earnest.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

use super::{About, Detector, Open, Raised, Rules, Signal};
use crate::intake::{Format, Parsed, Problem, Record, parse_file};
use crate::model::event::AccountName;
use crate::model::incident::{ApprovalSeen, Campaign, HostileContext, Stage};
use crate::model::time::{Span, Time, rfc3339};

/// How long an incident is joined after its last evidence.
const JOINED: Span = Span::hours(24);
/// Nothing in a file can be ahead of its being read back one day.
pub(crate) const LATER: Time = Time::MAX_UTC;

/// What a file holds, and what it would lead to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Table {
    pub(crate) records: usize,
    pub(crate) understood: usize,
    pub(crate) irrelevant: usize,
    pub(crate) problems: usize,
    /// Facts with an id of their own; a re-ingested one counts once.
    pub(crate) distinct_events: usize,
    pub(crate) incidents: Vec<IncidentLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct IncidentLine {
    pub(crate) subject: String,
    pub(crate) stage: Stage,
    pub(crate) first: String,
    pub(crate) last: String,
    /// Whose approval was seen: `none`, `own`, `unknown` or `hostile`.
    pub(crate) outcome: &'static str,
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) campaign: Option<Campaign>,
    pub(crate) episodes: Vec<EpisodeLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EpisodeLine {
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) failed: usize,
    pub(crate) stage: Stage,
    pub(crate) outcome: &'static str,
}

/// One incident in the making.
struct Case {
    subject: String,
    stage: Stage,
    approval: ApprovalSeen,
    reason: String,
    campaign: Option<Campaign>,
    last: Time,
    open: Open,
    episodes: BTreeMap<Time, EpisodeLine>,
}

/// Reads and judges one file. Only an unreadable body is an error.
pub(crate) fn backtest(format: impl Into<Format>, bytes: &[u8]) -> Result<Table, Problem> {
    Ok(judge(parse_file(format, bytes, LATER)?))
}

/// Judges what was read, of however many files.
pub(crate) fn judge(mut parsed: Parsed) -> Table {
    parsed.sort_by_time();
    let mut bench = Bench::default();
    for record in &parsed.records {
        bench.take(record);
    }
    Table {
        records: parsed.total(),
        understood: parsed.understood,
        irrelevant: parsed.irrelevant.len(),
        problems: parsed.problems.len(),
        distinct_events: bench.ids.len(),
        incidents: bench.incidents(),
    }
}

#[derive(Default)]
pub(super) struct Bench {
    detector: Detector,
    cases: Vec<Case>,
    ids: BTreeSet<String>,
}

impl Bench {
    /// Judged by these detections only.
    pub(super) fn under(rules: Rules) -> Self {
        Self { detector: Detector::default().under(rules), ..Self::default() }
    }

    /// What came of it.
    pub(super) fn incidents(self) -> Vec<IncidentLine> {
        self.cases.into_iter().map(Case::line).collect()
    }

    pub(super) fn take(&mut self, record: &Record) {
        let id = match record {
            Record::Event(event) => event.id.to_string(),
            Record::Alert(alert) => alert.id.to_string(),
            Record::Report(report) => report.id.to_string(),
        };
        let subject = subject_key(record.account());
        self.ids.insert(id);
        let now = record.time();
        let current = self.cases.iter().rposition(|case| case.is_joined_by(&subject, now));
        let open = current.map(|index| self.cases[index].open.clone());
        let about = About { privileged: false, open: open.as_ref(), now, ..About::default() };
        let signals = match record {
            Record::Event(event) => self.detector.observe(&subject, event, &about),
            Record::Report(report) => self.detector.observe_report(&subject, report, &about),
            Record::Alert(alert) => {
                let case = self.case(&subject, alert.time);
                case.rise(alert.stage, ApprovalSeen::None, &alert.reason, alert.time);
                self.detector.observe_alert(&subject, alert, &about)
            }
        };
        self.join(&subject, &signals);
        for other in self.detector.stirred() {
            let current = self.cases.iter().rposition(|case| case.is_joined_by(&other.key, now));
            let open = current.map(|index| self.cases[index].open.clone());
            let about = About { open: open.as_ref(), now, ..About::default() };
            let signals = self.detector.look_again(&other.key, &about);
            self.join(&other.key, &signals);
        }
    }

    fn join(&mut self, subject: &str, signals: &[Signal]) {
        for signal in signals {
            self.case(subject, signal.first).join(signal);
        }
        let raised = self.detector.raised(subject).to_vec();
        if let Some(case) = self.cases.iter_mut().rfind(|case| case.subject == subject) {
            case.episodes
                .extend(raised.iter().filter(|r| r.failed > 0).map(|r| (r.first, line(r))));
        }
    }

    /// The subject's case that `at` belongs to, new if there is none.
    fn case(&mut self, subject: &str, at: Time) -> &mut Case {
        let known = self.cases.iter().rposition(|case| case.is_joined_by(subject, at));
        let index = known.unwrap_or_else(|| {
            self.cases.push(Case::new(subject, at));
            self.cases.len() - 1
        });
        &mut self.cases[index]
    }
}

impl Case {
    fn new(subject: &str, at: Time) -> Self {
        let open = Open {
            hostile: HostileContext::default(),
            first_event_at: at,
            last_evidence_at: at,
            contained_at: None,
        };
        Self {
            subject: subject.into(),
            stage: Stage::Noted,
            approval: ApprovalSeen::None,
            reason: String::new(),
            campaign: None,
            last: at,
            open,
            episodes: BTreeMap::new(),
        }
    }

    fn is_joined_by(&self, subject: &str, at: Time) -> bool {
        self.subject == subject && at.signed_duration_since(self.last) <= JOINED.delta()
    }

    fn join(&mut self, signal: &Signal) {
        self.rise(signal.stage, signal.approval, &signal.reason, signal.last);
        self.open.first_event_at = self.open.first_event_at.min(signal.first);
        if signal.campaign.as_ref().is_some_and(|new| new.says_more_than(self.campaign.as_ref())) {
            self.campaign.clone_from(&signal.campaign);
        }
        self.open.hostile.merge(&signal.hostile, usize::MAX);
    }

    fn rise(&mut self, stage: Stage, approval: ApprovalSeen, reason: &str, last: Time) {
        if stage > self.stage || self.reason.is_empty() {
            reason.clone_into(&mut self.reason);
        }
        self.stage = self.stage.max(stage);
        self.approval = self.approval.max(approval);
        self.last = self.last.max(last);
        self.open.last_evidence_at = self.last;
    }

    fn line(self) -> IncidentLine {
        IncidentLine {
            subject: self.subject,
            stage: self.stage,
            first: rfc3339(self.open.first_event_at),
            last: rfc3339(self.last),
            outcome: self.approval.name(),
            reason: self.reason,
            campaign: self.campaign,
            episodes: self.episodes.into_values().collect(),
        }
    }
}

fn line(raised: &Raised) -> EpisodeLine {
    EpisodeLine {
        first: rfc3339(raised.first),
        last: rfc3339(raised.last),
        failed: raised.failed,
        stage: raised.stage,
        outcome: raised.approval.name(),
    }
}

/// Without a directory, a record's own name for the account stands for the subject.
fn subject_key(account: &AccountName) -> String {
    account.login.clone().or_else(|| account.provider_id.clone()).unwrap_or_default()
}
