//! Values, columns and predicates as the test itself understands them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Field as ArrowField, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use serde_json::{Value, json};

/// A value. Ints and floats are held wide, and fit their column.
#[derive(Debug, Clone, PartialEq)]
pub enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(i64),
    Struct(Row),
    List(Vec<Val>),
}

/// Values by field id; what is missing was not there when the row was written.
pub type Row = BTreeMap<i32, Val>;

/// A column's type.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Bool,
    Int,
    Long,
    Float,
    Double,
    Text,
    Timestamp,
    Struct(Vec<Field>),
    List(Box<Field>),
}

/// A column or nested field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub id: i32,
    pub name: String,
    pub kind: Kind,
    pub default: Option<Val>,
}

impl Field {
    pub fn new(id: i32, name: &str, kind: Kind) -> Self {
        Self { id, name: name.to_owned(), kind, default: None }
    }

    pub fn is_primitive(&self) -> bool {
        !matches!(self.kind, Kind::Struct(_) | Kind::List(_))
    }

    pub fn is_float(&self) -> bool {
        matches!(self.kind, Kind::Float | Kind::Double)
    }

    /// The type's name, or its object, in a schema.
    fn type_json(&self) -> Value {
        match &self.kind {
            Kind::Bool => json!("boolean"),
            Kind::Int => json!("int"),
            Kind::Long => json!("long"),
            Kind::Float => json!("float"),
            Kind::Double => json!("double"),
            Kind::Text => json!("string"),
            Kind::Timestamp => json!("timestamp"),
            Kind::Struct(fields) => json!({"type": "struct", "fields": fields.iter().map(Self::json).collect::<Vec<_>>()}),
            Kind::List(element) => {
                json!({"type": "list", "element-id": element.id, "element-required": false, "element": element.type_json()})
            }
        }
    }

    pub fn json(&self) -> Value {
        let mut json = json!({"id": self.id, "name": self.name, "required": false, "type": self.type_json()});
        match &self.default {
            Some(Val::Int(value)) => json["initial-default"] = json!(value),
            Some(Val::Text(text)) => json["initial-default"] = json!(text),
            _ => {}
        }
        json
    }

    pub fn arrow(&self) -> FieldRef {
        let data_type = match &self.kind {
            Kind::Bool => DataType::Boolean,
            Kind::Int => DataType::Int32,
            Kind::Long => DataType::Int64,
            Kind::Float => DataType::Float32,
            Kind::Double => DataType::Float64,
            Kind::Text => DataType::Utf8,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Struct(fields) => DataType::Struct(fields.iter().map(Self::arrow).collect()),
            Kind::List(element) => DataType::List(element.arrow()),
        };
        let metadata = HashMap::from([("PARQUET:field_id".to_owned(), self.id.to_string())]);
        Arc::new(ArrowField::new(&self.name, data_type, true).with_metadata(metadata))
    }

    /// What a reader must make of a stored value, or of none.
    pub fn read(&self, stored: Option<&Val>) -> Val {
        match (stored, &self.kind) {
            (None, _) => self.default.clone().unwrap_or(Val::Null),
            (Some(Val::Struct(row)), Kind::Struct(fields)) => {
                Val::Struct(fields.iter().map(|field| (field.id, field.read(row.get(&field.id)))).collect())
            }
            (Some(Val::List(items)), Kind::List(element)) => Val::List(items.iter().map(|item| element.read(Some(item))).collect()),
            (Some(value), _) => value.clone(),
        }
    }

    /// A column of these values.
    pub fn array(&self, values: &[Val]) -> ArrayRef {
        let int = |value: &Val| if let Val::Int(value) | Val::Time(value) = value { Some(*value) } else { None };
        let float = |value: &Val| if let Val::Float(value) = value { Some(*value) } else { None };
        match &self.kind {
            Kind::Bool => Arc::new(
                values.iter().map(|value| if let Val::Bool(value) = value { Some(*value) } else { None }).collect::<BooleanArray>(),
            ),
            Kind::Int => Arc::new(values.iter().map(|value| int(value).map(|value| value as i32)).collect::<Int32Array>()),
            Kind::Long => Arc::new(values.iter().map(int).collect::<Int64Array>()),
            Kind::Float => Arc::new(values.iter().map(|value| float(value).map(|value| value as f32)).collect::<Float32Array>()),
            Kind::Double => Arc::new(values.iter().map(float).collect::<Float64Array>()),
            Kind::Text => {
                let text = |value: &Val| if let Val::Text(text) = value { Some(text.clone()) } else { None };
                Arc::new(values.iter().map(text).collect::<StringArray>())
            }
            Kind::Timestamp => Arc::new(values.iter().map(int).collect::<TimestampMicrosecondArray>()),
            Kind::Struct(fields) => {
                let columns = fields.iter().map(|field| {
                    let child = |value: &Val| if let Val::Struct(row) = value { field.read(row.get(&field.id)) } else { Val::Null };
                    field.array(&values.iter().map(child).collect::<Vec<_>>())
                });
                let nulls = NullBuffer::from(values.iter().map(|value| *value != Val::Null).collect::<Vec<_>>());
                let columns = columns.collect();
                Arc::new(StructArray::new(fields.iter().map(Self::arrow).collect(), columns, Some(nulls)))
            }
            Kind::List(element) => {
                let items = |value: &Val| if let Val::List(items) = value { items.clone() } else { Vec::new() };
                let lists: Vec<Vec<Val>> = values.iter().map(items).collect();
                let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
                let nulls = NullBuffer::from(values.iter().map(|value| *value != Val::Null).collect::<Vec<_>>());
                Arc::new(ListArray::new(element.arrow(), offsets, element.array(&lists.concat()), Some(nulls)))
            }
        }
    }

