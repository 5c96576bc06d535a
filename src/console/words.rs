//! Sentences: what an action does, what silence means, what a journal entry says.

use crate::model::alert::{Proof, Report};
use crate::model::approval::{Approval, Asks, Item};
use crate::model::asked::{PersonAnswered, Reply};
use crate::model::id::Capability;
use crate::model::oncall::{Addressed, Asked};
use crate::model::plan::OnTimeout;
use crate::model::run::Conclusion;
use crate::model::subject::Subject;
use crate::model::text::{tame, tame_field};

/// What an action does to somebody, in one sentence.
pub(super) fn action(capability: &Capability, whom: &str) -> String {
    match capability.as_str() {
        "identity.revoke_sessions" => format!("End every session of {whom}; they sign in again"),
        "identity.block_sign_in" => format!("Block {whom} from signing in"),
        "identity.unblock_sign_in" => format!("Let {whom} sign in again"),
        "identity.reset_credentials" => {
            format!("Replace the password of {whom}; they recover it through the help desk")
        }
        "identity.issue_temporary_access" => format!("Issue a temporary access pass for {whom}"),
        "identity.remove_factor" => {
            format!("Remove the second factor that was added to {whom} during the attack")
        }
        "identity.require_reregistration" => {
            format!("Make {whom} register their second factors again")
        }
        "identity.mark_compromised" => format!("Mark {whom} as compromised"),
        "identity.dismiss_risk" => format!("Dismiss the risk of {whom}"),
        "identity.revoke_grant" => format!("Take away what {whom} has let an application do"),
        "identity.disable_inbox_rule" => format!("Disable an inbox rule of {whom}"),
        "endpoint.isolate" => format!("Cut a device of {whom} off from the network"),
        "endpoint.release" => format!("Let a device of {whom} back onto the network"),
        "network.block_ip" => format!("Block the network address used against {whom}"),
        "network.unblock_ip" => format!("Unblock the network address used against {whom}"),
        "network.end_sessions" => format!("End the VPN sessions of {whom}"),
        "ticket.open" => format!("Open a ticket about {whom}"),
        other => format!("Do `{other}` to {whom}"),
    }
}

/// [`action`] for an item of a question, with its account.
pub(super) fn item(item: &Item, subject: Option<&Subject>) -> String {
    let account = item.account.as_ref();
    let login = account.and_then(|key| subject?.account(key)).map(|a| a.login.clone());
    let whom = match (login, account) {
        (Some(login), Some(key)) if login != item.target_name => {
            format!("{} ({login}) at {}", item.target_name, key.connection)
        }
        (_, Some(key)) => format!("{} at {}", item.target_name, key.connection),
        (_, None) => item.target_name.clone(),
    };
    action(&item.capability, &whom)
}

/// What is known about a report besides when it came.
pub(super) fn report(report: &Report) -> String {
    let proof = match report.proof {
        Proof::SelfProved => "by the person concerned, who proved it",
        Proof::AuthenticatedOther => "by somebody who is known",
        Proof::Relayed => "told on, proved by nobody",
    };
    let taken = report.taken_by.as_deref().map(|by| format!(", taken by {}", tame_field(by)));
    let said = if report.text.is_empty() { String::new() } else { format!(": {}", report.text) };
    let (number, taken) = (report.reference(), taken.unwrap_or_default());
    tame(&format!("Number {number}, {proof}{taken}{said}"), 600)
}

/// What the person concerned said when they were asked.
pub(super) fn answered(e: &PersonAnswered) -> String {
    let said = match e.reply {
        Some(Reply::No) => "The person concerned says: these prompts were not mine",
        Some(Reply::Yes) => "The person concerned says: it was me",
        Some(Reply::Unsure) => "The person concerned is not sure",
        None => "The person concerned did not answer in time",
    };
    format!("{said} (asked by {}, over {})", tame_field(&e.by), e.channel.words())
}

