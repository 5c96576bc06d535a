//! How long containment took, as a drawing: the last contained incidents, oldest first, on a logarithmic
//! scale with both medians. The table beside it says the same.

use chrono::TimeDelta;

use super::ConsoleState;
use super::show::{At, lasted};
use crate::engine::ports::StoreError;
use crate::engine::state::State as Facts;
use crate::model::approval::{ApprovalState, Asks};
use crate::model::incident::Incident;
use crate::model::text::tame_field;
use crate::model::time::Time;

/// Incidents that are drawn.
const MOST: usize = 30;
/// The drawing's edges, in its own units.
const LEFT: f64 = 70.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 206.0;
/// What one incident takes across: not less than a finger's width.
const STEP: f64 = 26.0;
/// Not narrower, however few there are.
const NARROW: f64 = 420.0;
/// Lines across, in seconds.
const LINES: [(f64, &str); 10] = [
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3_600.0, "1 h"),
    (14_400.0, "4 h"),
    (86_400.0, "1 d"),
    (604_800.0, "7 d"),
    (2_592_000.0, "30 d"),
    (31_536_000.0, "1 y"),
];

/// One contained incident.
struct Case {
    id: String,
    whom: String,
    contained: Time,
    since_prompt: TimeDelta,
    since_approval: Option<TimeDelta>,
    again: Again,
}

/// What came of an incident after it was contained for the first time.
enum Again {
    Never,
    /// Evidence opened it again, and it is not contained now.
    Open,
    Contained(TimeDelta),
}

impl Again {
    fn of(incident: &Incident) -> Self {
        match (incident.reopened_at, incident.contained_at) {
            (None, _) => Self::Never,
            (Some(_), None) => Self::Open,
            (Some(from), Some(at)) => Self::Contained(at - from),
        }
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Never => None,
            Self::Open => Some("not yet".to_owned()),
            Self::Contained(took) => Some(lasted(*took)),
        }
    }
}

/// One incident's column.
pub(super) struct Column {
    pub(super) x: f64,
    pub(super) id: String,
    pub(super) label: String,
    pub(super) prompt: f64,
    pub(super) approval: Option<f64>,
}

/// One line of the table, newest first.
pub(super) struct SpeedRow {
    pub(super) id: String,
    pub(super) whom: String,
    pub(super) at: At,
    pub(super) since_prompt: String,
    pub(super) since_approval: Option<String>,
    /// From what opened it again to its containment, if anything did.
    pub(super) again: Option<String>,
}

