//! Small pieces that every page shows the same way: times, states, lengths of time.
//!
//! States are an icon, a word and a colour at once, so that none of them is needed to tell.

use askama::filters::{Html, HtmlSafe, escape};
use chrono::TimeDelta;
use std::fmt;

use crate::engine::clean::Verdict;
use crate::engine::driver::Standing;
use crate::model::approval::ApprovalState;
use crate::model::incident::{ContainmentState, IncidentStatus, Severity, Stage};
use crate::model::run::{CellState, Conclusion, RunStatus};
use crate::model::time::{Time, rfc3339};

/// An instant; the page's script puts it into the reader's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Time);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format("%Y-%m-%d %H:%M:%S");
        write!(f, "<time datetime=\"{}\">{text} UTC</time>", rfc3339(self.0))
    }
}

impl HtmlSafe for At {}

/// The end of a span whose [`At`] is its beginning; no date.
#[derive(Debug, Clone, Copy)]
pub(super) struct Till(pub(super) Time);

impl fmt::Display for Till {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format("%H:%M:%S");
        write!(f, "<time data-clock datetime=\"{}\">{text}</time>", rfc3339(self.0))
    }
}

impl HtmlSafe for Till {}

/// An instant to come; the page's script counts down to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until(pub(super) Time);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format("%H:%M:%S");
        write!(f, "<time data-until datetime=\"{}\">{text} UTC</time>", rfc3339(self.0))
    }
}

impl HtmlSafe for Until {}

/// A sentence in which names stand between backticks; the page shows them as code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coded(pub(super) String);

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_str();
        while let Some((before, name, after)) = next_code(rest) {
            write!(f, "{}<code>{}</code>", safe(before)?, safe(name)?)?;
            rest = after;
        }
        write!(f, "{}", safe(rest)?)
    }
}

impl HtmlSafe for Coded {}

fn safe(text: &str) -> Result<impl fmt::Display, fmt::Error> {
    escape(text, Html).map_err(|_| fmt::Error)
}

fn next_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, from) = text.split_once('`')?;
    let (name, after) = from.split_once('`')?;
    Some((before, name, after))
}

/// A state: icon, word and tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    icon: &'static str,
    word: &'static str,
    tone: &'static str,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { icon, word, tone } = self;
        write!(
            f,
            "<span class=\"mark {tone}\"><span aria-hidden=\"true\">{icon}</span> {word}</span>"
        )
    }
}

impl HtmlSafe for Mark {}

impl Mark {
    pub(super) fn icon(self) -> &'static str {
        self.icon
    }

    pub(super) fn word(self) -> &'static str {
        self.word
    }

    pub(super) fn tone(self) -> &'static str {
        self.tone
    }
}

const fn mark(icon: &'static str, word: &'static str, tone: &'static str) -> Mark {
    Mark { icon, word, tone }
}

const OPEN_BREAKER: Mark = mark("⊘", "not answering", "bad");
const ASKED_TO_WAIT: Mark = mark("…", "asked to wait", "wait");
const CLOSED_BREAKER: Mark = mark("✓", "answering", "good");
pub(super) const NOT_USED: Mark = mark("○", "not used yet", "quiet");
pub(super) const OFFERED: Mark = mark("✓", "can be done", "good");
pub(super) const WANTING: Mark = mark("–", "cannot be done", "quiet");
pub(super) const WORKS: Mark = mark("✓", "works", "good");
pub(super) const DOES_NOT_WORK: Mark = mark("✗", "does not work", "bad");
pub(super) const TOKEN_IN_FORCE: Mark = mark("●", "in force", "good");
pub(super) const TOKEN_EXPIRED: Mark = mark("–", "expired", "quiet");
pub(super) const TOKEN_REVOKED: Mark = mark("✗", "revoked", "quiet");
pub(super) const NOT_BEGUN: Mark = mark("○", "not begun", "quiet");
pub(super) const NOT_DUE: Mark = mark("–", "not due here", "quiet");
pub(super) const NOT_REACHED: Mark = mark("○", "not reached", "quiet");
pub(super) const SIGNATURE_HOLDS: Mark = mark("✓", "signature holds", "good");
pub(super) const SIGNATURE_BROKEN: Mark = mark("✗", "signature does not hold", "bad");

impl From<ContainmentState> for Mark {
    fn from(state: ContainmentState) -> Self {
        match state {
            ContainmentState::Proposed => mark("○", "proposed", "quiet"),
            ContainmentState::Asked => mark("?", "asked", "wait"),
            ContainmentState::Applied => mark("◐", "applied", "wait"),
            ContainmentState::Verified => mark("✓", "verified", "good"),
            ContainmentState::Enforced => mark("✔", "enforced", "good"),
            ContainmentState::Failed => mark("✗", "failed", "bad"),
            ContainmentState::Unsupported => mark("⊘", "unsupported", "bad"),
            ContainmentState::NotApplicable => mark("–", "not applicable", "quiet"),
            ContainmentState::Undone => mark("↩", "undone", "quiet"),
        }
    }
}

impl From<Standing> for Mark {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Answering => CLOSED_BREAKER,
            Standing::NotAnswering => OPEN_BREAKER,
            Standing::AskedToWait => ASKED_TO_WAIT,
        }
    }
}

