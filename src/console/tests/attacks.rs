//! Every way that we know to get a decision without the person whose it is. Each fails closed, changes
//! nothing, and leaves a trace.

#![expect(clippy::print_stdout, reason = "the table of what was tried is what people want to see")]

mod tokens;

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::browser::{Answer, Browser, SECRET};
use super::tending::{refused, signed};
use crate::model::approval::{ApprovalState, Asks};
use crate::model::entry::{Entry, PersonEnrolled};
use crate::model::id::ApprovalId;
use crate::people::soft::SoftPerson;
use crate::people::stand::Stand;

const WHY: &str = "called back on a known number";

/// A deployment, one approver at a browser, and what was tried on it.
struct Suite {
    stand: Stand,
    ann: SoftPerson,
    browser: Browser,
    tried: usize,
    /// What counted as a change so far.
    changes: usize,
    traces: usize,
}

/// Whether an entry lets something happen, or somebody in.
fn is_change(entry: &Entry) -> bool {
    matches!(
        entry,
        Entry::ApprovalVoted(_)
            | Entry::ApprovalDecided(_)
            | Entry::DeedSigned(_)
            | Entry::GuardrailsChanged(_)
            | Entry::CeilingRaised(_)
            | Entry::PlanPublished(_)
            | Entry::PersonEnrolled(_)
            | Entry::EnrolmentIssued { .. }
            | Entry::PauseChanged { .. }
            | Entry::PersonAsked(_)
            | Entry::PersonAnswered(_)
            | Entry::IncidentClosed { .. }
            | Entry::RunStarted(_)
            | Entry::StepIntent(_)
            | Entry::DeliveryAccepted(_)
            | Entry::ConnectionTested(_)
            | Entry::TokenChanged(_)
    )
}

impl Suite {
    async fn new() -> Self {
        let stand = Stand::new().await;
        let mut ann =
            SoftPerson::enrol(&stand.people, "ann", &["approver", "admin"]).await.unwrap();
        let mut browser = Browser::at(&stand);
        browser.sign_in(&mut ann).await;
        let mut suite = Self { stand, ann, browser, tried: 0, changes: 0, traces: 0 };
        suite.settle();
        suite
    }

    fn count(&self, which: impl Fn(&Entry) -> bool) -> usize {
        let commits = self.stand.store.submitted();
        commits.iter().flat_map(|c| &c.entries).filter(|e| which(e)).count()
    }

    /// What was done on purpose is the state that attacks are compared with.
    fn settle(&mut self) {
        self.changes = self.count(is_change);
        self.traces = self.count(|e| matches!(e, Entry::AttemptRefused(_)));
    }

    /// It was refused, nothing has changed, and it is in the journal.
    fn refused(&mut self, what: &str, answer: &Answer) {
        self.unchanged(what, answer);
        let traces = self.count(|e| matches!(e, Entry::AttemptRefused(_)));
        assert_eq!(traces, self.traces + 1, "{what}: left no trace");
        self.traces = traces;
    }

    /// The same of a request that never changes anything, such as a GET: it need not be written down.
    fn unchanged(&mut self, what: &str, answer: &Answer) {
        self.tried += 1;
        println!("{:>3}  {}  {what}", self.tried, answer.status.as_u16());
        let safe = !answer.status.is_server_error();
        assert!(safe, "{what}: {} {}", answer.status, answer.body);
        assert_eq!(self.count(is_change), self.changes, "{what}: something changed");
    }

    async fn question(&mut self, who: &str, privileged: bool) -> ApprovalId {
        let id = self.stand.ask(who, privileged).await;
        self.settle();
        id
    }

    async fn person(&mut self, name: &str, role: &str) -> (SoftPerson, Browser) {
        let mut person = SoftPerson::enrol(&self.stand.people, name, &[role]).await.unwrap();
        let mut browser = Browser::at(&self.stand);
        browser.sign_in(&mut person).await;
        self.settle();
        (person, browser)
    }

    /// Ann's own signature on everything that a question asks, not handed in yet.
    async fn signed(&mut self, question: ApprovalId) -> Value {
        let ticks = self.stand.people.ticks(question);
        self.browser.signed(&mut self.ann, question, "approve", ticks).await
    }
}

fn begin(id: ApprovalId) -> String {
    format!("/v1/approvals/{id}/begin")
}

fn finish(id: ApprovalId) -> String {
    format!("/v1/approvals/{id}/finish")
}

