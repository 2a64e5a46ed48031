//! Arrow values as JSON.
//!
//! Integers and numerics are JSON numbers with all their digits; doubles the shortest text that gives the same double, NaN and the
//! infinities as strings (JSON has none); dates and times ISO 8601, with a `Z` where there is a zone; bytes base64; uuids, intervals and
//! whatever else as PostgreSQL writes them, as text; lists, structs and maps as arrays and objects; NULL is null.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow::datatypes::{UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
use crate::session::Answer;

/// How deep values may nest.
const MAX_DEPTH: usize = 64;

/// Dates and times: ISO 8601, fractions only where there are any.
const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"))
    .with_date_format(Some("%Y-%m-%d"))
    .with_time_format(Some("%H:%M:%S%.f"));

/// An array of objects, one a row.
pub(super) fn objects(answer: &Answer) -> Result<String, Report> {
    let mut out = String::with_capacity(answer.rows.num_rows().saturating_mul(answer.columns.len()).saturating_mul(16));
    out.push('[');
    let keys: Vec<String> = answer.columns.iter().map(|(name, _)| quoted(name)).collect();
    for row in 0..answer.rows.num_rows() {
        out.push_str(if row == 0 { "{" } else { ",{" });
        for (index, ((key, (_, field)), array)) in keys.iter().zip(&answer.columns).zip(answer.rows.columns()).enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(key);
            out.push(':');
            value(field, array, row, 0, &mut out)?;
        }
        out.push('}');
    }
    out.push(']');
    Ok(out)
}

/// Microseconds since 1970 UTC as text.
pub(super) fn instant(micros: i64) -> String {
    chrono::DateTime::from_timestamp_micros(micros).map(|time| time.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string()).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn value(field: &Field, array: &ArrayRef, row: usize, depth: usize, out: &mut String) -> Result<(), Report> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        out.push_str("null");
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(Report::new(SqlState::STATEMENT_TOO_COMPLEX, format!("a value nests deeper than {MAX_DEPTH}")));
    }
    macro_rules! number {
        ($type:ty) => {{
            // Writing to a string does not fail.
            let _ = write!(out, "{}", array.as_primitive::<$type>().value(row));
        }};
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => float32(array.as_primitive::<Float16Type>().value(row).to_f32(), out),
        DataType::Float32 => float32(array.as_primitive::<Float32Type>().value(row), out),
        DataType::Float64 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            match not_finite(number) {
                Some(word) => out.push_str(word),
                None => out.push_str(ryu::Buffer::new().format_finite(number)),
            }
        }
        DataType::Decimal128(_, _) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Utf8 => json_or_text(field, array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => json_or_text(field, array.as_string::<i64>().value(row), out),
        DataType::Utf8View => json_or_text(field, array.as_string_view().value(row), out),
        DataType::Binary => bytes(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => bytes(array.as_binary_view().value(row), out),
        DataType::FixedSizeBinary(_) => {
            let value = array.as_fixed_size_binary().value(row);
            match uuid::Uuid::from_slice(value).ok().filter(|_| PgType::of(field) == PgType::UUID) {
                Some(uuid) => out.push_str(&quoted(&uuid.to_string())),
                None => bytes(value, out),
            }
        }
        DataType::List(item) => list(item, &array.as_list::<i32>().value(row), depth, out)?,
        DataType::LargeList(item) => list(item, &array.as_list::<i64>().value(row), depth, out)?,
        DataType::FixedSizeList(item, _) => list(item, &array.as_fixed_size_list().value(row), depth, out)?,
        DataType::Struct(fields) => {
            let array = array.as_struct();
            out.push('{');
            for (index, (field, column)) in fields.iter().zip(array.columns()).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&quoted(field.name()));
                out.push(':');
                value(field, column, row, depth + 1, out)?;
            }
            out.push('}');
        }
        DataType::Map(_, _) => map(array, row, depth, out)?,
        _ => {
            let text = ArrayFormatter::try_new(array, &OPTIONS).map(|formatter| formatter.value(row).to_string());
            out.push_str(&quoted(&text.map_err(|failure| Report::new(SqlState::DATETIME_FIELD_OVERFLOW, failure.to_string()))?));
        }
    }
    Ok(())
}

fn list(item: &Field, values: &ArrayRef, depth: usize, out: &mut String) -> Result<(), Report> {
    out.push('[');
    for row in 0..values.len() {
        if row > 0 {
            out.push(',');
        }
        value(item, values, row, depth + 1, out)?;
    }
    out.push(']');
    Ok(())
}

/// An object; keys that are no text are written as text.
fn map(array: &ArrayRef, row: usize, depth: usize, out: &mut String) -> Result<(), Report> {
    let entries = array.as_map().value(row);
    let (DataType::Struct(fields), [keys, values]) = (entries.data_type(), entries.columns()) else {
        return Err(Report::new(SqlState::DATA_CORRUPTED, "a map without keys and values"));
    };
    let [key_field, value_field] = fields.as_ref() else {
        return Err(Report::new(SqlState::DATA_CORRUPTED, "a map without keys and values"));
    };
    out.push('{');
    for entry in 0..keys.len() {
        if entry > 0 {
            out.push(',');
        }
        let mut key = String::new();
        value(key_field, keys, entry, depth + 1, &mut key)?;
        out.push_str(&if key.starts_with('"') { key } else { quoted(&key) });
        out.push(':');
        value(value_field, values, entry, depth + 1, out)?;
    }
    out.push('}');
    Ok(())
}

/// jsonb is JSON already.
fn json_or_text(field: &Field, text: &str, out: &mut String) {
    if matches!(PgType::of(field), PgType::JSONB | PgType::JSON) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        out.push_str(text);
    } else {
        out.push_str(&quoted(text));
    }
}

fn bytes(value: &[u8], out: &mut String) {
    out.push('"');
    STANDARD.encode_string(value, out);
    out.push('"');
}

fn float32(number: f32, out: &mut String) {
    match not_finite(f64::from(number)) {
        Some(word) => out.push_str(word),
        None => out.push_str(ryu::Buffer::new().format_finite(number)),
    }
}

fn not_finite(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("\"NaN\"")
    } else if number.is_infinite() {
        Some(if number > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
    } else {
        None
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
