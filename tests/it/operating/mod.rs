//! The binary as an operator meets it: signals, the log, and what it never says.

mod check;
mod compose;
mod reload;
mod secrets;
