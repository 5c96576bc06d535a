//! What detectors elsewhere assert: whether it is about prompts at all, and the alerts that it makes.
//!
//! A security product's own word is one piece of evidence. It supports `suspected`, and `confirmed`
//! where it says that somebody got in; how far it carries is its source's `may_cause`.

use super::json::alert_id;
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Alert, AlertKind};
use crate::model::event::AccountName;
use crate::model::incident::Stage;
use crate::model::text::tame_field;
use crate::model::time::Time;

/// Multi-Factor Authentication Request Generation.
const TECHNIQUE: &str = "T1621";
/// People that one assertion may be about; a rule that names more is about no one person.
const PEOPLE_MAX: usize = 25;

/// One assertion of a detector.
pub(super) struct Asserted {
    /// Its source's name space, and what the source calls it.
    pub(super) id: String,
    /// When it happened last.
    pub(super) time: Time,
    pub(super) title: String,
    /// ATT&CK techniques, however they are spelled.
    pub(super) techniques: String,
    pub(super) link: Option<String>,
}

impl Asserted {
    /// Whether it is about MFA prompts: other alerts of a product are somebody else's concern.
    pub(super) fn is_about_prompts(&self) -> bool {
        self.techniques.contains(TECHNIQUE) || is_named(&self.title)
    }

    /// An alert for each person.
    pub(super) fn alerts(self, mut people: Vec<AccountName>) -> Result<Verdict, Problem> {
        people.retain(|name| *name != AccountName::default());
        people.dedup();
        if people.is_empty() {
            return Err(Problem::MissingField("account"));
        }
        if people.len() > PEOPLE_MAX {
            let why = format!("it names more than {PEOPLE_MAX} people");
            return Err(Problem::BadField { field: "account".into(), why });
        }
        let told = says(&self.title, &["report", "fraud"]);
        let entered = says(&self.title, &["success", "followed by", "approved"]);
        let alert = |account: AccountName| {
            let whom = format!("{:?}{:?}", account.provider_id, account.login);
            Record::Alert(Box::new(Alert {
                id: alert_id(self.time, &format!("{}{whom}", self.id)),
                kind: if told { AlertKind::MfaFraudReported } else { AlertKind::MfaFatigue },
                account,
                time: self.time,
                stage: if entered { Stage::Confirmed } else { Stage::Suspected },
                reason: tame_field(&self.title),
                rule: tame_field(&self.title),
                events: Vec::new(),
                password_exposed: true,
                link: self.link.clone().filter(|link| link.starts_with("https://")),
            }))
        };
        Ok(Verdict::Facts(people.into_iter().map(alert).collect()))
    }
}

fn says(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// The names that published rules give to it.
fn is_named(title: &str) -> bool {
    let about = ["mfa", "multi-factor", "multifactor", "2fa", "two-factor", "push notif", "duo"];
    let trouble = [
        "fatigue", "bomb", "spam", "denied", "deny", "denies", "denial", "reject", "declin",
        "multiple", "exhaust", "mismatch", "fraud", "flood", "brute",
    ];
    says(title, &about) && says(title, &trouble)
        || says(title, &["push fatigue", "push bombing", "reported suspicious activity"])
        || says(title, &["suspicious activity reported", "userreportedsuspiciousactivity"])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the rules in the published collections that are about prompts, and of some that are not.
    #[test]
    fn published_rules_about_prompts_are_told_from_others() {
        for title in [
            "MFA Spamming followed by Successful login",
            "Azure AD Multiple Denied MFA Requests For User",
            "Potential Okta MFA Bombing via Push Notifications",
            "Potentially Successful Okta MFA Bombing via Push Notifications",
            "Okta Multiple Failed MFA Requests For User",
            "Entra ID User Reported Suspicious Activity",
            "Suspicious activity reported",
            "Duo user marked fraud",
            "Office 365: multiple MFA denials for one user",
        ] {
            assert!(is_named(title), "{title}");
        }
        for title in [
            "Suspicious execution of hidden file",
            "New UserAgent observed in last 24 hours",
            "MFA disabled for a user",
            "Test Incident",
            "Multiple failed sign-ins",
        ] {
            assert!(!is_named(title), "{title}");
        }
    }
}
