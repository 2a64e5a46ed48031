//! The columns of many Parquet files together, by name, as Iceberg's types.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Value, json};

use crate::source::iceberg::{ListType, MapType, NestedField, PrimitiveType, StructType, Type};
use crate::table::TableError;

/// Deeper nesting than this is refused: it only occurs in files made to break readers.
const MAX_DEPTH: usize = 32;

/// The union of the columns seen so far.
#[derive(Debug)]
pub(super) struct Columns {
    pattern: String,
    fields: Vec<Arc<NestedField>>,
    /// Which file brought a column, for errors.
    origins: HashMap<String, String>,
    last_id: i32,
}

/// A column of one file.
#[derive(Debug, Clone)]
pub(super) struct KnownColumn {
    /// Its id among all.
    pub id: i32,
    /// Its position among the file's leaves; none if it is nested.
    pub leaf: Option<usize>,
    /// Its type in the file, as the reader gives it.
    pub data_type: DataType,
}

/// Two types that are not one.
struct Differ;

impl Columns {
    /// None yet.
    pub fn new(pattern: &str) -> Self {
        Self { pattern: pattern.to_owned(), fields: Vec::new(), origins: HashMap::new(), last_id: 0 }
    }

    /// Takes a file's columns in, and gives them with their ids.
    pub fn add(&mut self, url: &str, footer: &ParquetMetaData) -> Result<Vec<KnownColumn>, TableError> {
        let descriptor = footer.file_metadata().schema_descr();
        let damaged = |reason: String| TableError::DamagedFile { url: url.to_owned(), reason };
        let schema = parquet_to_arrow_schema(descriptor, None).map_err(|error| damaged(error.to_string()))?;
        let leaves: HashMap<&str, usize> = descriptor
            .columns()
            .iter()
            .enumerate()
            .filter(|(_, column)| column.path().parts().len() == 1)
            .map(|(index, column)| (column.name(), index))
            .collect();
        let mut known = Vec::with_capacity(schema.fields().len());
        for (position, field) in schema.fields().iter().enumerate() {
            if schema.fields()[..position].iter().any(|other| other.name() == field.name()) {
                return Err(TableError::DuplicateFileColumn { url: url.to_owned(), column: field.name().clone() });
            }
            let leaf = leaves.get(field.name().as_str()).copied();
            let of = match leaf.map(|leaf| descriptor.column(leaf)) {
                // Written before Parquet had timestamps: microseconds are what the scan makes of them.
                Some(column) if column.physical_type() == PhysicalType::INT96 => Type::Primitive(PrimitiveType::Timestamp),
                Some(column) if matches!(column.logical_type_ref(), Some(LogicalType::Uuid)) => Type::Primitive(PrimitiveType::Uuid),
                _ => self.type_of(field, 0).ok_or_else(|| damaged("its columns are nested too deeply".to_owned()))?,
            };
            let id = self.merge(url, field, of)?;
            known.push(KnownColumn { id, leaf, data_type: field.data_type().clone() });
        }
        Ok(known)
    }

    fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.saturating_add(1);
        self.last_id
    }

    fn nested(&mut self, name: &str, field: &Field, depth: usize) -> Option<Arc<NestedField>> {
        let id = self.next_id();
        let field_type = self.type_of(field, depth + 1)?;
        Some(nested_field(id, name, field_type))
    }

    /// The Iceberg type that a column of this type is read as.
    fn type_of(&mut self, field: &Field, depth: usize) -> Option<Type> {
        if depth > MAX_DEPTH {
            return None;
        }
        Some(match field.data_type() {
            DataType::Struct(children) => {
                let fields = children.iter().map(|child| self.nested(child.name(), child, depth)).collect::<Option<Vec<_>>>()?;
                Type::Struct(StructType { fields })
            }
            DataType::List(element) => Type::List(ListType { element: self.nested("element", element, depth)? }),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) if pair.len() == 2 => {
                    let (key, value) = (self.nested("key", &pair[0], depth)?, self.nested("value", &pair[1], depth)?);
                    Type::Map(MapType { key, value })
                }
                other => Type::Primitive(PrimitiveType::Other(other.to_string())),
            },
            other => Type::Primitive(primitive(other)),
        })
    }

    fn merge(&mut self, url: &str, field: &Field, of: Type) -> Result<i32, TableError> {
        let name = field.name();
        let Some(at) = self.fields.iter().position(|known| known.name == *name) else {
            let id = self.next_id();
            self.fields.push(nested_field(id, name, of));
            self.origins.insert(name.clone(), url.to_owned());
            return Ok(id);
        };
        let known = Arc::clone(&self.fields[at]);
        if known.field_type != of {
            let merged = merged(&known.field_type, &of).map_err(|Differ| TableError::FilesDiffer {
                pattern: self.pattern.as_str().into(),
                column: name.as_str().into(),
                one: self.origins.get(name).cloned().unwrap_or_default().into(),
                one_type: known.field_type.to_string().into(),
                other: url.into(),
                other_type: of.to_string().into(),
            })?;
            if merged != known.field_type {
                self.fields[at] = nested_field(known.id, name, merged);
                self.origins.insert(name.clone(), url.to_owned());
            }
        }
        Ok(known.id)
    }

    /// The files as a metadata.json would describe them: one schema, no partitions, names that mean columns.
    pub fn metadata(&self) -> Value {
        let mapping: Vec<Value> = self.fields.iter().map(|field| mapped(field)).collect();
        json!({
            "format-version": 2,
            // Two patterns are two tables.
            "table-uuid": self.pattern,
            "location": self.pattern,
            "current-schema-id": 0,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": self.fields.iter().map(|field| field_json(field)).collect::<Vec<_>>()}],
            "partition-specs": [{"spec-id": 0, "fields": []}],
            "properties": {"schema.name-mapping.default": Value::Array(mapping).to_string()},
        })
    }
}

