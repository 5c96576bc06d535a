//! What every rule looks at: the draft, the signatures, and all expressions with their places.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::action::{Input, Signature, Signatures, ValueType};
use crate::playbook::document::{Node, Yaml};
use crate::playbook::draft::{Block, Draft, Step, Word};
use crate::playbook::fields::{self, Field};
use crate::playbook::library::Called;
use crate::template::{self, Mention, Piece, Role, TemplateError};

/// The name under which a playbook's own inputs are found.
pub(super) const INPUTS: &str = "inputs";

pub(super) struct Scope<'d> {
    pub(super) draft: &'d Draft,
    pub(super) signatures: &'d Signatures,
    pub(super) called: &'d Called,
    pub(super) expressions: Vec<Expression<'d>>,
    /// Templates that cannot be cut into pieces.
    pub(super) broken: Vec<(&'d Node, TemplateError)>,
}

/// One expression, in `when`, `for_each` or `switch`, or between braces.
pub(super) struct Expression<'d> {
    /// The step's place in the order.
    pub(super) order: usize,
    pub(super) step: &'d Step,
    /// `when`, `for_each` or `switch`; nothing for one between braces.
    pub(super) key: Option<&'static str>,
    pub(super) text: &'d str,
    node: &'d Node,
    offset: usize,
    /// Empty where the expression is not well-formed.
    pub(super) mentions: Vec<Mention>,
    pub(super) error: Option<TemplateError>,
}

impl<'d> Scope<'d> {
    pub(super) fn new(draft: &'d Draft, signatures: &'d Signatures, called: &'d Called) -> Self {
        let (expressions, broken) = (Vec::new(), Vec::new());
        let mut scope = Self { draft, signatures, called, expressions, broken };
        for (order, step) in draft.lines() {
            for (key, word) in step.expressions() {
                scope.add(order, step, Some(key), (&word.text, &word.node, 0));
            }
            for node in step.templates() {
                scope.add_template(order, step, node);
            }
        }
        scope
    }

    fn add_template(&mut self, order: usize, step: &'d Step, node: &'d Node) {
        let Yaml::Text(text) = &node.value else { return };
        match template::pieces(text) {
            Err(error) => self.broken.push((node, error)),
            Ok(pieces) => {
                for piece in pieces {
                    if let Piece::Expression(expression, at) = piece {
                        self.add(order, step, None, (expression, node, at.start));
                    }
                }
            }
        }
    }

    fn add(
        &mut self,
        order: usize,
        step: &'d Step,
        key: Option<&'static str>,
        (text, node, offset): (&'d str, &'d Node, usize),
    ) {
        let error = template::check(text).err();
        let mentions = if error.is_none() { template::names(text) } else { Vec::new() };
        self.expressions.push(Expression { order, step, key, text, node, offset, mentions, error });
    }

    /// The signature of what a step calls, if it is known.
    pub(super) fn signature(&self, step: &Step) -> Option<&'d Signature> {
        self.signatures.get(&step.action.as_ref()?.text)
    }

    /// Every step that calls something known.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&'d Step, &'d Word, &'d Signature)> {
        self.draft.steps.iter().filter_map(|step| {
            let action = step.action.as_ref()?;
            Some((step, action, self.signatures.get(&action.text)?))
        })
    }

    /// Every step that hands something over, with what the other side takes.
    pub(super) fn takers(
        &self,
    ) -> impl Iterator<Item = (&'d Step, &'d Word, &'d BTreeMap<String, Input>)> {
        self.draft.steps.iter().filter_map(|step| {
            let action = step.action.as_ref().and_then(|action| {
                Some((step, action, &self.signatures.get(&action.text)?.inputs))
            });
            let call = || Some((step, step.call.as_ref()?, &self.called.found(step)?.plan.inputs));
            action.or_else(call)
        })
    }

    /// The declared input that a path begins with: `inputs.NAME`.
    pub(super) fn input(&self, mention: &Mention) -> Option<&'d Input> {
        let name = mention.part(1).filter(|_| mention.part(0) == Some(INPUTS))?;
        self.draft.inputs.iter().find(|input| input.name.text == name).map(|input| &input.input)
    }

    /// Whether the block is the one at that place among the blocks.
    pub(super) fn is(&self, block: &Block, index: usize) -> bool {
        self.draft.blocks.get(index).is_some_and(|other| std::ptr::eq(other, block))
    }

    /// The source bytes of a part of an expression.
    pub(super) fn place(&self, expression: &Expression<'_>, part: &Range<usize>) -> Range<usize> {
        let part = part.start + expression.offset..part.end + expression.offset;
        expression.node.part(&self.draft.source, &part)
    }
}

impl Expression<'_> {
    /// What it uses as values.
    pub(super) fn values(&self) -> impl Iterator<Item = (usize, &Mention)> {
        self.mentions.iter().enumerate().filter(|(_, mention)| mention.role == Role::Name)
    }

    /// Whether the mention is only asked for: `alert is defined`.
    pub(super) fn only_asked(&self, n: usize) -> Option<Asked> {
        let (mention, test) = (self.mentions.get(n)?, self.mentions.get(n + 1)?);
        if test.role != Role::Test || !matches!(test.part(0), Some("defined" | "undefined")) {
            return None;
        }
        let between = self.text.get(mention.at.end..test.at.start)?;
        let words: Vec<&str> = between.split_whitespace().collect();
        match (words.as_slice(), test.part(0)) {
            (["is"], Some("defined")) => Some(Asked::Defined),
            (["is"] | ["is", "not"], _) => Some(Asked::Otherwise),
            _ => None,
        }
    }
}

/// How an expression asks whether a name is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Defined,
    Otherwise,
}

/// What `for_each` goes over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Over {
    /// No `for_each`.
    Nothing,
    /// A list of these.
    Items(Field),
    /// Something that is no list.
    NoList(Field),
    /// Only the run will show.
    Unknown,
}

/// Filters that leave a list a list of the same things.
const KEEPING: &[&str] =
    &["list", "reject", "rejectattr", "select", "selectattr", "sort", "unique"];

pub(super) fn over(step: &Step) -> Over {
    let Some(word) = &step.for_each else { return Over::Nothing };
    let text = word.text.trim();
    let mentions = template::names(text);
    let Some(first) = mentions.first().filter(|m| m.role == Role::Name && m.at.start == 0) else {
        return Over::Unknown;
    };
    let rest = text[first.at.end..].trim_start();
    let keeps = mentions
        .iter()
        .filter(|m| m.role == Role::Filter)
        .all(|m| m.part(0).is_some_and(|name| KEEPING.contains(&name)));
    if !(rest.is_empty() || rest.starts_with('|') && keeps) {
        return Over::Unknown;
    }
    match first.part(0).and_then(fields::root).map(|root| follow(root, first)) {
        Some(Ok(Field::List(item))) => Over::Items(*item),
        None | Some(Ok(Field::Value(ValueType::Any)) | Err(_)) => Over::Unknown,
        Some(Ok(other)) => Over::NoList(other),
    }
}

/// Follows a mention's path from its root.
pub(super) fn follow(root: Field, mention: &Mention) -> Result<Field, (usize, Field)> {
    root.follow(mention.parts.iter().skip(1).map(|(part, _)| part.as_str()))
}
