//! Which known word somebody probably meant.

/// The nearest of `known`, if it is near enough to be worth saying.
pub(crate) fn closest<'k>(
    wrong: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let wrong = wrong.to_lowercase();
    let tail = |word: &str| word.rsplit('.').next().unwrap_or("").to_owned();
    known
        .into_iter()
        .filter(|word| *word != wrong)
        .map(|word| {
            let whole = strsim::jaro_winkler(&wrong, &word.to_lowercase());
            // `identity.block` and `block_sign_in` are both near `identity.block_sign_in`.
            let part = strsim::jaro_winkler(&tail(&wrong), &tail(word)) - 0.02;
            (if word.contains('.') { f64::midpoint(whole, whole.max(part)) } else { whole }, word)
        })
        .filter(|(score, _)| *score > 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, word)| word)
}

/// `a`, `b` and `c`, in backticks.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(closest("tirggers", ["triggers", "title", "steps"]), Some("triggers"));
        assert_eq!(
            closest("identity.block_signin", ["identity.block_sign_in", "ticket.open"]),
            Some("identity.block_sign_in")
        );
    }

    #[test]
    fn nothing_is_offered_for_a_word_that_resembles_none() {
        assert_eq!(closest("xyzzy", ["triggers", "title", "steps"]), None);
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(listed(&[]), "nothing");
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
