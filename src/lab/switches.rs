//! The lab's own pages below `/lab`: switches for faults, the attacker, and the oracle.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::Lab;
use super::door::Inside;
use super::fault::Switch;
use super::world::System;
use crate::model::time::Span;

pub(super) fn router() -> Router<Lab> {
    Router::new()
        .route("/lab/oracle", get(oracle))
        .route("/lab/faults", get(faults).post(set_fault).delete(clear_faults))
        .route("/lab/lag", post(set_lag))
        .route("/lab/logs", post(set_logs))
        .route("/lab/attack", post(attack))
}

impl Lab {
    /// Sets a fault behind those that are set already.
    pub(crate) fn fault(&self, switch: Switch) {
        self.world().switches.push(switch);
    }

    pub(crate) fn clear_faults(&self) {
        self.world().switches.clear();
    }

    /// From now on changes in a system are seen only after `lag`.
    pub(crate) fn set_lag(&self, system: System, lag: Span) {
        self.world().lag.insert(system, lag);
    }

    #[cfg(test)]
    /// Every access token stops working at once.
    pub(crate) fn revoke_tokens(&self) {
        self.world().tokens.clear();
    }
}

async fn oracle(State(lab): Inside) -> Json<Value> {
    Json(lab.oracle().json())
}

async fn faults(State(lab): Inside) -> Json<Vec<Switch>> {
    Json(lab.world().switches.clone())
}

async fn set_fault(State(lab): Inside, Json(switch): Json<Switch>) -> StatusCode {
    lab.fault(switch);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(lab): Inside) -> StatusCode {
    lab.clear_faults();
    StatusCode::NO_CONTENT
}

/// `{"system": "graph", "lag": "90s"}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lag {
    system: System,
    lag: Span,
}

async fn set_lag(State(lab): Inside, Json(lag): Json<Lag>) -> StatusCode {
    lab.set_lag(lag.system, lag.lag);
    StatusCode::NO_CONTENT
}

/// `{"late": {"graph": "10m"}, "page": 2, "repeats": 1}`: how the logs are given to whoever polls them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Logs {
    #[serde(default)]
    late: BTreeMap<System, Span>,
    page: Option<usize>,
    #[serde(default)]
    repeats: usize,
}

async fn set_logs(State(lab): Inside, Json(logs): Json<Logs>) -> StatusCode {
    for (system, late) in logs.late {
        lab.set_late(system, late);
    }
    if let Some(page) = logs.page {
        lab.set_pages(page, logs.repeats);
    }
    StatusCode::NO_CONTENT
}

/// `{"login": "dana.reyes@lab.example", "does": "sign_in"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    login: String,
    does: Deed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    StealPassword,
    Push {
        prompts: usize,
    },
    SignIn,
    EnrolFactor,
    PushAtDuo {
        prompts: usize,
    },
    /// It is the person who does this.
    Report,
}

async fn attack(State(lab): Inside, Json(attack): Json<Attack>) -> Json<Value> {
    let login = &attack.login;
    Json(match attack.does {
        Deed::StealPassword => {
            lab.attacker_steals_password(login);
            json!({})
        }
        Deed::Push { prompts } => {
            lab.attacker_pushes(login, prompts.min(1000));
            json!({})
        }
        Deed::PushAtDuo { prompts } => {
            lab.attacker_pushes_at_duo(login, prompts.min(1000));
            json!({})
        }
        Deed::Report => {
            lab.person_reports(login);
            json!({})
        }
        Deed::SignIn => json!({"worked_in": lab.attacker_signs_in(login)}),
        Deed::EnrolFactor => json!({"factors": lab.attacker_enrols_factor(login)}),
    })
}
