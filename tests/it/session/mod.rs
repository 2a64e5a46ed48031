//! One client's statements, transactions and interruptions.

mod cursors;
mod extended;
mod stopping;
mod time_travel;
mod transactions;
