//! The one renderer: problems as rustc shows them, then one line that counts them.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::collections::BTreeSet;

use super::{Diagnostic, Severity};

/// Whether to use terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Ansi,
}

/// All problems, each followed by an empty line, and the summary. Empty if there are none.
pub(crate) fn render(problems: &[Diagnostic], colour: Colour) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let renderer = match colour {
        Colour::Plain => Renderer::plain(),
        Colour::Ansi => Renderer::styled(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for problem in problems {
        out.push_str(&one(problem, &renderer));
        out.push_str("\n\n");
    }
    out.push_str(&summary(problems));
    out.push('\n');
    out
}

/// `3 errors in 2 files`.
pub(crate) fn summary(problems: &[Diagnostic]) -> String {
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let files: BTreeSet<&str> = problems.iter().map(|p| p.source.path.as_str()).collect();
    let mut parts = Vec::new();
    for (number, word) in [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")]
    {
        if number > 0 {
            parts.push(counted(number, word));
        }
    }
    format!("{} in {}", parts.join(" and "), counted(files.len(), "file"))
}

fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

fn one(problem: &Diagnostic, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut snippet = Snippet::source(problem.source.text.as_str())
        .path(problem.source.path.as_str())
        .annotation(
            AnnotationKind::Primary
                .span(problem.primary.at.clone())
                .label(problem.primary.text.as_str()),
        );
    for label in &problem.secondary {
        let at = AnnotationKind::Context.span(label.at.clone());
        snippet = snippet.annotation(at.label(label.text.as_str()));
    }
    let mut report =
        vec![level.primary_title(problem.message.as_str()).id(problem.code).element(snippet)];
    let explain = format!("run `quell explain {}`", problem.code);
    let help = match &problem.help {
        Some(help) => format!("{help}{}or {explain}", if help.ends_with('?') { " " } else { ", " }),
        None => explain,
    };
    report.push(annotate_snippets::Group::with_title(Level::HELP.secondary_title(help)));
    renderer.render(&report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;

    #[test]
    fn a_problem_looks_as_rustc_would_show_it() {
        let text = "playbook: x\nsteps:\n  - id: lookup\n    use: identity.get_user\n\n\n  - id: next\n    title: \"{{ steps.lookup.output.hostname }}\"\n";
        let source = Source::new("playbooks/x.yaml", text);
        let found = text.find("hostname").unwrap();
        let used = text.find("identity").unwrap();

        let problem = Diagnostic::error(
            "P014",
            &source,
            found..found + 8,
            "step `lookup` has no output `hostname`",
            "no such output",
        )
        .note(used..used + 17, "returns `id` and `login`")
        .help("use `steps.lookup.output.id`");

        insta::assert_snapshot!(render(&[problem], Colour::Plain), @"
        error[P014]: step `lookup` has no output `hostname`
         --> playbooks/x.yaml:8:36
          |
        4 |     use: identity.get_user
          |          ----------------- returns `id` and `login`
        ...
        8 |     title: \"{{ steps.lookup.output.hostname }}\"
          |                                    ^^^^^^^^ no such output
          |
        help: use `steps.lookup.output.id`, or run `quell explain P014`

        1 error in 1 file
        ");
    }

    #[test]
    fn the_last_line_counts_problems_and_files() {
        let problem =
            |path: &str| Diagnostic::error("P001", &Source::new(path, "x"), 0..1, "m", "l");

        assert_eq!(summary(&[problem("a"), problem("a"), problem("b")]), "3 errors in 2 files");
        assert_eq!(summary(&[problem("a")]), "1 error in 1 file");
    }

    #[test]
    fn a_span_outside_the_text_is_shown_at_its_end() {
        let problem =
            Diagnostic::error("P001", &Source::new("a.yaml", "é"), 1..99, "message", "label");

        assert!(render(&[problem], Colour::Plain).contains("a.yaml:1:1"));
    }
}