fn nested_field(id: i32, name: &str, field_type: Type) -> Arc<NestedField> {
    Arc::new(NestedField { id, name: name.to_owned(), required: false, field_type, doc: None, initial_default: None, write_default: None })
}

fn primitive(of: &DataType) -> PrimitiveType {
    match of {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => PrimitiveType::Int,
        DataType::Int64 | DataType::UInt32 => PrimitiveType::Long,
        DataType::Float32 => PrimitiveType::Float,
        DataType::Float64 => PrimitiveType::Double,
        DataType::Decimal128(precision, scale) => match u8::try_from(*scale) {
            Ok(scale) => PrimitiveType::Decimal { precision: *precision, scale },
            Err(_) => PrimitiveType::Other(of.to_string()),
        },
        DataType::Date32 => PrimitiveType::Date,
        DataType::Time32(TimeUnit::Millisecond) | DataType::Time64(TimeUnit::Microsecond) => PrimitiveType::Time,
        DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, None) => PrimitiveType::Timestamp,
        DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond, Some(_)) => PrimitiveType::Timestamptz,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => PrimitiveType::TimestampNs,
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => PrimitiveType::TimestamptzNs,
        DataType::Utf8 => PrimitiveType::String,
        DataType::Binary => PrimitiveType::Binary,
        DataType::FixedSizeBinary(length) => PrimitiveType::Fixed(length.unsigned_abs()),
        other => PrimitiveType::Other(other.to_string()),
    }
}

/// The type that values of both can be read as.
fn merged(one: &Type, other: &Type) -> Result<Type, Differ> {
    use PrimitiveType::{Binary, Decimal, Double, Float, Int, Long, String};
    Ok(match (one, other) {
        (Type::Primitive(a), Type::Primitive(b)) => Type::Primitive(match (a, b) {
            (a, b) if a == b => a.clone(),
            (Int, Long) | (Long, Int) => Long,
            (Float, Double) | (Double, Float) => Double,
            (Decimal { precision: a, scale }, Decimal { precision: b, scale: same }) if scale == same => {
                Decimal { precision: *a.max(b), scale: *scale }
            }
            // Old writers did not mark text.
            (String, Binary) | (Binary, String) => String,
            _ => return Err(Differ),
        }),
        (Type::Struct(a), Type::Struct(b)) => {
            let mut fields = a.fields.clone();
            for field in &b.fields {
                match fields.iter_mut().find(|known| known.name == field.name) {
                    Some(known) => *known = merged_field(known, field)?,
                    None => fields.push(Arc::clone(field)),
                }
            }
            Type::Struct(StructType { fields })
        }
        (Type::List(a), Type::List(b)) => Type::List(ListType { element: merged_field(&a.element, &b.element)? }),
        (Type::Map(a), Type::Map(b)) => Type::Map(MapType { key: merged_field(&a.key, &b.key)?, value: merged_field(&a.value, &b.value)? }),
        _ => return Err(Differ),
    })
}

fn merged_field(one: &Arc<NestedField>, other: &NestedField) -> Result<Arc<NestedField>, Differ> {
    let of = merged(&one.field_type, &other.field_type)?;
    Ok(if of == one.field_type { Arc::clone(one) } else { nested_field(one.id, &one.name, of) })
}

fn type_json(of: &Type) -> Value {
    match of {
        Type::Primitive(primitive) => Value::String(primitive.to_string()),
        Type::Struct(of) => json!({"type": "struct", "fields": of.fields.iter().map(|field| field_json(field)).collect::<Vec<_>>()}),
        Type::List(of) => {
            json!({"type": "list", "element-id": of.element.id, "element-required": false, "element": type_json(&of.element.field_type)})
        }
        Type::Map(of) => json!({"type": "map", "key-id": of.key.id, "key": type_json(&of.key.field_type),
            "value-id": of.value.id, "value-required": false, "value": type_json(&of.value.field_type)}),
    }
}

fn field_json(field: &NestedField) -> Value {
    json!({"id": field.id, "name": field.name, "required": false, "type": type_json(&field.field_type)})
}

fn mapped(field: &NestedField) -> Value {
    let children: Vec<Value> = field.field_type.children().into_iter().map(|child| mapped(child)).collect();
    json!({"field-id": field.id, "names": [field.name], "fields": children})
}
