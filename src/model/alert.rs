//! What a detector asserts and what a person says.

use serde::{Deserialize, Serialize};

use super::event::AccountName;
use super::id::{AlertId, EventId, ReportId};
use super::incident::Stage;
use super::time::Time;

/// What a detector asserts about one account. Posted by a SIEM or IdP, or raised by Quell's own detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alert {
    pub(crate) id: AlertId,
    /// What kind of alert, as playbooks' `triggers: - alert: KIND` name it.
    pub(crate) kind: AlertKind,
    pub(crate) account: AccountName,
    /// When the asserted thing happened (not when it was told).
    pub(crate) time: Time,
    /// The stage that this alert alone supports.
    pub(crate) stage: Stage,
    /// Why, in one sentence.
    pub(crate) reason: String,
    /// The rule that fired; a posted alert's own rule name.
    pub(crate) rule: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<EventId>,
    /// Whether some failed or approved prompt in it means that the password is known.
    #[serde(default)]
    pub(crate) password_exposed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// The kinds of alert that a playbook can be triggered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlertKind {
    MfaFatigue,
    MfaFraudReported,
}

impl AlertKind {
    pub(crate) const ALL: [Self; 2] = [Self::MfaFatigue, Self::MfaFraudReported];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MfaFatigue => "mfa_fatigue",
            Self::MfaFraudReported => "mfa_fraud_reported",
        }
    }
}

/// How far a report proves who made it. All are kept and answered; only the first counts alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proof {
    /// The person concerned, authenticated as the account concerned.
    SelfProved,
    /// Somebody authenticated, about another person.
    AuthenticatedOther,
    /// Told on by a form, a mailbox or a call.
    Relayed,
}

/// A person says: "I got a prompt I did not ask for."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) id: ReportId,
    pub(crate) account: AccountName,
    pub(crate) time: Time,
    pub(crate) proof: Proof,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) text: String,
    /// Who entered it for somebody that called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taken_by: Option<String>,
}

impl Report {
    /// What the reporter is given to name it by: short enough to be said over a telephone.
    pub(crate) fn reference(&self) -> String {
        let id = self.id.to_string().replace('-', "").to_uppercase();
        let end = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
        format!("{}-{}", end.get(..4).unwrap_or_default(), end.get(4..).unwrap_or_default())
    }
}

/// What everybody who reports is answered, whoever they are and whomever they name: it says nothing about
/// accounts, so that a stranger learns nothing from it.
pub(crate) fn answer_to_reporter(references: &[String]) -> String {
    format!(
        "Thank you. Your report has the number {}. Do not approve prompts that you did not ask for, however many \
         come. Your report is put beside what the sign-in systems show. If they show such prompts, sessions are \
         ended and the people on call are asked to decide the rest; nobody is locked out on a report alone. If you \
         have approved one, or told somebody a code, call the help desk now, on a number that you already know, \
         and say your report's number.",
        references.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reports_reference_can_be_said_over_a_telephone_and_stays_the_same() {
        let report = Report {
            id: ReportId::mint(Time::UNIX_EPOCH, [0xab; 10]),
            account: AccountName::default(),
            time: Time::UNIX_EPOCH,
            proof: Proof::Relayed,
            text: String::new(),
            taken_by: None,
        };

        assert_eq!(report.reference(), "ABAB-ABAB");
        assert!(answer_to_reporter(&[report.reference()]).contains("number ABAB-ABAB."));
    }
}
