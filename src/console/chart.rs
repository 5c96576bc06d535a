//! The timeline as a drawing: prompts, people, actions and proofs over time. The list below it says the same in words.
//!
//! A case has hours of silence and then twenty things in one second: a gap takes the logarithm of
//! its length, like signs side by side become one with a count, and the rest make room.

use std::collections::BTreeMap;

use super::show::lasted;
use super::timeline::{Kind, Line};
use crate::model::time::{Time, rfc3339};

/// Where the drawing begins and ends, in its own units.
const LEFT: f64 = 90.0;
const RIGHT: f64 = 885.0;
/// What a sign takes, and what each character of its count adds.
const SIGN: f64 = 20.0;
const DIGIT: f64 = 9.0;
/// What a time below the drawing takes.
const LABEL: f64 = 84.0;
/// From the nearest to the farthest like signs that become one; the last makes any number fit.
const NEAR: [f64; 3] = [16.0, 60.0, RIGHT];
/// Sentences that are drawn at most.
const MOST: usize = 400;

const LANES: [(u32, &str); 5] =
    [(24, "prompts"), (64, "people"), (104, "actions"), (144, "proofs"), (184, "incident")];

/// One sign of the drawing.
#[derive(Clone)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: u32,
    pub(super) icon: &'static str,
    pub(super) class: &'static str,
    pub(super) title: String,
    pub(super) times: usize,
}

impl Spot {
    fn wide(&self) -> f64 {
        match self.times {
            1 => SIGN,
            2..10 => SIGN + 2.0 * DIGIT,
            _ => SIGN + 4.0 * DIGIT,
        }
    }
}

/// A time below the drawing.
pub(super) struct Tick {
    pub(super) x: f64,
    pub(super) at: String,
    pub(super) clock: String,
}

