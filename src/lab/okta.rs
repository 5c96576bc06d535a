//! The Okta management API, as far as the connector uses it.

use serde_json::{Value, json};

use super::directory::{Caller, changeable, literal, revoke, set_password};
use super::reply::{Asked, Reply, error};
use super::world::{Account, Condition, LogRecord, System, World};
use crate::model::subject::Authority;
use crate::model::time::{Time, rfc3339};

const SYSTEM: System = System::Okta;

/// The operation's name, for faults and the call log.
pub(super) fn operation(asked: &Asked) -> &'static str {
    let (method, path) = asked.route();
    let Some(path) = path.strip_prefix(&["api", "v1"]) else {
        return if path == ["oauth2", "v1", "token"] { "token" } else { "unknown" };
    };
    match (method, path) {
        ("GET", ["users"]) => "list-accounts",
        ("GET", ["users", _]) => "get-user",
        ("POST", ["users", _]) => "reset-credentials",
        ("DELETE", ["users", _, "sessions"]) => "revoke-sessions",
        ("POST", ["users", _, "lifecycle", "suspend"]) => "suspend",
        ("POST", ["users", _, "lifecycle", "unsuspend"]) => "unsuspend",
        ("GET", ["users", _, "factors"]) => "list-factors",
        ("DELETE", ["users", _, "factors", _]) => "remove-factor",
        ("GET", ["users", _, "roles"]) => "list-roles",
        ("GET", ["users", _, "groups"]) => "list-groups",
        ("GET", ["users", _, "risk"]) => "get-risk",
        ("PUT", ["users", _, "risk"]) => "set-risk",
        ("PUT", ["groups", _, "users", _]) => "quarantine",
        ("DELETE", ["groups", _, "users", _]) => "release-from-quarantine",
        ("GET", ["logs"]) if asked.asks("filter").contains("user.session.clear") => {
            "list-session-clears"
        }
        // Only whoever polls asks for everything.
        ("GET", ["logs"]) if asked.asks("filter").is_empty() => "poll-log",
        ("GET", ["logs"]) => "list-sign-ins",
        _ => "unknown",
    }
}

/// Answers, and changes the world if the operation does.
pub(super) fn answer(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    let Some(caller) = caller(world, asked) else {
        return error(SYSTEM, 401, "E0000011", "Invalid token provided");
    };
    let name = asked.path.get(3).cloned().unwrap_or_default();
    let reply = match operation {
        "list-accounts" => Ok(list_accounts(world, asked)),
        "get-user" => read(world, asked, &name, user),
        "list-factors" => read(world, asked, &name, |_, seen| factors(seen)),
        "list-roles" => read(world, asked, &name, |account, _| roles(account)),
        "list-groups" => read(world, asked, &name, |_, seen| {
            seen.groups.iter().map(|id| json!({"id": id, "profile": {"name": id}})).collect()
        }),
        "get-risk" => read(
            world,
            asked,
            &name,
            |_, seen| json!({"riskLevel": if seen.risk == "none" { "LOW" } else { seen.risk.as_str() }}),
        ),
        "list-session-clears" | "list-sign-ins" => Ok(logs(world, asked)),
        "poll-log" => Ok(super::logs::okta(world, asked)),
        "unknown" => Err(error(SYSTEM, 404, "E0000022", "The endpoint does not support this.")),
        "quarantine" | "release-from-quarantine" => {
            let member = asked.path.get(5).cloned().unwrap_or_default();
            change(world, asked, operation, &member, caller)
        }
        _ => change(world, asked, operation, &name, caller),
    };
    reply.unwrap_or_else(|refusal| refusal)
}

fn caller(world: &World, asked: &Asked) -> Option<Caller> {
    let header = asked.header("authorization");
    if let Some(token) = header.strip_prefix("SSWS ") {
        let privileged = token == world.credentials.okta_admin_token;
        return (privileged || token == world.credentials.okta_token)
            .then_some(Caller { privileged });
    }
    let token = world.tokens.get(header.strip_prefix("Bearer ")?)?;
    (token.system == SYSTEM && token.until > asked.at)
        .then_some(Caller { privileged: token.privileged })
}

