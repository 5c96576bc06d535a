//! Quell: the automated response to MFA fatigue.
#![allow(dead_code, reason = "rooms are being built; removed when they are joined")]

pub(crate) mod connector;
pub(crate) mod engine;
pub(crate) mod lab;
pub(crate) mod model;
pub(crate) mod secret;
