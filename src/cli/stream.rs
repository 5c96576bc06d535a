//! `quell stream create|show|verify|delete|keys`: the transmitter's side of a source of security event tokens.
//!
//! The settings say who the issuer is, what it has to call us, and where it pushes to; the transmitter is told the
//! same. Nothing is kept here: the transmitter keeps the stream, and the settings the keys.

#[cfg(test)]
mod tests;
mod transmitter;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

use super::client::{Client, ServerArgs, block_on};
use super::config::{ConfigArgs, load, report};
use super::output::Output;
use super::{Format, Verdict, table};
use crate::app::SystemEntropy;
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::engine::ports::Entropy as _;
use crate::intake::Auth;
use crate::model::id::SourceId;
use crate::model::text::{tame, tame_field};
use crate::secret::{Reference, Scrubber};
use transmitter::Transmitter;

/// What the mapping of shared signals reads; transmitters are asked for nothing else.
const EVENTS: [&str; 5] = [
    "https://schemas.openid.net/secevent/caep/event-type/credential-change",
    "https://schemas.openid.net/secevent/caep/event-type/session-established",
    "https://schemas.openid.net/secevent/caep/event-type/session-presented",
    "https://schemas.openid.net/secevent/risc/event-type/recovery-activated",
    "https://schemas.openid.net/secevent/risc/event-type/recovery-information-changed",
];
const PUSH: &str = "urn:ietf:rfc:8935";
/// How often a running Quell is asked whether a verification has come, and how far apart.
const WAITS: (u32, Duration) = (60, Duration::from_millis(500));

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Have the transmitter push its events to a source.
    Create {
        #[command(flatten)]
        asked: Asked,
        /// An event to ask for, by its URI; without it, all that Quell reads.
        #[arg(long, value_name = "URI")]
        event: Vec<String>,
    },
    /// Show the streams that push to a source.
    Show {
        #[command(flatten)]
        asked: Asked,
    },
    /// Have the transmitter prove that its events arrive.
    Verify {
        #[command(flatten)]
        asked: Asked,
        /// The stream, if several push to the source.
        #[arg(long, value_name = "ID")]
        stream: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// End a stream.
    Delete {
        #[command(flatten)]
        asked: Asked,
        /// The stream, if several push to the source.
        #[arg(long, value_name = "ID")]
        stream: Option<String>,
    },
    /// Print the transmitter's keys, or where they are.
    Keys {
        #[command(flatten)]
        asked: Asked,
        /// Print the settings that have Quell read them itself, again and again.
        #[arg(long)]
        settings: bool,
    },
}

/// Which source, and how its transmitter is reached.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The source in the settings, with `auth = { set = … }`.
    source: String,
    /// Where the transmitter's access token is: `file:PATH`, `env:NAME` or `credential:NAME`.
    #[arg(long, env = "QUELL_STREAM_TOKEN", value_name = "REFERENCE")]
    access: Option<Reference>,
    /// Where the transmitter describes itself, if not where its issuer's name says.
    #[arg(long, value_name = "URL")]
    discovery: Option<Url>,
    #[command(flatten)]
    config: ConfigArgs,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What the settings say of a source.
struct Ours {
    issuer: String,
    audience: String,
    /// Where Quell reads the transmitter's keys, if it does.
    jwks_uri: Option<String>,
    /// Where the transmitter pushes to.
    endpoint: Url,
    lab: bool,
}

