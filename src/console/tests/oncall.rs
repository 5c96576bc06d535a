//! Standing in for somebody, as a browser does it, and every way to get it wrong; the rota's page.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::browser::Browser;
use super::{approver, with_role};
use crate::approval::rota::Options;
use crate::engine::oncall::address;
use crate::engine::policy::{OnCall, Policy};
use crate::model::entry::Entry;
use crate::model::id::ApprovalId;
use crate::model::notice::{About, Did, Fact, Told, Topic};
use crate::model::oncall::{Addressed, Asked, Level, Longer, Named};
use crate::model::time::{Time, rfc3339};
use crate::people::decisions::Decisions;
use crate::people::soft::SoftPerson;
use crate::people::stand::Stand;

/// Ann is first, cleo leads.
async fn stand() -> Stand {
    let text = "calendars.x.zone='Europe/Berlin'
        [[shifts]]\nlevel='first'\ncalendar='x'\npeople=['Ann', 'dora']\nsince='2026-11-16'
        [[shifts]]\nlevel='lead'\ncalendar='x'\npeople=['cleo']";
    let options: Options = toml::from_str(text).unwrap();
    let (rota, problems) = options.read();
    assert_eq!(problems, []);
    let oncall = OnCall { rota, ..OnCall::default() };
    Stand::with(Policy { oncall, ..Policy::default() }).await
}

fn asked(stand: &Stand, question: ApprovalId) -> Vec<String> {
    let mut question = stand.question(question);
    question.expires_at = stand.engine.now() + TimeDelta::minutes(20);
    let now = stand.engine.now();
    let policy = stand.engine.policy();
    let asked = stand.engine.read(|core| address(core, &policy, &question, None, now));
    asked.people.into_iter().map(|a| a.name).collect()
}

fn wish(to: &SoftPerson, begins: Time, hours: i64, scope: &str) -> Value {
    let ends = rfc3339(begins + TimeDelta::hours(hours));
    json!({ "deed": "delegate", "to": to.id, "begins": rfc3339(begins), "ends": ends, "scope": scope })
}

fn changes(stand: &Stand) -> usize {
    let entries = stand.store.submitted().into_iter().flat_map(|c| c.entries);
    let given = |e: &Entry| {
        matches!(e, Entry::DelegationGiven(_) | Entry::DelegationEnded(_) | Entry::DeedSigned(_))
    };
    entries.filter(given).count()
}

async fn enrol(stand: &Stand, name: &str) -> (SoftPerson, Browser) {
    let mut person = SoftPerson::enrol(&stand.people, name, &["approver"]).await.unwrap();
    let mut browser = Browser::at(stand);
    browser.sign_in(&mut person).await;
    (person, browser)
}

/// Passkeys of approvers who enrol third are new for a day.
async fn settle(stand: &Stand, everybody: &mut [&mut (SoftPerson, Browser)]) {
    stand.clock.pass(TimeDelta::hours(25));
    for (person, browser) in everybody {
        browser.sign_in(person).await;
    }
}

#[tokio::test]
async fn somebody_who_stands_in_is_asked_until_it_ends_by_itself() {
    let stand = stand().await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    settle(&stand, &mut [&mut ann, &mut bob]).await;
    let question = stand.ask("mia", false).await;
    assert_eq!(asked(&stand, question), ["ann"]);

    let now = stand.engine.now();
    let given = ann.1.does(&mut ann.0, &wish(&bob.0, now, 2, "all")).await;

    assert_eq!(given.status, StatusCode::OK, "{}", given.body);
    assert_eq!(asked(&stand, question), ["bob"]);
    let page = bob.1.get("/me").await.body;
    assert!(page.contains("bob for ann"), "{page}");
    let rota = bob.1.get("/oncall").await.body;
    assert!(rota.contains("bob (for Ann)") && rota.contains("bob for ann"), "{rota}");
    stand.clock.pass(TimeDelta::hours(2));
    assert_eq!(asked(&stand, question), ["ann"], "it ended by itself");
    let entries: Vec<Entry> = stand.store.submitted().into_iter().flat_map(|c| c.entries).collect();
    let mut decisions = Decisions::default();
    for entry in &entries {
        decisions.check(entry).unwrap();
    }
}

