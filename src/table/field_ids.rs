//! Field ids on Arrow fields: the one identity of an Iceberg column.
//!
//! Parquet's reader puts a column's id under [`FIELD_ID`] into the Arrow field's metadata; the table's own Arrow schema
//! carries it under the same key, so both sides are compared by one rule. Files without ids (taken over by `add_files`)
//! get theirs from the table's name mapping here, once, so that nothing behind this file knows two kinds of files.
//!
//! Rows leave a scan without any metadata of nested fields ([`shown`]). To the engine it is part of a column's type, and many of its operators
//! forget it (`map_entries`, `count(DISTINCT …)`, `lead`, `array_agg`): then two arrays of one column are of different types, and the query
//! fails while it runs. A column's own id stays, since views bind by it and a column's metadata is no part of its type.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use crate::source::iceberg::MappedField;

/// Metadata key of a field's id, as the Parquet reader writes it.
pub const FIELD_ID: &str = "PARQUET:field_id";

/// The field's id, if it has one.
pub fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(FIELD_ID)?.parse().ok()
}

/// The same field with this id.
#[must_use]
pub fn with_field_id(field: Field, id: i32) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(FIELD_ID.to_owned(), id.to_string());
    field.with_metadata(metadata)
}

/// Whether any of these fields, at any depth, has an id: then the name mapping is not asked.
pub fn any_field_id(fields: &Fields) -> bool {
    fields.iter().any(|field| {
        field_id(field).is_some()
            || match field.data_type() {
                DataType::Struct(children) => any_field_id(children),
                DataType::List(child) | DataType::Map(child, _) => any_field_id(&Fields::from(vec![Arc::clone(child)])),
                _ => false,
            }
    })
}

/// The same fields with the ids that the name mapping gives them.
pub fn map_names(fields: &Fields, mapping: &[MappedField]) -> Fields {
    fields.iter().map(|field| map_name(field, by_name(mapping, field.name()))).collect()
}

/// The column as rows have it: without metadata inside its type.
pub fn shown(field: &Field) -> FieldRef {
    Arc::new(field.clone().with_data_type(bare_type(field.data_type())))
}

/// The same fields without metadata, at any depth.
pub fn bare_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| bare(field)).collect()
}

/// The same field without metadata, at any depth.
pub fn bare(field: &Field) -> FieldRef {
    Arc::new(Field::new(field.name(), bare_type(field.data_type()), field.is_nullable()))
}

fn bare_type(of: &DataType) -> DataType {
    match of {
        DataType::Struct(children) => DataType::Struct(bare_fields(children)),
        DataType::List(element) => DataType::List(bare(element)),
        DataType::Map(entries, sorted) => DataType::Map(bare(entries), *sorted),
        other => other.clone(),
    }
}

fn by_name<'a>(mapping: &'a [MappedField], name: &str) -> Option<&'a MappedField> {
    mapping.iter().find(|mapped| mapped.names.iter().any(|known| known == name))
}

fn map_name(field: &FieldRef, mapped: Option<&MappedField>) -> FieldRef {
    let Some(mapped) = mapped else { return Arc::clone(field) };
    let data_type = match field.data_type() {
        DataType::Struct(children) => DataType::Struct(map_names(children, &mapped.fields)),
        // Writers call a list's element `element`, `array`, `item` or `bag`; the mapping says `element`.
        DataType::List(element) => DataType::List(map_name(element, by_name(&mapped.fields, "element"))),
        DataType::Map(entries, sorted) => DataType::Map(map_entries(entries, mapped), *sorted),
        other => other.clone(),
    };
    let field = field.as_ref().clone().with_data_type(data_type);
    Arc::new(match mapped.field_id {
        Some(id) => with_field_id(field, id),
        None => field,
    })
}

fn map_entries(entries: &FieldRef, mapped: &MappedField) -> FieldRef {
    let DataType::Struct(children) = entries.data_type() else { return Arc::clone(entries) };
    let children: Fields =
        children.iter().zip(["key", "value"]).map(|(child, name)| map_name(child, by_name(&mapped.fields, name))).collect();
    Arc::new(entries.as_ref().clone().with_data_type(DataType::Struct(children)))
}
