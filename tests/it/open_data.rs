//! Real records that nobody here wrote: the two real bursts are found, and everything quiet
//! stays quiet. Where they come from is in `tests/fixtures/NOTICE.md`.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// File, source kind, then records: all, understood, irrelevant, with problems; then incidents.
pub(crate) type Line = (&'static str, &'static str, [u64; 4], usize);

pub(crate) const FILES: [Line; 43] = [
    ("pingid/pingid-bursts-AB.log", "pingid", [38, 20, 18, 0], 1),
    ("pingid/splunk-data_sources-examples.jsonl", "pingid", [1, 1, 0, 0], 0),
    ("pingid/windows_pw_reset.log", "windows-security", [2, 2, 0, 0], 0),
    ("okta/msaad00-okta_system_log_raw_sample.json", "okta", [9, 6, 3, 0], 0),
    ("okta/okta_cl_2021.json.gz", "okta", [593, 77, 516, 0], 0),
    ("okta/panther-rule-tests.jsonl", "okta", [100, 20, 46, 34], 1),
    ("okta/panther-scenario-admin_privs_assigned.jsonl", "okta", [1, 1, 0, 0], 0),
    ("okta/panther-scenario-brute_force_logins.jsonl", "okta", [10, 10, 0, 0], 0),
    ("okta/panther-scenario-legit_login.jsonl", "okta", [5, 5, 0, 0], 0),
    ("okta/stix-shifter-okta.jsonl", "okta", [4, 4, 0, 0], 0),
    ("entra/cribl-graph-signins.jsonl", "entra", [2, 2, 0, 0], 0),
    ("entra/msticnb-aad_signin_random.jsonl.gz", "entra", [300, 294, 6, 0], 0),
    ("entra/msticnb-aad_signin_user.jsonl.gz", "entra", [31, 31, 0, 0], 0),
    ("entra/otrf-AADAuditEvents.json", "entra", [4, 1, 3, 0], 0),
    ("entra/panther-rule-tests.jsonl", "entra", [47, 20, 27, 0], 0),
    ("entra/sentinel-training-sign-in_adelete.csv", "entra", [56, 53, 3, 0], 0),
    ("entra/splunk-data_sources-examples.jsonl", "entra", [16, 6, 10, 0], 0),
    ("duo/content-hub-authlogs.jsonl", "duo", [5, 5, 0, 0], 0),
    ("duo/cribl-duo-auth.jsonl", "duo", [2, 2, 0, 0], 0),
    ("duo/duo_log_sync-auth.jsonl", "duo", [2, 2, 0, 0], 0),
    ("duo/panther-rule-tests.jsonl", "duo", [42, 1, 27, 14], 1),
    ("duo/CiscoDuo_CL.json", "duo", [12, 2, 10, 0], 0),
    ("duo/DuoSecurityAuthentication_CL.json", "duo", [30, 30, 0, 0], 0),
    ("duo/DuoSecurityTelephony_CL.json", "duo", [5, 0, 5, 0], 0),
    ("duo/DuoSecurityTrustMonitor_CL.json", "duo", [10, 0, 10, 0], 0),
    ("auth0/datadog-auth0_tests.yaml", "auth0", [7, 1, 6, 0], 0),
    ("auth0/panther-rule-tests.jsonl", "auth0", [57, 4, 53, 0], 0),
    ("aws/splunk-data_sources-examples.jsonl", "aws", [1, 0, 1, 0], 0),
    ("google_workspace/GWorkspace_ReportsAPI_login_CL.json", "google-workspace", [3, 3, 0, 0], 0),
    (
        "google_workspace/GWorkspace_ReportsAPI_user_accounts_CL.json",
        "google-workspace",
        [2, 2, 0, 0],
        0,
    ),
    ("google_workspace/msaad00-login_raw_sample.json", "google-workspace", [3, 3, 0, 0], 0),
    ("google_workspace/panther-rule-tests.jsonl", "google-workspace", [16, 0, 10, 6], 0),
    ("google_workspace/splunk-data_sources-examples.jsonl", "google-workspace", [2, 2, 0, 0], 0),
    ("o365_ual/splunk-data_sources-examples.jsonl", "office365", [4, 3, 0, 1], 0),
    ("onelogin/OneLogin_CL.json", "onelogin", [7, 3, 4, 0], 0),
    ("onelogin/panther-rule-tests.jsonl", "onelogin", [26, 0, 13, 13], 0),
    ("pingfederate/PingFederate.json", "pingfederate", [6, 0, 6, 0], 0),
    ("symantec_vip/SymantecVIP.json.gz", "symantec-vip", [733, 99, 634, 0], 0),
    ("webhooks/okta-event-hook.json", "okta", [1, 1, 0, 0], 0),
    ("webhooks/msticpy-sentinel-incident.json", "sentinel", [1, 0, 1, 0], 0),
    ("webhooks/stix-shifter-graph-alert_v2.json", "defender", [1, 0, 1, 0], 0),
    ("webhooks/stix-shifter-graph-alertV2-response.json", "defender", [1, 0, 1, 0], 0),
    ("webhooks/cribl-graph-alert_v2.jsonl", "defender", [1, 0, 1, 0], 0),
];