    /// As text, to compare.
    pub fn show(&self, value: &Val) -> String {
        match (value, &self.kind) {
            (Val::Struct(row), Kind::Struct(fields)) => {
                let parts: Vec<_> = fields.iter().map(|field| format!("{}:{}", field.name, field.show(&row[&field.id]))).collect();
                format!("{{{}}}", parts.join(","))
            }
            (Val::List(items), Kind::List(element)) => {
                format!("[{}]", items.iter().map(|item| element.show(item)).collect::<Vec<_>>().join(","))
            }
            (Val::Null, _) => "NULL".to_owned(),
            (Val::Bool(value), _) => value.to_string(),
            (Val::Int(value) | Val::Time(value), _) => value.to_string(),
            (Val::Float(value), _) => shown_float(*value),
            (Val::Text(text), _) => format!("'{text}'"),
            other => panic!("{other:?} in {}", self.name),
        }
    }
}

fn shown_float(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:?}") }
}

/// The gateway's value in the same form.
pub fn shown(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_owned();
    }
    match array.data_type() {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => shown_float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => shown_float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => format!("'{}'", array.as_string::<i32>().value(row)),
        DataType::Utf8View => format!("'{}'", array.as_string_view().value(row)),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let parts = fields.iter().zip(columns.columns()).map(|(field, column)| format!("{}:{}", field.name(), shown(column, row)));
            format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            format!("[{}]", (0..items.len()).map(|item| shown(&items, item)).collect::<Vec<_>>().join(","))
        }
        other => panic!("no {other} here"),
    }
}

/// SQL's order: NaN above all, zeros equal; none where a side is NULL.
pub fn compare(a: &Val, b: &Val) -> Option<Ordering> {
    Some(match (a, b) {
        (Val::Bool(a), Val::Bool(b)) => a.cmp(b),
        (Val::Int(a), Val::Int(b)) | (Val::Time(a), Val::Time(b)) => a.cmp(b),
        (Val::Float(a), Val::Float(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b)?,
            (a, b) => a.cmp(&b),
        },
        (Val::Text(a), Val::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => return None,
    })
}

/// As keys of deletes are: NULL equals NULL.
pub fn same_key(a: &Val, b: &Val) -> bool {
    (*a == Val::Null && *b == Val::Null) || compare(a, b) == Some(Ordering::Equal)
}

/// A condition on one column.
#[derive(Debug, Clone)]
pub enum Predicate {
    Compare(Field, &'static str, Val),
    IsNull(Field, bool),
    Both(Box<Predicate>, Box<Predicate>),
}

impl Predicate {
    pub fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Compare(field, operator, literal) => {
                let Some(order) = compare(&field.read(row.get(&field.id)), literal) else { return false };
                match *operator {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                }
            }
            Self::IsNull(field, wanted) => (field.read(row.get(&field.id)) == Val::Null) == *wanted,
            Self::Both(a, b) => a.holds(row) && b.holds(row),
        }
    }

    pub fn sql(&self) -> String {
        match self {
            Self::Compare(field, operator, literal) => {
                let literal = match (literal, &field.kind) {
                    (Val::Bool(value), _) => value.to_string(),
                    (Val::Int(value), Kind::Int) => format!("arrow_cast({value}, 'Int32')"),
                    (Val::Int(value), _) => value.to_string(),
                    // The engine's planner knows `= 0.0 AND = -0.0` to be false, by the bits of its constants; columns it compares as SQL does.
                    (Val::Float(0.0), Kind::Float) => "arrow_cast('0.0', 'Float32')".to_owned(),
                    (Val::Float(0.0), _) => "arrow_cast('0.0', 'Float64')".to_owned(),
                    (Val::Float(value), Kind::Float) => format!("arrow_cast('{value:?}', 'Float32')"),
                    (Val::Float(value), _) => format!("arrow_cast('{value:?}', 'Float64')"),
                    (Val::Text(text), _) => format!("'{text}'"),
                    (Val::Time(micros), _) => format!("arrow_cast({micros}, 'Timestamp(Microsecond, None)')"),
                    other => panic!("no literal {other:?}"),
                };
                format!("\"{}\" {operator} {literal}", field.name)
            }
            Self::IsNull(field, true) => format!("\"{}\" IS NULL", field.name),
            Self::IsNull(field, false) => format!("\"{}\" IS NOT NULL", field.name),
            Self::Both(a, b) => format!("({}) AND ({})", a.sql(), b.sql()),
        }
    }
}
