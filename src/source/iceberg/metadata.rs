//! [`TableMetadata`]: the metadata.json of versions 1, 2 and 3, made alike.
//!
//! Version 1 left much out: no uuid, `schema` and `partition-spec` instead of lists, no references, no sequence
//! numbers. All of that is filled in here, so nobody else asks for the version. A version above 3 may mean things that
//! we do not know, and encryption is not read: both are refused by name rather than guessed at.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::error::FormatError;
use super::name_mapping::NameMapping;
use super::partition::{PartitionField, PartitionSpec};
use super::reference::{ReferenceKind, SnapshotReference};
use super::schema::{RawSchema, Schema};
use super::snapshot::Snapshot;
use super::sort_order::SortOrder;
use super::types::PrimitiveType;

/// The most that a compressed metadata.json may unfold to.
const MAX_METADATA: u64 = 1 << 30;

/// A table at one commit.
#[derive(Debug, Clone)]
pub struct TableMetadata {
    /// 1, 2 or 3.
    pub format_version: u8,
    /// Its identity; version 1 may have none.
    pub table_uuid: Option<String>,
    /// Its folder; files may lie elsewhere.
    pub location: String,
    /// Milliseconds since 1970 UTC by the last writer's clock.
    pub last_updated_ms: i64,
    /// Which of the schemas is current.
    pub current_schema_id: i32,
    /// Which spec new files are cut by.
    pub default_spec_id: i32,
    /// Which order new files should be in.
    pub default_sort_order_id: i32,
    /// The head of main.
    pub current_snapshot_id: Option<i64>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
    /// When which snapshot became current, in the order of commits.
    pub snapshot_log: Vec<SnapshotLogEntry>,
    /// URLs of the metadata files before this one, oldest first, as far as they are remembered.
    pub metadata_log: Vec<String>,
    /// Branches and tags; main among them where there is a snapshot.
    pub refs: BTreeMap<String, SnapshotReference>,
    schemas: HashMap<i32, Arc<Schema>>,
    specs: BTreeMap<i32, Arc<PartitionSpec>>,
    sort_orders: HashMap<i32, Arc<SortOrder>>,
    snapshots: HashMap<i64, Arc<Snapshot>>,
}

/// A line of the snapshot log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotLogEntry {
    /// Since then, milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// this one was current.
    pub snapshot_id: i64,
}

/// A line of the metadata log.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct MetadataLogEntry {
    metadata_file: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Version {
    format_version: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    format_version: i64,
    table_uuid: Option<String>,
    location: String,
    last_updated_ms: Option<i64>,
    schema: Option<RawSchema>,
    schemas: Option<Vec<RawSchema>>,
    current_schema_id: Option<i32>,
    partition_spec: Option<Vec<PartitionField>>,
    partition_specs: Option<Vec<PartitionSpec>>,
    default_spec_id: Option<i32>,
    sort_orders: Option<Vec<Value>>,
    default_sort_order_id: Option<i32>,
    properties: Option<BTreeMap<String, Value>>,
    current_snapshot_id: Option<i64>,
    snapshots: Option<Vec<Snapshot>>,
    snapshot_log: Option<Vec<SnapshotLogEntry>>,
    metadata_log: Option<Vec<MetadataLogEntry>>,
    refs: Option<BTreeMap<String, SnapshotReference>>,
    encryption_keys: Option<Vec<Value>>,
}

