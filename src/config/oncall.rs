//! What is wrong with `[oncall]`: what cannot be read, whom nobody knows, and times that nobody covers.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Found;
use super::sections::Person;
use super::{Config, Loaded};
use crate::approval::roles::{Act, may};
use crate::approval::rota::{Rota, Stretch};
use crate::connector::catalogue::Catalogue;
use crate::diagnostic::Diagnostic;
use crate::model::oncall::Level;
use crate::model::time::{Time, rfc3339};

/// The capability of a pager.
const LIST: &str = "oncall.list";

/// So many gaps are told before the rest is only counted.
const TOLD: usize = 5;

/// What keeps Quell from starting, and people who are told but could not decide.
pub(super) fn rota(found: &mut Found<'_>) {
    let config = &found.loaded.config;
    let (_, problems) = config.oncall.read();
    for problem in problems {
        say(found, &problem.path, &problem.message, &problem.help, true);
    }
    let mut said = BTreeSet::new();
    for (path, name) in config.oncall.named() {
        if !said.insert(name.to_lowercase()) {
            continue;
        }
        match person(config, name) {
            None => {
                let help = unknown(config, name);
                let message = format!("nobody under `[people]` is called `{name}`");
                say(found, &path, &message, &help, true);
            }
            Some(person) if !may(&person.roles, Act::Decide) => {
                let message = format!("`{name}` is on call, but may not decide");
                let help = "give them the role `approver`, or take them out of the rota";
                say(found, &path, &message, help, false);
            }
            Some(_) => {}
        }
    }
    pager(found);
}

fn pager(found: &mut Found<'_>) {
    let config = &found.loaded.config;
    let Some(pager) = &config.oncall.pager else { return };
    let at = ["oncall", "pager"];
    if !config.connections.contains_key(pager) {
        let message =
            format!("`oncall.pager` names the connection `{pager}`, which is not configured");
        return found.error(&at, &message, &format!("add `[connections.{pager}]`"));
    }
    if config.people.values().all(|p| p.pager.is_none() && p.mail.is_none()) {
        let help = "give people under `[people]` a `pager` (their id there) or a `mail`";
        found.warn(&at, "the pager can name nobody who is known here", help);
    }
    if config.oncall.shifts.is_empty() {
        let help = "add `[[oncall.shifts]]`: they count while the pager cannot be believed";
        found.warn(&at, "there are no shifts of our own to fall back to", help);
    }
}

/// A connection that says nothing of who is on call would be noticed in the night.
pub(super) fn pager_can(found: &mut Found<'_>, catalogue: &Catalogue) {
    let config = &found.loaded.config;
    let Some(pager) = &config.oncall.pager else { return };
    let Some(connection) = config.connections.get(pager) else { return };
    if catalogue.implementing(&connection.connector, LIST).is_empty() {
        let message = format!("the connection `{pager}` does not say who is on call");
        let help =
            "name one of the connector `pagerduty-api`, or another that implements `oncall.list`";
        found.error(&["oncall", "pager"], &message, help);
    }
}

fn person<'c>(config: &'c Config, name: &str) -> Option<&'c Person> {
    let same = |known: &&String| known.to_lowercase() == name.to_lowercase();
    config.people.keys().find(same).and_then(|known| config.people.get(known))
}

fn unknown(config: &Config, name: &str) -> String {
    let alike = |known: &String| strsim::jaro_winkler(known, name);
    let best = config.people.keys().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match best.filter(|best| alike(best) > 0.8) {
        Some(best) => format!("did you mean `{best}`?"),
        None => format!("add `[people.{name}]` with `roles = [\"approver\"]`"),
    }
}

fn say(found: &mut Found<'_>, path: &[String], message: &str, help: &str, is_error: bool) {
    let path: Vec<&str> =
        std::iter::once("oncall").chain(path.iter().map(String::as_str)).collect();
    if is_error { found.error(&path, message, help) } else { found.warn(&path, message, help) }
}

/// Times within the horizon in which nobody is on call, or in which those on call could not decide about
/// privileged people.
pub(crate) fn coverage(loaded: &Loaded, now: Time) -> Vec<Diagnostic> {
    let config = &loaded.config;
    let (rota, _) = config.oncall.read();
    let until = now + config.oncall.horizon.delta();
    let stretches = rota.stretches(now, until);
    let mut found = Found { loaded, problems: Vec::new() };
    for level in rota.levels() {
        let gap = |s: &&Stretch| s.level == level && s.people.is_empty();
        let gaps: Vec<&Stretch> = stretches.iter().filter(gap).collect();
        for gap in gaps.iter().take(TOLD) {
            let message = format!(
                "nobody is on call at the level `{}` {}",
                level.name(),
                span(gap.from, gap.until)
            );
            let help = "add a shift or an override; meanwhile the next level is asked";
            found.warn(&["oncall", "shifts"], &message, help);
        }
        if gaps.len() > TOLD {
            let message =
                format!("and {} more gaps at the level `{}`", gaps.len() - TOLD, level.name());
            found.warn(&["oncall", "shifts"], &message, "`quell oncall` lists them all");
        }
    }
    if let Some((from, until)) = few(config, &rota, &stretches) {
        let message = format!(
            "those who are on call {} could not decide about a privileged person: it takes two approvers, of different groups where there are groups",
            span(from, until)
        );
        let help =
            "put more people on the rota; at the last level everybody who may decide is asked";
        found.warn(&["oncall", "shifts"], &message, help);
    }
    found.problems
}