async fn links_and_previews(s: &mut Suite) {
    let question = s.question("mia", false).await;
    let ticket = s.stand.people.invite("bob", &["approver"]).await.unwrap();
    s.settle();
    let nobody = Browser::at(&s.stand);
    let page = s.browser.get(&format!("/approvals/{question}")).await;
    s.unchanged("a previewer opens the question with a person's session", &page);
    for path in [begin(question), finish(question)] {
        let answer = s.browser.get(&path).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        s.unchanged("a previewer GETs what decides", &answer);
        let answer = nobody.post(&path, &json!({ "decision": "approve" })).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        s.refused("a previewer POSTs what decides", &answer);
    }
    for _ in 0..2 {
        let answer = nobody.get(&format!("/enrol/{}", ticket.reveal())).await;
        s.unchanged("a mail scanner opens an enrolment link", &answer);
    }
    assert!(s.stand.people.invitation(ticket.reveal()).is_some());
    for path in ["/slack/actions", "/v1/hooks/pagerduty/ack", "/v1/approvals/approve"] {
        let answer = nobody.post(path, &json!({ "approval": question, "action": "approve" })).await;
        assert!(answer.status.is_client_error(), "{path}");
        s.unchanged("a forged callback of chat or pager", &answer);
    }
}

async fn replays(s: &mut Suite) {
    let (first, second) = (s.question("mia", false).await, s.question("noa", false).await);
    let mut given = s.signed(first).await;
    let other = s.signed(second).await;
    let crossed = json!({ "ceremony": other["ceremony"], "answer": given["answer"] });
    let answer = s.browser.post(&finish(second), &crossed).await;
    s.refused("an assertion transplanted into another question's ceremony", &answer);
    let answer = s.browser.post(&finish(second), &given).await;
    s.refused("a ceremony handed in for another question", &answer);
    given = s.signed(first).await;
    let (_bob, browser) = s.person("bob", "approver").await;
    let answer = browser.post(&finish(first), &given).await;
    s.refused("somebody else hands in a person's ceremony", &answer);
    given = s.signed(first).await;
    assert_eq!(s.browser.post(&finish(first), &given).await.status, StatusCode::OK);
    s.settle();
    let answer = s.browser.post(&finish(first), &given).await;
    s.refused("the same answer again", &answer);
    let ticks = s.stand.people.ticks(first);
    let wish = json!({ "decision": "approve", "items": ticks });
    let answer = s.browser.post(&begin(first), &wish).await;
    s.refused("a question answered already", &answer);
    let stale = s.signed(second).await;
    s.stand.clock.pass(TimeDelta::seconds(121));
    let answer = s.browser.post(&finish(second), &stale).await;
    s.refused("a stale ceremony", &answer);
    let mut broken = s.signed(second).await;
    broken["answer"]["response"]["signature"] = "AAAA".into();
    let answer = s.browser.post(&finish(second), &broken).await;
    s.refused("a forged signature", &answer);
    assert_eq!(s.stand.question(second).state, ApprovalState::Pending);
}

/// One signature under several people's cases is not a way around what each of them takes.
async fn several_at_once(s: &mut Suite) {
    const BEGIN: &str = "/v1/approvals/together/begin";
    const FINISH: &str = "/v1/approvals/together/finish";
    let (mia, noa) = (s.question("mia", false).await, s.question("noa", false).await);
    let root = s.question("root", true).await;
    let part = |s: &Suite, id| json!({ "approval": id, "items": s.stand.people.ticks(id) });
    let wish = |parts: &[Value]| json!({ "decision": "approve", "parts": parts });
    let fine = [part(s, mia), part(s, noa)];
    let other = json!({ "approval": noa, "items": ["00".repeat(32)] });
    for (what, wish) in [
        ("a privileged person among others", wish(&[fine[0].clone(), part(s, root)])),
        ("one question twice", wish(&[fine[0].clone(), fine[0].clone()])),
        ("more than anybody reads", wish(&vec![fine[0].clone(); 26])),
        ("a tick that no page showed", wish(&[fine[0].clone(), other])),
        (
            "several, and nothing ticked of one",
            wish(&[fine[0].clone(), json!({ "approval": noa })]),
        ),
    ] {
        let answer = s.browser.post(BEGIN, &wish).await;
        s.refused(what, &answer);
    }
    let (_, viewer) = s.person("vic", "viewer").await;
    let answer = viewer.post(BEGIN, &wish(&fine)).await;
    s.refused("a role that does not decide, about several", &answer);
    let given = s.browser.signed_at(&mut s.ann, BEGIN, &wish(&fine)).await;
    let answer = s.browser.post(&finish(mia), &given).await;
    s.refused("a signature under several handed in for one", &answer);
    let given = s.browser.signed_at(&mut s.ann, BEGIN, &wish(&fine)).await;
    let mut asked = s.stand.question(noa);
    asked.items[0].target = "idp:9".into();
    let opened = Entry::ApprovalOpened { approval: Box::new(asked) };
    s.stand.engine.commit(|tx| tx.push(opened)).await.unwrap();
    let answer = s.browser.post(FINISH, &given).await;
    s.refused("one of several changed after it was signed", &answer);
    assert_eq!(s.stand.question(mia).state, ApprovalState::Pending);
}

