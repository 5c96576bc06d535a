//! The whole way: text → document → draft → rules → plan.

use std::sync::Arc;

use super::digest::digest;
use super::library::{Library, Visit};
use super::{document, resolve, rules, shape};
use crate::diagnostic::{self, Diagnostic, Source};
use crate::model::action::Signatures;
use crate::model::id::PlanDigest;
use crate::model::plan::Plan;

/// A playbook that every rule is content with. Only the check makes one.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) plan: Plan,
    pub(crate) digest: PlanDigest,
    pub(crate) source: Arc<Source>,
    /// The texts of the playbooks that it calls, directly or not, each once.
    pub(crate) called: Vec<Arc<Source>>,
}

impl Checked {
    /// All that the plan was made of: the text, and behind it as comments those that it calls. What
    /// people read before they publish, and what is compared with what was published.
    pub(crate) fn whole_text(&self) -> String {
        let mut whole = self.source.text.clone();
        for source in &self.called {
            if !whole.ends_with('\n') {
                whole.push('\n');
            }
            whole.extend(["\n", CALLED, &source.path, "\n"]);
            for line in source.text.lines() {
                whole.push_str(format!("# {line}").trim_end());
                whole.push('\n');
            }
        }
        whole
    }
}

/// Begins each text of a called playbook.
const CALLED: &str = "# called: ";

/// The playbook's own part of [`Checked::whole_text`].
pub(crate) fn own_text(whole: &str) -> String {
    let marked = format!("\n\n{CALLED}");
    // What is behind is comments and nothing else; an author's own comment may look like its beginning.
    let comments = |at: &usize| whole[*at..].lines().all(|l| l.is_empty() || l.starts_with('#'));
    let behind = whole.match_indices(&marked).map(|(at, _)| at).find(comments);
    behind.map_or_else(|| whole.to_owned(), |at| whole[..=at].to_owned())
}

impl Library {
    /// Checks a playbook's text; `path` is what people know it by. Gives every problem at once, in
    /// file order.
    pub(crate) fn check(
        &self,
        path: &str,
        text: &str,
        signatures: &Signatures,
    ) -> Result<Checked, Vec<Diagnostic>> {
        check_in(&mut Visit::new(self, signatures), &Source::new(path, text))
    }
}

/// Checks one playbook of a chain of calls.
pub(super) fn check_in(
    visit: &mut Visit<'_>,
    source: &Arc<Source>,
) -> Result<Checked, Vec<Diagnostic>> {
    let (root, mut problems) = document::parse(source);
    let Some(root) = root else {
        diagnostic::sort(&mut problems);
        return Err(problems);
    };
    let draft = shape::read(source, &root, &mut problems);
    let called = visit.called(&draft);
    rules::apply(&draft, visit.signatures, &called, &mut problems);
    if problems.is_empty()
        && let Some(plan) = resolve::plan(&draft, &called)
    {
        let digest = digest(&plan);
        let called = called.sources();
        return Ok(Checked { plan, digest, source: Arc::clone(source), called });
    }
    diagnostic::sort(&mut problems);
    Err(problems)
}

/// Checks a playbook that calls no other.
#[cfg(test)]
pub(crate) fn check(
    path: &str,
    text: &str,
    signatures: &Signatures,
) -> Result<Checked, Vec<Diagnostic>> {
    Library::default().check(path, text, signatures)
}
