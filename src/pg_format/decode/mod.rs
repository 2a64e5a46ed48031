//! Values that a client sends: parameters and COPY's fields, in text or binary, to Arrow.
//!
//! Two steps. [`parse`] reads one value of a PostgreSQL type into a [`Value`], with PostgreSQL's rules and its words for what is
//! wrong (22P02, 22P03, 22003, 22007, 22008); [`build()`] makes an array of a wanted Arrow type of values. A parameter is an array
//! of one, COPY builds a batch of columns. Nothing is allocated by a number the client sent, only by bytes that are there.

mod array;
mod binary;
mod build;
mod room;
mod scalar;
mod temporal;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, i256};

use super::encode::Format;
use super::reading::Reading;
use super::zone::Zone;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

pub(crate) use build::{build, field_overflow};
pub(crate) use room::Room;

/// A value, read but not yet in an array.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// NULL.
    Null,
    /// boolean.
    Bool(bool),
    /// smallint, integer, bigint, oid.
    Int(i64),
    /// real, double precision.
    Float(f64),
    /// numeric: digits and scale.
    Decimal(i256, i8),
    /// All that is text.
    Text(String),
    /// bytea and uuid.
    Bytes(Vec<u8>),
    /// Days since 1970; the extremes are the infinities.
    Date(i32),
    /// Microseconds of the day.
    Time(i64),
    /// Microseconds since 1970, of a wall clock or an instant; the extremes are the infinities.
    Timestamp(i64),
    /// Months, days, microseconds.
    Interval(i32, i32, i64),
    /// An array's elements, which may be arrays.
    Array(Vec<Value>),
}

/// Reads a value of this type.
pub(crate) fn parse(pg_type: PgType, format: Format, bytes: &[u8], reading: Reading) -> Result<Value, Report> {
    match format {
        Format::Text => parse_text(pg_type, utf8(bytes)?, reading),
        Format::Binary => binary::parse(pg_type, bytes, 0),
    }
}

/// Reads a value of this type from its text form.
pub(crate) fn parse_text(pg_type: PgType, text: &str, reading: Reading) -> Result<Value, Report> {
    if let Some(element) = pg_type.element() {
        return array::parse(text, element, reading);
    }
    Ok(match pg_type {
        PgType::BOOL => Value::Bool(scalar::boolean(text)?),
        PgType::INT2 => Value::Int(scalar::integer(text, pg_type, i64::from(i16::MIN)..=i64::from(i16::MAX))?),
        PgType::INT4 => Value::Int(scalar::integer(text, pg_type, i64::from(i32::MIN)..=i64::from(i32::MAX))?),
        PgType::INT8 | PgType::XID8 | PgType::PG_LSN => Value::Int(scalar::integer(text, pg_type, i64::MIN..=i64::MAX)?),
        PgType::FLOAT4 => Value::Float(f64::from(scalar::float4(text)?)),
        PgType::FLOAT8 => Value::Float(scalar::float8(text)?),
        PgType::NUMERIC | PgType::MONEY => scalar::numeric(text)?,
        PgType::BYTEA => Value::Bytes(scalar::bytea(text)?),
        PgType::UUID => Value::Bytes(scalar::uuid(text)?),
        PgType::JSON | PgType::JSONB => Value::Text(scalar::json(text, pg_type)?),
        PgType::DATE => Value::Date(temporal::date(text, reading.order)?),
        PgType::TIME | PgType::TIMETZ => Value::Time(temporal::time(text)?),
        PgType::TIMESTAMP => Value::Timestamp(temporal::timestamp(text, None, reading.order)?),
        PgType::TIMESTAMPTZ => Value::Timestamp(temporal::timestamp(text, Some(reading.zone), reading.order)?),
        PgType::INTERVAL => temporal::interval(text)?,
        PgType::INT2VECTOR | PgType::OIDVECTOR => {
            let element = if pg_type == PgType::OIDVECTOR { PgType::OID } else { PgType::INT2 };
            Value::Array(text.split_whitespace().map(|item| parse_text(element, item, reading)).collect::<Result<_, _>>()?)
        }
        other if other.is_oid_like() => Value::Int(scalar::oid(text, other)?),
        _ => Value::Text(text.to_owned()),
    })
}

/// The elements of an array of texts that has one dimension, none where one is NULL.
pub(crate) fn texts(text: &str) -> Result<Vec<Option<String>>, Report> {
    let value = array::parse(text, PgType::TEXT, Zone::UTC.into())?;
    let Value::Array(elements) = value else { return Ok(Vec::new()) };
    let one = |element| match element {
        Value::Text(text) => Ok(Some(text)),
        Value::Array(_) => Err(Report::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\""))
            .detail("It has more than one dimension.")),
        _ => Ok(None),
    };
    elements.into_iter().map(one).collect()
}

/// The bytes of a `bytea`'s text.
pub(crate) fn bytea(text: &str) -> Result<Vec<u8>, Report> {
    scalar::bytea(text)
}

/// The sixteen bytes of a uuid's text.
pub(crate) fn uuid(text: &str) -> Result<Vec<u8>, Report> {
    scalar::uuid(text)
}

/// The bytes as text, which must be UTF-8 and hold no NUL.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Report> {
    let wrong = |at: usize| {
        // PostgreSQL shows as many bytes as the first one promises.
        let length = match bytes.get(at) {
            Some(0xc2..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xf4) => 4,
            _ => 1,
        };
        let shown: Vec<String> = bytes[at..].iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
        Report::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.valid_up_to()))?;
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => Err(wrong(at)),
        None => Ok(text),
    }
}

/// A Bind's parameter as an array of one: of [`PgType::arrow`], but that a numeric keeps the scale of its value.
pub(crate) fn parameter(pg_type: PgType, format: Format, bytes: Option<&[u8]>, reading: Reading) -> Result<ArrayRef, Report> {
    let value = match bytes {
        None => Value::Null,
        // The name of an object is looked up where the catalog is.
        Some(bytes) if format == Format::Text && pg_type.is_named_oid() && !bytes.iter().all(u8::is_ascii_digit) => {
            return build(&DataType::Utf8, &[Value::Text(utf8(bytes)?.to_owned())]);
        }
        Some(bytes) => parse(pg_type, format, bytes, reading)?,
    };
    let data_type = match value {
        Value::Decimal(digits, scale) => build::decimal_type(digits, scale),
        Value::Array(_) => nested(pg_type.arrow(), &value),
        _ => pg_type.arrow(),
    };
    build(&data_type, std::slice::from_ref(&value))
}

/// The type of arrays of as many dimensions as the value has.
fn nested(array: DataType, value: &Value) -> DataType {
    match value {
        Value::Array(items) if matches!(items.first(), Some(Value::Array(_))) => {
            let inner = items.first().map_or_else(|| array.clone(), |first| nested(array.clone(), first));
            DataType::List(Arc::new(Field::new("item", inner, true)))
        }
        _ => array,
    }
}

/// PostgreSQL's sentence for text that is no value of a type.
fn invalid(pg_type: PgType, text: &str) -> Report {
    Report::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("invalid input syntax for type {pg_type}: \"{text}\""))
}

/// The same for dates and times, which have a code of their own, and for two of which PostgreSQL's words are shorter.
fn invalid_datetime(pg_type: PgType, text: &str) -> Report {
    let name = match pg_type {
        PgType::TIME => "time".to_owned(),
        PgType::TIMESTAMP => "timestamp".to_owned(),
        other => other.to_string(),
    };
    Report::new(SqlState::INVALID_DATETIME_FORMAT, format!("invalid input syntax for type {name}: \"{text}\""))
}

#[cfg(test)]
mod tests;
