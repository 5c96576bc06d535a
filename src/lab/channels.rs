//! Where people are told: Slack, a Teams workflow, `PagerDuty` and a mail server's front, as far as Quell uses them.
//!
//! Mail comes here as its transport takes it; the server itself, with its protocol, is `mail`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use super::reply::{Asked, Reply, error};
use super::world::{System, World};

/// A message as whoever reads the channel sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Post {
    pub(crate) system: System,
    /// The message's own name: Slack's time, `PagerDuty`'s key, a mail's id.
    pub(crate) id: String,
    /// What it says now.
    pub(crate) body: Value,
    /// What it said before, oldest first.
    pub(crate) before: Vec<Value>,
    /// An alert that was acknowledged or resolved.
    pub(crate) state: &'static str,
}

#[cfg(test)]
impl Post {
    /// All that it says now, for a test to look into.
    pub(crate) fn text(&self) -> String {
        self.body.to_string()
    }
}

/// The operation's name, for faults and the call log.
pub(super) fn operation(system: System, asked: &Asked) -> &'static str {
    let (method, path) = asked.route();
    match (system, method, path.as_slice()) {
        (System::Slack, _, ["chat.postMessage"]) => "post-message",
        (System::Slack, _, ["chat.update"]) => "update-message",
        (System::Slack, _, ["auth.test"]) => "test-auth",
        (System::Teams, "POST", []) => "post-card",
        (System::Pagerduty, "POST", ["v2", "enqueue"]) => {
            match asked.body["event_action"].as_str() {
                Some("trigger") => "trigger",
                Some("acknowledge") => "acknowledge",
                Some("resolve") => "resolve",
                _ => "unknown",
            }
        }
        (System::Mail, "POST", ["messages"]) => "send-mail",
        (_, "GET", _) => "reach",
        _ => "unknown",
    }
}

pub(super) fn answer(world: &mut World, system: System, asked: &Asked, operation: &str) -> Reply {
    if operation == "reach" {
        return match system {
            System::Mail => Reply::json(200, json!({"code": "250"})),
            _ => error(system, 405, "method_not_allowed", "POST only"),
        };
    }
    match system {
        System::Slack => slack(world, asked, operation),
        System::Teams => teams(world, asked),
        System::Pagerduty => pagerduty(world, asked, operation),
        _ => mail(world, asked, operation),
    }
}

fn post(world: &mut World, system: System, id: &str, body: Value) {
    let (id, before) = (id.to_owned(), Vec::new());
    world.posts.push(Post { system, id, body, before, state: "open" });
}

fn slack(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    let no = |code: &str| Reply::json(200, json!({"ok": false, "error": code}));
    if asked.header("authorization") != format!("Bearer {}", world.credentials.slack_token) {
        return no("invalid_auth");
    }
    let body = &asked.body;
    match operation {
        "test-auth" => Reply::json(200, json!({"ok": true, "team": "Lab", "user": "quell"})),
        "post-message" => {
            let channel = body["channel"].as_str().unwrap_or_default();
            if channel == "#nowhere" {
                return no("channel_not_found");
            }
            let ts = format!("{}.{:06}", asked.at.timestamp(), world.next());
            post(world, System::Slack, &ts, body.clone());
            let answer = json!({"ok": true, "channel": format!("C-{channel}"), "ts": ts});
            Reply::json(200, answer).effect("message posted").key(&ts)
        }
        "update-message" => {
            let ts = body["ts"].as_str().unwrap_or_default().to_owned();
            let Some(known) = world.posts.iter_mut().find(|p| p.id == ts) else {
                return no("message_not_found");
            };
            let answer = json!({"ok": true, "channel": body["channel"], "ts": ts});
            let reply = Reply::json(200, answer).key(&ts);
            if known.body == *body {
                return reply;
            }
            known.before.push(std::mem::replace(&mut known.body, body.clone()));
            reply.effect("message updated")
        }
        _ => no("unknown_method"),
    }
}

fn teams(world: &mut World, asked: &Asked) -> Reply {
    if asked.asks("sig") != world.credentials.teams_sig {
        return error(System::Teams, 401, "DirectApiAuthorizationRequired", "No.");
    }
    let id = world.next().to_string();
    post(world, System::Teams, &id, asked.body.clone());
    Reply::empty(202).effect("card posted")
}

fn pagerduty(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    let bad = |status: &str| {
        Reply::json(400, json!({"status": status, "message": "Event object is invalid"}))
    };
    if asked.body["routing_key"] != *world.credentials.routing_key {
        return bad("invalid key");
    }
    let Some(key) = asked.body["dedup_key"].as_str().map(str::to_owned) else {
        return bad("invalid event");
    };
    let taken = json!({"status": "success", "message": "Event processed", "dedup_key": key});
    let reply = Reply::json(202, taken).key(&key);
    let open =
        |p: &&mut Post| p.system == System::Pagerduty && p.id == key && p.state != "resolved";
    let known = world.posts.iter_mut().find(open);
    let state = match operation {
        "trigger" if known.is_some() => return reply,
        "trigger" => {
            let mut event = asked.body.clone();
            event["routing_key"] = Value::Null;
            post(world, System::Pagerduty, &key, event);
            return reply.effect("paged");
        }
        "acknowledge" => "acknowledged",
        "resolve" => "resolved",
        _ => return bad("invalid event"),
    };
    match known {
        Some(known) if known.state != state => {
            known.state = state;
            reply.effect("alert changed")
        }
        _ => reply,
    }
}

fn mail(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    if operation != "send-mail" {
        return error(System::Mail, 404, "route", "no such operation");
    }
    let pair = STANDARD.encode(format!("quell:{}", world.credentials.mail_password));
    if asked.header("authorization") != format!("Basic {pair}") {
        return error(System::Mail, 401, "535", "authentication failed");
    }
    let id = format!("<{}@lab.example>", asked.body["id"].as_str().unwrap_or_default());
    post(world, System::Mail, &id, asked.body.clone());
    Reply::json(202, json!({"code": "250", "id": id})).effect("mail taken")
}
