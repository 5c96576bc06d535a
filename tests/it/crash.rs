//! What machines do to a process and its disk, and what must hold all the same.
//!
//! * `kill`: the process dies, at work and while it starts.
//! * `power`: the disk forgets what was not synced.
//! * `disk`: the disk is full, read-only, or somebody else's.
//! * `damage`: bytes change behind the store's back.
//!
//! Here is the burst that they are done to, and the proof at the end. Senders do as senders should:
//! they repeat a delivery under its id until it is acknowledged. All is seen from outside.

mod damage;
mod disk;
mod kill;
mod operator;
mod power;

use futures::StreamExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::world::{PATIENCE, SECRET, World, alert, hostile_approval, quell};
use operator::Operator;

/// A hostile approval blocks both accounts of its person, without asking.
const SETTINGS: &str = "[policy]\nmode = \"auto\"\n[policy.ceilings]\nautomatic_blocks = 1000000\n";

/// Senders at once.
const WIDTH: usize = 6;

/// What was acknowledged, by number.
type Receipts = BTreeMap<usize, Receipt>;

#[derive(Debug, Clone)]
struct Receipt {
    sent: Delivery,
    answer: Value,
}

/// A body for a source.
#[derive(Debug, Clone)]
struct Delivery {
    source: &'static str,
    body: Value,
}

/// Deliveries under way: number `n` is about person `n`. Every other one is an alert; those between are the
/// raw events of a hostile approval, which go through the evidence log and detection.
struct Burst {
    posting: JoinHandle<()>,
    receipts: Arc<Mutex<Receipts>>,
    /// One message an acknowledgement.
    acks: mpsc::UnboundedReceiver<()>,
}

impl Burst {
    fn of(world: &World, numbers: RangeInclusive<usize>) -> Self {
        let receipts: Arc<Mutex<Receipts>> = Arc::default();
        let (acknowledged, acks) = mpsc::unbounded_channel();
        let (client, url, kept) = (world.client.clone(), world.url.clone(), receipts.clone());
        let posting = tokio::spawn(async move {
            futures::stream::iter(numbers)
                .for_each_concurrent(WIDTH, |n| {
                    let (client, url, kept) = (client.clone(), url.clone(), kept.clone());
                    let acknowledged = acknowledged.clone();
                    async move {
                        let sent = numbered(n);
                        let answer = until_acknowledged(&client, &url, &sent).await;
                        kept.lock().unwrap().insert(n, Receipt { sent, answer });
                        // Nobody counts any more: the receipt is kept all the same.
                        _ = acknowledged.send(());
                    }
                })
                .await;
        });
        Self { posting, receipts, acks }
    }

    fn acknowledged(&self) -> usize {
        self.receipts.lock().unwrap().len()
    }

    async fn end(self) -> Receipts {
        self.posting.await.unwrap();
        self.receipts.lock().unwrap().clone()
    }
}

