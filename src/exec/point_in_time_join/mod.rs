//! The point-in-time join.

mod error;
mod feature_rows;
mod instant;
mod keys;
mod logical;
mod lookup;
mod metrics;
mod relation;

pub use error::JoinError;
pub use feature_rows::{FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator};
pub use logical::PointInTimeJoin;
pub use lookup::{EntityTime, Lookup, OutputColumn};
pub use metrics::TieCounter;
pub use relation::RelationRows;
