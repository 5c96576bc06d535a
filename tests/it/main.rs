//! Everything that needs more than one room.

mod open_data;