/// What the template draws.
pub(super) struct Chart {
    pub(super) lanes: [(u32, &'static str); 5],
    pub(super) spots: Vec<Spot>,
    pub(super) ticks: Vec<Tick>,
    pub(super) summary: String,
}

/// Lays out sentences, oldest first, that have a place in the drawing.
pub(super) fn draw(lines: &[Line]) -> Option<Chart> {
    let drawn: Vec<(&Line, u32, &'static str)> = lines
        .iter()
        .filter_map(|line| row(line.kind).map(|(y, class)| (line, y, class)))
        .take(MOST)
        .collect();
    let times: Vec<Time> = drawn.iter().map(|(line, ..)| line.at.0).collect();
    let (first, last) = (*times.first()?, *times.last()?);
    let places = places(&times);
    let mut by_lane: BTreeMap<u32, Vec<Spot>> = BTreeMap::new();
    for ((line, y, class), x) in drawn.iter().zip(&places) {
        let title = line.text.0.clone();
        let spot = Spot { x: *x, y: *y, icon: line.kind.icon(), class, title, times: 1 };
        by_lane.entry(*y).or_default().push(spot);
    }
    Some(Chart {
        lanes: LANES,
        spots: by_lane.into_values().flat_map(|lane| settled(&lane)).collect(),
        ticks: ticks(&times, &places),
        summary: summary(lines, first, last),
    })
}

/// Each moment's place; a gap takes the logarithm of its seconds.
fn places(times: &[Time]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut before = times.first().copied();
    let mut sums = Vec::with_capacity(times.len());
    for time in times {
        sum += before.map_or(0.0, |before| seconds(*time - before).max(0.0).ln_1p());
        before = Some(*time);
        sums.push(sum);
    }
    let width = RIGHT - LEFT - SIGN;
    sums.iter().map(|at| LEFT + width * at / sum.max(f64::EPSILON)).collect()
}

fn ticks(times: &[Time], places: &[f64]) -> Vec<Tick> {
    let mut ticks: Vec<Tick> = Vec::new();
    for (time, x) in times.iter().zip(places) {
        let free = ticks.last().is_none_or(|last| last.x + LABEL <= *x);
        if free && *x + LABEL <= RIGHT + SIGN {
            let clock = time.format("%H:%M:%S").to_string();
            ticks.push(Tick { x: x.round(), at: rfc3339(*time), clock });
        }
    }
    ticks
}

/// A lane whose signs do not overlap.
fn settled(lane: &[Spot]) -> Vec<Spot> {
    let mut tries = NEAR.iter().map(|near| spread(merged(lane, *near)));
    let fits = |lane: &Vec<Spot>| lane.first().is_none_or(|spot| spot.x >= LEFT - 0.5);
    tries.find(fits).unwrap_or_default()
}

fn merged(lane: &[Spot], near: f64) -> Vec<Spot> {
    let mut merged: Vec<Spot> = Vec::new();
    for spot in lane {
        let like = |last: &&mut Spot| last.icon == spot.icon && spot.x - last.x < near;
        match merged.iter_mut().rev().find(like) {
            Some(last) => {
                last.times += 1;
                last.title = format!("{}\n{}", last.title, spot.title);
            }
            None => merged.push(spot.clone()),
        }
    }
    merged
}

/// Moves signs to the right until none lies on another, and back from the edge.
fn spread(mut lane: Vec<Spot>) -> Vec<Spot> {
    let mut free = LEFT;
    for spot in &mut lane {
        spot.x = spot.x.max(free).round();
        free = spot.x + spot.wide();
    }
    let mut edge = RIGHT;
    for spot in lane.iter_mut().rev() {
        spot.x = spot.x.min(edge - spot.wide());
        edge = spot.x;
    }
    lane
}

fn summary(lines: &[Line], first: Time, last: Time) -> String {
    let count = |kind: Kind| lines.iter().filter(|line| line.kind == kind).count();
    format!(
        "{} prompts, {} hostile events, {} decisions and {} actions within {}",
        count(Kind::Prompt),
        count(Kind::Hostile),
        count(Kind::Decided),
        count(Kind::Act),
        lasted(last - first),
    )
}

fn seconds(delta: chrono::TimeDelta) -> f64 {
    // Far below 2^53 for anything that a page shows.
    #[expect(clippy::cast_precision_loss, reason = "a drawing is no finer than a pixel")]
    let millis = delta.num_milliseconds() as f64;
    millis / 1_000.0
}

fn row(kind: Kind) -> Option<(u32, &'static str)> {
    match kind {
        Kind::Prompt => Some((LANES[0].0, "wait")),
        Kind::Hostile => Some((LANES[0].0, "bad")),
        Kind::Asked => Some((LANES[1].0, "wait")),
        Kind::Decided => Some((LANES[1].0, "good")),
        Kind::Act => Some((LANES[2].0, "good")),
        Kind::Trouble => Some((LANES[2].0, "bad")),
        Kind::Proof => Some((LANES[3].0, "good")),
        Kind::Milestone => Some((LANES[4].0, "quiet")),
        Kind::Evidence | Kind::Run | Kind::Note => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(x: f64, icon: &'static str) -> Spot {
        Spot { x, y: 24, icon, class: "wait", title: String::new(), times: 1 }
    }

    #[test]
    fn signs_never_lie_on_each_other_nor_outside() {
        for count in [1, 7, 90, 400_u32] {
            let sign =
                |n: u32| spot(LEFT + f64::from(n), if n.is_multiple_of(2) { "a" } else { "b" });
            let lane = settled(&(0..count).map(sign).collect::<Vec<_>>());
            assert!(!lane.is_empty());
            assert_eq!(lane.iter().map(|s| s.times).sum::<usize>(), count as usize);
            assert!(lane.first().unwrap().x >= LEFT);
            let ends: Vec<f64> = lane.iter().map(|s| s.x + s.wide()).collect();
            assert!(ends.iter().zip(lane.iter().skip(1)).all(|(end, next)| *end <= next.x));
            assert!(ends.iter().all(|end| *end <= RIGHT));
        }
    }
}
