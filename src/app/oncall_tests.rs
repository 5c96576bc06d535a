//! Who is on call, by the pager's own manifest: believed, refused, silent, hostile; and what the API says of it.

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

use super::api_tests::World;
use super::ports::{Reach, SystemEntropy, VirtualClock};
use super::rig::in_one_runtime;
use crate::approval::rota::{Options as Rota, Source};
use crate::connector::catalogue::Catalogue;
use crate::connector::connections::{self, Connections};
use crate::connector::outbound::{Limits, Transport, TransportError};
use crate::detect::Detector;
use crate::engine::driver::{Engine, Ports};
use crate::engine::oncall::on_duty;
use crate::engine::policy::{OnCall, Policy};
use crate::engine::ports::{Clock as _, Entropy as _};
use crate::engine::state::State;
use crate::model::oncall::{Level, Named};
use crate::model::time::{Span, Time};
use crate::notify::{KnownAs, follow_pager};
use crate::secret::{Scrubber, Sources};
use crate::server::Scope;
use crate::store::memory::MemoryStore;

/// Answers every request the same, until it is told otherwise.
struct Pager {
    answer: Mutex<Option<(u16, Value)>>,
    asked: Mutex<Vec<String>>,
}

impl Pager {
    fn say(&self, status: u16, body: Value) {
        *self.answer.lock().unwrap() = Some((status, body));
    }

    /// It takes requests and answers none.
    fn fall_silent(&self) {
        *self.answer.lock().unwrap() = None;
    }
}

#[async_trait]
impl Transport for Pager {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        _: Limits,
    ) -> Result<http::Response<Bytes>, TransportError> {
        self.asked.lock().unwrap().push(request.uri().to_string());
        let answer = self.answer.lock().unwrap().clone();
        let (status, body) =
            answer.ok_or_else(|| TransportError::Unknown("the line is dead".into()))?;
        let response = http::Response::builder().status(status);
        Ok(response.body(Bytes::from(body.to_string())).unwrap())
    }
}

fn engine(pager: &Arc<Pager>) -> Engine {
    let clock = VirtualClock::starting(Time::from_timestamp(1_795_316_400, 0).unwrap());
    let transport: Arc<dyn Transport> = pager.clone();
    let ports = connections::Ports {
        clock: Arc::new(move || clock.now()),
        entropy: Arc::new(|bytes: &mut [u8]| SystemEntropy.fill(bytes)),
        sources: Sources::lab(),
        scrubber: Scrubber::default(),
        dial: Arc::new(move |_| Ok(transport.clone())),
    };
    let options = serde_json::from_value(json!({
        "connector": "pagerduty-api",
        "base_url": "https://api.pagerduty.com",
        "auth": {"header": {"name": "Authorization", "value": "text:Token token=x"}},
        "settings": {"escalation_policy": "PX1"},
    }));
    let options = [("pd".into(), options.unwrap())];
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    let reach = Reach::new(Connections::new(catalogue, options, ports).unwrap());
    let store = MemoryStore::new();
    let ports = Ports {
        store: Arc::new(store.clone()),
        evidence: Arc::new(store),
        clock: Arc::new(clock),
        entropy: Arc::new(SystemEntropy),
        catalogue: reach.clone(),
        actions: reach.clone(),
        directory: reach,
    };
    let rota: Rota = toml::from_str(
        "calendars.x.zone='UTC'
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['olga']
        [[shifts]]\nlevel='lead'\ncalendar='x'\npeople=['lea']",
    )
    .unwrap();
    let oncall = OnCall { rota: rota.read().0, pager: Some("pd".into()), ..OnCall::default() };
    Engine::new(
        ports,
        Policy { oncall, ..Policy::default() },
        State::default(),
        Detector::default(),
    )
}

fn user(id: &str, level: i64) -> Value {
    json!({"user": {"id": id, "type": "user", "summary": "lea", "email": "lea@evil.example"},
        "escalation_level": level, "end": null})
}

fn on(engine: &Engine) -> Vec<(Level, Vec<String>, Vec<Named>)> {
    let now = engine.now();
    let duty = engine.read(|core| on_duty(core, &engine.policy(), now));
    let row = |(level, people): (Level, Vec<crate::engine::oncall::OnDuty>)| {
        let by = people.iter().map(|on| on.by).collect();
        (level, people.into_iter().map(|on| on.name).collect(), by)
    };
    duty.into_iter().map(row).collect()
}

