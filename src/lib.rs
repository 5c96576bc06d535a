//! Quell: the automated response to MFA fatigue.
#![allow(dead_code, unused_imports, reason = "rooms are being built; removed when they are joined")]

pub(crate) mod approval;
pub mod cli;
pub(crate) mod detect;
pub(crate) mod diagnostic;
pub(crate) mod engine;
pub(crate) mod model;
pub(crate) mod playbook;
pub(crate) mod template;
pub(crate) mod store;
