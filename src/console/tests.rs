//! The pages as a browser meets them, with a software passkey in its hand.

mod asked;
mod attacks;
mod audit;
mod browser;
mod connections;
mod lists;
mod look;
mod oncall;
mod reports;
mod runs;
mod sources;
mod tending;

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;

use crate::model::approval::ApprovalState;
use crate::model::entry::Entry;
use crate::model::id::{ApprovalId, IncidentId, RunId};
use crate::people::soft::SoftPerson;
use crate::people::stand::Stand;
use browser::{Browser, inert};

/// Tries to end an attribute, an element and a sentence, and to turn the text around.
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\u{202e}\u{0}&";

async fn approver(stand: &Stand) -> (SoftPerson, Browser) {
    let mut ann = SoftPerson::enrol(&stand.people, "ann", &["approver"]).await.unwrap();
    let mut browser = Browser::at(stand);
    browser.sign_in(&mut ann).await;
    (ann, browser)
}

async fn with_role(stand: &Stand, name: &str, role: &str) -> Browser {
    let mut person = SoftPerson::enrol(&stand.people, name, &[role]).await.unwrap();
    let mut browser = Browser::at(stand);
    browser.sign_in(&mut person).await;
    browser
}

fn case_of(stand: &Stand, question: ApprovalId) -> (IncidentId, RunId) {
    let question = stand.question(question);
    (question.incident, question.run)
}

#[tokio::test]
async fn a_question_is_approved_on_its_page_and_the_page_then_proves_it() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (mut ann, browser) = approver(&stand).await;

    let now = browser.get("/").await;
    assert!(now.body.contains("Contain: mia"), "{}", now.body);
    let asked = browser.get(&format!("/approvals/{question}")).await;
    assert!(asked.body.contains("Block mia at idp from signing in"), "{}", asked.body);
    assert!(asked.body.contains("none of this is done, and the incident stays open"));
    let done = browser.decide(&mut ann, question, "approve", stand.people.ticks(question)).await;

    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(stand.question(question).state, ApprovalState::Approved);
    let after = browser.get(&format!("/approvals/{question}")).await;
    assert!(after.body.contains("signature holds"), "{}", after.body);
    assert!(!after.body.contains("name=\"decision\""));
    let (incident, _) = case_of(&stand, question);
    let story = browser.get(&format!("/incidents/{incident}")).await.body;
    assert!(story.contains("ann approved 2 actions, signed by passkey"), "{story}");
    assert!(story.contains("A prompt was denied"));
}

#[tokio::test]
async fn many_questions_are_decided_on_one_page_but_for_those_of_privileged_people() {
    let stand = Stand::new().await;
    let mut asked = Vec::new();
    for who in ["mia", "noa", "tom", "uma", "vic"] {
        asked.push(stand.ask(who, false).await);
    }
    let (root, own) = (stand.ask("root", true).await, stand.ask("ann", false).await);
    let (mut ann, browser) = approver(&stand).await;

    assert!(browser.get("/").await.body.contains("/approvals/together"));
    let page = browser.get("/approvals/together").await.body;
    for id in &asked {
        assert!(page.contains(&format!("data-approval=\"{id}\"")), "{page}");
    }
    assert!(!page.contains(&format!("data-approval=\"{root}\"")));
    assert!(!page.contains(&format!("data-approval=\"{own}\"")));
    assert!(page.contains("1 more are not yours") && page.contains("Each on its own page"));
    let parts: Vec<_> = asked
        .iter()
        .map(|id| json!({ "approval": id, "items": stand.people.ticks(*id) }))
        .collect();
    let wish = json!({ "decision": "approve", "parts": parts, "justification": "" });
    let given = browser.signed_at(&mut ann, "/v1/approvals/together/begin", &wish).await;
    let done = browser.post("/v1/approvals/together/finish", &given).await;

    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    for id in asked {
        assert_eq!(stand.question(id).state, ApprovalState::Approved);
    }
    assert_eq!(stand.question(root).state, ApprovalState::Pending);
    assert!(browser.get("/approvals/together").await.body.contains("Nothing is open"));
}

