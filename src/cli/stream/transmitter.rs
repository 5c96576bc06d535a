//! A transmitter of the Shared Signals Framework 1.0: what it says of itself, and its streams.
//!
//! It is sent an access token, so that every address of it is https, but for one on this machine. What it answers is
//! shown to a person only with the token taken out.

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use url::{Host, Url};

use crate::model::text::tame;
use crate::secret::{Scrubber, SecretString};

/// Longest answer that is read.
const ANSWER_MAX: usize = 1 << 20;
const WELL_KNOWN: &str = "/.well-known/ssf-configuration";

pub(super) struct Transmitter {
    http: reqwest::Client,
    token: Option<SecretString>,
    scrubber: Scrubber,
    described: Described,
}

/// What it says of itself.
#[derive(Debug, Deserialize)]
struct Described {
    issuer: String,
    jwks_uri: Option<Url>,
    #[serde(default)]
    delivery_methods_supported: Vec<String>,
    configuration_endpoint: Option<Url>,
    status_endpoint: Option<Url>,
    verification_endpoint: Option<Url>,
}

impl Transmitter {
    /// Reads what the issuer says of itself.
    pub(super) async fn find(
        issuer: &str,
        address: Option<Url>,
        token: Option<SecretString>,
        scrubber: Scrubber,
    ) -> anyhow::Result<Self> {
        if let Some(token) = &token {
            scrubber.register(token);
        }
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("could not make an HTTP client")?;
        let address = address.map_or_else(|| well_known(issuer), Ok)?;
        let there = |described| Self {
            http: http.clone(),
            token: None,
            scrubber: scrubber.clone(),
            described,
        };
        let nothing = Described {
            issuer: issuer.to_owned(),
            jwks_uri: None,
            delivery_methods_supported: Vec::new(),
            configuration_endpoint: None,
            status_endpoint: None,
            verification_endpoint: None,
        };
        let stranger = there(nothing);
        let said = stranger.ask(Method::GET, &address, None).await?;
        let described: Described = serde_json::from_value(said)
            .with_context(|| format!("{address} is no description of a transmitter"))?;
        // Or somebody else would be told where we listen, and get the token.
        if described.issuer != issuer {
            bail!(
                "{address} describes the issuer `{}`, and the settings name `{issuer}`",
                tame(&described.issuer, 200)
            );
        }
        Ok(Self { token, ..there(described) })
    }

    /// Where its public keys are.
    pub(super) fn jwks_uri(&self) -> anyhow::Result<&Url> {
        needed(self.described.jwks_uri.as_ref(), "jwks_uri")
    }

    /// Its public keys.
    pub(super) async fn keys(&self) -> anyhow::Result<Value> {
        let address = self.jwks_uri()?;
        let keys = self.ask(Method::GET, address, None).await?;
        if !keys["keys"].is_array() {
            bail!("{address} holds no JSON Web Key Set");
        }
        Ok(keys)
    }

    /// The streams that the token may see.
    pub(super) async fn streams(&self) -> anyhow::Result<Vec<Value>> {
        match self.ask(Method::GET, self.configuration()?, None).await? {
            Value::Array(streams) => Ok(streams),
            // One stream alone is told as itself by some.
            one @ Value::Object(_) if one["stream_id"].is_string() => Ok(vec![one]),
            _ => bail!("the transmitter's answer is no list of streams"),
        }
    }

    pub(super) async fn create(&self, stream: &Value) -> anyhow::Result<Value> {
        let methods = &self.described.delivery_methods_supported;
        if !methods.is_empty() && !methods.iter().any(|method| method == super::PUSH) {
            bail!("the transmitter pushes nothing; it offers {}", tame(&methods.join(" "), 200));
        }
        let made = self.ask(Method::POST, self.configuration()?, Some(stream)).await?;
        if !made["stream_id"].is_string() {
            bail!("the transmitter's answer names no stream");
        }
        Ok(made)
    }

    pub(super) async fn delete(&self, stream: &str) -> anyhow::Result<()> {
        self.ask(Method::DELETE, &of(self.configuration()?, stream), None).await.map(drop)
    }

    /// Its status, where the transmitter tells it.
    pub(super) async fn status(&self, stream: &str) -> anyhow::Result<Option<Value>> {
        let Some(address) = &self.described.status_endpoint else { return Ok(None) };
        self.ask(Method::GET, &of(address, stream), None).await.map(Some)
    }

    /// Asks for a verification event with this state.
    pub(super) async fn verify(&self, stream: &str, state: &str) -> anyhow::Result<()> {
        let address = self.described.verification_endpoint.as_ref();
        let body = json!({"stream_id": stream, "state": state});
        let address = needed(address, "verification_endpoint")?;
        self.ask(Method::POST, address, Some(&body)).await.map(drop)
    }

    fn configuration(&self) -> anyhow::Result<&Url> {
        needed(self.described.configuration_endpoint.as_ref(), "configuration_endpoint")
    }

    async fn ask(&self, method: Method, at: &Url, body: Option<&Value>) -> anyhow::Result<Value> {
        let trusted = at.scheme() == "https" || (at.scheme() == "http" && is_here(at));
        if !trusted {
            bail!("{at} is not https: an access token is not sent there");
        }
        let request = self.http.request(method, at.clone()).header("accept", "application/json");
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let request = body.into_iter().fold(request, RequestBuilder::json);
        let unreachable = || format!("could not reach {at}");
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(unreachable)?;
        let status = response.status();
        let text = read(response).await.with_context(unreachable)?;
        if !status.is_success() {
            bail!("{at} answered {status}{}{}", hint(status), self.quoted(&text));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn quoted(&self, text: &str) -> String {
        let text = tame(self.scrubber.text(text).trim(), 300);
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => " (is the access token right?)",
        StatusCode::FORBIDDEN => " (it takes the scope `ssf.manage`, to look only `ssf.read`)",
        StatusCode::CONFLICT => " (there is a stream already)",
        _ => "",
    }
}

async fn read(mut response: Response) -> anyhow::Result<String> {
    let mut all = Vec::new();
    while let Some(part) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if all.len() + part.len() > ANSWER_MAX {
            bail!("the answer is longer than {ANSWER_MAX} bytes");
        }
        all.extend_from_slice(&part);
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// Where an issuer describes itself: the well-known part stands before its path.
fn well_known(issuer: &str) -> anyhow::Result<Url> {
    let mut url: Url = issuer.parse().with_context(|| {
        format!(
            "the issuer `{issuer}` is no web address: `--discovery` says where it describes itself"
        )
    })?;
    let path = format!("{WELL_KNOWN}{}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

fn of(address: &Url, stream: &str) -> Url {
    let mut address = address.clone();
    address.query_pairs_mut().append_pair("stream_id", stream);
    address
}

fn needed<'u>(address: Option<&'u Url>, name: &str) -> anyhow::Result<&'u Url> {
    address.with_context(|| format!("the transmitter names no `{name}`"))
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_path_follows_the_well_known_part() {
        for (issuer, address) in [
            ("https://idp.example.com", "https://idp.example.com/.well-known/ssf-configuration"),
            ("https://idp.example.com/", "https://idp.example.com/.well-known/ssf-configuration"),
            ("https://x.example/a/b", "https://x.example/.well-known/ssf-configuration/a/b"),
        ] {
            assert_eq!(well_known(issuer).unwrap().as_str(), address);
        }
        assert!(well_known("idp").is_err());
    }
}
