//! [`Manifest`]: data or delete files, one entry each.
//!
//! Parsed once and shared: what an entry inherits from the manifest list differs between snapshots (an upgrade to
//! version 3 gives old manifests row ids), so it is applied when a snapshot asks ([`Manifest::data_files`],
//! [`Manifest::delete_files`]), not here.

use std::sync::Arc;

use bytes::Bytes;

use super::avro::{Fields, Records, Shape, bytes as as_bytes, datum, long};
use super::content_file::{ColumnStatistics, ContentFile, DataFile, DeleteFile, DeleteKind, FileFormat};
use super::error::FormatError;
use super::manifest_list::ManifestFile;
use super::metadata::TableMetadata;
use super::partition::{PartitionSpec, PartitionTuple, PartitionValue};
use super::types::PrimitiveType;

/// The most that the entries of one manifest may take in memory: a small compressed file can unfold to any size.
const MAX_MANIFEST: usize = 1 << 30;

/// Live entries of a manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    url: String,
    spec_id: i32,
    entries: Vec<ManifestEntry>,
}

/// Why an entry is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestStatus {
    /// From an earlier commit.
    Existing,
    /// Of the manifest's own commit.
    Added,
}

/// One file.
#[derive(Debug, Clone)]
pub struct ManifestEntry {
    /// Why it is there.
    pub status: ManifestStatus,
    /// Its data sequence number, if written rather than inherited.
    pub sequence_number: Option<i64>,
    /// What it holds: 0 data, 1 position deletes, 2 equality deletes.
    content: i64,
    /// The file.
    pub file: Arc<ContentFile>,
}

/// Positions of an entry's fields.
struct Columns {
    status: Option<usize>,
    sequence: Option<usize>,
    file: Option<usize>,
    content: Option<usize>,
    path: Option<usize>,
    format: Option<usize>,
    partition: Option<usize>,
    record_count: Option<usize>,
    file_size: Option<usize>,
    column_sizes: Option<usize>,
    value_counts: Option<usize>,
    null_value_counts: Option<usize>,
    nan_value_counts: Option<usize>,
    lower_bounds: Option<usize>,
    upper_bounds: Option<usize>,
    key_metadata: Option<usize>,
    split_offsets: Option<usize>,
    equality_ids: Option<usize>,
    sort_order_id: Option<usize>,
    first_row_id: Option<usize>,
    referenced_data_file: Option<usize>,
    content_offset: Option<usize>,
    content_size: Option<usize>,
}

impl Columns {
    fn of(entry: &Shape) -> Option<(Self, &Shape)> {
        let file = entry.find(2, "data_file");
        let inner = entry.inner(file)?;
        let at = |id, name| inner.find(id, name);
        let columns = Self {
            status: entry.find(0, "status"),
            sequence: entry.find(3, "sequence_number"),
            file,
            content: at(134, "content"),
            path: at(100, "file_path"),
            format: at(101, "file_format"),
            partition: at(102, "partition"),
            record_count: at(103, "record_count"),
            file_size: at(104, "file_size_in_bytes"),
            column_sizes: at(108, "column_sizes"),
            value_counts: at(109, "value_counts"),
            null_value_counts: at(110, "null_value_counts"),
            nan_value_counts: at(137, "nan_value_counts"),
            lower_bounds: at(125, "lower_bounds"),
            upper_bounds: at(128, "upper_bounds"),
            key_metadata: at(131, "key_metadata"),
            split_offsets: at(132, "split_offsets"),
            equality_ids: at(135, "equality_ids"),
            sort_order_id: at(140, "sort_order_id"),
            first_row_id: at(142, "first_row_id"),
            referenced_data_file: at(143, "referenced_data_file"),
            content_offset: at(144, "content_offset"),
            content_size: at(145, "content_size_in_bytes"),
        };
        Some((columns, inner))
    }
}

/// One field of a spec, and where its value is in the manifest's partition records.
struct PartitionColumn {
    position: Option<usize>,
    of: Option<PrimitiveType>,
    name: String,
}

