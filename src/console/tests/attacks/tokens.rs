//! Every way that we know to get a token without the administrator whose passkey makes it, and what the one is worth
//! that was made rightly.

use super::*;
use crate::model::entry::TokenChanged;
use crate::people::decisions::first_problem;
use crate::server::find;

const BEGIN: &str = "/v1/deeds/begin";
const FINISH: &str = "/v1/deeds/finish";

fn wish(scopes: &[&str], lasts: &str) -> Value {
    json!({ "deed": "token", "name": "ci", "scopes": scopes, "source": "", "lasts": lasts })
}

fn given(stand: &Stand) -> Vec<TokenChanged> {
    let tokens = stand.journal().into_iter().filter_map(|entry| match entry {
        Entry::TokenChanged(token) => Some(*token),
        _ => None,
    });
    tokens.collect()
}

#[tokio::test]
async fn a_token_is_made_by_the_passkey_that_signed_for_exactly_this_one() {
    let mut s = Suite::new().await;
    stolen_sessions(&mut s).await;
    signatures_of_something_else(&mut s).await;
    s.stand.clock.pass(TimeDelta::minutes(1));
    who_may_make_none(&mut s).await;
    what_no_token_is(&mut s).await;
    s.stand.clock.pass(TimeDelta::minutes(1));
    whose_word_is_not_theirs(&mut s).await;
    println!("{} attacks, none succeeded", s.tried);
    assert!(s.tried >= 30, "{}", s.tried);
    assert_eq!(given(&s.stand), []);
}

