//! The whole way: text → document → draft → rules → plan.

use std::sync::Arc;

use super::digest::digest;
use super::{document, resolve, rules, shape};
use crate::diagnostic::{self, Diagnostic, Source};
use crate::model::action::Signatures;
use crate::model::id::PlanDigest;
use crate::model::plan::Plan;

/// A playbook that every rule is content with. Only [`check`] makes one.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) plan: Plan,
    pub(crate) digest: PlanDigest,
    pub(crate) source: Arc<Source>,
}

/// Checks a playbook's text; `path` is what people know it by. Gives every problem at once, in
/// file order.
pub(crate) fn check(
    path: &str,
    text: &str,
    signatures: &Signatures,
) -> Result<Checked, Vec<Diagnostic>> {
    let source = Source::new(path, text);
    let (root, mut problems) = document::parse(&source);
    let Some(root) = root else {
        diagnostic::sort(&mut problems);
        return Err(problems);
    };
    let draft = shape::read(&source, &root, &mut problems);
    rules::apply(&draft, signatures, &mut problems);
    if problems.is_empty()
        && let Some(plan) = resolve::plan(&draft)
    {
        let digest = digest(&plan);
        return Ok(Checked { plan, digest, source });
    }
    diagnostic::sort(&mut problems);
    Err(problems)
}
