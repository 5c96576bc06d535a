//! Events in, signals out: windows and sequences for each subject.
//!
//! Pure: no I/O, and the time is handed in. The same event counts once however often it is
//! delivered, in whatever order; windows are bounded, and filled again from the evidence log. What a signal leads to is the caller's decision.
//!
//! A signal is given when the evidence supports more than was said before: a new episode, a
//! higher stage, an approval seen, a newer entry. Equal or weaker evidence stays silent.
//!
//! How many failed prompts support which stage is data: [`Rules`], from `playbooks/detections`.
//!
//! May use `model`, the YAML reader of `playbook` with `diagnostic`, and, for [`backtest()`],
//! `intake`. Knows no store and no HTTP.

mod across;
mod assess;
mod backtest;
mod campaign;
mod episode;
mod explain;
mod habits;
mod rules;
mod signal;
mod sweep;
mod traits;
mod watch;
mod window;
mod written;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::alert::{Alert, AlertKind, Proof, Report};
use crate::model::event::Event;
use crate::model::time::{Span, Time};

pub(crate) use across::Stirred;
use assess::Finding;
pub(crate) use backtest::{LATER, backtest, judge};
use campaign::Campaigns;
use episode::Episode;
pub(crate) use explain::{Explained, explain};
use rules::Rule;
pub(crate) use rules::Rules;
pub(crate) use signal::{About, Open, Signal, Told};
pub(crate) use sweep::{Attack, Point, sweep};
pub(crate) use window::AFTERMATH;
use window::{Added, Mark, Raised, Window};
pub(crate) use written::{is_detection, read};

/// Subjects that are kept in memory at most; the longest idle ones go first.
const SUBJECTS_MAX: usize = 50_000;
/// Events that are kept of all of them together, at some 600 bytes each.
const EVENTS_MAX: usize = 250_000;
/// How far ahead an event's time may be.
const AHEAD: Span = Span::minutes(5);

/// The windows of all subjects.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Detector {
    subjects: BTreeMap<String, Window>,
    /// Events of all windows, as of each one's last use.
    #[serde(default)]
    events: usize,
    #[serde(default)]
    campaigns: Campaigns,
    /// People whose evidence means more since somebody else's came in.
    #[serde(skip)]
    stirred: BTreeSet<String>,
    #[serde(skip, default = "rules::shipped_rules")]
    rules: Arc<Rules>,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            subjects: BTreeMap::new(),
            events: 0,
            campaigns: Campaigns::default(),
            stirred: BTreeSet::new(),
            rules: rules::shipped_rules(),
        }
    }
}

impl Detector {
    /// The same windows, judged by other detections from here on.
    #[must_use]
    pub(crate) fn under(mut self, rules: Rules) -> Self {
        self.rules = Arc::new(rules);
        self
    }

    /// Takes one event of the subject `key` in, and says what it now supports. Afterwards [`Self::stirred`] says for
    /// whom else it may mean something.
    pub(crate) fn observe(&mut self, key: &str, event: &Event, about: &About<'_>) -> Vec<Signal> {
        if event.time.signed_duration_since(about.now) > AHEAD.delta() {
            return Vec::new();
        }
        let rules = Arc::clone(&self.rules);
        let window = self.window(key, about.now);
        let added = window.add(event, about);
        if added == Added::Before {
            return Vec::new();
        }
        self.across(key, event, added, about);
        let Some(window) = self.subjects.get_mut(key) else { return Vec::new() };
        let mut signals = watch::in_open_incident(window, event, about);
        let episodes = around(key, &rules, window, Some(event.time), about);
        if episodes.iter().any(|signal| signal.hostile_entry_at == Some(event.time)) {
            // Said once, with the failed prompts that it belongs to.
            signals.retain(|signal| signal.hostile_entry_at.is_none());
        }
        signals.extend(episodes);
        signals.extend(used(key, &rules, window, event, about));
        signals.extend(watch::changes(window, about));
        signals
    }

    /// What is known of a subject that belongs to the story of an incident which begins at `first`.
    pub(crate) fn story(&self, key: &str, first: Time) -> Vec<Event> {
        let events = self.subjects.get(key).into_iter().flat_map(Window::events);
        events.filter(|event| belongs(event, first)).cloned().collect()
    }

    /// Episodes of a subject that were spoken of.
    fn raised(&self, key: &str) -> &[Raised] {
        self.subjects.get(key).map(Window::raised).unwrap_or_default()
    }

    /// Takes a report in. Only one that proves itself counts, alone or beside failed prompts.
    pub(crate) fn observe_report(
        &mut self,
        key: &str,
        report: &Report,
        about: &About<'_>,
    ) -> Vec<Signal> {
        if report.proof != Proof::SelfProved {
            return Vec::new();
        }
        let rules = Arc::clone(&self.rules);
        let window = self.window(key, about.now);
        let mark = Mark { id: report.id.to_string(), time: report.time, seen_at: about.now };
        if !window.mark(mark) {
            return Vec::new();
        }
        let signals = around(key, &rules, window, Some(report.time), about);
        if signals.is_empty() && !window.is_raised_near(report.time) {
            let alone = assess::report_alone(report.time);
            return window.raise(&alone, about).then(|| alone.signal(about)).into_iter().collect();
        }
        signals
    }

