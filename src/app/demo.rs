//! The demonstration: a real push-bombing log goes in over HTTP, a verified containment comes out.
//!
//! Everything is real but the tenant: a server on loopback with its own data folder, the
//! connectors' requests over HTTP to the lab on another port. The evidence is `PingID`'s own
//! log of two bursts (see `tests/fixtures/NOTICE.md`), shifted to now by one constant; the
//! approval and the enrolment that follow are made up and say so.

mod evidence;
mod proof;

use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Plugs, Quell, Running, Settings, SystemClock, SystemEntropy};
use crate::config::{self, Layers};
use crate::connector::outbound;
use crate::console;
use crate::engine::ports::{Clock, Entropy};
use crate::lab::Lab;
use crate::lab::tenant::Tenant;
use crate::lab::world::System;
use crate::model::approval::{ApprovalState, Decision};
use crate::model::id::{ApprovalId, IncidentId};
use crate::model::incident::IncidentStatus;
use crate::model::time::Time;
use crate::people::People;
use crate::people::soft::SoftPerson;
use crate::secret::{Scrubber, Sources};

pub(crate) use proof::Finding;

/// Whom it happens to; the log calls them `victim_user`.
const DANA: &str = "dana.reyes@lab.example";
/// How long anything may take before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(90);

/// Where lines of the story go.
pub(crate) type Say<'s> = &'s mut dyn FnMut(&str) -> anyhow::Result<()>;

/// A demonstration that is up.
pub(crate) struct Demo {
    running: Running,
    lab: Lab,
    people: People,
    /// Where the console is.
    pub(crate) url: String,
    told: u64,
    /// When the alert was on disk.
    posted_at: Time,
    token: String,
    _folder: Option<tempfile::TempDir>,
}

impl Demo {
    /// Starts lab and server. `listen` may leave the port open. The data folder is thrown away unless `keep` names one.
    pub(crate) async fn start(listen: SocketAddr, keep: Option<&Path>) -> anyhow::Result<Self> {
        let lab = Lab::new(&Tenant::new("demo").crowd(5), Arc::new(|| SystemClock.now()));
        let temporary = if keep.is_some() { None } else { Some(tempfile::tempdir()?) };
        let folder = match (keep, &temporary) {
            (Some(keep), _) => {
                let used = std::fs::read_dir(keep).is_ok_and(|mut there| there.next().is_some());
                anyhow::ensure!(
                    !used,
                    "`{}` is not empty: name a folder that is not there yet",
                    keep.display()
                );
                keep.to_owned()
            }
            (None, Some(temporary)) => temporary.path().join("data"),
            (None, None) => anyhow::bail!("there is no folder"),
        };
        let address = free(listen).await?;
        let url = format!("http://localhost:{}", address.port());
        let token = secret();
        let base = serve_lab(&lab).await?;
        let settings = settings(&lab, &base, &folder, address, &url, &token)?;
        let running = Quell::start(settings).await?;
        let public: url::Url = url.parse()?;
        let people = People::new(running.engine.clone(), &public)?;
        let posted_at = running.engine.now();
        Ok(Self { running, lab, people, url, told: 0, posted_at, token, _folder: temporary })
    }

    /// Posts the real log, and then what the attacker did next.
    pub(crate) async fn attack(&mut self, say: Say<'_>) -> anyhow::Result<IncidentId> {
        let now = self.running.engine.now();
        let log = evidence::bursts(now)?;
        say(&format!(
            "posting {} real PingID records (two bursts of 6 and 8 ignored prompts) to {}/v1/hooks/pingid",
            log.records, self.url
        ))?;
        self.posted_at = now;
        self.post("pingid", log.body).await?;
        self.story(say, |i| i.status == IncidentStatus::Contained).await?;
        say("synthetic from here: the tired person taps Approve, the attacker enrols a factor")?;
        self.lab.attacker_steals_password(DANA);
        self.lab.attacker_signs_in(DANA);
        let enrolled = self.lab.attacker_enrols_factor_at(DANA, &[System::Okta]);
        let now = self.running.engine.now();
        self.post("pingid", evidence::approval(now, &log.last)).await?;
        if let Some((_, factor)) = enrolled.first() {
            let account = self.lab.oracle().account(System::Okta, DANA).map(|a| a.id.clone());
            self.post("okta", evidence::enrolment(now, &account.unwrap_or_default(), factor))
                .await?;
        }
        self.story(say, |_| false).await?;
        self.incident().ok_or_else(|| anyhow::anyhow!("no incident was opened"))
    }

