//! Column types. A type that we do not know keeps its text: the table is readable, that column is not.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    /// One value.
    Primitive(PrimitiveType),
    /// Named fields.
    Struct(StructType),
    /// Any number of elements.
    List(ListType),
    /// Pairs.
    Map(MapType),
}

/// A type without fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PrimitiveType {
    /// True or false.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// 32-bit IEEE 754.
    Float,
    /// 64-bit IEEE 754.
    Double,
    /// Fixed-point.
    Decimal {
        /// Digits, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 1970, no zone.
    Timestamp,
    /// Microseconds since 1970 UTC.
    Timestamptz,
    /// Nanoseconds since 1970, no zone.
    TimestampNs,
    /// Nanoseconds since 1970 UTC.
    TimestamptzNs,
    /// UTF-8.
    String,
    /// 16 bytes, big-endian.
    Uuid,
    /// This many bytes.
    Fixed(u32),
    /// Any number of bytes.
    Binary,
    /// Always NULL.
    Unknown,
    /// One of which we know the name only (`variant`, `geometry(…)`, …).
    Other(String),
}

/// Fields in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct StructType {
    /// The fields.
    pub fields: Vec<Arc<NestedField>>,
}

/// A list; its element is a field with an id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListType {
    /// Named `element`.
    pub element: Arc<NestedField>,
}

/// A map; key and value are fields with ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MapType {
    /// Named `key`, always required.
    pub key: Arc<NestedField>,
    /// Named `value`.
    pub value: Arc<NestedField>,
}

/// A field: what identifies it is its id, never its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NestedField {
    /// Unique in the table, for all time.
    pub id: i32,
    /// Its name in this schema.
    pub name: String,
    /// No NULLs.
    pub required: bool,
    /// Its type.
    pub field_type: Type,
    /// A comment.
    pub doc: Option<String>,
    /// What rows of files older than the field hold, as JSON single value.
    pub initial_default: Option<Value>,
    /// What writers use where no value is given.
    pub write_default: Option<Value>,
}

impl Type {
    /// The primitive, if it is one.
    pub fn as_primitive(&self) -> Option<&PrimitiveType> {
        match self {
            Self::Primitive(primitive) => Some(primitive),
            _ => None,
        }
    }

    /// The fields directly inside it: of a struct, the element of a list, key and value of a map.
    pub fn children(&self) -> Vec<&Arc<NestedField>> {
        match self {
            Self::Primitive(_) => Vec::new(),
            Self::Struct(of) => of.fields.iter().collect(),
            Self::List(of) => vec![&of.element],
            Self::Map(of) => vec![&of.key, &of.value],
        }
    }

    /// From the JSON of a schema; the error is a sentence for a damaged file.
    pub(super) fn from_json(json: Value) -> Result<Self, String> {
        match json {
            Value::String(name) => Ok(Self::Primitive(PrimitiveType::parse(&name)?)),
            Value::Object(mut object) => {
                let kind = object.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
                match kind.as_str() {
                    "struct" => Ok(Self::Struct(StructType::from_json(object.remove("fields").unwrap_or(Value::Null))?)),
                    "list" => {
                        let element = part(&mut object, "element", None)?;
                        Ok(Self::List(ListType { element }))
                    }
                    "map" => {
                        let key = part(&mut object, "key", Some(true))?;
                        let value = part(&mut object, "value", None)?;
                        Ok(Self::Map(MapType { key, value }))
                    }
                    // Some writers wrap a primitive: {"type": "long"}.
                    name => Ok(Self::Primitive(PrimitiveType::parse(name)?)),
                }
            }
            other => Err(format!("a type must be text or an object, not {}", kind_of(&other))),
        }
    }
}

/// Element, key or value: an id, a type and whether it is required lie beside each other in the list or map.
fn part(object: &mut serde_json::Map<String, Value>, name: &str, required: Option<bool>) -> Result<Arc<NestedField>, String> {
    let id = object.get(&format!("{name}-id")).ok_or_else(|| format!("a type lacks \"{name}-id\""))?;
    let id = field_id(id)?;
    let field_type = object.remove(name).ok_or_else(|| format!("a type lacks \"{name}\""))?;
    let required = required.or_else(|| object.get(&format!("{name}-required")).and_then(Value::as_bool)).unwrap_or(false);
    Ok(Arc::new(NestedField {
        id,
        name: name.to_owned(),
        required,
        field_type: Type::from_json(field_type)?,
        doc: None,
        initial_default: None,
        write_default: None,
    }))
}

