//! Transports of systems that speak no HTTP.
//!
//! Each takes requests as manifests make them and answers with a status, so that the rest of the room need not
//! know: credentials come in the usual header, outcomes are read by the manifest's rules, and what the guard
//! refuses is not dialled.

mod mail;
mod smtp;

pub(crate) use smtp::SmtpTransport;
