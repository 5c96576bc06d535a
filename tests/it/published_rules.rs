//! The published detections that Quell is measured against, said again over its own events, and
//! which of them fires on which published file, beside what Quell makes of it.
//!
//! Counts, windows and sequences are those of the rules; what they cannot see (a number that was wrong, a
//! prompt left unanswered) is left out here as there. Events that came twice count once for everybody:
//! most of these rules would count them again.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::open_data::{FILES, read, summary};

const MINUTE: i64 = 60_000;

struct Rule {
    name: &'static str,
    /// Kinds of source that it is written for.
    on: &'static [&'static str],
    /// Outcomes of prompts that it counts.
    counts: &'static [&'static str],
    /// Only this factor, if any.
    factor: Option<&'static str>,
    at_least: usize,
    within: i64,
    by: &'static str,
    /// What has to follow the last of them within its window, if anything.
    then: &'static [&'static str],
}

const REJECTED: &[&str] = &["denied", "reported"];
const FAILED: &[&str] = &["denied", "timed_out", "wrong_answer", "reported", "failed"];
const PUSHED: &[&str] =
    &["prompted", "denied", "timed_out", "wrong_answer", "reported", "approved"];
const IN: &[&str] = &["approved", "succeeded"];

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { name: "Elastic: Okta MFA bombing", on: &["okta"], counts: &["denied", "wrong_answer"], factor: Some("push"), at_least: 5, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "Elastic: potentially successful Okta bombing", on: &["okta"], counts: &["denied", "wrong_answer"], factor: Some("push"), at_least: 5, within: 10 * MINUTE, by: "account", then: IN },
    Rule { name: "Elastic: Entra TOTP brute force", on: &["entra"], counts: &["failed", "wrong_answer"], factor: Some("otp"), at_least: 20, within: 60 * MINUTE, by: "account", then: &[] },
    Rule { name: "Elastic: report by the person", on: &["okta", "entra"], counts: &["reported"], factor: None, at_least: 1, within: MINUTE, by: "account", then: &[] },
    Rule { name: "Splunk: Okta multiple failed MFA", on: &["okta"], counts: FAILED, factor: None, at_least: 10, within: 5 * MINUTE, by: "account", then: &[] },
    Rule { name: "Splunk: Okta MFA exhaustion hunt", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 4, within: 1_440 * MINUTE, by: "account", then: IN },
    Rule { name: "Splunk: Entra denied MFA", on: &["entra"], counts: &["denied"], factor: None, at_least: 10, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "Splunk: Entra failed MFA", on: &["entra"], counts: &["timed_out", "wrong_answer", "failed"], factor: None, at_least: 11, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "Splunk: Office 365 failed MFA", on: &["office365"], counts: FAILED, factor: None, at_least: 10, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "Splunk: Google Workspace failed MFA", on: &["google-workspace"], counts: FAILED, factor: None, at_least: 10, within: 5 * MINUTE, by: "ip", then: &[] },
    Rule { name: "Splunk: AWS console failed MFA", on: &["aws"], counts: FAILED, factor: None, at_least: 11, within: 5 * MINUTE, by: "account", then: &[] },
    Rule { name: "Splunk: PingID failures", on: &["pingid"], counts: FAILED, factor: None, at_least: 10, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "Sentinel: MFA spamming, then success", on: &["entra"], counts: &["denied", "timed_out"], factor: None, at_least: 11, within: 5 * MINUTE, by: "account", then: &["approved"] },
    Rule { name: "Sentinel: MFA fatigue (Okta)", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 11, within: 60 * MINUTE, by: "session", then: &[] },
    Rule { name: "Sentinel: MFA rejected by user", on: &["entra"], counts: REJECTED, factor: None, at_least: 1, within: MINUTE, by: "account", then: &[] },
    Rule { name: "Sentinel: Duo user failures", on: &["duo"], counts: FAILED, factor: None, at_least: 11, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "reprise99: MFA spam", on: &["entra"], counts: &["denied"], factor: None, at_least: 2, within: 10 * MINUTE, by: "account", then: &["approved"] },
    Rule { name: "Google SecOps: Okta rejects", on: &["okta"], counts: REJECTED, factor: Some("push"), at_least: 2, within: 10 * MINUTE, by: "account", then: &[] },
    Rule { name: "Google SecOps: pushes, then success", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 5, within: 15 * MINUTE, by: "session", then: IN },
    Rule { name: "Google SecOps: wrong number", on: &["okta"], counts: &["wrong_answer"], factor: None, at_least: 1, within: 60 * MINUTE, by: "account", then: &[] },
    Rule { name: "Okta detections: unanswered", on: &["okta"], counts: &["timed_out"], factor: None, at_least: 6, within: 60 * MINUTE, by: "ip", then: &[] },
    Rule { name: "Okta Workflows: rejected pushes", on: &["okta"], counts: REJECTED, factor: Some("push"), at_least: 5, within: 60 * MINUTE, by: "account", then: &[] },
    Rule { name: "Auth0, Panther: push notifications", on: &["auth0"], counts: PUSHED, factor: Some("push"), at_least: 5, within: 30 * MINUTE, by: "account", then: &[] },
    Rule { name: "Panther: Duo marked as fraud", on: &["duo"], counts: &["reported"], factor: None, at_least: 1, within: MINUTE, by: "account", then: &[] },
    Rule { name: "Sigma: MFA denied", on: &["entra"], counts: FAILED, factor: None, at_least: 1, within: MINUTE, by: "account", then: &[] },
];