#[tokio::test]
async fn it_is_ended_by_passkey_before_its_time() {
    let stand = stand().await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    let mut eve = enrol(&stand, "eve").await;
    settle(&stand, &mut [&mut ann, &mut bob, &mut eve]).await;
    let question = stand.ask("mia", false).await;
    let now = stand.engine.now();
    ann.1.does(&mut ann.0, &wish(&bob.0, now, 20, "all")).await;
    let id = stand.engine.read(|core| *core.state.delegations.keys().next().unwrap());
    let recall = json!({ "deed": "recall", "delegation": id });

    let stranger = eve.1.post("/v1/deeds/begin", &recall).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN, "{}", stranger.body);
    let ended = ann.1.does(&mut ann.0, &recall).await;

    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    assert_eq!(asked(&stand, question), ["ann"]);
    let again = ann.1.post("/v1/deeds/begin", &recall).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whoever_stands_in_is_not_asked_about_themselves_nor_beyond_what_was_said() {
    let stand = stand().await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    let mut cleo = enrol(&stand, "cleo").await;
    settle(&stand, &mut [&mut ann, &mut bob, &mut cleo]).await;
    let now = stand.engine.now();
    ann.1.does(&mut ann.0, &wish(&bob.0, now, 20, "ordinary")).await;

    let (own, privileged) =
        (stand.ask("bob@corp.example", false).await, stand.ask("mia", true).await);

    assert_eq!(asked(&stand, own), ["ann"], "the one who stands in is concerned");
    assert_eq!(asked(&stand, privileged), ["ann", "cleo"], "only for ordinary people");
    let ordinary = stand.ask("noa", false).await;
    assert_eq!(asked(&stand, ordinary), ["bob"]);
    let known = stand.people.person(bob.0.id).unwrap();
    let demoted = crate::model::entry::PersonEnrolled { roles: vec!["viewer".into()], ..known };
    let demote = stand.engine.commit(|tx| tx.push(Entry::PersonEnrolled(Box::new(demoted))));
    demote.await.unwrap();
    assert_eq!(asked(&stand, ordinary), ["ann"], "who lost the role is asked nothing");
}

