//! Iceberg's types as Arrow's, one for one, with every field's id in its metadata.
//!
//! Every field is nullable here, also a required one: files that break the promise exist, and an engine that believes it
//! would answer `IS NULL` without looking. Times with a zone are UTC. A type of which only the name is known
//! (`variant`, `geometry`, …) becomes NULLs of type `Null` marked by [`UNSUPPORTED_TYPE`], so that a table with such a column can
//! be read without it; whoever reads that column gets an error.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use serde_json::Value;

use super::column_words::path;
use super::error::TableError;
use super::field_ids::with_field_id;
use super::reshape::{Defaults, missing_value, struct_of_defaults};
use super::scalar::scalar;
use crate::source::iceberg::{Datum, MapType, NestedField, PrimitiveType, Schema, StructType, Type};

/// Metadata key of a column whose type is not supported; its value is the type's name.
pub const UNSUPPORTED_TYPE: &str = "featgres.unsupported_type";
/// Metadata key of the width of a `fixed` column: bytes of any width are one type to the engine, but not to the table.
pub const FIXED_WIDTH: &str = "featgres.fixed_width";
/// Metadata key of an Arrow extension type.
const EXTENSION_NAME: &str = "ARROW:extension:name";
/// The zone of times with a zone.
pub const UTC: &str = "UTC";

/// The table's columns.
pub fn arrow_schema(schema: &Schema) -> SchemaRef {
    Arc::new(ArrowSchema::new(schema.fields().iter().map(|field| arrow_field(field)).collect::<Vec<_>>()))
}

/// One column or nested field.
pub fn arrow_field(field: &NestedField) -> FieldRef {
    let mut metadata = HashMap::new();
    match &field.field_type {
        Type::Primitive(PrimitiveType::Uuid) => {
            metadata.insert(EXTENSION_NAME.to_owned(), "arrow.uuid".to_owned());
        }
        Type::Primitive(PrimitiveType::Fixed(width)) => {
            metadata.insert(FIXED_WIDTH.to_owned(), width.to_string());
        }
        Type::Primitive(PrimitiveType::Other(name)) => {
            metadata.insert(UNSUPPORTED_TYPE.to_owned(), name.clone());
        }
        _ => {}
    }
    let arrow = Field::new(&field.name, data_type(&field.field_type), true).with_metadata(metadata);
    Arc::new(with_field_id(arrow, field.id))
}

/// The Arrow type of an Iceberg type.
pub fn data_type(of: &Type) -> DataType {
    match of {
        Type::Primitive(primitive) => primitive_type(primitive),
        Type::Struct(of) => DataType::Struct(of.fields.iter().map(|field| arrow_field(field)).collect()),
        Type::List(of) => DataType::List(arrow_field(&of.element)),
        Type::Map(of) => {
            let key = arrow_field(&of.key).as_ref().clone().with_nullable(false);
            let entries = Fields::from(vec![Arc::new(key), arrow_field(&of.value)]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
        }
    }
}

/// The Arrow type of a primitive.
pub fn primitive_type(of: &PrimitiveType) -> DataType {
    match of {
        PrimitiveType::Boolean => DataType::Boolean,
        PrimitiveType::Int => DataType::Int32,
        PrimitiveType::Long => DataType::Int64,
        PrimitiveType::Float => DataType::Float32,
        PrimitiveType::Double => DataType::Float64,
        // Iceberg's scale is at most its precision of 38.
        PrimitiveType::Decimal { precision, scale } => DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX)),
        PrimitiveType::Date => DataType::Date32,
        PrimitiveType::Time => DataType::Time64(TimeUnit::Microsecond),
        PrimitiveType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        PrimitiveType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        PrimitiveType::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
        PrimitiveType::TimestamptzNs => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
        PrimitiveType::String => DataType::Utf8,
        PrimitiveType::Uuid => DataType::FixedSizeBinary(16),
        // Only a uuid has a width: so every expression over one still is one.
        PrimitiveType::Fixed(_) | PrimitiveType::Binary => DataType::Binary,
        PrimitiveType::Unknown | PrimitiveType::Other(_) => DataType::Null,
    }
}

/// What rows of files older than these columns hold, by field id at any depth.
pub fn initial_defaults<'a>(columns: impl Iterator<Item = &'a Arc<NestedField>>, table: &str) -> Result<Defaults, TableError> {
    let mut defaults = Defaults::default();
    for column in columns {
        collect_defaults(column, table, &mut defaults)?;
    }
    Ok(defaults)
}

