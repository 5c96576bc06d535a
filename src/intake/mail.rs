//! Mail that people write about prompts, posted by a forwarder: a JSON envelope, or the message as it is.
//!
//! Whoever writes a mail chooses all of it. Its author counts as known only where the forwarder, who has
//! received it, says that DMARC passed, or DKIM for the author's own domain; what the message itself claims
//! about that is never read. Attachments and links are not looked at.

use mail_parser::{HeaderName, Message, MessageParser};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body;
use super::json::report_id;
use super::parsed::{Record, Verdict};
use super::problem::Problem;
use crate::model::alert::{Proof, Report};
use crate::model::event::AccountName;
use crate::model::subject::Alias;
use crate::model::text::{tame, tame_field};
use crate::model::time::Time;

/// Longest text that is kept of a mail, its subject included.
const TEXT_MAX: usize = 2_000;

/// What a forwarder posts: `raw`, or `from` with `subject` and `text`; and what it found out itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[serde(default)]
    id: String,
    #[serde(default)]
    raw: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    dmarc: String,
    #[serde(default)]
    dkim: String,
    /// The domain that the passing DKIM signature is of (`d=`).
    #[serde(default)]
    dkim_domain: String,
}

/// A message that stands alone becomes an envelope in which nothing is proved.
pub(super) fn rows(bytes: &[u8], most: usize) -> Result<body::Rows, Problem> {
    let start = bytes.iter().find(|b| !b.is_ascii_whitespace());
    if matches!(start, Some(b'{' | b'[')) {
        return body::rows(bytes, super::Kind::Mail.wrappers(), most);
    }
    Ok(vec![Ok(json!({ "raw": String::from_utf8_lossy(bytes) }))])
}

pub(super) fn report(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let envelope = Envelope::deserialize(row)
        .map_err(|e| Problem::UnknownShape(tame_field(&e.to_string())))?;
    let written = if envelope.raw.is_empty() { envelope.written()? } else { envelope.raw.clone() };
    let unreadable = || Problem::UnknownShape("it is no mail".to_owned());
    let message = MessageParser::default().parse(written.as_bytes()).ok_or_else(unreadable)?;
    if by_machine(&message) {
        // Answered, it would answer again.
        return Ok(Verdict::irrelevant("a mail that a machine sent"));
    }
    let author = author(&message)?;
    let (subject, text) = if envelope.raw.is_empty() {
        (envelope.subject.clone(), envelope.text.clone())
    } else {
        let subject = message.subject().unwrap_or_default().to_owned();
        (subject, message.body_text(0).unwrap_or_default().into_owned())
    };
    let text = [subject.trim(), text.trim()].join(": ");
    Ok(Verdict::Facts(vec![Record::Report(Box::new(Report {
        id: report_id(received_at, &envelope.seed(row)),
        proof: envelope.proof(&author),
        account: AccountName { login: Some(author), provider_id: None },
        // A mail's own date is its author's to choose.
        time: received_at,
        text: tame(text.trim_matches([':', ' ']), TEXT_MAX),
        taken_by: None,
    }))]))
}

impl Envelope {
    /// The author's line as a message, so that it is read as strictly as one.
    fn written(&self) -> Result<String, Problem> {
        if self.from.is_empty() {
            return Err(Problem::MissingField("from"));
        }
        if self.from.chars().any(char::is_control) {
            return Err(bad("from", "it is more than one line"));
        }
        Ok(format!("From: {}\r\n\r\n", self.from))
    }

    /// A forwarder that names its deliveries may post one again in other words.
    fn seed(&self, row: &Value) -> String {
        if self.id.is_empty() { row.to_string() } else { format!("id:{}", self.id) }
    }

    fn proof(&self, author: &str) -> Proof {
        let passed = |verdict: &str| verdict.trim().eq_ignore_ascii_case("pass");
        let domain = author.rsplit('@').next().unwrap_or_default();
        // A signature of some other domain proves that domain's word only.
        let own = passed(&self.dkim) && self.dkim_domain.trim().eq_ignore_ascii_case(domain);
        if passed(&self.dmarc) || own { Proof::AuthenticatedOther } else { Proof::Relayed }
    }
}

fn by_machine(message: &Message<'_>) -> bool {
    let said = |name: HeaderName<'static>| {
        message
            .header(name)
            .and_then(|value| value.as_text())
            .map(|text| text.trim().to_lowercase())
    };
    let automatic = said(HeaderName::AutoSubmitted).is_some_and(|how| how != "no");
    let bulk = said(HeaderName::Other("Precedence".into()))
        .is_some_and(|how| matches!(&*how, "bulk" | "junk" | "list" | "auto_reply"));
    automatic || bulk
}