#[tokio::test]
async fn every_attack_on_standing_in_changes_nothing() {
    let stand = stand().await;
    let (mut ann, mut bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    let mut cleo = enrol(&stand, "cleo").await;
    let viewer = SoftPerson::enrol(&stand.people, "vera", &["viewer"]).await.unwrap();
    let now = stand.engine.now();
    let begin = "/v1/deeds/begin";
    let mut tried = 0;
    for (what, wish) in [
        ("themselves", wish(&ann.0, now, 2, "all")),
        ("somebody who decides nothing", wish(&viewer, now, 2, "all")),
        ("a time that is over", wish(&bob.0, now - TimeDelta::hours(9), 2, "all")),
        ("an end before its beginning", wish(&bob.0, now, -2, "all")),
        ("for good", wish(&bob.0, now, 24 * 32, "all")),
        ("in years to come", wish(&bob.0, now + TimeDelta::days(400), 2, "all")),
        ("another scope", wish(&bob.0, now, 2, "privileged")),
        (
            "nobody's id",
            json!({ "deed": "delegate", "to": uuid::Uuid::nil(), "begins": rfc3339(now), "ends": rfc3339(now + TimeDelta::hours(1)), "scope": "all" }),
        ),
        (
            "a name instead of an id",
            json!({ "deed": "delegate", "to": "bob", "begins": rfc3339(now), "ends": rfc3339(now), "scope": "all" }),
        ),
    ] {
        let answer = ann.1.post(begin, &wish).await;
        assert!(answer.status.is_client_error(), "{what}: {} {}", answer.status, answer.body);
        tried += 1;
    }
    // A session that was stolen has no passkey.
    let given = ann.1.deed(&mut ann.0, &wish(&bob.0, now, 2, "all")).await;
    let mut forged = given.clone();
    forged["answer"]["response"]["signature"] = "AAAA".into();
    assert!(ann.1.post("/v1/deeds/finish", &forged).await.status.is_client_error());
    // Each try uses the ceremony up; one that is two minutes old is none.
    assert!(ann.1.post("/v1/deeds/finish", &given).await.status.is_client_error());
    let stale = ann.1.deed(&mut ann.0, &wish(&bob.0, now, 2, "all")).await;
    stand.clock.pass(TimeDelta::seconds(121));
    assert!(ann.1.post("/v1/deeds/finish", &stale).await.status.is_client_error());
    let other = ann.1.deed(&mut ann.0, &wish(&bob.0, now, 2, "all")).await;
    assert!(bob.1.post("/v1/deeds/finish", &other).await.status.is_client_error());
    let nobody = Browser::at(&stand).post(begin, &wish(&bob.0, now, 2, "all")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(changes(&stand), 0, "after {} tries", tried + 5);

    // Nothing is passed on: not by whoever stands in, and not to whoever is away.
    assert_eq!(ann.1.does(&mut ann.0, &wish(&bob.0, now, 2, "all")).await.status, StatusCode::OK);
    let passed_on = bob.1.post(begin, &wish(&cleo.0, now, 1, "all")).await;
    assert!(passed_on.body.contains("cannot pass that on"), "{}", passed_on.body);
    let to_away = cleo.1.post(begin, &wish(&ann.0, now, 1, "all")).await;
    assert!(to_away.body.contains("is away in that time"), "{}", to_away.body);
    let twice = ann.1.post(begin, &wish(&cleo.0, now, 1, "all")).await;
    assert!(twice.body.contains("end that first"), "{}", twice.body);
    // Two acts begun beside each other: what was so at the beginning is looked at again at the end.
    let later = now + TimeDelta::hours(10);
    let one = bob.1.deed(&mut bob.0, &wish(&cleo.0, later, 1, "all")).await;
    let two = cleo.1.deed(&mut cleo.0, &wish(&ann.0, later, 1, "all")).await;
    assert_eq!(bob.1.post("/v1/deeds/finish", &one).await.status, StatusCode::OK);
    assert!(cleo.1.post("/v1/deeds/finish", &two).await.status.is_client_error());
    assert_eq!(changes(&stand), 4);
}

#[tokio::test]
async fn a_journal_in_which_somebody_stands_in_without_a_signature_is_found_out() {
    let stand = stand().await;
    let (mut ann, bob) = (enrol(&stand, "ann").await, enrol(&stand, "bob").await);
    let now = stand.engine.now();
    ann.1.does(&mut ann.0, &wish(&bob.0, now, 2, "all")).await;
    let entries: Vec<Entry> = stand.store.submitted().into_iter().flat_map(|c| c.entries).collect();
    let first_problem = |entries: &[Entry]| {
        let mut decisions = Decisions::default();
        entries.iter().find_map(|entry| decisions.check(entry).err())
    };
    assert_eq!(first_problem(&entries), None);

    let unsigned: Vec<Entry> =
        entries.iter().filter(|e| !matches!(e, Entry::DeedSigned(_))).cloned().collect();
    assert!(first_problem(&unsigned).is_some());
    let longer = entries.iter().cloned().map(|entry| match entry {
        Entry::DelegationGiven(mut given) => {
            given.ends += TimeDelta::days(1);
            Entry::DelegationGiven(given)
        }
        other => other,
    });
    assert!(first_problem(&longer.collect::<Vec<_>>()).is_some());
}

#[tokio::test]
async fn now_says_which_channel_is_dead_and_of_what_nobody_was_told() {
    let oncall = OnCall { channels: vec!["soc".into()], ..OnCall::default() };
    let stand = Stand::with(Policy { oncall, ..Policy::default() }).await;
    let question = stand.ask("mia", false).await;
    let (_ann, browser) = approver(&stand).await;
    let asked = stand.question(question);
    let failed = |n: u64| {
        Entry::NoticeFailed(Box::new(Told {
            channel: "soc".into(),
            fact: Fact {
                topic: Topic::Approval,
                about: if n == 0 { About::Question(question) } else { About::Pause(n) },
                incident: (n == 0).then_some(asked.incident),
                of: n,
                at: asked.opened_at,
                closed: false,
                detail: String::new(),
            },
            did: Did::Posted,
            message: None,
            instead_of: None,
            perhaps_again: false,
            problem: Some("<b>it answered 503".into()),
            next: None,
            through: n,
        }))
    };
    stand.engine.commit(|tx| (0..2).for_each(|n| tx.push(failed(n)))).await.unwrap();
    assert!(!browser.get("/").await.body.contains("cannot be told anything"));

    let longer = Entry::ApprovalEscalated {
        approval: question,
        incident: asked.incident,
        expires_at: asked.expires_at,
        reason: "nobody could be told of it".into(),
        why: Longer::Untold,
        addressed: None,
    };
    stand
        .engine
        .commit(|tx| [failed(2), longer].into_iter().for_each(|e| tx.push(e)))
        .await
        .unwrap();

    let now = browser.get("/").await.body;
    assert!(now.contains("The channel soc cannot be told anything"), "{now}");
    assert!(now.contains("3 failures in a row. &#60;b&#62;it answered 503"), "{now}");
    assert!(now.contains("Nobody could be told about"), "{now}");
    let page = browser.get(&format!("/approvals/{question}")).await.body;
    assert!(page.contains("Who was told when") && page.contains("soc could not be told"), "{page}");
}

#[tokio::test]
async fn what_is_put_to_others_waits_for_others_and_may_be_decided_all_the_same() {
    let stand = stand().await;
    let (mut ann, browser) = approver(&stand).await;
    let _cleo = with_role(&stand, "cleo", "approver").await;
    let question = stand.ask("mia", false).await;
    let put_to = |name: &str| {
        let who = stand.engine.read(|core| {
            let mut people = core.state.people.values();
            people.find(|p| p.name == name).map(|p| p.person).unwrap()
        });
        let people = vec![Asked {
            person: who,
            name: name.into(),
            by: Named::Rota,
            level: Level::First,
            instead_of: None,
        }];
        let (at, until) = (stand.engine.now(), stand.question(question).expires_at);
        let level = Some(Level::First);
        Box::new(Addressed { level, everybody: false, people, at, until })
    };
    for (name, mine) in [("ann", true), ("cleo", false)] {
        let longer = Entry::ApprovalEscalated {
            approval: question,
            incident: stand.question(question).incident,
            expires_at: stand.question(question).expires_at,
            reason: String::new(),
            why: Longer::Silence,
            addressed: Some(put_to(name)),
        };
        stand.engine.commit(|tx| tx.push(longer)).await.unwrap();
        let now = browser.get("/").await.body;
        let (me, others) = now.split_once("Waiting for others").unwrap();
        assert_eq!((me.contains("Contain: mia"), others.contains("Contain: mia")), (mine, !mine));
        assert!(now.contains(&format!("Asked: {name} (first level)")), "{now}");
    }

    let done = browser.decide(&mut ann, question, "approve", stand.people.ticks(question)).await;

    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
}

#[tokio::test]
async fn the_rotas_page_says_who_is_on_call_next_and_who_could_not_answer() {
    let stand = stand().await;
    let (_ann, browser) = approver(&stand).await;

    let page = browser.get("/oncall").await.body;
    let now = browser.get("/").await.body;

    assert!(page.contains("<strong>first</strong>: Ann"), "{page}");
    assert!(page.contains("cleo has no passkey") && page.contains("dora has no passkey"), "{page}");
    // Monday the 23rd, nine o'clock in Berlin.
    assert!(page.contains("2026-11-23T08:00:00.000Z") && page.contains("Europe/Berlin"), "{page}");
    assert!(now.contains("On call now") && now.contains("<strong>lead</strong>: cleo"), "{now}");
}
