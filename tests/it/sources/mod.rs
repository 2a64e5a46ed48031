//! Tables as others write them.

mod compose;
mod credentials;
mod faults;
mod fixtures;
mod glob;
mod nessie_and_rest;
mod original_walkthrough;
mod sql_writers;
mod tls;
mod trino;
mod trino_logins;
