//! All tests that need a running gateway, in one binary: linking the engine twice costs more than any of them.
//!
//! Each file is about one thing a user does; `support` starts gateways on free ports over small warehouses of their own.

mod catalog;
mod clients;
mod examples;
mod http;
mod iceberg;
mod import_feast;
mod operating;
mod session;
mod slt;
mod sources;
mod support;
mod wire;
