//! A receiver of signed webhooks that keeps tickets and messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;

use super::reply::{Asked, Reply, error};
use super::world::{System, Ticket, World};

const SYSTEM: System = System::Webhook;
/// How old a signature may be, in seconds.
const TOLERANCE: i64 = 300;

/// The operation's name, for faults and the call log.
pub(super) fn operation(asked: &Asked) -> &'static str {
    match (asked.method.as_str(), asked.body["type"].as_str()) {
        ("POST", Some("quell.message")) => "send-message",
        ("POST", Some("quell.message.updated")) => "update-message",
        ("POST", Some("quell.page")) => "send-page",
        ("POST", Some("quell.page.closed")) => "close-page",
        ("POST", Some("ticket.open")) => "open-ticket",
        ("POST", Some("ticket.comment")) => "comment-ticket",
        ("POST", Some("ticket.close")) => "close-ticket",
        ("GET", _) => "reach",
        _ => "unknown",
    }
}

/// Takes a delivery once; a repeated one is accepted and has no effect.
pub(super) fn answer(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    if operation == "reach" {
        return error(SYSTEM, 405, "method_not_allowed", "POST only");
    }
    if !genuine(world, asked) {
        return error(SYSTEM, 401, "bad_signature", "The signature does not match.");
    }
    let id = asked.header("webhook-id").to_owned();
    if world.messages.iter().any(|(known, _)| *known == id) {
        return Reply::json(200, json!({"id": id, "duplicate": true})).key(&id);
    }
    let data = &asked.body["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    let effect = match operation {
        "open-ticket" => {
            let Value::Object(fields) = data.clone() else {
                return error(SYSTEM, 400, "bad_request", "No data.");
            };
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            let number = world.next().to_string();
            world.tickets.push(Ticket {
                system: SYSTEM,
                id: text("correlation_id").to_owned(),
                number,
                correlation_id: text("correlation_id").to_owned(),
                state: "open".into(),
                fields,
                notes: Vec::new(),
            });
            "ticket opened"
        }
        "comment-ticket" | "close-ticket" => {
            let own = |t: &&mut Ticket| t.system == SYSTEM && t.id == text("ticket");
            let Some(ticket) = world.tickets.iter_mut().find(own) else {
                return error(SYSTEM, 404, "not_found", "No such ticket.");
            };
            ticket.notes.push(text("text").to_owned());
            if operation == "close-ticket" {
                ticket.state = "closed".into();
                "ticket closed"
            } else {
                "note added"
            }
        }
        "send-message" | "update-message" | "send-page" | "close-page" => "message taken",
        _ => return error(SYSTEM, 400, "bad_request", "Unknown type."),
    };
    world.messages.push((id.clone(), asked.body.clone()));
    Reply::json(202, json!({})).effect(effect).key(&id)
}

fn genuine(world: &World, asked: &Asked) -> bool {
    let secret = world.credentials.webhook_secret.trim_start_matches("whsec_");
    let Ok(key) = STANDARD.decode(secret) else { return false };
    let at: i64 = asked.header("webhook-timestamp").parse().unwrap_or(0);
    if (asked.at.timestamp() - at).abs() > TOLERANCE {
        return false;
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
    mac.update(format!("{}.{at}.", asked.header("webhook-id")).as_bytes());
    mac.update(&asked.raw);
    let mine = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    asked.header("webhook-signature").split(' ').any(|given| given == mine)
}
