//! YAML as nodes that know where they stand.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Options, Spanned};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::unquoted;
use crate::diagnostic::{Diagnostic, Source};

/// Largest playbook, in bytes.
pub(crate) const PLAYBOOK_MAX: usize = 256 * 1024;

/// Deepest nesting. A step's `with` needs four or five.
const DEPTH_MAX: usize = 24;

/// A YAML value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Range<usize>,
    pub(crate) value: Yaml,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already complained about: every rule passes over it.
    Broken,
}

/// One `key: value`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Integer(_) => "an integer",
            Yaml::Number(_) => "a number",
            Yaml::Text(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
            Yaml::Broken => "broken",
        }
    }

    /// The source bytes of a part of a text: exact where the source spells the text as it is,
    /// the whole node where escapes or folding come between.
    pub(crate) fn part(&self, source: &Source, part: &Range<usize>) -> Range<usize> {
        let Yaml::Text(text) = &self.value else { return self.at.clone() };
        let written = source.text.get(self.at.clone()).unwrap_or_default();
        let skip = usize::from(written.starts_with(['"', '\'']));
        match written.get(skip..skip + text.len()) {
            Some(same) if same == text => {
                self.at.start + skip + part.start..self.at.start + skip + part.end
            }
            _ => self.at.clone(),
        }
    }
}

/// Parses one document. Repeated keys and unquoted braces are reported beside the tree, since the
/// rest can still be checked; where there is no tree, the reason is among the problems.
pub(crate) fn parse(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    if source.text.len() > PLAYBOOK_MAX {
        let message = format!("a playbook may have {} KiB at most", PLAYBOOK_MAX / 1024);
        return (None, vec![Diagnostic::error("P032", source, 0..0, message, "this file")]);
    }
    let (mended, mut problems) = unquoted::mend(source);
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(&mended.text, options()) {
        Ok(raw) => {
            let mut tree = Tree { source, holes: &mended.holes, problems: &mut problems };
            let node = tree.node(raw);
            (Some(node), problems)
        }
        Err(error) => {
            problems.push(broken(source, &error));
            (None, problems)
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: 20_000,
            max_aliases: 100,
        },
    }
}

fn broken(source: &Arc<Source>, error: &serde_saphyr::Error) -> Diagnostic {
    let at = error.location().map_or(0..0, |place| range(source, place, 1));
    let shown = error.without_snippet().to_string();
    // The library ends its sentence with the place, which is shown here by the caret.
    let said = shown.split(" at line ").next().unwrap_or(&shown);
    let said = said.trim_start_matches("error: ").trim_end_matches(',').trim();
    if matches!(error.without_snippet(), serde_saphyr::Error::MultipleDocuments { .. }) {
        let message = "a file holds one playbook, and this one holds several documents";
        return Diagnostic::error("P001", source, at, message, "a second document");
    }
    if matches!(error.without_snippet(), serde_saphyr::Error::Budget { .. })
        || said.contains("limit")
    {
        return Diagnostic::error(
            "P032",
            source,
            at,
            format!("too deep or too large: {said}"),
            "here",
        )
        .help("a playbook nests a few levels and has a few dozen steps");
    }
    Diagnostic::error("P001", source, at, format!("not valid YAML: {said}"), "here")
}

fn range(source: &Source, place: Location, least: usize) -> Range<usize> {
    let span = place.span();
    let as_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let start = span.byte_offset().map_or_else(
        || offset_of(&source.text, as_usize(place.line()), as_usize(place.column())),
        as_usize,
    );
    let start = start.min(source.text.len());
    let length = span.byte_len().map_or(least, as_usize).max(least);
    start..start.saturating_add(length).min(source.text.len())
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = &text[before..];
    before + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

/// The document as the YAML library hands it over: repeated keys still in it.
enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

struct Tree<'a> {
    source: &'a Arc<Source>,
    holes: &'a [usize],
    problems: &'a mut Vec<Diagnostic>,
}

impl Tree<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let mut at = range(self.source, raw.referenced, 0);
        let value = match raw.value {
            Raw::Null => Yaml::Null,
            Raw::Bool(value) => Yaml::Bool(value),
            Raw::Integer(value) => Yaml::Integer(value),
            Raw::Number(value) => Yaml::Number(value),
            Raw::Text(_) if self.holes.contains(&at.start) => Yaml::Broken,
            Raw::Text(value) => Yaml::Text(value),
            Raw::List(items) => {
                let items: Vec<Node> = items.into_iter().map(|item| self.node(item)).collect();
                at.end = at.end.max(items.last().map_or(0, |item| item.at.end));
                Yaml::List(items)
            }
            Raw::Map(entries) => {
                let entries = self.entries(entries);
                at.end = at.end.max(entries.last().map_or(0, |entry| entry.value.at.end));
                Yaml::Map(entries)
            }
        };
        Node { at, value }
    }

    fn entries(&mut self, raw: Vec<(Spanned<String>, Spanned<Raw>)>) -> Vec<Entry> {
        let mut out: Vec<Entry> = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let key_at = range(self.source, key.referenced, 1);
            let value = self.node(value);
            if let Some(first) = out.iter().find(|entry| entry.key == key.value) {
                self.problems.push(
                    Diagnostic::error(
                        "P002",
                        self.source,
                        key_at,
                        format!("key `{}` is given twice", key.value),
                        "given again",
                    )
                    .note(first.key_at.clone(), "first given here"),
                );
                continue;
            }
            out.push(Entry { key: key.value, key_at, value });
        }
        out
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or_else(|_| Raw::Text(value.to_string()), Raw::Integer))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = items.next_element()? {
            out.push(item);
        }
        Ok(Raw::List(out))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut out = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            out.push(entry);
        }
        Ok(Raw::Map(out))
    }
}
