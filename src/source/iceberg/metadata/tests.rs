//! Versions and damages.

use std::io::Write;

use serde_json::json;

use super::*;
use crate::error::{ReportError, SqlState};
use crate::source::iceberg::{Transform, Type};

const URL: &str = "s3://b/t/metadata/1.metadata.json";

fn parse(json: &Value) -> Result<TableMetadata, FormatError> {
    TableMetadata::parse(json.to_string().as_bytes(), URL)
}

fn version_2() -> Value {
    json!({
        "format-version": 2, "table-uuid": "u", "location": "s3://b/t", "last-sequence-number": 2, "last-updated-ms": 30,
        "last-column-id": 6, "current-schema-id": 1,
        "schemas": [
            {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "id", "required": true, "type": "int"}]},
            {"type": "struct", "schema-id": 1, "identifier-field-ids": [1], "fields": [
                {"id": 1, "name": "id", "required": true, "type": "long"},
                {"id": 2, "name": "l", "required": false, "type": {"type": "list", "element-id": 3, "element-required": false,
                    "element": {"type": "struct", "fields": [{"id": 4, "name": "x", "required": false, "type": "geometry(srid:4326)"}]}}},
                {"id": 5, "name": "d", "required": false, "type": "decimal( 9 , 2 )", "initial-default": "1.50"}
            ]}
        ],
        "default-spec-id": 1,
        "partition-specs": [
            {"spec-id": 0, "fields": []},
            {"spec-id": 1, "fields": [{"source-id": 1, "field-id": 1000, "name": "id_b", "transform": "bucket[4]"},
                                      {"source-ids": [1, 5], "field-id": 1001, "name": "z", "transform": "zorder[2]"}]}
        ],
        "default-sort-order-id": 1,
        "sort-orders": [{"order-id": 1, "fields": [{"source-id": 1, "transform": "identity", "direction": "desc", "null-order": "nulls-last"}]}],
        "properties": {"schema.name-mapping.default": "[{\"field-id\": 1, \"names\": [\"id\", \"old\"]}]"},
        "current-snapshot-id": 20,
        "refs": {"audit": {"snapshot-id": 10, "type": "branch", "max-ref-age-ms": 5}, "v1": {"snapshot-id": 10, "type": "tag"}},
        "snapshots": [
            {"snapshot-id": 10, "sequence-number": 1, "timestamp-ms": 10, "summary": {"operation": "append"}, "manifest-list": "s3://b/1", "schema-id": 0},
            {"snapshot-id": 20, "parent-snapshot-id": 10, "sequence-number": 2, "timestamp-ms": 20, "manifest-list": "s3://b/2", "schema-id": 1}
        ],
        "snapshot-log": [{"timestamp-ms": 10, "snapshot-id": 10}, {"timestamp-ms": 20, "snapshot-id": 20}],
        "something-of-the-future": {"a": 1}
    })
}

#[test]
fn version_2_is_read() {
    let metadata = parse(&version_2()).unwrap();
    let schema = metadata.current_schema().unwrap();
    assert_eq!((schema.schema_id, schema.identifier_field_ids.as_slice()), (1, &[1][..]));
    let path: Vec<_> = schema.path(4).into_iter().map(|field| field.name.as_str()).collect();
    assert_eq!(path, ["l", "element", "x"]);
    assert_eq!(schema.field(4).unwrap().field_type, Type::Primitive(PrimitiveType::Other("geometry(srid:4326)".into())));
    assert_eq!(schema.field(5).unwrap().field_type, Type::Primitive(PrimitiveType::Decimal { precision: 9, scale: 2 }));
    assert_eq!(schema.field(5).unwrap().initial_default, Some(json!("1.50")));
    assert!(schema.column("x").is_none());
    let spec = metadata.partition_spec(1).unwrap();
    assert_eq!(spec.fields[0].transform, Transform::Bucket(4));
    assert_eq!((spec.fields[1].source_id(), &spec.fields[1].transform), (None, &Transform::Unknown("zorder[2]".into())));
    assert!(metadata.partition_spec(0).unwrap().is_unpartitioned() && !spec.is_unpartitioned());
    let current = metadata.current_snapshot_id.and_then(|id| metadata.snapshot(id));
    assert_eq!(current.unwrap().manifest_list.as_deref(), Some("s3://b/2"));
    assert_eq!(metadata.refs["main"].snapshot_id, 20);
    assert_eq!(metadata.refs["v1"].kind, ReferenceKind::Tag);
    assert_eq!(metadata.name_mapping().unwrap().unwrap().find("old").unwrap().field_id, Some(1));
    assert_eq!(metadata.field_type(1), Some(&PrimitiveType::Long));
}

