//! Makes a value fit for the place where it is written out. JSON is built as values and needs
//! nothing; HTML is the page templates' own business.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::text::tame;

/// RFC 3986's unreserved characters stay; everything else is percent-encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Longest text in a chat message's field.
const CHAT_MAX: usize = 1000;

/// A value that can be no path segment: empty, `.` and `..` change the path in any encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be part of a URL's path")]
pub(crate) struct NoSegment(String);

/// One segment of a URL's path.
pub(crate) fn path_segment(text: &str) -> Result<String, NoSegment> {
    if matches!(text, "" | "." | "..") {
        return Err(NoSegment(text.to_owned()));
    }
    Ok(utf8_percent_encode(text, SEGMENT).to_string())
}

/// Untrusted text inside a chat message: no mention, no link, no markup, no hidden characters.
pub(crate) fn chat(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in tame(text, CHAT_MAX).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Look-alikes: neither Slack nor Teams has an escape character that the other honours.
            '*' => out.push('∗'),
            '`' => out.push('ˋ'),
            '[' => out.push('［'),
            ']' => out.push('］'),
            '|' => out.push('¦'),
            // A zero-width space keeps `@channel` from calling and `https://` from linking.
            '@' => out.push_str("@\u{200B}"),
            ':' => out.push_str(":\u{200B}"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(path_segment("a/../b?c#d").unwrap(), "a%2F..%2Fb%3Fc%23d");
        assert_eq!(path_segment("ana@example.com").unwrap(), "ana%40example.com");
        assert!(path_segment("..").is_err());
        assert!(path_segment("").is_err());
    }

    #[test]
    fn chat_text_calls_nobody_and_links_nowhere() {
        let shown = chat("<!channel> @here *x* [y](https://evil.example) \u{202E}z");

        assert!(!shown.contains("<!") && !shown.contains("@here") && !shown.contains("](http"));
        assert!(!shown.contains("://") && !shown.contains('\u{202E}'));
    }

    proptest! {
        #[test]
        fn a_segment_holds_no_reserved_character(text in "\\PC{1,40}") {
            if let Ok(segment) = path_segment(&text) {
                prop_assert!(segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~%".contains(c)));
            }
        }
    }
}
