//! Keys that rotate, are withdrawn, vanish and come back, through the real reader, verifier and files, in time that is
//! held.

use async_trait::async_trait;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::TimeDelta;
use http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::watch;

use super::*;
use crate::connector::outbound::{Limits, Transport, TransportError};
use crate::engine::ports::Entropy;
use crate::intake::{Auth, Verifier};
use crate::store::jwks::KeySets;

pub(crate) const ISSUER: &str = "https://idp.example.com/";
pub(crate) const AUDIENCE: &str = "https://quell.example.com";

/// Somebody who signs event tokens with one key.
pub(crate) struct Signer {
    kid: String,
    key: EncodingKey,
    pub(crate) jwk: Value,
}

impl Signer {
    pub(crate) fn new(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pair.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&public[range]);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
            "x": part(1..33), "y": part(33..65)});
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { kid: kid.to_owned(), key, jwk }
    }

    /// A token about a new factor, under this name.
    pub(crate) fn token(&self, jti: &str) -> String {
        self.signed(Some(&self.kid), jti)
    }

    pub(crate) fn signed(&self, kid: Option<&str>, jti: &str) -> String {
        let event = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
        let claims = json!({"iss": ISSUER, "jti": jti, "iat": 1_777_975_573, "aud": AUDIENCE,
            "sub_id": {"format": "email", "email": "ana@example.com"},
            "events": {event: {"credential_type": "fido2-roaming", "change_type": "create",
                "initiating_entity": "user", "event_timestamp": 1_777_975_573}}});
        let mut header = Header::new(Algorithm::ES256);
        (header.typ, header.kid) = (Some("secevent+jwt".into()), kid.map(str::to_owned));
        encode(&header, &claims, &self.key).unwrap()
    }
}

/// Four keys, and a token by each.
static SIGNERS: LazyLock<Vec<(Value, String)>> = LazyLock::new(|| {
    let one = |n: u8| Signer::new(&format!("k{n}"));
    (0..4).map(one).map(|signer| (signer.jwk.clone(), signer.token("t"))).collect()
});

fn set(keys: &BTreeSet<usize>) -> Value {
    json!({"keys": keys.iter().map(|n| &SIGNERS[*n].0).collect::<Vec<_>>()})
}

/// A clock that stands until it is moved.
#[derive(Clone)]
pub(crate) struct Held(watch::Sender<Time>);

impl Held {
    pub(crate) fn at(time: &str) -> Self {
        Self(watch::channel(time.parse().unwrap()).0)
    }

    pub(crate) fn pass(&self, span: Span) {
        self.0.send_modify(|now| *now += span.delta());
    }
}

#[async_trait]
impl Clock for Held {
    fn now(&self) -> Time {
        *self.0.borrow()
    }
    async fn sleep_until(&self, at: Time) {
        let mut now = self.0.subscribe();
        drop(now.wait_for(|now| *now >= at).await);
    }
}

struct Half;

impl Entropy for Half {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x80);
    }
}

/// What answers at `jwks_uri`.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Set(BTreeSet<usize>),
    Nothing,
    Status(u16),
    Body(&'static str),
}

struct There {
    answer: Mutex<Answer>,
    clock: Held,
    asked: Mutex<Vec<Time>>,
    /// The newest set that it gave, and when.
    gave: Mutex<Option<(BTreeSet<usize>, Time)>>,
}

#[async_trait]
impl Transport for There {
    async fn send(
        &self,
        _: http::Request<Bytes>,
        _: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        self.asked.lock().unwrap().push(self.clock.now());
        let answer = self.answer.lock().unwrap().clone();
        let (status, body) = match answer {
            Answer::Nothing => return Err(TransportError::NotSent("closed".to_owned())),
            Answer::Status(status) => (status, String::new()),
            Answer::Body(body) => (200, body.to_owned()),
            Answer::Set(keys) => {
                *self.gave.lock().unwrap() = Some((keys.clone(), self.clock.now()));
                (200, set(&keys).to_string())
            }
        };
        Ok(http::Response::builder().status(status).body(body.into()).unwrap())
    }
}

