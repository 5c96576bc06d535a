//! Detections as a person wrote them → [`Rules`], or every problem at its place.

use std::ops::Range;
use std::sync::Arc;

use super::campaign::{CampaignRule, Part, Tries};
use super::episode::GAP;
use super::rules::{AccountIs, Class, Rule, Rules};
use super::traits::Trait;
use crate::diagnostic::{Diagnostic, Source, sort};
use crate::model::event::EventKind;
use crate::model::incident::Stage;
use crate::model::time::Span;
use crate::playbook::{Entry, Node, Yaml, parse_yaml};

const DETECTION: &[&str] = &[
    "detection",
    "title",
    "attack",
    "stage",
    "uses",
    "failed",
    "within",
    "sources",
    "pause",
    "of",
    "any",
    "all",
    "none",
    "weights",
    "score",
    "for",
    "except",
];
const CAMPAIGN: &[&str] =
    &["campaign", "title", "attack", "by", "tries", "people", "within", "after"];
const CLASS: &[&str] = &["class", "title", "people", "accounts"];
const USES: &[(EventKind, &str)] = &[
    (EventKind::Prompt, "prompt"),
    (EventKind::SignIn, "sign_in"),
    (EventKind::TokenRefresh, "token_refresh"),
];
const STAGES: [Stage; 3] = [Stage::Noted, Stage::Suspected, Stage::Confirmed];
/// A window's events are kept no longer.
const LONGEST: Span = Span::hours(48);

/// Reads them all. What several files say of the same name is a problem of the later one.
pub(crate) fn read(files: &[(String, String)]) -> Result<Rules, Vec<Diagnostic>> {
    let mut reader = Reader { problems: Vec::new(), uses: Vec::new() };
    let mut rules = Rules { rules: Vec::new(), classes: Vec::new(), campaigns: Vec::new() };
    for (path, text) in files {
        let source = Source::new(path.as_str(), text.as_str());
        let (root, problems) = parse_yaml(&source);
        reader.problems.extend(problems);
        let Some(root) = root else { continue };
        let mut page = Page { reader: &mut reader, source: &source };
        page.read(&root, &mut rules);
    }
    for (name, source, at) in reader.uses {
        if !rules.classes.iter().any(|class| class.name == name) {
            let known: Vec<&str> = rules.classes.iter().map(|c| c.name.as_str()).collect();
            let problem = Diagnostic::error(
                "D002",
                &source,
                at,
                format!("there is no class `{name}`"),
                "no such class",
            );
            reader.problems.push(problem.suggest(&name, known));
        }
    }
    if reader.problems.is_empty() {
        return Ok(rules);
    }
    sort(&mut reader.problems);
    Err(reader.problems)
}

/// Whether a file speaks of detection, and not of a playbook.
pub(crate) fn is_detection(text: &str) -> bool {
    let begins =
        |line: &str| ["detection:", "class:", "campaign:"].iter().any(|key| line.starts_with(key));
    text.lines().any(begins)
}

struct Reader {
    problems: Vec<Diagnostic>,
    /// Classes that rules name, and where.
    uses: Vec<(String, Arc<Source>, Range<usize>)>,
}

/// One file.
struct Page<'r> {
    reader: &'r mut Reader,
    source: &'r Arc<Source>,
}

