//! One client's state and the life cycle of its statements.

mod response;

pub use response::{Column, CopyFormat, CopyOptions, Notice, OutputSettings, Response, Rows, TransactionStatus};