fn span(from: Time, until: Time) -> String {
    format!("from {} to {}", rfc3339(from), rfc3339(until))
}

/// The first time in which all levels together are too few.
fn few(config: &Config, rota: &Rota, stretches: &[Stretch]) -> Option<(Time, Time)> {
    let edges: BTreeSet<Time> = stretches.iter().flat_map(|s| [s.from, s.until]).collect();
    let edges: Vec<Time> = edges.into_iter().collect();
    let grouped =
        config.people.values().any(|p| may(&p.roles, Act::Decide) && !p.groups.is_empty());
    let pair = edges.windows(2).find(|pair| {
        let on: BTreeMap<String, &Person> = Level::ALL
            .into_iter()
            .flat_map(|level| rota.on(level, pair[0]))
            .filter_map(|name| Some((name.to_lowercase(), person(config, name)?)))
            .filter(|(_, person)| may(&person.roles, Act::Decide))
            .collect();
        let groups: BTreeSet<&String> = on.values().flat_map(|person| &person.groups).collect();
        on.len() < 2 || (grouped && groups.len() < 2)
    })?;
    Some((pair[0], pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, check, load};
    use crate::secret::Sources;

    const WRONG: &str = "
[server]
lab = true
[people.jane]
roles = ['approver']
[people.vera]
roles = ['viewer']
[oncall]
pager = 'nowhere'
[oncall.calendars.x]
zone = 'Europe/Berlim'
[oncall.calendars.y]
zone = 'UTC'
[[oncall.shifts]]
level = 'first'
calendar = 'y'
people = ['jame', 'vera']
since = '2026-11-02'
[[oncall.shifts]]
level = 'lead'
calendar = 'x'
people = ['jane']
";

    const MUTE: &str = "
[server]
lab = true
[people.jane]
roles = ['approver']
[oncall]
pager = 'okta'
[connections.okta]
connector = 'okta'
base_url = 'https://example.okta.com'
auth = { ssws = { token = 'text:x' } }
";

    const GAPS: &str = "
[server]
lab = true
[people.jane]
roles = ['approver']
[oncall]
horizon = '3d'
[oncall.calendars.y]
zone = 'UTC'
[[oncall.shifts]]
level = 'first'
calendar = 'y'
people = ['jane']
hours = ['mon-fri 08:00-24:00']
";

    fn loaded(text: &str) -> Loaded {
        let file = Some(("quell.toml".into(), text.to_owned()));
        load(&Layers { file, ..Layers::default() }).unwrap()
    }

    fn told(text: &str, problems: &[Diagnostic]) -> Vec<String> {
        let line = |p: &Diagnostic| text[..p.primary.at.start].matches('\n').count() + 1;
        problems.iter().map(|p| format!("{}: {}", line(p), p.message)).collect()
    }

    #[test]
    fn everything_that_is_wrong_with_a_rota_is_told_at_its_line() {
        let problems = check(&loaded(WRONG), &Sources::lab());

        assert_eq!(
            told(WRONG, &problems),
            [
                "9: `oncall.pager` names the connection `nowhere`, which is not configured",
                "11: there is no time zone `Europe/Berlim`",
                "17: nobody under `[people]` is called `jame`",
                "17: `vera` is on call, but may not decide",
            ]
        );
    }

    #[test]
    fn a_pager_that_says_nothing_of_it_is_told_and_what_it_leaves_open() {
        let problems = check(&loaded(MUTE), &Sources::lab());

        assert_eq!(
            told(MUTE, &problems),
            [
                "7: the connection `okta` does not say who is on call",
                "7: the pager can name nobody who is known here",
                "7: there are no shifts of our own to fall back to",
            ]
        );
    }

    #[test]
    fn an_address_at_which_nobody_can_be_told_is_told_at_its_line() {
        let text = MUTE
            .replace("pager = 'okta'", "stale = '15m'")
            .replace("[oncall]", "tell = [{ connection = 'okta' }, { connection = 'none' }, { connection = 'mail' }]\n[oncall]")
            + "[connections.mail]\nconnector = 'smtp'\nbase_url = 'smtps://mail.example:465'\nauth = { basic = { user = 'q', password = 'text:x' } }\n[connections.mail.settings]\nfrom = 'q@example.com'\n";

        let problems = check(&loaded(&text), &Sources::lab());

        assert_eq!(
            told(&text, &problems)[1..5],
            [
                "6: `jane`: the connection `okta` cannot tell a person anything",
                "6: `jane`: the connection `none` is not configured",
                "6: `jane`: the address at `mail` needs `to`, the person's own",
                "6: people have addresses, and there is no rota that puts a question to anybody",
            ]
        );
    }

    #[test]
    fn gaps_to_come_and_too_few_people_are_told() {
        // A Friday evening.
        let now = "2026-11-27T20:00:00Z".parse().unwrap();

        let told = told(GAPS, &coverage(&loaded(GAPS), now));

        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("`first` from 2026-11-28T00:00:00.000Z to 2026-11-30T08:00:00.000Z"),
            "{told:?}"
        );
        assert!(told[1].contains("could not decide about a privileged person"), "{told:?}");
    }
}
