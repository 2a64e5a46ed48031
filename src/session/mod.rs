//! One client's state and the life cycle of its statements.

mod backend;
mod response;

pub use backend::{Authentication, Backend, Gateway, Interrupt, Limits, Startup, Tls};
pub use response::{Column, CopyFormat, CopyOptions, Notice, OutputSettings, Response, Rows, TransactionStatus};
