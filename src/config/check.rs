//! What is wrong with settings that can be read: errors that keep Quell from starting, and warnings.

use crate::approval::roles::ROLES;
use crate::connector::catalogue::Catalogue;
use crate::connector::connections::settings_problems;
use crate::diagnostic::{self, Diagnostic, Severity};
use crate::intake::Auth;
use crate::jwks;
use crate::model::id::ConnectionId;
use crate::model::incident::MayCause;
use crate::model::plan::Mode;
use crate::model::time::Span;
use crate::secret::{Reference, Sources};

use super::{Loaded, Source, place};
use crate::model::id::SourceId;

/// Deliveries and ceilings are remembered for a day, and an incident is watched for as long.
const JOURNAL_LEAST: Span = Span::hours(7 * 24);

/// Everything that is wrong, in file order. Warnings do not keep Quell from starting.
pub(crate) fn check(loaded: &Loaded, secrets: &Sources) -> Vec<Diagnostic> {
    let mut found = Found { loaded, problems: Vec::new() };
    server(&mut found);
    store(&mut found);
    sources(&mut found, secrets);
    connections(&mut found, secrets);
    people(&mut found);
    policy(&mut found);
    super::oncall::rota(&mut found);
    let mut problems = found.problems;
    diagnostic::sort(&mut problems);
    problems
}

pub(super) struct Found<'l> {
    pub(super) loaded: &'l Loaded,
    pub(super) problems: Vec<Diagnostic>,
}

impl Found<'_> {
    pub(super) fn error(&mut self, path: &[&str], message: &str, help: &str) {
        let at = place(&self.loaded.text.text, path);
        let found = Diagnostic::error("C002", &self.loaded.text, at, message, "");
        self.problems.push(found.help(help));
    }

    pub(super) fn warn(&mut self, path: &[&str], message: &str, help: &str) {
        let at = place(&self.loaded.text.text, path);
        let mut found = Diagnostic::error("C003", &self.loaded.text, at, message, "").help(help);
        found.severity = Severity::Warning;
        self.problems.push(found);
    }
}

fn server(found: &mut Found<'_>) {
    let server = &found.loaded.config.server;
    let url = &server.public_url;
    let local = url.host_str().is_some_and(|h| h == "localhost" || h.ends_with(".localhost"));
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        let message = format!("`server.public_url` is no web address: `{url}`");
        found.error(
            &["server", "public_url"],
            &message,
            "write it like `https://quell.example.com`",
        );
    } else if url.scheme() != "https" && !local {
        let message = format!(
            "`server.public_url` is `{url}`: browsers keep passkeys to https and localhost"
        );
        found.warn(
            &["server", "public_url"],
            &message,
            "put a proxy with TLS in front, and name it here",
        );
    }
    if !server.listen.ip().is_loopback() && url.scheme() != "https" {
        let message = format!(
            "`server.listen` is `{}`: tokens would cross the network in the clear",
            server.listen
        );
        found.warn(&["server", "listen"], &message, "listen on loopback behind a proxy with TLS, and set `server.public_url` to its https address");
    }
    if server.lab && !server.listen.ip().is_loopback() {
        let message = format!("a lab listens on `{}`, where others reach it", server.listen);
        found.warn(&["server", "listen"], &message, "let a lab listen on loopback");
    }
}

fn store(found: &mut Found<'_>) {
    let kept = found.loaded.config.store.journal_retention;
    if kept > Span::hours(0) && kept < JOURNAL_LEAST {
        let message = format!("`store.journal_retention` is `{kept}`, which is too short");
        found.error(
            &["store", "journal_retention"],
            &message,
            "keep the journal for seven days or more, or for good with `0d`",
        );
    }
    let playbooks = &found.loaded.config.store.playbooks;
    if !playbooks.as_os_str().is_empty() && !playbooks.is_dir() {
        let message = format!("`store.playbooks` is `{}`, which is no folder", playbooks.display());
        let help = "make it, or leave the key empty: then only the playbooks that come with Quell are there";
        found.error(&["store", "playbooks"], &message, help);
    }
}

/// Times in which nobody could answer or begin.
fn policy(found: &mut Found<'_>) {
    let policy = &found.loaded.config.policy;
    let times = [("approval_timeout", policy.approval_timeout), ("grant", policy.grant)];
    for (key, time) in times.into_iter().filter(|(_, time)| *time < Span::minutes(1)) {
        let message = format!("`policy.{key}` is `{time}`: nobody can keep to it");
        found.error(&["policy", key], &message, "give it `1m` or more");
    }
}

