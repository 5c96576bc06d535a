//! The rules that manifests must keep among themselves; types alone cannot say them.
//!
//! Pure: a catalogue in, problems out.

use serde_json::Value;

use super::catalogue::{Catalogue, Described};
use super::expr;
use super::manifest::{Action, Look, Output, Recognised, Rule, Verify};
use super::request::placeholders;
use crate::model::action::{Effect, Repeat, ValueType};

/// Every problem, each beginning with the file it is in.
pub(crate) fn catalogue(catalogue: &Catalogue) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, described) in &catalogue.connectors {
        if !described.actions.contains_key(&described.manifest.probe.action) {
            problems.push(format!("{name}/connector.yaml: the probe names no action"));
        }
        for action in described.actions.values() {
            let mut found = Vec::new();
            against_capability(catalogue, action, &mut found);
            among_actions(described, action, &mut found);
            promises(action, &mut found);
            request(action, &mut found);
            expressions(action, &mut found);
            let file = format!("{name}/{}.yaml", action.action);
            problems.extend(found.into_iter().map(|problem| format!("{file}: {problem}")));
        }
    }
    problems
}

fn against_capability(catalogue: &Catalogue, action: &Action, found: &mut Vec<String>) {
    let Some(name) = &action.implements else { return };
    let Some(capability) = catalogue.capabilities.get(name) else {
        return found.push(format!("there is no capability `{name}`"));
    };
    if capability.effect != action.effect {
        found.push(format!("`{name}` has the effect {:?}", capability.effect));
    }
    for (input, declared) in &capability.inputs {
        match action.inputs.get(input) {
            None => found.push(format!("`{name}` has an input `{input}`, this has not")),
            Some(own) if own.kind != declared.kind => {
                found.push(format!("the input `{input}` must be a {}", declared.kind.name()));
            }
            Some(_) => {}
        }
    }
    for (input, own) in &action.inputs {
        if own.required && !capability.inputs.get(input).is_some_and(|i| i.required) {
            found.push(format!("requires `{input}`, which `{name}` does not promise"));
        }
    }
    for output in capability.outputs.keys() {
        if !action.response.outputs.contains_key(output) {
            found.push(format!("`{name}` has an output `{output}`, this has not"));
        }
    }
}

fn among_actions(described: &Described, action: &Action, found: &mut Vec<String>) {
    let looks = [action.already_so.as_ref(), action.find.as_ref(), proof(action)];
    for look in looks.into_iter().flatten() {
        match described.actions.get(&look.action) {
            None => found.push(format!("there is no action `{}`", look.action)),
            Some(read) if read.effect != Effect::Read => {
                found.push(format!("looks with `{}`, which is not a read", look.action));
            }
            Some(read) => {
                for input in look.inputs.keys() {
                    if !read.inputs.contains_key(input) {
                        found.push(format!("`{}` has no input `{input}`", look.action));
                    }
                }
            }
        }
    }
    if let Some(undo) = &action.undo
        && !described.actions.contains_key(undo)
    {
        found.push(format!("there is no action `{undo}` to undo it"));
    }
    for setting in &action.requires_settings {
        if !described.manifest.settings.contains_key(setting) {
            found.push(format!("connector.yaml declares no setting `{setting}`"));
        }
    }
}

fn proof(action: &Action) -> Option<&Look> {
    match &action.verify {
        Some(Verify::Look(look)) => Some(look),
        _ => None,
    }
}

fn promises(action: &Action, found: &mut Vec<String>) {
    if action.effect != Effect::Read && action.verify.is_none() {
        found.push("a change needs `verify`, or `verify: { none: reason }`".into());
    }
    if action.repeat == Repeat::Verify && action.find.is_none() {
        found.push("`repeat: verify` needs `find`".into());
    }
    if action.repeat == Repeat::Keyed && action.request.idempotency_key.is_none() {
        found.push("`repeat: keyed` needs `request.idempotency_key`".into());
    }
    if let Some(Recognised::Body(field)) = &action.request.idempotency_key
        && action.request.json.as_ref().is_none_or(|json| json.get(field).is_none())
    {
        found.push(format!("`request.json` has no field `{field}` to recognise a repetition by"));
    }
    if !action.response.unclear.is_empty() && action.already_so.is_none() {
        found.push("`response.unclear` needs `already_so`".into());
    }
    if action.effect == Effect::Contain && action.manual.is_none() {
        found.push("a containment action needs `manual`: what a person does without us".into());
    }
    for exclusion in &action.applies_to.exclude {
        if exclusion.not_applicable.is_some() == exclusion.elsewhere.is_some() {
            found.push("an exclusion says either `not_applicable` or `elsewhere`".into());
        }
    }
    let bodies = [action.request.json.is_some(), action.request.form.is_some()];
    if bodies == [true, true] {
        found.push("a request has `json` or `form`, not both".into());
    }
}