/// Posts until it is acknowledged.
async fn until_acknowledged(client: &reqwest::Client, url: &str, delivery: &Delivery) -> Value {
    loop {
        let sent = client
            .post(format!("{url}/v1/hooks/{}", delivery.source))
            .bearer_auth(SECRET)
            .body(delivery.body.to_string())
            .timeout(Duration::from_secs(10))
            .send()
            .await;
        if let Ok(answer) = sent
            && answer.status() == 202
            && let Ok(answer) = answer.json().await
        {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn numbered(n: usize) -> Delivery {
    if breached(n) {
        return Delivery { source: "mfa", body: hostile_approval(n) };
    }
    let mut body = alert(n, "suspected");
    body["id"] = json!(format!("crash-{n}"));
    Delivery { source: "siem", body }
}

/// Whether person `n`'s evidence is a hostile approval.
fn breached(n: usize) -> bool {
    n.is_multiple_of(2)
}

/// What the proof counted.
#[derive(Debug, Default)]
struct Proof {
    acknowledged: usize,
    runs: usize,
    effects: usize,
    /// Runs that waited for a person because the process died too often under them.
    resumed: usize,
    lost: usize,
    doubled: usize,
}

/// Waits until all runs have ended, then holds the world against its receipts: every acknowledged
/// alert is there, everybody is contained, no ticket was opened twice, the folder verifies.
async fn prove(world: &mut World, operator: &mut Operator, receipts: &Receipts) -> Proof {
    let (runs, resumed) = to_the_end(world, operator).await;
    let mut lost = 0;
    for Receipt { sent, answer } in receipts.values() {
        let (status, again) = world.post(sent.source, &sent.body).await.unwrap();
        let same = status == 202 && again["receipt"] == answer["receipt"];
        lost += usize::from(!same || again["duplicate"] != true);
    }
    let failed: Vec<&Value> = runs.iter().filter(|r| r["status"] != "succeeded").collect();
    assert!(failed.is_empty(), "{} runs, of them {:#?}", failed.len(), failed.first());
    assert_eq!(world.all("/v1/incidents").await.len(), receipts.len());
    let oracle = world.oracle().await;
    let accounts = oracle["accounts"].as_array().unwrap();
    for n in receipts.keys() {
        contained(accounts, &oracle["calls"], *n);
    }
    let tickets = oracle["tickets"].as_array().unwrap();
    let cases: BTreeSet<String> = tickets.iter().map(|t| t["correlation_id"].to_string()).collect();
    assert_eq!(cases.len(), receipts.len(), "incidents with a ticket");
    let calls = oracle["calls"].as_array().unwrap();
    world.stop();
    world.prove(&["audit", "verify"]);
    world.prove(&["store", "verify"]);
    Proof {
        acknowledged: receipts.len(),
        runs: runs.len(),
        effects: calls.iter().filter(|c| c["effect"].is_string()).count(),
        resumed,
        lost,
        doubled: tickets.len() - cases.len(),
    }
}

/// Both accounts of the person lost their sessions, and are blocked after a hostile approval.
fn contained(accounts: &[Value], calls: &Value, n: usize) {
    let login = format!("person-{n:04}@lab.example");
    let own = accounts.iter().filter(|a| a["login"] == login.as_str());
    assert_eq!(own.filter(|a| a["open"] != breached(n)).count(), 2, "{login}");
    let calls = calls.as_array().unwrap();
    let revoked: BTreeSet<String> = calls
        .iter()
        .filter(|c| c["login"] == login.as_str() && c["effect"] == "sessions revoked")
        .map(|c| c["system"].to_string())
        .collect();
    assert_eq!(revoked.len(), 2, "{login}");
}

/// Returns once every run has ended. A person lets those go on that wait for one.
async fn to_the_end(world: &World, operator: &mut Operator) -> (Vec<Value>, usize) {
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut resumed = 0;
    loop {
        let runs = world.quiet().await;
        let waiting: Vec<&str> = runs
            .iter()
            .filter(|r| r["waiting_on"] == "operator")
            .filter_map(|r| r["id"].as_str())
            .collect();
        if waiting.is_empty() {
            return (runs, resumed);
        }
        assert!(std::time::Instant::now() < deadline, "{waiting:?} could not be resumed");
        resumed += waiting.len();
        for run in waiting {
            operator.resume(world, run).await;
        }
    }
}

/// What a command on a data folder said, and its exit code.
fn told(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code().unwrap_or(-1), text)
}

fn quell_says(args: &[&str], data: &std::path::Path) -> (i32, String) {
    told(quell(data.parent().unwrap()).args(args).arg(data))
}

/// A file system of the test's own; unmounted in the end.
struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts with these arguments, or says why it cannot.
    fn new(at: PathBuf, args: &[&str]) -> Result<Self, String> {
        std::fs::create_dir_all(&at).map_err(|e| e.to_string())?;
        run(Command::new("mount").args(args).arg(&at))?;
        Ok(Self { at })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What is left is the temporary folder's to complain about.
        _ = run(Command::new("umount").arg(&self.at));
    }
}

/// Runs a tool of the machine; says why it did not do its work.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().map_err(|e| format!("`{name}`: {e}"))?;
    if ran.status.success() {
        return Ok(());
    }
    Err(format!("`{name}`: {}", String::from_utf8_lossy(&ran.stderr).trim()))
}
