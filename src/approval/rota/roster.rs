//! What the pager says about who is on call, and how far that is believed.
//!
//! Whoever owns the pager may change who is told first. They cannot change who may decide, nor the last level.

use std::collections::BTreeMap;

use super::Rota;
use crate::model::oncall::{Level, Named};
use crate::model::time::{Span, Time};

/// Most people that one level of the pager's schedule has here.
const MOST: usize = 16;

/// What was last heard of the pager.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Roster {
    heard: Option<Heard>,
    /// Why the last attempt gave nothing.
    problem: Option<String>,
}

/// What it said, in names of `[people]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) at: Time,
    pub(crate) levels: BTreeMap<Level, Vec<String>>,
    /// How many it named whom nobody here knows.
    pub(crate) unknown: usize,
}

/// Where the names of the lower levels come from now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The pager, as it was at a time.
    Pager { at: Time },
    /// The built-in rota, and why not the pager.
    Fallback { why: String, at: Option<Time> },
}

impl Roster {
    /// The pager answered.
    pub(crate) fn hear(&mut self, mut heard: Heard) {
        for people in heard.levels.values_mut() {
            people.truncate(MOST);
        }
        heard.levels.retain(|_, people| !people.is_empty());
        self.heard = Some(heard);
        self.problem = None;
    }

    /// It gave no answer that can be used. What it said before holds until it is stale.
    pub(crate) fn fail(&mut self, why: String) {
        self.problem = Some(why);
    }

    /// What is believed now.
    pub(crate) fn source(&self, stale: Span, now: Time) -> Source {
        let fallback = |why: String, at| Source::Fallback { why, at };
        let Some(heard) = &self.heard else {
            let why = self.problem.clone().unwrap_or_else(|| "it was not asked yet".to_owned());
            return fallback(why, None);
        };
        let why = match &self.problem {
            _ if now - heard.at <= stale.delta() && !heard.levels.is_empty() => {
                return Source::Pager { at: heard.at };
            }
            _ if now - heard.at <= stale.delta() => match heard.unknown {
                0 => "it names nobody".to_owned(),
                n => format!("it names nobody who is known here ({n} unknown)"),
            },
            Some(problem) => problem.clone(),
            None => "what it said is too old".to_owned(),
        };
        fallback(why, Some(heard.at))
    }

    /// Whose turn a level is, and who says so.
    pub(crate) fn on(
        &self,
        rota: &Rota,
        stale: Span,
        level: Level,
        now: Time,
    ) -> (Vec<String>, Named) {
        let believed = matches!(self.source(stale, now), Source::Pager { .. });
        // The last level is never the pager's.
        let below = rota.levels().last().map_or(level != Level::Lead, |last| level < *last);
        let heard = self.heard.as_ref().filter(|_| believed && below);
        match heard.and_then(|heard| heard.levels.get(&level)) {
            Some(people) => (people.clone(), Named::Pager),
            None => (rota.on(level, now).into_iter().map(str::to_owned).collect(), Named::Rota),
        }
    }

    /// The levels that anybody may be at, lowest first.
    pub(crate) fn levels(&self, rota: &Rota, stale: Span, now: Time) -> Vec<Level> {
        let built_in = rota.levels();
        let on = |level: &Level| {
            built_in.contains(level) || self.on(rota, stale, *level, now).1 == Named::Pager
        };
        Level::ALL.into_iter().filter(on).collect()
    }
}
