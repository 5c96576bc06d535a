//! Bytes that no HTTP client would send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::RAW_PATIENCE;
use super::case::mark;
use super::doors::sound;
use crate::world::{SECRET, World};

pub(super) struct RawCase {
    pub(super) name: String,
    bytes: Vec<u8>,
    /// Whether the sender says that nothing more comes.
    ends: bool,
    /// The statuses of all answers, in order.
    pub(super) expect: &'static str,
}

pub(super) struct Answered(String);

impl Answered {
    pub(super) fn statuses(&self) -> String {
        let lines = self.0.split("HTTP/1.").skip(1);
        let statuses: Vec<&str> = lines.filter_map(|l| l.split(' ').nth(1)?.get(..3)).collect();
        if statuses.is_empty() { "closed".into() } else { statuses.join(" ") }
    }

    pub(super) fn problem(&self) -> String {
        let named = self.0.split("/problems/").nth(1).and_then(|rest| rest.split('"').next());
        named.unwrap_or("-").to_owned()
    }
}

impl RawCase {
    pub(super) async fn send(&self, world: &World) -> Answered {
        let mut to = TcpStream::connect(world.url.trim_start_matches("http://")).await.unwrap();
        // A server that has heard enough may close while the rest is written.
        _ = to.write_all(&self.bytes).await;
        if self.ends {
            _ = to.shutdown().await;
        }
        let mut heard = Vec::new();
        let read = async {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = to.read(&mut some).await {
                heard.extend_from_slice(&some[..n]);
            }
        };
        let in_time = tokio::time::timeout(RAW_PATIENCE, read).await;
        assert!(in_time.is_ok(), "{}: the connection stays open", self.name);
        Answered(String::from_utf8_lossy(&heard).into_owned())
    }
}

/// The marks of those of which nothing may be kept.
pub(super) fn refused_marks() -> Vec<String> {
    cases().into_iter().filter(|c| !c.expect.contains("202")).map(|c| mark(&c.name)).collect()
}

fn head(more: &str) -> String {
    format!(
        "POST /v1/hooks/siem HTTP/1.1\r\nhost: quell\r\nconnection: close\r\nauthorization: Bearer {SECRET}\r\n{more}\r\n"
    )
}

fn case(name: &str, bytes: impl Into<Vec<u8>>, expect: &'static str) -> RawCase {
    RawCase { name: name.into(), bytes: bytes.into(), ends: false, expect }
}

pub(super) fn cases() -> Vec<RawCase> {
    [lines(), lengths(), chunks(), several()].into_iter().flatten().collect()
}

fn text(name: &str) -> String {
    String::from_utf8(sound(name)).unwrap()
}

/// A delivery with more headers, and a length that is right.
fn whole(name: &str, more: &str) -> String {
    let body = text(name);
    format!("{}{body}", head(&format!("{more}content-length: {}\r\n", body.len())))
}

fn lines() -> Vec<RawCase> {
    let old =
        whole("raw-http-1.0", "").replace("HTTP/1.1", "HTTP/1.0").replace("host: quell\r\n", "");
    vec![
        case("raw-garbage", "\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n", "400"),
        case("raw-words", "hello there\r\n\r\n", "400"),
        case("raw-http-0.9", "GET /healthz\r\n\r\n", "400"),
        case("raw-http-9", "GET /healthz HTTP/9.9\r\n\r\n", "400"),
        case("raw-nul-in-path", "GET /heal\0thz HTTP/1.1\r\nhost: x\r\n\r\n", "400"),
        case("raw-http-1.0", old, "202"),
        case("raw-no-host", whole("raw-no-host", "").replace("host: quell\r\n", ""), "202"),
        case(
            "raw-other-host",
            whole("raw-other-host", "").replace("host: quell", "host: evil.example"),
            "202",
        ),
        case("raw-header-without-colon", whole("raw-header-without-colon", "nonsense\r\n"), "400"),
        case("raw-header-folded", whole("raw-header-folded", "x-a: b\r\n c\r\n"), "400"),
        case("raw-header-with-nul", whole("raw-header-with-nul", "x-a: b\0c\r\n"), "400"),
        case(
            "raw-header-name-with-blank",
            whole("raw-header-name-with-blank", "x-a : b\r\n"),
            "400",
        ),
        case("raw-headers-many", whole("raw-headers-many", &"x-a: b\r\n".repeat(300)), "431"),
        case("raw-only-a-head", "POST /v1/hooks/siem HTTP/1.1\r\nhost: x", "closed").ending(),
    ]
}

