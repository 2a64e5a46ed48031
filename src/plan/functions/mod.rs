//! Table functions, one per file: how their arguments are read and what relation they become.

mod arguments;
mod ranges;
mod retrieval;

pub use arguments::{
    EntityRows, PositionOf, RangesCall, RetrievalCall, at_argument, constant_text, entities_argument, has_at, is_last_query, is_ranges,
    is_retrieval,
};
pub use ranges::plan_ranges;
pub use retrieval::{Moment, plan_retrieval};
