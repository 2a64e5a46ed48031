//! The join against a nested-loop reference, against SQL, and at its limits.

mod limits;
mod memory_rows;
mod plans;
mod random;
mod reference;
mod sql;
