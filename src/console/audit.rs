//! The journal to look through: by person, kind and time; where its chain stands, and how to prove it elsewhere.
//!
//! Newest first, through the store's port. One page reads so many commits at most and says where it stopped.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDateTime;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

use super::ConsoleState;
use super::frame::Frame;
use super::problem::{Oops, Problem, render};
use super::show::{At, Coded};
use super::sift::{Choice, link, named};
use super::signed_in::SignedIn;
use super::timeline::said;
use crate::engine::ports::{Store, StoreError};
use crate::model::entry::{Commit, Entry};
use crate::model::id::{IncidentId, SubjectId};
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;

/// Entries of one page.
const ROWS: usize = 100;
/// Commits that are read at once, and for one page at most.
const READ: u64 = 256;
const READ_MAX: u64 = 4_096;
/// Lines of an entry as it was written.
const RAW_LINES: usize = 80;
/// Commits within which a checkpoint has to stand: they come every hundred, or every minute.
const CHECKPOINT_WITHIN: u64 = 512;

/// What entries are about: the first word of each kind.
const NOUNS: [&str; 30] = [
    "alert",
    "approval",
    "attempt",
    "block",
    "ceiling",
    "checkpoint",
    "connection",
    "deed",
    "delegation",
    "delivery",
    "deployment",
    "event",
    "guardrail",
    "guardrails",
    "hold",
    "incident",
    "journal",
    "notice",
    "pause",
    "person",
    "plan",
    "poll",
    "report",
    "run",
    "settings",
    "snapshot",
    "step",
    "subject",
    "ticket",
    "token",
];

/// What the form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditForm {
    who: String,
    kind: String,
    from: String,
    until: String,
    before: String,
}

/// Which entries.
struct Wanted {
    /// As it was typed, in small letters, and whose names hold it.
    who: Option<(String, HashSet<SubjectId>, HashSet<IncidentId>)>,
    kind: Option<&'static str>,
    from: Option<Time>,
    until: Option<Time>,
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    form: AuditForm,
    kinds: Vec<Choice>,
    rows: Vec<Row>,
    older: Option<String>,
    head: u64,
    checkpoint: Option<Checkpoint>,
    /// The key that the deployment signs with.
    key: String,
}

struct Checkpoint {
    at: At,
    seq: u64,
    hash: String,
    key: String,
}

struct Row {
    seq: u64,
    at: At,
    kind: String,
    text: Option<Coded>,
    incident: Option<String>,
    raw: String,
}

pub(super) async fn page(
    State(state): State<ConsoleState>,
    by: SignedIn,
    Query(form): Query<AuditForm>,
) -> Result<Response, Oops> {
    let wanted = form.wanted(&state).await?;
    let frame = Frame::new(&state, &by, "Audit");
    let store = &*state.engine.ports().store;
    let head = store.durable();
    // What was found is no region: it is not looked for again whenever something moves.
    let found = if by.refreshes { None } else { Some(search(store, head, &wanted).await?) };
    let (rows, next) = found.unwrap_or_default();
    let key = state.engine.read(|core| core.state.deployment.as_ref().map(|d| d.key.clone()));
    Ok(render(&AuditPage {
        frame,
        kinds: kinds(wanted.kind),
        rows,
        older: next.map(|seq| form.older(seq)),
        head,
        checkpoint: checkpoint(store, head).await?,
        key: tame_field(&key.unwrap_or_default()),
        form: form.tamed(),
    }))
}

fn kinds(chosen: Option<&str>) -> Vec<Choice> {
    let named = NOUNS.iter().map(|noun| (*noun, *noun, chosen == Some(*noun)));
    std::iter::once(("", "any", chosen.is_none())).chain(named).collect()
}

impl AuditForm {
    async fn wanted(&self, state: &ConsoleState) -> Result<Wanted, Oops> {
        let kind = NOUNS.iter().find(|noun| **noun == self.kind).copied();
        if kind.is_none() && !self.kind.is_empty() {
            return Err(unknown().page());
        }
        let who = self.who.trim().to_lowercase();
        let before = Some(self.before.as_str()).filter(|text| !text.is_empty());
        let before = before.map(str::parse).transpose().map_err(|_| unknown().page())?;
        Ok(Wanted {
            who: if who.is_empty() { None } else { Some(people(state, who).await?) },
            kind,
            from: instant(&self.from)?,
            until: instant(&self.until)?,
            before,
        })
    }

    fn older(&self, seq: u64) -> String {
        link(&[
            ("who", &self.who),
            ("kind", &self.kind),
            ("from", &self.from),
            ("until", &self.until),
            ("before", &seq.to_string()),
        ])
    }

    fn tamed(&self) -> Self {
        let field = |text: &str| tame(text, 120);
        Self {
            who: field(&self.who),
            kind: field(&self.kind),
            from: field(&self.from),
            until: field(&self.until),
            before: String::new(),
        }
    }
}

