//! A notice in plain text: who, what, why, what silence means and when, and where to look. Pure.
//!
//! Everything that others wrote is tamed and made inert here, once, for every channel. The only link is to a page
//! of our own console.

use url::Url;

use super::facts::told;
use crate::engine::state::State;
use crate::model::approval::{Approval, Asks, Item};
use crate::model::id::IncidentId;
use crate::model::incident::{Campaign, Incident, Severity};
use crate::model::notice::{About, Fact, Topic};
use crate::model::oncall::{Addressed, Asked};
use crate::model::plan::OnTimeout;
use crate::model::run::CellState;
use crate::model::time::Time;

/// Lines of a list before the rest is only counted.
const LISTED: usize = 8;
/// Longest title, in characters.
const TITLE: usize = 140;
const STOPPED: &str = "stopped: nothing is done until a person lets it go on";

/// What is sent, before a channel puts it into its own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) link: String,
    pub(super) severity: Severity,
}

/// A notice of one fact, as things stand now.
pub(super) fn notice(state: &State, fact: &Fact, base: &Url) -> Notice {
    let incident = fact.incident.and_then(|id| state.incidents.get(&id)).map(AsRef::as_ref);
    let who = incident.map_or_else(|| "somebody".to_owned(), |i| name(state, i));
    let mut lines: Vec<String> = Vec::new();
    if fact.closed {
        lines.push(format!("{}. Nobody is needed for this any more.", or(&fact.detail, "Over")));
    }
    let title = if let About::Question(id) = &fact.about {
        question(state.approvals.get(id), fact.closed, &who, &mut lines)
    } else {
        said(state, fact, incident, &who, &mut lines)
    };
    lines.extend(incident.map(case));
    Notice {
        title: title.chars().take(TITLE).collect(),
        text: lines.join("\n"),
        link: link(fact, base),
        severity: incident.map_or(Severity::High, |i| i.severity),
    }
}

/// The title of a question; what it asks goes into the lines.
fn question(asked: Option<&Approval>, closed: bool, who: &str, lines: &mut Vec<String>) -> String {
    let Some(asked) = asked else { return format!("A question about {who}") };
    lines.extend(asked_for(asked, closed));
    match (closed, asked.asks) {
        (true, _) => format!("Question about {who}"),
        (false, Asks::Restore) => format!("Decide: restore {who}"),
        (false, Asks::Ratify) => format!("Decide whether it stands: {who}"),
        (false, Asks::Contain) => format!("Decide: contain {who}"),
    }
}

/// The title of anything else; what there is to say besides goes into the lines.
fn said(
    state: &State,
    fact: &Fact,
    incident: Option<&Incident>,
    who: &str,
    lines: &mut Vec<String>,
) -> String {
    let open = !fact.closed;
    match &fact.about {
        About::Decision(id) => {
            lines.push(format!("{}.", fact.detail));
            lines.extend(state.approvals.get(id).into_iter().flat_map(granted));
            format!("Decided about {who}")
        }
        About::Silence(_) => {
            lines.push(format!("Nobody answered in time. {}.", fact.detail));
            format!("Nobody decided about {who}")
        }
        About::Case(_, topic) => {
            if *topic == Topic::Contained {
                lines.extend(incident.and_then(took));
            }
            if *topic == Topic::Breached && open {
                lines.push("An attacker was let in, or changed something.".to_owned());
            }
            format!("{}: {who}", capital(topic.name()))
        }
        About::Run(run) => {
            if open {
                lines.extend(parked(state, *run));
            }
            format!("A run needs an operator: {who}")
        }
        About::Guardrail(_) => {
            lines.push(format!("A guardrail refused a step: {}", fact.detail));
            format!("Refused: {who}")
        }
        About::Pause(_) => {
            let stopped = fact.detail.starts_with("Stopped");
            lines.push(fact.detail.clone());
            let what = if stopped { STOPPED } else { "allowed again" };
            format!("All effects are {what}")
        }
        About::Channel(channel) => {
            if open {
                lines.push(format!("It failed with: {}", fact.detail));
            }
            format!("`{}` could not be told", told(channel))
        }
        About::Question(_) => format!("A question about {who}"),
    }
}

/// Questions that are decided on one page.
pub(super) enum Together<'s> {
    Campaign(&'s Campaign),
    /// So many are open at once.
    Storm(usize),
}

