//! Table functions, one per file: how their arguments are read and what relation they become.

mod arguments;
mod retrieval;

pub use arguments::{EntityRows, RetrievalCall, is_retrieval};
pub use retrieval::{Moment, plan_retrieval};
