//! What both directories do alike: find an account for a caller who may touch it.

use super::reply::{Reply, error};
use super::world::{Account, System, World};
use crate::model::time::Time;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) privileged: bool,
}

/// The account, if the caller may change it.
pub(super) fn changeable<'a>(
    world: &'a mut World,
    system: System,
    name: &str,
    caller: Caller,
) -> Result<&'a mut Account, Reply> {
    let (missing, denied) = match system {
        System::Okta => (("E0000007", "Not found: Resource not found (User)"), "E0000006"),
        _ => (
            ("Request_ResourceNotFound", "Resource does not exist."),
            "Authorization_RequestDenied",
        ),
    };
    let account =
        world.account_mut(system, name).ok_or_else(|| error(system, 404, missing.0, missing.1))?;
    if account.privileged() && !caller.privileged {
        let why = "Insufficient privileges to complete the operation.";
        return Err(error(system, 403, denied, why).about(&account.login));
    }
    Ok(account)
}

/// Ends every session, the attacker's too.
pub(super) fn revoke(account: &mut Account, now: Time) {
    // The vendors' stamps have whole seconds.
    let stamp = Time::from_timestamp(now.timestamp(), 0).unwrap_or(now);
    account.change(now, |condition| {
        condition.sessions.clear();
        condition.sessions_valid_from = stamp;
    });
}

/// Sets a password that the attacker does not have.
pub(super) fn set_password(account: &mut Account, now: Time) {
    account.change(now, |condition| {
        condition.password_changed_at = now;
        condition.password_stolen = false;
    });
}

/// The literal of `field eq 'literal'` in a filter, with its quotes undone.
pub(super) fn literal(filter: &str, field: &str, quote: char) -> Option<String> {
    let start = format!("{field} eq {quote}");
    let rest = &filter[filter.find(&start)? + start.len()..];
    let mut out = String::new();
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quote == '"' => out.extend(chars.next()),
            c if c == quote && quote == '\'' && chars.peek() == Some(&quote) => {
                chars.next();
                out.push(quote);
            }
            c if c == quote => return Some(out),
            c => out.push(c),
        }
    }
    None
}
