//! A mapping as a person wrote it → [`Mapping`], or every problem at its place.

use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::path::Path;
use super::{Condition, Field, Fields, Lines, Mapping, Meaning, Rule, Said, Test};
use crate::diagnostic::{Diagnostic, Source, sort};
use crate::model::alert::AlertKind;
use crate::model::event::{ChangedBy, EventKind, EventOutcome, Factor, Origin};
use crate::model::incident::Stage;
use crate::playbook::{Entry, Node, Yaml, parse_yaml};

const TOP: &[&str] =
    &["mapping", "title", "lines", "records", "inside", "each", "let", "fields", "rules"];
const RULE: &[&str] = &[
    "when",
    "irrelevant",
    "event",
    "outcome",
    "factor",
    "origin",
    "changed_by",
    "alert",
    "stage",
    "fields",
];
const TESTS: &[&str] = &["not", "contains", "matches", "exists"];
const SAID: &[&str] = &["from", "join", "take", "value", "format"];
/// What a pattern may grow to: a mapping is trusted, but a slip should not cost the memory.
const PATTERN_BYTES: usize = 1 << 20;

/// Words that a key may have for a value, and what they mean.
type Words<T> = &'static [(&'static str, T)];

const KINDS: Words<EventKind> = &[
    ("prompt", EventKind::Prompt),
    ("sign_in", EventKind::SignIn),
    ("token_refresh", EventKind::TokenRefresh),
    ("factor_change", EventKind::FactorChange),
    ("inbox_rule", EventKind::InboxRule),
    ("grant", EventKind::Grant),
    ("role_change", EventKind::RoleChange),
    ("stolen_session", EventKind::StolenSession),
    ("stolen_password", EventKind::StolenPassword),
    ("odd_sign_in", EventKind::OddSignIn),
    ("recovery_change", EventKind::RecoveryChange),
];
const OUTCOMES: Words<EventOutcome> = &[
    ("prompted", EventOutcome::Prompted),
    ("denied", EventOutcome::Denied),
    ("timed_out", EventOutcome::TimedOut),
    ("wrong_answer", EventOutcome::WrongAnswer),
    ("approved", EventOutcome::Approved),
    ("reported", EventOutcome::Reported),
    ("succeeded", EventOutcome::Succeeded),
    ("failed", EventOutcome::Failed),
];
const FACTORS: Words<Factor> = &[
    ("push", Factor::Push),
    ("otp", Factor::Otp),
    ("sms", Factor::Sms),
    ("call", Factor::Call),
    ("email", Factor::Email),
    ("password", Factor::Password),
    ("fido", Factor::Fido),
    ("other", Factor::Other),
];
const ORIGINS: Words<Origin> = &[
    ("password", Origin::Password),
    ("passwordless", Origin::Passwordless),
    ("sspr", Origin::Sspr),
    ("vpn", Origin::Vpn),
    ("unknown", Origin::Unknown),
];
const CHANGERS: Words<ChangedBy> = &[
    ("own", ChangedBy::Own),
    ("administrator", ChangedBy::Administrator),
    ("unknown", ChangedBy::Unknown),
];
const STAGES: Words<Stage> =
    &[("noted", Stage::Noted), ("suspected", Stage::Suspected), ("confirmed", Stage::Confirmed)];
const ALERTS: Words<AlertKind> =
    &[("mfa_fatigue", AlertKind::MfaFatigue), ("mfa_fraud_reported", AlertKind::MfaFraudReported)];

/// Reads a mapping.
pub(crate) fn read(path: &str, text: &str) -> Result<Mapping, Vec<Diagnostic>> {
    let source = Source::new(path, text);
    let (root, problems) = parse_yaml(&source);
    let mut page = Page { source: &source, problems, names: BTreeMap::new() };
    let mapping = root.and_then(|root| page.mapping(&root));
    match mapping {
        Some(mapping) if page.problems.is_empty() => Ok(mapping),
        _ => {
            sort(&mut page.problems);
            Err(page.problems)
        }
    }
}

struct Page<'s> {
    source: &'s Arc<Source>,
    problems: Vec<Diagnostic>,
    /// What `let` gives names to; `$NAME` stands for them.
    names: BTreeMap<String, Vec<Path>>,
}

