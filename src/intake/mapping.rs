//! Sources that a small YAML file describes: how a product's records become facts, without a release.
//!
//! A mapping names where a record keeps its fields, and has rules: the first whose conditions hold says
//! what the record states. What no rule holds for is irrelevant, counted, and shown. The language is
//! documented in `connectors/mappings/README.md`; those that come with Quell lie beside it.

mod lines;
mod path;
#[cfg(test)]
mod tests;
mod written;

use chrono::{DateTime, NaiveDateTime};
use regex::Regex;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::body;
use super::json::{self, alert_id, content_id, event_id};
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Alert, AlertKind};
use crate::model::event::{
    AccountName, ChangedBy, Event, EventKind, EventOutcome, Factor, Origin, Place,
};
use crate::model::incident::Stage;
use crate::model::text::tame_field;
use crate::model::time::Time;

use lines::Lines;
use path::{Path, View, texts};
pub(crate) use written::read;

/// Elements that one record may hold, where it holds several facts.
const EACH_MAX: usize = 256;
const NO_RULE: &str = "no rule of the mapping speaks of it";

/// A product's records, described.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) name: String,
    pub(crate) title: String,
    lines: Lines,
    /// Paths under which an object holds an array of records.
    wrappers: Vec<Vec<String>>,
    /// What the record itself is kept under by whoever forwards it.
    inside: Vec<Path>,
    /// Lists of which each element is a fact of its own.
    each: Vec<Path>,
    fields: Fields,
    rules: Vec<Rule>,
}

/// Where a fact's fields stand.
#[derive(Debug, Clone, Default)]
struct Fields {
    texts: BTreeMap<Field, Said>,
    /// Spellings of times beside those that are always known.
    formats: Vec<String>,
}

/// The fields of a fact that a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Id,
    Time,
    Login,
    AccountId,
    Ip,
    Asn,
    Country,
    City,
    Device,
    Client,
    App,
    Session,
    Correlation,
    FactorId,
    Message,
    Link,
}

impl Field {
    const ALL: [(Self, &'static str); 16] = [
        (Self::Id, "id"),
        (Self::Time, "time"),
        (Self::Login, "login"),
        (Self::AccountId, "account_id"),
        (Self::Ip, "ip"),
        (Self::Asn, "asn"),
        (Self::Country, "country"),
        (Self::City, "city"),
        (Self::Device, "device"),
        (Self::Client, "client"),
        (Self::App, "app"),
        (Self::Session, "session"),
        (Self::Correlation, "correlation"),
        (Self::FactorId, "factor_id"),
        (Self::Message, "message"),
        (Self::Link, "link"),
    ];
}

/// Where a text comes from.
#[derive(Debug, Clone, Default)]
struct Said {
    paths: Vec<Path>,
    /// All of them put together, and not the first that says something.
    joined: bool,
    /// The part of it that counts: the pattern's first group.
    take: Option<Regex>,
    /// Said by the mapping and not by the record.
    fixed: Option<String>,
}

/// What records mean for which some conditions hold.
#[derive(Debug)]
struct Rule {
    when: Vec<Condition>,
    means: Meaning,
    fields: Fields,
}

#[derive(Debug)]
enum Meaning {
    Irrelevant(Arc<str>),
    Event {
        kind: EventKind,
        outcome: EventOutcome,
        factor: Option<Factor>,
        origin: Origin,
        changed_by: ChangedBy,
    },
    Alert {
        kind: AlertKind,
        stage: Stage,
    },
}

/// One condition; each of a rule's must hold.
#[derive(Debug)]
struct Condition {
    /// What any of them leads to.
    paths: Vec<Path>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// One of these, whatever the case.
    Is(Vec<String>),
    IsNot(Vec<String>),
    Contains(Vec<String>),
    Matches(Regex),
    Exists(bool),
}

impl Mapping {
    /// Cuts a body into records.
    pub(super) fn rows(
        &self,
        bytes: &[u8],
        received_at: Time,
        most: usize,
    ) -> Result<body::Rows, Problem> {
        match self.lines {
            Lines::Json => body::rows(bytes, &self.wrappers, most),
            lines => body::plain_lines(bytes, most, |line| lines.record(line, received_at)),
        }
    }

