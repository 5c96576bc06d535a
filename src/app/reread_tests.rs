//! Settings that are read again while Quell runs: what is taken, what waits, and that a mistake changes nothing.

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use futures::stream;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

use super::api_tests::World;
use super::sources_tests::{acme, map_acme};
use super::tests::{lab, text};
use super::{Quell, SystemClock, SystemEntropy, found};
use crate::engine::ports::Clock;
use crate::model::entry::{Entry, SettingsReread};
use crate::model::incident::MayCause;
use crate::server::{Scope, Unread};

const RELOAD: &str = "/v1/settings/reload";

/// A source of alerts with a fixed secret.
fn alerts(name: &str, secret: &str) -> String {
    format!("[sources.{name}]\nkind = \"alerts\"\nauth = \"bearer\"\nsecrets = [\"{secret}\"]\n")
}

/// From here on the file says this.
fn write(folder: &Path, more: &str) {
    std::fs::write(folder.join("quell.toml"), text(folder, more)).unwrap();
}

fn alert(id: &str) -> String {
    let now = crate::model::time::rfc3339(SystemClock.now());
    json!({"id": id, "kind": "mfa_fatigue", "account": "ana@example.com", "time": now,
        "stage": "suspected", "reason": "6 prompts denied"})
    .to_string()
}

async fn journal(quell: &super::Running) -> Vec<Entry> {
    let commits = quell.engine.ports().store.commits(0, 10_000).await.unwrap();
    commits.into_iter().flat_map(|commit| commit.entries).collect()
}

async fn readings(quell: &super::Running) -> Vec<SettingsReread> {
    let entries = journal(quell).await.into_iter().filter_map(|entry| match entry {
        Entry::SettingsReread(reread) => Some(*reread),
        _ => None,
    });
    entries.collect()
}

fn said(answer: (StatusCode, Value)) -> Value {
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    answer.1
}

#[tokio::test]
async fn a_mended_mapping_is_taken_without_a_restart_and_the_delivery_judged_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let (home, file) = (folder.path().to_owned(), folder.path().join("acme.yaml"));
    let mapping = |login: &str| map_acme(&file, login);
    mapping("user_name");
    let sources = acme(&file);
    let world = World::with(folder, &sources).await;
    write(&home, &sources);
    let now = crate::model::time::rfc3339(world.quell.engine.now());
    let body = json!([{"t": now, "who": "ana@example.com"}]).to_string();
    let (_, answer) = world.post("/v1/hooks/acme", "acme-secret-1", body.clone()).await;
    assert_eq!(answer["accepted"], 0, "{answer}");
    let admin = world.token(&[Scope::Admin], None).await;
    let (_, listed) = world.get("/v1/deliveries/refused", &admin).await;
    let judge =
        format!("/v1/deliveries/refused/{}/judge", listed["items"][0]["id"].as_str().unwrap());
    assert_eq!(world.post(&judge, &admin, "null").await.0, StatusCode::UNPROCESSABLE_ENTITY);

    mapping("who");
    for scope in [Scope::Read, Scope::Author, Scope::Contain] {
        let token = world.token(&[scope], None).await;
        assert_eq!(world.post(RELOAD, &token, "").await.0, StatusCode::FORBIDDEN, "{scope:?}");
    }
    let reread = said(world.post(RELOAD, &admin, "").await);

    assert_eq!((&reread["taken"], &reread["restart"]), (&json!(["sources.acme"]), &json!([])));
    let (status, answer) = world.post(&judge, &admin, "null").await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{answer}");
    assert_eq!(world.post(&judge, &admin, "null").await.0, StatusCode::NOT_FOUND);
    let kept = readings(&world.quell).await;
    assert_eq!((kept.len(), kept[0].by.as_str()), (1, "token:test"));
    assert_eq!(
        (&kept[0].digest, &kept[0].taken[..]),
        (&reread["digest"].as_str().unwrap().to_owned(), &["sources.acme".to_owned()][..])
    );
    world.quell.stop().await.unwrap();
}

