//! Draft → plan. Nothing can be wrong any more; a missing part gives no plan.

use serde_json::{Map, Number, Value};
use std::collections::BTreeSet;

use super::document::{Node, Yaml};
use super::draft::{Draft, Step};
use crate::model::id::{ConnectionId, PlaybookName};
use crate::model::plan::{AskRule, Does, Plan, PlanStep};
use crate::template::{self, Mention, Piece, Role};

pub(crate) fn plan(draft: &Draft) -> Option<Plan> {
    let text = |word: &super::draft::Word| word.text.clone();
    Some(Plan {
        name: PlaybookName::new(draft.name.as_ref().map(text)?),
        title: draft.title.as_ref().map(text).unwrap_or_default(),
        attack: draft.attack.iter().map(text).collect(),
        triggers: draft.triggers.iter().map(|trigger| trigger.value).collect(),
        also: draft.also,
        mode: draft.mode,
        steps: draft.steps.iter().map(step).collect::<Option<_>>()?,
    })
}

fn step(step: &Step) -> Option<PlanStep> {
    let bare = |word: &super::draft::Word| word.text.trim().to_owned();
    let mut after = Vec::new();
    for id in step.after.iter().map(|word| word.text.clone()) {
        if !after.contains(&id) {
            after.push(id);
        }
    }
    Some(PlanStep {
        id: step.name()?.to_owned(),
        does: does(step)?,
        for_each: step.for_each.as_ref().map(bare),
        when: step.when.as_ref().map(bare),
        after,
        reads: reads(step),
        on_error: step.on_error,
        expires: step.expires.as_ref().map(|span| span.value),
        approval: match &step.approval {
            None => None,
            Some(approval) => Some(AskRule {
                timeout: approval.timeout.as_ref()?.value,
                on_timeout: approval.on_timeout.as_ref().map(|c| c.value).unwrap_or_default(),
            }),
        },
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

fn json(node: &Node) -> Option<Value> {
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
fn reads(step: &Step) -> Vec<String> {
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