/// One message about several facts, none of which is urgent enough for a message of its own.
pub(super) fn gathered(
    state: &State,
    facts: &[Fact],
    together: Option<&Together<'_>>,
    base: &Url,
) -> Notice {
    let notices: Vec<Notice> = facts.iter().map(|fact| notice(state, fact, base)).collect();
    let mut lines: Vec<String> =
        notices.iter().take(3 * LISTED).map(|one| format!("• {}", one.title)).collect();
    if notices.len() > lines.len() {
        lines.push(format!("… and {} more", notices.len() - lines.len()));
    }
    let (title, to) = match together {
        Some(Together::Campaign(campaign)) => {
            lines.push(format!("One campaign, from {}.", told(&campaign.key)));
            let count = notices.len();
            (format!("Decide together: {count} people of one campaign"), Some(campaign.id.as_str()))
        }
        Some(Together::Storm(open)) => {
            (format!("Decide together: {open} questions are open"), None)
        }
        None => (format!("{} more things since the last message", notices.len()), None),
    };
    let link = match (together, to) {
        (None, _) => page(base, ""),
        (Some(_), None) => page(base, "approvals/together"),
        (Some(_), Some(campaign)) => {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("campaign", campaign)
                .finish();
            page(base, &format!("approvals/together?{query}"))
        }
    };
    Notice {
        title,
        text: lines.join("\n"),
        link,
        severity: notices.iter().map(|one| one.severity).max().unwrap_or(Severity::Medium),
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn name(state: &State, incident: &Incident) -> String {
    let Some(subject) = state.subject(incident.subject) else { return "somebody".to_owned() };
    let class = if subject.privileged() { " (privileged)" } else { "" };
    format!("{}{class}", told(&subject.name))
}

/// What is asked, and what silence means.
fn asked_for(question: &Approval, closed: bool) -> Vec<String> {
    let mut lines: Vec<String> = question.items.iter().take(LISTED).map(item).collect();
    if question.items.len() > LISTED {
        lines.push(format!("… and {} more", question.items.len() - LISTED));
    }
    if !closed {
        lines.extend(question.addressed.last().map(turn_of));
        if question.quorum > 1 {
            let so_far = question.votes.len();
            lines.push(format!("{} people have to answer, {so_far} did.", question.quorum));
        }
        let silence = match question.on_timeout {
            _ if question.asks == Asks::Ratify => "what was done stands",
            OnTimeout::Escalate if question.goes_on() => {
                "it is asked on, and nothing of this is done until then"
            }
            OnTimeout::Approve => "what locks nobody out is done, the rest is not",
            OnTimeout::Deny | OnTimeout::Escalate => {
                "nothing of this is done, and the case stays open"
            }
        };
        lines.push(format!("No answer by {}: {silence}.", clock(question.expires_at)));
        lines.push(
            "You decide on the page, with your passkey. Nothing can be decided here.".to_owned(),
        );
    }
    lines
}

/// What people said yes to.
fn granted(question: &Approval) -> Vec<String> {
    let items = question.items.iter().filter(|item| question.granted.contains(&item.cell));
    let mut lines: Vec<String> = items.clone().take(LISTED).map(item).collect();
    let more = items.count().saturating_sub(LISTED);
    lines.extend((more > 0).then(|| format!("… and {more} more")));
    lines
}

fn item(item: &Item) -> String {
    let what = item.capability.as_str();
    let what = what.split_once('.').map_or(what, |(_, name)| name).replace('_', " ");
    format!("• {what}: {}", told(&item.target_name))
}

/// Whose turn it is. Names are those of people who are enrolled here.
fn turn_of(asked: &Addressed) -> String {
    let name = |a: &Asked| match &a.instead_of {
        Some(whose) => format!("{} for {}", told(&a.name), told(whose)),
        None => told(&a.name),
    };
    let names: Vec<String> = asked.people.iter().take(LISTED).map(name).collect();
    let level = asked.level.map_or_else(String::new, |l| format!(" ({} level)", l.name()));
    match (names.is_empty(), asked.everybody) {
        (true, _) => format!("Asked{level}: everybody who may decide."),
        (false, true) => {
            format!("Asked{level}: {}, and everybody who may decide.", names.join(", "))
        }
        (false, false) => format!("Asked first{level}: {}.", names.join(", ")),
    }
}

fn case(incident: &Incident) -> String {
    let (stage, severity) = (incident.stage.name(), incident.severity.name());
    format!("Stage {stage}, severity {severity}. {}", told(&incident.reason))
}

fn took(incident: &Incident) -> Option<String> {
    let (done, reopened) = (incident.contained_at?, incident.reopened_at);
    let (from, what) = reopened
        .map_or((incident.first_event_at, "the first hostile event"), |at| {
            (at, "evidence had opened it again")
        });
    let minutes = (done - from).num_minutes();
    Some(format!("{minutes} min after {what}. What remains is on the page."))
}

fn parked(state: &State, run: crate::model::id::RunId) -> Vec<String> {
    let Some(run) = state.runs.get(&run) else { return Vec::new() };
    let parked = run.cells().filter_map(|cell| match &cell.state {
        CellState::Parked { problem } => {
            Some(format!("• {}: {}", told(cell.key.step.as_str()), told(problem)))
        }
        _ => None,
    });
    parked.take(LISTED).collect()
}

fn clock(at: Time) -> String {
    at.format("%H:%M UTC").to_string()
}

fn link(fact: &Fact, base: &Url) -> String {
    let case = |incident: IncidentId| page(base, &format!("incidents/{incident}"));
    match (&fact.about, fact.incident) {
        (About::Question(id) | About::Silence(id), _) => page(base, &format!("approvals/{id}")),
        (_, Some(incident)) => case(incident),
        _ => page(base, ""),
    }
}

fn page(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}
