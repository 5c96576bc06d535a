//! Microsoft Graph v1.0, as far as the connector uses it.

use serde_json::{Value, json};

use super::directory::{Caller, changeable, literal, revoke, set_password};
use super::logs::SIGN_IN;
use super::reply::{Asked, Reply, error};
use super::world::{Account, Condition, LogRecord, System, World};
use crate::model::subject::Authority;
use crate::model::time::{Time, rfc3339};

const SYSTEM: System = System::Graph;

/// The operation's name, for faults and the call log.
pub(super) fn operation(asked: &Asked) -> &'static str {
    let (method, path) = asked.route();
    if path == ["beta", "auditLogs", "signIns"] {
        return "poll-sign-ins";
    }
    let Some(path) = path.strip_prefix(&["v1.0"]) else { return "unknown" };
    match (method, path) {
        ("GET", ["users"]) => "list-accounts",
        ("GET", ["users", _]) => "get-user",
        ("PATCH", ["users", _]) => {
            match (&asked.body["accountEnabled"], &asked.body["passwordProfile"]) {
                (Value::Bool(false), _) => "block-sign-in",
                (Value::Bool(true), _) => "unblock-sign-in",
                (_, Value::Object(_)) => "reset-credentials",
                _ => "update-user",
            }
        }
        ("POST", ["users", _, "revokeSignInSessions"]) => "revoke-sessions",
        ("GET", ["users", _, "authentication", "methods"]) => "list-factors",
        ("DELETE", ["users", _, "authentication", _, _]) => "remove-factor",
        ("GET", ["users", _, "transitiveMemberOf"]) => "list-roles",
        ("GET", ["auditLogs", "signIns"]) if asked.asks("$filter").contains("userId") => {
            "list-sign-ins"
        }
        ("GET", ["auditLogs", "signIns"]) => "poll-sign-ins",
        ("GET", ["auditLogs", "directoryAudits"]) => "poll-audits",
        ("GET", ["identityProtection", "riskDetections"]) => "poll-risk-detections",
        ("GET", ["identityProtection", "riskyUsers", _]) => "get-risk",
        ("POST", ["identityProtection", "riskyUsers", "confirmCompromised"]) => "mark-compromised",
        ("POST", ["identityProtection", "riskyUsers", "dismiss"]) => "dismiss-risk",
        _ => "unknown",
    }
}

/// Answers, and changes the world if the operation does.
pub(super) fn answer(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    let token = asked.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    let caller = match world.tokens.get(token) {
        Some(token) if token.system == SYSTEM && token.until > asked.at => {
            Caller { privileged: token.privileged }
        }
        _ => {
            let why = "Access token has expired or is not yet valid.";
            return error(SYSTEM, 401, "InvalidAuthenticationToken", why);
        }
    };
    let name = asked.path.get(2).cloned().unwrap_or_default();
    let reply = match operation {
        "list-accounts" => Ok(list_accounts(world, asked)),
        "get-user" => read(world, asked, &name, user),
        "list-factors" => read(world, asked, &name, |_, seen| methods(seen)),
        "list-roles" => read(world, asked, &name, |account, _| roles(account)),
        "list-sign-ins" => Ok(sign_ins(world, asked)),
        "poll-sign-ins" | "poll-audits" | "poll-risk-detections" => {
            Ok(super::logs::graph(world, asked, operation))
        }
        "get-risk" => risk(world, asked),
        "mark-compromised" => mark(world, asked, "confirmedCompromised", "risk marked"),
        "dismiss-risk" => mark(world, asked, "dismissed", "risk dismissed"),
        "unknown" => Err(error(SYSTEM, 400, "BadRequest", "Resource not found for the segment.")),
        _ => change(world, asked, operation, &name, caller),
    };
    reply.unwrap_or_else(|refusal| refusal)
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
    let login = account.login.clone();
    let mastered = account.authority == Authority::Synced;
    let reply = match operation {
        "revoke-sessions" => {
            revoke(account, now);
            let context = "https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean";
            Reply::json(200, json!({"@odata.context": context, "value": true}))
                .effect("sessions revoked")
        }
        "block-sign-in" | "unblock-sign-in" | "reset-credentials" if mastered => error(
            SYSTEM,
            400,
            "Request_BadRequest",
            "Unable to update the specified properties for on-premises mastered Directory Sync objects.",
        ),
        "block-sign-in" => {
            account.change(now, |c| c.status = "DISABLED".into());
            Reply::empty(204).effect("blocked")
        }
        "unblock-sign-in" => {
            account.change(now, |c| c.status = "ACTIVE".into());
            Reply::empty(204).effect("unblocked")
        }
        "reset-credentials" => {
            let password = asked.body["passwordProfile"]["password"].as_str().unwrap_or_default();
            if password.len() < 8 {
                let why =
                    "The specified password does not comply with password complexity requirements.";
                return Err(error(SYSTEM, 400, "Request_BadRequest", why).about(&login));
            }
            set_password(account, now);
            Reply::empty(204).effect("password set")
        }
        "remove-factor" => {
            let (kind, id) = (asked.path[4].trim_end_matches("Methods"), &asked.path[5]);
            let there = account.now().factors.iter().any(|f| f.id == *id && f.kind == kind);
            if !there {
                let refusal = error(SYSTEM, 404, "ResourceNotFound", "The method was not found.");
                return Err(refusal.about(&login));
            }
            account.change(now, |c| c.factors.retain(|f| f.id != *id));
            Reply::empty(204).effect("factor removed")
        }
        _ => error(SYSTEM, 400, "Request_BadRequest", "Nothing to update."),
    };
    Ok(reply.about(&login))
}

