//! Paths into a record: `actor.email`, `target[0].id`, `parameters[name=login_type].value`, `roles[]`.

use serde_json::Value;
use std::borrow::Cow;
use std::iter;

use super::super::json::{get, scalar};

/// Members longer than this are looked at no further: a record is its sender's to make.
const WIDE: usize = 512;

/// Where in a record a value stands. A path may lead to several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Under the element of `each`, and not under the record.
    of_item: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    /// The element at this place.
    Nth(usize),
    /// Every element.
    All,
    /// Elements whose member has this text.
    Where(String, String),
}

/// What a path is looked for in.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) record: &'v Value,
    pub(super) item: Option<&'v Value>,
}

impl Path {
    /// Reads a path as it is written. A name with a dot or a bracket in it stands in double quotes.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            rest = member(rest, &mut steps)?;
            while let Some(inside) = rest.strip_prefix('[') {
                let (inside, after) =
                    inside.split_once(']').ok_or_else(|| "a `[` is closed by no `]`".to_owned())?;
                steps.push(element(inside)?);
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return Err(format!("`{rest}` cannot follow there")),
            }
        }
        let of_item = matches!(steps.first(), Some(Step::Member(name)) if name == "item");
        if of_item {
            steps.remove(0);
        }
        Ok(Self { of_item, steps })
    }

    /// Every value that it leads to, in order.
    pub(super) fn find<'v>(&self, view: View<'v>) -> Vec<&'v Value> {
        let start = if self.of_item { view.item } else { Some(view.record) };
        let mut found: Vec<&Value> = start.into_iter().collect();
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.from(value)).collect();
            found.truncate(WIDE);
        }
        found
    }
}

fn member<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
    let (name, rest) = if let Some(quoted) = text.strip_prefix('"') {
        quoted.split_once('"').ok_or_else(|| "a `\"` is closed by no other".to_owned())?
    } else {
        text.split_at(text.find(['.', '[']).unwrap_or(text.len()))
    };
    if name.is_empty() {
        return Err("a name is missing".to_owned());
    }
    steps.push(Step::Member(name.to_owned()));
    Ok(rest)
}

fn element(inside: &str) -> Result<Step, String> {
    if inside.is_empty() {
        return Ok(Step::All);
    }
    if let Some((name, text)) = inside.split_once('=') {
        return Ok(Step::Where(name.trim().to_owned(), text.trim().to_owned()));
    }
    let nth = inside
        .parse()
        .map_err(|_| format!("`[{inside}]` is neither a place, nor empty, nor `[name=text]`"))?;
    Ok(Step::Nth(nth))
}

impl Step {
    fn from<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let elements = || value.as_array().into_iter().flatten().take(WIDE);
        match self {
            Self::Member(name) => get(value, name).into_iter().collect(),
            Self::Nth(nth) => value.get(*nth).into_iter().collect(),
            Self::All => elements().collect(),
            Self::Where(name, text) => {
                let is = |element: &&Value| {
                    let named = get(element, name).and_then(scalar);
                    named.is_some_and(|named| named.eq_ignore_ascii_case(text))
                };
                elements().filter(is).collect()
            }
        }
    }
}

/// What a value says: its own text, or those of its elements.
pub(super) fn texts(value: &Value) -> Box<dyn Iterator<Item = Cow<'_, str>> + '_> {
    match value {
        Value::Array(elements) => Box::new(elements.iter().take(WIDE).filter_map(scalar)),
        other => Box::new(iter::once(other).filter_map(scalar)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(path: &str) -> Vec<Value> {
        let record = json!({"Actor": {"email": "ana"}, "kibana.uuid": 7, "roles": ["a", "b"],
            "parameters": [{"name": "kind", "value": 1}, {"name": "Type", "value": 2}]});
        let item = json!({"name": "login"});
        let path = Path::parse(path).unwrap();
        path.find(View { record: &record, item: Some(&item) }).into_iter().cloned().collect()
    }

    #[test]
    fn a_path_leads_through_members_elements_and_the_item() {
        assert_eq!(found("actor.email"), [json!("ana")]);
        assert_eq!(found("\"kibana.uuid\""), [json!(7)]);
        assert_eq!(found("parameters[name=type].value"), [json!(2)]);
        assert_eq!(found("parameters[].value"), [json!(1), json!(2)]);
        assert_eq!(found("roles[1]"), [json!("b")]);
        assert_eq!(found("item.name"), [json!("login")]);
        assert_eq!(found("roles[name=a].b.c"), [] as [Value; 0]);
    }

    #[test]
    fn a_path_that_cannot_be_read_says_why() {
        for (path, why) in [
            ("", "a name is missing"),
            ("a..b", "a name is missing"),
            ("a[x", "a `[` is closed by no `]`"),
            ("a[x]", "`[x]` is neither a place"),
            ("a[0]b", "`b` cannot follow there"),
            ("\"a", "a `\"` is closed by no other"),
        ] {
            let told = Path::parse(path).unwrap_err();
            assert!(told.starts_with(why), "{path}: {told}");
        }
    }
}