const MAPPING: &str = "mapping: acme\nfields: { time: t, login: who }\nrules: [{ alert: mfa_fatigue, stage: suspected }]\n";

/// Something wrong: the settings, another file with its text, and the place that is named.
struct Mistake {
    what: &'static str,
    settings: String,
    file: Option<(PathBuf, String)>,
    place: &'static str,
}

/// `around`: what stands before and after the section of the source `siem`.
fn mistakes(home: &Path, around: (&str, &str)) -> Vec<Mistake> {
    let of = |what, more: &str, file, place| {
        let settings = format!("{}{more}{}", around.0, around.1);
        Mistake { what, settings, file, place }
    };
    let siem = alerts("siem", "text:secret-2");
    let none = alerts("siem", &format!("file:{}", home.join("none").display()));
    let mapping = |text: String| Some((home.join("acme.yaml"), text));
    let playbook =
        Some((home.join("playbooks/x.yaml"), "playbook: x\nsteps: [{us: a}]\n".to_owned()));
    vec![
        of("an unknown key", &format!("{siem}may_cuase = \"revoke\"\n"), None, "quell.toml:11:"),
        of("no TOML", &format!("{siem}[sources"), None, "quell.toml:11:"),
        of("a secret that is not there", &none, None, "quell.toml:7:"),
        of("a mapping", &siem, mapping(MAPPING.replace("login", "logon")), "acme.yaml:2:"),
        of("a mapping that is mended", "[", mapping(MAPPING.to_owned()), "quell.toml:7:"),
        of("a playbook", &siem, playbook, "x.yaml:2:"),
    ]
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_shown_at_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    std::fs::write(home.join("acme.yaml"), MAPPING).unwrap();
    std::fs::create_dir(home.join("playbooks")).unwrap();
    let before = format!("playbooks = {:?}\n", home.join("playbooks"));
    let after = format!(
        "[sources.acme]\nkind = \"mapping\"\nmapping = {:?}\nauth = \"bearer\"\nsecrets = [\"text:acme-secret-1\"]\n",
        home.join("acme.yaml")
    );
    let world =
        World::with(folder, &format!("{before}{}{after}", alerts("siem", "text:secret-1"))).await;
    let admin = world.token(&[Scope::Admin], None).await;

    for Mistake { what, settings, file, place } in mistakes(&home, (&before, &after)) {
        write(&home, &settings);
        if let Some((path, text)) = file {
            std::fs::write(path, text).unwrap();
        }

        let (status, problem) = world.post(RELOAD, &admin, "").await;

        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(place) && detail.contains('^'), "{what}: {detail}");
        assert!(detail.contains("nothing was changed"), "{what}: {detail}");
        let old = world.post("/v1/hooks/siem", "secret-1", alert(what)).await;
        assert_eq!(old.0, StatusCode::ACCEPTED, "{what}: {}", old.1);
        let new = world.post("/v1/hooks/siem", "secret-2", alert(what)).await;
        assert_eq!(new.0, StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(readings(&world.quell).await, []);

    std::fs::remove_file(home.join("playbooks/x.yaml")).unwrap();
    said(world.post(RELOAD, &admin, "").await);
    let new = world.post("/v1/hooks/siem", "secret-2", alert("mended")).await;
    assert_eq!(new.0, StatusCode::ACCEPTED, "{}", new.1);
    world.quell.stop().await.unwrap();
}

/// A delivery of `body`, whose second half waits for a word.
fn slow(secret: &str, body: &str) -> (Request<Body>, oneshot::Sender<()>) {
    let (go, wait) = oneshot::channel::<()>();
    let half = body.len() / 2;
    let (first, second) = (body[..half].to_owned(), body[half..].to_owned());
    let parts = stream::unfold((0, Some(wait)), move |(part, wait)| {
        let (first, second) = (first.clone(), second.clone());
        async move {
            match part {
                0 => Some((Ok::<_, std::io::Error>(Bytes::from(first)), (1, wait))),
                1 => {
                    wait?.await.ok()?;
                    Some((Ok(Bytes::from(second)), (2, None)))
                }
                _ => None,
            }
        }
    });
    let request = Request::post("/v1/hooks/siem")
        .header("authorization", format!("Bearer {secret}"))
        .body(Body::from_stream(parts))
        .unwrap();
    (request, go)
}

#[tokio::test]
async fn a_replaced_secret_counts_from_then_on_and_deliveries_under_way_are_judged_once() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    let world = World::with(folder, &alerts("siem", "text:secret-1")).await;
    let admin = world.token(&[Scope::Admin], None).await;
    write(&home, &alerts("siem", "text:secret-2"));
    let ((old, go_old), (new, go_new)) =
        (slow("secret-1", &alert("under way, old")), slow("secret-2", &alert("under way, new")));

    let reload = async {
        let reread = said(world.post(RELOAD, &admin, "").await);
        (go_old.send(()).unwrap(), go_new.send(()).unwrap(), reread)
    };
    let (old, new, (.., reread)) = tokio::join!(world.send(old), world.send(new), reload);

    assert_eq!(reread["taken"], json!(["sources.siem"]));
    assert_eq!(old.0, StatusCode::UNAUTHORIZED, "its secret was replaced before its body had come");
    assert_eq!((new.0, &new.2["accepted"]), (StatusCode::ACCEPTED, &json!(1)), "{}", new.2);
    let taken = journal(&world.quell).await;
    let taken = taken.iter().filter(|entry| matches!(entry, Entry::DeliveryAccepted(_))).count();
    assert_eq!(taken, 1);
    // What was taken before is known after.
    write(&home, &alerts("siem", "text:secret-3"));
    let body = alert("twice");
    let first = world.post("/v1/hooks/siem", "secret-2", body.clone()).await;
    said(world.post(RELOAD, &admin, "").await);
    let again = world.post("/v1/hooks/siem", "secret-3", body).await;
    assert_eq!((first.0, &first.1["duplicate"]), (StatusCode::ACCEPTED, &json!(false)));
    assert_eq!((again.0, &again.1["duplicate"]), (StatusCode::ACCEPTED, &json!(true)));
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn what_else_has_changed_is_named_and_waits_for_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    let sources = format!("{}{}", alerts("siem", "text:secret-1"), alerts("old", "text:secret-1"));
    let world = World::with(folder, &sources).await;
    let admin = world.token(&[Scope::Admin], None).await;
    let slow = format!("{}per_minute = 1\n", alerts("siem", "text:secret-1"));
    let connected = format!("{}connections = ['desk']\n", alerts("late", "text:secret-1"));
    write(
        &home,
        &format!(
            "{slow}{connected}{}[policy]\nmode = 'observe'\n\
             [connections.desk]\nconnector = 'webhook'\nbase_url = 'https://desk.example.com'\nauth = {{ bearer = {{ token = 'text:t' }} }}\n",
            alerts("new", "text:secret-1")
        ),
    );

    let reread = said(world.post(RELOAD, &admin, "").await);

    let strings = |value: &Value| serde_json::from_value::<Vec<String>>(value.clone()).unwrap();
    assert_eq!(strings(&reread["taken"]), ["sources.new", "sources.old", "sources.siem"]);
    assert_eq!(strings(&reread["restart"]), ["connections.desk", "policy.mode", "sources.late"]);
    let known = world.quell.engine.read(|core| core.sources.keys().cloned().collect::<Vec<_>>());
    assert_eq!(known, ["new".into(), "siem".into()]);
    let send = async |name: &str, id: &str| {
        world.post(&format!("/v1/hooks/{name}"), "secret-1", alert(id)).await.0.as_u16()
    };
    assert_eq!(send("new", "1").await, 202);
    assert_eq!(
        (send("old", "1").await, send("late", "1").await),
        (401, 401),
        "as if there were none"
    );
    assert_eq!((send("siem", "1").await, send("siem", "2").await), (202, 429));
    // Reading again fills no bucket.
    said(world.post(RELOAD, &admin, "").await);
    assert_eq!(send("siem", "3").await, 429);
    let (_, listed) = world.get("/v1/sources", &admin).await;
    assert!(listed.to_string().contains("\"new\""), "{listed}");
    world.quell.stop().await.unwrap();
}

