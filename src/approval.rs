//! Who must say yes, to what exactly, and what a yes is worth.
//!
//! Pure: [`gate()`](gate::gate) judges one step for one item by the response doctrine;
//! [`who`] says who may answer and when answers are enough; [`rota`] says whose turn it is to be
//! asked, which gives nobody a right; [`statement`] says what a passkey signs. The engine asks, the console shows, the driver compares what it is about to send
//! with what was granted.

pub(crate) mod gate;
pub(crate) mod roles;
pub(crate) mod rota;
pub(crate) mod stand_in;
pub(crate) mod statement;
pub(crate) mod who;
