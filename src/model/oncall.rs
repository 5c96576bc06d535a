//! Whose turn it is to be asked: levels, who was asked when, and who stands in for whom.
//!
//! None of it says who may decide; that is `approval::who`'s alone.

use serde::{Deserialize, Serialize};

use super::id::{DelegationId, PersonId};
use super::time::Time;

/// One level of the rota. Silence passes a question on to the next.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    First,
    Second,
    Lead,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Second, Self::Lead];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Lead => "lead",
        }
    }
}

/// Who said whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Named {
    /// The built-in rota.
    Rota,
    /// The pager's schedule.
    Pager,
}

/// Somebody who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) by: Named,
    pub(crate) level: Level,
    /// Whose turn it was, where somebody stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<String>,
}

/// To whom a question was put at one time. It says who is told first, not who may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addressed {
    /// The highest level that it has reached; none where there is no rota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<Level>,
    /// Everybody who may decide is asked besides: there is nobody left to pass it on to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) everybody: bool,
    /// Whose turn it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) people: Vec<Asked>,
    pub(crate) at: Time,
    /// Until when they have time.
    pub(crate) until: Time,
}

/// Why a question stands longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Longer {
    /// Nobody had answered: it is passed on.
    #[default]
    Silence,
    /// Nobody could be told of it, so that silence says nothing.
    Untold,
    /// Quell was not running when its time ran out: it begins anew.
    Downtime,
}

/// For what somebody stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    All,
    /// Not for questions about privileged people.
    Ordinary,
}

/// Somebody is asked in another's place for a time. It gives no right that they did not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delegation {
    pub(crate) id: DelegationId,
    pub(crate) from: PersonId,
    pub(crate) from_name: String,
    pub(crate) to: PersonId,
    pub(crate) to_name: String,
    pub(crate) scope: Scope,
    pub(crate) begins: Time,
    pub(crate) ends: Time,
}

impl Delegation {
    pub(crate) fn is_in_force(&self, now: Time) -> bool {
        self.begins <= now && now < self.ends
    }

    pub(crate) fn overlaps(&self, begins: Time, ends: Time) -> bool {
        self.begins < ends && begins < self.ends
    }
}

/// Ends somebody's standing in before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DelegationEnded {
    pub(crate) delegation: DelegationId,
    pub(crate) by: String,
}
