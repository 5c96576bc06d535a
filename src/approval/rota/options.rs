//! `[oncall]` as it is typed, and what is wrong with it.

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::hours::{Window, wall};
use super::zone::Zone;
use super::{Calendar, Override, Rota, Shift, Turns};
use crate::model::approval::Tier;
use crate::model::id::ConnectionId;
use crate::model::oncall::Level;
use crate::model::time::Span;

/// `[oncall]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// The connection that says who is on call, for the levels below the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pager: Option<ConnectionId>,
    /// How often it is asked.
    pub(crate) refresh: Span,
    /// What it said longer ago than this is not believed any more.
    pub(crate) stale: Span,
    /// How far ahead `quell config check` and the console look for gaps.
    pub(crate) horizon: Span,
    pub(crate) answer: Answer,
    pub(crate) calendars: BTreeMap<String, TypedCalendar>,
    pub(crate) shifts: Vec<TypedShift>,
    pub(crate) overrides: Vec<TypedOverride>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pager: None,
            refresh: Span::minutes(1),
            stale: Span::minutes(15),
            horizon: Span::hours(28 * 24),
            answer: Answer::default(),
            calendars: BTreeMap::new(),
            shifts: Vec::new(),
            overrides: Vec::new(),
        }
    }
}

/// How long people have to answer, where a calendar has working hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) harmless: Within,
    pub(crate) locks_out: Within,
    pub(crate) privileged: Within,
}

impl Default for Answer {
    fn default() -> Self {
        let usual = Within { working: Span::minutes(10), off: Span::minutes(20) };
        let same = Within { working: Span::minutes(15), off: Span::minutes(15) };
        Self { harmless: usual, locks_out: usual, privileged: same }
    }
}

impl Answer {
    pub(super) fn of(&self, tier: Tier) -> Within {
        match tier {
            Tier::Harmless => self.harmless,
            Tier::LocksOut => self.locks_out,
            Tier::Privileged => self.privileged,
        }
    }
}

/// In working hours, and at other times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Within {
    pub(crate) working: Span,
    pub(crate) off: Span,
}

/// `[oncall.calendars.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedCalendar {
    pub(crate) zone: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) working_hours: Vec<String>,
}

/// One of `[[oncall.shifts]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedShift {
    pub(crate) level: Level,
    pub(crate) calendar: String,
    pub(crate) people: Vec<String>,
    #[serde(default)]
    pub(crate) turn: Turn,
    /// The day of the first person's first turn; a weekly turn changes on its day of the week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    /// When turns change.
    #[serde(default = "nine")]
    pub(crate) at: String,
    /// Left out: day and night.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hours: Vec<String>,
}

fn nine() -> String {
    "09:00".to_owned()
}

/// How long one person's turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turn {
    Day,
    #[default]
    Week,
}

/// One of `[[oncall.overrides]]`: who takes a level for a time, whoever's turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedOverride {
    pub(crate) level: Level,
    pub(crate) calendar: String,
    pub(crate) person: String,
    /// The calendar's wall time, such as `2026-12-24T09:00`.
    pub(crate) from: String,
    pub(crate) until: String,
}

/// What is wrong, where (below `oncall`), and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) path: Vec<String>,
    pub(crate) message: String,
    pub(crate) help: String,
}

struct Reading {
    /// None: its zone is wrong, which is said once.
    calendars: BTreeMap<String, Option<Arc<Calendar>>>,
    problems: Vec<Problem>,
}

impl Options {
    /// The rota that can be read of it, and everything that is wrong.
    pub(crate) fn read(&self) -> (Rota, Vec<Problem>) {
        let mut reading = Reading { calendars: BTreeMap::new(), problems: Vec::new() };
        for (name, typed) in &self.calendars {
            reading.calendar(name, typed);
        }
        let mut shifts = Vec::new();
        for (n, typed) in self.shifts.iter().enumerate() {
            shifts.extend(reading.shift(n, typed));
        }
        let mut overrides = Vec::new();
        for (n, typed) in self.overrides.iter().enumerate() {
            overrides.extend(reading.exception(n, typed));
        }
        if self.refresh < Span::seconds(10) || self.stale < self.refresh {
            reading.say(
                &["stale"],
                "`oncall.stale` must not be shorter than `oncall.refresh`, nor that than 10s",
                "leave them at `15m` and `1m`",
            );
        }
        if self.horizon > Span::hours(366 * 24) {
            reading.say(
                &["horizon"],
                format!("`oncall.horizon` is `{}`: at most 366d", self.horizon),
                "leave it at `28d`",
            );
        }
        let Answer { harmless, locks_out, privileged } = &self.answer;
        let times = [harmless, locks_out, privileged].into_iter().flat_map(|w| [w.working, w.off]);
        if times.into_iter().any(|time| time < Span::minutes(1)) {
            reading.say(
                &["answer"],
                "nobody can answer within less than a minute",
                "give people `1m` or more",
            );
        }
        let rota = Rota { shifts, overrides, answer: self.answer.clone() };
        (rota, reading.problems)
    }