#[tokio::test]
async fn a_source_that_may_cause_more_waits_for_people_as_it_does_at_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let siem = alerts("siem", "text:secret-1");
    let raised = format!("{siem}may_cause = \"contain\"\n");
    for is_lab in [true, false] {
        let mut settings = lab(home, &siem);
        settings.config.server.lab = is_lab;
        settings.config.store.path = home.join(format!("data-{is_lab}"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        found(&settings.config.store.path, is_lab, &clock, &SystemEntropy).await.unwrap();
        let quell = Quell::start(settings).await.unwrap();
        let contain = || quell.engine.policy().contain.clone().unwrap_or_default();
        let wished = || quell.engine.read(|core| core.wished.is_some());
        let known = || quell.engine.read(|core| core.sources[&"siem".into()].may_cause);

        write(home, &raised);
        let reread = quell.reread("SIGHUP").await.unwrap();

        assert_eq!(known(), MayCause::Contain);
        assert_eq!(contain().len(), usize::from(is_lab), "lab: {is_lab}");
        assert_eq!(
            (wished(), reread.waiting.contains(&"guardrails".to_owned())),
            (!is_lab, !is_lab)
        );
        let changed = journal(&quell).await;
        let changed = changed.iter().filter(|e| matches!(e, Entry::GuardrailsChanged(_))).count();
        assert_eq!(changed, if is_lab { 2 } else { 1 }, "the start's, and in a lab this one");
        assert_eq!(readings(&quell).await[0].by, "SIGHUP");

        write(home, &siem);
        let reread = quell.reread("SIGHUP").await.unwrap();
        assert_eq!((wished(), reread.waiting.contains(&"guardrails".to_owned())), (false, false));
        assert_eq!((known(), contain().len()), (MayCause::Revoke, 0));
        quell.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_playbook_that_was_written_is_taken_and_what_people_brought_stays() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_owned();
    std::fs::create_dir(home.join("playbooks")).unwrap();
    let more = format!("playbooks = {:?}\n", home.join("playbooks"));
    let skeleton = |name: &str| crate::playbook::skeleton(name).unwrap();
    std::fs::write(home.join("playbooks/one.yaml"), skeleton("one")).unwrap();
    let world = World::with(folder, &more).await;
    write(&home, &more);
    let author = world.token(&[Scope::Author], None).await;
    let admin = world.token(&[Scope::Admin], None).await;
    let own = skeleton("one").replace("Say in one line what it does", "What a person brought");
    assert_eq!(world.post("/v1/playbooks", &author, own).await.0, StatusCode::CREATED);

    std::fs::write(home.join("playbooks/two.yaml"), skeleton("two")).unwrap();
    let reread = said(world.post(RELOAD, &admin, "").await);

    assert_eq!(reread["taken"], json!(["playbooks.two"]), "{reread}");
    let (_, shown) = world.get("/v1/playbooks/one", &admin).await;
    assert!(shown.to_string().contains("What a person brought"), "{shown}");
    let again = said(world.post(RELOAD, &admin, "").await);
    assert_eq!(again["taken"], json!([]));
    assert_eq!(again["digest"], reread["digest"]);
    world.quell.stop().await.unwrap();
}

/// The demonstration has no file.
#[tokio::test]
async fn a_quell_without_a_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let settings = super::Settings { reading: None, ..lab(folder.path(), "") };
    let quell = Quell::start(settings).await.unwrap();

    let refused = quell.reread("SIGHUP").await;

    assert!(matches!(refused, Err(Unread::Failed(_))), "{refused:?}");
    quell.stop().await.unwrap();
}
