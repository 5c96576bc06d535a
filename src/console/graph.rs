//! A plan as a drawing: a box a step, a frame a block, an arrow for what is waited for. The list beside
//! it says the same in words.
//!
//! Boxes stand in written order, below what they wait for and beside what they do not. An arrow that
//! others imply is left out. Knows plans only; how a box looks is said by whoever draws.

use std::collections::{BTreeMap, BTreeSet};

use super::show::Mark;
use crate::model::plan::{Branch, Does, Form, Frame, Part, Plan, PlanStep};
use crate::model::text::tame;

/// A box, in the drawing's own units.
const WIDE: u32 = 212;
const HIGH: u32 = 74;
const GAP_X: u32 = 28;
const GAP_Y: u32 = 44;
/// What a frame takes around its branches, and for its title.
const PAD: u32 = 14;
const TITLE: u32 = 26;
/// A row that gets wider goes on below.
const ROW: u32 = 3 * WIDE + 2 * GAP_X;
/// Letters of a frame's name that are drawn at most, and what one takes.
const LETTERS: u32 = 56;
const LETTER: u32 = 8;
/// Room for arrows that go round, and for their heads.
const MARGIN: u32 = 20;
/// Letters that fit into a box, of its name and of the rest.
const NAME: usize = 21;
const LINE: usize = 27;

/// How a step looks.
pub(super) struct Look {
    /// None where a plan is drawn that does not run.
    pub(super) mark: Option<Mark>,
    /// Behind its state: how many of how many.
    pub(super) count: String,
    /// Where it leads to on the same page; nowhere if empty.
    pub(super) href: String,
}

/// One step.
pub(super) struct Cube {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) name: String,
    pub(super) what: String,
    pub(super) look: Look,
    pub(super) wide: u32,
    pub(super) high: u32,
    /// All that the box is too small for.
    pub(super) title: String,
}

/// One block, or a branch of it.
pub(super) struct Rim {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) wide: u32,
    pub(super) high: u32,
    pub(super) name: String,
}

/// One arrow and its head.
pub(super) struct Arrow {
    pub(super) line: String,
    pub(super) head: String,
    /// Results are used; otherwise it is only waited for.
    pub(super) reads: bool,
}

/// What the template draws.
#[derive(Default)]
pub(super) struct Drawing {
    pub(super) wide: u32,
    pub(super) high: u32,
    pub(super) cubes: Vec<Cube>,
    pub(super) rims: Vec<Rim>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) summary: String,
    places: BTreeMap<String, Area>,
}

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: u32,
    y: u32,
    wide: u32,
    high: u32,
}

impl Area {
    fn middle(self) -> u32 {
        self.x + self.wide / 2
    }

    fn bottom(self) -> u32 {
        self.y + self.high
    }

    fn meets(self, other: Self) -> bool {
        self.x < other.x + other.wide
            && other.x < self.x + self.wide
            && self.y < other.bottom()
            && other.y < self.bottom()
    }

    fn holds(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.x + other.wide <= self.x + self.wide
            && other.bottom() <= self.bottom()
    }
}

impl Drawing {
    /// Takes another drawing in, with its corner there.
    fn put(&mut self, other: Self, x: u32, y: u32) {
        self.wide = self.wide.max(x + other.wide);
        self.high = self.high.max(y + other.high);
        let moved = |c: Cube| Cube { x: c.x + x, y: c.y + y, ..c };
        self.cubes.extend(other.cubes.into_iter().map(moved));
        let moved = |r: Rim| Rim { x: r.x + x, y: r.y + y, ..r };
        self.rims.extend(other.rims.into_iter().map(moved));
        let moved = |(id, a): (String, Area)| (id, Area { x: a.x + x, y: a.y + y, ..a });
        self.places.extend(other.places.into_iter().map(moved));
    }
}

/// Draws a plan; none that has no step.
pub(super) fn draw(plan: &Plan, look: &dyn Fn(&PlanStep) -> Look) -> Option<Drawing> {
    if plan.steps.is_empty() {
        return None;
    }
    let outline = plan.outline();
    let mut inner = rows(&outline.body, look);
    if !outline.last.is_empty() {
        let below = if inner.high == 0 { 0 } else { inner.high + GAP_Y };
        inner.put(rimmed("at last".to_owned(), rows(&outline.last, look)), 0, below);
    }
    let mut drawing = Drawing::default();
    drawing.put(inner, MARGIN, MARGIN);
    drawing.wide += MARGIN;
    drawing.high += MARGIN;
    let mut all = Vec::new();
    outline.body.iter().chain(&outline.last).for_each(|part| gather(part, &mut all));
    drawing.arrows = arrows(&all, &drawing);
    drawing.summary = summary(plan);
    Some(drawing)
}

