//! Durable definitions: what `CREATE ENTITY` and `CREATE FEATURE VIEW` made, as numbered versions under one URL.
//!
//! A [`RegistrySnapshot`] is one version, immutable. A [`RegistryChange`] is one statement's effect; applying it to a
//! snapshot validates it against that snapshot (names, dependencies) and gives the next. A [`RegistryStore`] makes
//! versions durable with create-only objects, so that of two writers one wins and the other is told.

mod change;
mod definition;
mod entity;
mod error;
mod feature_view;
mod format;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;

pub use change::RegistryChange;
pub use definition::{entity_definition, feature_view_definition};
pub use entity::{Entity, JoinKey};
pub use error::RegistryError;
pub use feature_view::{ColumnBinding, EntityBinding, Feature, FeatureView, Pin, Scan, TimeToLive, ViewSource};
pub use snapshot::{HistoryEntry, RegistrySnapshot};
pub use store::RegistryStore;