/// What an answer changed.
pub(super) fn led_to(e: &PersonAnswered) -> String {
    match (e.reply, e.lowered_watch_until) {
        (Some(Reply::No), _) => "It counts as a report",
        (Some(Reply::Yes), Some(_)) => {
            "The severity is lowered and the watch kept up; nothing is closed"
        }
        (Some(Reply::Yes), None) => "A prompt was approved, so this changes nothing by itself",
        (Some(Reply::Unsure) | None, _) => "It changes nothing",
    }
    .to_owned()
}

/// To whom a question was put.
pub(super) fn asked(asked: &Addressed) -> String {
    let name = |a: &Asked| match &a.instead_of {
        Some(whose) => format!("{} for {}", tame_field(&a.name), tame_field(whose)),
        None => tame_field(&a.name),
    };
    let mut names: Vec<String> = asked.people.iter().map(name).collect();
    if asked.everybody {
        names.push("everybody who may decide".to_owned());
    }
    let level = asked.level.map_or_else(String::new, |l| format!(" ({} level)", l.name()));
    format!("{}{level}", names.join(", "))
}

/// What happens when nobody answers.
pub(super) fn silence(question: &Approval) -> &'static str {
    match (question.asks, question.on_timeout) {
        (Asks::Ratify, _) => "it stands as it is",
        (Asks::Restore, _) => "it counts as no: what is blocked stays blocked",
        (Asks::Contain, OnTimeout::Deny) => {
            "it counts as no: none of this is done, and the incident stays open"
        }
        (Asks::Contain, OnTimeout::Approve) => "it counts as yes: all of this is done",
        (Asks::Contain, OnTimeout::Escalate) if !question.goes_on() => {
            "it counts as no: none of this is done, and the incident stays open"
        }
        (Asks::Contain, OnTimeout::Escalate) => {
            "it is passed on to the next people for as long again; nothing is done until then"
        }
    }
}

/// A question's actions in a few words: each once, with how often.
pub(super) fn gist(question: &Approval) -> String {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for item in &question.items {
        let short = tame_field(short(&item.capability));
        match kinds.iter_mut().find(|(kind, _)| *kind == short) {
            Some((_, times)) => *times += 1,
            None => kinds.push((short, 1)),
        }
    }
    let say = |(kind, times): (String, usize)| match times {
        1 => kind,
        _ => format!("{kind} ×{times}"),
    };
    kinds.into_iter().map(say).collect::<Vec<_>>().join(", ")
}

/// Why an action was not done, where its state does not say.
pub(super) fn missed(conclusion: Conclusion) -> Option<&'static str> {
    match conclusion {
        Conclusion::Denied => Some("Not done: a person left it out or said no."),
        Conclusion::Expired => Some("Not done: nobody answered in time."),
        _ => None,
    }
}

/// What can be done about an action afterwards.
pub(super) fn undo(item: &Item) -> String {
    match item.capability.as_str() {
        // No connector takes it back by itself, but people can ask for it.
        "identity.unblock_sign_in" => "the account can be blocked again".to_owned(),
        _ => tame_field(&item.reversal),
    }
}

/// A capability in two or three words, for tables.
pub(super) fn short(capability: &Capability) -> &str {
    match capability.as_str() {
        "identity.revoke_sessions" => "End sessions",
        "identity.block_sign_in" => "Block sign-in",
        "identity.unblock_sign_in" => "Unblock sign-in",
        "identity.reset_credentials" => "Replace password",
        "identity.remove_factor" => "Remove factor",
        "identity.require_reregistration" => "Register factors again",
        "identity.revoke_grant" => "Revoke grant",
        "identity.disable_inbox_rule" => "Disable inbox rule",
        "endpoint.isolate" => "Isolate device",
        "network.block_ip" => "Block address",
        "network.end_sessions" => "End VPN sessions",
        other => other,
    }
}
