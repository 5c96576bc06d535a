//! Puts the rooms together.

pub(crate) mod ports;
pub(crate) mod trial;