fn request(action: &Action, found: &mut Vec<String>) {
    let path = &action.request.path;
    if !(path.is_empty() || path.starts_with('/')) || path.contains(['?', '#']) {
        found.push("`request.path` is empty or starts with `/`, and holds no query".into());
    }
    let names: Result<Vec<_>, _> = placeholders(&action.request.path).collect();
    match names {
        Err(why) => found.push(why),
        Ok(names) => {
            for name in names {
                let (head, rest) = name.split_once('.').unwrap_or((name, ""));
                let known = match head {
                    "let" => action.bindings.contains_key(rest),
                    "settings" => action.requires_settings.iter().any(|s| s == rest),
                    input => action.inputs.contains_key(input),
                };
                if !known {
                    found.push(format!("`request.path` names `{name}`, which is not declared"));
                }
            }
        }
    }
    for (name, value) in &action.request.query {
        // A value pasted into a query language must pass the filter that keeps it a value.
        if let Value::String(text) = value
            && expr::whole(text).is_none()
            && text.split("{{").skip(1).any(|part| !part.split("}}").next().is_some_and(quoted))
        {
            found.push(format!(
                "`query.{name}` pastes a value: filter it (odata, scim, encoded_query)"
            ));
        }
    }
}

fn quoted(expression: &str) -> bool {
    let last = expression.rsplit('|').next().map(str::trim).unwrap_or_default();
    expression.contains('|') && ["odata", "scim", "encoded_query"].contains(&last)
        || expression.trim().starts_with("sent_at")
        || expression.trim() == "key"
}

fn expressions(action: &Action, found: &mut Vec<String>) {
    let mut bare: Vec<&str> = action.bindings.values().map(String::as_str).collect();
    let response = &action.response;
    let rules = [
        &response.done,
        &response.unchanged,
        &response.unclear,
        &response.refused,
        &response.retry,
        &response.connection_fault,
    ];
    bare.extend(rules.into_iter().flatten().filter_map(|rule| match rule {
        Rule::When { when, .. } => Some(when.as_str()),
        Rule::Status(_) => None,
    }));
    bare.extend(response.complete.as_deref());
    for output in response.outputs.values() {
        match output {
            Output::Value(e) => bare.push(e),
            Output::Each { each, fields, when } => {
                bare.push(each);
                bare.extend(fields.values().map(String::as_str));
                bare.extend(when.as_deref());
            }
        }
    }
    if let Some(paging) = &response.paging {
        bare.extend([paging.items.as_str(), paging.next.as_str()]);
    }
    for look in
        [action.already_so.as_ref(), action.find.as_ref(), proof(action)].into_iter().flatten()
    {
        bare.extend(look.inputs.values().chain(look.outputs.values()).map(String::as_str));
        bare.push(&look.expect);
        if look.expect.contains("not ") {
            found.push(
                "an expectation compares with `==`: a missing field must not prove it".into(),
            );
        }
    }
    if bare.iter().any(|e| e.contains(" is sequence") || e.contains(" is iterable")) {
        found.push("write `is list`: `sequence` and `iterable` hold for what is missing".into());
    }
    found.extend(bare.into_iter().filter_map(|e| expr::check(e).err()).map(|e| e.to_string()));
    let mut texts = Vec::new();
    action.request.query.values().for_each(|v| strings(v, &mut texts));
    action.request.headers.values().for_each(|v| strings(v, &mut texts));
    action.request.json.iter().for_each(|v| strings(v, &mut texts));
    texts.extend(action.manual.as_deref());
    found.extend(
        texts.into_iter().filter_map(|t| expr::check_template(t).err()).map(|e| e.to_string()),
    );
    if action.inputs.values().any(|input| input.kind == ValueType::Any && input.required) {
        found.push("a required input needs a type".into());
    }
}

fn strings<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter().for_each(|v| strings(v, out)),
        Value::Object(fields) => fields.values().for_each(|v| strings(v, out)),
        _ => {}
    }
}
