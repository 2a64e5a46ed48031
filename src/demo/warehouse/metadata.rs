//! metadata.json of format 2, kept as the JSON that it is: a commit changes a few members and writes the next file.

use serde_json::{Value as Json, json};

use super::WarehouseError;
use super::partition::PartitionSpec;

/// Metadata of a table without snapshots.
pub(super) fn new(location: &str, schema: &Json, columns: usize, spec: &PartitionSpec, millis: i64) -> Json {
    json!({
        "format-version": 2,
        "table-uuid": uuid::Uuid::new_v4().to_string(),
        "location": location,
        "last-sequence-number": 0,
        "last-updated-ms": millis,
        "last-column-id": columns,
        "schemas": [schema],
        "current-schema-id": 0,
        "partition-specs": [spec.to_json()],
        "default-spec-id": 0,
        "last-partition-id": 999 + spec.len(),
        "sort-orders": [{"order-id": 0, "fields": []}],
        "default-sort-order-id": 0,
        "properties": {"write.parquet.compression-codec": "zstd"},
        "current-snapshot-id": null,
        "refs": {},
        "snapshots": [],
        "snapshot-log": [],
        "metadata-log": [],
        "statistics": [],
        "partition-statistics": [],
    })
}

/// What a commit adds.
pub(super) struct Commit<'a> {
    pub(super) snapshot_id: i64,
    pub(super) sequence_number: i64,
    pub(super) millis: i64,
    pub(super) manifest_list: &'a str,
    pub(super) operation: &'a str,
    /// Counts by the specification's names.
    pub(super) summary: Vec<(&'a str, i64)>,
}

/// Metadata after the commit; `previous` is where the metadata before it lies.
pub(super) fn commit(metadata: &Json, commit: &Commit<'_>, previous: &str) -> Result<Json, WarehouseError> {
    let mut next = metadata.clone();
    let parent = metadata["current-snapshot-id"].clone();
    let mut summary = serde_json::Map::new();
    summary.insert("operation".to_owned(), json!(commit.operation));
    for (key, value) in &commit.summary {
        summary.insert((*key).to_owned(), json!(value.to_string()));
    }
    // Running totals, as other writers keep them.
    for (total, added) in [
        ("total-records", "added-records"),
        ("total-data-files", "added-data-files"),
        ("total-delete-files", "added-delete-files"),
        ("total-position-deletes", "added-position-deletes"),
        ("total-files-size", "added-files-size"),
    ] {
        let before = last_snapshot(metadata).and_then(|snapshot| snapshot["summary"][total].as_str()?.parse::<i64>().ok()).unwrap_or(0);
        let more = commit.summary.iter().find(|(key, _)| *key == added).map_or(0, |(_, value)| *value);
        summary.insert(total.to_owned(), json!((before + more).to_string()));
    }
    let mut snapshot = json!({
        "snapshot-id": commit.snapshot_id,
        "sequence-number": commit.sequence_number,
        "timestamp-ms": commit.millis,
        "manifest-list": commit.manifest_list,
        "summary": summary,
        "schema-id": 0,
    });
    if !parent.is_null() {
        snapshot["parent-snapshot-id"] = parent;
    }
    push(&mut next, "snapshots", snapshot)?;
    push(&mut next, "snapshot-log", json!({"snapshot-id": commit.snapshot_id, "timestamp-ms": commit.millis}))?;
    push(&mut next, "metadata-log", json!({"metadata-file": previous, "timestamp-ms": metadata["last-updated-ms"]}))?;
    next["last-sequence-number"] = json!(commit.sequence_number);
    next["last-updated-ms"] = json!(commit.millis);
    next["current-snapshot-id"] = json!(commit.snapshot_id);
    next["refs"]["main"] = json!({"snapshot-id": commit.snapshot_id, "type": "branch"});
    Ok(next)
}

/// Metadata with a tag on the current snapshot.
pub(super) fn tag(metadata: &Json, name: &str) -> Json {
    let mut next = metadata.clone();
    next["refs"][name] = json!({"snapshot-id": metadata["current-snapshot-id"], "type": "tag"});
    next
}

/// The current snapshot, which is the last for a writer that only goes forward.
pub(super) fn last_snapshot(metadata: &Json) -> Option<&Json> {
    metadata["snapshots"].as_array()?.last()
}

fn push(metadata: &mut Json, list: &str, entry: Json) -> Result<(), WarehouseError> {
    metadata[list]
        .as_array_mut()
        .ok_or_else(|| WarehouseError::ForeignMetadata { location: list.to_owned(), reason: "it is not a list".to_owned() })?
        .push(entry);
    Ok(())
}
