//! One mail, from what a manifest asks for to the bytes that are sent. Pure but for the date.
//!
//! Every header is made by the mail library from a parsed value; no text from outside is a line of its own.

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

use crate::model::text::tame;

/// Longest subject, in characters.
const SUBJECT: usize = 160;
/// Most people to whom one mail goes.
const RECIPIENTS: usize = 20;

/// What `POST /messages` carries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mail {
    pub(super) from: String,
    /// Addresses, with commas between them.
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
    #[serde(default)]
    pub(super) link: Option<String>,
    /// Stable over repetitions: the Message-ID is made of it.
    pub(super) id: String,
    #[serde(default)]
    pub(super) thread: Option<String>,
    #[serde(default)]
    pub(super) urgent: bool,
}

/// A mail with its Message-ID and the sender's domain.
pub(super) struct Letter {
    pub(super) message: Message,
    pub(super) id: String,
    pub(super) domain: String,
}

/// Puts the mail together, or says why it cannot be.
pub(super) fn write(mail: &Mail) -> Result<Letter, String> {
    let from: Mailbox =
        mail.from.parse().map_err(|e| format!("`settings.from` is no mail address: {e}"))?;
    let to: Mailboxes = mail.to.parse().map_err(|e| format!("`to` is no mail address: {e}"))?;
    let people = to.iter().count();
    if people == 0 || people > RECIPIENTS {
        return Err(format!("a mail goes to 1 to {RECIPIENTS} people, not to {people}"));
    }
    let domain = from.email.domain().to_owned();
    let id = format!("<{}@{domain}>", token(&mail.id));
    let mut builder = Message::builder()
        .from(from)
        .subject(tame(&mail.subject, SUBJECT))
        .message_id(Some(id.clone()))
        // Out-of-office programs do not answer to these (RFC 3834).
        .raw_header(fixed("Auto-Submitted", "auto-generated"));
    for mailbox in to {
        builder = builder.to(mailbox);
    }
    if let Some(thread) = &mail.thread {
        let thread = format!("<{}@{domain}>", token(thread));
        builder = builder.in_reply_to(thread.clone()).references(thread);
    }
    if mail.urgent {
        builder = builder.raw_header(fixed("Importance", "high"));
    }
    let body = MultiPart::alternative_plain_html(plain(mail), html(mail));
    let message = builder.multipart(body).map_err(|e| e.to_string())?;
    Ok(Letter { message, id, domain })
}

/// A header whose name and value are ours.
fn fixed(name: &'static str, value: &'static str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// What may stand before the `@` of a Message-ID, the same for the same text.
fn token(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=64).contains(&text.len()) && text.chars().all(plain) {
        return text.to_owned();
    }
    hex::encode(&Sha256::digest(text)[..16])
}

fn plain(mail: &Mail) -> String {
    let text = lines(&mail.text).collect::<Vec<_>>().join("\n");
    match &mail.link {
        Some(link) => format!("{text}\n\n{}\n", tame(link, 500)),
        None => format!("{text}\n"),
    }
}

fn html(mail: &Mail) -> String {
    let mut out = String::from("<!doctype html><html><body>");
    // Writing to a string cannot fail.
    for line in lines(&mail.text) {
        _ = write!(out, "<p>{}</p>", escaped(&line));
    }
    if let Some(link) = &mail.link {
        let link = escaped(&tame(link, 500));
        _ = write!(out, "<p><a href=\"{link}\">{link}</a></p>");
    }
    out.push_str("</body></html>");
    out
}

fn lines(text: &str) -> impl Iterator<Item = String> {
    text.split('\n').map(|line| tame(line.trim_end_matches('\r'), 1_000))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mail(subject: &str, text: &str) -> Mail {
        Mail {
            from: "Quell <quell@example.com>".into(),
            to: "soc@example.com, Lea Lead <lea@example.com>".into(),
            subject: subject.into(),
            text: text.into(),
            link: Some("https://quell.example.com/approvals/1".into()),
            id: "key-1".into(),
            thread: Some("approval/1".into()),
            urgent: true,
        }
    }

    fn heads(letter: &Letter) -> Vec<String> {
        let bytes = letter.message.formatted();
        let text = String::from_utf8(bytes).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        head.split("\r\n").map(|line| line.split(':').next().unwrap().to_lowercase()).collect()
    }

    #[test]
    fn the_same_key_is_the_same_message_and_a_thread_stands_together() {
        let (first, again) = (write(&mail("a", "b")).unwrap(), write(&mail("c", "d")).unwrap());

        assert_eq!(first.id, "<key-1@example.com>");
        assert_eq!(first.id, again.id);
        let text = String::from_utf8(first.message.formatted()).unwrap();
        assert!(text.contains("Auto-Submitted: auto-generated\r\n"), "{text}");
        assert!(text.contains("Importance: high\r\n"), "{text}");
        assert!(text.contains("References: <"), "{text}");
        assert_eq!(first.message.envelope().to().len(), 2);
    }

    #[test]
    fn addresses_are_parsed_not_pasted() {
        for bad in ["", "nobody", "a@example.com\r\nBcc: evil@example.net", "a@b@c"] {
            let refused = write(&Mail { to: bad.into(), ..mail("s", "t") });
            assert!(refused.is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header_or_markup(
            subject in "[a-z:\\r\\n<>é\u{202E} ]{0,60}", text in "[a-z:\\r\\n<>&\"'é. ]{0,80}", id in ".{0,80}",
        ) {
            let usual = heads(&write(&mail("plain", "plain")).unwrap());
            let letter = write(&Mail { id, ..mail(&subject, &text) }).unwrap();

            prop_assert_eq!(heads(&letter), usual);
            let page = html(&mail(&subject, &text));
            let inner = page.replace("<p>", "").replace("</p>", "");
            prop_assert_eq!(inner.matches('<').count(), 7, "{}", page);
        }
    }
}