/// A name with whoever has it in theirs, and their incidents.
async fn people(
    state: &ConsoleState,
    who: String,
) -> Result<(String, HashSet<SubjectId>, HashSet<IncidentId>), StoreError> {
    let subjects = named(state, &who).await?;
    let incidents = state.engine.read(|core| {
        let cases = subjects.iter().filter_map(|id| core.state.cases.get(id));
        cases.flatten().copied().collect()
    });
    Ok((who, subjects, incidents))
}

/// What a field for date and time sends, as UTC; nothing is no bound.
fn instant(text: &str) -> Result<Option<Time>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = |form| NaiveDateTime::parse_from_str(text, form).ok();
    let found = read("%Y-%m-%dT%H:%M").or_else(|| read("%Y-%m-%dT%H:%M:%S"));
    Ok(Some(found.ok_or_else(unknown)?.and_utc()))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "The journal cannot be searched like this")
}

/// The newest entries that are wanted, and before which commit to go on.
async fn search(
    store: &dyn Store,
    head: u64,
    wanted: &Wanted,
) -> Result<(Vec<Row>, Option<u64>), StoreError> {
    let mut last = wanted.before.map_or(head, |before| head.min(before.saturating_sub(1)));
    if let Some(until) = wanted.until {
        last = last.min(last_by(store, last, until).await?);
    }
    let (mut rows, mut read) = (Vec::new(), 0);
    while last > 0 && read < READ_MAX {
        let after = last.saturating_sub(READ);
        let mut commits = store.commits(after, usize::try_from(last - after).unwrap_or(0)).await?;
        // Where the journal was pruned, what is read lies behind what was asked for.
        commits.retain(|commit| commit.seq <= last);
        if commits.is_empty() {
            return Ok((rows, None));
        }
        for commit in commits.iter().rev() {
            if wanted.from.is_some_and(|from| commit.at < from) {
                return Ok((rows, None));
            }
            rows.extend(commit.entries.iter().rev().filter_map(|e| row(commit, e, wanted)));
            if rows.len() >= ROWS {
                return Ok((rows, Some(commit.seq)));
            }
        }
        read += last - after;
        last = after;
    }
    Ok((rows, Some(last + 1).filter(|_| last > 0)))
}

/// The last commit by a time, at or before `last`; 0 if there is none. Commits are in the order of time.
async fn last_by(store: &dyn Store, last: u64, until: Time) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let next = store.commits(middle - 1, 1).await?;
        if next.first().is_some_and(|commit| commit.at <= until) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

fn row(commit: &Commit, entry: &Entry, wanted: &Wanted) -> Option<Row> {
    let data = serde_json::to_value(entry).ok()?;
    let kind = data["type"].as_str().unwrap_or_default();
    if wanted.kind.is_some_and(|noun| kind.split('.').next() != Some(noun)) {
        return None;
    }
    if let Some((who, subjects, incidents)) = &wanted.who {
        let of_them = entry.incident().is_some_and(|id| incidents.contains(&id));
        if !of_them && !names(&data, subjects) && !says(&data, who) {
            return None;
        }
    }
    Some(Row {
        seq: commit.seq,
        at: At(commit.at),
        kind: tame_field(kind),
        text: said(commit.at, entry).map(|(text, detail)| sentence(text, &detail)),
        incident: entry.incident().map(|id| id.to_string()),
        raw: raw(&data),
    })
}

fn sentence(text: String, detail: &str) -> Coded {
    Coded(if detail.is_empty() { text } else { format!("{text}: {detail}") })
}

/// Whether an entry is about one of these people.
fn names(data: &Value, subjects: &HashSet<SubjectId>) -> bool {
    let ids = [&data["subject"], &data["subject"]["id"], &data["from"], &data["into"]];
    let ids = ids.iter().filter_map(|id| id.as_str()?.parse().ok());
    ids.into_iter().any(|id: SubjectId| subjects.contains(&id))
}

/// Whether somebody of that name did it.
fn says(data: &Value, who: &str) -> bool {
    ["/by", "/by_name", "/name", "/started_by", "/signed/by_name", "/vote/name"]
        .iter()
        .filter_map(|path| data.pointer(path)?.as_str())
        .any(|name| tame_field(name).to_lowercase().contains(who))
}

/// An entry as it was written. The journal holds no secret.
fn raw(data: &Value) -> String {
    let text = serde_json::to_string_pretty(data).unwrap_or_default();
    let lines = text.lines().map(|line| tame(line, 400));
    lines.take(RAW_LINES).collect::<Vec<_>>().join("\n")
}

/// The newest signed checkpoint, if it is not long ago.
async fn checkpoint(store: &dyn Store, head: u64) -> Result<Option<Checkpoint>, StoreError> {
    let after = head.saturating_sub(CHECKPOINT_WITHIN);
    let commits = store.commits(after, usize::try_from(head - after).unwrap_or(0)).await?;
    let found = commits.iter().rev().find_map(|commit| {
        commit.entries.iter().find_map(|entry| match entry {
            Entry::Checkpoint { head, seq, key, .. } => Some(Checkpoint {
                at: At(commit.at),
                seq: *seq,
                hash: tame_field(head),
                key: tame_field(key),
            }),
            _ => None,
        })
    });
    Ok(found)
}
