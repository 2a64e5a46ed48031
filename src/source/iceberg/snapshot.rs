//! [`Snapshot`]: the state of a table after one commit.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One commit's state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// Unique in the table.
    pub snapshot_id: i64,
    /// The one before it.
    pub parent_snapshot_id: Option<i64>,
    /// Order of commits; 0 in version 1.
    #[serde(default)]
    pub sequence_number: i64,
    /// Milliseconds since 1970 UTC by the writer's clock.
    pub timestamp_ms: i64,
    /// URL of the manifest list.
    pub manifest_list: Option<String>,
    /// Version 1 may list the manifests here instead.
    pub manifests: Option<Vec<String>>,
    /// `operation` and counts, as the writer gave them.
    #[serde(default)]
    pub summary: BTreeMap<String, String>,
    /// The schema that was current when it was written.
    pub schema_id: Option<i32>,
    /// Row lineage (version 3): id of the first row that it added.
    pub first_row_id: Option<i64>,
    /// The key of an encrypted manifest list: not read.
    pub key_id: Option<String>,
}
