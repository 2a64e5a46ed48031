//! Tables as others write them.

mod faults;
mod fixtures;
mod nessie_and_rest;
mod glob;
mod original_walkthrough;
mod trino;
mod trino_logins;
