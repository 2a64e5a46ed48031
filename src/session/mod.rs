//! One client's state and the life cycle of its statements.
//!
//! The wire drives a [`Session`] through the trait [`Backend`]; sessions share a [`FeatureGateway`]. A statement goes from `statement` (which
//! kind is it) to `query`, `tables` or `settings`; `transaction` says what of its effects can be taken back.

mod backend;
mod copy;
mod engine;
mod gateway;
mod memory;
mod query;
mod response;
#[allow(clippy::module_inception)]
mod session;
mod settings;
mod statement;
mod tables;
mod temp_tables;
mod transaction;
mod vars;

pub use crate::pg_format::OutputSettings;
pub use backend::{Authentication, Backend, Gateway, Interrupt, Limits, Startup, Tls};
pub use gateway::{FeatureGateway, SharedGateway};
pub use response::{Column, CopyFormat, CopyOptions, Notice, Response, Rows, TransactionStatus};
pub use session::Session;
pub use vars::{SERVER_VERSION, SessionVars};
