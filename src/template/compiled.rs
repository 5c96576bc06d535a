//! Expressions compiled once and kept: a run asks the same few again and again.
//!
//! A plain path such as `incident.stage` is looked up without the engine; for everything else
//! only the names that the expression mentions are converted, not all that it could see.

use minijinja::value::{Serde, Value as Native};
use minijinja::{Environment, Error, Expression};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Most expressions that are kept. Playbooks and manifests have a few hundred; what a person
/// tries out in between must not stay for good.
const KEPT: usize = 8_192;

/// Where an expression finds what its names stand for.
pub(crate) trait Roots {
    /// The value of a root name; `None` if there is no such name.
    fn root(&self, name: &str) -> Option<&Value>;
}

impl Roots for Value {
    fn root(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }
}

/// What an expression came to.
pub(crate) enum Came {
    /// The value at a plain path.
    Found(Value),
    Computed(Native),
}

/// The expressions of one engine.
pub(crate) struct Expressions {
    engine: &'static Environment<'static>,
    /// Names that are there although no expression mentions them.
    always: &'static [&'static str],
    kept: RwLock<HashMap<Box<str>, Arc<Compiled>>>,
}

/// An expression that can be evaluated.
struct Compiled {
    expression: Expression<'static, 'static>,
    roots: Vec<String>,
    /// The parts of a plain path.
    path: Option<Vec<String>>,
}

impl Expressions {
    pub(crate) fn new(engine: &'static Environment<'static>) -> Self {
        Self { engine, always: &[], kept: RwLock::default() }
    }

    /// The same, with names that the engine's functions look up.
    pub(crate) fn seeing(self, always: &'static [&'static str]) -> Self {
        Self { always, ..self }
    }

    /// Evaluates `text`. `admit` is asked before a text is compiled for the first time.
    pub(crate) fn evaluate<E: From<Error>>(
        &self,
        text: &str,
        roots: &dyn Roots,
        admit: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<Came, E> {
        let compiled = self.compiled(text, admit)?;
        if let Some(found) = compiled.path.as_ref().and_then(|path| look_up(path, roots)) {
            return Ok(Came::Found(found.clone()));
        }
        let mentioned = compiled.roots.iter().map(String::as_str);
        let seen = mentioned
            .chain(self.always.iter().copied())
            .filter_map(|name| Some((name, Native::from(Serde(roots.root(name)?)))));
        Ok(Came::Computed(compiled.expression.eval(Native::from_pairs(seen))?))
    }

    fn compiled<E: From<Error>>(
        &self,
        text: &str,
        admit: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<Arc<Compiled>, E> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(text).cloned();
        if let Some(compiled) = kept {
            return Ok(compiled);
        }
        admit(text)?;
        let expression = self.engine.compile_expression_owned(text.to_owned())?;
        // The engine's own list leaves out what is sliced, so ours is added.
        let mut roots = expression.undeclared_variables(false);
        let mentioned = super::names::names(text).into_iter();
        roots.extend(mentioned.filter_map(|name| name.part(0).map(str::to_owned)));
        let roots = roots.into_iter().collect();
        let compiled = Arc::new(Compiled { expression, roots, path: plain_path(text) });
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(text.into(), compiled.clone());
        Ok(compiled)
    }
}

/// `incident.stage` as its parts; `None` for anything that has to be computed.
fn plain_path(text: &str) -> Option<Vec<String>> {
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !super::names::WORDS.contains(&part)
    };
    let parts: Vec<String> = text.trim().split('.').map(str::to_owned).collect();
    parts.iter().all(|part| word(part)).then_some(parts)
}

fn look_up<'r>(path: &[String], roots: &'r dyn Roots) -> Option<&'r Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(roots.root(first)?, |value, part| value.as_object()?.get(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_seen_wherever_it_stands() {
        static ENGINE: std::sync::LazyLock<Environment<'static>> =
            std::sync::LazyLock::new(Environment::new);
        let known = Expressions::new(&ENGINE);
        let fields = serde_json::json!({"a": "abc", "n": 2});

        let came = known.evaluate("'<' ~ a[:n] ~ '>'", &fields, |_| Ok::<(), Error>(())).unwrap();

        assert!(matches!(came, Came::Computed(value) if value.as_str() == Some("<ab>")));
    }

    #[test]
    fn only_plain_paths_go_without_the_engine() {
        assert_eq!(plain_path(" a.b_c ").unwrap(), ["a", "b_c"]);
        for text in ["a[0]", "a.0", "not.a", "true", "a | lower", "a.b()", "", "a..b", "a b"] {
            assert_eq!(plain_path(text), None, "{text}");
        }
    }
}