fn change(
    world: &mut World,
    asked: &Asked,
    operation: &str,
    name: &str,
    caller: Caller,
) -> Result<Reply, Reply> {
    let now = asked.at;
    let account = changeable(world, SYSTEM, name, caller)?;
    let (login, id) = (account.login.clone(), account.id.clone());
    let reply = match operation {
        "revoke-sessions" => {
            revoke(account, now);
            Reply::empty(204).effect("sessions revoked")
        }
        "suspend" => lifecycle(account, now, ("ACTIVE", "SUSPENDED"), "blocked"),
        "unsuspend" => lifecycle(account, now, ("SUSPENDED", "ACTIVE"), "unblocked"),
        "reset-credentials" => password(account, asked),
        "remove-factor" => {
            let factor = asked.path.get(5).map_or("", String::as_str);
            if account.now().factors.iter().any(|f| f.id == factor) {
                account.change(now, |c| c.factors.retain(|f| f.id != factor));
                Reply::empty(204).effect("factor removed")
            } else {
                error(SYSTEM, 404, "E0000007", "Not found: Resource not found (UserFactor)")
            }
        }
        "set-risk" => {
            let level = asked.body["riskLevel"].as_str().unwrap_or_default().to_owned();
            let effect = if level == "HIGH" { "risk marked" } else { "risk dismissed" };
            account.change(now, |c| c.risk.clone_from(&level));
            Reply::json(200, json!({"riskLevel": level})).effect(effect)
        }
        "quarantine" | "release-from-quarantine" => group(account, asked, operation),
        _ => error(SYSTEM, 405, "E0000022", "The endpoint does not support this."),
    };
    if operation == "revoke-sessions" {
        let record = LogRecord::new(SYSTEM, now, &id, "user.session.clear");
        world.log(LogRecord { succeeded: true, ip: "198.51.100.1".into(), ..record });
    }
    Ok(reply.about(&login))
}

fn lifecycle(
    account: &mut Account,
    now: Time,
    (from, to): (&str, &str),
    effect: &'static str,
) -> Reply {
    if account.now().status != from {
        let why = "This operation is not allowed in the user's current status.";
        return error(SYSTEM, 403, "E0000038", why);
    }
    account.change(now, |c| to.clone_into(&mut c.status));
    Reply::json(200, json!({})).effect(effect)
}

fn password(account: &mut Account, asked: &Asked) -> Reply {
    let password = asked.body["credentials"]["password"]["value"].as_str().unwrap_or_default();
    if account.authority != Authority::Cloud {
        return error(SYSTEM, 403, "E0000014", "Update of credentials failed");
    }
    if password.len() < 8 {
        return error(SYSTEM, 400, "E0000080", "The password does not meet the requirements.");
    }
    set_password(account, asked.at);
    let body = user(account, account.now());
    Reply::json(200, body).effect("password set")
}

fn group(account: &mut Account, asked: &Asked, operation: &str) -> Reply {
    let id = asked.path.get(3).cloned().unwrap_or_default();
    let was = account.now().groups.contains(&id);
    let joins = operation == "quarantine";
    account.change(asked.at, |c| {
        if joins {
            c.groups.insert(id);
        } else {
            c.groups.remove(&id);
        }
    });
    let reply = Reply::empty(204);
    match (was, joins) {
        (false, true) => reply.effect("blocked"),
        (true, false) => reply.effect("unblocked"),
        _ => reply,
    }
}

fn read(
    world: &World,
    asked: &Asked,
    name: &str,
    show: impl Fn(&Account, &Condition) -> Value,
) -> Result<Reply, Reply> {
    let account = world
        .account(SYSTEM, name)
        .ok_or_else(|| error(SYSTEM, 404, "E0000007", "Not found: Resource not found (User)"))?;
    let seen = account.seen(world.horizon(SYSTEM, asked.at));
    Ok(Reply::json(200, show(account, seen)).about(&account.login))
}

fn user(account: &Account, seen: &Condition) -> Value {
    let (first, last) = account.name.split_once(' ').unwrap_or((&account.name, ""));
    let provider = match account.authority {
        Authority::Delegated | Authority::Synced => "ACTIVE_DIRECTORY",
        Authority::Federated => "FEDERATION",
        _ => "OKTA",
    };
    json!({
        "id": account.id,
        "status": seen.status,
        "passwordChanged": rfc3339(seen.password_changed_at),
        "profile": {"login": account.login, "email": account.mail, "firstName": first,
            "lastName": last, "employeeNumber": account.employee_id},
        "credentials": {"provider": {"type": provider, "name": provider}},
    })
}

