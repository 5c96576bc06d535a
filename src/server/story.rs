//! An incident as one story, for people and tools elsewhere: JSON, Markdown or CSV.
//!
//! Each line says which ATT&CK techniques it shows and which NIST CSF 2.0 outcomes it serves. Text from
//! evidence is somebody else's: it was tamed where it entered, and is escaped here for where it goes.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::extract::{Asked, Named};
use super::identity::{Allowed, Read};
use super::incidents::known;
use super::problem::{Kind, Problem};
use super::state::Api;
use super::views::IncidentView;
use crate::console::told_of;
use crate::model::action::Outcome;
use crate::model::entry::{Commit, Entry};
use crate::model::event::{Event, EventKind, EventOutcome};
use crate::model::id::{Capability, IncidentId, RunId};
use crate::model::incident::ApprovalSeen;
use crate::model::run::CellKey;
use crate::model::time::rfc3339;

/// Commits read at once.
const READ: usize = 512;
/// Lines that one story tells; what is longer is for the timeline's pages.
const LINES_MAX: usize = 20_000;

/// In what form a story is told.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    #[default]
    Json,
    Markdown,
    Csv,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    #[serde(default)]
    format: Form,
}

/// An incident and everything that happened in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Story {
    incident: IncidentView,
    /// ATT&CK technique ids that its lines show.
    attack: BTreeSet<&'static str>,
    /// NIST CSF 2.0 outcomes that its lines serve.
    csf: BTreeSet<&'static str>,
    lines: Vec<Line>,
}

/// One thing that happened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Line {
    at: String,
    /// The journal's sequence: where it can be proved.
    seq: u64,
    what: String,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attack: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    csf: Vec<&'static str>,
}

/// Tells an incident as one story: evidence, stages, decisions, actions and people, oldest first.
#[utoipa::path(get, path = "/v1/incidents/{id}/story", tag = "incidents",
    params(("id" = String, Path), How),
    responses((status = 200, body = Story), (status = "4XX", body = Problem)))]
pub(super) async fn story(
    State(api): State<Api>,
    _: Allowed<Read>,
    Named(id): Named<IncidentId>,
    Asked(how): Asked<How>,
) -> Result<Response, Problem> {
    let story = tell(&api, id).await?;
    let (kind, ending, body) = match how.format {
        Form::Json => return Ok(axum::Json(story).into_response()),
        Form::Markdown => ("text/markdown; charset=utf-8", "md", markdown(&story)),
        Form::Csv => {
            let written = csv(&story).map_err(|_| Problem::new(Kind::Internal))?;
            ("text/csv; charset=utf-8", "csv", written)
        }
    };
    let name = format!("attachment; filename=\"incident-{id}.{ending}\"");
    let heads = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((heads, body).into_response())
}

async fn tell(api: &Api, id: IncidentId) -> Result<Story, Problem> {
    known(api, id).await?;
    let incident = api.engine().read(|core| {
        core.state.incidents.get(&id).map(|incident| IncidentView::of(&core.state, incident))
    });
    let incident = incident.ok_or_else(|| Problem::not_found("incident", &id.to_string()))?;
    let (mut lines, mut after, mut called) = (Vec::new(), 0, Called::new());
    while lines.len() < LINES_MAX {
        let commits = api.engine().ports().store.timeline(id, after, READ).await?;
        let Some(last) = commits.last() else { break };
        after = last.seq;
        for commit in &commits {
            lines.extend(said(api, commit, id, &mut called));
        }
    }
    lines.truncate(LINES_MAX);
    // Evidence is told when it happened, not when it came.
    lines.sort_by(|a: &Line, b: &Line| (&a.at, a.seq).cmp(&(&b.at, b.seq)));
    let attack = lines.iter().flat_map(|line| line.attack.iter().copied()).collect();
    let csf = lines.iter().flat_map(|line| line.csf.iter().copied()).collect();
    Ok(Story { incident, attack, csf, lines })
}

/// What each cell of a run called last: its outcome does not say.
type Called = BTreeMap<(RunId, CellKey), Capability>;

