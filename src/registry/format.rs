//! The registry's objects as bytes, format version 1.
//!
//! ```text
//! format.json                              {"format": "featgres registry", "format_version": 1}
//! versions/00000000000000000042.json       one commit: who, when, the statements' text, and what it put and dropped
//! snapshots/00000000000000000032.json      everything as of a version, each 32 versions
//! ```
//!
//! Commits hold effects, not statements: replaying them validates nothing, so rules of naming can change without
//! making an old registry unreadable. Every object names its format version; a newer one is refused by name.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Entity, FeatureView, RegistryError, RegistrySnapshot};

/// The version that this code writes, and the newest that it reads.
pub(super) const FORMAT_VERSION: u64 = 1;
const FORMAT: &str = "featgres registry";

/// `format.json`, and the head of every other object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) format: String,
    pub(super) format_version: u64,
}

impl Default for Marker {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), format_version: FORMAT_VERSION }
    }
}

/// `versions/….json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommitObject {
    #[serde(flatten)]
    pub(super) marker: Marker,
    pub(super) version: u64,
    /// Tells a commit from another one of the same number when an answer was lost.
    pub(super) id: Uuid,
    /// Microseconds since 1970 UTC.
    pub(super) committed_at: i64,
    pub(super) role: String,
    pub(super) statement: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) put_entities: Vec<Entity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) put_feature_views: Vec<FeatureView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropped_entities: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropped_feature_views: Vec<String>,
}

/// `snapshots/….json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotObject {
    #[serde(flatten)]
    pub(super) marker: Marker,
    pub(super) version: u64,
    pub(super) entities: Vec<Entity>,
    pub(super) feature_views: Vec<FeatureView>,
}

impl CommitObject {
    /// What turns `base` into `next`.
    pub(super) fn between(base: &RegistrySnapshot, next: &RegistrySnapshot) -> Self {
        Self {
            marker: Marker::default(),
            version: base.version + 1,
            id: Uuid::new_v4(),
            committed_at: 0,
            role: String::new(),
            statement: String::new(),
            put_entities: next.entities.values().filter(|entity| base.entities.get(&entity.name) != Some(entity)).cloned().collect(),
            put_feature_views: next
                .feature_views
                .values()
                .filter(|view| base.feature_views.get(&view.name) != Some(view))
                .cloned()
                .collect(),
            dropped_entities: base.entities.keys().filter(|name| !next.entities.contains_key(*name)).cloned().collect(),
            dropped_feature_views: base.feature_views.keys().filter(|name| !next.feature_views.contains_key(*name)).cloned().collect(),
        }
    }

    /// Whether it does nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.put_entities.is_empty()
            && self.put_feature_views.is_empty()
            && self.dropped_entities.is_empty()
            && self.dropped_feature_views.is_empty()
    }

    /// Carries it out.
    pub(super) fn replay(self, snapshot: &mut RegistrySnapshot) {
        for name in &self.dropped_feature_views {
            snapshot.feature_views.remove(name);
        }
        for name in &self.dropped_entities {
            snapshot.entities.remove(name);
        }
        snapshot.entities.extend(self.put_entities.into_iter().map(|entity| (entity.name.clone(), entity)));
        snapshot.feature_views.extend(self.put_feature_views.into_iter().map(|view| (view.name.clone(), view)));
        snapshot.version = self.version;
    }
}

impl From<&RegistrySnapshot> for SnapshotObject {
    fn from(snapshot: &RegistrySnapshot) -> Self {
        Self {
            marker: Marker::default(),
            version: snapshot.version,
            entities: snapshot.entities.values().cloned().collect(),
            feature_views: snapshot.feature_views.values().cloned().collect(),
        }
    }
}

impl From<SnapshotObject> for RegistrySnapshot {
    fn from(object: SnapshotObject) -> Self {
        Self {
            version: object.version,
            entities: object.entities.into_iter().map(|entity| (entity.name.clone(), entity)).collect(),
            feature_views: object.feature_views.into_iter().map(|view| (view.name.clone(), view)).collect(),
        }
    }
}

/// An object of ours from its bytes; the format version is looked at before anything else.
pub(super) fn decode<T: DeserializeOwned>(url: &str, bytes: &[u8]) -> Result<T, RegistryError> {
    let damaged = |reason: String| RegistryError::Damaged { url: url.to_owned(), reason };
    let marker: Marker = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if marker.format != FORMAT {
        return Err(damaged(format!("its format is \"{}\"", marker.format)));
    }
    if marker.format_version > FORMAT_VERSION {
        return Err(RegistryError::NewerFormat { url: url.to_owned(), found: marker.format_version, supported: FORMAT_VERSION });
    }
    serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))
}

/// An object's bytes: one line of JSON.
pub(super) fn encode<T: Serialize>(url: &str, object: &T) -> Result<bytes::Bytes, RegistryError> {
    let mut bytes =
        serde_json::to_vec(object).map_err(|error| RegistryError::Damaged { url: url.to_owned(), reason: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes.into())
}