fn factors(seen: &Condition) -> Value {
    seen.factors
        .iter()
        .map(|factor| {
            json!({"id": factor.id, "factorType": factor.kind, "provider": "OKTA", "vendorName": "OKTA",
                "status": "ACTIVE", "created": rfc3339(factor.added_at), "profile": {"name": factor.name}})
        })
        .collect()
}

fn roles(account: &Account) -> Value {
    let role = |(id, name): &(String, String)| json!({"id": format!("ra-{id}"), "label": name, "type": id, "status": "ACTIVE", "assignmentType": "USER"});
    account.roles.iter().map(role).collect()
}

fn list_accounts(world: &World, asked: &Asked) -> Reply {
    let search = asked.asks("search");
    let by = |field: &str| literal(search, field, '"');
    let (login, employee) = (by("profile.login"), by("profile.employeeNumber"));
    let mail = by("profile.email");
    let fits = |account: &&Account| {
        account.system == SYSTEM
            && (employee.as_ref().is_some_and(|e| account.employee_id == *e)
                || mail.as_ref().is_some_and(|m| account.mail.eq_ignore_ascii_case(m)))
    };
    let found: Vec<&Account> = match &login {
        Some(login) => world.account(SYSTEM, login).into_iter().collect(),
        None => world.accounts.iter().filter(fits).collect(),
    };
    let horizon = world.horizon(SYSTEM, asked.at);
    Reply::json(200, found.into_iter().map(|a| user(a, a.seen(horizon))).collect())
}

/// The System Log: the bounded mode, in pages of `limit`.
fn logs(world: &World, asked: &Asked) -> Reply {
    let filter = asked.asks("filter");
    let who = literal(filter, "target.id", '"').or_else(|| literal(filter, "actor.id", '"'));
    let instant = |name: &str| {
        chrono::DateTime::parse_from_rfc3339(asked.asks(name)).ok().map(|t| t.to_utc())
    };
    let (since, until) = (instant("since"), instant("until"));
    let mut all: Vec<&LogRecord> = world
        .logged(SYSTEM, asked.at)
        .into_iter()
        .filter(|r| who.as_ref().is_none_or(|who| r.account == *who))
        .filter(|r| filter.is_empty() || !filter.contains("eventType") || filter.contains(&r.kind))
        .filter(|r| since.is_none_or(|s| r.at >= s) && until.is_none_or(|u| r.at <= u))
        .collect();
    if asked.asks("sortOrder") == "DESCENDING" {
        all.reverse();
    }
    let size: usize = asked.asks("limit").parse().unwrap_or(100).clamp(1, 1000);
    let skip: usize = asked.asks("after").parse().unwrap_or(0);
    let page = all.iter().skip(skip).take(size).map(|r| record(world, r)).collect();
    let mut reply = Reply::json(200, page);
    if skip + size < all.len() {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.query.iter().filter(|(n, _)| *n != "after"))
            .append_pair("after", &(skip + size).to_string())
            .finish();
        reply.headers.push(("link", format!("<{}/api/v1/logs?{query}>; rel=\"next\"", asked.base)));
    }
    reply
}

pub(super) fn record(world: &World, record: &LogRecord) -> Value {
    let login = world.account(SYSTEM, &record.account).map(|a| a.login.as_str());
    let (result, reason) =
        if record.succeeded { ("SUCCESS", None) } else { ("FAILURE", Some("INVALID_CREDENTIALS")) };
    let person = json!({"id": record.account, "type": "User", "alternateId": login});
    let admin = json!({"id": "0oalab", "type": "PublicClientApp", "alternateId": "quell"});
    let clears = record.kind == "user.session.clear";
    json!({
        "uuid": record.id,
        "published": rfc3339(record.at),
        "eventType": record.kind,
        "outcome": {"result": result, "reason": reason},
        "actor": if clears { &admin } else { &person },
        "target": [person],
        "client": {"ipAddress": record.ip, "userAgent": {"os": "Linux"},
            "geographicalContext": {"country": "Netherlands"}},
        "authenticationContext": {"externalSessionId": record.id},
        "debugContext": {"debugData": {"factor": "OKTA_VERIFY_PUSH"}},
    })
}