/// The question itself changes between signing and handing in.
async fn what_changed(s: &mut Suite) {
    type Change = fn(&mut crate::model::approval::Approval);
    let changes: [(&str, Change); 5] = [
        ("a parameter changed after it was signed", |q| q.items[0].params = "00".repeat(32)),
        ("the target changed after it was signed", |q| q.items[0].target = "idp:9".into()),
        ("the action changed after it was signed", |q| q.items[0].action = "okta/delete".into()),
        ("the plan changed after it was signed", |q| q.plan = "plan-2".into()),
        ("a yes to containing used for opening", |q| q.asks = Asks::Restore),
    ];
    for (what, change) in changes {
        let question = s.question("mia", false).await;
        let given = s.signed(question).await;
        let mut asked = s.stand.question(question);
        change(&mut asked);
        let opened = Entry::ApprovalOpened { approval: Box::new(asked) };
        s.stand.engine.commit(|tx| tx.push(opened)).await.unwrap();
        let answer = s.browser.post(&finish(question), &given).await;
        s.refused(what, &answer);
        assert_eq!(s.stand.question(question).state, ApprovalState::Pending);
    }
    let question = s.question("mia", false).await;
    for (what, wish) in [
        ("a tick that the page did not show", json!({ "decision": "approve", "items": ["00"] })),
        ("a yes to nothing", json!({ "decision": "approve", "items": [] })),
        ("a decision that is neither", json!({ "decision": "escalate", "items": [] })),
        ("something that is no decision", json!([1, 2, 3])),
    ] {
        let answer = s.browser.post(&begin(question), &wish).await;
        s.refused(what, &answer);
    }
    let large = json!({ "decision": "deny", "justification": "x".repeat(80_000) });
    let answer = s.browser.post(&begin(question), &large).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    s.refused("a body without end", &answer);
}

async fn who_may_not(s: &mut Suite) {
    let wish = json!({ "decision": "deny" });
    for (what, victim) in
        [("the victim", "ann"), ("the victim under a longer name", "ann@corp.example")]
    {
        let question = s.question(victim, false).await;
        let answer = s.browser.post(&begin(question), &wish).await;
        s.refused(what, &answer);
    }
    let question = s.question("mia", false).await;
    let mut asked = s.stand.question(question);
    asked.barred.push("ann".into());
    let opened = Entry::ApprovalOpened { approval: Box::new(asked) };
    s.stand.engine.commit(|tx| tx.push(opened)).await.unwrap();
    let answer = s.browser.post(&begin(question), &wish).await;
    s.refused("whoever started it", &answer);
    for role in ["viewer", "analyst", "author", "helpdesk"] {
        let (_, browser) = s.person(&format!("{role}.x"), role).await;
        let question = s.question("mia", false).await;
        let answer = browser.post(&begin(question), &wish).await;
        s.refused(&format!("a role that does not decide: {role}"), &answer);
    }
    let question = s.question("mia", true).await;
    let ticks = s.stand.people.ticks(question);
    let typed = |confirm: &str, why: &str| json!({ "decision": "approve", "items": ticks, "confirm": confirm, "justification": why });
    let answer = s.browser.post(&begin(question), &typed("noa", WHY)).await;
    s.refused("a privileged person, another name typed", &answer);
    let answer = s.browser.post(&begin(question), &typed("mia", "ok")).await;
    s.refused("a privileged person, no reason given", &answer);
}

