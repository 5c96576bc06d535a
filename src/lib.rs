//! Quell: the automated response to MFA fatigue.

pub(crate) mod app;
pub(crate) mod approval;
pub mod cli;
pub(crate) mod config;
pub(crate) mod connector;
pub(crate) mod console;
pub(crate) mod delivery;
pub(crate) mod detect;
pub(crate) mod diagnostic;
pub(crate) mod engine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod intake;
pub(crate) mod jwks;
pub(crate) mod lab;
pub(crate) mod model;
pub(crate) mod notify;
pub(crate) mod people;
pub(crate) mod playbook;
pub(crate) mod poll;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod telemetry;
pub(crate) mod template;

pub use app::Rehearsal;

/// Reads a file of records as one source kind would, runs the detections over it without acting,
/// and returns the table as JSON: what was understood, and which incidents it would open.
pub fn open_data_summary(kind: &str, bytes: &[u8]) -> Result<serde_json::Value, String> {
    let kind = kind.parse::<intake::Kind>().map_err(|e| e.to_string())?;
    let table = detect::backtest(kind, bytes).map_err(|problem| problem.to_string())?;
    serde_json::to_value(table).map_err(|e| e.to_string())
}

/// Reads a file of records as one source kind would, and returns the events that they state as JSON.
pub fn open_data_events(kind: &str, bytes: &[u8]) -> Result<serde_json::Value, String> {
    let kind = kind.parse::<intake::Kind>().map_err(|e| e.to_string())?;
    let parsed = intake::parse(kind, bytes, model::time::Time::MAX_UTC);
    let parsed = parsed.map_err(|problem| problem.to_string())?;
    // A report is a prompt that somebody called a fraud, whether by their own word or the provider's.
    let reported = |id: &str, account: &model::event::AccountName, at: model::time::Time| {
        serde_json::json!({"id": id, "kind": "prompt", "outcome": "reported", "account": account,
            "time": model::time::rfc3339(at)})
    };
    let events = parsed.records.iter().filter_map(|record| match record {
        intake::Record::Event(event) => Some(serde_json::to_value(event)),
        intake::Record::Report(r) => Some(Ok(reported(&r.id.to_string(), &r.account, r.time))),
        intake::Record::Alert(a) if a.kind == model::alert::AlertKind::MfaFraudReported => {
            Some(Ok(reported(&a.id.to_string(), &a.account, a.time)))
        }
        intake::Record::Alert(_) => None,
    });
    events.collect::<Result<_, _>>().map_err(|e| e.to_string())
}
