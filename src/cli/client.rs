//! Talks to a running Quell, and says in words what it answered.

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use std::future::Future;
use std::io::Write as _;
use std::time::Duration;

/// How long a download may take, all told.
const DOWNLOAD: Duration = Duration::from_hours(24);

/// Where the server is, and who asks.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// The server's address.
    #[arg(long, env = "QUELL_URL", default_value = "http://127.0.0.1:7040", value_name = "URL")]
    url: url::Url,
    /// A token, as `quell token create` shows it.
    #[arg(long, env = "QUELL_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

#[cfg(test)]
impl ServerArgs {
    pub(super) fn at(url: url::Url, token: Option<String>) -> Self {
        Self { url, token }
    }
}

/// A caller of the API.
pub(super) struct Client {
    base: url::Url,
    token: String,
    http: reqwest::Client,
}

impl Client {
    pub(super) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let Some(token) = args.token.clone() else {
            bail!("no token: set QUELL_TOKEN to one, or give `--token`");
        };
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("could not make an HTTP client")?;
        Ok(Self { base: args.url.clone(), token, http })
    }

    /// The same caller at another address.
    pub(super) fn at(mut self, url: Option<&url::Url>) -> Self {
        if let Some(url) = url {
            self.base = url.clone();
        }
        self
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, path)?).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path)?.json(body)).await
    }

    /// An answer's body as it is.
    pub(super) async fn text(&self, path: &str) -> anyhow::Result<String> {
        let response = self.ask(self.request(Method::GET, path)?).await?;
        if !response.status().is_success() {
            return answer(response).await.map(|body| body.to_string());
        }
        response.text().await.context("the answer broke off")
    }

    /// Writes an answer's body into `file` as it comes, however long it takes. An answer that breaks
    /// off is an error.
    pub(super) async fn download(
        &self,
        path: &str,
        file: &mut std::fs::File,
    ) -> anyhow::Result<()> {
        let request = self.request(Method::GET, path)?.timeout(DOWNLOAD);
        let mut response = self.ask(request).await?;
        if !response.status().is_success() {
            return answer(response).await.map(drop);
        }
        let broke = "the answer broke off: what came so far is not whole";
        while let Some(part) = response.chunk().await.context(broke)? {
            file.write_all(&part).context("could not write what came")?;
        }
        Ok(())
    }

    /// Posts a text as it is.
    pub(super) async fn post_text(
        &self,
        path: &str,
        kind: &str,
        text: String,
    ) -> anyhow::Result<Value> {
        self.send(self.request(Method::POST, path)?.header("content-type", kind).body(text)).await
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::DELETE, path)?).await
    }

    /// Every item of a list, page by page.
    pub(super) async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut at = path.to_owned();
        loop {
            let mut page = self.get(&at).await?;
            if let Value::Array(some) = page["items"].take() {
                items.extend(some);
            }
            let Some(next) = page["next"].as_str() else { return Ok(items) };
            let joint = if path.contains('?') { '&' } else { '?' };
            at = format!("{path}{joint}cursor={next}");
        }
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<reqwest::RequestBuilder> {
        let url = self
            .base
            .join(path)
            .with_context(|| format!("`{}` is no address of a server", self.base))?;
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        answer(self.ask(request).await?).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Response> {
        request.send().await.map_err(|error| {
            let error = error.without_url();
            anyhow!(error)
                .context(format!("could not reach `{}`: is Quell running there?", self.base))
        })
    }
}

async fn answer(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await.context("the answer broke off")?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let title = body["title"].as_str().unwrap_or_default().to_owned();
    let Some(detail) = body["detail"].as_str() else {
        bail!("the server answered {status} {title}");
    };
    let hint = match status {
        StatusCode::UNAUTHORIZED => " (see QUELL_TOKEN)",
        _ => "",
    };
    Err(anyhow!("{title}: {detail}{hint}"))
}

/// Runs a command's work to its end.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start")?;
    let result = runtime.block_on(work);
    // A call of the index that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

/// One part of a path, escaped.
pub(super) fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