fn summary(plan: &Plan) -> String {
    let steps = match plan.steps.len() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    let blocks = match plan.blocks.len() {
        0 => String::new(),
        1 => " and 1 block".to_owned(),
        n => format!(" and {n} blocks"),
    };
    format!("The plan: {steps}{blocks}, in written order")
}

/// What stands at one place: each below whatever it waits for there, the others side by side.
fn rows(parts: &[Part<'_>], look: &dyn Fn(&PlanStep) -> Look) -> Drawing {
    let mut ranks: BTreeMap<usize, Vec<Drawing>> = BTreeMap::new();
    for (part, rank) in parts.iter().zip(ranked(parts)) {
        let drawn = match part {
            Part::Step(step) => cube(step, look(step)),
            Part::Frame(block) => frame(block, look),
        };
        ranks.entry(rank).or_default().push(drawn);
    }
    let mut all = Drawing::default();
    for rank in ranks.into_values() {
        let (mut x, mut y) = (0, if all.high == 0 { 0 } else { all.high + GAP_Y });
        for drawn in rank {
            if x > 0 && x + drawn.wide > ROW {
                (x, y) = (0, all.high + GAP_Y);
            }
            let wide = drawn.wide;
            all.put(drawn, x, y);
            x += wide + GAP_X;
        }
    }
    all
}

/// How many stand above each one.
fn ranked(parts: &[Part<'_>]) -> Vec<usize> {
    let mut ranks: Vec<usize> = Vec::with_capacity(parts.len());
    for part in parts {
        let waits = waits(part);
        let is_above = |earlier: &Part<'_>| {
            waits.contains(earlier.id())
                || earlier.steps().iter().any(|step| waits.contains(step.id.as_str()))
        };
        let above = parts.iter().zip(&ranks).filter(|(earlier, _)| is_above(earlier));
        ranks.push(above.map(|(_, rank)| rank + 1).max().unwrap_or(0));
    }
    ranks
}

/// What a part or anything in it waits for: a block stands below all of that.
fn waits<'p>(part: &'p Part<'p>) -> BTreeSet<&'p str> {
    let mut all = Vec::new();
    gather(part, &mut all);
    let named = all.into_iter().map(Part::waits_for);
    named.flat_map(|(after, reads)| after.iter().chain(reads)).map(String::as_str).collect()
}

fn cube(step: &PlanStep, look: Look) -> Drawing {
    let what = does(step);
    let title = [
        Some(tame(&format!("{}: {what}", step.id), 200)),
        look.mark.map(|mark| format!("{} {}", mark.word(), look.count)),
        step.when.as_deref().map(|when| tame(&format!("when {when}"), 200)),
        step.for_each.as_deref().map(|each| tame(&format!("for each {each}"), 200)),
        step.ratify.as_ref().map(|_| "then people ratify it".to_owned()),
    ];
    let title: Vec<String> = title.into_iter().flatten().collect();
    let cube = Cube {
        x: 0,
        y: 0,
        name: tame(&step.id, NAME),
        what: tame(&what, LINE),
        wide: WIDE,
        high: HIGH,
        look,
        title: title.join("\n"),
    };
    let place = Area { x: 0, y: 0, wide: WIDE, high: HIGH };
    Drawing {
        wide: WIDE,
        high: HIGH,
        cubes: vec![cube],
        places: BTreeMap::from([(step.id.clone(), place)]),
        ..Drawing::default()
    }
}

fn frame(frame: &Frame<'_>, look: &dyn Fn(&PlanStep) -> Look) -> Drawing {
    let is_call = matches!(frame.block.form, Form::Call { .. });
    let mut inner = Drawing::default();
    for branch in &frame.branches {
        let x = if inner.wide == 0 { 0 } else { inner.wide + GAP_X };
        let drawn = rows(&branch.parts, look);
        let drawn = if is_call { drawn } else { rimmed(branch_name(branch), drawn) };
        inner.put(drawn, x, 0);
    }
    let mut drawing = rimmed(block_title(frame), inner);
    if !frame.last {
        let place = Area { x: 0, y: 0, wide: drawing.wide, high: drawing.high };
        drawing.places.insert(frame.block.id.clone(), place);
    }
    drawing
}

fn branch_name(branch: &Branch<'_>) -> String {
    tame(branch.name.unwrap_or("otherwise"), LINE)
}

fn block_title(frame: &Frame<'_>) -> String {
    let block = frame.block;
    let when = block.when.as_deref().map_or_else(String::new, |when| format!(", when {when}"));
    let form = match &block.form {
        Form::Parallel { .. } => "side by side".to_owned(),
        Form::Switch { on, .. } => format!("one of, by {on}"),
        Form::Call { playbook, .. } => format!("the steps of {playbook}"),
    };
    tame(&format!("{}: {form}{when}", block.id), 2 * LINE)
}

/// A drawing with a line around it and a name above.
fn rimmed(name: String, inner: Drawing) -> Drawing {
    // A name longer than what it names would stand over the edge.
    let letters = u32::try_from(name.chars().count()).unwrap_or(u32::MAX).min(LETTERS);
    let wide = (inner.wide + 2 * PAD).max(letters * LETTER + 2 * PAD);
    let mut drawing = Drawing::default();
    let high = inner.high + 2 * PAD + TITLE;
    drawing.put(inner, PAD, PAD + TITLE);
    (drawing.wide, drawing.high) = (wide, high);
    drawing.rims.insert(0, Rim { x: 0, y: 0, wide, high, name });
    drawing
}

/// A part and all that is in it: whatever can wait for something.
fn gather<'a>(part: &'a Part<'a>, all: &mut Vec<&'a Part<'a>>) {
    all.push(part);
    if let Part::Frame(frame) = part {
        frame.branches.iter().flat_map(|branch| &branch.parts).for_each(|part| gather(part, all));
    }
}

