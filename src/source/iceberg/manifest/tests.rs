//! Manifests and manifest lists of our own making: inheritance, types, old writers, hostile bytes.

use apache_avro::types::Value;
use apache_avro::{Codec, Schema, Writer};
use serde_json::json;

use super::*;
use crate::error::{ReportError, SqlState};
use crate::source::iceberg::{Datum, ManifestContent, ManifestList, PartitionValue};

const LIST: &str = r#"{"type": "record", "name": "manifest_file", "fields": [
    {"name": "manifest_path", "type": "string", "field-id": 500},
    {"name": "manifest_length", "type": "long", "field-id": 501},
    {"name": "partition_spec_id", "type": "int", "field-id": 502},
    {"name": "added_data_files_count", "type": ["null", "int"], "field-id": 504},
    {"name": "partitions", "field-id": 507, "type": ["null", {"type": "array", "element-id": 508, "items": {"type": "record", "name": "r508", "fields": [
        {"name": "contains_null", "type": "boolean", "field-id": 509},
        {"name": "lower_bound", "type": ["null", "bytes"], "field-id": 510},
        {"name": "upper_bound", "type": ["null", "bytes"], "field-id": 511}]}}]}
]}"#;

/// The partition's type is put in for `PARTITION`.
const MANIFEST: &str = r#"{"type": "record", "name": "manifest_entry", "fields": [
    {"name": "status", "type": "int", "field-id": 0},
    {"name": "sequence_number", "type": ["null", "long"], "field-id": 3},
    {"name": "data_file", "field-id": 2, "type": {"type": "record", "name": "r2", "fields": [
        {"name": "content", "type": "int", "field-id": 134},
        {"name": "file_path", "type": "string", "field-id": 100},
        {"name": "file_format", "type": "string", "field-id": 101},
        {"name": "partition", "field-id": 102, "type": {"type": "record", "name": "r102", "fields": [
            {"name": "part_x20_a", "type": ["null", PARTITION], "field-id": 1000}]}},
        {"name": "record_count", "type": "long", "field-id": 103},
        {"name": "lower_bounds", "field-id": 125, "type": ["null", {"type": "array", "logicalType": "map", "items": {"type": "record", "name": "k126_v127",
            "fields": [{"name": "key", "type": "int", "field-id": 126}, {"name": "value", "type": "bytes", "field-id": 127}]}}]},
        {"name": "equality_ids", "field-id": 135, "type": ["null", {"type": "array", "items": "int", "element-id": 136}]},
        {"name": "first_row_id", "type": ["null", "long"], "field-id": 142}
    ]}}
]}"#;

fn metadata(of: &str) -> TableMetadata {
    let json = json!({
        "format-version": 3, "location": "s3://b/t", "current-schema-id": 0,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "part a", "required": false, "type": of}]}],
        "default-spec-id": 7,
        "partition-specs": [{"spec-id": 7, "fields": [{"source-id": 1, "field-id": 1000, "name": "part a", "transform": "identity"}]}]
    });
    TableMetadata::parse(json.to_string().as_bytes(), "m").unwrap()
}

fn optional(value: Option<Value>) -> Value {
    value.map_or(Value::Union(0, Box::new(Value::Null)), |value| Value::Union(1, Box::new(value)))
}

struct Entry {
    status: i32,
    sequence: Option<i64>,
    content: i32,
    path: &'static str,
    format: &'static str,
    partition: Option<Value>,
    rows: i64,
    first_row_id: Option<i64>,
}

fn entry(path: &'static str) -> Entry {
    Entry { status: 1, sequence: None, content: 0, path, format: "PARQUET", partition: None, rows: 10, first_row_id: None }
}

fn bytes_of(partition: &str, entries: &[Entry]) -> Vec<u8> {
    written(&MANIFEST.replace("PARTITION", partition), entries, |entry| vec![("part_x20_a".into(), optional(entry.partition.clone()))])
}