fn said(api: &Api, commit: &Commit, id: IncidentId, called: &mut Called) -> Vec<Line> {
    let about = commit.entries.iter().filter(|entry| entry.incident() == Some(id));
    let mut lines = Vec::new();
    for entry in about {
        if let Entry::StepIntent(e) = entry {
            let capability = api.engine().ports().catalogue.capability_of(e.call.action.as_str());
            called.extend(capability.map(|name| ((e.run, e.cell.clone()), name)));
        }
        if let Some((at, _, what, detail)) = told_of(commit.at, entry) {
            let (attack, csf) = tags(entry, called);
            lines.push(Line { at: rfc3339(at), seq: commit.seq, what, detail, attack, csf });
        }
    }
    lines
}

type Tags = (Vec<&'static str>, Vec<&'static str>);

/// ATT&CK techniques and CSF 2.0 subcategories of what an entry says.
fn tags(entry: &Entry, called: &Called) -> Tags {
    match entry {
        Entry::EventJoined { event, .. } => (technique(event), vec!["DE.CM-03"]),
        Entry::AlertRaised { .. } => (vec!["T1621"], vec!["DE.AE-02"]),
        Entry::ReportReceived { .. } => (vec!["T1621"], vec!["DE.CM-03", "RS.CO-02"]),
        Entry::IncidentOpened(_) => (vec!["T1621"], vec!["DE.AE-08"]),
        Entry::IncidentStaged(e) | Entry::IncidentJoined(e) => {
            let entered = e.evidence.approval == ApprovalSeen::Hostile;
            (if entered { vec!["T1078"] } else { Vec::new() }, vec!["RS.AN-03", "RS.MA-03"])
        }
        Entry::RunStarted(_) => (Vec::new(), vec!["RS.MA-01"]),
        Entry::ApprovalOpened { .. }
        | Entry::ApprovalVoted(_)
        | Entry::ApprovalEscalated { .. }
        | Entry::ApprovalDecided(_)
        | Entry::ApprovalExpired { .. } => (Vec::new(), vec!["RS.MA-04"]),
        Entry::StepOutcome(e) if matches!(e.outcome, Outcome::Done | Outcome::Unchanged) => {
            (Vec::new(), called.get(&(e.run, e.cell.clone())).map(served).unwrap_or_default())
        }
        Entry::IncidentContained { .. } => (Vec::new(), vec!["RS.MI-01"]),
        Entry::NoticeSent(_) | Entry::NoticeFailed(_) => (Vec::new(), vec!["RS.CO-02"]),
        Entry::HoldReleased { .. } => (Vec::new(), vec!["RC.RP-02"]),
        Entry::IncidentClosed { .. } => (Vec::new(), vec!["RC.RP-06"]),
        Entry::PersonAsked(_) | Entry::PersonAnswered(_) => {
            (Vec::new(), vec!["RS.AN-03", "RS.CO-02"])
        }
        Entry::StepVerified(_) | Entry::IncidentNote { .. } => (Vec::new(), vec!["RS.AN-06"]),
        _ => Default::default(),
    }
}

/// What an event shows of the attack; the person's own doing shows nothing.
fn technique(event: &Event) -> Vec<&'static str> {
    match (event.kind, event.outcome) {
        (EventKind::Prompt, EventOutcome::Approved) => vec!["T1621", "T1078"],
        (EventKind::Prompt, _) => vec!["T1621"],
        (EventKind::SignIn | EventKind::TokenRefresh, EventOutcome::Succeeded) => vec!["T1078"],
        // Account Manipulation: Device Registration.
        (EventKind::FactorChange, _) => vec!["T1098.005"],
        (EventKind::RecoveryChange, _) => vec!["T1098"],
        // Email Forwarding Rule, Email Hiding Rules.
        (EventKind::InboxRule, _) => vec!["T1114.003", "T1564.008"],
        (EventKind::Grant, _) => vec!["T1528"],
        // Additional Cloud Roles.
        (EventKind::RoleChange, _) => vec!["T1098.003"],
        (EventKind::StolenSession, _) => vec!["T1539"],
        (EventKind::StolenPassword, _) => vec!["T1110"],
        _ => Vec::new(),
    }
}