fn read(
    world: &World,
    asked: &Asked,
    name: &str,
    show: impl Fn(&Account, &Condition) -> Value,
) -> Result<Reply, Reply> {
    let account = world.account(SYSTEM, name).ok_or_else(|| {
        error(SYSTEM, 404, "Request_ResourceNotFound", "Resource does not exist.")
    })?;
    let seen = account.seen(world.horizon(SYSTEM, asked.at));
    Ok(Reply::json(200, show(account, seen)).about(&account.login))
}

fn whole_seconds(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn user(account: &Account, seen: &Condition) -> Value {
    json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
        "id": account.id,
        "userPrincipalName": account.login,
        "mail": account.mail,
        "displayName": account.name,
        "employeeId": account.employee_id,
        "accountEnabled": seen.status == "ACTIVE",
        "userType": if account.authority == Authority::Guest { "Guest" } else { "Member" },
        "onPremisesSyncEnabled": (account.authority == Authority::Synced).then_some(true),
        "signInSessionsValidFromDateTime": whole_seconds(seen.sessions_valid_from),
        "lastPasswordChangeDateTime": whole_seconds(seen.password_changed_at),
    })
}

fn methods(seen: &Condition) -> Value {
    let mut list = vec![json!({"@odata.type": "#microsoft.graph.passwordAuthenticationMethod",
        "id": "28c10230-6103-485e-b985-444c60001490"})];
    list.extend(seen.factors.iter().map(|factor| {
        json!({"@odata.type": format!("#microsoft.graph.{}AuthenticationMethod", factor.kind),
            "id": factor.id, "displayName": factor.name, "createdDateTime": rfc3339(factor.added_at)})
    }));
    json!({"value": list})
}

fn roles(account: &Account) -> Value {
    let list: Vec<Value> = account
        .roles
        .iter()
        .map(|(id, name)| {
            json!({"@odata.type": "#microsoft.graph.directoryRole", "id": format!("role-{id}"),
                "displayName": name, "roleTemplateId": id})
        })
        .collect();
    json!({"value": list})
}

fn list_accounts(world: &World, asked: &Asked) -> Reply {
    let filter = asked.asks("$filter");
    let by = |field: &str| literal(filter, field, '\'');
    let (login, employee, mail) = (by("userPrincipalName"), by("employeeId"), by("mail"));
    let found: Vec<Value> = match &login {
        Some(login) => world.account(SYSTEM, login).into_iter().collect::<Vec<_>>(),
        None => world
            .accounts
            .iter()
            .filter(|a| a.system == SYSTEM)
            .filter(|a| {
                employee.as_ref().is_some_and(|e| a.employee_id == *e)
                    || mail.as_ref().is_some_and(|m| a.mail.eq_ignore_ascii_case(m))
            })
            .collect(),
    }
    .into_iter()
    .map(|account| user(account, account.seen(world.horizon(SYSTEM, asked.at))))
    .collect();
    Reply::json(200, json!({"value": found}))
}