fn written(schema: &str, entries: &[Entry], partition: impl Fn(&Entry) -> Vec<(String, Value)>) -> Vec<u8> {
    crate::source::iceberg::avro::prepare();
    let schema = Schema::parse_str(schema).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Deflate(Default::default())).unwrap();
    for entry in entries {
        let pair =
            |id: i32, value: &[u8]| Value::Record(vec![("key".into(), Value::Int(id)), ("value".into(), Value::Bytes(value.to_vec()))]);
        let file = vec![
            ("content".into(), Value::Int(entry.content)),
            ("file_path".into(), Value::String(entry.path.into())),
            ("file_format".into(), Value::String(entry.format.into())),
            ("partition".into(), Value::Record(partition(entry))),
            ("record_count".into(), Value::Long(entry.rows)),
            ("lower_bounds".into(), optional(Some(Value::Array(vec![pair(9, b"nine"), pair(1, b"one")])))),
            ("equality_ids".into(), optional((entry.content == 2).then(|| Value::Array(vec![Value::Int(1)])))),
            ("first_row_id".into(), optional(entry.first_row_id.map(Value::Long))),
        ];
        let record = vec![
            ("status".into(), Value::Int(entry.status)),
            ("sequence_number".into(), optional(entry.sequence.map(Value::Long))),
            ("data_file".into(), Value::Record(file)),
        ];
        writer.append_value(Value::Record(record)).unwrap();
    }
    writer.into_inner().unwrap()
}

fn listed(sequence_number: i64, first_row_id: Option<i64>) -> ManifestFile {
    ManifestFile { partition_spec_id: Some(7), sequence_number, first_row_id, ..ManifestFile::inline("s3://b/m.avro") }
}

fn parse(bytes: &[u8]) -> Result<Manifest, FormatError> {
    Manifest::parse(bytes, &listed(5, None), &metadata("long"))
}

#[test]
fn entries_inherit_what_they_leave_out() {
    let bytes = bytes_of(
        "\"long\"",
        &[
            entry("added"),
            Entry { status: 2, ..entry("deleted") },
            Entry { status: 0, sequence: Some(3), first_row_id: Some(7), ..entry("existing") },
            Entry { rows: 4, ..entry("second") },
            entry("third"),
        ],
    );
    let manifest = parse(&bytes).unwrap();
    let files = manifest.data_files(&listed(5, Some(100))).unwrap();
    let got: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.sequence_number, file.first_row_id)).collect();
    assert_eq!(got, [("added", 5, Some(100)), ("existing", 3, Some(7)), ("second", 5, Some(110)), ("third", 5, Some(114))]);
    // In a snapshot of before the upgrade to version 3 there are no row ids.
    assert!(manifest.data_files(&listed(5, None)).unwrap().iter().all(|file| file.first_row_id.is_none()));
    assert_eq!(files[0].statistics.lower_bounds.get(1).map(|bound| bound.as_ref()), Some(&b"one"[..]));
    assert_eq!(files[0].statistics.lower_bounds.get(9).map(|bound| bound.as_ref()), Some(&b"nine"[..]));
    assert!(files[0].statistics.lower_bounds.get(2).is_none());
}

#[test]
fn an_existing_file_without_sequence_number_is_version_1_or_damage() {
    let manifest = parse(&bytes_of("\"long\"", &[Entry { status: 0, ..entry("old") }])).unwrap();
    assert_eq!(manifest.data_files(&listed(0, None)).unwrap()[0].sequence_number, 0);
    let error = manifest.data_files(&listed(5, None)).unwrap_err();
    assert!(error.to_string().contains("\"old\" has no sequence number"), "{error}");
}

#[test]
fn partition_values_become_the_columns_type() {
    let value = |column: &str, avro: &str, value: Option<Value>| {
        let bytes = bytes_of(avro, &[Entry { partition: value, ..entry("f") }]);
        let manifest = Manifest::parse(&bytes, &listed(1, None), &metadata(column))?;
        Ok::<_, FormatError>(manifest.entries()[0].file.partition.values[0].clone())
    };
    assert_eq!(value("long", "\"int\"", Some(Value::Int(5))).unwrap(), PartitionValue::Value(Datum::Long(5)));
    assert_eq!(value("long", "\"int\"", None).unwrap(), PartitionValue::Null);
    let date = r#"{"type": "int", "logicalType": "date"}"#;
    assert_eq!(value("date", date, Some(Value::Date(5))).unwrap(), PartitionValue::Value(Datum::Date(5)));
    assert_eq!(value("date", "\"int\"", Some(Value::Int(5))).unwrap(), PartitionValue::Value(Datum::Date(5)));
    let decimal = r#"{"type": "fixed", "size": 4, "name": "d", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
    let minus_two = Value::Decimal(vec![0xff, 0xff, 0xff, 0x38].into());
    assert_eq!(
        value("decimal(18,2)", decimal, Some(minus_two)).unwrap(),
        PartitionValue::Value(Datum::Decimal { unscaled: -200, precision: 18, scale: 2 })
    );
    let micros = r#"{"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false}"#;
    assert_eq!(value("timestamp", micros, Some(Value::TimestampMicros(9))).unwrap(), PartitionValue::Value(Datum::Timestamp(9)));
    let error = value("long", "\"string\"", Some(Value::String("5".into()))).unwrap_err();
    assert!(error.to_string().contains("partition value \"part a\" of another type"), "{error}");
}

