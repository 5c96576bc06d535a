//! Playbook trials: a playbook's `NAME.test.yaml`, run in the lab, in virtual time.
//!
//! The real engine and the real connectors run against the simulated tenant; only the
//! store is in memory. Each trial is a list of things that happen and of what must then
//! be so, by the lab's own word where it is about the lab. What no trial reached is listed.

mod script;
mod stage;

use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) use script::{Script, parse};

/// How one trial went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) playbook: String,
    pub(crate) trial: String,
    /// What was not as expected, with the position in the script.
    pub(crate) problems: Vec<String>,
}

/// Which steps and branches the trials of a playbook reached.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Coverage {
    /// Step id → how it ended, and how often.
    pub(crate) steps: BTreeMap<String, BTreeMap<String, usize>>,
    /// Conditions seen true, of all there are; and seen false.
    pub(crate) conditions: usize,
    pub(crate) seen_true: usize,
    pub(crate) seen_false: usize,
}

impl Coverage {
    /// Steps that no trial brought to an effect.
    pub(crate) fn never_ran(&self) -> Vec<&str> {
        self.steps
            .iter()
            .filter(|(_, ends)| !ends.contains_key("succeeded"))
            .map(|(step, _)| step.as_str())
            .collect()
    }
}

/// Runs all trials of one playbook.
pub(crate) fn run(
    plan: &crate::playbook::Checked,
    script: &Script,
) -> std::io::Result<(Vec<Line>, Coverage)> {
    let mut coverage = Coverage::default();
    for step in &plan.plan.steps {
        coverage.steps.insert(step.id.clone(), BTreeMap::new());
    }
    coverage.conditions = plan.plan.steps.iter().filter(|s| s.when.is_some()).count();
    let mut seen = stage::Seen::default();
    let mut lines = Vec::new();
    for trial in &script.trials {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let problems = runtime.block_on(stage::play(plan, trial, &mut seen));
        let playbook = plan.plan.name.to_string();
        lines.push(Line { playbook, trial: trial.name.clone(), problems });
    }
    for (step, conclusion) in seen.ends {
        if let Some(ends) = coverage.steps.get_mut(&step) {
            *ends.entry(conclusion).or_default() += 1;
        }
    }
    coverage.seen_true = seen.held.len();
    coverage.seen_false = seen.not_held.len();
    Ok((lines, coverage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::catalogue::Catalogue;

    /// What an author says with `ratify` and `watch`, as an author would try it.
    #[test]
    fn a_trial_shows_a_block_that_is_ratified_and_a_longer_watch() {
        let text = "playbook: a-b\ntriggers: [{ alert: mfa_fatigue }]\nwatch: 72h\nsteps:\n  \
                    - id: block\n    use: identity.block_sign_in\n    for_each: subject.accounts\n    \
                    ratify: { quorum: 2 }\n";
        let trials = "trials:\n  - name: two noes undo it\n    mode: auto\n    script:\n      \
                      - burst: { prompts: 6, outcome: denied, then_approved: true }\n      \
                      - pass: 1m\n      \
                      - expect: { blocked: true, asked: [block], incident: contained, watched_for: 71h }\n      \
                      - decide: deny\n      \
                      - pass: 2m\n      \
                      - expect: { blocked: false, asked: [] }\n  \
                      - name: silence keeps it\n    mode: auto\n    script:\n      \
                      - burst: { prompts: 6, outcome: denied, then_approved: true }\n      \
                      - pass: 31m\n      \
                      - expect: { blocked: true, asked: [], watched_for: 73h }\n";
        let signatures = Catalogue::builtin().unwrap().signatures();
        let checked = crate::playbook::check("a-b.yaml", text, &signatures).unwrap();

        let (lines, _) = run(&checked, &parse(trials).unwrap()).unwrap();

        assert!(lines[0].problems.is_empty(), "{lines:#?}");
        assert_eq!(lines[1].problems.len(), 1, "only the watch is shorter: {lines:#?}");
        assert!(lines[1].problems[0].contains("not for 73h"), "{lines:#?}");
    }

    #[test]
    fn the_shipped_playbooks_pass_their_trials_and_every_step_has_run() {
        let signatures = Catalogue::builtin().unwrap().signatures();
        for (path, text, trials) in crate::playbook::SHIPPED_TRIALS {
            let checked = crate::playbook::check(path, text, &signatures).unwrap();
            let script = parse(trials).unwrap();
            let (lines, coverage) = run(&checked, &script).unwrap();
            let failed: Vec<&Line> = lines.iter().filter(|l| !l.problems.is_empty()).collect();
            assert!(failed.is_empty(), "{failed:#?}");
            assert!(coverage.never_ran().is_empty(), "{path}: {:?}", coverage.never_ran());
            assert_eq!(
                (coverage.seen_true, coverage.seen_false),
                (coverage.conditions, coverage.conditions)
            );
        }
    }
}