#[test]
fn times_go_by_the_log() {
    let mut json = version_2();
    // A rollback to 10 at 40, written by a clock that was behind.
    json["snapshot-log"] = json!([
        {"timestamp-ms": 10, "snapshot-id": 10}, {"timestamp-ms": 50, "snapshot-id": 20}, {"timestamp-ms": 40, "snapshot-id": 10}
    ]);
    let metadata = parse(&json).unwrap();
    assert_eq!(metadata.snapshot_at(9_999), None);
    assert_eq!(metadata.snapshot_at(10_000), Some(10));
    assert_eq!(metadata.snapshot_at(i64::MAX), Some(10));
    assert_eq!(metadata.snapshot_at(i64::MIN), None);
}

#[test]
fn version_1_as_early_as_it_gets() {
    let metadata = parse(&json!({
        "format-version": 1, "location": "s3://b/t", "last-column-id": 2, "current-snapshot-id": -1,
        "schema": {"type": "struct", "fields": [{"id": 1, "name": "a", "required": false, "type": "string"}]},
        "partition-spec": [{"source-id": 1, "name": "a", "transform": "identity"}, {"source-id": 1, "name": "b", "transform": "void"}]
    }))
    .unwrap();
    assert_eq!((metadata.format_version, metadata.current_snapshot_id, metadata.current_schema_id), (1, None, 0));
    assert!(metadata.table_uuid.is_none() && metadata.refs.is_empty());
    let fields = &metadata.partition_spec(0).unwrap().fields;
    assert_eq!((fields[0].field_id, fields[1].field_id), (1000, 1001));
}

#[test]
fn gzip_is_unfolded_and_a_cut_one_is_damage() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(version_2().to_string().as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(TableMetadata::parse(&gzip, URL).unwrap().current_snapshot_id, Some(20));
    for end in [2, gzip.len() / 2, gzip.len() - 1] {
        let error = TableMetadata::parse(&gzip[..end], URL).unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::DATA_CORRUPTED);
    }
}

#[test]
fn damages_name_the_file_and_the_fault() {
    let with = |path: &str, value: Value| {
        let mut json = version_2();
        *json.pointer_mut(path).unwrap() = value;
        parse(&json).unwrap_err()
    };
    for (path, value, word) in [
        ("/current-schema-id", json!(9), "current-schema-id 9"),
        ("/current-snapshot-id", json!(9), "current-snapshot-id 9"),
        ("/schemas/1/fields/2/id", json!(4), "field id 4 is used twice"),
        ("/schemas/1/fields/2/type", json!("decimal(39,2)"), "decimal(39,2)"),
        ("/schemas/1/fields/2/type", json!(7), "a number"),
        ("/schemas/1/fields/0/name", json!(null), "no name"),
        ("/schemas/1/fields", json!({}), "array"),
        ("/format-version", json!(0), "version 0"),
        ("/snapshots/0/snapshot-id", json!("x"), "invalid type"),
    ] {
        let error = with(path, value);
        assert_eq!(error.sqlstate(), SqlState::DATA_CORRUPTED, "{path}");
        assert!(error.to_string().contains(word) && error.to_string().contains(URL), "{path}: {error}");
    }
    let text = version_2().to_string();
    for end in [0, 1, text.len() / 3, text.len() - 1] {
        assert_eq!(TableMetadata::parse(&text.as_bytes()[..end], URL).unwrap_err().sqlstate(), SqlState::DATA_CORRUPTED);
    }
    let deep = format!("{}{}", r#"{"type":"list","element-id":1,"element":"#.repeat(100_000), "1");
    assert!(TableMetadata::parse(deep.as_bytes(), URL).is_err());
}

#[test]
fn what_we_must_not_guess_at_is_refused_by_name() {
    let mut future = version_2();
    future["format-version"] = json!(4);
    future["schemas"] = json!("in another form");
    let error = parse(&future).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().contains("version 4")), (SqlState::FEATURE_NOT_SUPPORTED, true));
    let mut encrypted = version_2();
    encrypted["encryption-keys"] = json!([{"key-id": "k"}]);
    let error = parse(&encrypted).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().contains("encrypted")), (SqlState::FEATURE_NOT_SUPPORTED, true));
}