/// What the template draws.
pub(super) struct Speed {
    pub(super) wide: f64,
    /// What one column takes.
    pub(super) step: f64,
    pub(super) columns: Vec<Column>,
    pub(super) lines: Vec<(f64, &'static str)>,
    /// Where each median lies, and what it is.
    pub(super) prompt: (f64, String),
    pub(super) approval: Option<(f64, String)>,
    pub(super) rows: Vec<SpeedRow>,
    pub(super) summary: String,
}

/// The newest contained incidents; nothing where there is none.
pub(super) async fn speed(state: &ConsoleState) -> Result<Option<Speed>, StoreError> {
    let contained = |i: &Incident| i.first_contained_at.is_some();
    let listed = state.engine.list::<Incident>(None, MOST, contained).await?.ids;
    let cases = state.engine.read(|core| {
        let incidents = listed.iter().filter_map(|id| core.state.incidents.get(id));
        incidents.filter_map(|incident| case(&core.state, incident)).collect()
    });
    Ok(draw(cases))
}

fn case(state: &Facts, incident: &Incident) -> Option<Case> {
    let contained = incident.first_contained_at?;
    let subject = state.subject(incident.subject);
    let asked = state.runs_of(incident.id).flat_map(|run| &run.asked);
    let questions = asked.filter_map(|id| state.approvals.get(id));
    let yes = questions.filter(|q| q.state == ApprovalState::Approved && q.asks == Asks::Contain);
    let mut decided: Vec<Time> = yes.filter_map(|q| q.decided_at).collect();
    decided.sort_unstable();
    let first = decided.first().filter(|at| **at <= contained).map(|at| contained - at);
    // Nothing was asked before the first containment: what was decided since it was opened again.
    let again = incident.reopened_at.zip(incident.contained_at).and_then(|(from, done)| {
        decided.iter().find(|at| (from..=done).contains(*at)).map(|at| done - at)
    });
    Some(Case {
        id: incident.id.to_string(),
        whom: subject.map_or_else(|| "somebody".to_owned(), |s| tame_field(&s.name)),
        contained,
        since_prompt: contained - incident.first_event_at,
        since_approval: first.or(again),
        again: Again::of(incident),
    })
}

fn draw(mut cases: Vec<Case>) -> Option<Speed> {
    cases.sort_by_key(|case| case.contained);
    let prompts: Vec<TimeDelta> = cases.iter().map(|case| case.since_prompt).collect();
    let approvals: Vec<TimeDelta> = cases.iter().filter_map(|case| case.since_approval).collect();
    let longest = *prompts.iter().chain(&approvals).max()?;
    let scale = Scale::up_to(longest);
    let median_prompt = median(prompts)?;
    let median_approval = median(approvals);
    let mut x = LEFT + STEP;
    let mut columns = Vec::with_capacity(cases.len());
    for case in &cases {
        columns.push(Column {
            x,
            id: case.id.clone(),
            label: label(case),
            prompt: scale.y(case.since_prompt),
            approval: case.since_approval.map(|took| scale.y(took)),
        });
        x += STEP;
    }
    Some(Speed {
        wide: (x + STEP).max(NARROW),
        step: STEP,
        columns,
        lines: scale.lines(),
        summary: summary(cases.len(), median_prompt, median_approval),
        prompt: (scale.y(median_prompt), lasted(median_prompt)),
        approval: median_approval.map(|took| (scale.y(took), lasted(took))),
        rows: cases.into_iter().rev().map(row).collect(),
    })
}

fn label(case: &Case) -> String {
    let prompt = lasted(case.since_prompt);
    match case.since_approval {
        Some(took) => format!("{}: {prompt}, {} since approval", case.whom, lasted(took)),
        None => format!("{}: {prompt}", case.whom),
    }
}

fn summary(count: usize, prompt: TimeDelta, approval: Option<TimeDelta>) -> String {
    let of = match count {
        1 => "The last contained incident".to_owned(),
        n => format!("The last {n} contained incidents, median"),
    };
    let approval =
        approval.map_or_else(String::new, |took| format!(", {} since approval", lasted(took)));
    format!("{of}: {} since the first hostile prompt{approval}", lasted(prompt))
}

fn row(case: Case) -> SpeedRow {
    SpeedRow {
        id: case.id,
        whom: case.whom,
        at: At(case.contained),
        since_prompt: lasted(case.since_prompt),
        since_approval: case.since_approval.map(lasted),
        again: case.again.text(),
    }
}

/// The lower of the two in the middle: a time that was really taken.
fn median(mut times: Vec<TimeDelta>) -> Option<TimeDelta> {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied()
}

/// From one second at the bottom to the first line above the longest.
struct Scale {
    top: f64,
}

impl Scale {
    fn up_to(longest: TimeDelta) -> Self {
        let longest = seconds(longest);
        let top = LINES.iter().map(|(line, _)| *line).find(|line| *line >= longest);
        Self { top: top.unwrap_or(longest).max(60.0) }
    }

    fn y(&self, took: TimeDelta) -> f64 {
        self.at(seconds(took))
    }

    fn at(&self, seconds: f64) -> f64 {
        let part = seconds.clamp(1.0, self.top).ln() / self.top.ln();
        (BOTTOM - part * (BOTTOM - TOP)).round()
    }

    fn lines(&self) -> Vec<(f64, &'static str)> {
        let within = LINES.iter().filter(|(line, _)| *line <= self.top);
        within.map(|(line, name)| (self.at(*line), *name)).collect()
    }
}

fn seconds(delta: TimeDelta) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a drawing is no finer than a pixel")]
    let millis = delta.num_milliseconds() as f64;
    millis / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(minute: i64, prompt: i64, approval: Option<i64>) -> Case {
        Case {
            id: minute.to_string(),
            whom: "mia".to_owned(),
            contained: Time::UNIX_EPOCH + TimeDelta::minutes(minute),
            since_prompt: TimeDelta::seconds(prompt),
            since_approval: approval.map(TimeDelta::seconds),
            again: Again::Never,
        }
    }

    #[test]
    fn without_a_contained_incident_nothing_is_drawn() {
        assert!(draw(Vec::new()).is_none());
    }

    #[test]
    fn slower_stands_higher_and_each_tenfold_is_as_far() {
        let scale = Scale::up_to(TimeDelta::seconds(550));
        let at = |s: i64| scale.y(TimeDelta::seconds(s));

        assert!(at(1) > at(10) && at(10) > at(100));
        assert!(((at(1) - at(10)) - (at(10) - at(100))).abs() <= 1.0);
        assert!((at(0) - BOTTOM).abs() < 0.5 && at(99_999_999) >= TOP);
    }

    #[test]
    fn medians_are_times_that_were_taken() {
        let cases = vec![case(3, 900, Some(9)), case(1, 30, None), case(2, 200, Some(5))];

        let speed = draw(cases).unwrap();

        assert_eq!(speed.prompt.1, "3 min 20 s");
        assert_eq!(speed.approval.unwrap().1, "5 s");
        let order: Vec<&str> = speed.columns.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(order, ["1", "2", "3"], "oldest first");
        assert_eq!(speed.rows[0].id, "3", "the table is newest first");
        assert!(speed.columns.iter().all(|c| c.prompt >= TOP && c.prompt <= BOTTOM));
    }
}
