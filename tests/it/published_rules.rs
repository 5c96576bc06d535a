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
    needs: &'static [Needs],
}

/// What else must be true of those that are counted.
enum Needs {
    /// So many different values of a field.
    Spread(&'static str, usize),
    /// The provider takes the device of one of them for new.
    NewDevice,
    /// Fewer than half of them were approved.
    FewApproved,
    /// This stands in what the record says of each.
    Says(&'static str),
}

const REJECTED: &[&str] = &["denied", "reported"];
const FAILED: &[&str] = &["denied", "timed_out", "wrong_answer", "reported", "failed"];
const PUSHED: &[&str] =
    &["prompted", "denied", "timed_out", "wrong_answer", "reported", "approved"];
const IN: &[&str] = &["approved", "succeeded"];

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { name: "Elastic: Okta MFA bombing", on: &["okta"], counts: &["denied", "wrong_answer"], factor: Some("push"), at_least: 5, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Elastic: potentially successful Okta bombing", on: &["okta"], counts: &["denied", "wrong_answer"], factor: Some("push"), at_least: 5, within: 10 * MINUTE, by: "account", then: IN, needs: &[] },
    Rule { name: "Elastic: Entra TOTP brute force", on: &["entra"], counts: &["failed", "wrong_answer"], factor: Some("otp"), at_least: 20, within: 60 * MINUTE, by: "account", then: &[], needs: &[Needs::Spread("session", 10)] },
    Rule { name: "Elastic: report by the person", on: &["okta", "entra"], counts: &["reported"], factor: None, at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk: Okta multiple failed MFA", on: &["okta"], counts: FAILED, factor: None, at_least: 10, within: 5 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk: Okta MFA exhaustion hunt", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 4, within: 1_440 * MINUTE, by: "account", then: IN, needs: &[] },
    Rule { name: "Splunk: Entra denied MFA", on: &["entra"], counts: &["denied"], factor: None, at_least: 10, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk: Entra failed MFA", on: &["entra"], counts: &["timed_out", "wrong_answer", "failed"], factor: None, at_least: 11, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk: Office 365 failed MFA", on: &["office365"], counts: FAILED, factor: None, at_least: 10, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk: Google Workspace failed MFA", on: &["google-workspace"], counts: FAILED, factor: None, at_least: 10, within: 5 * MINUTE, by: "ip", then: &[], needs: &[] },
    Rule { name: "Splunk: AWS console failed MFA", on: &["aws"], counts: FAILED, factor: None, at_least: 11, within: 5 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk: PingID failures", on: &["pingid"], counts: FAILED, factor: None, at_least: 10, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Sentinel: MFA spamming, then success", on: &["entra"], counts: &["denied", "timed_out"], factor: None, at_least: 11, within: 5 * MINUTE, by: "account", then: &["approved"], needs: &[] },
    Rule { name: "Sentinel: MFA fatigue (Okta)", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 11, within: 60 * MINUTE, by: "session", then: &[], needs: &[] },
    Rule { name: "Sentinel: MFA rejected by user", on: &["entra"], counts: REJECTED, factor: None, at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Sentinel: Duo user failures", on: &["duo"], counts: FAILED, factor: None, at_least: 11, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "reprise99: MFA spam", on: &["entra"], counts: &["denied"], factor: None, at_least: 2, within: 10 * MINUTE, by: "account", then: &["approved"], needs: &[] },
    Rule { name: "Google SecOps: Okta rejects", on: &["okta"], counts: REJECTED, factor: Some("push"), at_least: 2, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Google SecOps: pushes, then success", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 5, within: 15 * MINUTE, by: "session", then: IN, needs: &[] },
    Rule { name: "Google SecOps: wrong number", on: &["okta"], counts: &["wrong_answer"], factor: None, at_least: 1, within: 60 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Okta detections: unanswered", on: &["okta"], counts: &["timed_out"], factor: None, at_least: 6, within: 60 * MINUTE, by: "ip", then: &[], needs: &[] },
    Rule { name: "Okta Workflows: rejected pushes", on: &["okta"], counts: REJECTED, factor: Some("push"), at_least: 5, within: 60 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Auth0, Panther: push notifications", on: &["auth0"], counts: PUSHED, factor: Some("push"), at_least: 5, within: 30 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Panther: Duo marked as fraud", on: &["duo"], counts: &["reported"], factor: None, at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Sigma: MFA denied", on: &["entra"], counts: FAILED, factor: None, at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Elastic: Okta hunt, denied in ten minutes", on: &["okta"], counts: &["denied"], factor: Some("push"), at_least: 5, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Elastic: Okta hunt, denied in an hour", on: &["okta"], counts: &["denied"], factor: Some("push"), at_least: 6, within: 60 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Splunk and Okta: pushes from elsewhere, few answered", on: &["okta"], counts: PUSHED, factor: Some("push"), at_least: 3, within: 1_440 * MINUTE, by: "session", then: &[], needs: &[Needs::Spread("ip", 2), Needs::NewDevice, Needs::FewApproved] },
    Rule { name: "Splunk and Okta: pushes from elsewhere, one rejected", on: &["okta"], counts: REJECTED, factor: Some("push"), at_least: 1, within: 1_440 * MINUTE, by: "session", then: &[], needs: &[Needs::NewDevice] },
    Rule { name: "Sentinel: Duo administrators' second factor", on: &["duo"], counts: FAILED, factor: None, at_least: 11, within: 10 * MINUTE, by: "account", then: &[], needs: &[Needs::Says("Login request")] },
    Rule { name: "reprise99: wrong numbers", on: &["entra"], counts: &["wrong_answer"], factor: None, at_least: 3, within: 10 * MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Okta detections: many people unanswered", on: &["okta"], counts: &["timed_out"], factor: None, at_least: 6, within: 60 * MINUTE, by: "ip", then: &[], needs: &[Needs::Spread("account", 6)] },
    Rule { name: "Okta detections: a denied response", on: &["okta"], counts: &["denied"], factor: Some("push"), at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[] },
    Rule { name: "Panther: Duo anomalous push", on: &["duo"], counts: &["denied"], factor: None, at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[Needs::Says("anomalous_push")] },
    Rule { name: "Sigma: a second factor challenged or failed", on: &["entra"], counts: &["prompted", "denied", "timed_out", "wrong_answer", "reported", "failed"], factor: None, at_least: 1, within: MINUTE, by: "account", then: &[], needs: &[] },
];

/// Rules that are not said again, and what stands here for each.
const COVERED: &[(&str, &str)] = &[
    ("Sentinel: explicit MFA deny", "the same as `Sentinel: MFA rejected by user`, by the day"),
    ("Panther, Google SecOps: Okta user report", "the same as `Elastic: report by the person`"),
    (
        "Splunk: PingID new method after a reset",
        "said again below, over the two logs that it joins",
    ),
    (
        "reprise99: privileged people",
        "`push-burst-at-privileged-person`: the roles are read, and no log tells them",
    ),
    (
        "ep3p: potential MFA spam",
        "it has no count: what is left once benign cases are taken out. `push-burst` with its traits, and steps once each, whichever records list them",
    ),
    (
        "Okta detections: a proxy",
        "`unfamiliar` and campaigns by address and network: whether an address is a proxy is no fact of an event",
    ),
    ("FalconFriday, Bert-JanP", "nothing about MFA prompts is published there"),
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
    // A challenge is no denial: two of the three got in seconds later.
    (
        "entra/msticnb-aad_signin_random.jsonl.gz",
        0,
        &[("Sigma: a second factor challenged or failed", 3)],
    ),
    (
        "entra/splunk-data_sources-examples.jsonl",
        0,
        &[("Sigma: a second factor challenged or failed", 1)],
    ),
    // An administrator of Duo who reported a prompt.
    ("duo/panther-rule-tests.jsonl", 1, &[("Panther: Duo marked as fraud", 1)]),
];

fn fires(rule: &Rule, events: &[&Value]) -> usize {
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for event in events {
        groups.entry(field(event, rule.by)).or_default().push(event);
    }
    groups.values().filter(|events| holds(rule, events)).count()
}

fn field(event: &Value, name: &str) -> String {
    let text = match name {
        "account" => {
            let account = &event["account"];
            account["login"].as_str().or_else(|| account["provider_id"].as_str())
        }
        other => event[other].as_str(),
    };
    text.unwrap_or_default().to_owned()
}

fn holds(rule: &Rule, events: &[&Value]) -> bool {
    let counted: Vec<&Value> = events
        .iter()
        .filter(|e| e["kind"] == "prompt" && says(e, rule.counts))
        .filter(|e| rule.factor.is_none_or(|factor| e["factor"] == factor))
        .copied()
        .collect();
    let enters: Vec<i64> = events.iter().filter(|e| says(e, rule.then)).map(|e| at(e)).collect();
    counted.windows(rule.at_least).any(|some| {
        let (first, last) = (at(some[0]), at(some[some.len() - 1]));
        let follows = |enters: &i64| *enters >= last && enters - first <= rule.within;
        last - first <= rule.within
            && rule.needs.iter().all(|needs| needs.holds(some))
            && (rule.then.is_empty() || enters.iter().any(follows))
    })
}

fn says(event: &Value, outcomes: &[&str]) -> bool {
    event["outcome"].as_str().is_some_and(|outcome| outcomes.contains(&outcome))
}

impl Needs {
    fn holds(&self, counted: &[&Value]) -> bool {
        match self {
            Self::Spread(name, least) => {
                let all: BTreeSet<String> =
                    counted.iter().map(|event| field(event, name)).collect();
                all.len() >= *least
            }
            Self::NewDevice => counted.iter().any(|event| event["new_device"] == true),
            Self::FewApproved => {
                let approved = counted.iter().filter(|event| says(event, &["approved"])).count();
                approved * 2 < counted.len()
            }
            Self::Says(words) => counted
                .iter()
                .all(|event| event["message"].as_str().is_some_and(|said| said.contains(words))),
        }
    }
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
    for (name, instead) in COVERED {
        println!("not said again: {name}: {instead}");
    }
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

/// Splunk's rule for a stolen desk: a second factor is paired within the hour after a password was reset. It joins two
/// logs, and so does this. No prompt is in them, so that nothing is contained here: it would stand on an open case.
#[test]
fn a_factor_that_is_paired_after_a_reset_is_seen_over_both_logs() {
    let mut events = Vec::new();
    for (file, kind) in [
        ("pingid/windows_pw_reset.log", "windows-security"),
        ("pingid/splunk-data_sources-examples.jsonl", "pingid"),
    ] {
        let told = quell::open_data_events(kind, &read(file)).expect("a readable file");
        events.extend(told.as_array().expect("a list").clone());
    }

    let of = |kind: &str| events.iter().filter(|e| e["kind"] == kind).collect::<Vec<_>>();
    let (resets, paired) = (of("recovery_change"), of("factor_change"));
    assert_eq!((resets.len(), paired.len()), (2, 1), "{events:#?}");
    assert_eq!(resets[0]["time"], "2023-10-05T14:00:50.539610300Z");
    assert_eq!(resets[1]["changed_by"], "administrator");
    let after = |reset: &&&Value| {
        let wait = at(paired[0]) - at(reset);
        field(reset, "account") == field(paired[0], "account") && (0..60 * MINUTE).contains(&wait)
    };
    assert_eq!(resets.iter().filter(after).count(), 2, "victim_user, ten minutes later");
}
