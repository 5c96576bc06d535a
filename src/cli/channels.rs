//! Who would be told, for `quell connection test`: each channel, the ladder, and who is on call.

use serde_json::Value;
use std::collections::BTreeMap;

use super::output::Output;
use crate::app::ports::Reach;
use crate::config::Config;
use crate::connector::probe::Report;
use crate::model::action::{Call, Outcome};
use crate::model::id::ConnectionId;
use crate::model::text::tame_field;

/// The connector that knows who is on call, and its read.
const ROTA: (&str, &str) = ("pagerduty-api", "pagerduty-api/list-on-call");

/// Whether nobody would be told, with the lines that say so.
pub(super) struct Told {
    pub(super) lines: Vec<String>,
    pub(super) works: bool,
}

/// What telling people would come to, from what the connections' own tests gave.
pub(super) async fn told(config: &Config, reach: &Reach, reports: &[Report]) -> Told {
    let mut told = Told { lines: Vec::new(), works: true };
    let works: BTreeMap<&ConnectionId, bool> =
        reports.iter().map(|report| (&report.connection, report.works())).collect();
    let notified = config.notified();
    for (name, channel) in &notified.channels {
        let Some(works) = works.get(&channel.connection) else { continue };
        let connections = reach.connections();
        let can = |capability: &str| {
            connections.connections_for(capability).contains(&channel.connection)
        };
        let how = channel.kind(can).map_or("nothing", |kind| kind.capability());
        let to = channel.to.as_deref().unwrap_or("its own place");
        let result = if *works { "works" } else { "CANNOT BE TOLD" };
        told.works &= works;
        told.lines.push(format!(
            "channel {name}: {how} through {} to {to}: {result}",
            channel.connection
        ));
    }
    if !notified.channels.is_empty() {
        told.lines.push(ladder(config));
    }
    for report in reports.iter().filter(|report| report.connector == ROTA.0 && report.works()) {
        let call = Call {
            connection: report.connection.clone(),
            action: ROTA.1.into(),
            inputs: BTreeMap::new(),
            key: "connection-test".into(),
        };
        let read = reach.connections().call(&call).await;
        let people: Vec<&str> = match (&read.outcome, &read.output["people"]) {
            (Outcome::Done, Value::Array(people)) => {
                people.iter().filter_map(|person| person["name"].as_str()).collect()
            }
            _ => Vec::new(),
        };
        told.works &= !people.is_empty();
        told.lines.push(match people.as_slice() {
            [] => format!("{}: NOBODY IS ON CALL", report.connection),
            some => format!("{}: on call: {}", report.connection, tame_field(&some.join(", "))),
        });
    }
    told
}

fn ladder(config: &Config) -> String {
    let rungs: Vec<String> = config
        .notify
        .ladder
        .iter()
        .map(|rung| format!("{} ({})", rung.channel, rung.after))
        .collect();
    match rungs.as_slice() {
        [] => "ladder: NOBODY is on it".to_owned(),
        [one] => format!("ladder: {one}, and nobody after it"),
        all => format!("ladder: {}", all.join(" → ")),
    }
}

/// Prints them.
pub(super) fn show(told: &Told, output: &mut Output) -> anyhow::Result<()> {
    if told.lines.is_empty() {
        return Ok(());
    }
    output.data(&format!("\nTelling people:\n  {}\n", told.lines.join("\n  ")))
}
