//! The playbooks that come with Quell, compiled in.

/// Path and text of each.
pub(crate) const SHIPPED: [(&str, &str); 2] = [
    (
        "playbooks/contain-push-bombing.yaml",
        include_str!("../../playbooks/contain-push-bombing.yaml"),
    ),
    (
        "playbooks/user-reported-prompt.yaml",
        include_str!("../../playbooks/user-reported-prompt.yaml"),
    ),
];

/// The same with the trials that go with it.
pub(crate) const SHIPPED_TRIALS: [(&str, &str, &str); 2] = [
    (SHIPPED[0].0, SHIPPED[0].1, include_str!("../../playbooks/contain-push-bombing.test.yaml")),
    (SHIPPED[1].0, SHIPPED[1].1, include_str!("../../playbooks/user-reported-prompt.test.yaml")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Colour, render};
    use crate::playbook::{check, fixture};

    #[test]
    fn every_shipped_playbook_checks_clean_under_its_own_name() {
        for (path, text) in SHIPPED {
            let checked = check(path, text, &fixture::signatures())
                .unwrap_or_else(|problems| panic!("{}", render(&problems, Colour::Plain)));

            assert_eq!(path, format!("playbooks/{}.yaml", checked.plan.name));
        }
    }

    #[test]
    fn revocation_is_the_last_word_of_every_containment() {
        for (path, text) in SHIPPED {
            let checked = check(path, text, &fixture::signatures()).unwrap();

            let last = checked.plan.steps.last().unwrap();
            assert_eq!(last.id, "revoke_again", "{path}");
            assert_eq!(last.when, None, "{path}");
        }
    }
}
