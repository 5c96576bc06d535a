//! A plan as a picture: a Mermaid flowchart, which code hosts and editors draw.

use std::fmt::Write as _;

use crate::model::plan::{Block, Does, Form, Frame, Part, Place, Plan, PlanStep, Trigger};

/// Solid arrows are `after`, dotted ones results that are used. What depends on nothing starts at
/// once. Blocks are frames, and in them a frame for each branch; `finally` is one of its own.
pub(crate) fn graph(plan: &Plan) -> String {
    let mut out = String::from("flowchart TD\n");
    let triggers: Vec<String> = plan.triggers.iter().map(|t| trigger(*t)).collect();
    let begin = if triggers.is_empty() { "called".to_owned() } else { triggers.join("<br/>") };
    // Writing to a string cannot fail.
    _ = writeln!(out, "  trigger([\"{begin}\"])");
    let outline = plan.outline();
    lines(&mut out, plan, &outline.body, 1);
    if !outline.last.is_empty() {
        out.push_str("  subgraph finally [\"finally\"]\n");
        lines(&mut out, plan, &outline.last, 2);
        out.push_str("  end\n");
    }
    for block in &plan.blocks {
        arrows(&mut out, plan, (&block.id, &block.place), &block.after, &block.reads);
    }
    for step in &plan.steps {
        arrows(&mut out, plan, (&step.id, &step.place), &step.after, &step.reads);
    }
    out
}

/// What stands at a place, in written order; a block with all that is in it.
fn lines(out: &mut String, plan: &Plan, parts: &[Part<'_>], depth: usize) {
    let indent = "  ".repeat(depth);
    for part in parts {
        match part {
            Part::Step(step) => {
                _ = writeln!(out, "{indent}{}[\"{}\"]", node(plan, &step.id), label(step));
            }
            Part::Frame(block) => frame(out, plan, block, depth),
        }
    }
}

fn frame(out: &mut String, plan: &Plan, frame: &Frame<'_>, depth: usize) {
    let indent = "  ".repeat(depth);
    let node = framed(&frame.block.id, frame.last);
    _ = writeln!(out, "{indent}subgraph {node} [\"{}\"]", title(frame.block));
    for (n, branch) in frame.branches.iter().enumerate() {
        if matches!(frame.block.form, Form::Call { .. }) {
            lines(out, plan, &branch.parts, depth + 1);
            continue;
        }
        let shown = escaped(branch.name.unwrap_or("default"));
        _ = writeln!(out, "{indent}  subgraph {node}_{n} [\"{shown}\"]");
        lines(out, plan, &branch.parts, depth + 2);
        _ = writeln!(out, "{indent}  end");
    }
    _ = writeln!(out, "{indent}end");
}

fn arrows(
    out: &mut String,
    plan: &Plan,
    (id, place): (&str, &Place),
    after: &[String],
    reads: &[String],
) {
    let here = node(plan, id);
    if after.is_empty() && reads.is_empty() && *place == Place::default() {
        _ = writeln!(out, "  trigger --> {here}");
    }
    for earlier in after {
        _ = writeln!(out, "  {} --> {here}", node(plan, earlier));
    }
    for earlier in reads.iter().filter(|earlier| !after.contains(earlier)) {
        _ = writeln!(out, "  {} -.-> {here}", node(plan, earlier));
    }
}

fn node(plan: &Plan, id: &str) -> String {
    match plan.block(id) {
        Some(_) => framed(id, false),
        None => format!("step_{}", id.replace('/', "__")),
    }
}

/// A frame's name; the last steps of a call have a frame of their own.
fn framed(id: &str, last: bool) -> String {
    format!("{}_{}", if last { "last" } else { "block" }, id.replace('/', "__"))
}

fn title(block: &Block) -> String {
    let mut title = match &block.form {
        Form::Parallel { .. } => format!("{}: parallel", block.id),
        Form::Switch { on, .. } => format!("{}: switch {}", block.id, escaped(on)),
        Form::Call { playbook, .. } => format!("{}: call {playbook}", block.id),
    };
    if let Some(when) = &block.when {
        _ = write!(title, "<br/>when {}", escaped(when));
    }
    title
}

fn trigger(trigger: Trigger) -> String {
    match trigger {
        Trigger::Alert(kind) => format!("alert: {}", kind.name()),
        Trigger::Report => "report".to_owned(),
        Trigger::Manual => "manual".to_owned(),
    }
}

fn label(step: &PlanStep) -> String {
    let mut lines = vec![format!("<b>{}</b>", step.id)];
    lines.push(match &step.does {
        Does::Use { name, .. } => escaped(name),
        Does::Wait(span) => format!("wait {span}"),
        Does::Ask { message } => format!("ask: {}", escaped(message)),
    });
    for (word, expression) in [("for each", &step.for_each), ("when", &step.when)] {
        if let Some(expression) = expression {
            lines.push(format!("{word} {}", escaped(expression)));
        }
    }
    if step.ratify.is_some() {
        lines.push("then ratify".to_owned());
    }
    lines.join("<br/>")
}

/// Mermaid's own entities; a quote would end the label, and markup would be drawn.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '#' => out.push_str("#35;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::{SHIPPED, check, fixture};

    #[test]
    fn arrows_follow_what_a_step_waits_for() {
        let (path, text) = SHIPPED[0];
        let plan = check(path, text, &fixture::signatures()).unwrap().plan;

        let drawn = graph(&plan);

        assert!(drawn.contains("  trigger --> step_revoke\n"), "{drawn}");
        assert!(drawn.contains("  step_block --> step_reset\n"), "{drawn}");
        assert!(drawn.contains("when incident.stage in [#quot;confirmed#quot;"), "{drawn}");
    }
}
