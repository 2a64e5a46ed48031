//! One client's statements, transactions and interruptions.

mod extended;
mod stopping;
mod time_travel;
mod transactions;