/// A table cut by two columns, and what is read of a manifest whose partition record has these fields, all of them 5.
fn two_fields(record: &[(&str, &str)]) -> Vec<PartitionValue> {
    let json = json!({
        "format-version": 2, "location": "s3://b/t", "current-schema-id": 0,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": [
            {"id": 1, "name": "a", "required": false, "type": "long"}, {"id": 2, "name": "b", "required": false, "type": "long"}]}],
        "partition-specs": [{"spec-id": 7, "fields": [
            {"source-id": 1, "field-id": 1000, "name": "a", "transform": "identity"},
            {"source-id": 2, "field-id": 1001, "name": "b", "transform": "identity"}]}]
    });
    let metadata = TableMetadata::parse(json.to_string().as_bytes(), "m").unwrap();
    let fields: Vec<String> = record.iter().map(|(name, id)| format!(r#"{{"name": "{name}", "type": "long"{id}}}"#)).collect();
    let own = r#"{"name": "part_x20_a", "type": ["null", PARTITION], "field-id": 1000}"#;
    let schema = MANIFEST.replace(own, &fields.join(", "));
    let values = || record.iter().map(|(name, _)| ((*name).to_owned(), Value::Long(5))).collect();
    let bytes = written(&schema, &[entry("f")], |_| values());
    Manifest::parse(&bytes, &listed(1, None), &metadata).unwrap().entries()[0].file.partition.values.clone()
}

#[test]
fn a_field_that_the_partition_record_lacks_is_absent_and_not_null() {
    let (five, absent) = (|| PartitionValue::Value(Datum::Long(5)), || PartitionValue::Absent);
    assert_eq!(two_fields(&[]), [absent(), absent()]);
    assert_eq!(two_fields(&[("x", r#", "field-id": 1001"#)]), [absent(), five()]);
    // Without ids a name is believed before a place.
    assert_eq!(two_fields(&[("b", "")]), [absent(), five()]);
    assert_eq!(two_fields(&[("x", "")]), [five(), absent()]);
    assert_eq!(two_fields(&[("b", ""), ("a", "")]), [five(), five()]);
}

#[test]
fn a_codec_that_is_not_built_in_is_no_damage() {
    let good = bytes_of("\"long\"", &[entry("a")]);
    let codec = b"\x0edeflate";
    let at = good.windows(codec.len()).position(|window| window == codec).unwrap();
    let bytes = [&good[..at], b"\x0abzip2", &good[at + codec.len()..]].concat();
    let error = parse(&bytes).unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::FEATURE_NOT_SUPPORTED);
    assert_eq!(error.to_string(), "Avro files compressed with bzip2 are not supported (\"s3://b/m.avro\")");
}

#[test]
fn delete_files_must_say_what_they_delete() {
    let deletes = |entry: Entry| parse(&bytes_of("\"long\"", &[entry])).unwrap().delete_files(&listed(5, None));
    assert_eq!(deletes(Entry { content: 1, ..entry("p") }).unwrap()[0].kind, DeleteKind::Position);
    let equality = deletes(Entry { content: 2, ..entry("e") }).unwrap();
    assert_eq!((equality[0].kind, equality[0].equality_ids.as_slice()), (DeleteKind::Equality, &[1][..]));
    for (entry, word) in
        [(Entry { content: 0, ..entry("d") }, "content 0"), (Entry { content: 1, format: "puffin", ..entry("v") }, "without data file")]
    {
        assert!(deletes(entry).unwrap_err().to_string().contains(word), "{word}");
    }
    let manifest = parse(&bytes_of("\"long\"", &[Entry { content: 1, ..entry("p") }])).unwrap();
    assert!(manifest.data_files(&listed(5, None)).is_err());
}

#[test]
fn nonsense_is_damage() {
    for (bytes, word) in [
        (bytes_of("\"long\"", &[Entry { status: 3, ..entry("f") }]), "status"),
        (bytes_of("\"long\"", &[Entry { rows: -1, ..entry("f") }]), "record count"),
        (Vec::new(), "Avro"),
        (b"PAR1".to_vec(), "Avro"),
    ] {
        let error = parse(&bytes).unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::DATA_CORRUPTED);
        assert!(error.to_string().contains(word) && error.to_string().contains("s3://b/m.avro"), "{error}");
    }
    let unknown_spec = ManifestFile { partition_spec_id: Some(8), ..listed(1, None) };
    let error = Manifest::parse(&bytes_of("\"long\"", &[]), &unknown_spec, &metadata("long")).unwrap_err();
    assert!(error.to_string().contains("no partition spec 8"), "{error}");
}

#[test]
fn no_cut_and_no_flipped_byte_panics() {
    let good = bytes_of("\"long\"", &[entry("a"), Entry { partition: Some(Value::Long(1)), ..entry("b") }]);
    for end in 0..good.len() {
        // A cut at a block's end is a shorter, valid file; everything else is damage.
        let _ = parse(&good[..end]);
    }
    for position in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[position] ^= change;
            let _ = parse(&bad);
            let _ = ManifestList::parse(&bad, "list");
        }
    }
}

#[test]
fn a_schema_that_contains_itself_is_refused() {
    let endless = r#"{"type": "record", "name": "x", "fields": [{"name": "x", "type": "x"}]}"#;
    let mut bytes = b"Obj\x01".to_vec();
    let long = |bytes: &mut Vec<u8>, value: usize| {
        let mut value = (value as u64) << 1;
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    };
    long(&mut bytes, 1);
    for text in ["avro.schema", endless] {
        long(&mut bytes, text.len());
        bytes.extend_from_slice(text.as_bytes());
    }
    long(&mut bytes, 0);
    bytes.extend_from_slice(&[7; 16]);
    long(&mut bytes, 1 << 40);
    long(&mut bytes, 0);
    bytes.extend_from_slice(&[7; 16]);
    let error = ManifestList::parse(&bytes, "list").unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::DATA_CORRUPTED);
}

