//! A lab and a server as processes of their own, reached over HTTP as everybody else reaches them.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The secret of every source of a [`World`].
pub const SECRET: &str = "ingest-secret-of-the-test-deployment";

/// How long anything may take before a test gives up. Far beyond what it does take.
pub const PATIENCE: Duration = Duration::from_mins(3);

pub struct World {
    pub folder: tempfile::TempDir,
    data: PathBuf,
    pub url: String,
    pub lab_url: String,
    pub client: reqwest::Client,
    /// The deployment's first token: it reads and administers.
    pub token: String,
    /// The checkpoints' public key.
    pub key: String,
    /// The ticket by which the first person enrols.
    pub ticket: String,
    lab: Child,
    server: Option<Child>,
    /// Says once that the server serves, and closes when it ends.
    serving: Option<Receiver<()>>,
    /// What the server said on standard error, over all its lives.
    pub log: Arc<Mutex<String>>,
}

impl World {
    /// A lab with `people` more inhabitants, and a served lab deployment with `settings` added.
    pub fn new(people: usize, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::on(folder, data, people, settings)
    }

    /// The same with the data folder at `data`, on a disk of its own perhaps.
    pub fn on(folder: tempfile::TempDir, data: PathBuf, people: usize, settings: &str) -> Self {
        let lab_config = folder.path().join("lab.toml");
        let mut lab = quell(folder.path())
            .args(["lab", "--listen", "127.0.0.1:0", "--without-limits", "--people"])
            .arg(people.to_string())
            .arg("--write-config")
            .arg(&lab_config)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(lab.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let lab_url = first.split_whitespace().find(|w| w.starts_with("http://")).unwrap();
        let lab_url = lab_url.trim_end_matches(';').to_owned();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let connections = std::fs::read_to_string(&lab_config).unwrap();
        let config = format!("{}\n{settings}\n{connections}", base(port, &data));
        std::fs::write(folder.path().join("quell.toml"), config).unwrap();
        let made =
            quell(folder.path()).args(["init", "--lab", "--format", "json"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let told = |field: &str| made[field].as_str().unwrap().to_owned();
        let mut world = Self {
            folder,
            data,
            url: format!("http://127.0.0.1:{port}"),
            lab_url,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: told("token"),
            key: told("checkpoint_key"),
            ticket: told("enrol").rsplit('/').next().unwrap().to_owned(),
            lab,
            server: None,
            serving: None,
            log: Arc::default(),
        };
        world.start();
        world
    }

    /// Starts the server and returns once it serves.
    pub fn start(&mut self) {
        self.spawn();
        let up = self.serving.as_ref().map(|serving| serving.recv_timeout(PATIENCE));
        assert_eq!(up, Some(Ok(())), "the server did not come up:\n{}", self.log());
    }

    /// Starts the server, which then opens its folder.
    pub fn spawn(&mut self) {
        self.spawn_with(&[]);
    }

    /// Starts the server with more arguments.
    pub fn spawn_with(&mut self, args: &[&str]) {
        let mut server = quell(self.folder.path())
            .arg("serve")
            .args(args)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(server.stdout.take().unwrap());
        let err = BufReader::new(server.stderr.take().unwrap());
        let (told, serving) = channel();
        for lines in [Box::new(out) as Box<dyn BufRead + Send>, Box::new(err)] {
            let (log, told) = (self.log.clone(), told.clone());
            std::thread::spawn(move || {
                for line in lines.lines().map_while(Result::ok) {
                    if line.contains("Began to serve") {
                        // Nobody listens any more once the server is up.
                        _ = told.send(());
                    }
                    let mut log = log.lock().unwrap();
                    log.push_str(&line);
                    log.push('\n');
                }
            });
        }
        self.server = Some(server);
        self.serving = Some(serving);
    }

    /// Whether a server that was spawned and not waited for serves by this time.
    pub fn is_up(&self) -> bool {
        self.serving.as_ref().is_some_and(|serving| serving.try_recv().is_ok())
    }

    /// Waits until a server that was spawned serves (`None`) or has ended, with this exit code.
    pub fn ends_or_serves(&mut self) -> Option<i32> {
        let up = self.serving.as_ref().map(|serving| serving.recv_timeout(PATIENCE));
        if up == Some(Ok(())) {
            return None;
        }
        let mut server = self.server.take().expect("a server was spawned");
        Some(server.wait().unwrap().code().unwrap_or(-1))
    }

    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// As if the power of this one process went.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("a server runs");
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// A graceful stop.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("a server runs");
        let pid = server.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(server.wait().unwrap().success(), "{}", self.log.lock().unwrap());
    }

    /// Has the server read its settings again.
    pub fn hang_up(&self) {
        let pid = self.server.as_ref().expect("a server runs").id().to_string();
        assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    }

    /// The server's resident memory now, and the most that it was, in MB.
    pub fn memory(&self) -> (u64, u64) {
        let pid = self.server.as_ref().expect("a server runs").id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Posts a delivery; `None` if no answer came (the server died).
    pub async fn post(&self, source: &str, body: &Value) -> Option<(u16, Value)> {
        let url = format!("{}/v1/hooks/{source}", self.url);
        let sent =
            self.client.post(url).bearer_auth(SECRET).body(body.to_string()).send().await.ok()?;
        let status = sent.status().as_u16();
        Some((status, sent.json().await.ok()?))
    }

    pub async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.url);
        let got = self.client.get(url).bearer_auth(&self.token).send().await.unwrap();
        assert!(got.status().is_success(), "{path}: {}", got.status());
        got.json().await.unwrap()
    }

    /// Every item of a listing, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let from = cursor.as_ref().map(|c| format!("{join}cursor={c}")).unwrap_or_default();
            let page = self.get(&format!("{path}{from}")).await;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return items,
            }
        }
    }

    /// What really happened.
    pub async fn oracle(&self) -> Value {
        self.client
            .get(format!("{}/lab/oracle", self.lab_url))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// Returns once every run has ended or waits for people.
    pub async fn quiet(&self) -> Vec<Value> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let runs = self.all("/v1/runs").await;
            let waits_for_people =
                |r: &Value| r["waiting_on"] == "approval" || r["waiting_on"] == "operator";
            let ended = |r: &Value| r["status"] != "running" && r["status"] != "waiting";
            let busy = runs.iter().filter(|r| !ended(r) && !waits_for_people(r)).count();
            if busy == 0 {
                return runs;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "{busy} of {} runs are still running",
                runs.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a command on the stopped data folder; it must exit 0.
    pub fn prove(&self, args: &[&str]) {
        let ran = quell(self.folder.path()).args(args).arg(&self.data).output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{args:?}: {out}{err}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in [Some(&mut self.lab), self.server.as_mut()].into_iter().flatten() {
            // Already gone is as good.
            _ = child.kill();
            _ = child.wait();
        }
    }
}

pub fn quell(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
    command.current_dir(folder).env_remove("QUELL_URL").env_remove("QUELL_TOKEN");
    command
}

fn base(port: u16, data: &Path) -> String {
    let data = data.display();
    let source = |name: &str, kind: &str| {
        format!(
            "[sources.{name}]\nkind = \"{kind}\"\nauth = {{ bearer = {{}} }}\nsecrets = [\"text:{SECRET}\"]\n\
             may_cause = \"contain\"\nconnections = [\"entra\", \"okta\"]\nper_minute = 10000000\n"
        )
    };
    format!(
        "[server]\nlab = true\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://localhost:{port}\"\nlog = \"info,quell::server::layers=warn\"\n\
         [store]\npath = \"{data}\"\nreserve_mib = 0\n{}{}",
        source("siem", "alerts"),
        source("mfa", "events"),
    )
}

/// An alert about one of the lab's crowd.
pub fn alert(n: usize, stage: &str) -> Value {
    serde_json::json!({
        "kind": "mfa_fatigue",
        "account": { "login": format!("person-{n:04}@lab.example") },
        "stage": stage,
        "reason": "6 prompts denied in 4 minutes",
        "rule": "test",
    })
}

/// Five denied prompts and then an approval, all from one address.
pub fn hostile_approval(n: usize) -> Value {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let events: Vec<Value> = (0..6)
        .map(|k| {
            serde_json::json!({
                "id": format!("push-{n}-{k}"),
                "kind": "prompt",
                "account": { "login": format!("person-{n:04}@lab.example") },
                "time": (now - chrono::TimeDelta::seconds(60 - 10 * k)).to_rfc3339(),
                "outcome": if k == 5 { "approved" } else { "denied" },
                "factor": "push",
                "origin": "password",
                "ip": "203.0.113.66",
            })
        })
        .collect();
    serde_json::json!({ "events": events })
}