    /// What one record states.
    pub(super) fn record(&self, row: &Value, received_at: Time) -> Result<Verdict, Problem> {
        if !row.is_object() {
            return Err(Problem::UnknownShape("it is not an object".into()));
        }
        let whole = View { record: row, item: None };
        let within = self.inside.iter().flat_map(|path| path.find(whole)).next();
        let within = within.map(json::embedded).filter(|inner| inner.is_object());
        let record = within.unwrap_or(Cow::Borrowed(row));
        let outer = View { record: &record, item: None };
        let lists = self.each.iter().filter_map(|path| {
            let list = *path.find(outer).first()?;
            list.as_array().filter(|list| !list.is_empty())
        });
        let Some(list) = lists.into_iter().next() else {
            return self.fact(outer, received_at);
        };
        if list.len() > EACH_MAX {
            let why = format!("it holds more than {EACH_MAX} facts");
            return Err(Problem::UnknownShape(why));
        }
        let (mut facts, mut why) = (Vec::new(), None);
        for item in list {
            match self.fact(View { record: &record, item: Some(item) }, received_at)? {
                Verdict::Facts(more) => facts.extend(more),
                Verdict::Irrelevant(reason) => why = Some(reason),
            }
        }
        told_apart(&mut facts);
        let nothing = Verdict::Irrelevant(why.unwrap_or(Cow::Borrowed(NO_RULE)));
        Ok(if facts.is_empty() { nothing } else { Verdict::Facts(facts) })
    }

    fn fact(&self, view: View<'_>, received_at: Time) -> Result<Verdict, Problem> {
        let Some(rule) = self.rules.iter().find(|rule| rule.when.iter().all(|c| c.holds(view)))
        else {
            return Ok(Verdict::Irrelevant(NO_RULE.into()));
        };
        let read = Read { mapping: self, rule, view };
        match &rule.means {
            Meaning::Irrelevant(why) => Ok(Verdict::Irrelevant(Cow::Owned(why.to_string()))),
            Meaning::Alert { kind, stage } => read.alert(*kind, *stage, received_at),
            Meaning::Event { kind, outcome, factor, origin, changed_by } => {
                let at = read.time()?.ok_or(Problem::MissingField("time"))?;
                let place =
                    Place { country: read.text(Field::Country), city: read.text(Field::City) };
                let asn = read.text(Field::Asn);
                Ok(Verdict::event(Event {
                    id: read.id(),
                    kind: *kind,
                    account: read.account()?,
                    time: at,
                    outcome: *outcome,
                    factor: *factor,
                    origin: *origin,
                    ip: read.ip(),
                    asn: asn.and_then(|asn| json::asn_at(&Value::String(asn), &[])),
                    place: (place != Place::default()).then_some(place),
                    device: read.text(Field::Device),
                    client: read.text(Field::Client),
                    app: read.text(Field::App),
                    session: read.text(Field::Session),
                    correlation: read.text(Field::Correlation),
                    factor_id: read.text(Field::FactorId),
                    changed_by: *changed_by,
                    new_device: None,
                    message: read.text(Field::Message).unwrap_or_default(),
                    synthetic: false,
                }))
            }
        }
    }
}

/// Facts of one record under one id would count as one.
fn told_apart(facts: &mut [Record]) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for fact in facts {
        if let Record::Event(event) = fact {
            let nth = seen.entry(event.id.as_str().to_owned()).or_default();
            *nth += 1;
            if *nth > 1 {
                event.id = crate::model::id::EventId::new(format!("{}#{nth}", event.id.as_str()));
            }
        }
    }
}

impl Condition {
    fn holds(&self, view: View<'_>) -> bool {
        let found: Vec<_> = self.paths.iter().flat_map(|path| path.find(view)).collect();
        let mut said = found.iter().flat_map(|value| texts(value));
        let is = |said: &str, words: &[String]| words.iter().any(|w| said.eq_ignore_ascii_case(w));
        match &self.test {
            Test::Is(words) => said.any(|text| is(text.trim(), words)),
            Test::IsNot(words) => !said.any(|text| is(text.trim(), words)),
            Test::Contains(words) => said.any(|text| {
                let text = text.to_lowercase();
                words.iter().any(|word| text.contains(word.as_str()))
            }),
            Test::Matches(pattern) => said.any(|text| pattern.is_match(&text)),
            Test::Exists(wanted) => found.is_empty() != *wanted,
        }
    }
}