fn sources(found: &mut Found<'_>, secrets: &Sources) {
    let config = &found.loaded.config;
    for (id, source) in &config.sources {
        let at = |key: &'static str| ["sources", id.as_str(), key];
        for connection in &source.connections {
            // Its own check says more of that one.
            if source.poll.as_ref().is_some_and(|poll| poll.connection == *connection) {
                continue;
            }
            if !config.connections.contains_key(connection) {
                let message = format!(
                    "the source `{id}` names the connection `{connection}`, which is not configured"
                );
                found.error(
                    &at("connections"),
                    &message,
                    &format!("add `[connections.{connection}]`"),
                );
            }
        }
        polled(found, id, source);
        let Some(auth) = &source.auth else { continue };
        let loopback = config.server.listen.ip().is_loopback();
        if auth.is_open() && !(config.server.lab && loopback) {
            let message = format!("anybody may send as the source `{id}`");
            found.error(
                &at("auth"),
                &message,
                "`auth = \"none\"` is for a lab that listens on loopback only",
            );
        }
        if source.may_cause == MayCause::Contain && !auth.signs_body() && !auth.is_open() {
            let message =
                format!("the source `{id}` may cause containment, but does not sign what it sends");
            found.warn(&at("may_cause"), &message, "use `hmac` or `standard_webhooks`, or let it cause `revoke` only: people then decide about blocks");
        }
        for name in auth.secrets() {
            secret(found, secrets, &at("secrets"), name);
        }
        keys(found, id, auth);
        if auth.secrets().is_empty() && auth.needs_secrets() {
            let message = format!("the source `{id}` has no secret");
            let help = match auth {
                Auth::Set(_) => {
                    "add `jwks_uri` beside `issuer`: it says where the transmitter's keys are"
                }
                _ => "add `secrets = [\"credential:NAME\"]`",
            };
            found.error(&at("auth"), &message, help);
        }
    }
}

/// Where the transmitter's keys are read.
fn keys(found: &mut Found<'_>, id: &SourceId, auth: &Auth) {
    let Some(problem) = auth.place().and_then(jwks::problem) else { return };
    let at = ["sources", id.as_str(), "auth", "set", "jwks_uri"];
    let help = "write it like `https://idp.example.com/keys`; `quell stream keys SOURCE --settings` finds it";
    found.error(&at, &format!("the source `{id}`: {problem}"), help);
}

fn polled(found: &mut Found<'_>, id: &SourceId, source: &Source) {
    let Some(poll) = &source.poll else { return };
    let config = &found.loaded.config;
    let at = ["sources", id.as_str(), "poll"];
    let help = "README, section \"A log that is polled\", lists the logs with their limits";
    for problem in poll.problems(&config.connections) {
        found.error(&at, &format!("the source `{id}`: {problem}"), help);
    }
    let earlier = config.sources.iter().take_while(|(other, _)| *other != id);
    let same = |(other, source): (&SourceId, &Source)| {
        let same = source.poll.as_ref().is_some_and(|other| other.is_same_log(poll));
        same.then(|| other.clone())
    };
    if let Some(other) = earlier.into_iter().find_map(same) {
        let message = format!("the sources `{other}` and `{id}` poll the same log");
        found.error(&at, &message, "leave one of them out: each record would count twice");
    }
}

fn secret(found: &mut Found<'_>, secrets: &Sources, path: &[&str], name: &str) {
    match name.parse::<Reference>() {
        Err(error) => found.error(
            path,
            &format!("the secret of `{}`: {error}", path[1]),
            "secrets stay out of this file",
        ),
        Ok(reference) => referenced(found, secrets, path, &reference),
    }
}

fn referenced(found: &mut Found<'_>, secrets: &Sources, path: &[&str], reference: &Reference) {
    match secrets.resolve(reference) {
        Ok(_) => {}
        Err(error) if error.is_everywhere() => found.error(
            path,
            &format!("the secret of `{}`: {error}", path[1]),
            "secrets stay out of this file",
        ),
        Err(error) => found.warn(
            path,
            &format!("the secret of `{}` cannot be had here: {error}", path[1]),
            "`quell serve` needs it where it runs",
        ),
    }
}

