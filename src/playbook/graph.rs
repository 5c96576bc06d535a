//! A plan as a picture: a Mermaid flowchart, which code hosts and editors draw.

use std::fmt::Write as _;

use crate::model::plan::{Does, Plan, PlanStep, Trigger};

/// Solid arrows are `after`, dotted ones outputs that are used. What depends on nothing starts at once.
pub(crate) fn graph(plan: &Plan) -> String {
    let mut out = String::from("flowchart TD\n");
    let triggers: Vec<String> = plan.triggers.iter().map(|t| trigger(*t)).collect();
    // Writing to a string cannot fail.
    _ = writeln!(out, "  trigger([\"{}\"])", triggers.join("<br/>"));
    for step in &plan.steps {
        _ = writeln!(out, "  step_{}[\"{}\"]", step.id, label(step));
    }
    for step in &plan.steps {
        let id = &step.id;
        if step.after.is_empty() && step.reads.is_empty() {
            _ = writeln!(out, "  trigger --> step_{id}");
        }
        for earlier in &step.after {
            _ = writeln!(out, "  step_{earlier} --> step_{id}");
        }
        for earlier in step.reads.iter().filter(|earlier| !step.after.contains(earlier)) {
            _ = writeln!(out, "  step_{earlier} -.-> step_{id}");
        }
    }
    out
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
