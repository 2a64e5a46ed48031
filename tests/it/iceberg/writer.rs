//! Writes tables of versions 1 to 3 by the specification: data and delete files, deletion vectors, manifests, metadata. It
//! shares no code with the reader, and its habits (statistics or none, bounds cut short, several manifests or one) are random.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field as ArrowField, Schema as ArrowSchema};
use arrow::record_batch::RecordBatch;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::avro::{Avro, container};
use super::values::{Field, Kind, Row, Val, compare};

pub const FILE_PATH: i32 = 2_147_483_546;
pub const POSITION: i32 = 2_147_483_545;
const ROW_ID: i32 = 2_147_483_540;
const LAST_UPDATED: i32 = 2_147_483_539;

/// A partition field's transform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transform {
    Identity,
    Bucket(u32),
    Truncate(usize),
    Day,
    Void,
}

/// A partition field.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionField {
    pub source: i32,
    pub id: i32,
    pub transform: Transform,
}

impl PartitionField {
    pub fn name(&self) -> String {
        format!("p{}", self.id)
    }

    pub fn transform_name(&self) -> String {
        match self.transform {
            Transform::Identity => "identity".to_owned(),
            Transform::Bucket(count) => format!("bucket[{count}]"),
            Transform::Truncate(width) => format!("truncate[{width}]"),
            Transform::Day => "day".to_owned(),
            Transform::Void => "void".to_owned(),
        }
    }

    /// The partition's value of a column's value.
    pub fn apply(&self, value: &Val) -> Val {
        match (self.transform, value) {
            (Transform::Void, _) | (_, Val::Null) => Val::Null,
            (Transform::Identity, value) => value.clone(),
            (Transform::Bucket(count), value) => Val::Int(i64::from((hash(value) & 0x7fff_ffff) % count)),
            (Transform::Truncate(width), Val::Text(text)) => Val::Text(text.chars().take(width).collect()),
            (Transform::Truncate(width), Val::Int(value)) => Val::Int(value - value.rem_euclid(width as i64)),
            (Transform::Day, Val::Time(micros)) => Val::Int(micros.div_euclid(86_400_000_000)),
            other => panic!("no transform {other:?}"),
        }
    }
}