#[tokio::test]
async fn a_question_is_denied_on_its_page() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (mut ann, browser) = approver(&stand).await;

    let done = browser.decide(&mut ann, question, "deny", Vec::new()).await;

    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(stand.question(question).state, ApprovalState::Denied);
}

#[tokio::test]
async fn an_answer_is_taken_once_by_its_own_session_for_its_own_question() {
    let stand = Stand::new().await;
    let (first, second) = (stand.ask("mia", false).await, stand.ask("noa", false).await);
    let (mut ann, browser) = approver(&stand).await;
    let other = with_role(&stand, "bob", "approver").await;
    let ticks = stand.people.ticks(first);
    let answer = browser.signed(&mut ann, first, "approve", ticks).await;
    let finish = |id: ApprovalId| format!("/v1/approvals/{id}/finish");

    // Each try uses the ceremony up, so that nothing can be tried twice.
    assert_eq!(other.post(&finish(first), &answer).await.status, StatusCode::CONFLICT);
    assert_eq!(browser.post(&finish(first), &answer).await.status, StatusCode::CONFLICT);
    let ticks = stand.people.ticks(first);
    let answer = browser.signed(&mut ann, first, "approve", ticks).await;
    assert_eq!(browser.post(&finish(second), &answer).await.status, StatusCode::CONFLICT);

    assert_eq!(stand.question(first).state, ApprovalState::Pending);
    assert_eq!(stand.question(second).state, ApprovalState::Pending);
}

#[tokio::test]
async fn what_the_page_did_not_show_cannot_be_signed() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (_ann, browser) = approver(&stand).await;
    let begin = format!("/v1/approvals/{question}/begin");

    let changed = json!({ "decision": "approve", "items": ["00"] });
    assert_eq!(browser.post(&begin, &changed).await.status, StatusCode::CONFLICT);
    let nothing = json!({ "decision": "approve", "items": [] });
    assert_eq!(browser.post(&begin, &nothing).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    stand.clock.pass(TimeDelta::minutes(14));
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    stand.clock.pass(TimeDelta::minutes(6));
    let late = json!({ "decision": "deny" });
    let late = browser.post(&begin, &late).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.body.contains("it was already expired"), "{}", late.body);
}

