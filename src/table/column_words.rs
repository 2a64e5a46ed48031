//! How errors speak of columns and types: a nested field by its path (`s.x`, `l.element`, `m.value`), a type by its SQL name.
//!
//! Inside a scan a column is called by its id, and Arrow's names of types are not those of any statement. What SQL does not tell apart
//! (`timestamp` in nanoseconds, bytes of one width) is named as the table's metadata does. Nested types are named by their kind only: an error
//! about something inside them names that.

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::schema::FIXED_WIDTH;

/// The path of a field: `inside` is its path below the column, empty for the column itself.
pub fn path(column: &str, inside: &str) -> String {
    if inside.is_empty() { column.to_owned() } else { format!("{column}.{inside}") }
}

/// The type of a column of a table or of a file.
pub fn type_word(field: &Field) -> String {
    let word = match field.data_type() {
        DataType::Boolean => "boolean",
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 => "text",
        DataType::Date32 => "date",
        DataType::Time64(TimeUnit::Microsecond) => "time",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamptz",
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp_ns",
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => "timestamptz_ns",
        DataType::Decimal128(precision, scale) => return format!("numeric({precision},{scale})"),
        DataType::FixedSizeBinary(_) if field.extension_type_name() == Some("arrow.uuid") => "uuid",
        DataType::FixedSizeBinary(width) => return format!("fixed[{width}]"),
        DataType::Binary => match field.metadata().get(FIXED_WIDTH) {
            Some(width) => return format!("fixed[{width}]"),
            None => "bytea",
        },
        DataType::Struct(_) => "struct",
        DataType::List(_) => "list",
        DataType::Map(..) => "map",
        other => return other.to_string(),
    };
    word.to_owned()
}