impl Page<'_> {
    fn mapping(&mut self, root: &Node) -> Option<Mapping> {
        let entries = self.map(root, "a mapping", TOP)?;
        for key in ["mapping", "rules"] {
            if find(entries, key).is_none() {
                let message = format!("a mapping says its `{key}`");
                self.problem("M001", &root.at, &message, "it is missing here");
            }
        }
        self.learn_names(entries);
        let name = find(entries, "mapping").and_then(|node| self.text(node)).unwrap_or_default();
        if let Some(node) = find(entries, "mapping")
            && !name.is_empty()
            && !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        {
            let message = "a mapping's name is of lower-case letters, digits and `-`";
            self.problem("M002", &node.at, message, "not a name");
        }
        let lines = self.word(entries, "lines", &Lines::ALL.map(|(lines, word)| (word, lines)));
        let title = find(entries, "title").and_then(|node| self.text(node));
        let wrappers = self.listed(entries, "records");
        Some(Mapping {
            title: title.unwrap_or_else(|| name.clone()),
            name,
            lines: lines.unwrap_or_default(),
            wrappers: wrappers
                .iter()
                .map(|(t, _)| t.split('.').map(str::to_owned).collect())
                .collect(),
            inside: self.paths(entries, "inside"),
            each: self.paths(entries, "each"),
            fields: self.fields(entries),
            rules: self.rules(entries),
        })
    }

    fn rules(&mut self, entries: &[Entry]) -> Vec<Rule> {
        let Some(node) = find(entries, "rules") else { return Vec::new() };
        let Yaml::List(nodes) = &node.value else {
            self.shape(node, "a list of rules");
            return Vec::new();
        };
        nodes.iter().filter_map(|node| self.rule(node)).collect()
    }

    fn rule(&mut self, node: &Node) -> Option<Rule> {
        let entries = self.map(node, "a rule", RULE)?;
        let when = self.when(entries);
        let fields = self.fields(entries);
        let means = self.meaning(node, entries)?;
        Some(Rule { when, means, fields })
    }

    fn meaning(&mut self, node: &Node, entries: &[Entry]) -> Option<Meaning> {
        let said = ["irrelevant", "event", "alert"];
        let said: Vec<_> = said.iter().filter(|key| find(entries, key).is_some()).collect();
        let [means] = said[..] else {
            let message = "a rule says one of `event`, `alert` and `irrelevant`";
            let label = if said.is_empty() { "none of them is here" } else { "several are here" };
            self.problem("M001", &node.at, message, label);
            return None;
        };
        match *means {
            "irrelevant" => {
                let why = self.text(find(entries, "irrelevant")?)?;
                Some(Meaning::Irrelevant(why.into()))
            }
            "alert" => {
                let kind = self.word(entries, "alert", ALERTS);
                let stage = self.word(entries, "stage", STAGES).unwrap_or(Stage::Suspected);
                Some(Meaning::Alert { kind: kind?, stage })
            }
            _ => {
                let kind = self.word(entries, "event", KINDS);
                let outcome = self.word(entries, "outcome", OUTCOMES);
                if find(entries, "outcome").is_none() {
                    let label = "`outcome` is missing here";
                    self.problem("M001", &node.at, "an event says its `outcome`", label);
                }
                let factor = self.word(entries, "factor", FACTORS);
                let origin = self.word(entries, "origin", ORIGINS).unwrap_or_default();
                let changed_by = self.word(entries, "changed_by", CHANGERS).unwrap_or_default();
                let (kind, outcome) = (kind?, outcome?);
                Some(Meaning::Event { kind, outcome, factor, origin, changed_by })
            }
        }
    }

    fn when(&mut self, entries: &[Entry]) -> Vec<Condition> {
        let Some(node) = find(entries, "when") else { return Vec::new() };
        let Yaml::Map(conditions) = &node.value else {
            self.shape(node, "a map of paths and what they must say");
            return Vec::new();
        };
        let read = |page: &mut Self, entry: &Entry| {
            let paths = page.path(&entry.key, &entry.key_at);
            let tests = page.tests(&entry.value);
            tests.into_iter().map(move |test| Condition { paths: paths.clone(), test })
        };
        conditions.iter().flat_map(|entry| read(self, entry)).collect()
    }

    fn tests(&mut self, node: &Node) -> Vec<Test> {
        let Yaml::Map(entries) = &node.value else {
            return self.words(node).map(Test::Is).into_iter().collect();
        };
        self.known_keys(entries, TESTS, "a condition");
        let mut tests = Vec::new();
        for entry in entries {
            let value = &entry.value;
            tests.extend(match entry.key.as_str() {
                "not" => self.words(value).map(Test::IsNot),
                "contains" => self.words(value).map(|words| {
                    Test::Contains(words.iter().map(|word| word.to_lowercase()).collect())
                }),
                "matches" => self.pattern(value).map(Test::Matches),
                "exists" => {
                    let wanted = match value.value {
                        Yaml::Bool(wanted) => Some(Test::Exists(wanted)),
                        _ => None,
                    };
                    if wanted.is_none() {
                        self.shape(value, "`true` or `false`");
                    }
                    wanted
                }
                _ => None,
            });
        }
        tests
    }

    fn fields(&mut self, entries: &[Entry]) -> Fields {
        let mut fields = Fields::default();
        let Some(node) = find(entries, "fields") else { return fields };
        let known = Field::ALL.map(|(_, name)| name);
        let Some(entries) = self.map(node, "a map of fields", &known) else { return fields };
        for entry in entries {
            let Some((field, _)) = Field::ALL.iter().find(|(_, name)| *name == entry.key) else {
                continue;
            };
            if *field == Field::Time
                && let Yaml::Map(parts) = &entry.value.value
            {
                fields.formats = self.listed(parts, "format").into_iter().map(|(t, _)| t).collect();
            }
            let said = self.said(&entry.value);
            fields.texts.insert(*field, said);
        }
        fields
    }

    /// `path`, `[path, path]`, or `{ from | join | value, take, format }`.
    fn said(&mut self, node: &Node) -> Said {
        let Yaml::Map(entries) = &node.value else {
            return Said { paths: self.paths_of(node), ..Said::default() };
        };
        self.known_keys(entries, SAID, "a field");
        let joined = find(entries, "join").is_some();
        let fixed = find(entries, "value").and_then(|node| self.text(node));
        let paths = self.paths(entries, if joined { "join" } else { "from" });
        if paths.is_empty() && fixed.is_none() {
            let message = "a field says where it stands: `from`, `join` or `value`";
            self.problem("M001", &node.at, message, "none of them is here");
        }
        let take = find(entries, "take").and_then(|node| self.pattern(node));
        Said { paths, joined, take, fixed }
    }

    fn paths(&mut self, entries: &[Entry], key: &str) -> Vec<Path> {
        find(entries, key).map(|node| self.paths_of(node)).unwrap_or_default()
    }

    fn paths_of(&mut self, node: &Node) -> Vec<Path> {
        let texts = self.one_or_many(node);
        texts.into_iter().flat_map(|(text, at)| self.path(&text, &at)).collect()
    }

    /// One path, or those that a name stands for.
    fn path(&mut self, text: &str, at: &Range<usize>) -> Vec<Path> {
        if let Some(name) = text.strip_prefix('$') {
            if let Some(paths) = self.names.get(name) {
                return paths.clone();
            }
            let message = format!("`let` gives nothing the name `{name}`");
            let problem = Diagnostic::error("M002", self.source, at.clone(), message, "not known");
            self.problems.push(problem.suggest(name, self.names.keys().map(String::as_str)));
            return Vec::new();
        }
        match Path::parse(text) {
            Ok(path) => vec![path],
            Err(why) => {
                self.problem("M002", at, &format!("`{text}` is no path: {why}"), "no path");
                Vec::new()
            }
        }
    }

    fn learn_names(&mut self, entries: &[Entry]) {
        let Some(node) = find(entries, "let") else { return };
        let Yaml::Map(named) = &node.value else {
            self.shape(node, "a map of names and paths");
            return;
        };
        for entry in named {
            let paths = self.paths_of(&entry.value);
            self.names.insert(entry.key.clone(), paths);
        }
    }

    fn pattern(&mut self, node: &Node) -> Option<Regex> {
        let text = self.text(node)?;
        match regex::RegexBuilder::new(&text).size_limit(PATTERN_BYTES).build() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.problem("M002", &node.at, &format!("no regular expression: {why}"), "here");
                None
            }
        }
    }

    fn word<T: Copy>(&mut self, entries: &[Entry], key: &str, known: &[(&str, T)]) -> Option<T> {
        let node = find(entries, key)?;
        let text = self.text(node)?;
        if let Some((_, meant)) = known.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let message = format!("`{key}` cannot be `{text}`");
        let at = node.at.clone();
        let problem = Diagnostic::error("M002", self.source, at, message, "not known");
        self.problems.push(problem.suggest(&text, known.iter().map(|(word, _)| *word)));
        None
    }

    /// What a value must be: texts, numbers and booleans, one or several.
    fn words(&mut self, node: &Node) -> Option<Vec<String>> {
        let nodes = match &node.value {
            Yaml::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let word = |node: &Node| match &node.value {
            Yaml::Text(text) => Some(text.clone()),
            Yaml::Integer(n) => Some(n.to_string()),
            Yaml::Bool(b) => Some(b.to_string()),
            _ => None,
        };
        let words: Option<Vec<_>> = nodes.iter().map(word).collect();
        if words.is_none() {
            self.shape(node, "a text, a number or a boolean, or a list of them");
        }
        words
    }

    fn listed(&mut self, entries: &[Entry], key: &str) -> Vec<(String, Range<usize>)> {
        find(entries, key).map(|node| self.one_or_many(node)).unwrap_or_default()
    }

    fn one_or_many(&mut self, node: &Node) -> Vec<(String, Range<usize>)> {
        let nodes = match &node.value {
            Yaml::List(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(node),
        };
        nodes.iter().filter_map(|node| Some((self.text(node)?, node.at.clone()))).collect()
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        if let Yaml::Text(text) = &node.value {
            return Some(text.clone());
        }
        self.shape(node, "text");
        None
    }

    fn map<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<&'n [Entry]> {
        let Yaml::Map(entries) = &node.value else {
            self.shape(node, what);
            return None;
        };
        self.known_keys(entries, known, what);
        Some(entries)
    }

    fn known_keys(&mut self, entries: &[Entry], known: &[&str], what: &str) {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("`{}` is no key of {what}", entry.key);
            let at = entry.key_at.clone();
            let problem = Diagnostic::error("M001", self.source, at, message, "unknown key");
            self.problems.push(problem.suggest(&entry.key, known.iter().copied()));
        }
    }

    fn shape(&mut self, node: &Node, wanted: &str) {
        if node.value != Yaml::Broken {
            let message = format!("this is {}, and should be {wanted}", node.kind());
            self.problem("M001", &node.at, &message, "here");
        }
    }

    fn problem(&mut self, code: &'static str, at: &Range<usize>, message: &str, label: &str) {
        self.problems.push(Diagnostic::error(code, self.source, at.clone(), message, label));
    }
}

fn find<'e>(entries: &'e [Entry], key: &str) -> Option<&'e Node> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Colour, render};

    #[test]
    fn every_problem_is_told_at_once_with_a_suggestion() {
        let text = "mapping: Acme\nrecord: a\nlet: { action: [a.b] }\nfields: { time: a..b, login: { take: 'x(' } }\nrules:\n\
                    - { when: { $acton: x }, event: promt, outcome: denied }\n- { event: prompt }\n- { alert: mfa_fatigue, irrelevant: x }\n";

        let told = render(&read("x.yaml", text).unwrap_err(), Colour::Plain);

        for part in [
            "a mapping's name is of lower-case letters",
            "did you mean `records`?",
            "`a..b` is no path: a name is missing",
            "a field says where it stands",
            "no regular expression: unclosed group",
            "did you mean `action`?",
            "did you mean `prompt`?",
            "an event says its `outcome`",
            "several are here",
            "x.yaml:6:13",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert_eq!(told.matches("error[M0").count(), 9, "{told}");
    }
}
