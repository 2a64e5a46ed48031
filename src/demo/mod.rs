//! `featgres demo`: an embedded warehouse with a story in it, served and shown.
//!
//! The folder is prepared ([`folder`]: created and filled if empty, taken as it is the second time, refused if it holds anything else),
//! the gateway serves it like any other configuration, and a client of our own ([`session`]) runs `sql/quickstart.sql` over the real
//! socket and prints what psql would print. Nothing on this path is a shortcut: what the demo shows is what a client gets.

pub mod client;
mod error;
pub mod folder;
pub mod psql;
pub mod sample;
pub mod session;
pub mod warehouse;

pub use error::DemoError;

/// The project, and so the database name, of the demo.
pub const PROJECT: &str = "demo";
