//! Copies of a served deployment: whole or refused, and careful when they come to life.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::world::{World, alert, quell};

/// A deployment that has done something, and goes on.
async fn busy() -> World {
    let world = World::new(20, "[policy]\nmode = \"auto\"\n");
    for n in 1..=10 {
        let (status, _) = world.post("siem", &alert(n, "breached")).await.unwrap();
        assert_eq!(status, 202);
    }
    world.quiet().await;
    world
}

fn run(world: &World, args: &[&str]) -> Output {
    quell(world.folder.path())
        .args(args)
        .env("QUELL_URL", &world.url)
        .env("QUELL_TOKEN", &world.token)
        .output()
        .unwrap()
}

fn ran(world: &World, args: &[&str]) -> String {
    let out = run(world, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn told(world: &World, args: &[&str]) -> Value {
    serde_json::from_str(&ran(world, args)).unwrap()
}

fn refused(world: &World, args: &[&str]) -> String {
    let out = run(world, args);
    assert_eq!(out.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&out.stdout));
    String::from_utf8(out.stderr).unwrap()
}

/// Serves another data folder instead.
fn serve_instead(world: &mut World, data: &str) {
    world.stop();
    let file = world.folder.path().join("quell.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let served = format!("path = \"{}\"", world.data().display());
    assert!(config.contains(&served), "{config}");
    std::fs::write(&file, config.replace(&served, &format!("path = \"{data}\""))).unwrap();
    world.start();
}

fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|p| p.file_name().unwrap().to_string_lossy().starts_with(".quell-"));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_backup_taken_while_serving_restores_paused_and_repeats_nothing() {
    let mut world = busy().await;
    let before = world.all("/v1/incidents").await;

    let backup = told(&world, &["store", "backup", "b.tar.gz", "--format", "json"]);
    assert!(refused(&world, &["store", "backup", "b.tar.gz"]).contains("is there already"));
    let restored =
        told(&world, &["store", "restore", "b.tar.gz", "--data", "again", "--format", "json"]);
    assert_eq!(
        (&backup["head"], &backup["head_hash"]),
        (&restored["head"], &restored["head_hash"])
    );
    let error = refused(&world, &["store", "restore", "b.tar.gz", "--data", "again"]);
    assert!(error.contains("is not empty"), "{error}");
    let calls = world.oracle().await["tickets"].as_array().unwrap().len();
    serve_instead(&mut world, "again");

    let pause = world.get("/v1/pause").await;
    assert_eq!(pause["paused"], true);
    assert!(pause["reason"].as_str().unwrap().contains("made again from a backup"), "{pause}");
    assert_eq!(world.get("/readyz").await["paused"], true);
    let after = world.all("/v1/incidents").await;
    assert_eq!(before.len(), after.len());
    // What is known already is not done again, and what is new waits for a person.
    let (status, again) = world.post("siem", &alert(11, "breached")).await.unwrap();
    assert_eq!(status, 202, "{again}");
    let oracle = world.oracle().await;
    assert_eq!(oracle["tickets"].as_array().unwrap().len(), calls);
    world.stop();
    ran(&world, &["audit", "verify", "again"]);
    ran(&world, &["store", "verify", "again"]);
    assert_eq!(leftovers(world.folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_export_is_proved_imported_and_cut_where_asked() {
    let mut world = busy().await;

    ran(&world, &["store", "export", "e.ndjson", "--format", "ndjson"]);
    let proof = told(&world, &["audit", "verify", "e.ndjson", "--format", "json"]);
    assert_eq!(proof["first_bad"], Value::Null);
    let made = ran(&world, &["store", "import", "e.ndjson", "--data", "all"]);
    assert!(made.contains("It starts paused"), "{made}");
    ran(&world, &["store", "import", "e.ndjson", "--data", "some", "--until", "7"]);

    serve_instead(&mut world, "all");
    assert_eq!(world.all("/v1/incidents").await.len(), 10);
    world.stop();
    for (folder, until) in [("all", proof["head"].as_u64().unwrap()), ("some", 7)] {
        let report = told(&world, &["audit", "verify", folder, "--format", "json"]);
        assert_eq!(report["restored"][0]["seq"], json!(until + 1), "{report}");
        ran(&world, &["store", "verify", folder]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_rubbish_is_refused_by_line_and_leaves_nothing() {
    let world = busy().await;
    ran(&world, &["store", "export", "e.ndjson"]);
    let folder = world.folder.path();
    let whole = std::fs::read_to_string(folder.join("e.ndjson")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let changed = whole.replacen("breached", "breachee", 1);
    let at = lines.iter().position(|line| line.contains("breached")).unwrap() + 1;
    let missing = [&lines[..4], &lines[5..]].concat().join("\n");
    let cut = &whole[..whole.len() - 9];

    for (name, text, says) in [
        ("changed", changed.as_str(), format!("line {at},")),
        ("missing", missing.as_str(), "line 6 stands where 5 belongs".to_owned()),
        ("cut", cut, format!("line {}, ", lines.len())),
        ("text", "not a journal\nat all\n", "line 1,".to_owned()),
        ("empty", "", "holds no line".to_owned()),
    ] {
        std::fs::write(folder.join("bad.ndjson"), text).unwrap();
        let error = refused(&world, &["store", "import", "bad.ndjson", "--data", "new"]);
        assert!(error.contains(&says) && error.contains("bad.ndjson"), "{name}: {error}");
        assert!(!folder.join("new").exists(), "{name}");
    }
    let error =
        refused(&world, &["store", "import", "e.ndjson", "--data", "new", "--until", "99999"]);
    assert!(error.contains("before 99999"), "{error}");
    let error = refused(&world, &["store", "restore", "e.ndjson", "--data", "new"]);
    assert!(error.contains("is not a whole backup"), "{error}");
    assert!(!folder.join("new").exists());
    assert_eq!(leftovers(folder), Vec::<PathBuf>::new());
}

/// What the way back from a damaged journal is: the lines before the damage, in a new folder.
#[tokio::test(flavor = "multi_thread")]
async fn copies_damaged_journal_is_named_and_its_good_lines_come_back() {
    let mut world = busy().await;
    world.stop();
    let file = world.data().join("journal/000000000001.ndjson");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replacen("breached", "breachee", 1)).unwrap();
    let at = whole.lines().position(|line| line.contains("breached")).unwrap() + 1;

    let audited = run(&world, &["audit", "verify", "data", "--format", "json"]);
    assert_eq!(audited.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&audited.stdout).unwrap();
    assert_eq!(report["first_bad"]["place"]["seq"], json!(at));
    let error = refused(&world, &["serve"]);
    assert!(error.contains(&format!("sequence {at}")), "{error}");
    let until = (at - 1).to_string();
    let error = refused(&world, &["store", "import", "data", "--data", "new"]);
    assert!(error.contains(&format!("`--until {until}`")), "{error}");
    ran(&world, &["store", "import", "data", "--data", "new", "--until", &until]);

    ran(&world, &["store", "verify", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_need_an_administrators_token() {
    let world = World::new(1, "");
    let made = told(&world, &["token", "create", "reader", "--scope", "read", "--format", "json"]);
    for path in ["/v1/store/backup", "/v1/store/export"] {
        let url = format!("{}{path}", world.url);
        let ask = |token: &str| world.client.get(&url).bearer_auth(token.to_owned()).send();
        assert_eq!(ask(made["token"].as_str().unwrap()).await.unwrap().status(), 403);
        assert_eq!(ask("qll_nothing").await.unwrap().status(), 401);
        let allowed = ask(&world.token).await.unwrap();
        assert_eq!(allowed.status(), 200);
        // One copy at a time: the next is refused until this one has been sent.
        assert!(!allowed.bytes().await.unwrap().is_empty());
    }
}