pub(crate) fn read(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open").join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut out = Vec::new();
    if Path::new(file).extension().is_some_and(|ending| ending == "gz") {
        GzDecoder::new(bytes.as_slice()).read_to_end(&mut out).expect("a whole gzip file");
    } else {
        out = bytes;
    }
    match file {
        _ if file.contains("rule-tests") => unwrap_logs(&out),
        _ if file.ends_with("auth0_tests.yaml") => unwrap_samples(&out),
        _ => out,
    }
}

/// The parser's tests keep each record as text under `sample`.
fn unwrap_samples(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let tests: Value = serde_saphyr::from_str(text).expect("YAML");
    let samples = tests["tests"].as_array().expect("a list").iter().map(|test| {
        let sample = test["sample"].as_str().expect("a text");
        serde_json::from_str::<Value>(sample).expect("JSON")
    });
    Value::Array(samples.collect()).to_string().into_bytes()
}

/// The rule tests keep each record under `log`, beside what the rule was expected to say.
fn unwrap_logs(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let logs = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        let wrapped: Value = serde_json::from_str(line).expect("a JSON line");
        wrapped["log"].clone()
    });
    Value::Array(logs.collect()).to_string().into_bytes()
}

pub(crate) fn summary(file: &str, kind: &str) -> Value {
    quell::open_data_summary(kind, &read(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn every_record_is_accounted_for_and_only_the_real_bursts_and_reports_open_incidents() {
    let mut table = Vec::new();
    for (file, kind, _, _) in FILES {
        let told = summary(file, kind);
        let count = |name: &str| told[name].as_u64().unwrap_or_default();
        let records =
            [count("records"), count("understood"), count("irrelevant"), count("problems")];
        let incidents = told["incidents"].as_array().map_or(0, Vec::len);
        table.push((file, kind, records, incidents));
    }

    print(&table);
    // One comparison, so that a failure shows the whole table.
    assert_eq!(table, FILES);
}

/// A file that nobody reads proves nothing.
#[test]
fn every_published_file_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(&root).expect("a folder") {
        for file in std::fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let name = path.strip_prefix(&root).expect("below it").to_string_lossy().into_owned();
            found.push(name);
        }
    }
    let mut read: Vec<String> = FILES.iter().map(|(file, ..)| (*file).to_owned()).collect();
    found.sort();
    read.sort();
    assert_eq!(found, read);
}

/// Past the test harness, which keeps what a passing test prints to itself.
fn print(table: &[Line]) {
    let mut text = format!(
        "\n{:<60} {:<16} {:>7} {:>10} {:>10} {:>8} {:>9}\n",
        "FILE", "SOURCE", "RECORDS", "UNDERSTOOD", "IRRELEVANT", "UNUSABLE", "INCIDENTS"
    );
    for (file, kind, [records, understood, irrelevant, problems], incidents) in table {
        let line = format!(
            "{file:<60} {kind:<16} {records:>7} {understood:>10} {irrelevant:>10} {problems:>8} {incidents:>9}\n"
        );
        text += &line;
    }
    std::io::stdout().lock().write_all(text.as_bytes()).expect("a place to write to");
}

/// The ground truth of the data set: six timeouts in 125 s, eight in 406 s, no approval.
#[test]
fn both_real_bursts_are_found_with_their_windows_and_no_approval() {
    let told = summary("pingid/pingid-bursts-AB.log", "pingid");
    let incident = &told["incidents"][0];

    assert_eq!(incident["subject"], "victim_user");
    assert_eq!(incident["stage"], "suspected");
    assert_eq!(incident["outcome"], "none");
    let episodes: Vec<_> = incident["episodes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| {
            (e["first"].as_str(), e["last"].as_str(), e["failed"].as_u64(), e["stage"].as_str())
        })
        .collect();
    assert_eq!(
        episodes,
        [
            (
                Some("2023-05-10T14:17:50.052Z"),
                Some("2023-05-10T14:19:55.252Z"),
                Some(6),
                Some("suspected")
            ),
            (
                Some("2023-05-10T14:38:37.958Z"),
                Some("2023-05-10T14:45:23.743Z"),
                Some(8),
                Some("suspected")
            ),
        ]
    );
}

