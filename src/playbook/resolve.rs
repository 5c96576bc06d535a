//! Draft → plan. Nothing can be wrong any more; a missing part gives no plan.

use serde_json::{Map, Number, Value};
use std::collections::BTreeSet;

use super::document::{Node, Yaml};
use super::draft::{Draft, Step, Word};
use super::inline::inline;
use super::library::Called;
use crate::model::id::{ConnectionId, PlaybookName};
use crate::model::plan::{AskRule, Block, Does, Form, Place, Plan, PlanStep, RatifyRule, Within};
use crate::template::{self, Mention, Piece, Role};

pub(super) fn plan(draft: &Draft, called: &Called) -> Option<Plan> {
    let text = |word: &Word| word.text.clone();
    let mut blocks = draft.blocks.iter().map(|b| block(draft, b)).collect::<Option<Vec<_>>>()?;
    let (mut steps, mut last, mut own_last) = (Vec::new(), Vec::new(), Vec::new());
    // Who calls a playbook that wants a long watch wants it too.
    let mut watch = draft.watch.as_ref().map(|span| span.value);
    for one in &draft.steps {
        let place = place(draft, one)?;
        let into = if one.finally { &mut own_last } else { &mut steps };
        if one.call.is_none() {
            into.push(step(one, place)?);
            continue;
        }
        let other = called.found(one)?;
        watch = watch.max(other.plan.watch);
        let inlined = inline(one, place, other)?;
        into.extend(inlined.steps);
        blocks.extend(inlined.blocks);
        last.extend(inlined.last);
    }
    steps.extend(last.into_iter().chain(own_last));
    Some(Plan {
        name: PlaybookName::new(draft.name.as_ref().map(text)?),
        title: draft.title.as_ref().map(text).unwrap_or_default(),
        attack: draft.attack.iter().map(text).collect(),
        triggers: draft.triggers.iter().map(|trigger| trigger.value).collect(),
        also: draft.also,
        mode: draft.mode,
        watch,
        inputs: draft.inputs.iter().map(|i| (i.name.text.clone(), i.input.clone())).collect(),
        blocks,
        steps,
    })
}

fn block(draft: &Draft, block: &super::draft::Block) -> Option<Block> {
    let head = &block.head;
    let names = block.branches.iter().map(|branch| branch.name.clone()).collect();
    let form = match &head.switch {
        None => Form::Parallel { branches: names },
        Some(on) => Form::Switch { on: bare(Some(on))?, cases: names },
    };
    Some(Block {
        id: head.name()?.to_owned(),
        place: place(draft, head)?,
        form,
        when: bare(head.when.as_ref()),
        after: after(head),
        reads: reads(head),
    })
}

fn place(draft: &Draft, step: &Step) -> Option<Place> {
    let within = match step.within.last() {
        None => None,
        Some(within) => Some(Within {
            block: draft.blocks.get(within.block)?.head.name()?.to_owned(),
            branch: within.branch.clone(),
        }),
    };
    Some(Place { within, finally: step.finally })
}

pub(super) fn bare(word: Option<&Word>) -> Option<String> {
    word.map(|word| word.text.trim().to_owned())
}

pub(super) fn after(step: &Step) -> Vec<String> {
    let mut after = Vec::new();
    for id in step.after.iter().map(|word| word.text.clone()) {
        if !after.contains(&id) {
            after.push(id);
        }
    }
    after
}

fn step(step: &Step, place: Place) -> Option<PlanStep> {
    Some(PlanStep {
        id: step.name()?.to_owned(),
        place,
        does: does(step)?,
        for_each: bare(step.for_each.as_ref()),
        when: bare(step.when.as_ref()),
        after: after(step),
        reads: reads(step),
        on_error: step.on_error,
        expires: step.expires.as_ref().map(|span| span.value),
        approval: match &step.approval {
            None => None,
            Some(approval) => Some(AskRule {
                timeout: approval.timeout.as_ref()?.value,
                on_timeout: approval.on_timeout.as_ref().map(|c| c.value).unwrap_or_default(),
                quorum: approval.quorum.as_ref().map_or(0, |q| q.value),
            }),
        },
        ratify: step.ratify.as_ref().map(|ratify| RatifyRule {
            timeout: ratify.timeout.as_ref().map(|span| span.value),
            quorum: ratify.quorum.as_ref().map_or(0, |q| q.value),
        }),
        deadline: step.deadline.as_ref().map(|span| span.value),
    })
}

fn does(step: &Step) -> Option<Does> {
    if let Some(action) = &step.action {
        let with = step.with.iter().map(|e| Some((e.key.clone(), json(&e.value)?)));
        return Some(Does::Use {
            name: action.text.clone(),
            connection: step.connection.as_ref().map(|word| ConnectionId::new(&*word.text)),
            with: with.collect::<Option<_>>()?,
        });
    }
    if let Some(wait) = &step.wait {
        return Some(Does::Wait(wait.value));
    }
    step.ask.as_ref().map(|message| Does::Ask { message: message.text.clone() })
}

pub(super) fn json(node: &Node) -> Option<Value> {
    Some(match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::Integer(value) => Value::from(*value),
        Yaml::Number(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Yaml::Text(value) => Value::String(value.clone()),
        Yaml::List(items) => Value::Array(items.iter().map(json).collect::<Option<_>>()?),
        Yaml::Map(entries) => {
            let fields = entries.iter().map(|e| Some((e.key.clone(), json(&e.value)?)));
            Value::Object(fields.collect::<Option<Map<_, _>>>()?)
        }
        Yaml::Broken => return None,
    })
}

/// The steps whose results the step uses, in order of their ids.
pub(super) fn reads(step: &Step) -> Vec<String> {
    let mut ids = BTreeSet::new();
    let mut note = |expression: &str| {
        for mention in template::names(expression) {
            ids.extend(step_read(&mention));
        }
    };
    for (_, word) in step.expressions() {
        note(&word.text);
    }
    for node in step.templates() {
        let Yaml::Text(text) = &node.value else { continue };
        for piece in template::pieces(text).unwrap_or_default() {
            if let Piece::Expression(expression, _) = piece {
                note(expression);
            }
        }
    }
    ids.into_iter().collect()
}

fn step_read(mention: &Mention) -> Option<String> {
    (mention.role == Role::Name && mention.part(0) == Some("steps"))
        .then(|| mention.part(1).map(str::to_owned))
        .flatten()
}