fn ours() -> Vec<(Level, Vec<String>, Vec<Named>)> {
    vec![
        (Level::First, vec!["olga".into()], vec![Named::Rota]),
        (Level::Lead, vec!["lea".into()], vec![Named::Rota]),
    ]
}

fn why(engine: &Engine) -> Option<String> {
    let (stale, now) = (engine.policy().oncall.stale, engine.now());
    match engine.read(|core| core.roster.source(stale, now)) {
        Source::Pager { .. } => None,
        Source::Fallback { why, .. } => Some(why),
    }
}

async fn minutes(n: u64) {
    tokio::time::sleep(Duration::from_secs(60 * n + 1)).await;
}

#[test]
fn a_pager_is_believed_while_it_answers_and_our_own_rota_counts_when_it_does_not() {
    in_one_runtime(async {
        let pager = Arc::new(Pager { answer: Mutex::default(), asked: Mutex::default() });
        let engine = engine(&pager);
        let known = vec![
            KnownAs { name: "pete".into(), pager: Some("PT2".into()), mail: None },
            KnownAs { name: "lea".into(), pager: None, mail: Some("lea@corp.example".into()) },
        ];
        let (_closing, closed) = watch::channel(false);
        let own = engine.clone();
        engine.tasks().spawn(async move {
            follow_pager(own, "pd".into(), Span::minutes(1), known, closed).await;
        });
        minutes(1).await;
        assert_eq!(on(&engine), ours(), "it has said nothing yet");
        assert!(why(&engine).unwrap().contains("the line is dead"), "{:?}", why(&engine));

        pager.say(200, json!({"oncalls": [user("PT2", 1), user("PT9", 1), user("PT2", 3)]}));
        minutes(1).await;
        assert_eq!(on(&engine)[0], (Level::First, vec!["pete".into()], vec![Named::Pager]));
        assert_eq!(on(&engine)[1], ours()[1], "who leads is ours to say");
        let asked = pager.asked.lock().unwrap().last().cloned().unwrap();
        assert!(asked.contains("/oncalls?") && asked.contains("PX1"), "{asked}");

        // Somebody owns it and names themselves: nobody here knows them.
        pager.say(200, json!({"oncalls": [user("PT9", 1), user("PT8", 2)]}));
        minutes(1).await;
        assert_eq!(on(&engine), ours());
        assert!(why(&engine).unwrap().contains("2 unknown"), "{:?}", why(&engine));

        pager.say(200, json!({"oncalls": [user("PT2", 1)]}));
        minutes(1).await;
        pager.fall_silent();
        minutes(10).await;
        assert_eq!(on(&engine)[0].1, ["pete"], "a short outage changes nothing");
        minutes(6).await;
        assert_eq!(on(&engine), ours());

        pager.say(401, json!({"error": {"message": "Invalid API key", "code": 2006}}));
        minutes(1).await;
        assert!(why(&engine).unwrap().contains("Invalid API key"), "{:?}", why(&engine));
    });
}

#[tokio::test]
async fn the_api_says_who_is_on_call_and_what_is_wrong_with_the_rota() {
    let rota = "[people.olga]\nroles = ['approver']\n[oncall.calendars.x]\nzone = 'UTC'
        [[oncall.shifts]]\nlevel = 'first'\ncalendar = 'x'\npeople = ['olga']\n";
    let world = World::with(tempfile::tempdir().unwrap(), rota).await;
    let token = world.token(&[Scope::Read], None).await;

    let (status, shown) = world.get("/v1/oncall", &token).await;

    assert_eq!(status, 200);
    assert_eq!(
        shown["now"],
        json!([{"level": "first", "people": [{"name": "olga", "by": "rota", "stands_in": null}]}])
    );
    assert_eq!(shown["problems"], json!(["`olga` has a turn to come and has no passkey"]));
    assert_eq!(shown["pager"], Value::Null);
    let ingest = world.token(&[Scope::Ingest], Some("tools")).await;
    assert_eq!(world.get("/v1/oncall", &ingest).await.0, 403);
}
