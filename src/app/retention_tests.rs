//! A deployment that grows older than its journal may: what goes, what stays, and that it is all still proved.

use chrono::TimeDelta;
use std::path::Path;
use std::sync::Arc;

use super::copy::{Origin, copy};
use super::retention::{Gone, enforce};
use super::tests::lab;
use super::{Quell, Running, Settings};
use crate::engine::ingest::{Fact, Incoming};
use crate::engine::policy::SourceView;
use crate::engine::ports::{Clock, Store as _};
use crate::engine::shelf::About;
use crate::engine::state::State;
use crate::jwks::tests::Held;
use crate::model::alert::{Alert, AlertKind};
use crate::model::event::AccountName;
use crate::model::id::{AlertId, IncidentId};
use crate::model::incident::{MayCause, Stage};
use crate::model::subject::Alias;
use crate::model::time::Span;
use crate::store::folder::{Folder, Options};
use crate::store::verify;

const WEEK: Span = Span::hours(7 * 24);
/// Long enough for whatever needs no time of the deployment's own.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);

fn settings(folder: &Path, clock: &Held) -> Settings {
    Settings { clock: Arc::new(clock.clone()), ..lab(folder, "") }
}

async fn alert(quell: &Running, who: &str) -> IncidentId {
    let (now, entropy) = (quell.engine.now(), quell.engine.ports().entropy.clone());
    let alert = Alert {
        id: AlertId::mint(now, entropy.id()),
        kind: AlertKind::MfaFatigue,
        account: AccountName { login: Some(who.to_owned()), provider_id: None },
        time: now,
        stage: Stage::Suspected,
        reason: "6 prompts denied in 4 minutes".into(),
        rule: "test".into(),
        events: Vec::new(),
        password_exposed: true,
        link: None,
    };
    let incoming = Incoming {
        source: SourceView {
            id: "siem".into(),
            may_cause: MayCause::Contain,
            connections: Vec::new(),
            aliases: std::collections::BTreeMap::new(),
        },
        delivery: format!("{who} {now}"),
        facts: vec![Fact::Alert(Box::new(alert))],
        accepted: 1,
        rejected: Vec::new(),
        replayed: false,
    };
    quell.engine.ingest(incoming).await.unwrap().incidents[0].incident
}

/// Nothing is under way any more, and everything is written: the journal's lines and the rows behind it.
async fn at_rest(quell: &Running, clock: &Held) {
    let mut moved = quell.engine.watch();
    while quell.engine.read(|core| !core.state.live.is_empty()) {
        // Where nothing moves by itself, something waits for its time.
        if tokio::time::timeout(PATIENCE, moved.changed()).await.is_err() {
            clock.pass(Span::seconds(10));
        }
    }
    quell.engine.until_written().await.unwrap();
    let seq = quell.engine.read(|core| core.state.seq);
    while quell.store.projected().await.unwrap() < seq {
        quell.engine.project_now().await;
    }
}

async fn is_known(quell: &Running, incident: IncidentId) -> bool {
    quell.engine.fetch_about(About::Incident(incident)).await.unwrap();
    quell.engine.read(|core| core.state.incidents.contains_key(&incident))
}

struct Grown {
    folder: tempfile::TempDir,
    clock: Held,
    quell: Running,
    /// Nothing happened since; of somebody who came back; her new one; of somebody new.
    cases: [IncidentId; 4],
    gone: Gone,
}

