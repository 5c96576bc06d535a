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
    fn long_text_is_cut_and_says_so() {
        assert_eq!(tame("abcdef", 3), "abc…");
    }
}