impl Page<'_> {
    fn read(&mut self, root: &Node, rules: &mut Rules) {
        let Yaml::Map(entries) = &root.value else {
            self.problem("D001", &root.at, "a detection is a map of keys", "this");
            return;
        };
        if entries.iter().any(|entry| entry.key == "class") {
            self.known_keys(entries, CLASS);
            let class = self.class(entries);
            if rules.classes.iter().any(|known| known.name == class.name) {
                self.twice(entries, "class");
            }
            rules.classes.push(class);
            return;
        }
        if entries.iter().any(|entry| entry.key == "campaign") {
            self.known_keys(entries, CAMPAIGN);
            let campaign = self.campaign(root, entries);
            if rules.campaigns.iter().any(|known| known.name == campaign.name) {
                self.twice(entries, "campaign");
            }
            rules.campaigns.push(campaign);
            return;
        }
        self.known_keys(entries, DETECTION);
        let rule = self.rule(root, entries);
        if rules.rules.iter().any(|known| known.name == rule.name) {
            self.twice(entries, "detection");
        }
        rules.rules.push(rule);
    }

    fn class(&mut self, entries: &[Entry]) -> Class {
        let people = self.texts(entries, "people").into_iter().map(|(text, _)| text).collect();
        let accounts = self.texts(entries, "accounts");
        let what = "kind of account";
        Class {
            name: self.text(entries, "class").map(|(text, _)| text).unwrap_or_default(),
            people,
            accounts: accounts
                .iter()
                .filter_map(|said| self.one_of(said, what, AccountIs::ALL))
                .collect(),
        }
    }

    fn campaign(&mut self, root: &Node, entries: &[Entry]) -> CampaignRule {
        self.says(root, entries, &["campaign", "by", "tries", "people"], "a campaign");
        let within = self.span(entries, "within", Span::hours(1));
        let by = self.texts(entries, "by");
        let tries = self.text(entries, "tries");
        CampaignRule {
            name: self.text(entries, "campaign").map(|(text, _)| text).unwrap_or_default(),
            by: by.iter().filter_map(|said| self.one_of(said, "part", Part::ALL)).collect(),
            tries: tries
                .and_then(|said| self.one_of(&said, "kind of try", Tries::ALL))
                .unwrap_or(Tries::Prompts),
            people: self.count(entries, "people", 500).max(2),
            within,
            after: self.span(entries, "after", within),
        }
    }

    /// A word that is one of some.
    fn one_of<T: Copy>(
        &mut self,
        (word, at): &(String, Range<usize>),
        what: &str,
        known: &[(T, &'static str)],
    ) -> Option<T> {
        let found = known.iter().find(|(_, name)| name == word).map(|(one, _)| *one);
        if found.is_none() {
            let message = format!("there is no {what} `{word}`");
            let problem = Diagnostic::error("D002", self.source, at.clone(), message, "not known");
            self.reader.problems.push(problem.suggest(word, known.iter().map(|(_, name)| *name)));
        }
        found
    }

    fn says(&mut self, root: &Node, entries: &[Entry], keys: &[&str], what: &str) {
        for key in keys.iter().filter(|key| !entries.iter().any(|entry| entry.key == **key)) {
            let message = format!("{what} says its `{key}`");
            self.problem("D001", &root.at, &message, "it is missing here");
        }
    }

    fn rule(&mut self, root: &Node, entries: &[Entry]) -> Rule {
        self.says(root, entries, &["detection", "stage"], "a detection");
        let weights = self.weights(entries);
        let of = self.traits(entries, "of");
        for (found, at) in &of {
            if !found.is_of_a_prompt() {
                let message = format!("`{}` is no trait of a single prompt", found.name());
                self.problem("D002", at, &message, "it belongs under `all`");
            }
        }
        let score = self.count(entries, "score", 0);
        let most: usize = weights.iter().map(|(_, points)| *points as usize).sum();
        if let Some(entry) = find(entries, "score").filter(|_| most < score) {
            self.problem(
                "D002",
                &entry.value.at,
                &format!("the weights add up to {most}: this can never fire"),
                "too high",
            );
        }
        let uses = self.texts(entries, "uses");
        if let Some(entry) = find(entries, "uses").filter(|_| find(entries, "for").is_none()) {
            let message = "everybody uses that: a detection by `uses` is `for` some class";
            self.problem("D002", &entry.value.at, message, "of whom");
        }
        let plain = |list: Vec<(Trait, Range<usize>)>| list.into_iter().map(|(t, _)| t).collect();
        Rule {
            name: self.text(entries, "detection").map(|(text, _)| text).unwrap_or_default(),
            stage: self.stage(entries),
            uses: uses.iter().filter_map(|said| self.one_of(said, "use", USES)).collect(),
            failed: self.count(entries, "failed", 1).max(1),
            within: self.span(entries, "within", GAP),
            sources: self.count(entries, "sources", 1),
            pause: self.span(entries, "pause", GAP),
            of: plain(of),
            any: plain(self.traits(entries, "any")),
            all: plain(self.traits(entries, "all")),
            none: plain(self.traits(entries, "none")),
            weights,
            score: u32::try_from(score).unwrap_or(u32::MAX),
            classes: self.classes(entries, "for"),
            except: self.classes(entries, "except"),
        }
    }

    fn stage(&mut self, entries: &[Entry]) -> Stage {
        let Some((text, at)) = self.text(entries, "stage") else { return Stage::Noted };
        if let Some(stage) = STAGES.iter().find(|stage| stage.name() == text) {
            return *stage;
        }
        let message = if text == Stage::Breached.name() {
            "a breach is only ever seen within an open incident".to_owned()
        } else {
            format!("there is no stage `{text}`")
        };
        let problem = Diagnostic::error("D002", self.source, at, message, "not for a detection");
        self.reader.problems.push(problem.suggest(&text, STAGES.iter().map(|s| s.name())));
        Stage::Noted
    }

    fn classes(&mut self, entries: &[Entry], key: &str) -> Vec<String> {
        let found = self.texts(entries, key);
        for (name, at) in &found {
            self.reader.uses.push((name.clone(), Arc::clone(self.source), at.clone()));
        }
        found.into_iter().map(|(name, _)| name).collect()
    }

    fn traits(&mut self, entries: &[Entry], key: &str) -> Vec<(Trait, Range<usize>)> {
        let words = self.texts(entries, key);
        words
            .into_iter()
            .filter_map(|(word, at)| Some((self.known_trait(&word, &at)?, at)))
            .collect()
    }

    fn known_trait(&mut self, word: &str, at: &Range<usize>) -> Option<Trait> {
        self.one_of(&(word.to_owned(), at.clone()), "trait", Trait::ALL)
    }

    fn weights(&mut self, entries: &[Entry]) -> Vec<(Trait, u32)> {
        let Some(entry) = find(entries, "weights") else { return Vec::new() };
        let Yaml::Map(weights) = &entry.value.value else {
            self.shape(&entry.value, "a map of traits to points");
            return Vec::new();
        };
        let mut found = Vec::new();
        for weight in weights {
            let known = self.known_trait(&weight.key, &weight.key_at);
            match (&weight.value.value, known) {
                (Yaml::Integer(points @ 0..=100), Some(known)) => {
                    found.push((known, u32::try_from(*points).unwrap_or_default()));
                }
                (Yaml::Integer(0..=100) | Yaml::Broken, None) => {}
                _ => self.shape(&weight.value, "points, from 0 to 100"),
            }
        }
        found
    }

    fn count(&mut self, entries: &[Entry], key: &str, without: usize) -> usize {
        match find(entries, key).map(|entry| &entry.value) {
            None => without,
            Some(Node { value: Yaml::Integer(n @ 1..=500), .. }) => {
                usize::try_from(*n).unwrap_or(without)
            }
            Some(other) => {
                self.shape(other, "a whole number from 1 to 500");
                without
            }
        }
    }

    fn span(&mut self, entries: &[Entry], key: &str, without: Span) -> Span {
        let Some((text, at)) = self.text(entries, key) else { return without };
        match text.parse::<Span>() {
            Ok(span) if span <= LONGEST => span,
            Ok(_) => {
                self.problem(
                    "D002",
                    &at,
                    &format!("events are kept for {LONGEST}: `{text}` is longer"),
                    "too long",
                );
                without
            }
            Err(error) => {
                self.problem("D001", &at, &error.to_string(), "no length of time");
                without
            }
        }
    }

    fn text(&mut self, entries: &[Entry], key: &str) -> Option<(String, Range<usize>)> {
        let node = &find(entries, key)?.value;
        if let Yaml::Text(text) = &node.value {
            return Some((text.clone(), node.at.clone()));
        }
        self.shape(node, "text");
        None
    }

    fn texts(&mut self, entries: &[Entry], key: &str) -> Vec<(String, Range<usize>)> {
        let Some(entry) = find(entries, key) else { return Vec::new() };
        let Yaml::List(nodes) = &entry.value.value else {
            self.shape(&entry.value, "a list");
            return Vec::new();
        };
        let mut found = Vec::new();
        for node in nodes {
            match &node.value {
                Yaml::Text(text) => found.push((text.clone(), node.at.clone())),
                _ => self.shape(node, "text"),
            }
        }
        found
    }

    fn known_keys(&mut self, entries: &[Entry], known: &[&str]) {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("a detection has no key `{}`", entry.key);
            let problem = Diagnostic::error(
                "D001",
                self.source,
                entry.key_at.clone(),
                message,
                "unknown key",
            );
            self.reader.problems.push(problem.suggest(&entry.key, known.iter().copied()));
        }
    }

    fn twice(&mut self, entries: &[Entry], key: &str) {
        if let Some(entry) = find(entries, key) {
            self.problem(
                "D002",
                &entry.value.at,
                &format!("another file has this `{key}` already"),
                "the second of its name",
            );
        }
    }

    fn shape(&mut self, node: &Node, wanted: &str) {
        if node.value != Yaml::Broken {
            self.problem(
                "D001",
                &node.at,
                &format!("this is {}, and should be {wanted}", node.kind()),
                "here",
            );
        }
    }

    fn problem(&mut self, code: &'static str, at: &Range<usize>, message: &str, label: &str) {
        self.reader.problems.push(Diagnostic::error(code, self.source, at.clone(), message, label));
    }
}

