//! What a reader wants to see of the lists: forms that are plain GETs, and what they may say.
//!
//! Whatever a form cannot send is refused. What is read for one page is bounded by the listing itself.

use axum::http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;

use super::ConsoleState;
use super::problem::{Oops, Problem};
use crate::engine::ports::StoreError;
use crate::engine::state::State as Facts;
use crate::model::approval::{Approval, ApprovalState};
use crate::model::id::SubjectId;
use crate::model::incident::{Incident, IncidentStatus, Stage};
use crate::model::subject::{Alias, Subject};
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;

/// Longest name that is looked for.
const NAME_MAX: usize = 120;

/// One choice of a form: its value, its word, and whether it is the chosen one.
pub(super) type Choice = (&'static str, &'static str, bool);

/// Which questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Show {
    #[default]
    All,
    Open,
    /// Open, and the reader is asked.
    Mine,
    Decided,
}

impl Show {
    pub(super) fn wants(self, question: &Approval, now: Time) -> bool {
        let open = question.state == ApprovalState::Pending && question.expires_at > now;
        match self {
            Self::All => true,
            Self::Open | Self::Mine => open,
            Self::Decided => !open,
        }
    }

    pub(super) fn choices(self) -> Vec<Choice> {
        let all = [
            (Self::All, "all", "all"),
            (Self::Open, "open", "open"),
            (Self::Mine, "mine", "waiting for me"),
            (Self::Decided, "decided", "decided or over"),
        ];
        all.map(|(show, value, word)| (value, word, show == self)).to_vec()
    }
}

/// What the questions' form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AskedForm {
    show: String,
    before: String,
}

impl AskedForm {
    pub(super) fn show(&self) -> Result<Show, Oops> {
        Ok(one_of(&self.show)?.unwrap_or_default())
    }

    pub(super) fn before<I: std::str::FromStr>(&self) -> Result<Option<I>, Oops> {
        cursor(&self.before)
    }

    /// Where the older ones are.
    pub(super) fn older(&self, next: &str) -> String {
        link(&[("show", &self.show), ("before", next)])
    }
}

/// What the incidents' form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CasesForm {
    status: String,
    stage: String,
    who: String,
    before: String,
}

/// Which incidents.
pub(super) struct Cases {
    status: Option<IncidentStatus>,
    stage: Option<Stage>,
    who: Option<HashSet<SubjectId>>,
}

impl Cases {
    pub(super) fn wants(&self, incident: &Incident) -> bool {
        self.status.is_none_or(|status| incident.status == status)
            && self.stage.is_none_or(|stage| incident.stage == stage)
            && self.who.as_ref().is_none_or(|who| who.contains(&incident.subject))
    }

    pub(super) fn statuses(&self) -> Vec<Choice> {
        let all = [
            (IncidentStatus::Open, "open"),
            (IncidentStatus::Contained, "contained"),
            (IncidentStatus::Closed, "closed"),
        ];
        choices(&all, self.status)
    }

    pub(super) fn stages(&self) -> Vec<Choice> {
        let all = [Stage::Noted, Stage::Suspected, Stage::Confirmed, Stage::Breached];
        choices(&all.map(|stage| (stage, stage.name())), self.stage)
    }
}

fn choices<T: Copy + PartialEq>(all: &[(T, &'static str)], chosen: Option<T>) -> Vec<Choice> {
    let named = all.iter().map(|(value, word)| (*word, *word, chosen == Some(*value)));
    std::iter::once(("", "any", chosen.is_none())).chain(named).collect()
}

impl CasesForm {
    pub(super) async fn cases(&self, console: &ConsoleState) -> Result<Cases, Oops> {
        let (status, stage) = (one_of(&self.status)?, one_of(&self.stage)?);
        let who = self.name();
        let who = if who.is_empty() { None } else { Some(named(console, &who).await?) };
        Ok(Cases { status, stage, who })
    }

    /// Whom they are about, as it was typed.
    pub(super) fn name(&self) -> String {
        let name: String = self.who.trim().chars().take(NAME_MAX).collect();
        tame(&name, NAME_MAX)
    }

    pub(super) fn before<I: std::str::FromStr>(&self) -> Result<Option<I>, Oops> {
        cursor(&self.before)
    }

    /// Whether anything is left out.
    pub(super) fn is_plain(&self) -> bool {
        self.status.is_empty()
            && self.stage.is_empty()
            && self.name().is_empty()
            && self.before.is_empty()
    }

    pub(super) fn older(&self, next: &str) -> String {
        let name = self.name();
        link(&[("status", &self.status), ("stage", &self.stage), ("who", &name), ("before", next)])
    }
}

/// People whose name or one of whose sign-in names holds the text. Those at rest come when it is a whole one.
pub(super) async fn named(
    state: &ConsoleState,
    text: &str,
) -> Result<HashSet<SubjectId>, StoreError> {
    let text = text.to_lowercase();
    state.engine.fetch_named(&[Alias::login(&text)]).await?;
    Ok(state.engine.read(|core| people(&core.state, &text)))
}

fn people(state: &Facts, text: &str) -> HashSet<SubjectId> {
    let has = |name: &str| tame_field(name).to_lowercase().contains(text);
    let is_it = |subject: &Subject| {
        has(&subject.name)
            || subject.accounts.iter().any(|a| has(&a.login) || has(&a.name))
            || subject.aliases.iter().any(|a| a.to_string().strip_prefix("login:").is_some_and(has))
    };
    let found = state.subjects.values().filter(|subject| {
        // Whoever was merged is found by the name of the one who survives, and the other way round.
        is_it(subject) || state.subject(subject.id).is_some_and(is_it)
    });
    found.map(|subject| subject.id).collect()
}

fn one_of<T: DeserializeOwned>(text: &str) -> Result<Option<T>, Oops> {
    if text.is_empty() {
        return Ok(None);
    }
    let value = serde_json::from_value(Value::String(text.to_owned()));
    value.map(Some).map_err(|_| unknown().page())
}

fn cursor<I: std::str::FromStr>(text: &str) -> Result<Option<I>, Oops> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| unknown().page())
}

fn unknown() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "The list cannot be narrowed down like this")
}

/// A query of what is not empty.
pub(super) fn link(pairs: &[(&str, &str)]) -> String {
    let given = pairs.iter().filter(|(_, value)| !value.is_empty());
    let written = given
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    format!("?{}", written.collect::<Vec<_>>().join("&"))
}
