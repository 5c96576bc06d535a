//! What a system is asked and what it answers, between the door and the systems. Plain data.

use http::{HeaderMap, Method};
use serde_json::Value;
use std::collections::BTreeMap;

use super::world::System;
use crate::model::time::Time;

/// One request, taken apart.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Decoded path segments below the system's root.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) raw: Vec<u8>,
    pub(super) body: Value,
    /// `http://host/system`, for links to further pages.
    pub(super) base: String,
    pub(super) at: Time,
}

impl Asked {
    /// Method and path in the form that the systems match on.
    pub(super) fn route(&self) -> (&str, Vec<&str>) {
        (self.method.as_str(), self.path.iter().map(String::as_str).collect())
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn asks(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// One answer, with what the oracle notes.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    /// What happened to the world, if anything did.
    pub(super) effect: Option<&'static str>,
    /// The login of the account that it was about.
    pub(super) login: Option<Box<str>>,
    /// The key by which a repeated call would be recognised.
    pub(super) key: Option<Box<str>>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    pub(super) fn effect(mut self, effect: &'static str) -> Self {
        self.effect = Some(effect);
        self
    }

    pub(super) fn about(mut self, login: &str) -> Self {
        self.login = Some(login.into());
        self
    }

    pub(super) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// How a system names its errors.
pub(super) fn error(system: System, status: u16, code: &str, message: &str) -> Reply {
    use serde_json::json;
    Reply::json(
        status,
        match system {
            System::Graph => json!({"error": {"code": code, "message": message,
                "innerError": {"request-id": "lab", "client-request-id": "lab"}}}),
            System::Okta => json!({"errorCode": code, "errorSummary": message, "errorLink": code,
                "errorId": "oaelab", "errorCauses": []}),
            System::Duo => {
                json!({"stat": "FAIL", "code": code.parse::<u32>().ok(), "message": message})
            }
            System::Servicenow => {
                json!({"error": {"message": code, "detail": message}, "status": "failure"})
            }
            System::Login => json!({"error": code, "error_description": message}),
            System::Webhook => json!({"error": code, "message": message}),
            System::Slack => json!({"ok": false, "error": code}),
            System::Teams => json!({"error": {"code": code, "message": message}}),
            System::Pagerduty => json!({"status": code, "message": message}),
            System::Mail => json!({"code": code, "message": message}),
        },
    )
}