/// The one author. Two would leave it to each reader whom to believe.
fn author(message: &Message<'_>) -> Result<String, Problem> {
    let lines = message.headers().iter().filter(|header| header.name == HeaderName::From).count();
    let from = message.from().filter(|_| lines == 1).ok_or(Problem::MissingField("From"))?;
    let mut all = from.iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return Err(bad("From", "it names not exactly one author"));
    };
    let address = one.address().unwrap_or_default().trim().to_lowercase();
    if Alias::is_sign_in_name(&address) {
        Ok(address)
    } else {
        Err(bad("From", "it is no mail address that could be a sign-in name"))
    }
}

fn bad(field: &str, why: &str) -> Problem {
    Problem::BadField { field: field.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Parsed, parse};
    use super::*;

    fn now() -> Time {
        "2026-05-05T10:15:30Z".parse().unwrap()
    }

    fn read(body: &[u8]) -> Parsed {
        parse(Kind::Mail, body, now()).unwrap()
    }

    fn one(body: &Value) -> Report {
        let parsed = read(body.to_string().as_bytes());
        let [Record::Report(report)] = &parsed.records[..] else { panic!("{parsed:?}") };
        (**report).clone()
    }

    const RAW: &str = "From: \"it@example.com\" <Ana@Example.com>\r\nSubject: =?utf-8?q?Prompts=21?=\r\n\
        Authentication-Results: mx.example.com; dmarc=pass; dkim=pass\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
        my phone rings\u{202e}\r\n--b\r\nContent-Type: application/x-evil\r\n\
        Content-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n--b--\r\n";

    #[test]
    fn an_author_is_known_only_where_the_forwarder_says_so() {
        let plain = read(RAW.as_bytes());
        let Record::Report(report) = &plain.records[0] else { panic!("no report") };
        assert_eq!(report.account.login.as_deref(), Some("ana@example.com"));
        // What the message itself claims of DMARC is its author's claim.
        assert_eq!(report.proof, Proof::Relayed);
        assert_eq!(report.text, "Prompts!: my phone rings⟪U+202E⟫");

        for (verdicts, proof) in [
            (json!({"dmarc": "pass"}), Proof::AuthenticatedOther),
            (
                json!({"dmarc": "fail", "dkim": "pass", "dkim_domain": "example.com"}),
                Proof::AuthenticatedOther,
            ),
            (json!({"dkim": "pass", "dkim_domain": "evil.example"}), Proof::Relayed),
            (json!({"dkim": "pass"}), Proof::Relayed),
            (json!({"dmarc": "none"}), Proof::Relayed),
        ] {
            let mut envelope = verdicts.clone();
            envelope["raw"] = json!(RAW);
            assert_eq!(one(&envelope).proof, proof, "{verdicts}");
        }
    }

    #[test]
    fn a_forwarder_that_has_read_the_mail_posts_its_parts() {
        let mail = json!({"from": "Ana <ana@example.com>", "subject": "prompts", "text": "ten of them", "dmarc": "PASS"});

        let report = one(&mail);

        assert_eq!(report.account.login.as_deref(), Some("ana@example.com"));
        assert_eq!(
            (report.proof, report.text.as_str()),
            (Proof::AuthenticatedOther, "prompts: ten of them")
        );
    }

    #[test]
    fn a_mail_with_no_one_author_is_refused() {
        for from in [
            "From: a@example.com, b@example.com\r\n",
            "From: a@example.com\r\nFrom: b@example.com\r\n",
            "From: g: a@example.com, b@example.com;\r\n",
            "From: root\r\n",
            "Subject: none\r\n",
        ] {
            let parsed = read(format!("{from}\r\nhello").as_bytes());
            assert!(parsed.records.is_empty() && parsed.problems.len() == 1, "{from}: {parsed:?}");
        }
        let two = json!({"from": "a@example.com\r\nFrom: b@example.com", "dmarc": "pass"});
        assert_eq!(read(two.to_string().as_bytes()).problems.len(), 1);
    }

    /// An answer to an automatic answer never ends.
    #[test]
    fn what_a_machine_sent_is_no_report() {
        for line in ["Auto-Submitted: auto-replied", "Precedence: bulk"] {
            let parsed =
                read(format!("From: a@example.com\r\n{line}\r\n\r\nout of office").as_bytes());
            assert!(
                parsed.records.is_empty() && parsed.irrelevant.len() == 1,
                "{line}: {parsed:?}"
            );
        }
    }
}
