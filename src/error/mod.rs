//! What a client is told when something goes wrong: a SQLSTATE, a message in PostgreSQL's style, and where it
//! helps a detail, a hint and a position.
//!
//! Every module has one error enum of its own, with variants named for the condition and holding the names
//! involved; it implements [`ReportError`], and any such error becomes a [`Report`] by `From`. A `Report` is itself a
//! `std::error::Error`, so it survives a trip through the engine as an external error and is found again there.

mod notice;
mod report;
mod sqlstate;

pub use notice::Notice;
pub use report::{Place, Report, ReportError, null_in_column, perhaps_you_meant};
pub use sqlstate::SqlState;
