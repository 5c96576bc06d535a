//! Detections as data: how many failed prompts, of what sort, support which stage.
//!
//! What counts only within an open incident (a hostile approval, a changed factor) is the
//! doctrine's and no rule: a file can neither switch it off nor loosen it.
//!
//! Plain values; [`written`](super::written) makes them from YAML.

use std::sync::Arc;

use super::campaign::CampaignRule;
use super::signal::About;
use super::traits::Trait;
use crate::model::event::EventKind;
use crate::model::incident::Stage;
use crate::model::subject::{Authority, Subject};
use crate::model::time::Span;

/// One detection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) stage: Stage,
    /// Each of these alone is odd enough; then nothing else is asked.
    pub(crate) uses: Vec<EventKind>,
    /// Prompts that must have failed, within `within`.
    pub(crate) failed: usize,
    pub(crate) within: Span,
    /// Different addresses that they must have come from.
    pub(crate) sources: usize,
    /// Longest pause between two of them.
    pub(crate) pause: Span,
    /// A prompt counts only if all of these hold of it.
    pub(crate) of: Vec<Trait>,
    /// At least one of them must hold, if there are any.
    pub(crate) any: Vec<Trait>,
    pub(crate) all: Vec<Trait>,
    /// None of them may hold.
    pub(crate) none: Vec<Trait>,
    /// Points of the traits that hold; `score` is how many it takes.
    pub(crate) weights: Vec<(Trait, u32)>,
    pub(crate) score: u32,
    /// Classes of people it is for; everybody if there are none.
    pub(crate) classes: Vec<String>,
    /// Classes it is not for.
    pub(crate) except: Vec<String>,
}

/// People (or workloads) that have detections of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) name: String,
    /// Sign-in names, with `*` for anything.
    pub(crate) people: Vec<String>,
    /// What an account of theirs is.
    pub(crate) accounts: Vec<AccountIs>,
}

/// What the directory says of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccountIs {
    Under(Authority),
    Privileged,
    Protected,
}

impl AccountIs {
    /// Every one, with the word that a file says it by.
    pub(super) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Under(Authority::Guest), "guest"),
        (Self::Under(Authority::Synced), "synced"),
        (Self::Under(Authority::Federated), "federated"),
        (Self::Under(Authority::Delegated), "delegated"),
        (Self::Under(Authority::Cloud), "cloud"),
        (Self::Privileged, "privileged"),
        (Self::Protected, "protected"),
    ];

    fn holds(self, subject: &Subject) -> bool {
        match self {
            Self::Under(authority) => subject.accounts.iter().any(|a| a.authority == authority),
            Self::Privileged => subject.privileged(),
            Self::Protected => subject.protected(),
        }
    }
}

impl Class {
    fn has(&self, login: &str, about: &About<'_>) -> bool {
        let is = |one: &AccountIs| about.who.is_some_and(|who| one.holds(who));
        self.people.iter().any(|pattern| fits(pattern, login)) || self.accounts.iter().any(is)
    }
}

/// Every detection that runs, by name.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_field_names, reason = "a detection is a rule, and a campaign is none")]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) classes: Vec<Class>,
    pub(crate) campaigns: Vec<CampaignRule>,
}

impl Rules {
    /// Those that a subject is judged by. `key` is the name that its windows go by.
    pub(super) fn of<'r>(
        &'r self,
        key: &str,
        about: &About<'_>,
    ) -> impl Iterator<Item = &'r Rule> + use<'r> {
        let login = key.strip_prefix("login:").unwrap_or(key);
        let within: Vec<&str> = self
            .classes
            .iter()
            .filter(|class| class.has(login, about))
            .map(|class| class.name.as_str())
            .collect();
        self.rules.iter().filter(move |rule| {
            let among = |list: &[String]| list.iter().any(|name| within.contains(&name.as_str()));
            (rule.classes.is_empty() || among(&rule.classes)) && !among(&rule.except)
        })
    }
}

impl Default for Rules {
    fn default() -> Self {
        // A test keeps the shipped files clean; what did not check would not be here.
        super::written::read(&super::shipped()).unwrap_or_else(|_| Self {
            rules: Vec::new(),
            classes: Vec::new(),
            campaigns: Vec::new(),
        })
    }
}

/// The shipped detections, read once.
pub(super) fn shipped_rules() -> Arc<Rules> {
    static SHIPPED: std::sync::OnceLock<Arc<Rules>> = std::sync::OnceLock::new();
    Arc::clone(SHIPPED.get_or_init(|| Arc::new(Rules::default())))
}

/// Whether a name fits a pattern; `*` stands for anything, and case does not matter.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names_only() {
        for (pattern, name, fit) in [
            ("svc-*", "svc-backup@example.com", true),
            ("*@Plant.example.com", "eve@plant.example.com", true),
            ("a*b*c", "a1b2c", true),
            ("ana@example.com", "ana@example.com.evil", false),
            ("svc-*", "ana.svc-@example.com", false),
            ("*ab*ab", "ab", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
