//! The connections by which Quell reaches the lab, with the credentials that only the lab knows.

use serde_json::{Value, json};

use super::Lab;
use super::duo::KEY;
use super::login::{ADMIN_APP, APP};
use super::servicenow::USER;
use super::tenant::Credentials;
use super::world::QUARANTINE;
use crate::connector::options::Options;
use crate::model::id::ConnectionId;

impl Lab {
    /// `entra`, `okta`, `duo`, `servicenow` and `webhook`, below `base_url` (such as `http://127.0.0.1:8088`).
    pub(crate) fn connections(&self, base_url: &str) -> Vec<(ConnectionId, Options)> {
        let read = |(name, section): (&str, Value)| {
            Some((name.into(), serde_json::from_value(section).ok()?))
        };
        self.sections(base_url).into_iter().filter_map(read).collect()
    }

    /// The same as configuration sections, with the lab's secrets written out: for a config file of a lab deployment.
    pub(crate) fn sections(&self, base_url: &str) -> Vec<(&'static str, Value)> {
        let base = base_url.trim_end_matches('/');
        let known = self.world().credentials.clone();
        let mut sections = vec![
            ("entra", entra(base, &known)),
            ("okta", okta(base, &known)),
            ("duo", duo(base, &known)),
            ("servicenow", servicenow(base, &known)),
            ("webhook", webhook(base, &known)),
        ];
        for (_, section) in &mut sections {
            section["allow_networks"] = json!(["127.0.0.0/8", "::1/128"]);
        }
        sections
    }
}

/// The channels, for a Quell in the same process: their mail is taken by the lab itself, as no server would.
#[cfg(test)]
impl Lab {
    /// `slack`, `teams`, `pagerduty` and `smtp`, below `host` (such as `127.0.0.1:1`).
    pub(crate) fn channels(&self, host: &str) -> Vec<(ConnectionId, Options)> {
        let known = self.world().credentials.clone();
        let sections = [
            (
                "slack",
                json!({"connector": "slack", "base_url": format!("http://{host}/slack"),
                "auth": {"bearer": {"token": text(&known.slack_token)}}, "settings": {"channel": "#soc"}}),
            ),
            (
                "teams",
                json!({"connector": "teams", "base_url": format!("http://{host}/teams"),
                "auth": {"query": {"name": "sig", "value": text(&known.teams_sig)}}}),
            ),
            (
                "pagerduty",
                json!({"connector": "pagerduty", "base_url": format!("http://{host}/pagerduty"),
                "auth": {"body_field": {"name": "routing_key", "value": text(&known.routing_key)}}}),
            ),
            (
                "smtp",
                json!({"connector": "smtp", "base_url": format!("smtp://{host}/mail"),
                "auth": {"basic": {"user": "quell", "password": text(&known.mail_password)}},
                "settings": {"from": "Quell <quell@lab.example>"}}),
            ),
        ];
        let read = |(name, mut section): (&str, Value)| {
            section["allow_networks"] = json!(["127.0.0.0/8"]);
            Some((name.into(), serde_json::from_value(section).ok()?))
        };
        sections.into_iter().filter_map(read).collect()
    }
}

fn text(secret: &str) -> String {
    format!("text:{secret}")
}

fn entra(base: &str, known: &Credentials) -> Value {
    let app = |client: &str, secret: &str| {
        json!({"client_secret": {"client_id": client, "secret": text(secret),
            "scope": "https://graph.microsoft.com/.default"}})
    };
    json!({
        "connector": "entra-id",
        "base_url": format!("{base}/graph"),
        "token_url": format!("{base}/login/lab/oauth2/v2.0/token"),
        "auth": app(APP, &known.app_secret),
        "privileged": app(ADMIN_APP, &known.admin_app_secret),
    })
}

fn okta(base: &str, known: &Credentials) -> Value {
    let ssws = |token: &str| json!({"ssws": {"token": text(token)}});
    json!({
        "connector": "okta",
        "base_url": format!("{base}/okta"),
        "auth": ssws(&known.okta_token),
        "privileged": ssws(&known.okta_admin_token),
        "settings": {"quarantine_group": QUARANTINE, "identity_threat_protection": true},
    })
}

fn duo(base: &str, known: &Credentials) -> Value {
    json!({
        "connector": "duo",
        "base_url": format!("{base}/duo"),
        "auth": {"duo_signature": {"integration_key": KEY, "secret_key": text(&known.duo_secret)}},
    })
}

fn servicenow(base: &str, known: &Credentials) -> Value {
    json!({
        "connector": "servicenow",
        "base_url": format!("{base}/servicenow"),
        "auth": {"basic": {"user": USER, "password": text(&known.desk_password)}},
        "settings": {"queues": {"SOC": "grp-soc"}, "assignment_group": "grp-desk"},
    })
}

fn webhook(base: &str, known: &Credentials) -> Value {
    json!({
        "connector": "webhook",
        "base_url": format!("{base}/webhook"),
        "auth": {"webhook_signature": {"secret": text(&known.webhook_secret)}},
    })
}
