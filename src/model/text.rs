//! Text that an attacker may have written. It is cut to a length and its control and
//! direction characters are made visible, once, where it enters.

use std::fmt::Write as _;

/// Longest field that is kept of any record; what is longer is cut and marked.
pub(crate) const FIELD_MAX: usize = 256;

/// Makes untrusted text fit to keep and to show: at most `max` characters, no control
/// characters, no bidirectional overrides (each shown as `␀`-style or `⟪U+202E⟫`).
///
/// Escaping for a context (HTML, chat, CSV …) still happens where the text is written out.
pub(crate) fn tame(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max * 4));
    for (n, c) in text.chars().enumerate() {
        if n == max {
            out.push('…');
            break;
        }
        match c {
            '\t' | '\n' | '\r' => out.push(' '),
            // Writing to a string cannot fail.
            c if is_hidden(c) => _ = write!(out, "⟪U+{:04X}⟫", u32::from(c)),
            c => out.push(c),
        }
    }
    out
}

/// [`tame`] with [`FIELD_MAX`].
pub(crate) fn tame_field(text: &str) -> String {
    tame(text, FIELD_MAX)
}

/// Text of several lines for people elsewhere: each is [`tame`]d and [`inert`], at most `max` characters in all.
pub(crate) fn quiet(text: &str, max: usize) -> String {
    let cut = text.chars().count() > max;
    let short: String = text.chars().take(max).collect();
    let mut lines: Vec<String> =
        short.split('\n').map(|line| inert(&tame(line.trim_end_matches('\r'), max))).collect();
    if cut && let Some(last) = lines.last_mut() {
        last.push('…');
    }
    lines.join("\n")
}

/// Text of which no chat, card, pager or mail program makes a link: a web address keeps its letters and
/// loses its form (`https[:]//evil[.]example/x`). A mail address alone stays as it is: people compare
/// sign-in names by it. What was made inert before is not changed.
pub(crate) fn inert(text: &str) -> String {
    let mut text = text.replace("://", "[:]//");
    for scheme in SCHEMES {
        text = without_scheme(&text, scheme);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_of_a_name) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c| !is_of_a_name(c)).unwrap_or(from.len());
        let (name, after) = from.split_at(end);
        out.push_str(before);
        if is_linked(name, after) {
            name.chars().for_each(|c| if is_dot(c) { out.push_str("[.]") } else { out.push(c) });
        } else {
            out.push_str(name);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// What programs open without `//` behind it.
const SCHEMES: [&str; 9] =
    ["mailto:", "tel:", "sms:", "javascript:", "data:", "file:", "skype:", "msteams:", "slack:"];

fn without_scheme(text: &str, scheme: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // ASCII only, so that positions are the same in both spellings.
    while let Some(at) = rest.to_ascii_lowercase().find(scheme) {
        let end = at + scheme.len();
        out.push_str(&rest[..end - 1]);
        out.push_str("[:]");
        rest = &rest[end..];
    }
    out + rest
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{FF0E}' | '\u{FF61}')
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || is_dot(c) || matches!(c, '-' | '@' | '_')
}

/// Whether a program would take `name` for a host: a label with letters behind a dot. A program may stop before the
/// last label, so that it is not the last alone that counts.
fn is_linked(name: &str, after: &str) -> bool {
    let mail = name.split('@').count() == 2 && !name.starts_with('@') && !name.ends_with('@');
    if mail && !after.starts_with(['/', '?', '#', ':']) {
        return false;
    }
    name.split('@').any(|part| {
        let part = part.trim_matches(|c| is_dot(c) || c == '_' || c == '-');
        let is_domain = |label: &str| {
            label.chars().count() > 1
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                && label.chars().any(char::is_alphabetic)
        };
        part.split(is_dot).skip(1).any(is_domain)
    })
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_shown_not_kept() {
        assert_eq!(tame("a\u{202E}b\u{0}c\nd", 99), "a⟪U+202E⟫b⟪U+0000⟫c d");
    }

    #[test]
    fn nothing_that_looks_like_a_web_address_stays_one() {
        for (text, shown) in [
            ("see https://evil.example/x now", "see https[:]//evil[.]example/x now"),
            ("www.evil.example", "www[.]evil[.]example"),
            ("_evil.com_", "_evil[.]com_"),
            ("evil。com", "evil[.]com"),
            ("www.evil.example.\u{1F48}:", "www[.]evil[.]example[.]\u{1F48}:"),
            ("evil.com._x", "evil[.]com[.]_x"),
            ("JavaScript:alert(1)", "JavaScript[:]alert(1)"),
            ("a@evil.com/path", "a@evil[.]com/path"),
            ("@evil.com", "@evil[.]com"),
        ] {
            assert_eq!(inert(text), shown);
            assert_eq!(inert(shown), shown, "a second time changes nothing");
        }
    }

    #[test]
    fn names_addresses_and_numbers_stay_readable() {
        for text in
            ["dana.reyes@lab.example", "198.51.100.7", "identity.block_sign_in", "3.5 s", "e.g. x"]
        {
            assert_eq!(inert(text), text);
        }
    }

    #[test]
    fn lines_stay_lines_and_the_whole_is_bounded() {
        assert_eq!(quiet("a\u{202E}\nb.com", 99), "a⟪U+202E⟫\nb[.]com");
        assert_eq!(quiet("abcdef", 3), "abc…");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(tame("abcdef", 3), "abc…");
    }
}
