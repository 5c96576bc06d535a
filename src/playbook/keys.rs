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
    (
        "watch",
        "How long the person is watched after containment, such as `72h`; never shorter than the policy's.",
    ),
    (
        "inputs",
        "What a playbook that calls this one may give to it; expressions say `inputs.NAME`.",
    ),
    ("steps", "What is done, in written order."),
    ("finally", "Steps that begin once everything else has concluded, whatever the conclusion."),
];

pub(crate) const STEP: &[Key] = &[
    ("id", "The step's name, snake_case; expressions say `steps.ID`."),
    ("use", "The capability or action to call."),
    ("wait", "How long to wait, such as `15m`."),
    ("ask", "A question of the playbook's own to people."),
    ("parallel", "Named branches, each a list of steps; none waits for another."),
    ("switch", "An expression; the steps of the case that it names run."),
    ("cases", "Beside `switch`: a value and its steps."),
    ("default", "Beside `switch`: steps for every other value; `[]` for none."),
    ("call", "Another playbook, whose steps stand here; `with` gives its `inputs`."),
    ("connection", "Which connection, where the item does not say it."),
    ("with", "Values for the action's inputs; texts may hold `{{ expression }}`."),
    ("for_each", "An expression that gives a list; the step runs once per item."),
    ("when", "An expression; the step runs only if it holds."),
    ("after", "Earlier steps that must have concluded, whatever their conclusion."),
    ("on_error", "`continue` (the default) or `stop`."),
    ("expires", "How long a hold lasts, such as `24h`."),
    ("approval", "A stricter approval than the default."),
    ("ratify", "Done first, and people are asked whether it stands; `{}` for the policy's time."),
    ("deadline", "From the first attempt to the last."),
];

pub(crate) const APPROVAL: &[Key] = &[
    ("timeout", "How long the question stands, at most 24h."),
    ("on_timeout", "What silence means: `deny` (the default), `escalate` or `approve`."),
    ("quorum", "How many people must say yes, where that is more than the doctrine asks for."),
];

pub(crate) const RATIFY: &[Key] = &[
    (
        "timeout",
        "How long the question stands, at most 24h; without it the policy's `ratify_timeout`.",
    ),
    (
        "quorum",
        "How many people keep it or undo it, where that is more than the doctrine asks for.",
    ),
];

/// More people than any rota has awake.
pub(crate) const QUORUM_MAX: u32 = 5;

pub(crate) const TRIGGER: &[Key] = &[("alert", "The kind of alert.")];

pub(crate) const INPUT: &[Key] = &[
    ("type", "What it holds, such as `string`."),
    ("required", "Whether a call must give it; so unless there is a `default`."),
    ("default", "Its value where a call does not give it."),
    ("summary", "What it is for, in one line."),
];

/// What keys mean nothing beside each thing that a step does, and where they belong.
pub(crate) const MEANINGLESS: &[(&[&str], &[&str], &str)] = &[
    (
        &["wait", "ask"],
        &["connection", "with", "for_each", "expires", "ratify"],
        "belongs to `use`",
    ),
    (&["call"], &["connection", "for_each", "expires", "ratify"], "belongs to `use`"),
    (
        &["parallel", "switch"],
        &["connection", "with", "for_each", "expires", "ratify"],
        "belongs to `use`",
    ),
    (&["call", "parallel", "switch"], &["on_error", "approval", "deadline"], "belongs to a step"),
    (&["use", "wait", "ask", "call", "parallel"], &["cases", "default"], "belongs to `switch`"),
];

pub(crate) fn names(keys: &'static [Key]) -> impl Iterator<Item = &'static str> + Clone {
    keys.iter().map(|(name, _)| *name)
}