async fn people_who_change(s: &mut Suite) {
    let question = s.question("mia", false).await;
    let given = s.signed(question).await;
    let known = s.stand.people.person(s.ann.id).unwrap();
    let demoted = PersonEnrolled { roles: vec!["viewer".into()], ..known.clone() };
    let again = |person| Entry::PersonEnrolled(Box::new(person));
    s.stand.engine.commit(|tx| tx.push(again(demoted))).await.unwrap();
    s.settle();
    let answer = s.browser.post(&finish(question), &given).await;
    s.refused("a role lost between the question and the signature", &answer);
    s.stand.engine.commit(|tx| tx.push(again(known))).await.unwrap();
    let given = s.signed(question).await;
    let old = s.browser.clone();
    s.ann = SoftPerson::enrol(&s.stand.people, "ann", &["approver", "admin"]).await.unwrap();
    s.settle();
    let answer = old.post(&finish(question), &given).await;
    s.refused("a passkey replaced between the question and the signature", &answer);
    s.browser.sign_in(&mut s.ann).await;
    let own = s.question("ann@corp.example", false).await;
    s.stand.let_in(own).await;
    let answer = s.browser.post(&begin(question), &json!({ "decision": "deny" })).await;
    s.refused("an approver who let an attacker in", &answer);
}

async fn requests_from_elsewhere(s: &mut Suite) {
    let question = s.question("mia", false).await;
    for (what, header) in [
        ("a form that does not say where it comes from", None),
        ("a form of another site", Some(("origin", "https://evil.example"))),
        ("a form of a sandboxed frame", Some(("origin", "null"))),
        ("a form that the browser calls cross-site", Some(("sec-fetch-site", "cross-site"))),
        ("a form of a sibling host", Some(("sec-fetch-site", "same-site"))),
    ] {
        let answer = s.browser.form_from(header, "/pause", "paused=true&text=x").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
        s.refused(what, &answer);
        let answer = s.browser.form_from(header, &begin(question), "decision=deny").await;
        s.refused(&format!("{what}, to what decides"), &answer);
    }
}

async fn sessions(s: &mut Suite) {
    let question = s.question("mia", false).await;
    let (mut eve, mut fixed) = s.person("eve", "approver").await;
    let before = fixed.clone();
    fixed.sign_in(&mut eve).await;
    assert_ne!(before.cookie(), fixed.cookie(), "a session fixed before signing in is another");
    fixed.form("/sign-out", "").await;
    let answer = fixed.post(&begin(question), &json!({ "decision": "deny" })).await;
    s.refused("a cookie stolen before signing out", &answer);
    let made_up = Browser::at(&s.stand).with_cookie("s=0123456789abcdef");
    let answer = made_up.post(&begin(question), &json!({ "decision": "deny" })).await;
    s.refused("a made-up session", &answer);
    s.stand.clock.pass(TimeDelta::minutes(16));
    let answer = before.post(&begin(question), &json!({ "decision": "deny" })).await;
    s.refused("a session that was left alone", &answer);
    s.browser.sign_in(&mut s.ann).await;
}

/// A stolen session, without the passkey, does nothing that loosens.
async fn acts_without_a_passkey(s: &mut Suite) {
    let question = s.question("mia", false).await;
    let asked = s.stand.question(question);
    s.browser.form("/pause", "paused=true&text=look").await;
    s.settle();
    let answer = s.browser.form("/pause", "paused=false&text=go").await;
    s.refused("a session alone ends a pause", &answer);
    s.stand.let_in(question).await;
    let close = format!("/incidents/{}/close", asked.incident);
    let answer = s.browser.form(&close, "text=done").await;
    s.refused("a session alone closes a case with a hostile approval", &answer);
    for path in ["/people", "/playbooks/x/publish", "/runs/x/resume"] {
        let answer = s.browser.form(path, "name=eve&role=admin&digest=x").await;
        s.refused("a session alone, by a form that is no more", &answer);
    }
    let invite = json!({ "deed": "invite", "name": "eve", "role": "admin" });
    let given = s.browser.deed(&mut s.ann, &invite).await;
    let mut forged = given.clone();
    forged["answer"]["response"]["signature"] = "AAAA".into();
    let answer = s.browser.post("/v1/deeds/finish", &forged).await;
    s.refused("an invitation with a forged signature", &answer);
    let answer = s.browser.post("/v1/deeds/finish", &given).await;
    s.refused("the ceremony of that invitation again", &answer);
    let given = s.browser.deed(&mut s.ann, &invite).await;
    let decision = s.signed(question).await;
    let crossed = json!({ "ceremony": decision["ceremony"], "answer": given["answer"] });
    let answer = s.browser.post(&finish(question), &crossed).await;
    s.refused("the signature of an act handed in as a decision", &answer);
    let (_, analyst) = s.person("ana", "analyst").await;
    let answer = analyst.post("/v1/deeds/begin", &invite).await;
    s.refused("an analyst invites an administrator", &answer);
    let adopt = json!({ "deed": "adopt", "digest": "00".repeat(32) });
    let answer = s.browser.post("/v1/deeds/begin", &adopt).await;
    s.refused("guardrails that nobody wishes for", &answer);
    let until = s.stand.engine.now() + TimeDelta::hours(1);
    let raise = json!({ "deed": "raise", "campaign": "none", "blocks": 100, "until": until });
    let answer = s.browser.post("/v1/deeds/begin", &raise).await;
    s.refused("a higher ceiling for a campaign that is none", &answer);
    let answer = analyst.post("/v1/deeds/begin", &raise).await;
    s.refused("an analyst raises a ceiling", &answer);
    let odd = json!({ "deed": "invite", "name": "eve", "role": "root" });
    let answer = s.browser.post("/v1/deeds/begin", &odd).await;
    s.refused("a role that nobody has", &answer);
}