impl TableMetadata {
    /// From the file's bytes, gzipped or not; `url` names it in errors.
    pub fn parse(bytes: &[u8], url: &str) -> Result<Self, FormatError> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(bytes)
                .take(MAX_METADATA + 1)
                .read_to_end(&mut plain)
                .map_err(|error| FormatError::damaged(url, format!("gzip: {error}")))?;
            if plain.len() as u64 > MAX_METADATA {
                return Err(FormatError::damaged(url, "it unfolds to more than 1 GiB"));
            }
            return Self::parse_json(&plain, url);
        }
        Self::parse_json(bytes, url)
    }

    fn parse_json(bytes: &[u8], url: &str) -> Result<Self, FormatError> {
        // A future version's file may be unreadable as ours: its number is the error then, whatever else there is.
        let refused = |version: Option<i64>| match version {
            Some(version) if version > 3 => Err(FormatError::unsupported(url, format!("Iceberg format version {version} is"))),
            Some(version) if version < 1 => Err(FormatError::damaged(url, format!("there is no format version {version}"))),
            _ => Ok(()),
        };
        let raw: Raw = match serde_json::from_slice(bytes) {
            Ok(raw) => raw,
            Err(error) => {
                if let Ok(version) = serde_json::from_slice::<Version>(bytes) {
                    refused(version.format_version)?;
                }
                return Err(FormatError::damaged(url, error.to_string()));
            }
        };
        refused(Some(raw.format_version))?;
        Self::from_raw(raw, url)
    }

    fn from_raw(raw: Raw, url: &str) -> Result<Self, FormatError> {
        let damaged = |reason: String| FormatError::damaged(url, reason);
        if raw.encryption_keys.is_some_and(|keys| !keys.is_empty()) {
            return Err(FormatError::unsupported(url, "encrypted tables are"));
        }
        let mut schemas = HashMap::new();
        let mut only = None;
        // Version 1 repeats the current schema here, and may leave out its number elsewhere.
        let named = raw.schema.as_ref().and_then(|schema| schema.schema_id);
        for schema in raw.schemas.unwrap_or_default() {
            let schema = Schema::from_raw(schema, 0).map_err(damaged)?;
            schemas.insert(schema.schema_id, Arc::new(schema));
        }
        if schemas.is_empty() {
            let schema = raw.schema.ok_or_else(|| damaged("it has no schema".to_owned()))?;
            let schema = Schema::from_raw(schema, 0).map_err(damaged)?;
            only = Some(schema.schema_id);
            schemas.insert(schema.schema_id, Arc::new(schema));
        }
        let current_schema_id =
            only.or(raw.current_schema_id).or(named).ok_or_else(|| damaged("it has no current-schema-id".to_owned()))?;
        if !schemas.contains_key(&current_schema_id) {
            return Err(damaged(format!("current-schema-id {current_schema_id} is not one of its schemas")));
        }

        let mut specs: BTreeMap<i32, Arc<PartitionSpec>> =
            raw.partition_specs.unwrap_or_default().into_iter().map(|spec| (spec.spec_id, Arc::new(spec.with_field_ids()))).collect();
        let mut default_spec_id = raw.default_spec_id.unwrap_or(0);
        if specs.is_empty() {
            default_spec_id = 0;
            let spec = PartitionSpec { spec_id: 0, fields: raw.partition_spec.unwrap_or_default() };
            specs.insert(0, Arc::new(spec.with_field_ids()));
        }

        let snapshots: HashMap<i64, Arc<Snapshot>> =
            raw.snapshots.unwrap_or_default().into_iter().map(|snapshot| (snapshot.snapshot_id, Arc::new(snapshot))).collect();
        // Old writers say -1 for none.
        let current_snapshot_id = raw.current_snapshot_id.filter(|id| *id != -1);
        let mut refs = raw.refs.unwrap_or_default();
        if let Some(main) = refs.get("main").map(|main| main.snapshot_id)
            && current_snapshot_id != Some(main)
        {
            let current = current_snapshot_id.map_or("none".to_owned(), |id| id.to_string());
            return Err(damaged(format!("its branch main is at snapshot {main}, its current-snapshot-id is {current}")));
        }
        if let Some(snapshot_id) = current_snapshot_id {
            if !snapshots.contains_key(&snapshot_id) {
                return Err(damaged(format!("current-snapshot-id {snapshot_id} is not one of its snapshots")));
            }
            refs.entry("main".to_owned()).or_insert(SnapshotReference { snapshot_id, kind: ReferenceKind::Branch });
        }

        // An order that is not understood is one that no file can claim: nothing is read by it.
        let sort_orders =
            raw.sort_orders.unwrap_or_default().into_iter().filter_map(|order| serde_json::from_value::<SortOrder>(order).ok());
        let sort_orders = sort_orders.map(|order| (order.order_id, Arc::new(order)));
        let properties = raw.properties.unwrap_or_default().into_iter().map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        });
        Ok(Self {
            format_version: u8::try_from(raw.format_version).map_err(|_| damaged("its format version is odd".to_owned()))?,
            table_uuid: raw.table_uuid,
            location: raw.location,
            last_updated_ms: raw.last_updated_ms.unwrap_or(0),
            current_schema_id,
            default_spec_id,
            default_sort_order_id: raw.default_sort_order_id.unwrap_or(0),
            current_snapshot_id,
            properties: properties.collect(),
            snapshot_log: raw.snapshot_log.unwrap_or_default(),
            metadata_log: raw.metadata_log.unwrap_or_default().into_iter().map(|entry| entry.metadata_file).collect(),
            refs,
            schemas,
            specs,
            sort_orders: sort_orders.collect(),
            snapshots,
        })
    }

    /// The schema that is current; always one of [`Self::schema`]'s.
    pub fn current_schema(&self) -> Option<&Arc<Schema>> {
        self.schemas.get(&self.current_schema_id)
    }

    /// The schema of this number.
    pub fn schema(&self, id: i32) -> Option<&Arc<Schema>> {
        self.schemas.get(&id)
    }

    /// All schemas, in no order.
    pub fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values()
    }

    /// The spec of this number.
    pub fn partition_spec(&self, id: i32) -> Option<&Arc<PartitionSpec>> {
        self.specs.get(&id)
    }

    /// All specs by ascending number.
    pub fn partition_specs(&self) -> impl Iterator<Item = &Arc<PartitionSpec>> {
        self.specs.values()
    }

    /// The order of this number.
    pub fn sort_order(&self, id: i32) -> Option<&Arc<SortOrder>> {
        self.sort_orders.get(&id)
    }

    /// The snapshot of this number.
    pub fn snapshot(&self, id: i64) -> Option<&Arc<Snapshot>> {
        self.snapshots.get(&id)
    }

    /// All snapshots by ascending time, then number.
    pub fn snapshots(&self) -> Vec<&Arc<Snapshot>> {
        let mut snapshots: Vec<_> = self.snapshots.values().collect();
        snapshots.sort_by_key(|snapshot| (snapshot.timestamp_ms, snapshot.sequence_number, snapshot.snapshot_id));
        snapshots
    }

    /// The snapshot that was current at this instant (microseconds since 1970 UTC), by the log.
    pub fn snapshot_at(&self, micros: i64) -> Option<i64> {
        let then = self.snapshot_log.iter().rfind(|entry| i128::from(entry.timestamp_ms) * 1000 <= i128::from(micros));
        then.map(|entry| entry.snapshot_id)
    }

    /// The field of this id in the newest schema that has it: sources of partitions may be dropped since.
    pub fn field_type(&self, id: i32) -> Option<&PrimitiveType> {
        let current = self.current_schema().and_then(|schema| schema.field(id));
        let field = current.or_else(|| {
            let newest = self.schemas.values().filter(|schema| schema.field(id).is_some()).max_by_key(|schema| schema.schema_id);
            newest.and_then(|schema| schema.field(id))
        });
        field.and_then(|field| field.field_type.as_primitive())
    }

    /// The mapping for files without field ids, if the table has one.
    pub fn name_mapping(&self) -> Option<Result<NameMapping, String>> {
        self.properties.get(NameMapping::PROPERTY).map(|json| NameMapping::parse(json))
    }
}

#[cfg(test)]
mod tests;
