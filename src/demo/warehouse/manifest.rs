//! Manifests and manifest lists of format 2: the specification's Avro schemas with their field ids, and values for them.

use std::path::Path;

use apache_avro::types::Value as Avro;
use serde_json::{Value as Json, json};

use super::data_file::DataFile;
use super::partition::{PartitionSpec, PartitionValue};
use super::{WarehouseError, avro};

/// Writes the manifest of one commit's files; gives its record for the manifest list.
pub(super) fn write_manifest(
    path: &Path,
    schema: &Json,
    spec: &PartitionSpec,
    files: &[DataFile],
    snapshot_id: i64,
    sequence_number: i64,
) -> Result<Avro, WarehouseError> {
    let content = files.first().map_or(0, |file| i32::from(file.content != 0));
    let properties = [
        ("schema", schema.to_string()),
        ("schema-id", "0".to_owned()),
        ("partition-spec", spec.fields_json().to_string()),
        ("partition-spec-id", "0".to_owned()),
        ("format-version", "2".to_owned()),
        ("content", if content == 0 { "data" } else { "deletes" }.to_owned()),
    ];
    let records = files.iter().map(|file| entry(file, spec, snapshot_id)).collect::<Vec<_>>();
    let length = avro::write(path, &entry_schema(spec), &properties, &records)?;
    let rows: i64 = files.iter().map(|file| file.rows).sum();
    let partitions = (0..spec.len()).map(|at| summary(files.iter().map(|file| &file.partition[at]))).collect();
    Ok(record([
        ("manifest_path", Avro::String(format!("file://{}", path.display()))),
        ("manifest_length", Avro::Long(length as i64)),
        ("partition_spec_id", Avro::Int(0)),
        ("content", Avro::Int(content)),
        ("sequence_number", Avro::Long(sequence_number)),
        ("min_sequence_number", Avro::Long(sequence_number)),
        ("added_snapshot_id", Avro::Long(snapshot_id)),
        ("added_files_count", Avro::Int(files.len() as i32)),
        ("existing_files_count", Avro::Int(0)),
        ("deleted_files_count", Avro::Int(0)),
        ("added_rows_count", Avro::Long(rows)),
        ("existing_rows_count", Avro::Long(0)),
        ("deleted_rows_count", Avro::Long(0)),
        ("partitions", some(Avro::Array(partitions))),
    ]))
}

/// Writes the manifest list of a snapshot.
pub(super) fn write_list(
    path: &Path,
    manifests: &[Avro],
    snapshot_id: i64,
    parent: Option<i64>,
    sequence_number: i64,
) -> Result<(), WarehouseError> {
    let properties = [
        ("snapshot-id", snapshot_id.to_string()),
        ("parent-snapshot-id", parent.map_or_else(|| "null".to_owned(), |id| id.to_string())),
        ("sequence-number", sequence_number.to_string()),
        ("format-version", "2".to_owned()),
    ];
    avro::write(path, &list_schema(), &properties, manifests)?;
    Ok(())
}

/// The locations and row counts of live data files, through all manifests of a list.
pub(super) fn data_files(manifests: &[Avro], local: impl Fn(&str) -> std::path::PathBuf) -> Result<Vec<(String, i64)>, WarehouseError> {
    let mut found = Vec::new();
    for manifest in manifests {
        let (Some(Avro::String(path)), Some(Avro::Int(0))) = (field(manifest, "manifest_path"), field(manifest, "content")) else {
            continue;
        };
        for entry in avro::read(&local(path))? {
            if let Some(file) = field(&entry, "data_file")
                && let (Some(Avro::String(path)), Some(Avro::Long(rows))) = (field(file, "file_path"), field(file, "record_count"))
            {
                found.push((path.clone(), *rows));
            }
        }
    }
    Ok(found)
}

fn field<'a>(record: &'a Avro, name: &str) -> Option<&'a Avro> {
    match record {
        Avro::Record(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, value)| value),
        _ => None,
    }
}

fn entry(file: &DataFile, spec: &PartitionSpec, snapshot_id: i64) -> Avro {
    let long_map = |values: Vec<(i64, i64)>| map(values.into_iter().map(|(id, value)| (id, Avro::Long(value))));
    let bytes_map = |values: Vec<(i64, Vec<u8>)>| map(values.into_iter().map(|(id, value)| (id, Avro::Bytes(value))));
    let columns = &file.columns;
    let data_file = record([
        ("content", Avro::Int(file.content)),
        ("file_path", Avro::String(file.location.clone())),
        ("file_format", Avro::String("PARQUET".to_owned())),
        ("partition", spec.avro_value(&file.partition)),
        ("record_count", Avro::Long(file.rows)),
        ("file_size_in_bytes", Avro::Long(file.bytes)),
        ("value_counts", long_map(columns.iter().map(|(id, column)| (*id, column.values)).collect())),
        ("null_value_counts", long_map(columns.iter().map(|(id, column)| (*id, column.nulls)).collect())),
        ("nan_value_counts", long_map(columns.iter().filter_map(|(id, column)| Some((*id, column.nans?))).collect())),
        ("lower_bounds", bytes_map(columns.iter().filter_map(|(id, column)| Some((*id, column.lower.clone()?))).collect())),
        ("upper_bounds", bytes_map(columns.iter().filter_map(|(id, column)| Some((*id, column.upper.clone()?))).collect())),
        ("sort_order_id", none()),
    ]);
    // Status 1 is ADDED; the sequence numbers are inherited from the manifest list.
    record([
        ("status", Avro::Int(1)),
        ("snapshot_id", some(Avro::Long(snapshot_id))),
        ("sequence_number", none()),
        ("file_sequence_number", none()),
        ("data_file", data_file),
    ])
}

