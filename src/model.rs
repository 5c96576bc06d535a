//! The words of Quell as plain types: events, alerts, subjects, incidents, plans' actions, journal entries.
//!
//! Every room speaks through these types, so they know nothing but data: no tokio,
//! no HTTP, no disk, and no clock (a time is always handed in).

pub(crate) mod action;
pub(crate) mod alert;
pub(crate) mod approval;
pub(crate) mod asked;
pub(crate) mod connected;
pub(crate) mod deed;
pub(crate) mod entry;
pub(crate) mod event;
pub(crate) mod id;
pub(crate) mod incident;
pub(crate) mod notice;
pub(crate) mod oncall;
pub(crate) mod plan;
pub(crate) mod poll;
pub(crate) mod run;
pub(crate) mod subject;
pub(crate) mod text;
pub(crate) mod time;