fn lengths() -> Vec<RawCase> {
    let with = |name: &str, length: &str| {
        format!("{}{}", head(&format!("content-length: {length}\r\n")), text(name))
    };
    let length = text("raw-length-doubled").len();
    let two = format!("{length}\r\ncontent-length: 5");
    vec![
        case("raw-length-too-small", with("raw-length-too-small", "20"), "400"),
        case("raw-length-too-big", with("raw-length-too-big", "5000"), "400").ending(),
        case("raw-length-huge", head("content-length: 9999999999999\r\n"), "413"),
        case(
            "raw-length-overflows",
            head(&format!("content-length: {}\r\n", "9".repeat(40))),
            "400",
        ),
        case("raw-length-negative", with("raw-length-negative", "-1"), "400"),
        case("raw-length-in-words", with("raw-length-in-words", "all"), "400"),
        case("raw-length-with-plus", with("raw-length-with-plus", "+5"), "400"),
        case("raw-length-doubled", with("raw-length-doubled", &two), "400"),
        case("raw-length-none", format!("{}{}", head(""), text("raw-length-none")), "400"),
        // Its sender never sends the rest; the deadline for a body ends the wait.
        case("raw-slow-body", with("raw-slow-body", "9000"), "408"),
    ]
}

fn chunks() -> Vec<RawCase> {
    let with = |more: &str, body: &str| {
        format!("{}{body}", head(&format!("transfer-encoding: chunked\r\n{more}")))
    };
    let chunked = |name: &str| {
        let body = text(name);
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    let big = format!("{:x}\r\n{}\r\n0\r\n\r\n", 300_000, " ".repeat(300_000));
    let tiny: Vec<String> =
        text("raw-chunks-tiny").chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    let tiny = tiny.concat();
    vec![
        case("raw-chunked", with("", &chunked("raw-chunked")), "202"),
        case("raw-chunks-tiny", with("", &format!("{tiny}0\r\n\r\n")), "202"),
        case("raw-chunks-over-the-cap", with("", &big), "413"),
        case(
            "raw-chunk-size-bad",
            with("", &format!("zz\r\n{}", text("raw-chunk-size-bad"))),
            "400",
        ),
        case(
            "raw-chunk-size-overflows",
            with("", &format!("fffffffffffffffff\r\n{}", text("raw-chunk-size-overflows"))),
            "400",
        ),
        case("raw-chunks-cut", with("", &format!("ff\r\n{}", text("raw-chunks-cut"))), "400")
            .ending(),
        case(
            "raw-coding-unknown",
            head("transfer-encoding: gzip\r\n") + &text("raw-coding-unknown"),
            "400",
        ),
    ]
}

fn several() -> Vec<RawCase> {
    let open = |request: String| request.replace("connection: close\r\n", "");
    let wrong = |name: &str| whole(name, "").replace(SECRET, "not-the-secret-of-this-source");
    // To one reader the second request is in the first one's body; to another it is not.
    let inner = wrong("raw-smuggled-inner");
    let smuggled = format!(
        "{}0\r\n\r\n{inner}",
        open(head(&format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n",
            inner.len() + 5
        )))
    );
    vec![
        case(
            "raw-pipelined",
            open(whole("raw-pipelined-1", "")) + &whole("raw-pipelined-2", ""),
            "202 202",
        ),
        case(
            "raw-pipelined-wrong",
            open(wrong("raw-pipelined-wrong")) + &wrong("raw-pipelined-wrong"),
            "401 401",
        ),
        case(
            "raw-pipelined-mixed",
            open(wrong("raw-mixed-1")) + &whole("raw-mixed-2", ""),
            "401 202",
        ),
        case("raw-smuggled", smuggled, "400"),
    ]
}

impl RawCase {
    fn ending(mut self) -> Self {
        self.ends = true;
        self
    }
}