/// One process after another over one folder.
struct Bench {
    there: Arc<There>,
    dir: tempfile::TempDir,
    verifier: Verifier,
    renewal: Renewal,
    renewer: Renewer,
    _open: watch::Sender<bool>,
}

impl Bench {
    async fn new(answer: Answer) -> Self {
        let there = Arc::new(There {
            answer: Mutex::new(answer),
            clock: Held::at("2026-05-05T10:15:30Z"),
            asked: Mutex::default(),
            gave: Mutex::default(),
        });
        Self::begun(there, tempfile::tempdir().unwrap(), "https://idp.example.com/keys").await
    }

    async fn begun(there: Arc<There>, dir: tempfile::TempDir, jwks_uri: &str) -> Self {
        let auth: Auth = serde_json::from_value(
            json!({"set": {"issuer": ISSUER, "audience": AUDIENCE, "jwks_uri": jwks_uri}}),
        )
        .unwrap();
        let verifier = Verifier::new(auth, Vec::new()).unwrap();
        let (place, ring) = verifier.renewed().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(there.clock.clone());
        let renewal = Renewal::new(ring.clone(), clock.clone(), place);
        let (open, closing) = watch::channel(false);
        let parts = Parts {
            source: "idp".into(),
            place: place.clone(),
            renewal: renewal.clone(),
            transport: there.clone(),
            shelf: Arc::new(KeySets::at(dir.path())),
            clock,
            entropy: Arc::new(Half),
            closing,
        };
        let renewer = Renewer::new(parts).await;
        Self { there, dir, verifier, renewal, renewer, _open: open }
    }

    async fn restarted(self, jwks_uri: &str) -> Self {
        Self::begun(self.there, self.dir, jwks_uri).await
    }

    fn answer(&self, answer: Answer) {
        *self.there.answer.lock().unwrap() = answer;
    }

    fn takes(&self, key: usize) -> bool {
        let token = Bytes::copy_from_slice(SIGNERS[key].1.as_bytes());
        let kind = "shared-signals".parse().unwrap();
        self.verifier.verify(kind, &HeaderMap::new(), token, self.there.clock.now()).is_ok()
    }

    fn taken(&self) -> BTreeSet<usize> {
        (0..4).filter(|key| self.takes(*key)).collect()
    }

    fn asked(&self) -> Vec<Time> {
        self.there.asked.lock().unwrap().clone()
    }
}

fn keys(all: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    all.into_iter().collect()
}

#[tokio::test]
async fn a_set_that_was_read_outlives_a_restart_and_trouble_for_three_days_and_no_longer() {
    let bench = Bench::new(Answer::Set(keys([0, 1]))).await;
    bench.renewer.look().await;
    assert_eq!(bench.taken(), keys([0, 1]));

    bench.answer(Answer::Nothing);
    let bench = bench.restarted("https://idp.example.com/keys").await;
    assert_eq!(bench.taken(), keys([0, 1]), "before anything was asked");
    bench.there.clock.pass(Span::hours(71));
    bench.renewer.look().await;
    assert_eq!(bench.taken(), keys([0, 1]));
    let meter = bench.renewal.meter();
    assert_eq!((meter.keys, meter.in_a_row, meter.reads), (2, 1, 0));
    bench.there.clock.pass(Span::hours(1));
    assert_eq!(bench.taken(), keys([]), "even before the renewer has looked");
    bench.renewer.look().await;
    let (_, why) = bench.renewal.meter().stuck(bench.there.clock.now()).unwrap();
    assert!(why.contains("No key of it is believed any more"), "{why}");
    let bench = bench.restarted("https://idp.example.com/keys").await;
    assert_eq!(bench.taken(), keys([]));

    bench.answer(Answer::Set(keys([2])));
    bench.renewer.look().await;
    assert_eq!(bench.taken(), keys([2]));
    let bench = bench.restarted("https://other.example.com/keys").await;
    assert_eq!(bench.taken(), keys([]), "what was read elsewhere says nothing");
}

