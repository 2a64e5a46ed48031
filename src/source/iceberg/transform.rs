//! [`Transform`]: from a column's value to a partition's value.
//!
//! Applied here only to predicates' literals and in tests; a transform of the future is kept by its text, and files
//! under it are read without pruning by it.

use std::fmt;

use serde::{Deserialize, Deserializer};

use super::datum::Datum;
use super::types::PrimitiveType;
use crate::civil;

/// A partition or sort transform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// Murmur3 hash modulo this many buckets.
    Bucket(u32),
    /// Text's first characters; numbers rounded down to a multiple.
    Truncate(u32),
    /// Years since 1970.
    Year,
    /// Months since 1970-01.
    Month,
    /// Days since 1970-01-01.
    Day,
    /// Hours since 1970-01-01 00:00.
    Hour,
    /// Always NULL.
    Void,
    /// One that we do not know.
    Unknown(String),
}

impl Transform {
    /// By its name in metadata, in any case; never fails.
    pub fn parse(text: &str) -> Self {
        let name = text.to_ascii_lowercase();
        let width = |prefix: &str| {
            name.strip_prefix(prefix)?.strip_suffix(']')?.trim().parse().ok().filter(|&width: &u32| width > 0 && width <= i32::MAX as u32)
        };
        match name.as_str() {
            "identity" => Self::Identity,
            "year" | "years" => Self::Year,
            "month" | "months" => Self::Month,
            "day" | "days" => Self::Day,
            "hour" | "hours" => Self::Hour,
            "void" => Self::Void,
            _ => {
                if let Some(buckets) = width("bucket[") {
                    Self::Bucket(buckets)
                } else if let Some(width) = width("truncate[") {
                    Self::Truncate(width)
                } else {
                    Self::Unknown(text.to_owned())
                }
            }
        }
    }

    /// The type of the partition's values for a source column of this type; none where we cannot know it.
    pub fn result_type(&self, source: &PrimitiveType) -> Option<PrimitiveType> {
        match self {
            Self::Identity | Self::Truncate(_) | Self::Void => Some(source.clone()),
            Self::Bucket(_) | Self::Year | Self::Month | Self::Hour => Some(PrimitiveType::Int),
            // The specification says int; every writer says date, and both are days.
            Self::Day => Some(PrimitiveType::Date),
            Self::Unknown(_) => None,
        }
    }

    /// The partition's value of this value; none where the transform does not take the type (or gives NULL).
    pub fn apply(&self, value: &Datum) -> Option<Datum> {
        match self {
            Self::Identity => Some(value.clone()),
            Self::Bucket(buckets) => {
                let hash = bucket_hash(value)? & i32::MAX as u32;
                Some(Datum::Int((hash % buckets) as i32))
            }
            Self::Truncate(width) => truncate(value, *width),
            Self::Year => days(value).and_then(|days| whole(civil::from_days(days).0 - 1970)),
            Self::Month => days(value).and_then(|days| {
                let (year, month, _) = civil::from_days(days);
                whole((year - 1970) * 12 + i64::from(month) - 1)
            }),
            Self::Day => days(value).and_then(|days| i32::try_from(days).ok()).map(Datum::Date),
            Self::Hour => instant(value).and_then(|(units, per_second)| whole(units.div_euclid(3600 * per_second))),
            Self::Void | Self::Unknown(_) => None,
        }
    }
}

/// A timestamp's units and how many make a second.
fn instant(value: &Datum) -> Option<(i64, i64)> {
    match value {
        Datum::Timestamp(micros) | Datum::Timestamptz(micros) => Some((*micros, 1_000_000)),
        Datum::TimestampNs(nanos) | Datum::TimestamptzNs(nanos) => Some((*nanos, 1_000_000_000)),
        _ => None,
    }
}

/// A partition's number, if it is one.
fn whole(number: i64) -> Option<Datum> {
    i32::try_from(number).ok().map(Datum::Int)
}

/// Days since 1970, rounded down.
fn days(value: &Datum) -> Option<i64> {
    match value {
        Datum::Date(days) => Some(i64::from(*days)),
        other => instant(other).map(|(units, per_second)| units.div_euclid(86_400 * per_second)),
    }
}

fn truncate(value: &Datum, width: u32) -> Option<Datum> {
    let wide = i64::from(width);
    match value {
        // Rounding the type's least value down wraps, as it does in Java.
        Datum::Int(value) => Some(Datum::Int((i64::from(*value) - i64::from(*value).rem_euclid(wide)) as i32)),
        Datum::Long(value) => Some(Datum::Long(value.wrapping_sub(value.rem_euclid(wide)))),
        Datum::Decimal { unscaled, precision, scale } => {
            let unscaled = unscaled.checked_sub(unscaled.rem_euclid(i128::from(width)))?;
            Some(Datum::Decimal { unscaled, precision: *precision, scale: *scale })
        }
        Datum::String(text) => Some(Datum::String(text.chars().take(width as usize).collect())),
        Datum::Binary(bytes) => Some(Datum::Binary(bytes.slice(..bytes.len().min(width as usize)))),
        _ => None,
    }
}

/// The specification's 32-bit hash: the same for int and long, for date and for all timestamps of one microsecond.
fn bucket_hash(value: &Datum) -> Option<u32> {
    let long = |value: i64| murmur3(&value.to_le_bytes());
    Some(match value {
        Datum::Int(value) | Datum::Date(value) => long(i64::from(*value)),
        Datum::Long(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::Timestamptz(value) => long(*value),
        Datum::TimestampNs(nanos) | Datum::TimestamptzNs(nanos) => long(nanos.div_euclid(1000)),
        Datum::String(text) => murmur3(text.as_bytes()),
        Datum::Uuid(bytes) => murmur3(bytes),
        Datum::Fixed(bytes) | Datum::Binary(bytes) => murmur3(bytes),
        Datum::Decimal { unscaled, .. } => murmur3(minimal(&unscaled.to_be_bytes())),
        Datum::Boolean(_) | Datum::Float(_) | Datum::Double(_) => return None,
    })
}

/// The fewest two's-complement bytes, big-endian, that hold the number.
fn minimal(bytes: &[u8; 16]) -> &[u8] {
    let mut rest = &bytes[..];
    while let [first, second, ..] = rest {
        let redundant = (*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0);
        if !redundant {
            break;
        }
        rest = &rest[1..];
    }
    rest
}

/// Murmur3 x86 32-bit with seed 0.
fn murmur3(bytes: &[u8]) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let mix = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let mut hash = 0u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let k = chunk.iter().rev().fold(0u32, |k, byte| k << 8 | u32::from(*byte));
        hash = (hash ^ mix(k)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        hash ^= mix(tail.iter().rev().fold(0u32, |k, byte| k << 8 | u32::from(*byte)));
    }
    hash ^= bytes.len() as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

impl<'de> Deserialize<'de> for Transform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Bucket(buckets) => write!(f, "bucket[{buckets}]"),
            Self::Truncate(width) => write!(f, "truncate[{width}]"),
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Day => f.write_str("day"),
            Self::Hour => f.write_str("hour"),
            Self::Void => f.write_str("void"),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
