//! Who may stand in for whom, and for how long.
//!
//! Standing in changes who is asked. It gives no right: only somebody who decides already can be named.

use chrono::TimeDelta;

use crate::model::id::PersonId;
use crate::model::oncall::Delegation;
use crate::model::time::Time;

/// The longest that somebody stands in.
pub(crate) const LONGEST: TimeDelta = TimeDelta::days(31);
/// How far ahead it may begin.
const AHEAD: TimeDelta = TimeDelta::days(366);

/// Why somebody does not stand in for another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Unfit {
    #[error("nobody stands in for themselves")]
    Themselves,
    #[error("only somebody who decides already can stand in: {0} has no passkey or not the role")]
    Role(String),
    #[error("it has to end after it begins, and in time to come")]
    Over,
    #[error("it may last 31 days, and begin within a year")]
    TooLong,
    #[error("somebody stands in for you in that time already; end that first")]
    Twice,
    #[error("you stand in for {0} in that time, and cannot pass that on")]
    PassedOn(String),
    #[error("{0} is away in that time: somebody stands in for them")]
    Away(String),
}

/// What somebody wishes.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub(crate) from: PersonId,
    pub(crate) to: PersonId,
    pub(crate) to_name: &'a str,
    /// Whether whom they name may decide.
    pub(crate) decides: bool,
    pub(crate) begins: Time,
    pub(crate) ends: Time,
}

/// Whether that may be, beside what is known.
pub(crate) fn fit<'d>(
    wish: &Wish<'_>,
    known: impl Iterator<Item = &'d Delegation>,
    now: Time,
) -> Result<(), Unfit> {
    if wish.from == wish.to {
        return Err(Unfit::Themselves);
    }
    if !wish.decides {
        return Err(Unfit::Role(wish.to_name.to_owned()));
    }
    if wish.ends <= wish.begins || wish.ends <= now {
        return Err(Unfit::Over);
    }
    if wish.ends - wish.begins > LONGEST || wish.begins > now + AHEAD {
        return Err(Unfit::TooLong);
    }
    for other in known.filter(|other| other.overlaps(wish.begins, wish.ends)) {
        if other.from == wish.from {
            return Err(Unfit::Twice);
        }
        if other.to == wish.from {
            return Err(Unfit::PassedOn(other.from_name.clone()));
        }
        if other.from == wish.to {
            return Err(Unfit::Away(wish.to_name.to_owned()));
        }
    }
    Ok(())
}
