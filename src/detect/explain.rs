//! One person's day, as the detections saw it: what came in, what was said of it, and for each episode which
//! detections fired and what the others lacked.

use chrono::NaiveDate;
use serde::Serialize;

use super::assess::{Missing, missing};
use super::episode::{self, Episode};
use super::rules::{Rule, Rules};
use super::{About, Detector, Signal, Window};
use crate::intake::{Format, Problem, Record, parse_file};
use crate::model::event::{AccountName, Event};
use crate::model::incident::Stage;
use crate::model::time::{Time, rfc3339};

/// A day, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Explained {
    pub(crate) lines: Vec<Line>,
    pub(crate) episodes: Vec<EpisodeView>,
}

/// One event of the day, and what it made the detections say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) at: String,
    pub(crate) what: String,
    pub(crate) from: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) said: Vec<String>,
}

/// A chain of failed prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EpisodeView {
    pub(crate) first: String,
    pub(crate) last: String,
    /// Prompts that count: copies and reconnects do not.
    pub(crate) counted: usize,
    pub(crate) rules: Vec<Verdict>,
}

/// What became of one detection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) rule: String,
    pub(crate) stage: Stage,
    pub(crate) fires: bool,
    /// What it lacked.
    pub(crate) why: String,
}

/// Explains `person`'s `day` in a file; without a day, everything in it. Contexts are learned from what is
/// before the day.
pub(crate) fn explain(
    format: impl Into<Format>,
    bytes: &[u8],
    rules: &Rules,
    person: &str,
    day: Option<NaiveDate>,
) -> Result<Explained, Problem> {
    let mut parsed = parse_file(format, bytes, Time::MAX_UTC)?;
    parsed.sort_by_time();
    let mut detector = Detector::default().under(rules.clone());
    let (mut lines, mut last) = (Vec::new(), None);
    for record in &parsed.records {
        let (account, at) = (record.account(), record.time());
        if day.is_some_and(|day| at.date_naive() > day) {
            continue;
        }
        let of_day = day.is_none_or(|day| at.date_naive() == day);
        if !is(account, person) {
            lines.extend(elsewhere(&mut detector, record, person).filter(|_| of_day));
            continue;
        }
        let about = About { privileged: false, open: None, now: at, ..About::default() };
        let signals = match record {
            Record::Event(event) => detector.observe(person, event, &about),
            Record::Report(report) => detector.observe_report(person, report, &about),
            Record::Alert(alert) => detector.observe_alert(person, alert, &about),
        };
        last = Some(at);
        if of_day {
            lines.push(line(record, signals.iter().map(said).collect()));
        }
    }
    let window = detector.subjects.get(person);
    let about =
        About { privileged: false, open: None, now: last.unwrap_or_default(), ..About::default() };
    let all = rules.of(person, &about);
    let mine: Vec<&Rule> = all.filter(|rule| rule.uses.is_empty()).collect();
    let episodes = window.map(|window| {
        let all = episode::episodes(window, episode::GAP, &[]).into_iter();
        let of_day = all.filter(|e| day.is_none_or(|day| e.last.date_naive() == day));
        of_day.map(|episode| view(window, &episode, &mine, &about)).collect()
    });
    Ok(Explained { lines, episodes: episodes.unwrap_or_default() })
}

fn said(signal: &Signal) -> String {
    format!("{}: {} ({})", signal.stage.name(), signal.reason, signal.rule)
}

/// What happened to somebody else, if it means something for this person.
fn elsewhere(detector: &mut Detector, record: &Record, person: &str) -> Option<Line> {
    let Record::Event(event) = record else { return None };
    let account = &event.account;
    let other = account.login.as_ref().or(account.provider_id.as_ref())?;
    let about = About { now: event.time, ..About::default() };
    drop(detector.observe(other, event, &about));
    if !detector.stirred().iter().any(|stirred| stirred.key == person) {
        return None;
    }
    let signals = detector.look_again(person, &about);
    let what = "others were tried from the same source".to_owned();
    let (at, said) = (rfc3339(event.time), signals.iter().map(said).collect());
    Some(Line { at, what, from: from(event), said })
}

