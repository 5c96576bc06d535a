//! Everything that can be wrong with what is sent: each case has its status and its problem type,
//! the server is unharmed, and of what was refused nothing is kept.
#![allow(clippy::unwrap_used, reason = "a test's own files and answers are as it left them")]

mod bodies;
mod case;
mod doors;
mod hostile;
mod raw;

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::world::{SECRET, World, alert};
use case::{Case, Told};

/// Every secret by which somebody could send.
const SECRETS: [&str; 5] = [SECRET, case::WHSEC, case::HMAC_KEY, case::PAIR, case::OKTA_KEY];

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_every_bad_kind_are_refused_by_name_and_leave_no_trace() {
    let mut world = World::new(3, &settings());
    let tokens = doors::Tokens::make(&world).await;
    let cases: Vec<Case> =
        [bodies::cases(), doors::cases(&tokens), hostile::cases()].into_iter().flatten().collect();
    let names: BTreeSet<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "each case has a name of its own");

    let mut table = Table::default();
    let mut told = BTreeMap::new();
    for case in &cases {
        let answer = case.send(&world).await;
        table.row(&case.name, &answer, case.fault(&answer, &told));
        told.insert(case.name.clone(), answer);
    }
    for case in raw::cases() {
        let answer = case.send(&world).await;
        let fault = (answer.statuses() != case.expect).then(|| format!("not {}", case.expect));
        table.line(&case.name, &answer.statuses(), &answer.problem(), fault);
    }
    let count = table.rows;
    table.done();
    assert!(count >= 70, "only {count} cases");
    strangers_learn_nothing(&told);

    world.quiet().await;
    unharmed(&world).await;
    let answers = answers(&world).await;
    let oracle = world.oracle().await;
    world.stop();
    world.prove(&["store", "verify"]);
    world.prove(&["audit", "verify"]);
    nothing_kept(&world, &cases);
    tamed(&world, &answers);
    no_secret(&world, &answers, &tokens);
    nobody_else_touched(&oracle);
}

/// One source for each way to prove who sends, beside the two that every world has.
fn settings() -> String {
    let source = |name: &str, kind: &str, auth: &str, secret: &str, per_minute: u32| {
        format!(
            "[sources.{name}]\nkind = \"{kind}\"\nauth = {{ {auth} }}\nsecrets = [\"text:{secret}\"]\n\
             connections = [\"entra\", \"okta\"]\nper_minute = {per_minute}\n"
        )
    };
    let many = 10_000_000;
    let stamped =
        "hmac = { header = \"x-signature\", prefix = \"sha256=\", timestamp_header = \"x-stamp\" }";
    [
        "[policy]\nmode = \"auto\"\n".to_owned(),
        source("std", "alerts", "standard_webhooks = {}", case::WHSEC, many),
        source("stamped", "events", stamped, case::HMAC_KEY, many),
        source("desk", "reports", "basic = {}", case::PAIR, many),
        source("oktahook", "okta", "header = { name = \"authorization\" }", case::OKTA_KEY, many),
        source("signins", "entra", "bearer = {}", SECRET, many),
        source("ping", "pingid", "bearer = {}", SECRET, many),
        source("slow", "alerts", "bearer = {}", SECRET, 1),
    ]
    .concat()
}

/// What happened, one line a case; what differs from what was expected is told all at once.
#[derive(Default)]
struct Table {
    rows: usize,
    faults: Vec<String>,
}

impl Table {
    fn row(&mut self, name: &str, told: &Told, fault: Option<String>) {
        let what = if told.status == 202 { told.summary() } else { told.slug().to_owned() };
        self.line(name, &told.status.to_string(), &what, fault);
    }

    #[expect(clippy::print_stdout, reason = "the table is for whoever runs the test")]
    fn line(&mut self, name: &str, status: &str, what: &str, fault: Option<String>) {
        self.rows += 1;
        println!("{name:<52} {status:<12} {what}");
        self.faults.extend(fault.map(|why| format!("{name}: {status} {what}: {why}")));
    }

    fn done(self) {
        assert!(
            self.faults.is_empty(),
            "{} faults:\n{}",
            self.faults.len(),
            self.faults.join("\n")
        );
    }
}

/// Apart from the request's own id, a source that is not there answers like one that is.
fn strangers_learn_nothing(told: &BTreeMap<String, Told>) {
    let plain = |name: &str| {
        let told = &told[name];
        let mut headers = told.headers.clone();
        headers.retain(|(name, _)| name != "x-request-id" && name != "date");
        let instance = told.body["instance"].as_str().unwrap();
        (told.text.replace(instance, ""), headers)
    };
    for other in ["bearer-wrong", "std-unsigned", "std-of-another-body", "okta-key-missing"] {
        assert_eq!(plain("source-unknown"), plain(other), "{other}");
    }
}