async fn stolen_sessions(s: &mut Suite) {
    for path in ["/me/tokens", "/v1/tokens", "/me/tokens/new"] {
        let answer = s.browser.form(path, "name=ci&scopes=admin&lasts=90d").await;
        s.refused("a session alone makes a token, by a form that is none", &answer);
    }
    let answer = s.browser.post(FINISH, &json!({ "ceremony": "x", "answer": {} })).await;
    s.refused("a session alone hands in nothing", &answer);
    let mut forged = s.browser.deed(&mut s.ann, &wish(&["admin"], "90d")).await;
    forged["answer"]["response"]["signature"] = "AAAA".into();
    let answer = s.browser.post(FINISH, &forged).await;
    s.refused("a token with a forged signature", &answer);
    let (mut eve, other) = s.person("eve", "admin").await;
    let hers = other.deed(&mut eve, &wish(&["admin"], "90d")).await;
    let answer = s.browser.post(FINISH, &hers).await;
    s.refused("a token that somebody else signed for", &answer);
    let stale = s.browser.deed(&mut s.ann, &wish(&["read"], "1d")).await;
    s.stand.clock.pass(TimeDelta::seconds(121));
    let answer = s.browser.post(FINISH, &stale).await;
    s.refused("a token signed for long ago", &answer);
    let nobody = Browser::at(&s.stand);
    for browser in [&nobody, &nobody.clone().with_cookie("s=qll_every_scope")] {
        let answer = browser.post(BEGIN, &wish(&["admin"], "90d")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        s.refused("nobody, or a token for a session, makes a token", &answer);
    }
    for from in [None, Some(("origin", "https://evil.example"))] {
        let answer = s.browser.form_from(from, BEGIN, "deed=token").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        s.refused("another site has somebody make a token", &answer);
    }
}

/// A signature is worth what was signed, once.
async fn signatures_of_something_else(s: &mut Suite) {
    let invite = json!({ "deed": "invite", "name": "eve", "role": "admin" });
    let modest = wish(&["read"], "1d");
    for (what, signed, wanted) in [
        ("other scopes", &modest, wish(&["admin"], "1d")),
        ("one scope more", &modest, wish(&["read", "contain"], "1d")),
        ("a longer life", &modest, wish(&["read"], "90d")),
        ("an invitation's signature", &invite, modest.clone()),
    ] {
        let mut crossed = s.browser.deed(&mut s.ann, signed).await;
        let answer = s.browser.post(BEGIN, &wanted).await;
        assert_eq!(answer.status, StatusCode::OK);
        let begun: Value = serde_json::from_str(&answer.body).unwrap();
        crossed["ceremony"] = begun["ceremony"].clone();
        let answer = s.browser.post(FINISH, &crossed).await;
        s.refused(&format!("a signature transplanted to a token with {what}"), &answer);
    }
    let question = s.question("mia", false).await;
    let decision = s.signed(question).await;
    let answer = s.browser.post(FINISH, &decision).await;
    s.refused("the signature of a decision handed in for a token", &answer);
}

async fn who_may_make_none(s: &mut Suite) {
    for role in ["viewer", "analyst", "author", "helpdesk", "approver"] {
        let (_, browser) = s.person(&format!("{role}.x"), role).await;
        let answer = browser.post(BEGIN, &wish(&["read"], "1d")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role}");
        s.refused(&format!("a role that looks after no tokens: {role}"), &answer);
    }
    let signed = s.browser.deed(&mut s.ann, &wish(&["read"], "1d")).await;
    let known = s.stand.people.person(s.ann.id).unwrap();
    let demoted = PersonEnrolled { roles: vec!["approver".into()], ..known.clone() };
    let again = |person| Entry::PersonEnrolled(Box::new(person));
    s.stand.engine.commit(|tx| tx.push(again(demoted))).await.unwrap();
    s.settle();
    let answer = s.browser.post(FINISH, &signed).await;
    s.refused("a role lost between the wish and the signature", &answer);
    s.stand.engine.commit(|tx| tx.push(again(known))).await.unwrap();
    s.settle();
}

async fn what_no_token_is(s: &mut Suite) {
    let of = |source: &str| json!({ "deed": "token", "name": "ci", "scopes": ["ingest"], "source": source, "lasts": "1d" });
    let mut unnamed = wish(&["read"], "1d");
    unnamed["name"] = " \t ".into();
    for (what, wish) in [
        ("a scope that decides", wish(&["approve"], "1d")),
        ("a scope that decides beside one that reads", wish(&["read", "decide"], "1d")),
        ("no scope", wish(&[], "1d")),
        ("no name", unnamed),
        ("91 days", wish(&["read"], "91d")),
        ("no time at all", wish(&["read"], "0s")),
        ("deliveries of no source", wish(&["ingest"], "1d")),
        ("deliveries of a source that is none", of("nonsuch")),
        ("a source that is a path", of("../siem")),
    ] {
        let answer = s.browser.post(BEGIN, &wish).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{what}: {}", answer.body);
        s.refused(&format!("a token with {what}"), &answer);
    }
    let mut owned = wish(&["read"], "1d");
    owned["source"] = "siem".into();
    let answer = s.browser.post(BEGIN, &owned).await;
    s.refused("a source for a token that delivers nothing", &answer);
}

async fn whose_word_is_not_theirs(s: &mut Suite) {
    let own = s.question("ann", false).await;
    s.stand.let_in(own).await;
    s.settle();
    let answer = s.browser.post(BEGIN, &wish(&["read"], "1d")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    s.refused("an administrator who let an attacker in", &answer);
    for name in ["bob", "cleo", "dan"] {
        s.person(name, "approver").await;
    }
    s.stand.clock.pass(TimeDelta::hours(25));
    let (_, fresh) = s.person("finn", "admin").await;
    let answer = fresh.post(BEGIN, &wish(&["read"], "1d")).await;
    assert!(answer.body.contains("this passkey is new"), "{}", answer.body);
    s.refused("a passkey that is new", &answer);
}

#[tokio::test]
async fn a_token_is_what_was_signed_for_and_its_text_is_in_one_answer_only() {
    let stand = Stand::new().await;
    let mut ann = SoftPerson::enrol(&stand.people, "ann", &["admin"]).await.unwrap();
    let mut browser = Browser::at(&stand);
    browser.sign_in(&mut ann).await;
    let page = browser.get("/me").await.body;
    assert!(page.contains("data-deed=\"token\"") && page.contains("backups"), "{page}");

    let wish = json!({ "deed": "token", "name": "siem <b>", "scopes": ["read", "ingest", "read"], "source": "siem", "lasts": "7d" });
    let answer = browser.does(&mut ann, &wish).await;

    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store");
    let told: Value = serde_json::from_str(&answer.body).unwrap();
    let text = told["token"].as_str().unwrap();
    let kept = stand.engine.read(|core| find(&core.state, text, stand.engine.now())).unwrap();
    assert_eq!(kept.scopes, ["ingest", "read"], "each once, in their own order");
    assert_eq!((kept.by.as_deref(), kept.source.as_ref().unwrap().as_str()), (Some("ann"), "siem"));
    assert_eq!(kept.expires_at, stand.engine.now() + TimeDelta::days(7));
    let secret = &text[text.len() - 72..text.len() - 8];
    let journal = serde_json::to_string(&stand.store.submitted()).unwrap();
    assert!(journal.contains(&kept.hash) && !journal.contains(secret));
    let page = browser.get("/me").await.body;
    assert!(page.contains("siem &#60;b&#62;") && !page.contains(secret), "{page}");
    let commits = stand.store.submitted();
    let both = |c: &&crate::model::entry::Commit| {
        matches!(c.entries[..], [Entry::DeedSigned(_), Entry::TokenChanged(_)])
    };
    assert_eq!(commits.iter().filter(both).count(), 1, "the signature is in its commit");
}

#[tokio::test]
async fn a_token_that_nobody_signed_for_so_is_found_offline() {
    let stand = Stand::new().await;
    let mut ann = SoftPerson::enrol(&stand.people, "ann", &["admin"]).await.unwrap();
    let mut browser = Browser::at(&stand);
    browser.sign_in(&mut ann).await;
    assert_eq!(browser.does(&mut ann, &wish(&["read"], "7d")).await.status, StatusCode::OK);
    let token = given(&stand).remove(0);
    browser.form(&format!("/me/tokens/{}/revoke", token.token), "").await;
    assert_eq!(first_problem(&stand.journal()), None, "revoking is not signed");

    let touched = |change: &dyn Fn(&mut TokenChanged)| {
        let mut entries = stand.journal();
        let found = entries.iter_mut().find_map(|entry| match entry {
            Entry::TokenChanged(token) => Some(token),
            _ => None,
        });
        change(found.unwrap());
        first_problem(&entries)
    };

    for (what, problem) in [
        ("more scopes", touched(&|t| t.scopes.push("admin".into()))),
        ("a longer life", touched(&|t| t.expires_at += TimeDelta::seconds(1))),
        ("another source", touched(&|t| t.source = Some("siem".into()))),
        ("another name", touched(&|t| t.name = "backup".into())),
    ] {
        assert_eq!(problem.as_deref(), Some("a token: nobody's passkey signed it"), "{what}");
    }
    let mut entries = stand.journal();
    entries.push(Entry::TokenChanged(Box::new(token)));
    assert!(first_problem(&entries).is_some(), "a second token, or the revoked one in force again");
}