/// Murmur3, 32 bits, seed 0, as the specification wants it.
fn hash(value: &Val) -> u32 {
    let bytes = match value {
        Val::Int(value) | Val::Time(value) => value.to_le_bytes().to_vec(),
        Val::Text(text) => text.as_bytes().to_vec(),
        other => panic!("no bucket of {other:?}"),
    };
    let scramble = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = 0u32;
    let whole = bytes.len() / 4 * 4;
    for chunk in bytes[..whole].chunks(4) {
        hash ^= scramble(u32::from_le_bytes(chunk.try_into().unwrap()));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut tail = [0; 4];
    tail[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
    hash ^= scramble(u32::from_le_bytes(tail));
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// What a manifest knows of a column.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    values: Vec<(i32, i64)>,
    nulls: Vec<(i32, i64)>,
    nans: Vec<(i32, i64)>,
    lower: Vec<(i32, Vec<u8>)>,
    upper: Vec<(i32, Vec<u8>)>,
}

/// A file in a manifest.
#[derive(Debug, Clone)]
pub struct Entry {
    /// 0 data, 1 position deletes, 2 equality deletes.
    pub content: i64,
    pub path: String,
    pub format: &'static str,
    pub spec: usize,
    pub partition: Vec<Val>,
    pub count: i64,
    pub size: i64,
    pub statistics: Option<Statistics>,
    pub equality_ids: Vec<i32>,
    pub referenced: Option<String>,
    pub blob: Option<(i64, i64)>,
    /// Its data sequence number; none until it is committed, unless it keeps an older one.
    pub sequence: Option<i64>,
    /// 0 existing, 1 added, 2 deleted.
    pub status: i64,
    pub snapshot: i64,
    pub first_row_id: Option<i64>,
}

impl Entry {
    /// What tells it from others: vectors of one file differ by their place.
    pub fn key(&self) -> (String, Option<i64>) {
        (self.path.clone(), self.blob.map(|(offset, _)| offset))
    }
}

/// A manifest that was written.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub path: String,
    pub length: i64,
    pub content: i64,
    pub spec: usize,
    pub sequence: i64,
    pub snapshot: i64,
    pub first_row_id: Option<i64>,
    pub entries: Vec<Entry>,
    /// For each partition field its column, as the values are written.
    pub results: Vec<Field>,
}

/// Where files go.
#[derive(Debug)]
pub struct Folder {
    pub store: Arc<InMemory>,
    next: usize,
}

pub const LOCATION: &str = "s3://b/t";

impl Folder {
    pub fn new() -> Self {
        Self { store: Arc::new(InMemory::new()), next: 0 }
    }

    pub fn url(&mut self, folder: &str, kind: &str, suffix: &str) -> String {
        self.next += 1;
        format!("{LOCATION}/{folder}/{kind}-{:05}{suffix}", self.next)
    }

    pub async fn put(&self, url: &str, bytes: Vec<u8>) -> i64 {
        let length = bytes.len() as i64;
        self.store.put(&Path::parse(url.strip_prefix("s3://b/").unwrap()).unwrap(), PutPayload::from(bytes)).await.unwrap();
        length
    }

    /// A Parquet file of these columns.
    pub async fn parquet(&self, url: &str, batch: &RecordBatch, random: &mut StdRng) -> i64 {
        let codecs = [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW];
        let statistics = [EnabledStatistics::None, EnabledStatistics::Chunk, EnabledStatistics::Page];
        let properties = WriterProperties::builder()
            .set_compression(codecs[random.random_range(0..codecs.len())])
            .set_statistics_enabled(statistics[random.random_range(0..statistics.len())])
            .set_dictionary_enabled(random.random_bool(0.5))
            .set_bloom_filter_enabled(random.random_bool(0.3))
            .set_max_row_group_row_count(Some(random.random_range(1..9)))
            .set_data_page_row_count_limit(random.random_range(1..5))
            .set_write_batch_size(1)
            .build();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        self.put(url, bytes).await
    }
}

/// A batch of rows, and where they have any, of their lineage.
pub fn batch(fields: &[Field], rows: &[Row], lineage: Option<(Vec<Option<i64>>, Vec<Option<i64>>)>) -> RecordBatch {
    let mut columns: Vec<ArrayRef> = Vec::new();
    let mut schema: Vec<_> = fields.iter().map(Field::arrow).collect();
    for field in fields {
        columns.push(field.array(&rows.iter().map(|row| row[&field.id].clone()).collect::<Vec<_>>()));
    }
    if let Some((ids, updated)) = lineage {
        for (name, id, values) in [("_row_id", ROW_ID, ids), ("_last_updated_sequence_number", LAST_UPDATED, updated)] {
            schema.push(Field::new(id, name, Kind::Long).arrow());
            columns.push(Arc::new(Int64Array::from(values)));
        }
    }
    RecordBatch::try_new(Arc::new(ArrowSchema::new(schema)), columns).unwrap()
}

/// Rows of a position delete file.
pub fn positions(pairs: &[(String, i64)]) -> RecordBatch {
    let field = |name: &str, id: i32, data_type: DataType| {
        ArrowField::new(name, data_type, false).with_metadata([("PARQUET:field_id".to_owned(), id.to_string())].into())
    };
    let schema = ArrowSchema::new(vec![field("file_path", FILE_PATH, DataType::Utf8), field("pos", POSITION, DataType::Int64)]);
    let paths: StringArray = pairs.iter().map(|(path, _)| Some(path.as_str())).collect();
    let places: Int64Array = pairs.iter().map(|(_, place)| Some(*place)).collect();
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(paths), Arc::new(places)]).unwrap()
}

/// A deletion vector's blob.
pub fn vector(positions: &std::collections::BTreeSet<u64>) -> Vec<u8> {
    let bitmap: roaring::RoaringTreemap = positions.iter().copied().collect();
    let mut data = vec![0xd1, 0xd3, 0x39, 0x64];
    bitmap.serialize_into(&mut data).unwrap();
    let mut blob = (data.len() as u32).to_be_bytes().to_vec();
    blob.extend(&data);
    blob.extend(crc32fast::hash(&data).to_be_bytes());
    blob
}

