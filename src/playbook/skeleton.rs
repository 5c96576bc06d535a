//! What `quell playbook new` writes: a playbook that checks clean and shows the main keys, and its first trials.

use super::rules::spelled;

/// A name that no playbook can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name for a playbook: use small letters, digits and `-`, such as `contain-push-bombing`"
)]
pub(crate) struct UnfitName(String);

pub(crate) fn skeleton(name: &str) -> Result<String, UnfitName> {
    if !spelled(name, '-') {
        return Err(UnfitName(name.chars().take(80).collect()));
    }
    Ok(format!(
        r#"playbook: {name}
title: Say in one line what it does
attack: [T1621]
triggers:
  - alert: mfa_fatigue
steps:
  - id: ticket
    use: ticket.open
    with:
      queue: SOC
      title: "Push bombing: {{{{ subject.name }}}}"
      severity: "{{{{ incident.severity }}}}"
  - id: revoke
    use: identity.revoke_sessions
    for_each: subject.accounts
  - id: block
    use: identity.block_sign_in
    for_each: subject.accounts
    when: incident.stage in ["confirmed", "breached"]
    expires: 24h
"#
    ))
}

/// Trials that the new playbook passes.
pub(crate) const TRIALS: &str = "\
# Run by `quell playbook test`, in the lab, in virtual time.
trials:
  - name: a burst ends sessions, and nobody is locked out
    mode: auto
    script:
      - burst: { prompts: 5, outcome: denied }
      - pass: 2m
      - expect:
          run: succeeded
          stage: suspected
          blocked: false
          tickets: 1
          steps: { ticket: succeeded, revoke: succeeded, block: skipped }

  - name: whoever was let in is shut out again
    mode: auto
    script:
      - burst: { prompts: 5, outcome: denied, then_approved: true }
      - pass: 3m
      - expect: { stage: breached, blocked: true, hostile_sessions: 0, tickets: 1 }
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::{check, fixture};

    #[test]
    fn a_new_playbook_checks_clean() {
        let text = skeleton("my-own").unwrap();

        let checked = check("my-own.yaml", &text, &fixture::signatures()).unwrap();

        assert_eq!(checked.plan.name.as_str(), "my-own");
        assert_eq!(checked.plan.steps.len(), 3);
    }

    #[test]
    fn a_name_that_no_playbook_can_have_is_refused() {
        for name in ["", "My", "a b", "../x", "a--b", "a_b"] {
            assert!(skeleton(name).is_err(), "{name}");
        }
    }
}