/// One record under one rule.
struct Read<'r> {
    mapping: &'r Mapping,
    rule: &'r Rule,
    view: View<'r>,
}

impl Read<'_> {
    /// The rule's own word goes before the mapping's.
    fn place(&self, field: Field) -> Option<&Said> {
        let own = self.rule.fields.texts.get(&field);
        own.or_else(|| self.mapping.fields.texts.get(&field))
    }

    fn text(&self, field: Field) -> Option<String> {
        self.raw(field).and_then(|text| json::text(&Value::String(text)))
    }

    /// As the record has it.
    fn raw(&self, field: Field) -> Option<String> {
        let place = self.place(field)?;
        if let Some(fixed) = &place.fixed {
            return Some(fixed.clone());
        }
        let mut found = place.paths.iter().filter_map(|path| {
            path.find(self.view).into_iter().find_map(|value| {
                let mut said = texts(value).filter(|text| !text.trim().is_empty());
                said.find_map(|text| taken(place.take.as_ref(), &text))
            })
        });
        if !place.joined {
            return found.next();
        }
        let parts: Vec<String> = found.collect();
        (!parts.is_empty()).then(|| parts.join(":"))
    }

    fn id(&self) -> crate::model::id::EventId {
        let (name, View { record, item }) = (&self.mapping.name, self.view);
        match (self.raw(Field::Id), item) {
            (Some(id), _) => event_id(name, &id),
            (None, None) => content_id(name, record),
            (None, Some(item)) => content_id(name, &serde_json::json!([record, item])),
        }
    }

    fn time(&self) -> Result<Option<Time>, Problem> {
        let Some(raw) = self.raw(Field::Time) else { return Ok(None) };
        let (raw, own) = (raw.trim(), &self.rule.fields.formats);
        let by_format = own.iter().chain(&self.mapping.fields.formats).find_map(|format| {
            let zoned = DateTime::parse_from_str(raw, format).map(|at| at.to_utc());
            let plain = || NaiveDateTime::parse_from_str(raw, format).map(|at| at.and_utc());
            zoned.or_else(|_| plain()).ok()
        });
        let number = || raw.parse::<f64>().ok().and_then(json::epoch);
        let at = by_format.or_else(number).or_else(|| json::time(&Value::String(raw.to_owned())));
        let bad = || Problem::BadField {
            field: "time".into(),
            why: format!("`{}` is no time that the mapping knows", tame_field(raw)),
        };
        at.filter(|at| json::is_sane(*at)).map(Some).ok_or_else(bad)
    }

    fn account(&self) -> Result<AccountName, Problem> {
        let name = AccountName {
            provider_id: self.text(Field::AccountId),
            login: self.text(Field::Login).map(|login| login.to_lowercase()),
        };
        if name == AccountName::default() { Err(Problem::MissingField("login")) } else { Ok(name) }
    }

    fn ip(&self) -> Option<IpAddr> {
        let text = self.text(Field::Ip)?;
        let with_port = || text.parse::<SocketAddr>().ok().map(|at| at.ip());
        text.parse().ok().or_else(with_port).filter(|ip: &IpAddr| !ip.is_unspecified())
    }

    /// A product's own finding.
    fn alert(&self, kind: AlertKind, stage: Stage, received_at: Time) -> Result<Verdict, Problem> {
        let (at, account) = (self.time()?.unwrap_or(received_at), self.account()?);
        let title = self.text(Field::Message).unwrap_or_else(|| self.mapping.title.clone());
        Ok(Verdict::Facts(vec![Record::Alert(Box::new(Alert {
            id: alert_id(at, self.id().as_str()),
            kind,
            account,
            time: at,
            stage,
            reason: title.clone(),
            rule: title,
            events: Vec::new(),
            password_exposed: true,
            link: self.text(Field::Link).filter(|link| link.starts_with("https://")),
        }))]))
    }
}

fn taken(pattern: Option<&Regex>, text: &str) -> Option<String> {
    let Some(pattern) = pattern else { return Some(text.to_owned()) };
    let found = pattern.captures(text)?;
    found.get(1).or_else(|| found.get(0)).map(|part| part.as_str().to_owned())
}