async fn unharmed(world: &World) {
    let health = world.client.get(format!("{}/healthz", world.url)).send().await.unwrap();
    assert_eq!(health.status(), 200);
    let (status, answer) = world.post("siem", &alert(2, "suspected")).await.unwrap();
    assert_eq!((status, &answer["accepted"]), (202, &json!(1)), "{answer}");
    assert_eq!(answer["incidents"].as_array().map(Vec::len), Some(1), "{answer}");
    let log = world.log.lock().unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

/// All that the API says about what came in.
async fn answers(world: &World) -> Vec<Value> {
    let mut all = world.all("/v1/incidents").await;
    let ids: Vec<String> =
        all.iter().map(|i| i["id"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(!ids.is_empty());
    for id in ids {
        all.push(world.get(&format!("/v1/incidents/{id}")).await);
        all.extend(world.all(&format!("/v1/incidents/{id}/timeline")).await);
    }
    for path in ["/v1/runs", "/v1/containments", "/v1/approvals", "/v1/tokens"] {
        all.extend(world.all(path).await);
    }
    let url = format!("{}/metrics", world.url);
    let metrics = world.client.get(url).bearer_auth(&world.token).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("wrong-signature"), "{metrics}");
    all.push(metrics.lines().collect::<Vec<_>>().into());
    all
}

/// Neither the log nor anything that is read again has anything of a delivery that was refused. What may be judged once
/// more lies apart, and there is nothing of what came with a wrong secret, or for nobody.
fn nothing_kept(world: &World, cases: &[Case]) {
    let mut texts = vec![("the log".to_owned(), world.log.lock().unwrap().clone())];
    for (name, bytes) in files(&world.data()) {
        texts.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    assert!(texts.iter().any(|(name, _)| name.starts_with("journal/")), "there is a journal");
    let raw = raw::refused_marks();
    let refused = cases.iter().filter(|case| case.is_refused()).map(Case::mark);
    for mark in refused.chain(raw) {
        let holds = |(name, text): &&(String, String)| !is_apart(name) && text.contains(&mark);
        let kept: Vec<&String> = texts.iter().filter(holds).map(|(name, _)| name).collect();
        assert!(kept.is_empty(), "`{mark}` is in {kept:?}");
    }
    let apart: Vec<_> = texts.iter().filter(|(name, _)| is_apart(name)).collect();
    assert!(!apart.is_empty(), "there is something to judge again");
    for name in ["bearer-wrong", "bearer-two-secrets", "okta-key-missing", "source-unknown"] {
        let mark = cases.iter().find(|case| case.name == name).unwrap().mark();
        assert!(!apart.iter().any(|(_, text)| text.contains(&mark)), "{name}");
    }
    // And of what was taken something is, or the search above would prove nothing.
    let taken = cases.iter().filter(|case| case.is_kept());
    for mark in taken.map(Case::mark) {
        let stored =
            texts.iter().any(|(name, text)| name.ends_with(".ndjson") && text.contains(&mark));
        assert!(stored, "`{mark}` is nowhere");
    }
}

fn is_apart(name: &str) -> bool {
    name.starts_with("refused/")
}

/// No text that is kept or told has a character that nobody sees, or markup that was run.
fn tamed(world: &World, answers: &[Value]) {
    let mut strings = Vec::new();
    for answer in answers {
        texts_in(answer, &mut strings);
    }
    for (name, bytes) in files(&world.data()) {
        if name.ends_with(".ndjson") {
            for line in String::from_utf8(bytes).unwrap().lines() {
                // Room that the journal has taken ahead.
                if line.trim_matches(['\0', ' ']).is_empty() {
                    continue;
                }
                texts_in(&serde_json::from_str(line).unwrap(), &mut strings);
            }
        }
    }
    strings.extend(world.log.lock().unwrap().lines().map(str::to_owned));
    assert!(strings.iter().any(|s| s.contains("⟪U+202E⟫")), "hidden characters are shown");
    // Playbooks, which nobody delivers, have lines.
    strings.retain(|text| {
        !text.contains("playbook: ")
            || !text.contains("\ntriggers:") && !text.contains("\n+triggers:")
    });
    for text in &strings {
        let hidden = text.chars().find(|c| hostile::is_hidden(*c));
        assert_eq!(hidden, None, "in {text:?}");
        // What a template would have made of it had it been one.
        assert!(!text.contains(hostile::PRODUCT), "a template was run: {text:?}");
        assert!(text.chars().count() <= 20_000, "a text is {} long", text.len());
    }
    let log = world.log.lock().unwrap();
    assert!(!log.lines().any(|line| line.starts_with(hostile::FORGED)), "a log line was forged");
}

fn no_secret(world: &World, answers: &[Value], tokens: &doors::Tokens) {
    let mut places = vec![("the log".to_owned(), world.log.lock().unwrap().clone())];
    places.push(("the API".to_owned(), Value::from(answers.to_vec()).to_string()));
    for (name, bytes) in files(&world.data()) {
        places.push((name, String::from_utf8_lossy(&bytes).into_owned()));
    }
    for (name, text) in &places {
        let leaked = |secret: &&str| text.contains(*secret);
        assert!(!SECRETS.iter().any(leaked), "a source's secret is in {name}");
        assert!(!tokens.texts().iter().any(leaked), "a token is in {name}");
    }
}

/// A hostile name is nobody's name: no call had an effect on an account that no case names.
fn nobody_else_touched(oracle: &Value) {
    for call in oracle["calls"].as_array().unwrap() {
        let Some(login) = call["login"].as_str().filter(|_| call["effect"].is_string()) else {
            continue;
        };
        assert!(login.starts_with("person-000"), "an effect on `{login}`: {call}");
    }
}

/// Every text in a value, keys too.
fn texts_in(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|one| texts_in(one, out)),
        Value::Object(map) => map.iter().for_each(|(key, one)| {
            out.push(key.clone());
            texts_in(one, out);
        }),
        _ => {}
    }
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                out.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    out
}

/// How long a sender of a raw request waits for its answer.
const RAW_PATIENCE: Duration = Duration::from_secs(30);