    /// Decides every question with a software passkey that exists only here, until the person is contained.
    pub(crate) async fn decide(&mut self, say: Say<'_>) -> anyhow::Result<()> {
        let mut person = SoftPerson::enrol(&self.people, "olga.oncall", &["approver"]).await?;
        while let Some(approval) = self.pending() {
            let why = "Dana called back on a known number: not her";
            person.decide(&self.people, approval, Decision::Approve, why).await?;
            self.story(say, |_| false).await?;
        }
        self.story(say, |i| i.status == IncidentStatus::Contained).await
    }

    /// Asks for the way back and decides it.
    pub(crate) async fn restore(
        &mut self,
        incident: IncidentId,
        say: Say<'_>,
    ) -> anyhow::Result<()> {
        say("restore requested; opening the account again needs a person's decision")?;
        let run = self.running.engine.request_restore(incident, "demo").await?;
        self.story(say, |_| false).await?;
        let mut person = SoftPerson::enrol(&self.people, "rami.oncall", &["approver"]).await?;
        if let Some(approval) = self.pending() {
            let why = "password and factors are new, Dana is back";
            person.decide(&self.people, approval, Decision::Approve, why).await?;
        }
        let engine = self.running.engine.clone();
        self.until(say, || {
            engine.read(|core| core.state.runs.get(&run).is_some_and(|r| r.status.ended()))
        })
        .await
    }

    /// What the lab's oracle and the journal say about containment.
    pub(crate) fn contained(&self, incident: IncidentId) -> Vec<Finding> {
        proof::contained(&self.running.engine, &self.lab, incident)
    }

    /// What they say about the way back.
    pub(crate) fn restored(&self, incident: IncidentId) -> Vec<Finding> {
        proof::restored(&self.running.engine, &self.lab, incident)
    }

    /// The three times that count, in words.
    pub(crate) fn times(&self, incident: IncidentId) -> String {
        proof::times(&self.running.engine, incident, self.posted_at)
    }

    /// A link by which a newcomer enrols their own passkey under this name and decides.
    pub(crate) async fn invitation(&self, name: &str) -> anyhow::Result<String> {
        let ticket = self.people.invite(name, &["approver"]).await?;
        Ok(format!("{}/enrol/{}", self.url, ticket.reveal()))
    }