impl From<Verdict> for Mark {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => mark("✓", "clean", "good"),
            Verdict::Unclean => mark("✗", "not clean", "bad"),
            Verdict::Unknown => mark("?", "not known", "wait"),
        }
    }
}

impl From<Stage> for Mark {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Noted => mark("◔", "noted", "quiet"),
            Stage::Suspected => mark("◑", "suspected", "wait"),
            Stage::Confirmed => mark("◕", "confirmed", "bad"),
            Stage::Breached => mark("●", "breached", "bad"),
        }
    }
}

impl From<Severity> for Mark {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Low => mark("▁", "low", "quiet"),
            Severity::Medium => mark("▃", "medium", "wait"),
            Severity::High => mark("▅", "high", "bad"),
            Severity::Critical => mark("▇", "critical", "bad"),
        }
    }
}

impl From<IncidentStatus> for Mark {
    fn from(status: IncidentStatus) -> Self {
        match status {
            IncidentStatus::Open => mark("!", "open", "bad"),
            IncidentStatus::Contained => mark("✓", "contained", "good"),
            IncidentStatus::Closed => mark("■", "closed", "quiet"),
        }
    }
}

impl From<ApprovalState> for Mark {
    fn from(state: ApprovalState) -> Self {
        match state {
            ApprovalState::Pending => mark("?", "waiting", "wait"),
            ApprovalState::Approved => mark("✓", "approved", "good"),
            ApprovalState::Denied => mark("✗", "denied", "bad"),
            ApprovalState::Expired => mark("◷", "expired", "quiet"),
            ApprovalState::Cancelled => mark("–", "cancelled", "quiet"),
        }
    }
}

impl From<RunStatus> for Mark {
    fn from(status: RunStatus) -> Self {
        match status {
            RunStatus::Running => mark("▶", "running", "wait"),
            RunStatus::Waiting => mark("…", "waiting", "wait"),
            RunStatus::Succeeded => mark("✓", "succeeded", "good"),
            RunStatus::Failed => mark("✗", "failed", "bad"),
            RunStatus::Cancelled => mark("–", "cancelled", "quiet"),
        }
    }
}

impl From<&CellState> for Mark {
    fn from(state: &CellState) -> Self {
        match state {
            CellState::Asked { .. } => mark("?", "asked", "wait"),
            CellState::Granted { .. } => mark("✓", "granted", "wait"),
            CellState::Intended => mark("▶", "under way", "wait"),
            CellState::Retrying { .. } => mark("↻", "trying again", "wait"),
            CellState::InDoubt { .. } => mark("?", "in doubt", "bad"),
            CellState::Applied { .. } => mark("◐", "applied, being read back", "wait"),
            CellState::Waiting { .. } => mark("…", "waiting", "wait"),
            CellState::Parked { .. } => mark("!", "needs a person", "bad"),
            CellState::Concluded { conclusion } => concluded(*conclusion),
        }
    }
}

/// Which of several states a reader has to see first; the highest.
pub(super) fn urgency(state: &CellState) -> u8 {
    match state {
        CellState::Parked { .. } => 11,
        CellState::InDoubt { .. } => 10,
        CellState::Asked { .. } => 9,
        CellState::Intended => 8,
        CellState::Retrying { .. } => 7,
        CellState::Applied { .. } => 6,
        CellState::Granted { .. } => 5,
        CellState::Waiting { .. } => 4,
        CellState::Concluded { conclusion } => match conclusion {
            Conclusion::Failed | Conclusion::Refused | Conclusion::Unsupported => 3,
            Conclusion::Denied | Conclusion::Expired => 2,
            Conclusion::Succeeded => 1,
            Conclusion::Skipped => 0,
        },
    }
}

pub(super) fn concluded(conclusion: Conclusion) -> Mark {
    match conclusion {
        Conclusion::Succeeded => mark("✓", "succeeded", "good"),
        Conclusion::Skipped => mark("–", "skipped", "quiet"),
        Conclusion::Denied => mark("✗", "denied", "bad"),
        Conclusion::Expired => mark("◷", "expired", "bad"),
        Conclusion::Refused => mark("⊘", "refused", "bad"),
        Conclusion::Unsupported => mark("⊘", "unsupported", "bad"),
        Conclusion::Failed => mark("✗", "failed", "bad"),
    }
}

/// A length of time for people: its two largest units.
pub(super) fn lasted(delta: TimeDelta) -> String {
    let s = delta.num_seconds().max(0);
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_code_and_nothing_becomes_markup() {
        let shown = |text: &str| Coded(text.to_owned()).to_string();
        assert_eq!(shown("`block` was done"), "<code>block</code> was done");
        assert_eq!(shown("a ` alone"), "a ` alone");
        assert_eq!(shown("<i>`<b>`"), "&#60;i&#62;<code>&#60;b&#62;</code>");
    }

    #[test]
    fn lengths_of_time_are_short_and_exact_enough() {
        for (seconds, text) in [
            (-4, "0 s"),
            (59, "59 s"),
            (200, "3 min 20 s"),
            (7_260, "2 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(lasted(TimeDelta::seconds(seconds)), text);
        }
    }
}