/// A field of `partitions`: bounds over the files' values.
fn summary<'a>(values: impl Iterator<Item = &'a PartitionValue> + Clone) -> Avro {
    let bounds = || values.clone().filter(|value| **value != PartitionValue::Null);
    let bound =
        |value: Option<&PartitionValue>| value.and_then(PartitionValue::to_bound).map_or_else(none, |bytes| some(Avro::Bytes(bytes)));
    record([
        ("contains_null", Avro::Boolean(values.clone().any(|value| *value == PartitionValue::Null))),
        ("contains_nan", some(Avro::Boolean(false))),
        ("lower_bound", bound(bounds().min())),
        ("upper_bound", bound(bounds().max())),
    ])
}

fn record<const N: usize>(fields: [(&str, Avro); N]) -> Avro {
    Avro::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn some(value: Avro) -> Avro {
    Avro::Union(1, Box::new(value))
}

fn none() -> Avro {
    Avro::Union(0, Box::new(Avro::Null))
}

fn map(entries: impl Iterator<Item = (i64, Avro)>) -> Avro {
    some(Avro::Array(entries.map(|(id, value)| record([("key", Avro::Int(id as i32)), ("value", value)])).collect()))
}

fn optional(name: &str, id: i64, kind: &Json) -> Json {
    json!({"name": name, "type": ["null", kind], "default": null, "field-id": id})
}

fn required(name: &str, id: i64, kind: &Json) -> Json {
    json!({"name": name, "type": kind, "field-id": id})
}

/// Avro maps have text keys; the specification spells maps by field id as arrays of pairs.
fn map_schema(name: &str, id: i64, key: i64, value: i64, kind: &str) -> Json {
    let items = json!({"type": "record", "name": format!("k{key}_v{value}"), "fields": [
        {"name": "key", "type": "int", "field-id": key},
        {"name": "value", "type": kind, "field-id": value},
    ]});
    optional(name, id, &json!({"type": "array", "items": items, "logicalType": "map"}))
}

fn entry_schema(spec: &PartitionSpec) -> Json {
    let partition = json!({"type": "record", "name": "r102", "fields": spec.avro_fields()});
    let data_file = json!({"type": "record", "name": "r2", "fields": [
        required("content", 134, &json!("int")),
        required("file_path", 100, &json!("string")),
        required("file_format", 101, &json!("string")),
        required("partition", 102, &partition),
        required("record_count", 103, &json!("long")),
        required("file_size_in_bytes", 104, &json!("long")),
        map_schema("value_counts", 109, 119, 120, "long"),
        map_schema("null_value_counts", 110, 121, 122, "long"),
        map_schema("nan_value_counts", 137, 138, 139, "long"),
        map_schema("lower_bounds", 125, 126, 127, "bytes"),
        map_schema("upper_bounds", 128, 129, 130, "bytes"),
        optional("sort_order_id", 140, &json!("int")),
    ]});
    json!({"type": "record", "name": "manifest_entry", "fields": [
        required("status", 0, &json!("int")),
        optional("snapshot_id", 1, &json!("long")),
        optional("sequence_number", 3, &json!("long")),
        optional("file_sequence_number", 4, &json!("long")),
        required("data_file", 2, &data_file),
    ]})
}

fn list_schema() -> Json {
    let summary = json!({"type": "record", "name": "r508", "fields": [
        required("contains_null", 509, &json!("boolean")),
        optional("contains_nan", 518, &json!("boolean")),
        optional("lower_bound", 510, &json!("bytes")),
        optional("upper_bound", 511, &json!("bytes")),
    ]});
    let partitions = json!({"type": "array", "items": summary, "element-id": 508});
    json!({"type": "record", "name": "manifest_file", "fields": [
        required("manifest_path", 500, &json!("string")),
        required("manifest_length", 501, &json!("long")),
        required("partition_spec_id", 502, &json!("int")),
        required("content", 517, &json!("int")),
        required("sequence_number", 515, &json!("long")),
        required("min_sequence_number", 516, &json!("long")),
        required("added_snapshot_id", 503, &json!("long")),
        required("added_files_count", 504, &json!("int")),
        required("existing_files_count", 505, &json!("int")),
        required("deleted_files_count", 506, &json!("int")),
        required("added_rows_count", 512, &json!("long")),
        required("existing_rows_count", 513, &json!("long")),
        required("deleted_rows_count", 514, &json!("long")),
        optional("partitions", 507, &partitions),
    ]})
}
