//! One delivery and what is expected of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeMap;

use crate::world::{SECRET, World};

pub(super) const WHSEC: &str = "whsec_dGhlLXN0YW5kYXJkLXdlYmhvb2tzLXRlc3Qta2V5";
pub(super) const HMAC_KEY: &str = "hmac-key-of-the-test-deployment";
pub(super) const PAIR: &str = "desk:password-of-the-service-desk";
pub(super) const OKTA_KEY: &str = "okta-header-of-the-test-deployment";

pub(super) struct Case {
    pub(super) name: String,
    method: reqwest::Method,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    pub(super) expect: Expect,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expect {
    Refused(u16, &'static str),
    /// `202`: how many records were accepted, and what each of the others was refused for.
    Taken(u64, Vec<&'static str>),
    /// The answer that an earlier case got.
    Again(&'static str),
    Fine(u16),
}

/// What the server said.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Told {
    /// The last part of the problem's type.
    pub(super) fn slug(&self) -> &str {
        let whole = self.body["type"].as_str().unwrap_or("-");
        whole.rsplit('/').next().unwrap_or(whole)
    }

    pub(super) fn summary(&self) -> String {
        let again = if self.body["duplicate"] == true { ", again" } else { "" };
        let mut by_problem: BTreeMap<&str, usize> = BTreeMap::new();
        for problem in self.rejected() {
            *by_problem.entry(problem).or_default() += 1;
        }
        format!("accepted {}, rejected {by_problem:?}{again}", self.body["accepted"])
    }

    fn rejected(&self) -> Vec<&str> {
        let list = self.body["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(|one| one["problem"].as_str()).collect()
    }
}

impl Case {
    /// A delivery with the proof that its source wants.
    pub(super) fn to(source: &str, name: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let case = Self::at(&format!("/v1/hooks/{source}"), name, body.clone());
        match source {
            "std" => {
                let (id, stamp) = (format!("msg-{}", case.name), now().timestamp().to_string());
                case.signed(&id, &stamp, &body)
            }
            "stamped" => case.stamped(&now().timestamp().to_string(), &body),
            "desk" => case.with("authorization", format!("Basic {}", STANDARD.encode(PAIR))),
            "oktahook" => case.with("authorization", OKTA_KEY),
            _ => case.with("authorization", format!("Bearer {SECRET}")),
        }
    }

    /// A request to any path, with no proof at all.
    pub(super) fn at(path: &str, name: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let name = name.into();
        Self {
            method: reqwest::Method::POST,
            path: path.to_owned(),
            // So that also what has no readable body can be looked for.
            headers: vec![("user-agent".to_owned(), mark(&name).into_bytes())],
            body: body.into(),
            expect: Expect::Taken(1, Vec::new()),
            name,
        }
    }

    /// Standard Webhooks' headers, as the signature of `body`.
    pub(super) fn signed(self, id: &str, stamp: &str, body: &[u8]) -> Self {
        let key = STANDARD.decode(WHSEC.trim_start_matches("whsec_")).unwrap();
        let tag = STANDARD.encode(sign(&key, &[id.as_bytes(), b".", stamp.as_bytes(), b".", body]));
        self.with("webhook-id", id)
            .with("webhook-timestamp", stamp)
            .with("webhook-signature", format!("v1,{tag}"))
    }

    /// The headers of the source `stamped`.
    pub(super) fn stamped(self, stamp: &str, body: &[u8]) -> Self {
        let tag = hex::encode(sign(HMAC_KEY.as_bytes(), &[stamp.as_bytes(), b".", body]));
        self.with("x-stamp", stamp).with("x-signature", format!("sha256={tag}"))
    }

    /// Adds a header, also where it is there already.
    pub(super) fn with(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(super) fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    pub(super) fn refused(mut self, status: u16, slug: &'static str) -> Self {
        self.expect = Expect::Refused(status, slug);
        self
    }

    pub(super) fn taken(mut self, accepted: u64, rejected: &[&'static str]) -> Self {
        self.expect = Expect::Taken(accepted, rejected.to_vec());
        self
    }

    pub(super) fn expects(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// A text that only this case has.
    pub(super) fn mark(&self) -> String {
        mark(&self.name)
    }

    /// Whether nothing that it brought may be kept.
    pub(super) fn is_refused(&self) -> bool {
        !matches!(self.expect, Expect::Taken(1.., _) | Expect::Fine(_))
    }

    /// Whether its mark is in a record that is kept.
    pub(super) fn is_kept(&self) -> bool {
        matches!(self.expect, Expect::Taken(1.., _)) && self.name.starts_with("hostile")
    }

    pub(super) async fn send(&self, world: &World) -> Told {
        let mut tries = 0;
        let sent = loop {
            match self.request(world).send().await {
                Ok(sent) => break sent,
                // Who still writes when the connection closes may miss that the body is too large.
                Err(_) if tries < 50 && self.expect == Expect::Refused(413, "body-too-large") => {
                    tries += 1;
                }
                Err(error) => panic!("{}: no answer: {error}", self.name),
            }
        };
        let status = sent.status().as_u16();
        let text = |v: &reqwest::header::HeaderValue| v.to_str().unwrap_or_default().to_owned();
        let headers = sent.headers().iter().map(|(n, v)| (n.to_string(), text(v))).collect();
        let text = sent.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Told { status, headers, text, body }
    }

    fn request(&self, world: &World) -> reqwest::RequestBuilder {
        let url = format!("{}{}", world.url, self.path);
        let mut request = world.client.request(self.method.clone(), url);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_slice());
        }
        request.body(self.body.clone())
    }

    /// How the answer differs from what was expected.
    pub(super) fn fault(&self, told: &Told, before: &BTreeMap<String, Told>) -> Option<String> {
        let right = match &self.expect {
            Expect::Refused(status, slug) => {
                told.status == *status && told.slug() == *slug && told.body["status"] == *status
            }
            Expect::Taken(accepted, rejected) => {
                told.status == 202
                    && told.body["accepted"] == *accepted
                    && told.body["duplicate"] == false
                    && told.rejected() == *rejected
            }
            Expect::Again(first) => {
                let mut same = before[*first].body.clone();
                same["duplicate"] = true.into();
                told.status == 202 && told.body == same
            }
            Expect::Fine(status) => told.status == *status,
        };
        (!right).then(|| format!("not {:?}: {}", self.expect, told.text))
    }
}

pub(super) fn mark(name: &str) -> String {
    format!("mark-{name}-end")
}

#[expect(clippy::disallowed_methods, reason = "what is sent is judged by the server's own clock")]
pub(super) fn now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}

fn sign(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    let mac = parts.iter().fold(mac, hmac::Mac::chain_update);
    mac.finalize().into_bytes().to_vec()
}
