//! The keys of the language: one table for the checker, the schema and the error pages.

/// A key that may stand somewhere, with what it is for.
pub(crate) type Key = (&'static str, &'static str);

pub(crate) const TOP: &[Key] = &[
    ("playbook", "The playbook's name, kebab-case, the same as its file's."),
    ("title", "What it does, in one line."),
    ("attack", "MITRE ATT&CK techniques it answers, such as T1621."),
    ("triggers", "What starts it: `alert: KIND`, `report` or `manual`."),
    ("also", "Runs beside the first matching playbook instead of only when no other matched."),
    ("mode", "`observe`, `approve` or `auto`: stricter than the deployment's mode, never looser."),
    ("steps", "What is done, in written order."),
];

pub(crate) const STEP: &[Key] = &[
    ("id", "The step's name, snake_case; expressions say `steps.ID`."),
    ("use", "The capability or action to call."),
    ("wait", "How long to wait, such as `15m`."),
    ("ask", "A question of the playbook's own to people."),
    ("connection", "Which connection, where the item does not say it."),
    ("with", "Values for the action's inputs; texts may hold `{{ expression }}`."),
    ("for_each", "An expression that gives a list; the step runs once per item."),
    ("when", "An expression; the step runs only if it holds."),
    ("after", "Earlier steps that must have concluded, whatever their conclusion."),
    ("on_error", "`continue` (the default) or `stop`."),
    ("expires", "How long a hold lasts, such as `24h`."),
    ("approval", "A stricter approval than the default."),
    ("deadline", "From the first attempt to the last."),
];

pub(crate) const APPROVAL: &[Key] = &[
    ("timeout", "How long the question stands, at most 24h."),
    ("on_timeout", "What silence means: `deny` (the default), `escalate` or `approve`."),
];

pub(crate) const TRIGGER: &[Key] = &[("alert", "The kind of alert.")];

/// Keys that the language will have. They get a better answer than "unknown".
pub(crate) const LATER: &[&str] = &["parallel", "switch", "call", "finally", "watch", "ratify"];

/// Keys that mean something only beside `use`.
pub(crate) const ONLY_WITH_USE: &[&str] = &["connection", "with", "for_each", "expires"];

pub(crate) fn names(keys: &'static [Key]) -> impl Iterator<Item = &'static str> + Clone {
    keys.iter().map(|(name, _)| *name)
}