impl Manifest {
    /// From the file's bytes. `manifest` is what the list says of it, `metadata` knows the specs and types.
    pub fn parse(bytes: &[u8], manifest: &ManifestFile, metadata: &TableMetadata) -> Result<Self, FormatError> {
        let url = manifest.path.as_str();
        let mut records = Records::open(bytes, url)?;
        let own_spec = records.property("partition-spec-id").and_then(|id| id.parse().ok());
        let spec_id = manifest.partition_spec_id.or(own_spec).unwrap_or(metadata.default_spec_id);
        let spec = metadata
            .partition_spec(spec_id)
            .ok_or_else(|| FormatError::damaged(url, format!("the table has no partition spec {spec_id}")))?;
        let shape = records.shape()?;
        let Some((columns, file_shape)) = Columns::of(&shape) else {
            return Err(FormatError::damaged(url, "its entries have no data_file"));
        };
        let partition_shape = file_shape.inner(columns.partition);
        let partition = partition_columns(spec, partition_shape, metadata);

        let (mut entries, mut weight) = (Vec::new(), 0usize);
        while let Some(mut entry) = records.next()? {
            let damaged = |reason: String| FormatError::damaged(url, reason);
            let status = match entry.take_long(columns.status) {
                Some(0) => ManifestStatus::Existing,
                Some(1) => ManifestStatus::Added,
                Some(2) => continue,
                other => return Err(damaged(format!("an entry has the status {other:?}"))),
            };
            let sequence_number = entry.take_long(columns.sequence);
            let mut file = entry.take_record(columns.file).ok_or_else(|| damaged("an entry has no data_file".to_owned()))?;
            let content = file.take_long(columns.content).unwrap_or(0);
            let file = content_file(&mut file, &columns, spec_id, &partition, partition_shape).map_err(damaged)?;
            weight = weight.saturating_add(size_of::<ManifestEntry>() + file.weight());
            if weight > MAX_MANIFEST {
                return Err(damaged(format!("its entries take more than {MAX_MANIFEST} bytes")));
            }
            entries.push(ManifestEntry { status, sequence_number, content, file: Arc::new(file) });
        }
        Ok(Self { url: url.to_owned(), spec_id, entries })
    }

    /// The spec of all its files.
    pub fn spec_id(&self) -> i32 {
        self.spec_id
    }

    /// Its live entries.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// The data sequence number of an entry: its own, else the manifest's where the specification lets it inherit.
    fn sequence_number(&self, entry: &ManifestEntry, manifest: &ManifestFile) -> Result<i64, FormatError> {
        match entry.sequence_number {
            Some(number) => Ok(number),
            None if entry.status == ManifestStatus::Added || manifest.sequence_number == 0 => Ok(manifest.sequence_number),
            None => Err(FormatError::damaged(&self.url, format!("existing file \"{}\" has no sequence number", entry.file.path))),
        }
    }

    /// Its data files as they are in the snapshot whose list says `manifest`.
    pub fn data_files(&self, manifest: &ManifestFile) -> Result<Vec<DataFile>, FormatError> {
        let mut next_row_id = manifest.first_row_id;
        let files = self.entries.iter().map(|entry| {
            if entry.content != 0 {
                return Err(FormatError::damaged(&self.url, format!("delete file \"{}\" among data files", entry.file.path)));
            }
            // Ids that a manifest without one carries are of a writer that did not know of them.
            let first_row_id = match (next_row_id, entry.file.first_row_id) {
                (None, _) => None,
                (Some(_), Some(own)) => Some(own),
                (Some(next), None) => {
                    next_row_id = next.checked_add(entry.file.record_count);
                    Some(next)
                }
            };
            Ok(DataFile { file: Arc::clone(&entry.file), sequence_number: self.sequence_number(entry, manifest)?, first_row_id })
        });
        files.collect()
    }

    /// Its delete files as they are in the snapshot whose list says `manifest`.
    pub fn delete_files(&self, manifest: &ManifestFile) -> Result<Vec<DeleteFile>, FormatError> {
        let damaged = |reason: String| FormatError::damaged(&self.url, reason);
        let files = self.entries.iter().map(|entry| {
            let file = &entry.file;
            let kind = match entry.content {
                1 if file.format == FileFormat::Puffin => DeleteKind::Vector,
                1 => DeleteKind::Position,
                2 => DeleteKind::Equality,
                other => return Err(damaged(format!("\"{}\" with content {other} among delete files", file.path))),
            };
            if kind == DeleteKind::Vector
                && (file.referenced_data_file.is_none() || file.content_offset.is_none() || file.content_size.is_none())
            {
                return Err(damaged(format!("deletion vector in \"{}\" without data file, offset or size", file.path)));
            }
            if kind == DeleteKind::Equality && file.equality_ids.is_empty() {
                return Err(damaged(format!("equality delete file \"{}\" without equality ids", file.path)));
            }
            Ok(DeleteFile { file: Arc::clone(file), kind, sequence_number: self.sequence_number(entry, manifest)? })
        });
        files.collect()
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        self.entries.iter().map(|entry| size_of::<ManifestEntry>() + entry.file.weight()).sum()
    }
}