fn arrows(parts: &[&Part<'_>], drawing: &Drawing) -> Vec<Arrow> {
    let waits: BTreeMap<&str, Vec<(&str, bool)>> = parts
        .iter()
        .map(|part| {
            let (after, reads) = part.waits_for();
            let only_reads = reads.iter().filter(|id| !after.contains(id));
            let named = after.iter().map(|id| (id.as_str(), false));
            (part.id(), named.chain(only_reads.map(|id| (id.as_str(), true))).collect())
        })
        .collect();
    let mut drawn = Vec::new();
    for (to, from) in &waits {
        for (id, reads) in from {
            let others = from.iter().map(|(other, _)| *other).filter(|other| other != id);
            let implied = others.into_iter().any(|other| follows(&waits, other, id));
            let ends = drawing.places.get(*id).zip(drawing.places.get(*to));
            if let Some((from, to)) = ends.filter(|_| !implied) {
                drawn.push(arrow(*from, *to, *reads, drawing));
            }
        }
    }
    drawn
}

/// Whether `later` waits for `earlier`, if only through others.
fn follows(waits: &BTreeMap<&str, Vec<(&str, bool)>>, later: &str, earlier: &str) -> bool {
    let (mut open, mut seen) = (vec![later], BTreeSet::new());
    while let Some(id) = open.pop() {
        if id == earlier {
            return true;
        }
        if seen.insert(id) {
            open.extend(waits.get(id).into_iter().flatten().map(|(id, _)| *id));
        }
    }
    false
}

/// Straight down where nothing stands between, else round at the left of where it leads.
fn arrow(from: Area, to: Area, reads: bool, drawing: &Drawing) -> Arrow {
    let (x, y) = (from.middle(), from.bottom());
    let (end_x, end_y) = (to.middle(), to.y);
    let head = format!(
        "M{} {}L{end_x} {end_y}L{} {}",
        end_x - 5,
        end_y.saturating_sub(9),
        end_x + 5,
        end_y.saturating_sub(9)
    );
    let stop = end_y.saturating_sub(8);
    let between =
        Area { x: x.min(end_x), y, wide: x.abs_diff(end_x).max(1), high: stop.saturating_sub(y) };
    let in_the_way = |other: &&Area| {
        !other.holds(from)
            && !other.holds(to)
            && !from.holds(**other)
            && !to.holds(**other)
            && other.meets(between)
    };
    let line = if drawing.places.values().any(|area| in_the_way(&area)) {
        let (turn, lane) = (y + GAP_Y / 3, to.x.saturating_sub(GAP_X / 2));
        let down = end_y.saturating_sub(GAP_Y / 2);
        format!("M{x} {y}V{turn}H{lane}V{down}H{end_x}V{stop}")
    } else {
        let half = stop.saturating_sub(y) / 2;
        format!("M{x} {y}C{x} {} {end_x} {} {end_x} {stop}", y + half, stop - half)
    };
    Arrow { line, head, reads }
}

/// What a step does, in a few words.
pub(super) fn does(step: &PlanStep) -> String {
    match &step.does {
        Does::Use { name, .. } => {
            tame(super::words::short(&crate::model::id::Capability::new(name.as_str())), 120)
        }
        Does::Wait(span) => format!("Wait {span}"),
        Does::Ask { message } => tame(&format!("Ask: {message}"), 120),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Block, Place, Within};

    fn step(id: &str, after: &[&str], within: Option<(&str, &str)>) -> PlanStep {
        let within = within.map(|(block, branch)| Within {
            block: block.to_owned(),
            branch: Some(branch.to_owned()),
        });
        PlanStep {
            after: after.iter().map(|id| (*id).to_owned()).collect(),
            place: Place { within, finally: false },
            ..PlanStep::new(id, Does::action("identity.block_sign_in"))
        }
    }

    fn plan(steps: Vec<PlanStep>) -> Plan {
        let form = Form::Parallel { branches: vec!["left".into(), "right".into()] };
        let block = Block {
            id: "both".into(),
            place: Place::default(),
            form,
            when: None,
            after: vec!["one".into()],
            reads: Vec::new(),
        };
        Plan {
            name: "p".into(),
            title: String::new(),
            attack: Vec::new(),
            triggers: Vec::new(),
            also: false,
            mode: None,
            watch: None,
            inputs: BTreeMap::new(),
            blocks: vec![block],
            steps,
        }
    }

    fn drawn(plan: &Plan) -> Drawing {
        let look = |_: &PlanStep| Look { mark: None, count: String::new(), href: String::new() };
        draw(plan, &look).unwrap()
    }

    #[test]
    fn what_waits_stands_below_and_nothing_stands_on_anything_else() {
        let steps = vec![
            step("one", &[], None),
            step("two", &[], None),
            step("a", &[], Some(("both", "left"))),
            step("b", &[], Some(("both", "right"))),
            step("c", &["b"], Some(("both", "right"))),
            step("end", &["both", "two"], None),
        ];

        let drawing = drawn(&plan(steps));

        let at = |id: &str| drawing.places[id];
        assert_eq!(at("one").y, at("two").y, "neither waits for the other");
        assert!(at("both").y > at("one").bottom() && at("end").y > at("both").bottom());
        assert!(at("both").holds(at("a")) && at("both").holds(at("c")));
        assert!(at("c").y > at("b").bottom() && at("a").x + at("a").wide < at("b").x);
        let steps: Vec<Area> = ["one", "two", "a", "b", "c", "end"].map(at).to_vec();
        for (n, area) in steps.iter().enumerate() {
            assert!(steps.iter().skip(n + 1).all(|other| !area.meets(*other)));
            assert!(area.x + area.wide <= drawing.wide && area.bottom() <= drawing.high);
        }
    }

    #[test]
    fn an_arrow_that_others_imply_is_left_out() {
        let steps = vec![
            step("one", &[], None),
            step("two", &["one"], None),
            step("three", &["one", "two"], None),
        ];
        let plan = Plan { blocks: Vec::new(), ..plan(steps) };

        assert_eq!(drawn(&plan).arrows.len(), 2);
    }

    /// Sixty steps side by side go on below, within what a page is wide.
    #[test]
    fn a_long_plan_grows_downwards() {
        let steps = (0..60).map(|n| step(&format!("s{n}"), &[], None)).collect();
        let plan = Plan { blocks: Vec::new(), ..plan(steps) };

        assert!(drawn(&plan).wide <= ROW + 2 * MARGIN);
    }
}
