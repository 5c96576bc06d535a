//! Keeps what was promised: the journal, its index, and the evidence log.
//!
//! The journal is the truth; everything else in a folder can be lost and made again from it.
//!
//! * `journal` appends hash-chained lines, many commits to one sync, and refuses to
//!   open over damage.
//! * `index` keeps rows and timelines in sled, which may lag behind, break or vanish.
//! * `verify` proves a folder; `checkpoint` signs its head, `anchor` reads what was kept elsewhere.
//! * `evidence` keeps raw events for a time.
//! * `folder` opens all three under one lock and says what it found.
//! * `archive` packs a folder while it is in use, `export` its journal alone; both come back.
//! * `refused` keeps deliveries that were not taken, for people who mend the settings.
//! * `memory` is the same store without a disk, for simulation.
//!
//! Both stores answer to one suite, `conformance`.
//!
//! May use `model`, `engine::ports` and what `delivery` wants kept. Knows no HTTP, and not what a row means.

pub(crate) mod anchor;
pub(crate) mod archive;
pub(crate) mod checkpoint;
#[cfg(test)]
mod conformance;
pub(crate) mod disk;
pub(crate) mod evidence;
pub(crate) mod export;
pub(crate) mod folder;
mod guard;
#[cfg(test)]
mod guard_tests;
mod hold;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod jwks;
pub(crate) mod memory;
pub(crate) mod refused;
pub(crate) mod verify;