/// File, how many of ours, and the published rules that fire, with on how many people, addresses or sessions.
type Line<'t> = (&'static str, usize, &'t [(&'static str, usize)]);

/// What fires, and where anything does. On every other file nobody says anything.
const EXPECTED: &[Line<'static>] = &[
    // Six and eight prompts: fewer than the one rule for PingID counts.
    ("pingid/pingid-bursts-AB.log", 1, &[]),
    ("okta/panther-rule-tests.jsonl", 1, &[("Elastic: report by the person", 1)]),
    // One number that did not match, by a person who then got in.
    ("okta/stix-shifter-okta.jsonl", 0, &[("Google SecOps: wrong number", 1)]),
];

fn fires(rule: &Rule, events: &[&Value]) -> usize {
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for event in events {
        let by = match rule.by {
            "account" => {
                let account = &event["account"];
                account["login"].as_str().or_else(|| account["provider_id"].as_str())
            }
            other => event[other].as_str(),
        };
        groups.entry(by.unwrap_or_default().to_owned()).or_default().push(event);
    }
    groups.values().filter(|events| holds(rule, events)).count()
}

fn holds(rule: &Rule, events: &[&Value]) -> bool {
    let says = |event: &Value, words: &[&str]| {
        event["outcome"].as_str().is_some_and(|o| words.contains(&o))
    };
    let counted: Vec<i64> = events
        .iter()
        .filter(|e| e["kind"] == "prompt" && says(e, rule.counts))
        .filter(|e| rule.factor.is_none_or(|factor| e["factor"] == factor))
        .map(|e| at(e))
        .collect();
    let enters: Vec<i64> = events.iter().filter(|e| says(e, rule.then)).map(|e| at(e)).collect();
    counted.windows(rule.at_least).any(|some| {
        let (first, last) = (some[0], some[some.len() - 1]);
        let follows = |enters: &i64| *enters >= last && enters - first <= rule.within;
        last - first <= rule.within && (rule.then.is_empty() || enters.iter().any(follows))
    })
}

fn at(event: &Value) -> i64 {
    let text = event["time"].as_str().expect("a time");
    chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339").timestamp_millis()
}

#[test]
fn what_the_published_rules_find_is_known_beside_what_is_found_here() {
    let mut table = Vec::new();
    for (file, kind, _, _) in FILES {
        let events = quell::open_data_events(kind, &read(file)).expect("a readable file");
        let mut seen = BTreeSet::new();
        let mut events: Vec<&Value> = events
            .as_array()
            .expect("a list")
            .iter()
            .filter(|event| seen.insert(event["id"].to_string()))
            .collect();
        events.sort_by_key(|event| at(event));
        let found: Vec<(&'static str, usize)> = RULES
            .iter()
            .filter(|rule| rule.on.contains(&kind))
            .map(|rule| (rule.name, fires(rule, &events)))
            .filter(|(_, times)| *times > 0)
            .collect();
        let ours = summary(file, kind)["incidents"].as_array().map_or(0, Vec::len);
        if ours > 0 || !found.is_empty() {
            table.push((file, ours, found));
        }
    }

    println!("\n{} published rules; files on which anything fires:", RULES.len());
    for (file, ours, found) in &table {
        println!("{file}\n    here: {ours} incidents");
        for (rule, times) in found {
            println!("    {rule}: {times}");
        }
    }
    let told: Vec<Line<'_>> =
        table.iter().map(|(file, ours, found)| (*file, *ours, found.as_slice())).collect();
    assert_eq!(told, EXPECTED);
}
