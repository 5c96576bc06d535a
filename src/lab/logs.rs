//! What the providers log, as their own APIs give it to whoever asks for everything: late, in pages, and now
//! and then the same record twice.

use serde_json::{Value, json};

use super::Lab;
use super::attacker::ATTACKER_IP;
use super::reply::{Asked, Reply};
use super::world::{LogRecord, System, World};
use crate::model::time::{Span, Time, rfc3339};

/// Graph's kinds of records; Okta's are its event types.
pub(super) const SIGN_IN: &str = "sign_in";
pub(super) const AUDIT: &str = "audit";
pub(super) const RISK: &str = "risk";

impl World {
    /// Writes a record into a provider's log.
    pub(super) fn log(&mut self, record: LogRecord) {
        let late = self.late.get(&record.system).map_or(record.at, |late| record.at + late.delta());
        let id = format!("log-{}", self.next());
        self.log.push(LogRecord { id, shown: late, ..record });
    }

    /// The records of a system that can be seen now, in the order in which they were written.
    pub(super) fn logged(&self, system: System, now: Time) -> Vec<&LogRecord> {
        let horizon = self.horizon(system, now);
        let mut seen: Vec<&LogRecord> =
            self.log.iter().filter(|r| r.system == system && r.shown <= horizon).collect();
        seen.sort_by_key(|r| r.shown);
        seen
    }

    /// The page that begins behind `skip` records, and how many lie before the next one.
    pub(super) fn page<'r>(
        &self,
        all: &[&'r LogRecord],
        skip: usize,
        size: usize,
    ) -> (Vec<&'r LogRecord>, Option<usize>) {
        let size = self.page_size.map_or(size, |most| size.min(most)).max(1);
        let end = (skip + size).min(all.len());
        let start = skip.saturating_sub(if skip > 0 { self.repeats } else { 0 }).min(end);
        (all[start..end].to_vec(), (end < all.len()).then_some(end))
    }
}

impl Lab {
    /// Logs give no more than so many records on a page, and repeat so many of the page before.
    pub(crate) fn set_pages(&self, size: usize, repeats: usize) {
        let mut world = self.world();
        (world.page_size, world.repeats) = (Some(size), repeats);
    }

    /// What a system logs from now on can be seen only so much later, whatever else is seen by then.
    pub(crate) fn set_late(&self, system: System, late: Span) {
        self.world().late.insert(system, late);
    }

    /// The person tells the provider that they did not ask for a prompt.
    pub(crate) fn person_reports(&self, login: &str) {
        let now = (self.clock)();
        let mut world = self.world();
        for (system, kind) in [
            (System::Graph, RISK),
            (System::Okta, "user.account.report_suspicious_activity_by_enduser"),
        ] {
            let Some(id) = world.account(system, login).map(|a| a.id.clone()) else { continue };
            world.log(LogRecord::new(system, now, &id, kind));
        }
    }

    /// The attacker bombs the person with Duo's prompts, each of which is denied.
    pub(crate) fn attacker_pushes_at_duo(&self, login: &str, prompts: usize) {
        let now = (self.clock)();
        let mut world = self.world();
        for _ in 0..prompts {
            let record = LogRecord::new(System::Duo, now, login, "authentication");
            world.log(LogRecord { ip: ATTACKER_IP.into(), ..record });
        }
    }
}

/// Newest first, as Graph gives its reports.
pub(super) fn graph(world: &World, asked: &Asked, operation: &str) -> Reply {
    let (kind, field, path): (_, _, fn(&World, &LogRecord, bool) -> Value) = match operation {
        "poll-audits" => (AUDIT, "activityDateTime", |w, r, _| audit(w, r)),
        "poll-risk-detections" => (RISK, "detectedDateTime", |w, r, _| risk(w, r)),
        _ => (SIGN_IN, "createdDateTime", super::graph::sign_in),
    };
    let bound = |op: &str| instant(asked.asks("$filter"), &format!("{field} {op} "));
    let (since, until) = (bound("ge"), bound("le"));
    let mut all = world.logged(System::Graph, asked.at);
    all.retain(|r| r.kind == kind);
    all.retain(|r| since.is_none_or(|s| r.at >= s) && until.is_none_or(|u| r.at <= u));
    all.sort_by_key(|r| std::cmp::Reverse(r.at));
    let size = asked.asks("$top").parse().unwrap_or(1000).clamp(1, 1000);
    let skip = asked.asks("$skiptoken").parse().unwrap_or(0);
    let (page, next) = world.page(&all, skip, size);
    let beta = asked.path.first().is_some_and(|version| version == "beta");
    let page: Vec<Value> = page.into_iter().map(|r| path(world, r, beta)).collect();
    let mut body = json!({"value": page});
    if let Some(next) = next {
        body["@odata.nextLink"] = json!(further(asked, "$skiptoken", next));
    }
    Reply::json(200, body)
}

/// Oldest first by when they were written, without an end: the link is there on every page.
pub(super) fn okta(world: &World, asked: &Asked) -> Reply {
    let since = instant(asked.asks("since"), "");
    let mut all = world.logged(System::Okta, asked.at);
    all.retain(|r| since.is_none_or(|s| r.at >= s));
    let size = asked.asks("limit").parse().unwrap_or(100).clamp(1, 1000);
    let skip: usize = asked.asks("after").parse().unwrap_or(0);
    // What was there already is not repeated once all of it was given.
    let (page, next) =
        if skip >= all.len() { (Vec::new(), None) } else { world.page(&all, skip, size) };
    let after = next.unwrap_or_else(|| skip.max(all.len()));
    let page = page.into_iter().map(|r| super::okta::record(world, r)).collect();
    let mut reply = Reply::json(200, page);
    let link = format!("<{}>; rel=\"next\"", further(asked, "after", after));
    reply.headers.push(("link", link));
    reply
}

/// Where the next page is: the same request with another token.
fn further(asked: &Asked, name: &str, token: usize) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(asked.query.iter().filter(|(n, _)| *n != name))
        .append_pair(name, &token.to_string())
        .finish();
    format!("{}/{}?{query}", asked.base, asked.path.join("/"))
}

/// The instant behind some words.
fn instant(text: &str, words: &str) -> Option<Time> {
    let text = if words.is_empty() { text } else { text.split(words).nth(1)? };
    chrono::DateTime::parse_from_rfc3339(text.split(' ').next()?).ok().map(|t| t.to_utc())
}

fn login<'w>(world: &'w World, record: &LogRecord) -> Option<&'w str> {
    world.account(System::Graph, &record.account).map(|account| account.login.as_str())
}

fn audit(world: &World, record: &LogRecord) -> Value {
    let person =
        json!({"id": record.account, "type": "User", "userPrincipalName": login(world, record)});
    json!({
        "id": record.id,
        "activityDateTime": rfc3339(record.at),
        "activityDisplayName": record.detail,
        "category": "UserManagement",
        "result": "success",
        "initiatedBy": {"user": {"id": record.account, "userPrincipalName": login(world, record), "ipAddress": record.ip}},
        "targetResources": [person],
    })
}

fn risk(world: &World, record: &LogRecord) -> Value {
    json!({
        "id": record.id,
        "riskEventType": "userReportedSuspiciousActivity",
        "riskState": "atRisk",
        "riskLevel": "high",
        "source": "End user reported",
        "activity": "user",
        "activityDateTime": rfc3339(record.at),
        "detectedDateTime": rfc3339(record.at),
        "userId": record.account,
        "userPrincipalName": login(world, record),
    })
}
