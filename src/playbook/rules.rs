//! The rules, one file for each thing that can be wrong. A rule looks and complains; it changes nothing.
//!
//! Rules pass over what another rule has complained about, so that one slip
//! gives one problem.

mod actions;
mod after;
mod approvals;
mod calls;
mod cases;
mod choices;
mod declared;
mod guards;
mod holds;
mod ids;
mod inputs;
mod items;
mod names;
mod outputs;
mod ratified;
mod reachable;
mod results;
mod scope;
mod secrets;
mod syntax;
mod types;
mod watched;

use super::draft::Draft;
use super::library::Called;
use crate::diagnostic::Diagnostic;
use crate::model::action::Signatures;
use scope::Scope;

pub(crate) use ids::spelled;

type Rule = fn(&Scope<'_>, &mut Vec<Diagnostic>);

const RULES: &[Rule] = &[
    ids::check,
    actions::check,
    inputs::check,
    types::check,
    syntax::check,
    names::check,
    outputs::check,
    choices::check,
    guards::check,
    secrets::check,
    after::check,
    results::check,
    cases::check,
    calls::check,
    declared::check,
    items::check,
    reachable::check,
    holds::check,
    approvals::check,
    ratified::check,
    watched::check,
];

pub(super) fn apply(
    draft: &Draft,
    signatures: &Signatures,
    called: &Called,
    problems: &mut Vec<Diagnostic>,
) {
    let scope = Scope::new(draft, signatures, called);
    for rule in RULES {
        rule(&scope, problems);
    }
}