/// Newest first, in pages of `$top`.
fn sign_ins(world: &World, asked: &Asked) -> Reply {
    let filter = asked.asks("$filter");
    let who = literal(filter, "userId", '\'');
    let since = filter.split("createdDateTime ge ").nth(1).and_then(|t| {
        chrono::DateTime::parse_from_rfc3339(t.split(' ').next()?).ok().map(|t| t.to_utc())
    });
    let all: Vec<&LogRecord> = world
        .logged(SYSTEM, asked.at)
        .into_iter()
        .rev()
        .filter(|r| r.kind == SIGN_IN)
        .filter(|r| who.as_ref().is_none_or(|who| r.account == *who))
        .filter(|r| since.is_none_or(|since| r.at >= since))
        .collect();
    let size: usize = asked.asks("$top").parse().unwrap_or(1000).clamp(1, 1000);
    let skip: usize = asked.asks("$skiptoken").parse().unwrap_or(0);
    let page: Vec<Value> =
        all.iter().skip(skip).take(size).map(|r| sign_in(world, r, false)).collect();
    let mut body = json!({"value": page});
    if skip + size < all.len() {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(asked.query.iter().filter(|(n, _)| *n != "$skiptoken"))
            .append_pair("$skiptoken", &(skip + size).to_string())
            .finish();
        body["@odata.nextLink"] = json!(format!("{}/v1.0/auditLogs/signIns?{query}", asked.base));
    }
    Reply::json(200, body)
}

/// One sign-in; only the beta lists its steps.
pub(super) fn sign_in(world: &World, record: &LogRecord, beta: bool) -> Value {
    let account = world.account(SYSTEM, &record.account);
    let step = json!({"authenticationStepDateTime": rfc3339(record.at), "succeeded": record.succeeded,
        "authenticationMethod": "Mobile app notification", "authenticationStepResultDetail": record.detail});
    json!({
        "authenticationDetails": beta.then(|| vec![step]),
        "id": record.id,
        "createdDateTime": rfc3339(record.at),
        "userId": record.account,
        "userPrincipalName": account.map(|a| a.login.as_str()),
        "ipAddress": record.ip,
        "appDisplayName": "Office 365",
        "correlationId": record.id,
        "isInteractive": true,
        "status": {"errorCode": if record.succeeded { 0 } else { 500_121 },
            "additionalDetails": record.detail},
        "deviceDetail": {"displayName": ""},
        "location": {"countryOrRegion": "NL"},
    })
}

fn risk(world: &World, asked: &Asked) -> Result<Reply, Reply> {
    let name = asked.path.get(3).map_or("", String::as_str);
    let missing = || error(SYSTEM, 404, "ResourceNotFound", "Risky user not found.");
    let account = world.account(SYSTEM, name).ok_or_else(missing)?;
    let state = &account.seen(world.horizon(SYSTEM, asked.at)).risk;
    if state == "none" {
        return Err(missing().about(&account.login));
    }
    let level = if state == "confirmedCompromised" { "high" } else { "none" };
    let body =
        json!({"id": account.id, "riskState": state, "riskLevel": level, "isProcessing": false});
    Ok(Reply::json(200, body).about(&account.login))
}

fn mark(
    world: &mut World,
    asked: &Asked,
    state: &str,
    effect: &'static str,
) -> Result<Reply, Reply> {
    let ids = asked.body["userIds"].as_array().cloned().unwrap_or_default();
    let mut reply = Reply::empty(204);
    for id in ids.iter().filter_map(Value::as_str) {
        let account = world
            .account_mut(SYSTEM, id)
            .ok_or_else(|| error(SYSTEM, 404, "ResourceNotFound", "Risky user not found."))?;
        account.change(asked.at, |c| state.clone_into(&mut c.risk));
        reply = reply.effect(effect).about(&account.login.clone());
    }
    Ok(reply)
}