fn field_id(json: &Value) -> Result<i32, String> {
    json.as_i64().and_then(|id| i32::try_from(id).ok()).ok_or_else(|| format!("{json} is not a field id"))
}

fn kind_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl StructType {
    /// From the JSON array of its fields.
    pub(super) fn from_json(json: Value) -> Result<Self, String> {
        let Value::Array(fields) = json else {
            return Err(format!("\"fields\" must be an array, not {}", kind_of(&json)));
        };
        let fields = fields.into_iter().map(|field| NestedField::from_json(field).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { fields })
    }
}

impl NestedField {
    fn from_json(json: Value) -> Result<Self, String> {
        let Value::Object(mut object) = json else {
            return Err(format!("a field must be an object, not {}", kind_of(&json)));
        };
        let Some(Value::String(name)) = object.remove("name") else {
            return Err("a field has no name".to_owned());
        };
        let id = object.get("id").ok_or_else(|| format!("field \"{name}\" has no id"))?;
        let id = field_id(id)?;
        let field_type = object.remove("type").ok_or_else(|| format!("field \"{name}\" has no type"))?;
        let field_type = Type::from_json(field_type)?;
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Ok(Self {
            id,
            required: object.get("required").and_then(Value::as_bool).unwrap_or(false),
            doc: text(object.remove("doc")),
            initial_default: object.remove("initial-default").filter(|value| !value.is_null()),
            write_default: object.remove("write-default").filter(|value| !value.is_null()),
            name,
            field_type,
        })
    }
}

impl<'de> Deserialize<'de> for StructType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl PrimitiveType {
    /// By its name in a schema; an unknown name is [`PrimitiveType::Other`], bad parameters are an error.
    pub fn parse(name: &str) -> Result<Self, String> {
        let bad = || format!("type \"{name}\" is malformed");
        Ok(match name {
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::Timestamptz,
            "timestamp_ns" => Self::TimestampNs,
            "timestamptz_ns" => Self::TimestamptzNs,
            "string" => Self::String,
            "uuid" => Self::Uuid,
            "binary" => Self::Binary,
            "unknown" => Self::Unknown,
            "" => return Err("a type has no name".to_owned()),
            _ => {
                let parameters = |prefix: &str, open: char, close: char| {
                    name.strip_prefix(prefix).and_then(|rest| rest.trim_start().strip_prefix(open)?.strip_suffix(close))
                };
                if let Some(inside) = parameters("decimal", '(', ')') {
                    let (precision, scale) = inside.split_once(',').ok_or_else(bad)?;
                    let precision: u8 = precision.trim().parse().map_err(|_| bad())?;
                    let scale: u8 = scale.trim().parse().map_err(|_| bad())?;
                    if precision == 0 || precision > 38 || scale > precision {
                        return Err(bad());
                    }
                    Self::Decimal { precision, scale }
                } else if let Some(length) = parameters("fixed", '[', ']') {
                    let length: u32 = length.trim().parse().map_err(|_| bad())?;
                    if i32::try_from(length).is_err() {
                        return Err(bad());
                    }
                    Self::Fixed(length)
                } else {
                    Self::Other(name.to_owned())
                }
            }
        })
    }
}

impl fmt::Display for PrimitiveType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::Int => f.write_str("int"),
            Self::Long => f.write_str("long"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Timestamptz => f.write_str("timestamptz"),
            Self::TimestampNs => f.write_str("timestamp_ns"),
            Self::TimestamptzNs => f.write_str("timestamptz_ns"),
            Self::String => f.write_str("string"),
            Self::Uuid => f.write_str("uuid"),
            Self::Fixed(length) => write!(f, "fixed[{length}]"),
            Self::Binary => f.write_str("binary"),
            Self::Unknown => f.write_str("unknown"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primitive(primitive) => primitive.fmt(f),
            Self::Struct(of) => {
                f.write_str("struct<")?;
                for (index, field) in of.fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {}", field.name, field.field_type)?;
                }
                f.write_str(">")
            }
            Self::List(of) => write!(f, "list<{}>", of.element.field_type),
            Self::Map(of) => write!(f, "map<{}, {}>", of.key.field_type, of.value.field_type),
        }
    }
}
