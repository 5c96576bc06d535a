//! Quell: the automated response to MFA fatigue.

pub(crate) mod app;
pub(crate) mod approval;
pub mod cli;
pub(crate) mod config;
pub(crate) mod connector;
pub(crate) mod console;
pub(crate) mod detect;
pub(crate) mod diagnostic;
pub(crate) mod engine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod intake;
pub(crate) mod lab;
pub(crate) mod model;
pub(crate) mod people;
pub(crate) mod playbook;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod store;
pub(crate) mod telemetry;
pub(crate) mod template;

/// Reads a file of records as one source kind would, runs the detections over it without acting,
/// and returns the table as JSON: what was understood, and which incidents it would open.
pub fn open_data_summary(kind: &str, bytes: &[u8]) -> Result<serde_json::Value, String> {
    let kind = kind.parse::<intake::Kind>().map_err(|e| e.to_string())?;
    let table = detect::backtest(kind, bytes).map_err(|problem| problem.to_string())?;
    serde_json::to_value(table).map_err(|e| e.to_string())
}
