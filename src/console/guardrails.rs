//! What no playbook can override: what holds, what the settings would change, and who has signed that.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::TimeDelta;
use serde_json::Value;
use std::collections::BTreeMap;

use super::ConsoleState;
use super::frame::Frame;
use super::playbooks::{DiffLine, diff_lines};
use super::problem::render;
use super::show::Until;
use super::signed_in::SignedIn;
use crate::engine::approvers::Approvers;
use crate::engine::guardrails::Guardrails;
use crate::engine::state::{State as Facts, act_key};
use crate::model::deed::Deed;
use crate::model::id::PersonId;
use crate::model::incident::IncidentStatus;
use crate::model::text::{tame, tame_field};
use crate::model::time::rfc3339;

#[derive(Template)]
#[template(path = "guardrails.html")]
struct GuardrailsPage {
    frame: Frame,
    waiting: Option<Waiting>,
    rules: Vec<Rule>,
    /// Who signed what holds; empty: it was taken from the settings.
    by: String,
    quorum: u32,
    raised: Vec<Raised>,
    proposed: Vec<Proposed>,
    campaigns: Vec<CampaignRow>,
    /// Until when a ceiling may be raised: label and instant.
    lengths: Vec<(&'static str, String)>,
    /// Why the reader may not sign.
    not_me: Option<String>,
}

struct Waiting {
    digest: String,
    lines: Vec<DiffLine>,
    signed: Signed,
}

struct Signed {
    by: String,
    needed: u32,
    /// The reader has signed.
    mine: bool,
}

struct Rule {
    name: String,
    value: String,
}

struct Raised {
    key: String,
    blocks: u32,
    used: usize,
    until: Until,
    by: String,
}

struct Proposed {
    campaign: String,
    key: String,
    blocks: u32,
    until: Until,
    instant: String,
    signed: Signed,
}

struct CampaignRow {
    id: String,
    key: String,
    tried: u32,
    /// Whose cases are open.
    people: String,
}

pub(super) async fn page(State(state): State<ConsoleState>, by: SignedIn) -> Response {
    let frame = Frame::new(&state, &by, "Guardrails");
    let (now, policy) = (state.engine.now(), state.engine.policy());
    let hours = |n| rfc3339(now + TimeDelta::hours(n));
    let page = state.engine.read(|core| {
        let (facts, me) = (&core.state, by.person.person);
        let who = Approvers::new(facts, &policy, now);
        let adopted = facts.guardrails.as_ref();
        let known = adopted.and_then(|adopted| Guardrails::read(&adopted.rules));
        let waiting = core.wished.as_ref().map(|wished| Waiting {
            digest: wished.digest(),
            lines: diff_lines(&known.as_ref().map(|k| wished.diff(k)).unwrap_or_default()),
            signed: signed(&who, &Deed::Adopt { digest: wished.digest() }, me),
        });
        GuardrailsPage {
            frame,
            waiting,
            rules: known.as_ref().map(rules).unwrap_or_default(),
            by: adopted.map(|a| names(facts, &a.by)).unwrap_or_default(),
            quorum: who.guarding_quorum(),
            raised: raised(&who),
            proposed: proposed(&who, me),
            campaigns: campaigns(facts),
            lengths: vec![("one hour", hours(1)), ("four hours", hours(4)), ("a day", hours(24))],
            not_me: who.may_guard(me).err().map(|why| why.to_string()),
        }
    });
    render(&page)
}

fn names(facts: &Facts, by: &[PersonId]) -> String {
    let name = |id: &PersonId| facts.people.get(id).map(|p| tame_field(&p.name));
    by.iter().filter_map(name).collect::<Vec<_>>().join(" and ")
}

fn signed(who: &Approvers<'_>, deed: &Deed, me: PersonId) -> Signed {
    let signing = who.signing(&act_key(deed));
    Signed {
        by: names(who.state, &signing.by),
        needed: signing.needed,
        mine: signing.by.contains(&me),
    }
}

/// Every setting with its value, lists on one line.
fn rules(known: &Guardrails) -> Vec<Rule> {
    fn walk(name: &str, value: &Value, out: &mut Vec<Rule>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (inner, value) in map {
                    let name =
                        if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
                    walk(&name, value, out);
                }
            }
            Value::String(text) => out.push(rule(name, text)),
            Value::Array(list) if list.is_empty() => out.push(rule(name, "none")),
            Value::Array(list) => {
                let all =
                    list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
                out.push(rule(name, &all.collect::<Vec<_>>().join(", ")));
            }
            Value::Object(_) => out.push(rule(name, "none")),
            other => out.push(rule(name, &other.to_string())),
        }
    }
    let mut out = Vec::new();
    walk("", &serde_json::to_value(known).unwrap_or_default(), &mut out);
    out
}

fn rule(name: &str, value: &str) -> Rule {
    Rule { name: tame_field(name), value: tame(value, 2_000) }
}

/// The source of a campaign, as the newest case about it tells.
fn key_of(facts: &Facts, campaign: &str) -> String {
    let mut newest = facts.incidents.values().rev().filter_map(|i| i.campaign.as_ref());
    newest.find(|c| c.id == campaign).map_or_else(|| tame_field(campaign), |c| tame_field(&c.key))
}

fn raised(who: &Approvers<'_>) -> Vec<Raised> {
    let facts = who.state;
    let open = facts.raises.values().filter(|raised| raised.until > who.now);
    open.map(|raised| Raised {
        key: key_of(facts, &raised.campaign),
        blocks: raised.blocks,
        used: facts.used(&format!("campaign:{}", raised.campaign), who.now - TimeDelta::hours(1)),
        until: Until(raised.until),
        by: names(facts, &raised.by),
    })
    .collect()
}

fn proposed(who: &Approvers<'_>, me: PersonId) -> Vec<Proposed> {
    let open = who.state.seconds.values().filter_map(|seconded| match &seconded.deed {
        deed @ Deed::Raise { campaign, blocks, until } if *until > who.now => Some(Proposed {
            campaign: tame_field(campaign),
            key: key_of(who.state, campaign),
            blocks: *blocks,
            until: Until(*until),
            instant: rfc3339(*until),
            signed: signed(who, deed, me),
        }),
        _ => None,
    });
    open.filter(|proposed| !proposed.signed.by.is_empty()).collect()
}

/// Campaigns with open cases, the largest first.
fn campaigns(facts: &Facts) -> Vec<CampaignRow> {
    let mut found: BTreeMap<&str, (&crate::model::incident::Campaign, Vec<String>)> =
        BTreeMap::new();
    for incident in facts.incidents.values().filter(|i| i.status == IncidentStatus::Open) {
        let Some(campaign) = &incident.campaign else { continue };
        let name = facts.subject(incident.subject).map(|s| tame_field(&s.name));
        let (known, people) = found.entry(&campaign.id).or_insert((campaign, Vec::new()));
        people.extend(name);
        if known.people < campaign.people {
            *known = campaign;
        }
    }
    let mut rows: Vec<_> = found.into_values().collect();
    rows.sort_by_key(|(campaign, people)| std::cmp::Reverse((people.len(), campaign.people)));
    rows.into_iter()
        .map(|(campaign, people)| CampaignRow {
            id: tame_field(&campaign.id),
            key: tame_field(&campaign.key),
            tried: campaign.people,
            people: people.join(", "),
        })
        .collect()
}