    /// Takes in what a provider or a detector asserts; gives a signal only if the failed
    /// prompts beside it support more than the alert does by itself.
    pub(crate) fn observe_alert(
        &mut self,
        key: &str,
        alert: &Alert,
        about: &About<'_>,
    ) -> Vec<Signal> {
        if alert.kind != AlertKind::MfaFraudReported {
            return Vec::new();
        }
        let rules = Arc::clone(&self.rules);
        let window = self.window(key, about.now);
        let mark = Mark { id: alert.id.to_string(), time: alert.time, seen_at: about.now };
        if !window.mark(mark) {
            return Vec::new();
        }
        let mut signals = around(key, &rules, window, Some(alert.time), about);
        signals.retain(|signal| signal.stage > alert.stage);
        signals
    }

    fn window(&mut self, key: &str, now: Time) -> &mut Window {
        let comes_anew = !self.subjects.contains_key(key);
        if self.subjects.len() >= SUBJECTS_MAX && comes_anew || self.events >= EVENTS_MAX {
            self.make_room();
        }
        let window = self.subjects.entry(key.to_owned()).or_default();
        self.events -= window.counted;
        window.prune(now);
        self.events += window.counted;
        window
    }

    /// Drops the tenth that has been idle longest; a subject under attack is kept before others.
    fn make_room(&mut self) {
        let mut idle: Vec<_> = self
            .subjects
            .iter()
            .map(|(key, window)| (window.is_raised(), window.touched(), key.clone()))
            .collect();
        idle.sort();
        let goes = (self.subjects.len() / 10).max(1);
        for (_, _, key) in idle.into_iter().take(goes) {
            let gone = self.subjects.remove(&key);
            self.events -= gone.map_or(0, |window| window.counted);
        }
    }
}

/// Whether an event belongs to the story of an incident that begins at `first`, even if it raises nothing.
pub(crate) fn belongs(event: &Event, first: Time) -> bool {
    let within = event.kind.is_watched() || event.is_approved_prompt();
    event.is_failed_prompt() && event.time >= first - AFTERMATH.delta()
        || within && event.time >= first
}

/// Looks again at every episode that something at `time` may have changed; without a time at all of them.
fn around(
    key: &str,
    rules: &Rules,
    window: &mut Window,
    time: Option<Time>,
    about: &About<'_>,
) -> Vec<Signal> {
    let is_near = |episode: &Episode<'_>| time.is_none_or(|time| episode.is_near(time));
    if !window.has_failed() {
        return Vec::new();
    }
    let mine: Vec<&Rule> = rules.of(key, about).filter(|rule| rule.uses.is_empty()).collect();
    let view: &Window = window;
    let bursts = episode::episodes(view, episode::GAP, &[]);
    let found: Vec<_> = bursts
        .iter()
        .filter_map(|burst| assess::assess(view, burst, &mine, about).map(|found| (burst, found)))
        .collect();
    let mut slow = Vec::new();
    for rule in mine.iter().filter(|rule| rule.pause > episode::GAP) {
        for chain in episode::episodes(view, rule.pause, &rule.of) {
            // What a burst in it says is said of the burst.
            let says = |(burst, finding): &(&Episode<'_>, Finding)| {
                burst.overlaps(&chain) && finding.stage >= rule.stage
            };
            if !found.iter().any(says) && is_near(&chain) {
                slow.extend(assess::assess(view, &chain, &[*rule], about));
            }
        }
    }
    let near = found.into_iter().filter(|(burst, _)| is_near(burst));
    let findings: Vec<_> = near.map(|(_, finding)| finding).collect();
    let mut signals = Vec::new();
    for finding in findings.into_iter().chain(slow) {
        if window.raise(&finding, about) {
            signals.push(finding.signal(about));
        }
    }
    signals
}

/// What is odd by being used at all: a workload that is asked for a second factor, an account for emergencies.
fn used(
    key: &str,
    rules: &Rules,
    window: &mut Window,
    event: &Event,
    about: &About<'_>,
) -> Option<Signal> {
    let mine = rules.of(key, about).filter(|rule| rule.uses.contains(&event.kind));
    // Of equal ones the first, by name.
    let rule = mine.reduce(|best, rule| if rule.stage > best.stage { rule } else { best })?;
    let finding = assess::use_alone(rule, event);
    window.raise(&finding, about).then(|| finding.signal(about))
}

/// Path and text of the detections that come with Quell.
pub(crate) fn shipped() -> Vec<(String, String)> {
    SHIPPED.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

macro_rules! shipped {
    ($($name:literal)*) => {
        const SHIPPED: &[(&str, &str)] = &[$((
            concat!("playbooks/detections/", $name, ".yaml"),
            include_str!(concat!("../playbooks/detections/", $name, ".yaml")),
        )),*];
    };
}

shipped! {
    "break-glass-used" "burst-and-report" "campaign-many-sources" "campaign-one-device" "campaign-one-source"
    "campaign-password-spray" "campaign-prompts" "campaign-prompts-few" "campaign-rotating-addresses" "class-break-glass"
    "class-contractors" "class-guests" "class-service-desk" "class-shift-workers" "class-workloads"
    "contractor-at-odd-hours" "denials-and-report" "fraud-reported" "guest-burst" "push-burst"
    "push-burst-at-privileged-person" "push-burst-from-new-context" "push-burst-of-own-device" "scored" "scored-service-desk" "scored-shift-workers"
    "service-desk-burst" "slow-drip" "workload-prompted"
}

#[cfg(test)]
mod class_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;