/// What a manifest may say of these rows.
pub fn statistics(fields: &[Field], rows: &[Row], random: &mut StdRng) -> Option<Statistics> {
    if random.random_bool(0.2) {
        return None;
    }
    let mut known = Statistics::default();
    let cut = random.random_bool(0.5);
    for field in fields.iter().filter(|field| field.is_primitive()) {
        let values: Vec<&Val> = rows.iter().map(|row| &row[&field.id]).collect();
        let is_nan = |value: &Val| matches!(value, Val::Float(value) if value.is_nan());
        let count = |wanted: &dyn Fn(&Val) -> bool| values.iter().filter(|value| wanted(value)).count() as i64;
        known.values.push((field.id, values.len() as i64));
        known.nulls.push((field.id, count(&|value| *value == Val::Null)));
        if field.is_float() {
            known.nans.push((field.id, count(&is_nan)));
        }
        let real: Vec<&Val> = values.into_iter().filter(|value| **value != Val::Null && !is_nan(value)).collect();
        let order = |a: &&Val, b: &&Val| compare(a, b).unwrap();
        let (Some(least), Some(most)) = (real.iter().copied().min_by(order), real.iter().copied().max_by(order)) else { continue };
        let (least, most) = match (least, most) {
            (Val::Text(least), Val::Text(most)) if cut => (Some(Val::Text(least.chars().take(2).collect())), rounded_up(most, 2)),
            (least, most) => (Some(least.clone()), Some(most.clone())),
        };
        known.lower.extend(least.map(|value| (field.id, single_value(field, &value))));
        known.upper.extend(most.map(|value| (field.id, single_value(field, &value))));
    }
    Some(known)
}

fn rounded_up(text: &str, width: usize) -> Option<Val> {
    if text.chars().count() <= width {
        return Some(Val::Text(text.to_owned()));
    }
    let mut chars: Vec<char> = text.chars().take(width).collect();
    while let Some(last) = chars.pop() {
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            chars.push(next);
            return Some(Val::Text(chars.into_iter().collect()));
        }
    }
    None
}

/// Appendix D.
fn single_value(field: &Field, value: &Val) -> Vec<u8> {
    match (value, &field.kind) {
        (Val::Bool(value), _) => vec![u8::from(*value)],
        (Val::Int(value), Kind::Int) => (*value as i32).to_le_bytes().to_vec(),
        (Val::Int(value) | Val::Time(value), _) => value.to_le_bytes().to_vec(),
        (Val::Float(value), Kind::Float) => (*value as f32).to_le_bytes().to_vec(),
        (Val::Float(value), _) => value.to_le_bytes().to_vec(),
        (Val::Text(text), _) => text.as_bytes().to_vec(),
        other => panic!("no bound {other:?}"),
    }
}

/// Bounds of the path in a position delete file, as writers keep them.
pub fn path_statistics(paths: &[&str], random: &mut StdRng) -> Option<Statistics> {
    let (least, most) = (paths.iter().min()?, paths.iter().max()?);
    let bounds = |least: &str, most: Option<String>| Statistics {
        lower: vec![(FILE_PATH, least.as_bytes().to_vec())],
        upper: most.map(|most| (FILE_PATH, most.into_bytes())).into_iter().collect(),
        ..Statistics::default()
    };
    match random.random_range(0..4) {
        0 => None,
        1 => Some(bounds(
            &least[..10],
            match rounded_up(most, 10) {
                Some(Val::Text(text)) => Some(text),
                _ => None,
            },
        )),
        // A writer that cuts and does not round.
        2 => Some(bounds(&least[..10], Some(most[..10].to_owned()))),
        _ => Some(bounds(least, Some((*most).to_owned()))),
    }
}

fn required(name: &str, id: i32, of: Value) -> Value {
    json!({"name": name, "field-id": id, "type": of})
}

fn optional(name: &str, id: i32, of: Value) -> Value {
    json!({"name": name, "field-id": id, "type": ["null", of], "default": null})
}

fn map(name: &str, id: i32, key: i32, of: &str) -> Value {
    let fields = json!([required("key", key, json!("int")), required("value", key + 1, json!(of))]);
    optional(
        name,
        id,
        json!({"type": "array", "logicalType": "map", "items": {"type": "record", "name": format!("k{key}"), "fields": fields}}),
    )
}

/// The Avro type of a partition field of this column.
fn partition_type(field: &PartitionField, source: &Field, dated: bool) -> Value {
    match (field.transform, &source.kind) {
        (Transform::Bucket(_), _) => json!("int"),
        (Transform::Day, _) if dated => json!({"type": "int", "logicalType": "date"}),
        (Transform::Day, _) => json!("int"),
        (_, Kind::Int) => json!("int"),
        (_, Kind::Long) => json!("long"),
        (_, Kind::Bool) => json!("boolean"),
        (_, Kind::Text) => json!("string"),
        (_, Kind::Timestamp) => json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false}),
        other => panic!("no partition {other:?}"),
    }
}

