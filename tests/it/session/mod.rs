//! One client's statements, transactions and interruptions.

mod cursors;
mod extended;
mod scans;
mod stopping;
mod time_travel;
mod transactions;
