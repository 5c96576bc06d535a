//! `ServiceNow`'s Table API, as far as the connector uses it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::reply::{Asked, Reply, error};
use super::world::{System, Ticket, World};
use crate::model::time::rfc3339;

const SYSTEM: System = System::Servicenow;

/// The name of the account that the help desk gave us.
pub(super) const USER: &str = "quell";

/// The operation's name, for faults and the call log.
pub(super) fn operation(asked: &Asked) -> &'static str {
    let (method, path) = asked.route();
    let Some(path) = path.strip_prefix(&["api", "now", "table"]) else { return "unknown" };
    match (method, path) {
        ("POST", ["incident"]) => "open-ticket",
        ("GET", ["incident"]) => "find-ticket",
        ("GET", ["incident", _]) => "get-ticket",
        ("PATCH", ["incident", _]) if asked.body["work_notes"].is_string() => "comment-ticket",
        ("PATCH", ["incident", _]) => "close-ticket",
        ("GET", ["sys_journal_field"]) => "list-notes",
        _ => "unknown",
    }
}

/// Answers, and changes the world if the operation does.
pub(super) fn answer(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    let pair = format!("{USER}:{}", world.credentials.desk_password);
    if asked.header("authorization") != format!("Basic {}", STANDARD.encode(pair)) {
        return error(
            SYSTEM,
            401,
            "User Not Authenticated",
            "Required to provide Auth information",
        );
    }
    match operation {
        "open-ticket" => open(world, asked),
        "find-ticket" => find(world, asked),
        "get-ticket" => match own(world, asked) {
            Ok(ticket) => Reply::json(200, json!({"result": row(ticket)})),
            Err(refusal) => refusal,
        },
        "comment-ticket" | "close-ticket" => update(world, asked, operation),
        "list-notes" => notes(world, asked),
        _ => error(SYSTEM, 400, "Requested URI does not represent any resource", asked.asks("")),
    }
}

fn open(world: &mut World, asked: &Asked) -> Reply {
    let serial = world.next();
    let Value::Object(given) = &asked.body else {
        return error(SYSTEM, 400, "Exception while reading request", "Not an object");
    };
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields: BTreeMap<String, Value> = given.clone().into_iter().collect();
    let ticket = Ticket {
        system: SYSTEM,
        id: format!("{serial:032x}"),
        number: format!("INC{:07}", 10_000 + serial),
        correlation_id: text("correlation_id"),
        state: "1".into(),
        fields,
        notes: Vec::new(),
    };
    let body = json!({"result": row(&ticket)});
    let reply = Reply::json(201, body).effect("ticket opened").key(&ticket.correlation_id);
    world.tickets.push(ticket);
    reply
}

fn row(ticket: &Ticket) -> Value {
    json!({"sys_id": ticket.id, "number": ticket.number, "state": ticket.state,
        "correlation_id": ticket.correlation_id})
}

fn find(world: &World, asked: &Asked) -> Reply {
    let query = asked.asks("sysparm_query");
    let own = world.tickets.iter().filter(|t| t.system == SYSTEM);
    let rows: Vec<Value> = match query.strip_prefix("correlation_id=") {
        Some(id) => own.filter(|t| t.correlation_id == id).map(row).collect(),
        // As the real one does: a query that it cannot read is no query.
        None => own.take(2).map(row).collect(),
    };
    Reply::json(200, json!({"result": rows}))
}

fn own<'a>(world: &'a World, asked: &Asked) -> Result<&'a Ticket, Reply> {
    let id = asked.path.get(4).map_or("", String::as_str);
    world.tickets.iter().find(|t| t.system == SYSTEM && t.id == id).ok_or_else(no_record)
}

fn no_record() -> Reply {
    let detail = "Record doesn't exist or ACL restricts the record retrieval";
    error(SYSTEM, 404, "No Record found", detail)
}

fn update(world: &mut World, asked: &Asked, operation: &str) -> Reply {
    let id = asked.path.get(4).cloned().unwrap_or_default();
    let Some(ticket) = world.tickets.iter_mut().find(|t| t.system == SYSTEM && t.id == id) else {
        return no_record();
    };
    if let Some(note) = asked.body["work_notes"].as_str() {
        ticket.notes.push(note.to_owned());
    }
    if let Some(state) = asked.body["state"].as_str() {
        state.clone_into(&mut ticket.state);
    }
    let effect = if operation == "comment-ticket" { "note added" } else { "ticket closed" };
    Reply::json(200, json!({"result": row(ticket)})).effect(effect).key(&ticket.correlation_id)
}

fn notes(world: &World, asked: &Asked) -> Reply {
    let query = asked.asks("sysparm_query");
    let part =
        |start: &str| query.split('^').find_map(|p| p.strip_prefix(start)).unwrap_or_default();
    let (id, marker) = (part("element_id="), part("valueLIKE"));
    let ticket = world.tickets.iter().find(|t| t.system == SYSTEM && t.id == id);
    let rows: Vec<Value> = ticket
        .iter()
        .flat_map(|t| &t.notes)
        .enumerate()
        .filter(|(_, note)| note.contains(marker))
        .map(|(n, note)| {
            json!({"sys_id": format!("note-{n}"), "element_id": id, "value": note,
                "sys_created_on": rfc3339(asked.at)})
        })
        .collect();
    Reply::json(200, json!({"result": rows}))
}