fn partition_value(value: &Val) -> Avro {
    Avro::optional(match value {
        Val::Null => None,
        Val::Bool(value) => Some(Avro::Bool(*value)),
        Val::Int(value) | Val::Time(value) => Some(Avro::Long(*value)),
        Val::Text(text) => Some(Avro::Text(text.clone())),
        other => panic!("no partition {other:?}"),
    })
}

/// What a manifest needs to know of its table.
pub struct Shape<'a> {
    pub version: i64,
    pub spec: &'a [PartitionField],
    /// Source columns of the spec, as they are now (or were last).
    pub sources: &'a [Field],
}

/// A manifest's bytes.
pub fn manifest(shape: &Shape<'_>, spec_id: usize, content: i64, entries: &[Entry], random: &mut StdRng) -> Vec<u8> {
    let dated = random.random_bool(0.5);
    let partition: Vec<_> = shape
        .spec
        .iter()
        .zip(shape.sources)
        .map(|(field, source)| optional(&field.name(), field.id, partition_type(field, source, dated)))
        .collect();
    let version = shape.version;
    let mut file = Vec::new();
    if version > 1 {
        file.push(required("content", 134, json!("int")));
    }
    file.push(required("file_path", 100, json!("string")));
    file.push(required("file_format", 101, json!("string")));
    file.push(required("partition", 102, json!({"type": "record", "name": "r102", "fields": partition})));
    file.push(required("record_count", 103, json!("long")));
    file.push(required("file_size_in_bytes", 104, json!("long")));
    if version == 1 {
        file.push(required("block_size_in_bytes", 105, json!("long")));
    }
    file.push(map("value_counts", 109, 119, "long"));
    file.push(map("null_value_counts", 110, 121, "long"));
    file.push(map("nan_value_counts", 137, 138, "long"));
    file.push(map("lower_bounds", 125, 126, "bytes"));
    file.push(map("upper_bounds", 128, 129, "bytes"));
    if version > 1 {
        file.push(optional("equality_ids", 135, json!({"type": "array", "items": "int", "element-id": 136})));
        file.push(optional("referenced_data_file", 143, json!("string")));
    }
    if version > 2 {
        file.push(optional("first_row_id", 142, json!("long")));
        file.push(optional("content_offset", 144, json!("long")));
        file.push(optional("content_size_in_bytes", 145, json!("long")));
    }
    let mut fields = vec![required("status", 0, json!("int"))];
    fields.push(if version == 1 { required("snapshot_id", 1, json!("long")) } else { optional("snapshot_id", 1, json!("long")) });
    if version > 1 {
        fields.push(optional("sequence_number", 3, json!("long")));
    }
    fields.push(required("data_file", 2, json!({"type": "record", "name": "r2", "fields": file})));
    let schema = json!({"type": "record", "name": "manifest_entry", "fields": fields});
    let records: Vec<Avro> = entries.iter().map(|entry| entry_record(version, entry)).collect();
    let content = if content == 0 { "data" } else { "deletes" };
    let properties = [("partition-spec-id", spec_id.to_string()), ("format-version", version.to_string()), ("content", content.to_owned())];
    container(&schema, &properties, &records)
}

fn entry_record(version: i64, entry: &Entry) -> Avro {
    let long = |value: Option<i64>| Avro::optional(value.map(Avro::Long));
    let pairs = |pairs: Vec<(i32, Avro)>| {
        let records = pairs.into_iter().map(|(id, value)| Avro::Record(vec![Avro::Long(i64::from(id)), value]));
        Avro::optional(Some(Avro::Array(records.collect())).filter(|_| entry.statistics.is_some()))
    };
    let known = entry.statistics.clone().unwrap_or_default();
    let counts = |counts: Vec<(i32, i64)>| counts.into_iter().map(|(id, count)| (id, Avro::Long(count))).collect::<Vec<_>>();
    let bounds = |bounds: Vec<(i32, Vec<u8>)>| bounds.into_iter().map(|(id, bytes)| (id, Avro::Bytes(bytes))).collect::<Vec<_>>();
    let mut file = Vec::new();
    if version > 1 {
        file.push(Avro::Long(entry.content));
    }
    file.push(Avro::Text(entry.path.clone()));
    file.push(Avro::Text(entry.format.to_owned()));
    file.push(Avro::Record(entry.partition.iter().map(partition_value).collect()));
    file.push(Avro::Long(entry.count));
    file.push(Avro::Long(entry.size));
    if version == 1 {
        file.push(Avro::Long(0));
    }
    file.push(pairs(counts(known.values)));
    file.push(pairs(counts(known.nulls)));
    file.push(pairs(counts(known.nans)));
    file.push(pairs(bounds(known.lower)));
    file.push(pairs(bounds(known.upper)));
    if version > 1 {
        let ids: Vec<_> = entry.equality_ids.iter().map(|id| Avro::Long(i64::from(*id))).collect();
        file.push(Avro::optional(Some(Avro::Array(ids)).filter(|_| !entry.equality_ids.is_empty())));
        file.push(Avro::optional(entry.referenced.clone().map(Avro::Text)));
    }
    if version > 2 {
        file.push(long(entry.first_row_id.filter(|_| entry.status == 0)));
        file.push(long(entry.blob.map(|(offset, _)| offset)));
        file.push(long(entry.blob.map(|(_, size)| size)));
    }
    let snapshot = Avro::Long(entry.snapshot);
    let mut record = vec![Avro::Long(entry.status), if version == 1 { snapshot } else { Avro::Some(Box::new(snapshot)) }];
    if version > 1 {
        record.push(long(entry.sequence));
    }
    record.push(Avro::Record(file));
    Avro::Record(record)
}