    /// Everybody who is named, with the place in the settings.
    pub(crate) fn named(&self) -> impl Iterator<Item = (Vec<String>, &str)> {
        let shifts = self.shifts.iter().enumerate().flat_map(|(n, shift)| {
            let at = path(&["shifts", &n.to_string(), "people"]);
            shift.people.iter().map(move |person| (at.clone(), person.as_str()))
        });
        let overrides =
            self.overrides.iter().enumerate().map(|(n, one)| {
                (path(&["overrides", &n.to_string(), "person"]), one.person.as_str())
            });
        shifts.chain(overrides)
    }
}

fn path(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

impl Reading {
    fn say(&mut self, at: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let (message, help) = (message.into(), help.into());
        self.problems.push(Problem { path: path(at), message, help });
    }

    fn calendar(&mut self, name: &str, typed: &TypedCalendar) {
        let zone = match Zone::named(&typed.zone) {
            Ok(zone) => zone,
            Err(meant) => {
                let help = meant.map_or_else(
                    || "write a name of the IANA data base, such as `Europe/Berlin`".to_owned(),
                    |meant| format!("did you mean `{meant}`?"),
                );
                let message = format!("there is no time zone `{}`", typed.zone);
                self.calendars.insert(name.to_owned(), None);
                return self.say(&["calendars", name, "zone"], message, help);
            }
        };
        let working = self.windows(&["calendars", name, "working_hours"], &typed.working_hours);
        self.calendars.insert(name.to_owned(), Some(Arc::new(Calendar { zone, working })));
    }

    fn windows(&mut self, at: &[&str], typed: &[String]) -> Vec<Window> {
        let mut windows = Vec::new();
        for text in typed {
            match text.parse::<Window>() {
                Ok(window) => windows.push(window),
                Err(bad) => self.say(at, bad.to_string(), "such as `mon-fri 09:00-17:30`"),
            }
        }
        windows
    }

    fn known_calendar(&mut self, at: &[&str], name: &str) -> Option<Arc<Calendar>> {
        if !self.calendars.contains_key(name) {
            let names: Vec<&str> = self.calendars.keys().map(String::as_str).collect();
            let help = match names.as_slice() {
                [] => format!("add `[oncall.calendars.{name}]` with a `zone`"),
                names => format!("use one of: {}", names.join(", ")),
            };
            self.say(at, format!("there is no calendar `{name}`"), help);
        }
        self.calendars.get(name).cloned().flatten()
    }

    fn shift(&mut self, n: usize, typed: &TypedShift) -> Option<Shift> {
        let (n, before) = (n.to_string(), self.problems.len());
        let at = |key: &'static str| ["shifts", n.as_str(), key];
        let calendar = self.known_calendar(&at("calendar"), &typed.calendar);
        let hours = self.windows(&at("hours"), &typed.hours);
        if typed.people.is_empty() {
            self.say(&at("people"), "a shift without people", "name somebody of `[people]`");
        }
        let change = wall(&typed.at);
        if let Err(bad) = &change {
            self.say(&at("at"), bad.to_string(), "such as `09:00`");
        }
        let since = typed.since.as_deref().map(|text| (text, text.parse::<Date>()));
        if let Some((text, Err(_))) = &since {
            let message = format!("`{text}` is no day");
            self.say(&at("since"), message, "write it like `2026-11-02`");
        }
        if since.is_none() && typed.people.len() > 1 {
            self.say(
                &at("people"),
                "several people take turns, and `since` does not say whose turn it was when",
                "add `since = \"2026-11-02\"`: the day of the first one's first turn",
            );
        }
        let since = since.and_then(|(_, day)| day.ok());
        let days = match typed.turn {
            Turn::Day => 1,
            Turn::Week => 7,
        };
        if self.problems.len() > before {
            return None;
        }
        Some(Shift {
            level: typed.level,
            calendar: calendar?,
            people: typed.people.clone(),
            turns: since.zip(change.ok()).map(|(since, at)| Turns { since, days, at }),
            hours,
        })
    }

    fn exception(&mut self, n: usize, typed: &TypedOverride) -> Option<Override> {
        let n = n.to_string();
        let at = |key: &'static str| ["overrides", n.as_str(), key];
        let calendar = self.known_calendar(&at("calendar"), &typed.calendar)?;
        let mut instant = |key: &'static str, text: &str| {
            let read = text.parse::<DateTime>().ok();
            if read.is_none() {
                let message = format!("`{text}` is no wall time");
                self.say(&at(key), message, "write it like `2026-12-24T09:00`");
            }
            read.map(|read| calendar.zone.instant(read.date(), read.time()))
        };
        let (from, until) = (instant("from", &typed.from), instant("until", &typed.until));
        let (from, until) = (from?, until?);
        if until <= from {
            let message = "this ends before it begins";
            self.say(&at("until"), message, "`until` comes after `from`");
            return None;
        }
        let (level, person) = (typed.level, typed.person.clone());
        Some(Override { level, calendar, person, from, until })
    }
}