/// The export holds the same events up to eight times.
#[test]
fn reingested_events_count_once() {
    assert_eq!(summary("okta/okta_cl_2021.json.gz", "okta")["distinct_events"], 22);
    // Five times each.
    assert_eq!(summary("duo/DuoSecurityAuthentication_CL.json", "duo")["distinct_events"], 6);
    // A challenge and the success after it share the record's id and are two facts.
    let random = summary("entra/msticnb-aad_signin_random.jsonl.gz", "entra");
    assert_eq!(random["distinct_events"], 301);
}

#[test]
fn the_incidents_of_the_rule_tests_are_peoples_reports() {
    let admin = summary("duo/panther-rule-tests.jsonl", "duo");
    assert_eq!(admin["incidents"][0]["subject"], "example@example.io");
    assert_eq!(admin["incidents"][0]["stage"], "suspected");

    let told = summary("okta/panther-rule-tests.jsonl", "okta");

    assert_eq!(told["incidents"][0]["subject"], "homer.simpson@duff.com");
    assert_eq!(told["incidents"][0]["stage"], "suspected");
}

#[test]
fn an_unknown_kind_is_named() {
    let refused = quell::open_data_summary("nonsuch", b"[]").unwrap_err();

    assert!(refused.contains("`nonsuch` is no kind of source"), "{refused}");
}

/// File, events, and those of them whose record says which client software asked. The rest of each file's records have
/// no browser, system or user agent, or have it blank; files that are not here have none in any record that is an event.
const CLIENTS: [(&str, usize, usize); 24] = [
    ("okta/msaad00-okta_system_log_raw_sample.json", 6, 6),
    ("okta/okta_cl_2021.json.gz", 77, 77),
    ("okta/panther-rule-tests.jsonl", 20, 19),
    ("okta/panther-scenario-admin_privs_assigned.jsonl", 1, 1),
    ("okta/panther-scenario-brute_force_logins.jsonl", 10, 10),
    ("okta/panther-scenario-legit_login.jsonl", 5, 5),
    ("okta/stix-shifter-okta.jsonl", 4, 4),
    ("entra/cribl-graph-signins.jsonl", 2, 2),
    ("entra/msticnb-aad_signin_random.jsonl.gz", 301, 249),
    ("entra/msticnb-aad_signin_user.jsonl.gz", 31, 31),
    ("entra/otrf-AADAuditEvents.json", 1, 1),
    ("entra/panther-rule-tests.jsonl", 22, 15),
    ("entra/sentinel-training-sign-in_adelete.csv", 53, 53),
    ("entra/splunk-data_sources-examples.jsonl", 7, 2),
    ("duo/content-hub-authlogs.jsonl", 5, 2),
    ("duo/cribl-duo-auth.jsonl", 2, 2),
    ("duo/duo_log_sync-auth.jsonl", 2, 1),
    ("duo/CiscoDuo_CL.json", 2, 2),
    ("duo/DuoSecurityAuthentication_CL.json", 30, 30),
    ("auth0/datadog-auth0_tests.yaml", 1, 1),
    ("auth0/panther-rule-tests.jsonl", 4, 2),
    ("o365_ual/splunk-data_sources-examples.jsonl", 3, 1),
    ("onelogin/OneLogin_CL.json", 3, 1),
    ("webhooks/okta-event-hook.json", 1, 1),
];

/// Of some files the first, as it is told.
const FIRST: [(&str, &str); 5] = [
    (
        "okta/okta_cl_2021.json.gz",
        "FIREFOX on Windows 10 (Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:76.0) Gecko/20100101 Firefox/76.0)",
    ),
    ("entra/cribl-graph-signins.jsonl", "Chrome 139.0.0 on MacOs"),
    ("entra/splunk-data_sources-examples.jsonl", "EvoSTS"),
    ("duo/DuoSecurityAuthentication_CL.json", "Edge Chromium 88.0.705.63 on Windows 10"),
    (
        "o365_ual/splunk-data_sources-examples.jsonl",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:120.0) Gecko/20100101 Firefox/120.0",
    ),
];

#[test]
fn client_software_is_read_where_the_record_names_it() {
    let (mut table, mut firsts) = (Vec::new(), Vec::new());
    for (file, kind, _, _) in FILES {
        let events = quell::open_data_events(kind, &read(file)).unwrap_or_default();
        let events = events.as_array().map(Vec::as_slice).unwrap_or_default();
        let named: Vec<_> = events.iter().filter_map(|event| event["client"].as_str()).collect();
        if let Some(first) = named.first() {
            table.push((file, events.len(), named.len()));
            firsts.push((file, (*first).to_owned()));
        }
    }
    assert_eq!(table, CLIENTS);
    for (file, client) in FIRST {
        let found = firsts.iter().find(|(of, _)| *of == file).map(|(_, first)| first.as_str());
        assert_eq!(found, Some(client), "{file}");
    }
}
