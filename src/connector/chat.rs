//! The filters that keep text inside what chat, cards and pages show. Whoever wrote it, it is shown and does nothing.
//!
//! Pure. Manifests of the channels use these on every text that comes from outside them.

use minijinja::value::{Serde, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::{Value, json};
use url::Url;

use crate::model::text::quiet;

/// Longest text that any channel is given.
const LONGEST: usize = 4_000;
/// Lines of one card; what is longer stands behind the link.
const LINES: usize = 40;

/// Adds the filters.
pub(super) fn register(env: &mut Environment<'_>) {
    env.add_filter("inert", |text: &str| quiet(text, LONGEST));
    env.add_filter("slack", |text: &str| slack(text));
    env.add_filter("card_lines", |text: &str| Jinja::from(Serde(card_lines(text))));
    env.add_filter("web", web);
    env.add_filter("host", |text: &str| web(text).map(|url| host(&url)));
}

/// Text for where Slack reads its own markup: the three characters that begin a mention or a link are escaped.
/// What is merely bold or code there is switched off by the message (`mrkdwn: false`).
fn slack(text: &str) -> String {
    quiet(text, LONGEST).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Each line as a block of an Adaptive Card. A `TextRun` knows no Markdown; only the card's own `{{DATE()}}`
/// would be read.
fn card_lines(text: &str) -> Value {
    let text = apart(&quiet(text, LONGEST));
    let lines = text.lines().filter(|line| !line.trim().is_empty()).take(LINES);
    let block = |line: &str| json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line}]});
    Value::Array(lines.map(block).collect())
}

/// No brace stands behind a brace or a `$`.
fn apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        if (c == '{' && matches!(before, '{' | '$')) || (c == '}' && before == '}') {
            out.push(' ');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A web address that can stand in markup: parsed and written anew, so that nothing in it ends the link.
fn web(text: &str) -> Result<String, Error> {
    let refuse = || Error::new(ErrorKind::InvalidOperation, "the link is no web address");
    let url = Url::parse(text).map_err(|_| refuse())?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || !plain {
        return Err(refuse());
    }
    let text = url.to_string();
    if text.contains(['<', '>', '|', '"', '`', '\\']) || text.contains(char::is_whitespace) {
        return Err(refuse());
    }
    Ok(text)
}

fn host(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
