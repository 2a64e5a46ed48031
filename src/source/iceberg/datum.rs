//! [`Datum`]: one value of a primitive type, and how it is read from bounds, partitions and JSON.
//!
//! Bounds are kept in the type that the column had when they were written: four bytes for a column that is long by
//! now are an int. What cannot be read as a bound is no bound (the file is then read), never an error; what cannot be
//! read as a default or a partition's value is one, because rows would be wrong.

use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::types::PrimitiveType;

/// One value that is not NULL.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// `boolean`
    Boolean(bool),
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `decimal(precision, scale)`
    Decimal {
        /// The number without its point.
        unscaled: i128,
        /// Digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Days since 1970.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970.
    Timestamp(i64),
    /// Microseconds since 1970 UTC.
    Timestamptz(i64),
    /// Nanoseconds since 1970.
    TimestampNs(i64),
    /// Nanoseconds since 1970 UTC.
    TimestamptzNs(i64),
    /// `string`
    String(String),
    /// `uuid`
    Uuid([u8; 16]),
    /// `fixed[n]`
    Fixed(Bytes),
    /// `binary`
    Binary(Bytes),
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

impl Datum {
    /// A value in the specification's binary form (appendix D), also in a narrower type that was promoted since.
    pub fn from_bytes(of: &PrimitiveType, bytes: &Bytes) -> Option<Self> {
        let four = || <[u8; 4]>::try_from(bytes.as_ref()).ok();
        let eight = || <[u8; 8]>::try_from(bytes.as_ref()).ok();
        let int = || four().map(i32::from_le_bytes);
        let long = || eight().map(i64::from_le_bytes);
        // Eight bytes are the type itself, four a date of a column that was one before version 3 promoted it.
        let timestamp = || long().or_else(|| i64::from(int()?).checked_mul(DAY));
        let timestamp_ns = || long().or_else(|| i64::from(int()?).checked_mul(DAY)?.checked_mul(1000));
        Some(match of {
            PrimitiveType::Boolean => match bytes.as_ref() {
                [byte] => Self::Boolean(*byte != 0),
                _ => return None,
            },
            PrimitiveType::Int => Self::Int(int()?),
            PrimitiveType::Long => Self::Long(long().or_else(|| int().map(i64::from))?),
            PrimitiveType::Float => Self::Float(f32::from_le_bytes(four()?)),
            PrimitiveType::Double => {
                Self::Double(eight().map(f64::from_le_bytes).or_else(|| four().map(|bytes| f64::from(f32::from_le_bytes(bytes))))?)
            }
            PrimitiveType::Decimal { precision, scale } => {
                Self::Decimal { unscaled: big_endian(bytes)?, precision: *precision, scale: *scale }
            }
            PrimitiveType::Date => Self::Date(int()?),
            PrimitiveType::Time => Self::Time(long()?),
            PrimitiveType::Timestamp => Self::Timestamp(timestamp()?),
            PrimitiveType::Timestamptz => Self::Timestamptz(timestamp()?),
            PrimitiveType::TimestampNs => Self::TimestampNs(timestamp_ns()?),
            PrimitiveType::TimestamptzNs => Self::TimestamptzNs(timestamp_ns()?),
            PrimitiveType::String => Self::String(std::str::from_utf8(bytes).ok()?.to_owned()),
            PrimitiveType::Uuid => Self::Uuid(bytes.as_ref().try_into().ok()?),
            // A truncated bound is shorter than the type.
            PrimitiveType::Fixed(_) => Self::Fixed(bytes.clone()),
            PrimitiveType::Binary => Self::Binary(bytes.clone()),
            PrimitiveType::Unknown | PrimitiveType::Other(_) => return None,
        })
    }

    /// A lower bound: NaN (of old writers) is none, and zero is the smaller one, since SQL's zeros are equal
    /// (as is the pattern `0.0`).
    pub fn lower_bound(of: &PrimitiveType, bytes: &Bytes) -> Option<Self> {
        match Self::from_bytes(of, bytes)? {
            Self::Float(value) if value.is_nan() => None,
            Self::Double(value) if value.is_nan() => None,
            Self::Float(0.0) => Some(Self::Float(-0.0)),
            Self::Double(0.0) => Some(Self::Double(-0.0)),
            other => Some(other),
        }
    }

    /// An upper bound: NaN is none, and zero is the larger one.
    pub fn upper_bound(of: &PrimitiveType, bytes: &Bytes) -> Option<Self> {
        match Self::from_bytes(of, bytes)? {
            Self::Float(value) if value.is_nan() => None,
            Self::Double(value) if value.is_nan() => None,
            Self::Float(0.0) => Some(Self::Float(0.0)),
            Self::Double(0.0) => Some(Self::Double(0.0)),
            other => Some(other),
        }
    }

    /// The value in a type that its own can be promoted to (or is); none if it cannot.
    pub fn promoted_to(&self, to: &PrimitiveType) -> Option<Self> {
        Some(match (self, to) {
            (Self::Boolean(_), PrimitiveType::Boolean)
            | (Self::Int(_), PrimitiveType::Int)
            | (Self::Long(_), PrimitiveType::Long)
            | (Self::Float(_), PrimitiveType::Float)
            | (Self::Double(_), PrimitiveType::Double)
            | (Self::Date(_), PrimitiveType::Date)
            | (Self::Time(_), PrimitiveType::Time)
            | (Self::Timestamp(_), PrimitiveType::Timestamp)
            | (Self::Timestamptz(_), PrimitiveType::Timestamptz)
            | (Self::TimestampNs(_), PrimitiveType::TimestampNs)
            | (Self::TimestamptzNs(_), PrimitiveType::TimestamptzNs)
            | (Self::String(_), PrimitiveType::String)
            | (Self::Uuid(_), PrimitiveType::Uuid)
            | (Self::Binary(_), PrimitiveType::Binary) => self.clone(),
            (Self::Fixed(bytes), PrimitiveType::Fixed(length)) if bytes.len() == *length as usize => self.clone(),
            (Self::Fixed(bytes), PrimitiveType::Uuid) => Self::Uuid(bytes.as_ref().try_into().ok()?),
            (Self::Binary(bytes), PrimitiveType::Fixed(length)) if bytes.len() == *length as usize => Self::Fixed(bytes.clone()),
            (Self::Fixed(bytes), PrimitiveType::Binary) => Self::Binary(bytes.clone()),
            (Self::Int(value), PrimitiveType::Long) => Self::Long(i64::from(*value)),
            (Self::Int(days), PrimitiveType::Date) => Self::Date(*days),
            (Self::Date(days), PrimitiveType::Int) => Self::Int(*days),
            // A date of a writer that leaves out Avro's logical type.
            (Self::Int(days), PrimitiveType::Timestamp | PrimitiveType::TimestampNs) => return Self::Date(*days).promoted_to(to),
            (Self::Float(value), PrimitiveType::Double) => Self::Double(f64::from(*value)),
            (Self::Decimal { unscaled, scale, .. }, PrimitiveType::Decimal { precision, scale: to }) if scale == to => {
                Self::Decimal { unscaled: *unscaled, precision: *precision, scale: *to }
            }
            (Self::Fixed(bytes) | Self::Binary(bytes), PrimitiveType::Decimal { precision, scale }) => {
                Self::Decimal { unscaled: big_endian(bytes)?, precision: *precision, scale: *scale }
            }
            (Self::Date(days), PrimitiveType::Timestamp) => Self::Timestamp(i64::from(*days).checked_mul(DAY)?),
            (Self::Date(days), PrimitiveType::TimestampNs) => Self::TimestampNs(i64::from(*days).checked_mul(DAY)?.checked_mul(1000)?),
            // Writers differ in which of Avro's logical types they give to zoned and plain timestamps.
            (Self::Timestamp(value), PrimitiveType::Timestamptz) => Self::Timestamptz(*value),
            (Self::Timestamptz(value), PrimitiveType::Timestamp) => Self::Timestamp(*value),
            (Self::TimestampNs(value), PrimitiveType::TimestamptzNs) => Self::TimestamptzNs(*value),
            (Self::TimestamptzNs(value), PrimitiveType::TimestampNs) => Self::TimestampNs(*value),
            (Self::Long(value), PrimitiveType::Time) => Self::Time(*value),
            (Self::Long(value), PrimitiveType::Timestamp) => Self::Timestamp(*value),
            (Self::Long(value), PrimitiveType::Timestamptz) => Self::Timestamptz(*value),
            (Self::Long(value), PrimitiveType::TimestampNs) => Self::TimestampNs(*value),
            (Self::Long(value), PrimitiveType::TimestamptzNs) => Self::TimestamptzNs(*value),
            _ => return None,
        })
    }
}

impl Datum {
    /// The value in a type that was promoted to its own; none where it cannot have been of that type.
    pub fn narrowed_to(&self, to: &PrimitiveType) -> Option<Self> {
        let days = |units: i64, day: i64| i32::try_from(units / day).ok().filter(|_| units % day == 0).map(Self::Date);
        match (self, to) {
            (Self::Long(value), PrimitiveType::Int) => i32::try_from(*value).ok().map(Self::Int),
            (Self::Double(value), PrimitiveType::Float) => {
                let narrow = *value as f32;
                (f64::from(narrow).to_bits() == value.to_bits() || value.is_nan()).then_some(Self::Float(narrow))
            }
            (Self::Timestamp(micros), PrimitiveType::Date) => days(*micros, DAY),
            (Self::TimestampNs(nanos), PrimitiveType::Date) => days(*nanos, DAY * 1000),
            _ => None,
        }
    }
}

/// Two's complement, big-endian, of at most 16 significant bytes.
pub(super) fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let fill = if first & 0x80 == 0 { 0 } else { 0xff };
    let significant = if bytes.len() > 16 {
        let (head, tail) = bytes.split_at(bytes.len() - 16);
        if head.iter().any(|byte| *byte != fill) || (tail[0] & 0x80) != (fill & 0x80) {
            return None;
        }
        tail
    } else {
        bytes
    };
    let mut whole = [fill; 16];
    whole[16 - significant.len()..].copy_from_slice(significant);
    Some(i128::from_be_bytes(whole))
}