/// Where the values of the spec's fields are: by field id, else by name, else by position, unless another field's name is there.
fn partition_columns(spec: &PartitionSpec, shape: Option<&Shape>, metadata: &TableMetadata) -> Vec<PartitionColumn> {
    let of = |position: usize| {
        let field = &spec.fields[position];
        let source = field.source_id().and_then(|id| metadata.field_type(id));
        let found = shape.and_then(|shape| {
            let without_ids = shape.fields.iter().all(|(id, _, _)| id.is_none());
            let named = |name: &String| spec.fields.iter().any(|other| other.name == *name);
            let nameless = || without_ids && shape.fields.get(position).is_some_and(|(_, name, _)| !named(name));
            shape.find(field.field_id, &field.name).or_else(|| nameless().then_some(position))
        });
        PartitionColumn { position: found, of: source.and_then(|source| field.transform.result_type(source)), name: field.name.clone() }
    };
    (0..spec.fields.len()).map(of).collect()
}

fn content_file(
    fields: &mut Fields,
    columns: &Columns,
    spec_id: i32,
    partition: &[PartitionColumn],
    partition_shape: Option<&Shape>,
) -> Result<ContentFile, String> {
    let path = fields.take_text(columns.path).ok_or("an entry has no file path")?;
    let format = fields.take_text(columns.format).ok_or_else(|| format!("\"{path}\" has no file format"))?;
    let count = |value: Option<i64>, what: &str| match value {
        Some(value) if value >= 0 => Ok(value),
        other => Err(format!("\"{path}\" has the {what} {other:?}")),
    };
    let mut values = Vec::with_capacity(partition.len());
    let mut tuple = fields.take_record(columns.partition);
    for column in partition {
        let position = column.position.filter(|position| tuple.as_ref().is_some_and(|tuple| *position < tuple.len()));
        let (Some(tuple), Some(position)) = (tuple.as_mut(), position) else {
            values.push(PartitionValue::Absent);
            continue;
        };
        let value = match tuple.take(Some(position)) {
            None => PartitionValue::Null,
            Some(value) => {
                let decimal = partition_shape.and_then(|shape| shape.fields.get(position)?.2);
                let bad = || format!("\"{path}\" has a partition value \"{}\" of another type", column.name);
                let datum = datum(value, decimal).ok_or_else(bad)?;
                // Of an unknown transform or source nothing better is known than what Avro says.
                PartitionValue::Value(match &column.of {
                    Some(of) => datum.promoted_to(of).ok_or_else(bad)?,
                    None => datum,
                })
            }
        };
        values.push(value);
    }
    let counts = |value: apache_avro::types::Value| long(&value);
    let bounds = |value: apache_avro::types::Value| as_bytes(value).map(|bytes| Bytes::copy_from_slice(&bytes));
    let statistics = ColumnStatistics {
        column_sizes: fields.take_map(columns.column_sizes, counts).into_iter().collect(),
        value_counts: fields.take_map(columns.value_counts, counts).into_iter().collect(),
        null_value_counts: fields.take_map(columns.null_value_counts, counts).into_iter().collect(),
        nan_value_counts: fields.take_map(columns.nan_value_counts, counts).into_iter().collect(),
        lower_bounds: fields.take_map(columns.lower_bounds, bounds).into_iter().collect(),
        upper_bounds: fields.take_map(columns.upper_bounds, bounds).into_iter().collect(),
    };
    let longs = |items: Option<Vec<apache_avro::types::Value>>| -> Vec<i64> { items.unwrap_or_default().iter().filter_map(long).collect() };
    let equality_ids = longs(fields.take_array(columns.equality_ids));
    let equality_ids = equality_ids.into_iter().map(|id| i32::try_from(id).map_err(|_| format!("\"{path}\" has the equality id {id}")));
    Ok(ContentFile {
        format: FileFormat::parse(&format),
        spec_id,
        partition: PartitionTuple { values },
        record_count: count(fields.take_long(columns.record_count), "record count")?,
        file_size: fields.take_long(columns.file_size).unwrap_or(0),
        statistics,
        // Some writers have no other word for none.
        encrypted: fields.take_bytes(columns.key_metadata).is_some_and(|key| !key.is_empty()),
        split_offsets: longs(fields.take_array(columns.split_offsets)),
        sort_order_id: fields.take_int(columns.sort_order_id),
        equality_ids: equality_ids.collect::<Result<_, _>>()?,
        referenced_data_file: fields.take_text(columns.referenced_data_file),
        content_offset: fields.take_long(columns.content_offset),
        content_size: fields.take_long(columns.content_size),
        first_row_id: fields.take_long(columns.first_row_id),
        path,
    })
}

#[cfg(test)]
mod tests;
