//! Connectors: what a system can do, described as data, and the one place that calls it.
//!
//! `connectors/<name>/` holds one manifest per connector and one file per action; a
//! `[connections.NAME]` section makes a configured, credentialed instance of it. A call
//! goes through four pieces, of which only the third touches the network:
//!
//! * `request` builds what is sent, from values, never by pasting text;
//! * `auth` adds the credential, which is resolved at that moment;
//! * `outbound` is the only HTTP client, behind the [`Transport`](outbound::Transport) port;
//! * `response` reads the answer into one of six outcomes, as the manifest says.
//!
//! Where a system speaks no HTTP (mail), its transport in `native` takes the same requests and gives answers of
//! the same kind, so that manifests, contracts and outcomes are no different.
//!
//! `contracts` replays the documented exchanges in `connectors/*/exchanges/` through the pure pieces.
//!
//! May use `model` and `secret`. Knows no axum, no store and no engine.

pub(crate) mod auth;
pub(crate) mod builtin;
pub(crate) mod call;
pub(crate) mod capability;
pub(crate) mod catalogue;
mod chat;
pub(crate) mod check;
mod connected;
pub(crate) mod connections;
pub(crate) mod contracts;
mod exchange;
pub(crate) mod expr;
pub(crate) mod input;
pub(crate) mod lookup;
pub(crate) mod manifest;
mod native;
pub(crate) mod options;
pub(crate) mod outbound;
pub(crate) mod pace;
pub(crate) mod probe;
pub(crate) mod proof;
pub(crate) mod pull;
pub(crate) mod request;
pub(crate) mod resolve;
pub(crate) mod response;
pub(crate) mod retry_after;
pub(crate) mod schema;