    /// Tells the story on until somebody stops it.
    pub(crate) async fn go_on(&mut self, say: Say<'_>) -> anyhow::Result<()> {
        let mut moved = self.running.engine.watch();
        loop {
            self.tell(say).await?;
            if moved.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        // A folder that is kept can be proved to its end.
        let signed = self.running.store.checkpoint();
        self.running.engine.commit(|tx| tx.push(signed)).await?;
        Ok(self.running.stop().await?)
    }

    fn incident(&self) -> Option<IncidentId> {
        self.running.engine.read(|core| core.state.incidents.keys().next_back().copied())
    }

    fn pending(&self) -> Option<ApprovalId> {
        self.running.engine.read(|core| {
            let mut open =
                core.state.approvals.values().filter(|a| a.state == ApprovalState::Pending);
            open.next().map(|a| a.id)
        })
    }

    async fn post(&self, source: &str, body: Value) -> anyhow::Result<()> {
        let client = door(&self.url, source, &self.token);
        client.send(&body).await
    }

    /// Tells what happens until `done` or until nothing more can happen without a person.
    async fn story(
        &mut self,
        say: Say<'_>,
        done: impl Fn(&crate::model::incident::Incident) -> bool,
    ) -> anyhow::Result<()> {
        let engine = self.running.engine.clone();
        self.until(say, || {
            engine.read(|core| {
                let newest = core.state.incidents.values().next_back();
                let idle = core.state.live.iter().all(|run| {
                    core.state.runs.get(run).is_some_and(|r| {
                        r.waiting_on == Some(crate::model::run::WaitingOn::Approval)
                    })
                });
                newest.is_some_and(|i| done(i) || idle && !i.runs.is_empty())
            })
        })
        .await
    }

    async fn until(&mut self, say: Say<'_>, done: impl Fn() -> bool) -> anyhow::Result<()> {
        let mut moved = self.running.engine.watch();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !done() {
            self.tell(say).await?;
            let changed = tokio::time::timeout_at(deadline, moved.changed()).await;
            anyhow::ensure!(changed.is_ok(), "nothing more happened within {PATIENCE:?}");
        }
        self.tell(say).await
    }

    /// Tells what the journal has gained.
    async fn tell(&mut self, say: Say<'_>) -> anyhow::Result<()> {
        let Some(incident) = self.incident() else { return Ok(()) };
        let store = self.running.engine.ports().store.clone();
        for commit in store.timeline(incident, self.told, 1000).await? {
            for (at, icon, text, detail) in console::told(&commit) {
                let clock = at.format("%H:%M:%S%.3f");
                let detail =
                    if detail.is_empty() { String::new() } else { format!(" — {detail}") };
                say(&format!("{clock}  {icon} {text}{detail}"))?;
            }
            self.told = commit.seq;
        }
        Ok(())
    }
}

/// One source's door.
struct Door {
    url: String,
    token: String,
}

fn door(url: &str, source: &str, token: &str) -> Door {
    Door { url: format!("{url}/v1/hooks/{source}"), token: token.to_owned() }
}

impl Door {
    /// Posts over a real connection, through the same guarded client that connectors use.
    async fn send(&self, body: &Value) -> anyhow::Result<()> {
        let networks = ["127.0.0.0/8".parse()?, "::1/128".parse()?];
        let transport = outbound::dial()(outbound::Way { networks: &networks, native: None })?;
        let request = http::Request::post(&self.url)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(bytes::Bytes::from(body.to_string()))?;
        let answer = transport.send(request, outbound::Limits::default()).await?;
        let said = String::from_utf8_lossy(answer.body()).into_owned();
        anyhow::ensure!(
            answer.status() == 202,
            "{} answered {}: {said}",
            self.url,
            answer.status()
        );
        Ok(())
    }
}

fn secret() -> String {
    let mut bytes = [0; 24];
    SystemEntropy.fill(&mut bytes);
    hex::encode(bytes)
}

/// An address with a port that was free a moment ago: passkeys need to know it before the server starts.
async fn free(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    Ok(tokio::net::TcpListener::bind(listen).await?.local_addr()?)
}

async fn serve_lab(lab: &Lab) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let router = lab.router();
    crate::engine::tasks::Tasks::default().spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("The lab ended: {error}");
        }
    });
    Ok(base)
}

fn settings(
    lab: &Lab,
    base: &str,
    folder: &Path,
    listen: SocketAddr,
    url: &str,
    token: &str,
) -> anyhow::Result<Settings> {
    let text = config_text(lab, base, folder, listen, url, token)?;
    let layers = Layers { file: Some(("demo.toml".into(), text)), ..Layers::default() };
    let config = config::load(&layers)
        .map_err(|p| {
            anyhow::anyhow!("{}", crate::diagnostic::render(&p, crate::diagnostic::Colour::Plain))
        })?
        .config;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (secrets, scrubber) = (Sources::lab(), Scrubber::default());
    let plugs: Plugs = super::connect(
        &config,
        clock.clone(),
        entropy.clone(),
        &secrets,
        &scrubber,
        outbound::dial(),
    )?
    .into();
    let console = Some(super::console(&config, None));
    Ok(Settings { config, clock, entropy, secrets, scrubber, plugs, console })
}

fn config_text(
    lab: &Lab,
    base: &str,
    folder: &Path,
    listen: SocketAddr,
    url: &str,
    token: &str,
) -> anyhow::Result<String> {
    let connections: serde_json::Map<String, Value> =
        lab.sections(base).into_iter().map(|(name, section)| (name.to_owned(), section)).collect();
    let source = |kind: &str, connections: &[&str]| {
        serde_json::json!({
            "kind": kind,
            "auth": { "bearer": {} },
            "secrets": [format!("text:{token}")],
            "may_cause": "contain",
            "connections": connections,
            "aliases": { "victim_user": DANA },
        })
    };
    let root = serde_json::json!({
        "server": { "lab": true, "listen": listen.to_string(), "public_url": url },
        "store": { "path": folder.display().to_string() },
        "sources": {
            "pingid": source("pingid", &["entra", "okta"]),
            "okta": source("okta", &["okta"]),
        },
        "connections": connections,
    });
    Ok(toml::to_string(&root)?)
}
