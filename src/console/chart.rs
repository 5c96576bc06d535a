//! The timeline as a drawing: prompts, people and actions over time. The list below it says the same in words.

use super::show::lasted;
use super::timeline::{Kind, Line};

/// Where the drawing begins and ends, in its own units.
const LEFT: f64 = 90.0;
const RIGHT: f64 = 870.0;

/// One sign of the drawing.
pub(super) struct Spot {
    pub(super) x: String,
    pub(super) y: u32,
    pub(super) icon: &'static str,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// What the template draws.
pub(super) struct Chart {
    pub(super) spots: Vec<Spot>,
    pub(super) summary: String,
}

/// Lays out at most the first few hundred sentences that have a place in the drawing.
pub(super) fn draw(lines: &[Line]) -> Option<Chart> {
    let drawn: Vec<(&Line, u32, &'static str)> =
        lines.iter().filter_map(|line| row(line.kind).map(|(y, class)| (line, y, class))).collect();
    let first = drawn.iter().map(|(line, ..)| line.at.0).min()?;
    let last = drawn.iter().map(|(line, ..)| line.at.0).max()?;
    let width = millis(last - first).max(1.0);
    let spots = drawn
        .iter()
        .take(400)
        .map(|(line, y, class)| Spot {
            x: format!("{:.1}", LEFT + (RIGHT - LEFT) * millis(line.at.0 - first) / width),
            y: *y,
            icon: line.kind.icon(),
            class,
            title: line.text.clone(),
        })
        .collect();
    let count = |kind: Kind| lines.iter().filter(|line| line.kind == kind).count();
    let summary = format!(
        "{} prompts, {} hostile events, {} decisions and {} actions within {}",
        count(Kind::Prompt),
        count(Kind::Hostile),
        count(Kind::Decided),
        count(Kind::Act),
        lasted(last - first),
    );
    Some(Chart { spots, summary })
}

fn millis(delta: chrono::TimeDelta) -> f64 {
    // Far below 2^53 for anything that a page shows.
    #[expect(clippy::cast_precision_loss, reason = "a drawing is no finer than a pixel")]
    let millis = delta.num_milliseconds() as f64;
    millis
}

fn row(kind: Kind) -> Option<(u32, &'static str)> {
    match kind {
        Kind::Prompt => Some((30, "wait")),
        Kind::Hostile => Some((30, "bad")),
        Kind::Asked => Some((70, "wait")),
        Kind::Decided => Some((70, "good")),
        Kind::Act | Kind::Proof => Some((110, "good")),
        Kind::Trouble => Some((110, "bad")),
        Kind::Milestone => Some((70, "quiet")),
        Kind::Evidence | Kind::Note => None,
    }
}