/// A list of an old writer's with so many manifests, the same each time.
fn list_of(manifests: usize) -> Vec<u8> {
    crate::source::iceberg::avro::prepare();
    let schema = Schema::parse_str(LIST).unwrap();
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Deflate(Default::default())).unwrap();
    let summary = Value::Record(vec![
        ("contains_null".into(), Value::Boolean(false)),
        ("lower_bound".into(), optional(Some(Value::Bytes(vec![1, 0, 0, 0])))),
        ("upper_bound".into(), optional(None)),
    ]);
    let record = vec![
        ("manifest_path".into(), Value::String("s3://b/m1".into())),
        ("manifest_length".into(), Value::Long(99)),
        ("partition_spec_id".into(), Value::Int(3)),
        ("added_data_files_count".into(), optional(Some(Value::Int(2)))),
        ("partitions".into(), optional(Some(Value::Array(vec![summary])))),
    ];
    for _ in 0..manifests {
        writer.append_value(Value::Record(record.clone())).unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn a_small_list_that_unfolds_to_a_large_one_is_refused() {
    let bytes = list_of(10_000);
    assert_eq!(ManifestList::parse(&bytes, "list").unwrap().manifests.len(), 10_000);
    let error = ManifestList::parse_within(&bytes, "s3://b/list.avro", 1 << 20).unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::DATA_CORRUPTED);
    assert!(error.to_string().contains("s3://b/list.avro") && error.to_string().contains("more than 1048576 bytes"), "{error}");
    assert!(bytes.len() < 1 << 16, "{} bytes", bytes.len());
}

#[test]
fn lists_of_old_writers_are_read_by_field_id() {
    let list = ManifestList::parse(&list_of(1), "list").unwrap();
    let manifest = &list.manifests[0];
    assert_eq!((manifest.path.as_str(), manifest.partition_spec_id, manifest.content), ("s3://b/m1", Some(3), ManifestContent::Data));
    assert_eq!((manifest.sequence_number, manifest.added_files_count, manifest.existing_files_count), (0, Some(2), None));
    assert!(!manifest.is_dead() && !manifest.encrypted);
    let summary = &manifest.partitions.as_ref().unwrap()[0];
    assert_eq!((summary.contains_null, summary.contains_nan, summary.upper_bound.is_none()), (false, None, true));
    assert_eq!(summary.lower_bound.as_ref().map(|bound| bound.to_vec()), Some(vec![1, 0, 0, 0]));
}