pub(super) fn run(command: &Command, output: &mut Output) -> anyhow::Result<Verdict> {
    let (Command::Create { asked, .. }
    | Command::Show { asked }
    | Command::Verify { asked, .. }
    | Command::Delete { asked, .. }
    | Command::Keys { asked, .. }) = command;
    let ours = match ours(asked)? {
        Ok(ours) => ours,
        Err(problems) => return report(&problems, asked.format, output),
    };
    block_on(async {
        let scrubber = Scrubber::default();
        let token = asked.access.as_ref();
        let token = token.map(|name| config::secrets(ours.lab).resolve(name)).transpose()?;
        if token.is_none() && !matches!(command, Command::Keys { .. }) {
            bail!("no access token: `--access file:PATH` says where it is");
        }
        let address = asked.discovery.clone();
        let there = Transmitter::find(&ours.issuer, address, token, scrubber).await?;
        match command {
            Command::Create { event, .. } => {
                create(&there, &ours, event, asked.format, output).await
            }
            Command::Show { .. } => show(&there, &ours, asked.format, output).await,
            Command::Verify { stream, server, .. } => {
                let stream = one(&there, &ours, stream.as_deref()).await?;
                verify(&there, (asked, &stream), server, output).await
            }
            Command::Delete { stream, .. } => {
                let stream = one(&there, &ours, stream.as_deref()).await?;
                there.delete(&stream).await?;
                table::one(&json!({"deleted": tame_field(&stream)}), asked.format, output)
            }
            Command::Keys { settings, .. } => {
                let keys = there.keys().await?;
                if *settings {
                    output.data(&to_set(&ours, there.jwks_uri()?))?;
                } else {
                    output.json(&keys)?;
                }
                Ok(Verdict::Fine)
            }
        }
    })
}

/// What the settings say; the inner error is what is wrong with them.
fn ours(asked: &Asked) -> anyhow::Result<Result<Ours, Vec<Diagnostic>>> {
    let loaded = match load(&asked.config, Vec::new())? {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(Err(problems)),
    };
    let Config { sources, server, .. } = &loaded.config;
    let name = &asked.source;
    let Some(source) = sources.get(&SourceId::new(name)) else {
        bail!("there is no source `{name}` in the settings");
    };
    let Some(Auth::Set(set)) = &source.auth else {
        bail!("`{name}` takes no event tokens: its `auth` is not `{{ set = … }}`");
    };
    let endpoint = server.public_url.join(&format!("/v1/hooks/{}", super::client::part(name)));
    Ok(Ok(Ours {
        issuer: set.issuer.clone(),
        audience: set.audience.clone(),
        jwks_uri: source.auth.as_ref().and_then(Auth::place).map(|place| place.jwks_uri.clone()),
        endpoint: endpoint.context("`server.public_url` is no web address")?,
        lab: server.lab,
    }))
}

async fn create(
    there: &Transmitter,
    ours: &Ours,
    events: &[String],
    format: Format,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    keys_are_there(there, ours)?;
    if let Some(known) = pushing(there, ours).await?.first() {
        bail!(
            "the stream `{}` pushes to {} already: `quell stream delete` ends it",
            tame_field(id(known)),
            ours.endpoint
        );
    }
    let wanted: Vec<&str> = match events {
        [] => EVENTS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    let made = there
        .create(&json!({
            "delivery": {"method": PUSH, "endpoint_url": ours.endpoint},
            "events_requested": wanted,
            "description": "Quell",
        }))
        .await?;
    let verdict = table::one(&told(&made, None), format, output)?;
    let named = audiences(&made);
    if !named.is_empty() && !named.contains(&ours.audience.as_str()) {
        bail!(
            "the transmitter addresses its tokens to `{}`, and the settings take those to `{}`: set `audience` to it",
            tame_field(&named.join(" ")),
            ours.audience
        );
    }
    Ok(verdict)
}

/// Tokens that are signed by keys which are elsewhere would all be refused.
fn keys_are_there(there: &Transmitter, ours: &Ours) -> anyhow::Result<()> {
    let Some(own) = &ours.jwks_uri else { return Ok(()) };
    let said = there.jwks_uri()?;
    if own.parse::<Url>().is_ok_and(|own| own == *said) {
        return Ok(());
    }
    bail!(
        "the transmitter's keys are at `{}`, and the settings read them at `{own}`: set `jwks_uri` to the former",
        tame(said.as_str(), 300)
    )
}

/// The line for the source's section. `quell config check` says whether Quell may read there.
fn to_set(ours: &Ours, jwks_uri: &Url) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let (issuer, audience) = (text(&ours.issuer), text(&ours.audience));
    let jwks_uri = text(jwks_uri.as_str());
    format!(
        "# In place of `auth` and `secrets`:\nauth = {{ set = {{ issuer = {issuer}, audience = {audience}, jwks_uri = {jwks_uri} }} }}\n"
    )
}