fn is(account: &AccountName, person: &str) -> bool {
    let same =
        |name: &Option<String>| name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(person));
    same(&account.login) || same(&account.provider_id)
}

fn line(record: &Record, said: Vec<String>) -> Line {
    let (what, from) = match record {
        Record::Event(event) => (event.words(), from(event)),
        Record::Alert(alert) => (format!("alert: {}", alert.reason), String::new()),
        Record::Report(_) => ("report".to_owned(), String::new()),
    };
    Line { at: rfc3339(record.time()), what, from, said }
}

fn from(event: &Event) -> String {
    let place = event.place.as_ref();
    let parts = [
        event.ip.map(|ip| ip.to_string()),
        event.asn.map(|asn| format!("AS{asn}")),
        place.and_then(|p| p.country.clone()),
        event.device.clone(),
        event.app.clone(),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn view(window: &Window, episode: &Episode<'_>, rules: &[&Rule], about: &About<'_>) -> EpisodeView {
    let told = window.is_marked(episode.first, episode.last);
    let verdict = |rule: &&Rule| {
        let lacks = missing(window, episode, rule, about, told);
        let why = lacks.map(|lacks| lacks.to_string()).unwrap_or_default();
        Verdict { rule: rule.name.clone(), stage: rule.stage, fires: lacks.is_none(), why }
    };
    EpisodeView {
        first: rfc3339(episode.first),
        last: rfc3339(episode.last),
        counted: episode.counted.len(),
        rules: rules.iter().map(verdict).collect(),
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Prompts { most, needed } => {
                write!(f, "{most} failed prompts in its time that are of its kind, of {needed}")
            }
            Self::Addresses { most, needed } => {
                write!(f, "{most} different addresses in its time, of {needed}")
            }
            Self::Trait(one) => write!(f, "not `{}`", one.name()),
            Self::Barred(one) => write!(f, "`{}`, which rules it out", one.name()),
            Self::AnyOf => f.write_str("none of its `any`"),
            Self::Points { has, needed } => write!(f, "{has} points of {needed}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::Kind;
    use serde_json::json;

    #[test]
    fn a_day_says_when_others_made_it_a_campaign() {
        let prompt = |n: u32| {
            json!({"id": format!("{n}"), "kind": "prompt", "outcome": "denied",
                "account": format!("p{}@example.com", n / 3),
                "time": format!("2026-05-05T10:{:02}:00Z", n), "ip": "203.0.113.9"})
        };
        let body = serde_json::to_vec(&(0..12).map(prompt).collect::<Vec<_>>()).unwrap();

        let told = explain(Kind::Events, &body, &Rules::default(), "p0@example.com", None).unwrap();

        let last = told.lines.last().unwrap();
        assert_eq!(
            (told.lines.len(), last.what.as_str()),
            (4, "others were tried from the same source")
        );
        assert!(last.said[0].starts_with("suspected: 3 failed prompts"), "{last:?}");
    }

    #[test]
    fn a_day_says_what_fired_and_what_the_others_lacked() {
        let prompt = |day: u32, minute: u32| {
            json!({"id": format!("{day}-{minute}"), "kind": "prompt", "outcome": "denied",
                "account": "ana@example.com", "time": format!("2026-05-{day:02}T10:{minute:02}:00Z"), "ip": "203.0.113.9"})
        };
        let body: Vec<_> = (0..3).map(|m| prompt(5, m)).chain([prompt(6, 0)]).collect();
        let body = serde_json::to_vec(&body).unwrap();
        let day = NaiveDate::from_ymd_opt(2026, 5, 5);

        let told = explain(Kind::Events, &body, &Rules::default(), "Ana@example.com", day).unwrap();

        assert_eq!(told.lines.len(), 3);
        assert!(told.lines[2].said[0].starts_with("noted: 3 failed prompts"), "{told:?}");
        let [episode] = told.episodes.as_slice() else { panic!("{told:?}") };
        let of = |name: &str| episode.rules.iter().find(|rule| rule.rule == name).unwrap();
        assert!(of("push-burst").fires);
        assert_eq!(
            of("push-burst-from-new-context").why,
            "3 failed prompts in its time that are of its kind, of 5"
        );
        assert_eq!(of("burst-and-report").why, "not `reported`");
    }
}
