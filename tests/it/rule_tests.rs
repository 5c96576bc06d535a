//! Panther's published rule tests by their own expectation: of each rule that is about prompts, reports, factors,
//! recovery or roles of a person, what was to be found is found, and what was not is not.
//!
//! Some samples have no time, which their pipeline adds; they get one here, and are synthetic in that.

use serde_json::{Value, json};
use std::path::Path;

/// File, kind of source, rule, and what its positive samples state: an event's kind and outcome.
#[rustfmt::skip]
const RULES: [(&str, &str, &str, &str, &str); 13] = [
    ("okta", "okta", "Okta.AdminRoleAssigned", "role_change", "succeeded"),
    ("okta", "okta", "Okta.User.MFA.Factor.Suspend", "factor_change", "succeeded"),
    ("okta", "okta", "Okta.User.MFA.Reset.Single", "factor_change", "succeeded"),
    ("okta", "okta", "Okta.User.MFA.Reset.All", "factor_change", "succeeded"),
    ("okta", "okta", "Okta.User.Reported.Suspicious.Activity", "prompt", "reported"),
    ("duo", "duo", "DUO.Admin.Action.MarkedFraudulent", "prompt", "reported"),
    ("duo", "duo", "DUO.User.Action.Fraudulent", "prompt", "reported"),
    ("duo", "duo", "DUO.User.Denied.AnomalousPush", "prompt", "denied"),
    ("duo", "duo", "DUO.User.BypassCode.Used", "sign_in", "succeeded"),
    ("auth0", "auth0", "Auth0.PushNotification.Fatigue", "prompt", "prompted"),
    ("onelogin", "onelogin", "OneLogin.AuthFactorRemoved", "factor_change", "succeeded"),
    ("onelogin", "onelogin", "OneLogin.PasswordChanged", "recovery_change", "succeeded"),
    ("entra", "entra", "Azure.Audit.RoleChangedPIM", "role_change", "succeeded"),
];

/// Negative samples that state it all the same, for the rule asks for less than what happened.
const NARROWER: [(&str, &str); 2] = [
    // All factors were reset, and not one suspended.
    ("Okta.User.MFA.Factor.Suspend", "Other Event"),
    // Given for good, though not by way of PIM.
    ("Azure.Audit.RoleChangedPIM", "Add member to role (Non PIM)"),
];

fn samples(folder: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/fixtures/open/{folder}/panther-rule-tests.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn with_time(kind: &str, mut log: Value) -> Value {
    let name = match kind {
        "okta" => "published",
        "duo" => "isotimestamp",
        "onelogin" => "event_timestamp",
        _ => return log,
    };
    if log[name].is_null() {
        log[name] = json!("2023-06-10T17:19:58Z");
    }
    log
}

#[test]
fn the_samples_of_published_rule_tests_are_judged_as_their_authors_expect() {
    let mut wrong = Vec::new();
    for (folder, kind, rule, event, outcome) in RULES {
        let of_rule: Vec<Value> =
            samples(folder).into_iter().filter(|sample| sample["rule_id"] == rule).collect();
        assert!(of_rule.iter().any(|sample| sample["expected"] == true), "{rule} has no samples");
        for sample in of_rule {
            let name = sample["test"].as_str().unwrap();
            let body = with_time(kind, sample["log"].clone()).to_string();
            let told = quell::open_data_events(kind, body.as_bytes()).unwrap();
            let states = told.as_array().unwrap().iter();
            let found =
                states.filter(|e| e["kind"] == event && e["outcome"] == outcome).count() > 0;
            let narrower = NARROWER.contains(&(rule, name));
            println!("{rule}: {name}: {}", if found { "found" } else { "not found" });
            if found != (sample["expected"] == true || narrower) {
                wrong.push(format!("{rule}: {name}: {told}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