async fn show(
    there: &Transmitter,
    ours: &Ours,
    format: Format,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    let streams = pushing(there, ours).await?;
    if streams.is_empty() {
        bail!("no stream of `{}` pushes to {}", ours.issuer, ours.endpoint);
    }
    let mut all = Vec::new();
    for stream in &streams {
        all.push(told(stream, there.status(id(stream)).await?.as_ref()));
    }
    if format == Format::Json {
        output.json(&Value::Array(all))?;
        return Ok(Verdict::Fine);
    }
    all.iter().try_fold(Verdict::Fine, |_, stream| table::one(stream, format, output))
}

async fn verify(
    there: &Transmitter,
    (asked, stream): (&Asked, &str),
    server: &ServerArgs,
    output: &mut Output,
) -> anyhow::Result<Verdict> {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    let state = hex::encode(random);
    there.verify(stream, &state).await?;
    let Ok(quell) = Client::new(server) else {
        let hint = "the console's page Sources shows it when it has come; with QUELL_TOKEN set (scope `read`) this command waits for it";
        let asked_for = json!({"state": state, "asked": true, "see": hint});
        return table::one(&asked_for, asked.format, output);
    };
    for _ in 0..WAITS.0 {
        let sources = quell.get("/v1/sources").await?;
        let own = sources.as_array().into_iter().flatten();
        let arrived = own
            .filter(|one| one["name"] == asked.source.as_str())
            .find(|one| one["stream"]["state"] == state.as_str());
        if let Some(one) = arrived {
            let told = json!({"state": state, "arrived_at": one["stream"]["verified_at"]});
            return table::one(&told, asked.format, output);
        }
        tokio::time::sleep(WAITS.1).await;
    }
    bail!(
        "the transmitter said that it sent a verification, and none with this state has come: see what the page Sources says was refused"
    )
}

/// The streams that push to us.
async fn pushing(there: &Transmitter, ours: &Ours) -> anyhow::Result<Vec<Value>> {
    let mut streams = there.streams().await?;
    streams.retain(|stream| stream["delivery"]["endpoint_url"] == ours.endpoint.as_str());
    Ok(streams)
}

/// The id of the one stream that is meant.
async fn one(there: &Transmitter, ours: &Ours, named: Option<&str>) -> anyhow::Result<String> {
    let streams = pushing(there, ours).await?;
    let ids: Vec<&str> = streams.iter().map(id).collect();
    match (named, &ids[..]) {
        (Some(named), ids) if ids.contains(&named) => Ok(named.to_owned()),
        (None, [only]) => Ok((*only).to_owned()),
        (Some(named), _) => bail!("no stream `{named}` pushes to {}", ours.endpoint),
        (None, []) => bail!("no stream of `{}` pushes to {}", ours.issuer, ours.endpoint),
        (None, several) => {
            bail!(
                "several streams push there, `--stream` says which: {}",
                tame_field(&several.join(" "))
            )
        }
    }
}

fn id(stream: &Value) -> &str {
    stream["stream_id"].as_str().unwrap_or_default()
}

fn audiences(stream: &Value) -> Vec<&str> {
    match &stream["aud"] {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// What is told of a stream: the transmitter's texts, made fit for a terminal.
fn told(stream: &Value, status: Option<&Value>) -> Value {
    let text = |value: &Value| value.as_str().map(|text| tame(text, 500));
    let list = |name: &str| {
        let list = stream[name].as_array().into_iter().flatten().take(64);
        list.filter_map(text).collect::<Vec<_>>()
    };
    let delivered = list("events_delivered");
    let missing = list("events_requested").into_iter().filter(|event| !delivered.contains(event));
    let mut told = json!({
        "stream_id": text(&stream["stream_id"]),
        "audience": audiences(stream).into_iter().map(tame_field).collect::<Vec<_>>(),
        "endpoint": text(&stream["delivery"]["endpoint_url"]),
        "delivered": delivered,
    });
    let missing: Vec<String> = missing.collect();
    if !missing.is_empty() {
        told["not_delivered"] = json!(missing);
    }
    if let Some(status) = status {
        told["status"] = json!(text(&status["status"]));
        told["reason"] = json!(text(&status["reason"]));
    }
    told
}
