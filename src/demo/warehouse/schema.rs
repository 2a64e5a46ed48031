//! Arrow's schema as Iceberg's: names, types by their names in the specification, ids from 1.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::{Value as Json, json};
use std::sync::Arc;

use super::WarehouseError;

/// The specification's name for a type, where the writer knows it.
pub(super) fn type_name(field: &Field) -> Result<String, WarehouseError> {
    Ok(match field.data_type() {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp".to_owned(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        other => return Err(WarehouseError::UnsupportedColumn { column: field.name().clone(), data_type: other.to_string() }),
    })
}

/// The `schemas` entry of metadata.json.
pub(super) fn to_json(schema: &Schema) -> Result<Json, WarehouseError> {
    let fields = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            Ok(json!({"id": index + 1, "name": field.name(), "required": !field.is_nullable(), "type": type_name(field)?}))
        })
        .collect::<Result<Vec<_>, WarehouseError>>()?;
    Ok(json!({"type": "struct", "schema-id": 0, "identifier-field-ids": [], "fields": fields}))
}

/// The Arrow schema of a `schemas` entry that [`to_json`] wrote.
pub(super) fn from_json(schema: &Json) -> Option<Schema> {
    let field = |field: &Json| {
        let text = field["type"].as_str()?;
        let data_type = match text {
            "boolean" => DataType::Boolean,
            "int" => DataType::Int32,
            "long" => DataType::Int64,
            "float" => DataType::Float32,
            "double" => DataType::Float64,
            "date" => DataType::Date32,
            "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            "string" => DataType::Utf8,
            "binary" => DataType::Binary,
            _ => {
                let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
                DataType::Decimal128(precision.trim().parse().ok()?, scale.trim().parse().ok()?)
            }
        };
        Some(Field::new(field["name"].as_str()?, data_type, !field["required"].as_bool()?))
    };
    Some(Schema::new(schema["fields"].as_array()?.iter().map(field).collect::<Option<Vec<_>>>()?))
}

/// The same schema with its field ids where the Parquet writer looks for them.
pub(super) fn with_field_ids(schema: &Schema, ids: impl Iterator<Item = i64>) -> SchemaRef {
    let fields = schema.fields().iter().zip(ids).map(|(field, id)| {
        let metadata = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into();
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
