//! `quell replay --sweep`: a table of thresholds, and a picture of it.

use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::Path;

use super::Format;
use super::output::Output;
use super::table::columns;
use crate::detect::{Attack, Point, sweep};
use crate::intake::Parsed;

/// Known attacks, from CSV with the columns `subject`, `first` and `last`.
pub(super) fn truth(path: &Path) -> anyhow::Result<Vec<Attack>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path)
        .with_context(|| format!("could not read `{}`", path.display()))?;
    let rows: Result<Vec<Attack>, csv::Error> = reader.deserialize().collect();
    rows.with_context(|| {
        format!("`{}` is no truth: it has the columns subject, first and last", path.display())
    })
}

pub(super) fn run(
    log: Parsed,
    truth_file: Option<&Path>,
    picture: Option<&Path>,
    format: Format,
    output: &mut Output,
) -> anyhow::Result<()> {
    let truth = truth_file.map(truth).transpose()?;
    let sum = sweep(log, truth.as_deref()).with_context(|| {
        let file = truth_file.map_or_else(String::new, |file| file.display().to_string());
        format!("`{file}` is no truth")
    })?;
    let attacks = truth.as_ref().map(Vec::len);
    if let Some(path) = picture {
        let page = page(&sum, attacks);
        std::fs::write(path, page)
            .with_context(|| format!("could not write `{}`", path.display()))?;
    }
    if format == Format::Json {
        return output.json(&serde_json::to_value(&sum)?);
    }
    let text = |n: Option<usize>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let row = |p: &Point| {
        vec![
            format!("{} in {} min", p.failed, p.minutes),
            p.incidents.to_string(),
            p.people.to_string(),
            text(p.caught),
            text(p.caught.zip(attacks).map(|(caught, all)| all.saturating_sub(caught))),
            text(p.cried_wolf),
        ]
    };
    let rows: Vec<Vec<String>> = sum.iter().map(row).collect();
    output.data(&columns(
        &["FAILED PROMPTS", "INCIDENTS", "PEOPLE", "CAUGHT", "MISSED", "CRIED WOLF"],
        &rows,
    ))
}

const WIDE: f64 = 760.0;
const HIGH: f64 = 420.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 40.0;
const COLOURS: [&str; 4] = ["#0b6e99", "#b35900", "#3d7a1f", "#8a3ffc"];

/// A page that needs nothing else. With a truth, caught stands against cried wolf; without one, incidents
/// against the threshold.
fn page(points: &[Point], attacks: Option<usize>) -> String {
    let across = |p: &Point| p.cried_wolf.unwrap_or(p.failed);
    let up = |p: &Point| p.caught.unwrap_or(p.incidents);
    let most = |of: &dyn Fn(&Point) -> usize| points.iter().map(of).max().unwrap_or(1).max(1);
    let (right, top) = (most(&across), attacks.unwrap_or_else(|| most(&up)).max(1));
    let x = |p: &Point| LEFT + WIDE * ratio(across(p), right);
    let y = |p: &Point| TOP + HIGH * (1.0 - ratio(up(p), top));
    let (title, below, beside) = if attacks.is_some() {
        (
            "What each threshold catches, and how often it cries wolf",
            "incidents about no attack",
            "attacks caught",
        )
    } else {
        ("How many incidents each threshold opens", "failed prompts that it takes", "incidents")
    };
    let mut svg = grid(right, top);
    let mut windows: Vec<i64> = points.iter().map(|p| p.minutes).collect();
    windows.dedup();
    for (nth, (minutes, colour)) in windows.iter().zip(COLOURS).enumerate() {
        let mine = points.iter().filter(|p| p.minutes == *minutes);
        let placed: Vec<(f64, f64, &Point)> = mine.map(|p| (x(p), y(p), p)).collect();
        svg += &curve(&placed, *minutes, colour, nth);
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>:root{{color-scheme:light dark}}body{{font:15px system-ui,sans-serif;margin:2rem;max-width:880px}}svg{{width:100%;height:auto}}text{{font-size:13px;fill:currentColor}}.grid{{stroke:currentColor;stroke-opacity:.15}}</style>\n<h1>{title}</h1>\n<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{title}\">{svg}<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{below}</text><text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{beside}</text></svg>\n</html>\n",
        LEFT + WIDE + 24.0,
        TOP + HIGH + 56.0,
        LEFT + WIDE / 2.0,
        TOP + HIGH + 46.0,
        TOP + HIGH / 2.0
    )
}

/// Lines in quarters, with their numbers.
fn grid(right: usize, top: usize) -> String {
    let mut svg = String::new();
    // Writing to a string cannot fail.
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let (gx, gy) = (LEFT + WIDE * share, TOP + HIGH * (1.0 - share));
        let (across, up) = (number(share, right), number(share, top));
        _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {gy}h{WIDE}M{gx} {TOP}v{HIGH}\"/>");
        let (x, y) = (LEFT - 8.0, gy + 4.0);
        _ = write!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{up}</text>");
        let y = TOP + HIGH + 20.0;
        _ = write!(svg, "<text x=\"{gx}\" y=\"{y}\" text-anchor=\"middle\">{across}</text>");
    }
    svg
}

/// A share of a whole, as it is written on an axis.
fn number(share: f64, whole: usize) -> String {
    let n = share * float(whole);
    if whole < 8 { format!("{n:.2}") } else { format!("{n:.0}") }
}

/// The thresholds of one window: a line, and a point for each that says what it is.
fn curve(points: &[(f64, f64, &Point)], minutes: i64, colour: &str, nth: usize) -> String {
    let mut svg = String::new();
    let line: Vec<String> = points.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
    let line = line.join(" ");
    _ = write!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{line}\"/>"
    );
    for (x, y, p) in points {
        let told = p.caught.zip(p.cried_wolf);
        let told = told.map(|(c, w)| format!(", {c} caught, {w} cried wolf")).unwrap_or_default();
        let says = format!("{} failed in {minutes} min: {} incidents{told}", p.failed, p.incidents);
        _ = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"><title>{says}</title></circle>"
        );
    }
    let (x, y) = (LEFT + WIDE - 8.0, TOP + 16.0 + 20.0 * float(nth));
    _ = write!(
        svg,
        "<text class=\"key\" x=\"{x}\" y=\"{y}\" style=\"fill:{colour}\" text-anchor=\"end\">within {minutes} min</text>"
    );
    svg
}

fn float(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn ratio(part: usize, whole: usize) -> f64 {
    float(part) / float(whole.max(1))
}
