//! One client's state and the life cycle of its statements.
//!
//! The wire drives a [`Session`] through the trait [`Backend`]; sessions share a [`FeatureGateway`]. A statement goes from `statement` (which
//! kind is it) to `query`, `tables` or `settings`; `transaction` says what of its effects can be taken back.

mod assignment;
mod backend;
mod calls;
mod copy;
mod copy_options;
mod crews;
mod cursor;
mod cursor_rows;
mod engine;
mod entity_rows;
mod gateway;
mod held_rows;
mod known;
mod memory;
mod outer_joins;
mod password;
mod portals;
mod prepared;
mod query;
mod read_only;
mod readiness;
mod response;
mod row_order;
mod series_order;
#[allow(clippy::module_inception)]
mod session;
mod setting_values;
mod settings;
mod short_steps;
mod statement;
mod statistics;
mod tables;
mod temp_tables;
mod transaction;
mod transaction_timer;
mod vars;
mod wide_rows;
mod work;
mod yielding;

pub use crate::catalog::Encryption;
pub use crate::pg_format::{DateOrder, OutputSettings};
pub use backend::{Authentication, Backend, Gateway, Input, Interrupt, Limits, Startup};
pub use calls::{Answer, CreatedView, DefinedFeature, LatestFeatures, StoreStatus, ViewDefinition};
pub use gateway::{FeatureGateway, SharedGateway};
pub use readiness::{CatalogHealth, Readiness};
pub use response::{Column, CopyFormat, CopyHeader, CopyOptions, Notice, Response, Rows, TransactionStatus};
pub use session::Session;
pub use vars::{SERVER_VERSION, SessionVars};