/// What an action serves: containment, eradication, recovery, or telling people.
fn served(capability: &Capability) -> Vec<&'static str> {
    match capability.as_str() {
        "identity.reset_credentials"
        | "identity.remove_factor"
        | "identity.require_reregistration"
        | "identity.revoke_grant"
        | "identity.disable_inbox_rule" => vec!["RS.MI-02"],
        "identity.unblock_sign_in"
        | "identity.issue_temporary_access"
        | "identity.dismiss_risk"
        | "endpoint.release"
        | "network.unblock_ip" => vec!["RC.RP-02"],
        name if name.starts_with("ticket.") || name.starts_with("notify.") => vec!["RS.CO-02"],
        name if name.starts_with("identity.")
            || name.starts_with("network.")
            || name.starts_with("endpoint.") =>
        {
            vec!["RS.MI-01"]
        }
        _ => Vec::new(),
    }
}

fn markdown(story: &Story) -> String {
    let mut out = String::new();
    let tags = |tags: &BTreeSet<&'static str>| tags.iter().copied().collect::<Vec<_>>().join(", ");
    let incident = &story.incident;
    // Writing to a string cannot fail.
    _ = writeln!(out, "# {}\n", md(&incident.headline()));
    for (name, value) in incident.facts() {
        _ = writeln!(out, "- {name}: {}", md(&value));
    }
    _ = writeln!(out, "- ATT&CK: {}\n- NIST CSF 2.0: {}\n", tags(&story.attack), tags(&story.csf));
    _ = writeln!(
        out,
        "| at (UTC) | what | detail | ATT&CK | CSF | line |\n|---|---|---|---|---|---|"
    );
    for line in &story.lines {
        let (attack, csf) = (line.attack.join(" "), line.csf.join(" "));
        let (what, detail) = (md(&line.what), md(&line.detail));
        _ = writeln!(out, "| {} | {what} | {detail} | {attack} | {csf} | {} |", line.at, line.seq);
    }
    out
}

/// Text with nothing in it that Markdown or the HTML inside it gives a meaning.
fn md(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\r' => out.push(' '),
            c if c.is_ascii_punctuation()
                && !matches!(c, '.' | ',' | ':' | '-' | ';' | '\'' | '"' | '/') =>
            {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // A bare address would be made a link by some readers.
    out.replace("://", ":\u{200b}//")
}

fn csv(story: &Story) -> Result<String, csv::Error> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(["at", "line", "what", "detail", "attack", "csf"])?;
    for line in &story.lines {
        let (attack, csf) = (line.attack.join(" "), line.csf.join(" "));
        let seq = line.seq.to_string();
        let record = [&line.at, &seq, &inert(&line.what), &inert(&line.detail), &attack, &csf];
        writer.write_record(record)?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A cell that no spreadsheet takes for a formula: what could begin one is led by an apostrophe.
fn inert(text: &str) -> String {
    let begins =
        text.trim_start().starts_with(['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠']);
    if begins || text.starts_with(['\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_cell_is_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "|calc", "%x", "＝1"] {
            assert!(inert(bad).starts_with('\''), "{bad:?}");
        }
        assert_eq!(inert("a prompt = denied"), "a prompt = denied");
    }

    proptest! {
        #[test]
        fn markdown_from_evidence_is_plain_text(text in ".{0,60}") {
            let shown = md(&text);
            prop_assert!(!shown.contains('<') && !shown.contains('\n') && !shown.contains("://"));
            let mut bare = shown.chars().peekable();
            while let Some(c) = bare.next() {
                match c {
                    '\\' => drop(bare.next()),
                    '|' | '[' | ']' | '`' | '*' | '_' | '#' | '!' => prop_assert!(false, "{shown}"),
                    _ => {}
                }
            }
        }
    }
}
