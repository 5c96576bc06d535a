//! What a `NAME.test.yaml` says.

use serde::Deserialize;
use std::collections::BTreeMap;

use crate::lab::fault::Switch;
use crate::model::alert::{AlertKind, Proof};
use crate::model::event::EventOutcome;
use crate::model::incident::{IncidentStatus, Stage};
use crate::model::plan::Mode;
use crate::model::run::{Conclusion, RunStatus, WaitingOn};
use crate::model::time::Span;

/// All trials of one playbook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) trials: Vec<Trial>,
}

/// One story.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// The rule that it shows, as a sentence.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) mode: Mode,
    /// Whom it happens to; one of the lab's people.
    #[serde(default = "dana")]
    pub(crate) person: String,
    /// On the protected list.
    #[serde(default)]
    pub(crate) protected: bool,
    pub(crate) script: Vec<Act>,
}

fn dana() -> String {
    "dana.reyes@lab.example".to_owned()
}

/// One thing that happens, or must be so.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// A detector posts an alert.
    Alert(AlertAct),
    Report(ReportAct),
    /// Prompts arrive, and perhaps an approval from the same address.
    Burst(Burst),
    /// The attacker signs in and enrols a factor, and the provider's log says so.
    HostileFactor(Yes),
    Pass(Span),
    Decide(Answer),
    /// Somebody asks for the way back.
    Restore(Yes),
    Fault(Switch),
    Expect(Box<Expect>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertAct {
    #[serde(default = "fatigue")]
    pub(crate) kind: AlertKind,
    pub(crate) stage: Stage,
    #[serde(default)]
    pub(crate) password_exposed: bool,
}

fn fatigue() -> AlertKind {
    AlertKind::MfaFatigue
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportAct {
    pub(crate) proof: Proof,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Burst {
    pub(crate) prompts: u32,
    pub(crate) outcome: EventOutcome,
    #[serde(default)]
    pub(crate) then_approved: bool,
}

/// Acts without a choice are written `restore: true`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "bool")]
pub(crate) struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(yes: bool) -> Result<Self, Self::Error> {
        if yes { Ok(Self) } else { Err("leave it out instead of saying `false`") }
    }
}

/// What the person on call says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Approve,
    Deny,
}

/// What must be so now. What is left out does not matter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Expect {
    /// The newest run.
    pub(crate) run: Option<RunStatus>,
    pub(crate) waiting_on: Option<WaitingOn>,
    pub(crate) incident: Option<IncidentStatus>,
    pub(crate) stage: Option<Stage>,
    /// The incident is still watched for at least so long.
    pub(crate) watched_for: Option<Span>,
    /// Ids of the steps in the open question, each once; empty = no question is open.
    pub(crate) asked: Option<Vec<String>>,
    /// Step id → how all its cells ended.
    pub(crate) steps: BTreeMap<String, Conclusion>,
    /// By the lab's word: nobody can sign in as this person anywhere.
    pub(crate) blocked: Option<bool>,
    pub(crate) tickets: Option<usize>,
    pub(crate) hostile_sessions: Option<usize>,
    pub(crate) hostile_factors: Option<usize>,
    /// How often the lab saw an effect on this person's accounts.
    pub(crate) effects: BTreeMap<String, usize>,
}

/// Reads a script; the error names the line.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}
