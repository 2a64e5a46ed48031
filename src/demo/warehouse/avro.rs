//! Avro object container files. The header is written by hand so that the schema stands in it exactly as given: its `field-id`s are
//! what Iceberg's readers go by, and a schema that went through a parser loses some of them.

use std::path::Path;

use apache_avro::types::Value;
use apache_avro::validator::{RecordFieldNameValidator, set_record_field_name_validator};
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Reader, Schema};
use serde_json::Value as Json;

use super::WarehouseError;

const MAGIC: &[u8; 4] = b"Obj\x01";

/// Partitions are called as their columns are, whatever Avro allows. The crate asks its process for that once, before its first use, which
/// here is a writer's and in a gateway a reader's.
struct AnyName;

impl RecordFieldNameValidator for AnyName {
    fn validate(&self, _name: &str) -> apache_avro::AvroResult<()> {
        Ok(())
    }
}

fn allow_any_name() {
    // Somebody was first: it allows the same.
    let _ = set_record_field_name_validator(Box::new(AnyName));
}

/// Writes `records` of `schema` to `path`, with `properties` in the header; gives the file's length.
pub(super) fn write(path: &Path, schema: &Json, properties: &[(&str, String)], records: &[Value]) -> Result<u64, WarehouseError> {
    allow_any_name();
    let parsed = Schema::parse(schema)?;
    let sync = *uuid::Uuid::new_v4().as_bytes();
    let text = schema.to_string();
    let mut out = MAGIC.to_vec();
    long(&mut out, properties.len() as i64 + 2);
    for (key, value) in
        [("avro.schema", text.as_str()), ("avro.codec", "null")].into_iter().chain(properties.iter().map(|(k, v)| (*k, v.as_str())))
    {
        bytes(&mut out, key.as_bytes());
        bytes(&mut out, value.as_bytes());
    }
    long(&mut out, 0);
    out.extend_from_slice(&sync);
    if !records.is_empty() {
        let writer = GenericDatumWriter::builder(&parsed).build()?;
        let mut block = Vec::new();
        for record in records {
            writer.write_value_ref(&mut block, record)?;
        }
        long(&mut out, records.len() as i64);
        bytes(&mut out, &block);
        out.extend_from_slice(&sync);
    }
    std::fs::write(path, &out).map_err(|source| WarehouseError::io(path, source))?;
    Ok(out.len() as u64)
}

/// The records of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, WarehouseError> {
    let file = std::fs::File::open(path).map_err(|source| WarehouseError::io(path, source))?;
    allow_any_name();
    Ok(Reader::new(std::io::BufReader::new(file))?.collect::<Result<_, _>>()?)
}

/// A zigzag variable-length integer.
fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest as u8 & 0x7f) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    long(out, value.len() as i64);
    out.extend_from_slice(value);
}
