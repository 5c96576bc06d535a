//! What other thresholds would have made of a file: how many prompts, in what time, and how many
//! incidents that opens; beside the truth, where it is known, what is caught and how often the wolf is cried.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::backtest::{Bench, IncidentLine};
use super::rules::{Rule, Rules};
use super::traits::Trait;
use crate::intake::Parsed;
use crate::model::incident::Stage;
use crate::model::time::{Span, Time};

/// Thresholds that are tried: failed prompts, and minutes.
const FAILED: [usize; 8] = [2, 3, 4, 5, 6, 8, 10, 15];
const MINUTES: [i64; 4] = [5, 10, 30, 60];

/// A known attack: whom, and from when to when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attack {
    pub(crate) subject: String,
    pub(crate) first: String,
    pub(crate) last: String,
}

/// What one threshold makes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Point {
    pub(crate) failed: usize,
    pub(crate) minutes: i64,
    pub(crate) incidents: usize,
    pub(crate) people: usize,
    /// Known attacks that one of them is about; nothing where no truth is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) caught: Option<usize>,
    /// Incidents that are about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cried_wolf: Option<usize>,
}

/// Tries every threshold on what was read. A truth that cannot be is an error.
pub(crate) fn sweep(
    mut parsed: Parsed,
    truth: Option<&[Attack]>,
) -> Result<Vec<Point>, SweepError> {
    parsed.sort_by_time();
    let truth = truth.map(|attacks| attacks.iter().map(known).collect::<Result<Vec<_>, _>>());
    let truth = truth.transpose()?;
    let tried = MINUTES.iter().flat_map(|minutes| FAILED.map(|failed| (failed, *minutes)));
    let points = tried.map(|(failed, minutes)| {
        let mut bench = Bench::under(rules(failed, Span::minutes(minutes)));
        for record in &parsed.records {
            bench.take(record);
        }
        point(failed, minutes, &bench.incidents(), truth.as_deref())
    });
    Ok(points.collect())
}

/// Why a sweep could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error("`{0}` in the truth is no time: write it like `2026-05-05T10:15:30Z`")]
    NoTime(String),
    #[error("the attack on `{0}` in the truth ends before it begins")]
    Backwards(String),
}

/// One detection and nothing else.
fn rules(failed: usize, within: Span) -> Rules {
    let rule = Rule {
        name: "swept".to_owned(),
        stage: Stage::Noted,
        uses: Vec::new(),
        failed,
        within,
        sources: 1,
        pause: within.max(super::episode::GAP),
        of: vec![Trait::Elsewhere],
        any: Vec::new(),
        all: Vec::new(),
        none: Vec::new(),
        weights: Vec::new(),
        score: 0,
        classes: Vec::new(),
        except: Vec::new(),
    };
    Rules { rules: vec![rule], classes: Vec::new(), campaigns: Vec::new() }
}

struct Known {
    subject: String,
    first: Time,
    last: Time,
}

fn known(attack: &Attack) -> Result<Known, SweepError> {
    let time = |text: &str| {
        let read = DateTime::parse_from_rfc3339(text.trim());
        read.map(|at| at.to_utc()).map_err(|_| SweepError::NoTime(text.chars().take(40).collect()))
    };
    let subject = attack.subject.trim().to_lowercase();
    let (first, last) = (time(&attack.first)?, time(&attack.last)?);
    if last < first {
        return Err(SweepError::Backwards(subject.chars().take(80).collect()));
    }
    Ok(Known { subject, first, last })
}

fn point(
    failed: usize,
    minutes: i64,
    incidents: &[IncidentLine],
    truth: Option<&[Known]>,
) -> Point {
    let mut people: Vec<&str> = incidents.iter().map(|i| i.subject.as_str()).collect();
    people.sort_unstable();
    people.dedup();
    let is_about = |incident: &&IncidentLine, attack: &Known| {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).ok();
        incident.subject.to_lowercase() == attack.subject
            && at(&incident.first).is_some_and(|first| first <= attack.last)
            && at(&incident.last).is_some_and(|last| last >= attack.first)
    };
    let caught = |attacks: &[Known]| {
        attacks.iter().filter(|a| incidents.iter().any(|i| is_about(&i, a))).count()
    };
    let wolf = |attacks: &[Known]| {
        incidents.iter().filter(|i| !attacks.iter().any(|a| is_about(i, a))).count()
    };
    Point {
        failed,
        minutes,
        incidents: incidents.len(),
        people: people.len(),
        caught: truth.map(caught),
        cried_wolf: truth.map(wolf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Kind, parse_file};
    use serde_json::json;

    /// One attacked, one with a mishap; nobody has a history.
    fn body() -> Vec<u8> {
        let prompt = |who: &str, minute: i64| {
            json!({"id": format!("{who}{minute}"), "kind": "prompt", "outcome": "denied",
                "account": who, "time": format!("2026-05-05T10:{minute:02}:00Z"), "ip": "203.0.113.9"})
        };
        let attacked = (0..8).map(|minute| prompt("ana@example.com", minute));
        let mishap = (20..23).map(|minute| prompt("bo@example.com", minute));
        serde_json::to_vec(&attacked.chain(mishap).collect::<Vec<_>>()).unwrap()
    }

    fn read() -> Parsed {
        parse_file(Kind::Events, &body(), Time::MAX_UTC).unwrap()
    }

    #[test]
    fn a_sweep_says_what_each_threshold_catches_and_how_often_it_cries_wolf() {
        let attack = Attack {
            subject: "Ana@example.com".into(),
            first: "2026-05-05T10:00:00Z".into(),
            last: "2026-05-05T10:07:00Z".into(),
        };

        let points = sweep(read(), Some(&[attack])).unwrap();

        let at = |failed: usize| {
            let found = points.iter().find(|p| p.failed == failed && p.minutes == 10).unwrap();
            (found.caught, found.cried_wolf)
        };
        assert_eq!(at(3), (Some(1), Some(1)));
        assert_eq!(at(5), (Some(1), Some(0)));
        assert_eq!(at(10), (Some(0), Some(0)));
        assert_eq!(points.len(), FAILED.len() * MINUTES.len());
    }

    #[test]
    fn a_truth_without_a_time_is_named() {
        let attack =
            Attack { subject: "ana".into(), first: "yesterday".into(), last: String::new() };

        let error = sweep(read(), Some(&[attack])).unwrap_err();

        assert!(error.to_string().starts_with("`yesterday` in the truth is no time"), "{error}");
        let (first, last) = ("2026-05-06T10:15:30Z".into(), "2026-05-05T10:15:30Z".into());
        let backwards = Attack { subject: "ana".into(), first, last };
        assert!(matches!(sweep(read(), Some(&[backwards])), Err(SweepError::Backwards(_))));
    }
}
