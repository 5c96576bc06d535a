//! The manifests and exchanges that are compiled in. A test holds the lists against `connectors/`.

/// A file: its path below `connectors/`, and its text.
pub(crate) type File = (String, String);

macro_rules! embed {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/connectors/", $path)))),*]
    };
}

const MANIFESTS: &[(&str, &str)] = embed! {
    "capabilities.yaml"
    "duo/connector.yaml"
    "duo/read-log.yaml"
    "entra-id/block-sign-in.yaml"
    "entra-id/connector.yaml"
    "entra-id/dismiss-risk.yaml"
    "entra-id/get-risk.yaml"
    "entra-id/get-user.yaml"
    "entra-id/list-accounts.yaml"
    "entra-id/list-factors.yaml"
    "entra-id/list-roles.yaml"
    "entra-id/list-sign-ins.yaml"
    "entra-id/mark-compromised.yaml"
    "entra-id/remove-factor.yaml"
    "entra-id/reset-credentials.yaml"
    "entra-id/revoke-sessions.yaml"
    "entra-id/unblock-sign-in.yaml"
    "okta/connector.yaml"
    "okta/dismiss-risk.yaml"
    "okta/get-risk.yaml"
    "okta/get-user.yaml"
    "okta/list-accounts.yaml"
    "okta/list-factors.yaml"
    "okta/list-groups.yaml"
    "okta/list-roles.yaml"
    "okta/list-session-clears.yaml"
    "okta/list-sign-ins.yaml"
    "okta/mark-compromised.yaml"
    "okta/quarantine.yaml"
    "okta/release-from-quarantine.yaml"
    "okta/remove-factor.yaml"
    "okta/reset-credentials.yaml"
    "okta/revoke-sessions.yaml"
    "okta/suspend.yaml"
    "okta/unsuspend.yaml"
    "pagerduty-api/connector.yaml"
    "pagerduty-api/list-on-call.yaml"
    "pagerduty/acknowledge.yaml"
    "pagerduty/connector.yaml"
    "pagerduty/reach.yaml"
    "pagerduty/resolve.yaml"
    "pagerduty/trigger.yaml"
    "servicenow/close-ticket.yaml"
    "servicenow/comment-ticket.yaml"
    "servicenow/connector.yaml"
    "servicenow/find-ticket.yaml"
    "servicenow/get-ticket.yaml"
    "servicenow/list-notes.yaml"
    "servicenow/open-ticket.yaml"
    "slack/connector.yaml"
    "slack/post-message.yaml"
    "slack/test-auth.yaml"
    "slack/update-message.yaml"
    "smtp/connector.yaml"
    "smtp/reach.yaml"
    "smtp/send-mail.yaml"
    "teams/connector.yaml"
    "teams/post-card.yaml"
    "teams/reach.yaml"
    "webhook/close-page.yaml"
    "webhook/close-ticket.yaml"
    "webhook/comment-ticket.yaml"
    "webhook/connector.yaml"
    "webhook/open-ticket.yaml"
    "webhook/reach.yaml"
    "webhook/send-message.yaml"
    "webhook/send-page.yaml"
    "webhook/update-message.yaml"
};

const EXCHANGES: &[(&str, &str)] = embed! {
    "duo/exchanges/read-log.yaml"
    "entra-id/exchanges/block-sign-in.yaml"
    "entra-id/exchanges/dismiss-risk.yaml"
    "entra-id/exchanges/get-risk.yaml"
    "entra-id/exchanges/get-user.yaml"
    "entra-id/exchanges/list-accounts.yaml"
    "entra-id/exchanges/list-factors.yaml"
    "entra-id/exchanges/list-roles.yaml"
    "entra-id/exchanges/list-sign-ins.yaml"
    "entra-id/exchanges/mark-compromised.yaml"
    "entra-id/exchanges/remove-factor.yaml"
    "entra-id/exchanges/reset-credentials.yaml"
    "entra-id/exchanges/revoke-sessions.yaml"
    "entra-id/exchanges/unblock-sign-in.yaml"
    "okta/exchanges/dismiss-risk.yaml"
    "okta/exchanges/get-risk.yaml"
    "okta/exchanges/get-user.yaml"
    "okta/exchanges/list-accounts.yaml"
    "okta/exchanges/list-factors.yaml"
    "okta/exchanges/list-groups.yaml"
    "okta/exchanges/list-roles.yaml"
    "okta/exchanges/list-session-clears.yaml"
    "okta/exchanges/list-sign-ins.yaml"
    "okta/exchanges/mark-compromised.yaml"
    "okta/exchanges/quarantine.yaml"
    "okta/exchanges/release-from-quarantine.yaml"
    "okta/exchanges/remove-factor.yaml"
    "okta/exchanges/reset-credentials.yaml"
    "okta/exchanges/revoke-sessions.yaml"
    "okta/exchanges/suspend.yaml"
    "okta/exchanges/unsuspend.yaml"
    "pagerduty-api/exchanges/list-on-call.yaml"
    "pagerduty/exchanges/acknowledge.yaml"
    "pagerduty/exchanges/reach.yaml"
    "pagerduty/exchanges/resolve.yaml"
    "pagerduty/exchanges/trigger.yaml"
    "servicenow/exchanges/close-ticket.yaml"
    "servicenow/exchanges/comment-ticket.yaml"
    "servicenow/exchanges/find-ticket.yaml"
    "servicenow/exchanges/get-ticket.yaml"
    "servicenow/exchanges/list-notes.yaml"
    "servicenow/exchanges/open-ticket.yaml"
    "slack/exchanges/post-message.yaml"
    "slack/exchanges/test-auth.yaml"
    "slack/exchanges/update-message.yaml"
    "smtp/exchanges/reach.yaml"
    "smtp/exchanges/send-mail.yaml"
    "teams/exchanges/post-card.yaml"
    "teams/exchanges/reach.yaml"
    "webhook/exchanges/close-page.yaml"
    "webhook/exchanges/close-ticket.yaml"
    "webhook/exchanges/comment-ticket.yaml"
    "webhook/exchanges/open-ticket.yaml"
    "webhook/exchanges/reach.yaml"
    "webhook/exchanges/send-message.yaml"
    "webhook/exchanges/send-page.yaml"
    "webhook/exchanges/update-message.yaml"
};

/// `capabilities.yaml`, every `connector.yaml` and every action.
pub(crate) fn manifests() -> impl Iterator<Item = File> {
    owned(MANIFESTS)
}

/// The contract cases.
pub(crate) fn exchanges() -> impl Iterator<Item = File> {
    owned(EXCHANGES)
}

fn owned(files: &'static [(&str, &str)]) -> impl Iterator<Item = File> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_lists_name_every_file_of_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
        let mut found = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                // What sources send, and not what is called.
                if path.ends_with("mappings") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "yaml") {
                    found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let listed: BTreeSet<String> =
            manifests().chain(exchanges()).map(|(path, _)| path).collect();

        assert_eq!(listed, found);
    }
}
