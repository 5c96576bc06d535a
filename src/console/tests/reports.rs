//! People's doors: the public form and the help desk's.

use axum::http::StatusCode;

use super::{HOSTILE, approver, with_role};
use crate::console::tests::browser::Browser;
use crate::model::alert::{Proof, Report};
use crate::model::entry::Entry;
use crate::model::incident::Stage;
use crate::people::soft::SoftPerson;
use crate::people::stand::Stand;

fn reports(stand: &Stand) -> Vec<Report> {
    let entries = stand.store.submitted().into_iter().flat_map(|commit| commit.entries);
    let reports = entries.filter_map(|entry| match entry {
        Entry::ReportReceived { report, .. } => Some(*report),
        _ => None,
    });
    reports.collect()
}

fn once(page: &str) -> &str {
    let from = page.split("name=\"once\" value=\"").nth(1).unwrap();
    from.split('"').next().unwrap()
}

/// The page without what differs from one filling-in to the next.
fn without_number(page: &str, number: &str) -> String {
    page.replace(number, "#")
}

#[tokio::test]
async fn a_stranger_reports_without_a_session_and_is_answered_with_a_number() {
    let stand = Stand::new().await;
    let stranger = Browser::at(&stand);

    let page = stranger.get("/report").await;
    let form = format!("who=Mia@Example.com&text=my+phone+rings&once={}", once(&page.body));
    let told = stranger.form("/report", &form).await;
    let again = stranger.form("/report", &form).await;

    assert_eq!((page.status, told.status), (StatusCode::OK, StatusCode::OK), "{}", told.body);
    let [report] = &reports(&stand)[..] else { panic!("{:?}", reports(&stand)) };
    assert_eq!(report.account.login.as_deref(), Some("mia@example.com"));
    assert_eq!((report.proof, report.text.as_str()), (Proof::Relayed, "my phone rings"));
    assert!(told.body.contains(&report.reference()), "{}", told.body);
    assert!(told.body.contains("call the help desk now"), "{}", told.body);
    // Sent twice by an impatient thumb, it is one report with one number.
    assert_eq!(again.body, told.body);
    let stage = stand.engine.read(|core| core.state.incidents.values().next().unwrap().stage);
    assert_eq!(stage, Stage::Noted);
}

#[tokio::test]
async fn the_answer_does_not_tell_whether_a_name_exists() {
    let stand = Stand::new().await;
    stand.engine.subject_named("mia@example.com").await.unwrap();
    let stranger = Browser::at(&stand);

    let known = stranger.form("/report", "who=mia@example.com").await;
    let unknown = stranger.form("/report", "who=nobody@example.com").await;

    let numbers: Vec<String> = reports(&stand).iter().map(Report::reference).collect();
    assert_eq!(known.status, unknown.status);
    assert_eq!(
        without_number(&known.body, &numbers[0]),
        without_number(&unknown.body, &numbers[1])
    );
    assert!(!known.body.contains("/incidents/"), "{}", known.body);
}

#[tokio::test]
async fn a_passkey_proves_a_report_about_its_own_person_and_about_nobody_else() {
    let stand = Stand::new().await;
    let mut mia = SoftPerson::enrol(&stand.people, "mia@example.com", &["viewer"]).await.unwrap();
    let mut browser = Browser::at(&stand);
    browser.sign_in(&mut mia).await;

    assert!(browser.get("/report").await.body.contains("value=\"mia@example.com\""));
    browser.form("/report", "who=MIA@example.com").await;
    browser.form("/report", "who=noa@example.com").await;

    let proofs: Vec<_> = reports(&stand).iter().map(|report| report.proof).collect();
    assert_eq!(proofs, [Proof::SelfProved, Proof::Relayed]);
}

#[tokio::test]
async fn the_form_is_bounded_and_takes_no_markup() {
    let stand = Stand::new().await;
    let stranger = Browser::at(&stand);

    for odd in ["", "mia", "a b@example.com", "%3Cb%3E@example.com", "mia@"] {
        let refused = stranger.form("/report", &format!("who={odd}")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{odd}");
    }
    let evil: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let form = format!("who=mia@example.com&text={evil}{}", "x".repeat(5_000));
    let told = stranger.form("/report", &form).await;
    let (_ann, browser) = approver(&stand).await;
    let incident = stand.engine.read(|core| *core.state.incidents.keys().next().unwrap());
    let page = browser.get(&format!("/incidents/{incident}")).await.body;

    assert_eq!(told.status, StatusCode::OK);
    assert!(!told.body.contains("alert(1)") && !page.contains("<script>alert"), "{page}");
    // Hidden characters are written out, which takes a little more.
    assert!(reports(&stand)[0].text.chars().count() <= 1_050);
    let mut refused = 0;
    for n in 0..40 {
        let told = stranger.form("/report", &format!("who=p{n}@example.com")).await;
        refused += usize::from(told.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(refused, 11, "thirty a minute, one of which was taken above");
    // Whoever is signed in does not stand in the strangers' queue.
    assert_eq!(browser.form("/report", "who=mia@example.com").await.status, StatusCode::OK);
}

#[tokio::test]
async fn no_other_site_makes_a_reader_report() {
    let stand = Stand::new().await;
    let stranger = Browser::at(&stand);

    for header in [None, Some(("origin", "https://evil.example")), Some(("origin", "null"))] {
        let refused = stranger.form_from(header, "/report", "who=mia@example.com").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{header:?}");
    }

    assert!(reports(&stand).is_empty());
}

#[tokio::test]
async fn an_agent_writes_a_call_down_under_their_own_name() {
    let stand = Stand::new().await;
    let desk = with_role(&stand, "hugo", "helpdesk").await;

    let page = desk.get("/desk").await;
    let call = "caller=Mia+Reyes&who=mia@example.com&text=ten+prompts";
    let told = desk.form("/desk/calls", &format!("{call}&once={}", once(&page.body))).await;
    let back = desk.form("/desk/calls", &format!("{call}&called_back=yes")).await;

    assert_eq!((told.status, back.status), (StatusCode::OK, StatusCode::OK), "{}", told.body);
    assert!(told.body.contains("/incidents/") && told.body.contains("over the telephone"));
    let [first, second] = &reports(&stand)[..] else { panic!("{:?}", reports(&stand)) };
    assert_eq!((first.proof, second.proof), (Proof::Relayed, Proof::AuthenticatedOther));
    assert_eq!(first.taken_by.as_deref(), Some("hugo"));
    assert_eq!(first.text, "call from Mia Reyes, not called back: ten prompts");
    let incident = stand.engine.read(|core| *core.state.incidents.keys().next().unwrap());
    let story = desk.get(&format!("/incidents/{incident}")).await.body;
    assert!(story.contains("taken by hugo") && story.contains(&second.reference()), "{story}");
}

#[tokio::test]
async fn who_takes_no_calls_writes_none_down() {
    let stand = Stand::new().await;

    for role in ["viewer", "author"] {
        let browser = with_role(&stand, role, role).await;
        let refused = browser.form("/desk/calls", "caller=x&who=mia@example.com").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{role}");
        assert!(browser.get("/desk").await.body.contains("does not take calls"));
    }

    assert!(reports(&stand).is_empty());
}