/// Sixteen days, of which the journal keeps seven.
async fn grown() -> Grown {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::at("2025-10-09T08:53:20Z");
    let quell = Quell::start(settings(folder.path(), &clock)).await.unwrap();
    let (old, first) = (alert(&quell, "old@corp").await, alert(&quell, "back@corp").await);
    at_rest(&quell, &clock).await;
    clock.pass(Span::hours(8 * 24));
    assert_eq!(enforce(&quell.engine, &quell.store, WEEK).await.unwrap(), None, "one segment");
    let (second, new) = (alert(&quell, "back@corp").await, alert(&quell, "new@corp").await);
    at_rest(&quell, &clock).await;
    clock.pass(Span::hours(8 * 24));
    let gone = enforce(&quell.engine, &quell.store, WEEK).await.unwrap().unwrap();
    at_rest(&quell, &clock).await;
    Grown { folder, clock, quell, cases: [old, first, second, new], gone }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_cases_go_and_the_disk_gets_their_room_back() {
    let grown = grown().await;
    let [old, first, second, new] = grown.cases;

    assert_eq!(grown.gone.cases, 2);
    assert!(grown.gone.bytes > 10_000, "{:?}", grown.gone);
    let journal = grown.folder.path().join("data/journal");
    assert!(!journal.join("000000000001.ndjson").exists());
    for (case, there) in [(old, false), (first, false), (second, true), (new, true)] {
        assert_eq!(is_known(&grown.quell, case).await, there);
    }
    let known = |who: &str| {
        let alias = Alias::login(who);
        grown.quell.engine.read(|core| core.state.subject_by_alias(&alias).is_some())
    };
    assert_eq!(["old@corp", "back@corp", "new@corp"].map(known), [false, true, true]);
    assert!(grown.quell.store.timeline(old, 0, 9).await.unwrap().is_empty());
    assert!(!grown.quell.store.timeline(second, 0, 9).await.unwrap().is_empty());
    assert!(!alert(&grown.quell, "old@corp").await.to_string().is_empty(), "a stranger again");
    grown.quell.stop().await.unwrap();
}

async fn rows_are_what_the_journal_says(data: &Path) {
    let options = Options::new(Arc::new(super::SystemClock));
    let (store, _) = Folder::open(data, options).unwrap();
    let mut state = State::default();
    verify::fold_journal(&store, |commit| state.apply(commit)).await.unwrap();
    let rows = verify::compare_rows(&store, state.all_rows()).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(rows.differences, 0, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_proved_rebuilt_and_copied_like_any_journal() {
    let grown = grown().await;
    let data = grown.folder.path().join("data");
    let key = grown.quell.store.key();
    let published = grown.quell.engine.read(|core| core.state.published.clone());
    grown.quell.stop().await.unwrap();

    let report = verify::audit(&data, &[key], &mut |_| Ok(())).unwrap();
    assert_eq!((report.first_bad, report.dropped_up_to), (None, Some(grown.gone.through)));
    rows_are_what_the_journal_says(&data).await;
    // Without the index, everything that is needed is in what is left.
    std::fs::remove_dir_all(data.join("index")).unwrap();
    let again = Quell::start(settings(grown.folder.path(), &grown.clock)).await.unwrap();
    assert_eq!(again.engine.read(|core| core.state.published.clone()), published);
    let known = [is_known(&again, grown.cases[1]).await, is_known(&again, grown.cases[2]).await];
    assert_eq!(known, [false, true]);
    again.stop().await.unwrap();
    let (clock, to) = (Arc::new(grown.clock.clone()) as Arc<dyn Clock>, data.with_extension("2"));
    let from = Origin::Journal { from: data, until: None };
    copy(from, &to, &clock, &mut |_| Ok(())).await.unwrap();
    rows_are_what_the_journal_says(&to).await;
}

/// What changes no row is passed by all the same: the next start does not read it again.
#[tokio::test(flavor = "multi_thread")]
async fn the_index_keeps_up_with_what_changes_none_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::at("2025-10-09T08:53:20Z");
    let quell = Quell::start(settings(folder.path(), &clock)).await.unwrap();
    let case = alert(&quell, "old@corp").await;
    at_rest(&quell, &clock).await;

    quell.engine.note(case, "nora", "seen").await.unwrap();
    quell.engine.until_written().await.unwrap();
    quell.engine.project_now().await;

    let seq = quell.engine.read(|core| core.state.seq);
    assert_eq!(quell.store.projected().await.unwrap(), seq);
    quell.stop().await.unwrap();
}

/// Somebody takes the oldest segment of a folder away, and says in the folder that it was dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_beginning_that_was_taken_away_is_seen_by_an_audit() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Held::at("2025-10-09T08:53:20Z");
    let quell = Quell::start(settings(folder.path(), &clock)).await.unwrap();
    alert(&quell, "old@corp").await;
    clock.pass(Span::hours(8 * 24));
    assert_eq!(enforce(&quell.engine, &quell.store, WEEK).await.unwrap(), None);
    alert(&quell, "new@corp").await;
    at_rest(&quell, &clock).await;
    let last = quell.store.droppable(quell.engine.now() + TimeDelta::days(1)).unwrap().unwrap();
    quell.store.prune(&last).unwrap();
    quell.stop().await.unwrap();

    let report = verify::audit(&folder.path().join("data"), &[], &mut |_| Ok(())).unwrap();

    let bad = report.first_bad.unwrap();
    assert!(
        bad.why.contains("no signature in it says that older ones were dropped"),
        "{}",
        bad.why
    );
}