fn connections(found: &mut Found<'_>, secrets: &Sources) {
    let config = &found.loaded.config;
    let folder = &config.store.connectors;
    let catalogue = if folder.as_os_str().is_empty() {
        Catalogue::builtin()
    } else {
        Catalogue::with_folder(folder)
    };
    let catalogue = match catalogue {
        Ok(catalogue) => catalogue,
        Err(problems) => {
            for problem in problems.0 {
                found.error(
                    &["store", "connectors"],
                    &problem,
                    "mend the manifest, or leave the key empty",
                );
            }
            return;
        }
    };
    for (id, options) in &config.connections {
        for problem in settings_problems(&catalogue, options) {
            let message = format!("connection `{id}`: {problem}");
            found.error(
                &["connections", id.as_str()],
                &message,
                "`quell connector show NAME` lists what a connector takes",
            );
        }
        let credentials =
            [("auth", Some(&options.auth)), ("privileged", options.privileged.as_ref())];
        for (key, auth) in credentials {
            for reference in auth.into_iter().flat_map(crate::connector::auth::Auth::secrets) {
                referenced(found, secrets, &["connections", id.as_str(), key], reference);
            }
        }
    }
    notify(found, &catalogue);
    super::oncall::pager_can(found, &catalogue);
}

/// Whom to tell, and how: a channel that cannot be told is found here, not in the night.
fn notify(found: &mut Found<'_>, catalogue: &Catalogue) {
    let config = &found.loaded.config;
    let notify = &config.notify;
    let can = |connection: &ConnectionId, capability: &str| {
        let options = config.connections.get(connection)?;
        Some(!catalogue.implementing(&options.connector, capability).is_empty())
    };
    let mut problems = notify.problems(can);
    for (name, channel) in &notify.channels {
        let options = config.connections.get(&channel.connection);
        let placed =
            channel.to.is_some() || options.is_some_and(|o| o.settings.contains_key("channel"));
        if options.is_some_and(|o| o.connector == "slack") && !placed {
            let path = vec!["channels".to_owned(), name.clone()];
            problems.push((path, format!("the channel `{name}` needs `to`, such as `#soc`")));
        }
    }
    for (path, message) in problems {
        let path: Vec<&str> =
            std::iter::once("notify").chain(path.iter().map(String::as_str)).collect();
        found.error(&path, &message, "`quell config show` prints `[notify]` with its defaults");
    }
    addresses(found, &can);
    let (config, notify) = (&found.loaded.config, &found.loaded.config.notify);
    if config.notified().channels.is_empty() {
        return;
    }
    let ladder = ["notify", "ladder"];
    let help =
        "list channels under `notify.ladder`, each with `after`: they are told in this order";
    match notify.ladder.len() {
        0 => found.warn(
            &ladder,
            "nobody is on the ladder: when a channel cannot be told, nobody else is",
            help,
        ),
        1 => found.warn(
            &ladder,
            "one channel is on the ladder: nobody is next while a question stands unanswered",
            help,
        ),
        _ => {}
    }
}

/// People's own addresses: who cannot be told there would sleep on.
fn addresses(found: &mut Found<'_>, can: &impl Fn(&ConnectionId, &str) -> Option<bool>) {
    let config = &found.loaded.config;
    let mut wrong = Vec::new();
    for (name, person) in &config.people {
        let problems = person.tell.iter().filter_map(|address| address.problem(can));
        wrong.extend(problems.map(|problem| (name.clone(), format!("`{name}`: {problem}"))));
    }
    let somebody = config.people.iter().find(|(_, person)| !person.tell.is_empty());
    let unused = config.oncall.shifts.is_empty() && config.oncall.pager.is_none();
    let unused = somebody.filter(|_| unused).map(|(name, _)| name.clone());
    for (name, message) in wrong {
        let help = "give `connection`, one that tells people, and `to`, such as a mail address";
        found.error(&["people", &name, "tell"], &message, help);
    }
    if let Some(name) = unused {
        let message = "people have addresses, and there is no rota that puts a question to anybody";
        found.warn(
            &["people", &name, "tell"],
            message,
            "add `[[oncall.shifts]]` or `oncall.pager`",
        );
    }
}

