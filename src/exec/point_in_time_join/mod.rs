//! The point-in-time join.

mod feature_rows;

pub use feature_rows::{FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator};