/// A datum as a part of a key: equal across the promotions that one partition field can see. A manifest may have been read while a
/// column was narrower than it is now, so both forms of one value meet.
impl Datum {
    pub(super) fn hash_key<H: Hasher>(&self, state: &mut H) {
        if let Some(whole) = self.whole() {
            return whole.hash(state);
        }
        match self {
            Self::Boolean(value) => value.hash(state),
            Self::Float(value) => f64::from(*value).to_bits().hash(state),
            Self::Double(value) => value.to_bits().hash(state),
            Self::String(text) => text.hash(state),
            _ => self.bytes().hash(state),
        }
    }

    pub(super) fn equal_key(&self, other: &Self) -> bool {
        match (self.whole(), other.whole()) {
            (Some(a), Some(b)) => return a == b,
            (None, None) => {}
            _ => return false,
        }
        match (self.floating(), other.floating()) {
            (Some(a), Some(b)) => return a.to_bits() == b.to_bits(),
            (None, None) => {}
            _ => return false,
        }
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            _ => match (self.bytes(), other.bytes()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }

    /// What is a whole number underneath; a date as the instant that it is promoted to, and instants in nanoseconds.
    fn whole(&self) -> Option<i128> {
        Some(match self {
            Self::Int(value) => i128::from(*value),
            Self::Long(value) | Self::Time(value) => i128::from(*value),
            Self::Date(days) => i128::from(*days) * i128::from(DAY) * 1000,
            Self::Timestamp(micros) | Self::Timestamptz(micros) => i128::from(*micros) * 1000,
            Self::TimestampNs(nanos) | Self::TimestamptzNs(nanos) => i128::from(*nanos),
            Self::Decimal { unscaled, .. } => *unscaled,
            _ => return None,
        })
    }

    fn floating(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(f64::from(*value)),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Uuid(bytes) => Some(bytes),
            Self::Fixed(bytes) | Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
