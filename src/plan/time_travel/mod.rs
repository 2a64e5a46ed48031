//! Reading tables as they were: `at =>` of a call, and what `feature_store.last_query()` remembers of one.
//!
//! `at` is about the tables below one call, but relations are resolved for a whole statement before planning begins. So
//! [`calls`] first writes the pin onto the tree, at every table that the call reads; from there on a pinned table is a table
//! with a version, as after `FOR VERSION AS OF`. [`at`] is the argument's text and what it means for one table;
//! [`retrieved`] is the record of what was read, whose own `at` text leads back to the same snapshots.

mod at;
mod calls;
mod retrieved;

pub use at::At;
pub use calls::{Version, mark_statement, pin_calls};
pub use retrieved::{Reads, Retrieved};

#[cfg(test)]
mod tests;
