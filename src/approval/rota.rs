//! Whose turn it is to be asked: calendars, shifts, exceptions, and what the pager says.
//!
//! Pure: the settings and a time in, names out. A name here gives no right to decide; [`who`](super::who) says who
//! has that. Names are those of `[people]`.

mod hours;
mod options;
mod roster;
#[cfg(test)]
mod tests;
mod zone;

use chrono::TimeDelta;
use jiff::ToSpan as _;
use jiff::civil::{Date, Time as Wall};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::approval::Tier;
use crate::model::oncall::Level;
use crate::model::time::{Span, Time};
use hours::Window;
use zone::Zone;

use options::Answer;
pub(crate) use options::Options;
pub(crate) use roster::{Heard, Roster, Source};

/// The built-in rota.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rota {
    shifts: Vec<Shift>,
    overrides: Vec<Override>,
    answer: Answer,
}

/// Clocks and working hours of a place.
#[derive(Debug, PartialEq)]
struct Calendar {
    zone: Zone,
    working: Vec<Window>,
}

#[derive(Debug, Clone, PartialEq)]
struct Shift {
    level: Level,
    calendar: Arc<Calendar>,
    people: Vec<String>,
    /// None: always the first of them.
    turns: Option<Turns>,
    /// Empty: day and night.
    hours: Vec<Window>,
}

/// When the next one's turn begins.
#[derive(Debug, Clone, PartialEq)]
struct Turns {
    since: Date,
    days: i32,
    at: Wall,
}

#[derive(Debug, Clone, PartialEq)]
struct Override {
    level: Level,
    calendar: Arc<Calendar>,
    person: String,
    from: Time,
    until: Time,
}

/// A time in which the same people are on call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) level: Level,
    /// None: a gap.
    pub(crate) people: Vec<String>,
    pub(crate) from: Time,
    pub(crate) until: Time,
    /// The zones whose calendars say so.
    pub(crate) zones: BTreeSet<String>,
}

impl Turns {
    fn begins(&self, zone: &Zone, turn: i32) -> Option<Time> {
        let day = self.since.checked_add((turn.checked_mul(self.days)?).days()).ok()?;
        Some(zone.instant(day, self.at))
    }

    /// Which turn it is; none before the first.
    fn turn(&self, zone: &Zone, at: Time) -> Option<i32> {
        let days = zone.date(at).duration_since(self.since).as_hours() / 24;
        let near = i32::try_from(days).ok()?.div_euclid(self.days);
        // By the date alone it may be one off: turns do not change at midnight.
        let began = |turn: &i32| self.begins(zone, *turn).is_some_and(|begins| begins <= at);
        [near + 1, near, near - 1].into_iter().find(began).filter(|turn| *turn >= 0)
    }
}

impl Shift {
    fn on(&self, at: Time) -> Option<&str> {
        let zone = &self.calendar.zone;
        if !self.hours.is_empty() && !self.hours.iter().any(|window| window.holds(zone, at)) {
            return None;
        }
        let place = match &self.turns {
            None => 0,
            Some(turns) => usize::try_from(turns.turn(zone, at)?).ok()? % self.people.len().max(1),
        };
        self.people.get(place).map(String::as_str)
    }

    /// Instants at which it may be somebody else's turn.
    fn edges(&self, from: Time, until: Time, edges: &mut BTreeSet<Time>) {
        let zone = &self.calendar.zone;
        if let Some(turns) = &self.turns {
            let mut turn = turns.turn(zone, from).unwrap_or(-1).max(-1) + 1;
            while let Some(begins) = turns.begins(zone, turn).filter(|begins| *begins < until) {
                edges.insert(begins);
                turn += 1;
            }
        }
        let mut day = zone.date(from - TimeDelta::days(1));
        let last = zone.date(until);
        while day <= last && !self.hours.is_empty() {
            for (begins, ends) in self.hours.iter().filter_map(|window| window.on(zone, day)) {
                edges.extend([begins, ends]);
            }
            let Ok(next) = day.checked_add(1.day()) else { break };
            day = next;
        }
    }
}

impl Rota {
    /// The levels that have shifts, lowest first.
    pub(crate) fn levels(&self) -> Vec<Level> {
        let used = |level: &Level| {
            self.shifts.iter().any(|s| s.level == *level)
                || self.overrides.iter().any(|o| o.level == *level)
        };
        Level::ALL.into_iter().filter(used).collect()
    }

    /// Whose turn a level is at an instant, each named once.
    pub(crate) fn on(&self, level: Level, at: Time) -> Vec<&str> {
        let mut people: Vec<&str> = Vec::new();
        for (person, _) in self.turns(level, at) {
            if !people.contains(&person) {
                people.push(person);
            }
        }
        people
    }

    fn turns(&self, level: Level, at: Time) -> Vec<(&str, &Calendar)> {
        let instead: Vec<(&str, &Calendar)> = self
            .overrides
            .iter()
            .filter(|one| one.level == level && one.from <= at && at < one.until)
            .map(|one| (one.person.as_str(), &*one.calendar))
            .collect();
        if !instead.is_empty() {
            return instead;
        }
        let shifts = self.shifts.iter().filter(|shift| shift.level == level);
        shifts.filter_map(|shift| Some((shift.on(at)?, &*shift.calendar))).collect()
    }

    /// How long people have to answer, where the calendar of whoever's turn it is has working hours.
    pub(crate) fn time_to_answer(&self, tier: Tier, at: Time) -> Option<Span> {
        let on_duty = Level::ALL.into_iter().map(|level| self.turns(level, at));
        let turns = on_duty.into_iter().find(|turns| !turns.is_empty())?;
        let mut known = turns.iter().filter(|(_, c)| !c.working.is_empty()).peekable();
        known.peek()?;
        let works = known.any(|(_, c)| c.working.iter().any(|w| w.holds(&c.zone, at)));
        let within = self.answer.of(tier);
        Some(if works { within.working } else { within.off })
    }

    /// Who is on call from one instant to another, level by level, gaps included.
    pub(crate) fn stretches(&self, from: Time, until: Time) -> Vec<Stretch> {
        let mut found = Vec::new();
        for level in self.levels() {
            let mut edges = BTreeSet::from([from]);
            for shift in self.shifts.iter().filter(|shift| shift.level == level) {
                shift.edges(from, until, &mut edges);
            }
            for one in self.overrides.iter().filter(|one| one.level == level) {
                edges.extend([one.from, one.until]);
            }
            let edges: Vec<Time> =
                edges.into_iter().filter(|at| *at >= from && *at < until).collect();
            let first = found.len();
            for (n, begins) in edges.iter().enumerate() {
                let ends = edges.get(n + 1).copied().unwrap_or(until);
                let turns = self.turns(level, *begins);
                let zones = turns.iter().map(|(_, c)| c.zone.name().to_owned()).collect();
                let people: Vec<String> =
                    self.on(level, *begins).into_iter().map(str::to_owned).collect();
                match found[first..].last_mut() {
                    Some(last @ Stretch { .. }) if last.people == people => last.until = ends,
                    _ => found.push(Stretch { level, people, from: *begins, until: ends, zones }),
                }
            }
        }
        found
    }
}
