//! [`SnapshotReference`]: a branch or a tag.

use serde::Deserialize;

/// What a name points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotReference {
    /// The snapshot.
    pub snapshot_id: i64,
    /// Branch or tag.
    #[serde(rename = "type")]
    pub kind: ReferenceKind,
}

/// Whether commits move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferenceKind {
    /// Commits move it.
    Branch,
    /// It stays.
    Tag,
}
