//! [`Snapshot`]: the state of a table after one commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One commit's state.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// Unique in the table.
    pub snapshot_id: i64,
    /// The one before it.
    pub parent_snapshot_id: Option<i64>,
    /// Order of commits; 0 in version 1.
    #[serde(default, deserialize_with = "or_default")]
    pub sequence_number: i64,
    /// Milliseconds since 1970 UTC by the writer's clock.
    pub timestamp_ms: i64,
    /// URL of the manifest list.
    pub manifest_list: Option<String>,
    /// Version 1 may list the manifests here instead.
    pub manifests: Option<Vec<String>>,
    /// `operation` and counts, as the writer gave them.
    #[serde(default, deserialize_with = "texts")]
    pub summary: BTreeMap<String, String>,
    /// The schema that was current when it was written.
    pub schema_id: Option<i32>,
    /// Row lineage (version 3): id of the first row that it added.
    pub first_row_id: Option<i64>,
    /// The key of an encrypted manifest list: not read.
    pub key_id: Option<String>,
}

/// Writers leave out what they do not know, or say null.
fn or_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The specification says text; numbers occur, and are no reason to refuse a table.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values: Option<BTreeMap<String, Value>> = Option::deserialize(deserializer)?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.unwrap_or_default().into_iter().map(|(name, value)| (name, text(value))).collect())
}
