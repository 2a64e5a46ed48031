//! [`RegistrySnapshot`]: one version of everything that is registered.

use std::collections::BTreeMap;

use super::{Entity, FeatureView};

/// One version, immutable and shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrySnapshot {
    /// 0 = nothing was ever registered.
    pub version: u64,
    /// By name.
    pub entities: BTreeMap<String, Entity>,
    /// By name.
    pub feature_views: BTreeMap<String, FeatureView>,
}

/// One row of `feature_store.registry_history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version that the commit made.
    pub version: u64,
    /// Microseconds since 1970 UTC.
    pub committed_at: i64,
    /// Who committed it.
    pub role: String,
    /// The statements' text.
    pub statement: String,
}
