//! One value between the three worlds: Iceberg's [`Datum`] and JSON defaults, and the engine's [`ScalarValue`].

use bytes::Bytes;
use datafusion::common::ScalarValue;

use super::schema::UTC;
use crate::source::iceberg::{Datum, PrimitiveType};

/// The value as one of the column's present type; none where it cannot be one.
pub fn scalar(datum: &Datum, of: &PrimitiveType) -> Option<ScalarValue> {
    let utc = || Some(UTC.into());
    Some(match datum.promoted_to(of)? {
        Datum::Boolean(value) => ScalarValue::Boolean(Some(value)),
        Datum::Int(value) => ScalarValue::Int32(Some(value)),
        Datum::Long(value) => ScalarValue::Int64(Some(value)),
        Datum::Float(value) => ScalarValue::Float32(Some(value)),
        Datum::Double(value) => ScalarValue::Float64(Some(value)),
        Datum::Decimal { unscaled, precision, scale } => {
            if unscaled.unsigned_abs() >= 10u128.pow(u32::from(precision.min(38))) {
                return None;
            }
            ScalarValue::Decimal128(Some(unscaled), precision, i8::try_from(scale).ok()?)
        }
        Datum::Date(days) => ScalarValue::Date32(Some(days)),
        Datum::Time(micros) => ScalarValue::Time64Microsecond(Some(micros)),
        Datum::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(micros), None),
        Datum::Timestamptz(micros) => ScalarValue::TimestampMicrosecond(Some(micros), utc()),
        Datum::TimestampNs(nanos) => ScalarValue::TimestampNanosecond(Some(nanos), None),
        Datum::TimestamptzNs(nanos) => ScalarValue::TimestampNanosecond(Some(nanos), utc()),
        Datum::String(text) => ScalarValue::Utf8(Some(text)),
        Datum::Uuid(bytes) => ScalarValue::FixedSizeBinary(16, Some(bytes.to_vec())),
        Datum::Fixed(bytes) | Datum::Binary(bytes) => ScalarValue::Binary(Some(bytes.to_vec())),
    })
}

/// The value of a partition as the column's type at the time of a snapshot, which may be older than the type that the manifest
/// was parsed with: then it is narrower, and so was the value that was written.
pub fn stored_scalar(datum: &Datum, of: &PrimitiveType) -> Option<ScalarValue> {
    scalar(datum, of).or_else(|| scalar(&datum.narrowed_to(of)?, of))
}

/// The engine's value of a column of this type as Iceberg's; none for NULL and where it is of another type.
pub fn datum(value: &ScalarValue, of: &PrimitiveType) -> Option<Datum> {
    Some(match (value, of) {
        (ScalarValue::Boolean(Some(value)), PrimitiveType::Boolean) => Datum::Boolean(*value),
        (ScalarValue::Int32(Some(value)), PrimitiveType::Int) => Datum::Int(*value),
        (ScalarValue::Int64(Some(value)), PrimitiveType::Long) => Datum::Long(*value),
        (ScalarValue::Decimal128(Some(unscaled), precision, scale), PrimitiveType::Decimal { scale: of, .. })
            if i16::from(*scale) == i16::from(*of) =>
        {
            Datum::Decimal { unscaled: *unscaled, precision: *precision, scale: *of }
        }
        (ScalarValue::Date32(Some(days)), PrimitiveType::Date) => Datum::Date(*days),
        (ScalarValue::Time64Microsecond(Some(micros)), PrimitiveType::Time) => Datum::Time(*micros),
        (ScalarValue::TimestampMicrosecond(Some(micros), _), PrimitiveType::Timestamp) => Datum::Timestamp(*micros),
        (ScalarValue::TimestampMicrosecond(Some(micros), _), PrimitiveType::Timestamptz) => Datum::Timestamptz(*micros),
        (ScalarValue::TimestampNanosecond(Some(nanos), _), PrimitiveType::TimestampNs) => Datum::TimestampNs(*nanos),
        (ScalarValue::TimestampNanosecond(Some(nanos), _), PrimitiveType::TimestamptzNs) => Datum::TimestamptzNs(*nanos),
        (ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)), PrimitiveType::String) => {
            Datum::String(text.clone())
        }
        (ScalarValue::FixedSizeBinary(16, Some(bytes)), PrimitiveType::Uuid) => Datum::Uuid(bytes.as_slice().try_into().ok()?),
        (ScalarValue::Binary(Some(bytes)), PrimitiveType::Fixed(_)) => Datum::Fixed(Bytes::from(bytes.clone())),
        (ScalarValue::Binary(Some(bytes)), PrimitiveType::Binary) => Datum::Binary(Bytes::from(bytes.clone())),
        _ => return None,
    })
}