/// A folder that was copied from a machine whose clock was ahead must not be believed for longer than any other.
#[tokio::test]
async fn a_kept_set_of_a_time_to_come_is_not_believed() {
    let bench = Bench::new(Answer::Nothing).await;
    let (now, at) = (bench.there.clock.now(), "https://idp.example.com/keys");
    let shelf = KeySets::at(bench.dir.path());
    let kept = |read_at| Kept {
        source: "idp".into(),
        jwks_uri: at.to_owned(),
        read_at,
        set: set(&keys([0])),
    };
    shelf.keep(kept(now + TimeDelta::hours(1))).await.unwrap();
    let bench = bench.restarted(at).await;
    assert_eq!(bench.taken(), keys([]));

    shelf.keep(kept(now)).await.unwrap();
    let bench = bench.restarted(at).await;
    assert_eq!(bench.taken(), keys([0]));
}

#[tokio::test]
async fn a_set_without_keys_is_believed_and_told() {
    let bench = Bench::new(Answer::Set(keys([0]))).await;
    bench.renewer.look().await;
    bench.answer(Answer::Set(keys([])));
    bench.there.clock.pass(Span::hours(2));

    bench.renewer.look().await;

    assert_eq!(bench.taken(), keys([]));
    let meter = bench.renewal.meter();
    assert_eq!((meter.keys, meter.in_a_row), (0, 0));
    assert!(meter.stuck(bench.there.clock.now()).unwrap().1.contains("no key"));
}

#[derive(Debug, Clone)]
enum Step {
    Answers(Answer),
    Pass(i64),
    /// A token under an unknown key has come.
    Ask,
    Look,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let set = prop::collection::btree_set(0..4_usize, 0..4).prop_map(Answer::Set);
    let answer = prop_oneof![
        4 => set,
        1 => Just(Answer::Nothing),
        1 => Just(Answer::Status(503)),
        1 => Just(Answer::Status(302)),
        1 => Just(Answer::Body("<html>")),
        1 => Just(Answer::Body(r#"{"keys": "none"}"#)),
    ];
    prop_oneof![
        3 => answer.prop_map(Step::Answers),
        3 => (1..4_000_i64).prop_map(Step::Pass),
        1 => (1..300_000_i64).prop_map(Step::Pass),
        3 => Just(Step::Ask),
        5 => Just(Step::Look),
        1 => Just(Step::Restart),
    ]
}

async fn played(steps: Vec<Step>) {
    let mut bench = Bench::new(Answer::Set(keys([0, 1]))).await;
    let mut starts = 1;
    for step in steps {
        match step {
            Step::Answers(answer) => bench.answer(answer),
            Step::Pass(seconds) => bench.there.clock.pass(Span::seconds(seconds)),
            Step::Ask => drop(bench.renewal.ask()),
            Step::Look => bench.renewer.look().await,
            Step::Restart => {
                bench = bench.restarted("https://idp.example.com/keys").await;
                starts += 1;
            }
        }
        let (newest, at) = bench.there.gave.lock().unwrap().clone().unwrap_or_default();
        let age = bench.there.clock.now() - at;
        let expected = if age < BELIEVED.delta() { newest } else { keys([]) };
        assert_eq!(bench.taken(), expected, "neither more than the newest set nor less");
    }
    let asked = bench.asked();
    let hasty = asked.windows(2).filter(|pair| pair[1] - pair[0] < LEAST.delta());
    assert!(hasty.count() < starts, "once a minute at most, but for a start: {asked:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever answers, whoever asks, and however often the process ends.
    #[test]
    fn no_key_counts_that_the_newest_set_lacks(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(played(steps));
    }
}
