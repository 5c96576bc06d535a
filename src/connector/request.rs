//! Builds the request of a call: values in, bytes out. Pure, so that every request is tested without a network.
//!
//! Inputs may be hostile. Each fills one percent-encoded path segment, one encoded query
//! value, one header without control characters, or one JSON value; none can leave it.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

use super::expr::{self, ExprError};
use super::manifest::{Action, Connector, Method, Recognised};
use crate::model::time::{Time, rfc3339};

/// What RFC 3986 calls unreserved stays; everything else is encoded.
pub(super) const VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a request could not be built. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BuildError {
    #[error(transparent)]
    Expression(#[from] ExprError),
    #[error("`{0}` cannot stand in a path")]
    Segment(String),
    #[error("the header `{0}` cannot hold this value")]
    Header(String),
    #[error("`{0}` must be a text, a number or a flag")]
    NotScalar(String),
    #[error("the path is not readable: {0}")]
    Path(String),
}

/// Everything that one call knows.
#[derive(Debug, Clone)]
pub(crate) struct Given<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) action: &'a Action,
    pub(crate) settings: &'a Value,
    pub(crate) inputs: Map<String, Value>,
    pub(crate) key: &'a str,
    pub(crate) sent_at: Time,
    /// The password that `generate_password()` gives, if one was made for this call.
    pub(crate) password: Option<&'a str>,
}

/// A request, before the connection adds its base URL and its credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    /// Path and query, encoded.
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Given<'_> {
    /// What request expressions see.
    pub(crate) fn context(&self) -> Result<Value, ExprError> {
        let mut ctx = json!({
            "inputs": self.inputs,
            "account": self.account(),
            "settings": self.settings,
            "key": self.key,
            "sent_at": rfc3339(self.sent_at),
        });
        let mut bindings = Map::new();
        for (name, expression) in &self.action.bindings {
            bindings.insert(name.clone(), expr::evaluate_strict(expression, &ctx)?);
        }
        ctx["let"] = Value::Object(bindings);
        Ok(ctx)
    }

    /// The account that the call is about: its own input, or that of its factor. Every field is there.
    pub(crate) fn account(&self) -> Value {
        let mut account = json!({"connection": "", "id": "", "login": "", "name": "",
            "status": "", "authority": "cloud", "privileged": false});
        if let Some(Value::Object(own)) = account_of(&self.inputs) {
            for (name, value) in own.iter().filter(|(_, value)| !value.is_null()) {
                account[name] = value.clone();
            }
        }
        account
    }
}

/// The account among a call's inputs.
pub(crate) fn account_of(inputs: &Map<String, Value>) -> Option<&Value> {
    inputs.get("account").or_else(|| inputs.get("factor")?.get("account"))
}

/// Whether the action's request holds a password that is made for each call.
pub(crate) fn makes_password(action: &Action) -> bool {
    action
        .request
        .json
        .as_ref()
        .is_some_and(|json| json.to_string().contains("generate_password()"))
}

/// Builds the request.
pub(crate) fn build(given: &Given<'_>) -> Result<Prepared, BuildError> {
    let ctx = given.context()?;
    let request = &given.action.request;
    let mut path = path(&request.path, &ctx)?;
    let query = query(&request.query, &ctx)?;
    if !query.is_empty() {
        path.push('?');
        path.push_str(&query);
    }
    let mut headers = headers(given, &ctx)?;
    let body = body(given, ctx, &mut headers)?;
    Ok(Prepared { method: request.method, path, headers, body })
}

/// The names in the braces of a path, in order.
pub(crate) fn placeholders(path: &str) -> impl Iterator<Item = Result<&str, String>> {
    path.split('{').skip(1).map(move |part| match part.split_once('}') {
        Some((name, _)) if !name.is_empty() => Ok(name),
        _ => Err(format!("`{path}` has an open brace")),
    })
}

fn path(template: &str, ctx: &Value) -> Result<String, BuildError> {
    let (first, rest) = template.split_once('{').map_or((template, None), |(a, b)| (a, Some(b)));
    let mut out = first.to_owned();
    for part in rest.into_iter().flat_map(|rest| rest.split('{')) {
        let (name, literal) =
            part.split_once('}').ok_or_else(|| BuildError::Path(template.to_owned()))?;
        let value = scalar(name, placeholder(name, ctx))?;
        // `.` and `..` would be read as steps in the tree, encoded or not.
        if value.is_empty() || value.chars().all(|c| c == '.') {
            return Err(BuildError::Segment(name.to_owned()));
        }
        out.extend(utf8_percent_encode(&value, VALUE));
        out.push_str(literal);
    }
    Ok(out)
}

fn placeholder<'a>(name: &str, ctx: &'a Value) -> &'a Value {
    let root = match name.split('.').next() {
        Some("let" | "settings") => ctx,
        _ => &ctx["inputs"],
    };
    name.split('.').fold(root, |value, key| &value[key])
}

fn scalar(name: &str, value: &Value) -> Result<String, BuildError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(BuildError::NotScalar(name.to_owned())),
    }
}

fn query(template: &BTreeMap<String, Value>, ctx: &Value) -> Result<String, BuildError> {
    let mut pairs = Vec::new();
    for (name, value) in template {
        if let Some(value) = expr::render(value, ctx)? {
            let value = scalar(name, &value)?;
            pairs.push(format!("{name}={}", utf8_percent_encode(&value, VALUE)));
        }
    }
    Ok(pairs.join("&"))
}

fn headers(given: &Given<'_>, ctx: &Value) -> Result<BTreeMap<String, String>, BuildError> {
    let mut out: BTreeMap<String, String> = given
        .connector
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .collect();
    for (name, value) in &given.action.request.headers {
        if let Some(value) = expr::render(value, ctx)? {
            out.insert(name.to_lowercase(), scalar(name, &value)?);
        }
    }
    if let Some(Recognised::Header(name)) = &given.action.request.idempotency_key {
        out.insert(name.to_lowercase(), given.key.to_owned());
    }
    out.entry("accept".into()).or_insert_with(|| "application/json".into());
    match out.iter().find(|(_, value)| http::HeaderValue::from_str(value).is_err()) {
        Some((name, _)) => Err(BuildError::Header(name.clone())),
        None => Ok(out),
    }
}

fn body(
    given: &Given<'_>,
    mut ctx: Value,
    headers: &mut BTreeMap<String, String>,
) -> Result<Bytes, BuildError> {
    if let Some(password) = given.password {
        ctx[expr::PASSWORD] = Value::String(password.to_owned());
    }
    let request = &given.action.request;
    if let Some(template) = &request.json {
        let json = expr::render(template, &ctx)?.unwrap_or_default();
        headers.insert("content-type".into(), "application/json".into());
        return Ok(Bytes::from(json.to_string()));
    }
    if let Some(template) = &request.form {
        headers.insert("content-type".into(), "application/x-www-form-urlencoded".into());
        return Ok(Bytes::from(query(template, &ctx)?));
    }
    Ok(Bytes::new())
}

#[cfg(test)]
mod tests;
