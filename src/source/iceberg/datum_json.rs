//! The specification's JSON single values (appendix D): how a column's defaults are written.

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use serde_json::Value;

use super::datum::Datum;
use super::types::PrimitiveType;

impl Datum {
    /// A default; the error is a sentence for a damaged file.
    pub fn from_json(of: &PrimitiveType, json: &Value) -> Result<Self, String> {
        let datum = match json {
            Value::Bool(value) if *of == PrimitiveType::Boolean => Some(Self::Boolean(*value)),
            Value::Number(number) => from_number(of, number),
            Value::String(text) => from_text(of, text),
            _ => None,
        };
        datum.ok_or_else(|| format!("{json} is not a value of type {of}"))
    }
}

fn from_number(of: &PrimitiveType, number: &serde_json::Number) -> Option<Datum> {
    Some(match of {
        PrimitiveType::Int => Datum::Int(i32::try_from(number.as_i64()?).ok()?),
        PrimitiveType::Long => Datum::Long(number.as_i64()?),
        PrimitiveType::Float => Datum::Float(number.as_f64()? as f32),
        PrimitiveType::Double => Datum::Double(number.as_f64()?),
        _ => return None,
    })
}

fn from_text(of: &PrimitiveType, text: &str) -> Option<Datum> {
    Some(match of {
        PrimitiveType::String => Datum::String(text.to_owned()),
        // JSON has no number for these.
        PrimitiveType::Float | PrimitiveType::Double => {
            let value = match text {
                "NaN" => f64::NAN,
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                _ => return None,
            };
            if *of == PrimitiveType::Float { Datum::Float(value as f32) } else { Datum::Double(value) }
        }
        PrimitiveType::Decimal { precision, scale } => {
            Datum::Decimal { unscaled: decimal(text, *scale)?, precision: *precision, scale: *scale }
        }
        PrimitiveType::Date => Datum::Date(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.to_epoch_days()),
        PrimitiveType::Time => {
            let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
            Datum::Time(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1000))
        }
        PrimitiveType::Timestamp => Datum::Timestamp(plain(text)?.timestamp_micros()),
        PrimitiveType::TimestampNs => Datum::TimestampNs(plain(text)?.timestamp_nanos_opt()?),
        PrimitiveType::Timestamptz => Datum::Timestamptz(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros()),
        PrimitiveType::TimestamptzNs => Datum::TimestamptzNs(DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()?),
        PrimitiveType::Uuid => Datum::Uuid(*uuid::Uuid::parse_str(text).ok()?.as_bytes()),
        PrimitiveType::Fixed(length) => {
            let bytes = hexadecimal(text)?;
            if bytes.len() != *length as usize {
                return None;
            }
            Datum::Fixed(bytes)
        }
        PrimitiveType::Binary => Datum::Binary(hexadecimal(text)?),
        _ => return None,
    })
}

fn plain(text: &str) -> Option<DateTime<chrono::Utc>> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc())
}

/// `-14.20` with exactly this many digits after the point, or in the form with an exponent (`2E+20`) for none.
fn decimal(text: &str, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['E', 'e']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(i32::from(scale))?;
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    if shift >= 0 { digits.checked_mul(power) } else { (digits % power == 0).then(|| digits / power) }
}

fn hexadecimal(text: &str) -> Option<Bytes> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
#[path = "datum_json_tests.rs"]
mod tests;