/// Containment that asks people is worth nothing where nobody can answer.
fn people(found: &mut Found<'_>) {
    let mut wrong = Vec::new();
    for (name, person) in &found.loaded.config.people {
        let unknown = person.roles.iter().filter(|role| !ROLES.contains(&role.as_str()));
        wrong.extend(unknown.map(|role| (name.clone(), role.clone())));
    }
    for (name, role) in wrong {
        let message = format!("`{name}` has the role `{role}`, which is none");
        let help = diagnostic::closest(&role, ROLES).map_or_else(
            || format!("there are {}", ROLES.join(", ")),
            |meant| format!("did you mean `{meant}`?"),
        );
        found.error(&["people", &name, "roles"], &message, &help);
    }
    let config = &found.loaded.config;
    if config.server.lab || config.policy.mode == Mode::Observe {
        return;
    }
    let approvers = config
        .people
        .values()
        .filter(|person| person.roles.iter().any(|role| role == "approver" || role == "admin"))
        .count();
    let help = "add `[people.NAME]` with `roles = [\"approver\"]`, and have them enrol a passkey";
    match approvers {
        0 => found.warn(&["people"], "nobody may approve containment: every question would run out unanswered", help),
        1 => found.warn(&["people"], "one person may approve: questions about privileged people need two, and the victim never decides", help),
        _ => {}
    }
    if config.policy.protected.is_empty() {
        found.warn(
            &["policy", "protected"],
            "no break-glass account is protected",
            "list them under `policy.protected`: they are then never blocked or reset",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, load};

    const WRONG: &str = "
[server]
lab = true
[sources.a]
kind = 'okta'
poll = { connection = 'okta', schedule = '5s' }
[sources.b]
kind = 'okta'
poll = { connection = 'okta' }
[sources.c]
kind = 'duo'
poll = { connection = 'okta', schedule = '30s' }
[sources.d]
kind = 'entra'
poll = { connection = 'nowhere', log = 'audits' }
[connections.okta]
connector = 'okta'
base_url = 'https://example.okta.com'
auth = { ssws = { token = 'text:x' } }
";

    #[test]
    fn everything_that_is_wrong_with_polls_is_told_at_its_line() {
        let file = Some(("quell.toml".into(), WRONG.to_owned()));
        let loaded = load(&Layers { file, ..Layers::default() }).unwrap();

        let problems = check(&loaded, &Sources::lab());

        let line = |p: &Diagnostic| WRONG[..p.primary.at.start].matches('\n').count() + 1;
        let told: Vec<_> = problems.iter().map(|p| format!("{}: {}", line(p), p.message)).collect();
        assert_eq!(
            told,
            [
                "6: the source `a`: its schedule `5s` polls every 5s, and the provider's limit for `system` is one poll in 10s",
                "9: the sources `a` and `b` poll the same log",
                "12: the source `c`: its log `authentication` is read through a connection of the connector `duo`; `okta` is of `okta`",
                "12: the source `c`: its schedule `30s` polls every 30s, and the provider's limit for `authentication` is one poll in 1m",
                "15: the source `d`: it is polled through the connection `nowhere`, which is not configured",
            ]
        );
    }

    const IDLE: &str = "
[policy]
approval_timeout = '0s'
[store]
playbooks = '/nowhere/at/all'
[connections.okta]
connector = 'okta'
base_url = 'https://example.okta.com'
[connections.okta.auth.ssws]
token = 'file:/nowhere/at/all'
[connections.duo]
connector = 'duo'
base_url = 'https://api.example.com'
auth = { basic = { user = 'q', password = 'vault:x' } }
[people.ana]
roles = ['aprover', 'viewer']
";

    #[test]
    fn what_could_not_work_in_earnest_is_told_before_the_start() {
        let file = Some(("quell.toml".into(), IDLE.to_owned()));
        let loaded = load(&Layers { file, ..Layers::default() }).unwrap();

        let problems = check(&loaded, &Sources::lab());

        let told: Vec<String> = problems
            .iter()
            .map(|p| {
                format!("{:?} {} / {}", p.severity, p.message, p.help.clone().unwrap_or_default())
            })
            .collect();
        let told = told.join("\n");
        for part in [
            "Error `policy.approval_timeout` is `0s`: nobody can keep to it",
            "Error `store.playbooks` is `/nowhere/at/all`, which is no folder",
            "Warning the secret of `okta` cannot be had here: `file:/nowhere/at/all` could not be read",
            "Error connection `duo`: `auth` is one of duo_signature, not basic",
            "Error the secret of `duo`: `vault:x`: vault references are not supported yet",
            "Error `ana` has the role `aprover`, which is none / did you mean `approver`?",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
    }
}