fn find<'e>(entries: &'e [Entry], key: &str) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Colour, render};

    fn problems(text: &str) -> String {
        let found = read(&[("x.yaml".to_owned(), text.to_owned())]).unwrap_err();
        render(&found, Colour::Plain)
    }

    #[test]
    fn every_shipped_detection_checks_clean_under_its_own_name() {
        let files = super::super::shipped();

        let rules = read(&files).unwrap_or_else(|p| panic!("{}", render(&p, Colour::Plain)));

        let (all, campaigns) = (&rules.rules, &rules.campaigns);
        assert_eq!(all.len() + rules.classes.len() + campaigns.len(), files.len());
        let names = all.iter().map(|r| &r.name).chain(campaigns.iter().map(|c| &c.name));
        for name in names {
            let own = format!("playbooks/detections/{name}.yaml");
            assert!(files.iter().any(|(path, _)| *path == own), "{own}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once_with_a_suggestion() {
        let told = problems(
            "detection: mine\nstage: breached\nfaild: 3\nwithin: 10\nall: [privilegd]\nfor: [nurses]\n",
        );

        for part in [
            "a breach is only ever seen within an open incident",
            "did you mean `failed`?",
            "did you mean `privileged`?",
            "there is no class `nurses`",
            "x.yaml:2:8",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert_eq!(told.matches("error[D0").count(), 5, "{told}");
    }

    #[test]
    fn a_score_that_cannot_be_reached_is_a_problem() {
        let told = problems("detection: mine\nstage: noted\nweights: { denied: 1 }\nscore: 2\n");

        assert!(told.contains("the weights add up to 1: this can never fire"), "{told}");
    }
}