#[tokio::test]
async fn a_person_whom_it_concerns_is_told_so_and_refused() {
    let stand = Stand::new().await;
    let question = stand.ask("ann", false).await;
    let (_ann, browser) = approver(&stand).await;

    let page = browser.get(&format!("/approvals/{question}")).await.body;
    let begin = format!("/v1/approvals/{question}/begin");
    let refused = browser.post(&begin, &json!({ "decision": "deny" })).await;

    assert!(page.contains("it concerns you, or you asked for it"), "{page}");
    assert!(page.contains("Not enough of those who are enrolled may decide this"));
    assert!(!page.contains("name=\"decision\""));
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nothing_is_shown_or_done_without_a_session() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (incident, run) = case_of(&stand, question);
    let stranger = Browser::at(&stand);

    for page in browser::pages(question, (incident, run)) {
        let answer = stranger.get(&page).await;
        let refused =
            answer.status == StatusCode::SEE_OTHER || answer.status == StatusCode::UNAUTHORIZED;
        assert!(refused, "{page}: {}", answer.status);
        assert!(!answer.body.contains("mia"), "{page}");
    }
    for path in browser::changes(question, incident) {
        let answer = stranger.form(&path, "text=x&paused=true").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_change_that_another_site_asks_for_is_refused() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (incident, _) = case_of(&stand, question);
    let (_ann, browser) = approver(&stand).await;
    let before = stand.engine.read(|core| core.state.seq);

    for path in browser::changes(question, incident) {
        for header in [
            None,
            Some(("origin", "https://evil.example")),
            Some(("origin", "null")),
            Some(("sec-fetch-site", "cross-site")),
        ] {
            let answer = browser.form_from(header, &path, "text=x&paused=true").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {header:?}");
        }
    }

    let changed = stand.store.submitted().into_iter().filter(|c| c.seq > before);
    let entries: Vec<_> = changed.flat_map(|c| c.entries).collect();
    assert!(entries.iter().all(|e| matches!(e, Entry::AttemptRefused(_))), "{entries:?}");
    assert!(!entries.is_empty(), "an attempt leaves a trace");
}

/// Mail scanners and chat previews open every link.
#[tokio::test]
async fn no_get_changes_anything() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (incident, run) = case_of(&stand, question);
    let (_ann, browser) = approver(&stand).await;
    let ticket = stand.people.invite("bob", &["viewer"]).await.unwrap();
    let before = stand.engine.read(|core| core.state.seq);

    for page in browser::pages(question, (incident, run)) {
        if page != "/stream" {
            assert_eq!(browser.get(&page).await.status, StatusCode::OK, "{page}");
        }
    }
    for path in browser::changes(question, incident) {
        let status = browser.get(&path).await.status;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    for _ in 0..2 {
        let enrol = browser.get(&format!("/enrol/{}", ticket.reveal())).await;
        assert_eq!(enrol.status, StatusCode::OK);
        assert!(enrol.body.contains("bob"));
    }

    assert_eq!(stand.engine.read(|core| core.state.seq), before);
    assert!(stand.people.invitation(ticket.reveal()).is_some());
}

#[tokio::test]
async fn hostile_text_stays_text_on_every_page() {
    let stand = Stand::new().await;
    let question = stand.ask(HOSTILE, true).await;
    let (incident, run) = case_of(&stand, question);
    let mut eve = SoftPerson::enrol(&stand.people, "eve<b>", &["admin"]).await.unwrap();
    let mut browser = Browser::at(&stand);
    browser.sign_in(&mut eve).await;
    let body = format!(
        "text={}",
        percent_encoding::utf8_percent_encode(HOSTILE, percent_encoding::NON_ALPHANUMERIC)
    );
    let note = browser.form(&format!("/incidents/{incident}/notes"), &body).await;
    assert_eq!(note.status, StatusCode::SEE_OTHER, "{}", note.body);
    let pause = browser.form("/pause", &format!("paused=true&{body}")).await;
    assert_eq!(pause.status, StatusCode::SEE_OTHER, "{}", pause.body);
    let ticket = stand.people.invite(HOSTILE, &[HOSTILE]).await.unwrap();

    let mut pages = browser::pages(question, (incident, run));
    pages.push(format!("/enrol/{}", ticket.reveal()));
    pages.retain(|page| page != "/stream");
    for page in pages {
        let html = browser.get(&page).await.body;
        inert(&html, &page);
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;

    for path in
        ["/", "/sign-in", "/console.js", "/enrol/none", "/approvals/none", "/incidents/none"]
    {
        let answer = browser.get(path).await;
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("strict-transport-security"), "", "not over plain http");
        let kept = if path == "/console.js" { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), kept, "{path}");
    }
    let refused = browser.form_from(None, "/pause", "").await;
    assert!(!refused.header("content-security-policy").is_empty());
}

#[tokio::test]
async fn over_https_the_cookie_belongs_to_this_host_alone() {
    let stand = Stand::new().await;
    let mut secure = Browser::over_https(&stand);
    let mut ann = SoftPerson::enrol(secure.people(), "ann", &["viewer"]).await.unwrap();
    let plain = secure.sign_in(&mut ann).await;

    for part in ["__Host-s=", "HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(plain.contains(part), "{plain}");
    }
    assert!(!secure.get("/").await.header("strict-transport-security").is_empty());
    let mut here = Browser::at(&stand);
    let mut bob = SoftPerson::enrol(&stand.people, "bob", &["viewer"]).await.unwrap();
    let plain = here.sign_in(&mut bob).await;
    assert!(plain.starts_with("s=") && !plain.contains("Secure") && plain.contains("HttpOnly"));
}