fn collect_defaults(field: &Arc<NestedField>, table: &str, defaults: &mut Defaults) -> Result<(), TableError> {
    // Children first: a struct's own default is made of theirs.
    for child in field.field_type.children() {
        collect_defaults(child, table, defaults)?;
    }
    let Some(json) = &field.initial_default else { return Ok(()) };
    let damaged = |reason: String| TableError::DamagedMetadata { table: table.to_owned(), reason };
    let value = default_value(&field.field_type, json, defaults)
        .and_then(|value| value.ok_or_else(|| format!("{json} is not a value of its type")))
        .map_err(|reason| damaged(format!("default of \"{}\": {reason}", field.name)))?;
    defaults.insert(field.id, value);
    Ok(())
}

/// A value in the specification's JSON form; `None` where it is not one of the type.
fn default_value(of: &Type, json: &Value, defaults: &Defaults) -> Result<Option<ScalarValue>, String> {
    Ok(match of {
        Type::Primitive(of) => scalar(&Datum::from_json(of, json)?, of),
        Type::Struct(of) => struct_value(of, json, defaults)?,
        Type::List(of) => match json {
            Value::Array(items) => list_value(&of.element, items, defaults)?,
            _ => None,
        },
        Type::Map(of) => match (json.get("keys"), json.get("values")) {
            (Some(Value::Array(keys)), Some(Value::Array(values))) if keys.len() == values.len() => map_value(of, keys, values, defaults)?,
            _ => None,
        },
    })
}

/// A column of these values.
fn array_of(field: &NestedField, items: &[Value], defaults: &Defaults) -> Result<Option<ArrayRef>, String> {
    let mut rows = vec![new_empty_array(&data_type(&field.field_type))];
    for item in items {
        let value = match item {
            Value::Null => ScalarValue::try_new_null(&data_type(&field.field_type)).ok(),
            item => default_value(&field.field_type, item, defaults)?,
        };
        let Some(row) = value.and_then(|value| value.to_array().ok()) else { return Ok(None) };
        rows.push(row);
    }
    let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    Ok(concat(&rows).ok())
}

fn list_value(element: &NestedField, items: &[Value], defaults: &Defaults) -> Result<Option<ScalarValue>, String> {
    let Some(values) = array_of(element, items, defaults)? else { return Ok(None) };
    let list = ListArray::try_new(arrow_field(element), OffsetBuffer::from_lengths([items.len()]), values, None);
    Ok(list.ok().map(|list| ScalarValue::List(Arc::new(list))))
}

fn map_value(of: &MapType, keys: &[Value], values: &[Value], defaults: &Defaults) -> Result<Option<ScalarValue>, String> {
    let DataType::Map(field, sorted) = data_type(&Type::Map(of.clone())) else { return Ok(None) };
    let DataType::Struct(fields) = field.data_type() else { return Ok(None) };
    let (Some(keys), Some(values)) = (array_of(&of.key, keys, defaults)?, array_of(&of.value, values, defaults)?) else { return Ok(None) };
    let offsets = OffsetBuffer::from_lengths([keys.len()]);
    let map = StructArray::try_new(fields.clone(), vec![keys, values], None)
        .and_then(|entries| MapArray::try_new(Arc::clone(&field), offsets, entries, None, sorted));
    Ok(map.ok().map(|map| ScalarValue::Map(Arc::new(map))))
}

/// A struct's own default is an empty object: its fields have theirs. Inside a list or map it is an object by field id.
fn struct_value(of: &StructType, json: &Value, defaults: &Defaults) -> Result<Option<ScalarValue>, String> {
    let Some(given) = json.as_object() else { return Ok(None) };
    let fields: Fields = of.fields.iter().map(|field| arrow_field(field)).collect();
    if given.is_empty() {
        return Ok(struct_of_defaults(&fields, defaults));
    }
    let mut columns = Vec::with_capacity(fields.len());
    for (field, arrow) in of.fields.iter().zip(&fields) {
        let value = match given.get(&field.id.to_string()) {
            None => Some(missing_value(arrow, defaults)),
            Some(Value::Null) => ScalarValue::try_new_null(arrow.data_type()).ok(),
            Some(json) => default_value(&field.field_type, json, defaults)?,
        };
        let Some(column) = value.and_then(|value| value.to_array().ok()) else { return Ok(None) };
        columns.push(column);
    }
    Ok(StructArray::try_new_with_length(fields, columns, None, 1).ok().map(|rows| ScalarValue::Struct(Arc::new(rows))))
}

/// The path below this column, and the name, of a type that is not supported, if there is one.
pub fn unsupported_type(field: &Field) -> Option<(String, &str)> {
    if let Some(name) = field.metadata().get(UNSUPPORTED_TYPE) {
        return Some((String::new(), name));
    }
    match field.data_type() {
        DataType::Struct(children) => children.iter().find_map(unsupported_below),
        DataType::List(element) => unsupported_below(element),
        // The entries have no name of their own.
        DataType::Map(entries, _) => unsupported_type(entries),
        _ => None,
    }
}

fn unsupported_below(child: &FieldRef) -> Option<(String, &str)> {
    unsupported_type(child).map(|(inside, name)| (path(child.name(), &inside), name))
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
