//! Mail over a real socket of this machine.

use super::*;
use crate::lab::mail::Mailbox;

/// A server, and what it took.
async fn server(password: &str) -> (String, Mailbox) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mailbox = Mailbox::default();
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(mailbox.clone().serve(listener, password.to_owned()));
    (url, mailbox)
}

fn local() -> SmtpTransport {
    SmtpTransport::new(&["127.0.0.0/8".parse().unwrap()])
}

fn mail(url: &str, to: &str) -> Request<Bytes> {
    let body = json!({"from": "Quell <quell@example.com>", "to": to, "subject": "Decide: Dana",
        "text": "Block sign-in.", "link": "https://quell.example.com/approvals/1", "id": "k1"});
    Request::post(format!("{url}/messages")).body(Bytes::from(body.to_string())).unwrap()
}

async fn send(request: Request<Bytes>) -> (u16, Value) {
    let answer = local().send(request, Limits::default()).await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
}

fn signed(mut request: Request<Bytes>, password: &str) -> Request<Bytes> {
    let pair = STANDARD.encode(format!("quell:{password}"));
    let value = format!("Basic {pair}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

#[tokio::test]
async fn a_mail_arrives_whole() {
    let (url, mailbox) = server("").await;

    let (status, answer) = send(mail(&url, "soc@example.com, lea@example.com")).await;

    assert_eq!((status, &answer["id"]), (202, &json!("<k1@example.com>")));
    let taken = mailbox.taken();
    assert_eq!(taken[0].to, ["soc@example.com", "lea@example.com"]);
    assert!(taken[0].text.contains("Message-ID: <k1@example.com>"), "{}", taken[0].text);
    assert!(taken[0].text.contains("https://quell.example.com/approvals/1"));
}

#[tokio::test]
async fn what_the_server_says_is_told_apart() {
    let (url, mailbox) = server("s3cret").await;
    let to = |address: &str| signed(mail(&url, address), "s3cret");

    assert_eq!(send(to("later@example.com")).await.0, 429);
    assert_eq!(send(to("nobody@example.com")).await.0, 422);
    assert_eq!(send(signed(mail(&url, "a@example.com"), "wrong")).await.0, 401);
    assert_eq!(send(mail(&url, "a@example.com")).await.0, 401);
    let cut = local().send(to("cut@example.com"), Limits::default()).await.unwrap_err();
    assert!(matches!(cut, TransportError::Unknown(_)), "{cut}");
    assert!(mailbox.taken().is_empty());
    let session = Request::get(format!("{url}/session")).body(Bytes::new()).unwrap();
    assert_eq!(send(signed(session, "s3cret")).await.0, 200);
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_is_told_nothing() {
    let (url, mailbox) = server("").await;
    let transport = SmtpTransport { trusts_loopback: false, ..local() };

    let refused = transport.send(mail(&url, "a@example.com"), Limits::default()).await.unwrap_err();

    assert!(
        matches!(&refused, TransportError::NotSent(why) if why.contains("STARTTLS")),
        "{refused}"
    );
    assert!(mailbox.taken().is_empty());
}

#[tokio::test]
async fn nothing_is_sent_where_it_may_not_go() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", gone.local_addr().unwrap());
    drop(gone);
    let closed = local().send(mail(&url, "a@example.com"), Limits::default()).await.unwrap_err();
    assert!(matches!(closed, TransportError::NotSent(_)), "{closed}");

    for address in ["smtp://127.0.0.1:25", "smtp://10.0.0.1:25", "smtps://localhost:465"] {
        let request = mail(address, "a@example.com");
        let refused = SmtpTransport::new(&[]).send(request, Limits::default()).await.unwrap_err();
        assert!(matches!(refused, TransportError::Forbidden(_)), "{address}: {refused}");
    }
    let metadata = mail("smtp://169.254.169.254:25", "a@example.com");
    let refused = local().send(metadata, Limits::default()).await.unwrap_err();
    assert!(matches!(refused, TransportError::Forbidden(_)), "{refused}");
}

/// For `tests/run channels`, which serves with a real mail server.
#[tokio::test]
#[ignore = "needs a server"]
#[expect(clippy::disallowed_methods, reason = "the script that serves says where")]
async fn a_real_server_takes_it() {
    let servers = std::env::var("QUELL_TEST_SMTP").unwrap();
    let people = "soc@example.com, Lea Lead <lea@example.com>";
    for url in servers.split(' ') {
        for (subject, text) in [
            ("Decide: Dana Reyes", "• block sign in: dana@lab.example\nNo answer by 10:20 UTC."),
            (
                "x\r\nBcc: evil@example.net\r\n\r\n<script>",
                "<script>alert(1)</script>\r\n.\r\nQUIT\r\né \u{202E}",
            ),
        ] {
            let body = json!({"from": "Quell <quell@example.com>", "to": people, "subject": subject,
                "text": text, "link": "https://quell.example.com/approvals/1", "id": subject, "thread": "t/1"});
            let request = Request::post(format!("{url}/messages"));
            let request = signed(request.body(Bytes::from(body.to_string())).unwrap(), "s3cret");
            // By its name this machine is like any other: `smtp` must go on with STARTTLS.
            let transport =
                SmtpTransport { trusts_loopback: !url.contains("localhost"), ..local() };
            let answer = transport.send(request, Limits::default()).await.unwrap();
            assert_eq!(answer.status(), 202, "{url}: {answer:?}");
        }
    }
}