#[tokio::test]
async fn roles_hold_on_every_form() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (incident, run) = case_of(&stand, question);
    let viewer = with_role(&stand, "vic", "viewer").await;
    for path in browser::changes(question, incident) {
        if path.starts_with("/incidents") || path == "/pause" {
            let answer = viewer.form(&path, "text=x&paused=true").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let analyst = with_role(&stand, "ana", "analyst").await;
    assert_eq!(analyst.form("/pause", "paused=true&text=look").await.status, StatusCode::SEE_OTHER);
    assert!(analyst.get("/me").await.body.contains("nothing is being changed anywhere"));
    let release = analyst.form("/pause", "paused=false&text=go").await;
    assert_eq!(release.status, StatusCode::FORBIDDEN);
    let close = format!("/incidents/{incident}/close");
    assert_eq!(analyst.form(&close, "text=%20").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let restore = analyst.form(&format!("/incidents/{incident}/restore"), "").await;
    assert_eq!(restore.status, StatusCode::CONFLICT, "it holds nothing");
    let resume = json!({ "deed": "resume", "run": run });
    let again = analyst.post("/v1/deeds/begin", &resume).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(analyst.form(&close, "text=done").await.status, StatusCode::SEE_OTHER);
    let page = analyst.get(&format!("/incidents/{incident}")).await.body;
    assert!(page.contains("Closed by ana"), "{page}");
}

/// What loosens is signed, and the journal alone proves by whom.
#[tokio::test]
async fn a_passkey_invites_ends_a_pause_resumes_and_closes() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (incident, run) = case_of(&stand, question);
    stand.let_in(question).await;
    let mut eve = SoftPerson::enrol(&stand.people, "eve", &["admin"]).await.unwrap();
    let mut browser = Browser::at(&stand);
    browser.sign_in(&mut eve).await;
    browser.form("/pause", "paused=true&text=look").await;

    let invited = browser
        .does(&mut eve, &json!({ "deed": "invite", "name": " bob ", "role": "viewer" }))
        .await;
    assert_eq!(invited.status, StatusCode::OK, "{}", invited.body);
    let told: serde_json::Value = serde_json::from_str(&invited.body).unwrap();
    assert_eq!(told["name"], "bob");
    let link = told["link"].as_str().unwrap().rsplit('/').next().unwrap();
    assert_eq!(stand.people.invitation(link).unwrap().roles, ["viewer"]);
    for deed in [
        json!({ "deed": "release", "reason": "looked" }),
        json!({ "deed": "resume", "run": run }),
        json!({ "deed": "close", "incident": incident, "note": "gone" }),
    ] {
        let done = browser.does(&mut eve, &deed).await;
        assert_eq!(done.status, StatusCode::OK, "{deed}: {}", done.body);
    }

    assert!(stand.engine.read(|core| core.state.paused.is_none()));
    let entries: Vec<Entry> = stand.store.submitted().into_iter().flat_map(|c| c.entries).collect();
    let mut all = crate::people::decisions::Decisions::default();
    assert_eq!(entries.iter().find_map(|e| all.check(e).err()), None);
    let mut but_one = crate::people::decisions::Decisions::default();
    let release =
        |e: &&Entry| !matches!(e, Entry::DeedSigned(d) if format!("{d:?}").contains("Release"));
    let missing = entries.iter().filter(release).find_map(|e| but_one.check(e).err());
    assert_eq!(missing.unwrap(), "the end of a pause: nobody's passkey signed it");
}

#[tokio::test]
async fn whoever_is_kept_out_is_shown_with_on_whose_word() {
    let stand = Stand::new().await;
    let question = stand.ask("mia", false).await;
    let (mut ann, browser) = approver(&stand).await;
    assert!(browser.get("/in-force").await.body.contains("Nobody is kept out"));
    browser.decide(&mut ann, question, "approve", stand.people.ticks(question)).await;
    stand.begin(question).await;
    stand.hold(question).await;

    let page = browser.get("/in-force").await.body;

    for told in ["mia", "Block sign-in", "approved by ann", "people decide", "6 prompts denied"] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[tokio::test]
async fn somebody_whom_nobody_has_named_is_contained_by_hand_and_the_starter_does_not_decide() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;

    for wrong in ["", "who=mia&text=x", "who=mia%40corp.example&text=%20", "who=a%20b%40c.d&text=x"]
    {
        let refused = browser.form("/contain", wrong).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let begun = browser.form("/contain", "who=Mia%40corp.example&text=she+called").await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.body);
    let page = browser.get(begun.header("location")).await.body;
    assert!(page.contains("mia@corp.example") && page.contains("ann: she called"), "{page}");
    let viewer = with_role(&stand, "vic", "viewer").await;
    let refused = viewer.form("/contain", "who=mia%40corp.example&text=x").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_session_is_listed_and_ended_by_its_owner_only() {
    let stand = Stand::new().await;
    let (mut ann, first) = approver(&stand).await;
    let own = stand.people.sessions_of(ann.id)[0].id.clone();
    let mut second = Browser::at(&stand);
    second.sign_in(&mut ann).await;
    let bob = with_role(&stand, "bob", "viewer").await;
    let ids: Vec<String> = stand.people.sessions_of(ann.id).into_iter().map(|s| s.id).collect();
    let others: Vec<&String> = ids.iter().filter(|id| **id != own).collect();
    let end = |id: &str| format!("/me/sessions/{id}/end");

    assert_eq!(bob.form(&end(others[0]), "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(first.form(&end(others[0]), "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(second.get("/").await.status, StatusCode::SEE_OTHER);
    assert_eq!(first.get("/").await.status, StatusCode::OK);
    first.form("/sign-out", "").await;
    assert_eq!(first.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_ticket_is_used_up_by_the_page_behind_it() {
    let stand = Stand::new().await;
    let ticket = stand.people.invite("ann", &["approver"]).await.unwrap();
    let browser = Browser::at(&stand);

    let done = browser.enrol(ticket.reveal()).await;
    let again = browser.get(&format!("/enrol/{}", ticket.reveal())).await;

    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let enrolled = stand.engine.read(|core| core.state.people.values().next().cloned()).unwrap();
    assert_eq!((enrolled.name.as_str(), enrolled.roles.len()), ("ann", 1));
}

#[tokio::test]
async fn an_open_page_is_told_where_the_journal_stands() {
    let stand = Stand::new().await;
    let (_ann, browser) = approver(&stand).await;
    let seq = stand.engine.read(|core| core.state.seq);

    let message = browser.first_message().await;

    assert!(message.contains("event: moved"), "{message}");
    assert!(message.contains(&format!("data: {seq}")), "{message}");
}

#[tokio::test]
async fn a_deployment_without_an_approver_says_so() {
    let stand = Stand::new().await;
    let browser = with_role(&stand, "vic", "viewer").await;
    assert!(browser.get("/").await.body.contains("Nobody could decide anything"));
    let _ann = SoftPerson::enrol(&stand.people, "ann", &["approver"]).await.unwrap();
    assert!(!browser.get("/").await.body.contains("Nobody could decide anything"));
}

#[tokio::test]
async fn an_asset_that_is_known_is_not_sent_again() {
    let stand = Stand::new().await;
    let browser = Browser::at(&stand);
    let script = browser.get("/console.js").await;
    let tag = script.header("etag").to_owned();

    let again = browser.get_with("/console.js", &[("if-none-match", &tag)]).await;

    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    assert!(script.body.lines().count() <= 300);
}
