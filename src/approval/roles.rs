//! What each role may do. Roles are looked up at every use, so a change counts at once.

/// The roles that can be given.
pub(crate) const ROLES: [&str; 6] =
    ["viewer", "analyst", "approver", "author", "helpdesk", "admin"];

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Approve or deny: with a passkey, every time.
    Decide,
    Note,
    RequestRestore,
    /// Close a case that saw no hostile approval.
    Close,
    /// Close one that did.
    CloseHostile,
    /// Let parked steps try again.
    Resume,
    Pause,
    /// Start containing somebody; what locks them out may still wait for people.
    Contain,
    /// Write down what somebody who calls reports.
    TakeCall,
    /// Ask the person concerned, out of band.
    AskPerson,
    /// End a pause.
    Release,
    /// Say which version of a playbook runs.
    Publish,
    /// Let somebody else enrol a passkey.
    Invite,
    /// Sign a change of what guards everybody.
    Guard,
    /// Have a refused delivery judged again, or a connection tried: neither changes what counts as proof.
    Tend,
    /// Revoke the tokens of others.
    Tokens,
}

/// Whether any of `roles` allows the act. Reading is for everybody who is signed in.
pub(crate) fn may(roles: &[String], act: Act) -> bool {
    roles.iter().any(|role| allows(role, act))
}

fn allows(role: &str, act: Act) -> bool {
    match role {
        "admin" => true,
        "approver" => !matches!(act, Act::Publish | Act::Invite | Act::Tokens),
        "analyst" => {
            matches!(
                act,
                Act::Note
                    | Act::RequestRestore
                    | Act::Close
                    | Act::Pause
                    | Act::Contain
                    | Act::TakeCall
            )
        }
        "author" => matches!(act, Act::Note | Act::Pause | Act::Publish | Act::Tend),
        "helpdesk" => {
            matches!(
                act,
                Act::Note | Act::RequestRestore | Act::Contain | Act::TakeCall | Act::AskPerson
            )
        }
        // `viewer`, and whatever a later version may have written.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_approvers_and_administrators_decide() {
        for role in ["viewer", "analyst", "author", "helpdesk", "", "Approver"] {
            assert!(!may(&[role.to_owned()], Act::Decide), "{role}");
        }
        for role in ["approver", "admin"] {
            assert!(may(&["viewer".into(), role.to_owned()], Act::Decide), "{role}");
        }
    }
}