/// A manifest list's bytes.
pub fn manifest_list(version: i64, manifests: &[Manifest]) -> Vec<u8> {
    let mut fields = vec![
        required("manifest_path", 500, json!("string")),
        required("manifest_length", 501, json!("long")),
        required("partition_spec_id", 502, json!("int")),
    ];
    if version > 1 {
        fields.push(required("content", 517, json!("int")));
        fields.push(required("sequence_number", 515, json!("long")));
        fields.push(required("min_sequence_number", 516, json!("long")));
    }
    fields.push(required("added_snapshot_id", 503, json!("long")));
    let summary = json!({"type": "record", "name": "r508", "fields": [
        required("contains_null", 509, json!("boolean")), optional("lower_bound", 510, json!("bytes")), optional("upper_bound", 511, json!("bytes")),
    ]});
    for (name, id) in [("added_files_count", 504), ("existing_files_count", 505), ("deleted_files_count", 506)] {
        fields.push(if version > 1 { required(name, id, json!("int")) } else { optional(name, id, json!("int")) });
    }
    fields.push(optional("partitions", 507, json!({"type": "array", "items": summary, "element-id": 508})));
    if version > 2 {
        fields.push(optional("first_row_id", 520, json!("long")));
    }
    let schema = json!({"type": "record", "name": "manifest_file", "fields": fields});
    let records: Vec<Avro> = manifests
        .iter()
        .map(|manifest| {
            let mut record = vec![Avro::Text(manifest.path.clone()), Avro::Long(manifest.length), Avro::Long(manifest.spec as i64)];
            if version > 1 {
                let least = manifest.entries.iter().filter_map(|entry| entry.sequence).min();
                record.extend([
                    Avro::Long(manifest.content),
                    Avro::Long(manifest.sequence),
                    Avro::Long(least.unwrap_or(manifest.sequence).min(manifest.sequence)),
                ]);
            }
            record.push(Avro::Long(manifest.snapshot));
            for status in [1, 0, 2] {
                let count = Avro::Long(manifest.entries.iter().filter(|entry| entry.status == status).count() as i64);
                record.push(if version > 1 { count } else { Avro::Some(Box::new(count)) });
            }
            record.push(Avro::Some(Box::new(Avro::Array(summaries(manifest)))));
            if version > 2 {
                record.push(Avro::optional(manifest.first_row_id.map(Avro::Long)));
            }
            Avro::Record(record)
        })
        .collect();
    container(&schema, &[("format-version", version.to_string())], &records)
}

/// What values the partitions of a manifest's files have.
fn summaries(manifest: &Manifest) -> Vec<Avro> {
    let summary = |(at, field): (usize, &Field)| {
        let values = || manifest.entries.iter().map(move |entry| &entry.partition[at]).filter(|value| **value != Val::Null);
        let order = |a: &&Val, b: &&Val| compare(a, b).unwrap();
        let bound = |value: Option<&Val>| Avro::optional(value.map(|value| Avro::Bytes(single_value(field, value))));
        Avro::Record(vec![
            Avro::Bool(manifest.entries.iter().any(|entry| entry.partition[at] == Val::Null)),
            bound(values().min_by(order)),
            bound(values().max_by(order)),
        ])
    };
    manifest.results.iter().enumerate().map(summary).collect()
}