#[tokio::test]
async fn every_attack_on_a_decision_fails_closed_and_leaves_a_trace() {
    let mut s = Suite::new().await;
    links_and_previews(&mut s).await;
    replays(&mut s).await;
    several_at_once(&mut s).await;
    s.stand.clock.pass(TimeDelta::minutes(1));
    what_changed(&mut s).await;
    who_may_not(&mut s).await;
    s.stand.clock.pass(TimeDelta::minutes(1));
    requests_from_elsewhere(&mut s).await;
    sessions(&mut s).await;
    acts_without_a_passkey(&mut s).await;
    people_who_change(&mut s).await;
    s.stand.clock.pass(TimeDelta::minutes(1));
    what_is_tended(&mut s).await;
    println!("{} attacks, none succeeded", s.tried);
    assert!(s.tried >= 90, "{}", s.tried);
}

/// Deliveries judged again, connections tried, tokens revoked: doors that nobody comes in by.
async fn what_is_tended(s: &mut Suite) {
    let now = s.stand.engine.now();
    let (body, mut headers) = signed(SECRET, "a-1", now);
    let forged = (body.replace("mia", "eva"), headers.clone());
    headers.truncate(1);
    let forged = refused(&s.browser, forged, now).await;
    let unsigned = refused(&s.browser, (body, headers), now).await;
    let doors = [
        format!("/sources/refused/{forged}/judge"),
        "/connections/idp/test".to_owned(),
        format!("/me/tokens/{forged}/revoke"),
    ];
    let nobody = Browser::at(&s.stand);
    let with_token = nobody.clone().with_cookie("s=qll_every_scope");
    let (_, viewer) = s.person("vera", "viewer").await;
    let (_, helper) = s.person("hugo", "helpdesk").await;
    for door in &doors {
        let answer = nobody.form(door, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        s.refused("nobody tends", &answer);
        let answer = with_token.form(door, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        s.refused("a token for a session tends", &answer);
        for browser in [&viewer, &helper] {
            let answer = browser.form(door, "").await;
            assert!(answer.status.is_client_error(), "{door}: {}", answer.status);
            s.refused("a role that may not tends", &answer);
        }
        for from in [None, Some(("origin", "https://evil.example"))] {
            let answer = s.browser.form_from(from, door, "").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            s.refused("another site has somebody tend", &answer);
        }
        let answer = s.browser.get(door).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        s.unchanged("a previewer tends", &answer);
    }
    for id in [forged, unsigned] {
        let answer = s.browser.form(&format!("/sources/refused/{id}/judge"), "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        s.refused("an administrator has a forged delivery judged again", &answer);
    }
    let answer = s.browser.form("/sources/refused/..%2f..%2fkeys/judge", "").await;
    s.refused("a delivery that is a path", &answer);
}

/// Writing them down is bounded, and what is left out is counted.
#[tokio::test]
async fn a_flood_of_attempts_does_not_fill_the_journal() {
    let stand = Stand::new().await;
    let nobody = Browser::at(&stand);
    for _ in 0..300 {
        nobody.post("/v1/deeds/begin", &json!({})).await;
    }
    stand.clock.pass(TimeDelta::minutes(1));
    nobody.post("/v1/deeds/begin", &json!({})).await;

    let commits = stand.store.submitted();
    let traces: Vec<_> = commits
        .into_iter()
        .flat_map(|c| c.entries)
        .filter_map(|e| match e {
            Entry::AttemptRefused(refused) => Some(refused),
            _ => None,
        })
        .collect();
    assert_eq!(traces.len(), 121);
    assert_eq!(traces.last().unwrap().unwritten, 180);
}
