//! What a footer says of its file's values, in the form in which manifests say it, so that pruning is one.
//!
//! Bounds are of columns that are not nested. One that cannot be trusted is none: text ordered as signed bytes by old
//! writers, INT96, unsigned numbers that Parquet keeps as signed, a row group without statistics.

use std::cmp::Ordering;

use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::columns::KnownColumn;
use crate::source::iceberg::ColumnStatistics;

/// A least or greatest value.
#[derive(Debug, Clone, PartialEq)]
enum Edge {
    Number(i128),
    Float(f64),
    Text(Bytes),
}

impl Edge {
    fn compared(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    fn outer(self, other: Self, wanted: Ordering) -> Option<Self> {
        Some(if self.compared(&other)? == wanted { self } else { other })
    }
}

/// Of all of a file's columns.
pub(super) fn statistics(footer: &ParquetMetaData, columns: &[KnownColumn]) -> ColumnStatistics {
    let mut lower = Vec::new();
    let mut upper = Vec::new();
    let mut nulls = Vec::new();
    for column in columns {
        let Some(leaf) = column.leaf else { continue };
        if let Some(count) = null_count(footer, leaf) {
            nulls.push((column.id, count));
        }
        if let Some((min, max)) = edges(footer, leaf, &column.data_type)
            && let (Some(min), Some(max)) = (encoded(&min, &column.data_type), encoded(&max, &column.data_type))
        {
            lower.push((column.id, min));
            upper.push((column.id, max));
        }
    }
    ColumnStatistics {
        null_value_counts: nulls.into_iter().collect(),
        lower_bounds: lower.into_iter().collect(),
        upper_bounds: upper.into_iter().collect(),
        ..ColumnStatistics::default()
    }
}

fn null_count(footer: &ParquetMetaData, leaf: usize) -> Option<i64> {
    let mut count = 0u64;
    for group in footer.row_groups() {
        count = count.checked_add(group.columns().get(leaf)?.statistics()?.null_count_opt()?)?;
    }
    i64::try_from(count).ok()
}

/// The least and the greatest value of all row groups.
fn edges(footer: &ParquetMetaData, leaf: usize, of: &DataType) -> Option<(Edge, Edge)> {
    let mut all: Option<(Edge, Edge)> = None;
    for group in footer.row_groups() {
        let statistics = group.columns().get(leaf)?.statistics()?;
        if statistics.null_count_opt().is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows())) {
            continue;
        }
        let (min, max) = edges_of(statistics, of)?;
        all = Some(match all {
            None => (min, max),
            Some((least, greatest)) => (least.outer(min, Ordering::Less)?, greatest.outer(max, Ordering::Greater)?),
        });
    }
    all
}

fn edges_of(statistics: &Statistics, of: &DataType) -> Option<(Edge, Edge)> {
    let number = |value: i64| Edge::Number(i128::from(value));
    Some(match (statistics, of) {
        // Kept as signed numbers, ordered as unsigned ones.
        (_, DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64) => return None,
        (Statistics::Int32(of), _) => (number(i64::from(*of.min_opt()?)), number(i64::from(*of.max_opt()?))),
        (Statistics::Int64(of), _) => (number(*of.min_opt()?), number(*of.max_opt()?)),
        (Statistics::Float(of), _) => (float(f64::from(*of.min_opt()?))?, float(f64::from(*of.max_opt()?))?),
        (Statistics::Double(of), _) => (float(*of.min_opt()?)?, float(*of.max_opt()?)?),
        (Statistics::ByteArray(of), DataType::Utf8 | DataType::Binary) if !statistics.is_min_max_deprecated() => {
            (Edge::Text(Bytes::copy_from_slice(of.min_opt()?.data())), Edge::Text(Bytes::copy_from_slice(of.max_opt()?.data())))
        }
        (Statistics::ByteArray(of), DataType::Decimal128(..)) if !statistics.is_min_max_deprecated() => {
            (unscaled(of.min_opt()?.data())?, unscaled(of.max_opt()?.data())?)
        }
        (Statistics::FixedLenByteArray(of), DataType::Decimal128(..)) if !statistics.is_min_max_deprecated() => {
            (unscaled(of.min_opt()?.data())?, unscaled(of.max_opt()?.data())?)
        }
        _ => return None,
    })
}

fn float(value: f64) -> Option<Edge> {
    (!value.is_nan()).then_some(Edge::Float(value))
}

/// A big-endian number of at most 16 bytes.
fn unscaled(bytes: &[u8]) -> Option<Edge> {
    let negative = bytes.first()? & 0x80 != 0;
    let mut full = if negative { [0xff; 16] } else { [0; 16] };
    let start = full.len().checked_sub(bytes.len())?;
    full[start..].copy_from_slice(bytes);
    Some(Edge::Number(i128::from_be_bytes(full)))
}

/// The specification's binary form of a value of this type.
fn encoded(edge: &Edge, of: &DataType) -> Option<Bytes> {
    let long = |value: i64| Bytes::copy_from_slice(&value.to_le_bytes());
    let int = |value: i128| Some(Bytes::copy_from_slice(&i32::try_from(value).ok()?.to_le_bytes()));
    let scaled = |value: i128, factor: i128| value.checked_mul(factor).and_then(|value| i64::try_from(value).ok()).map(long);
    match (edge, of) {
        (Edge::Number(value), DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32) => int(*value),
        (
            Edge::Number(value),
            DataType::Int64
            | DataType::Time64(TimeUnit::Microsecond)
            | DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _),
        ) => scaled(*value, 1),
        (Edge::Number(value), DataType::Time32(TimeUnit::Millisecond) | DataType::Timestamp(TimeUnit::Millisecond, _)) => {
            scaled(*value, 1000)
        }
        (Edge::Number(value), DataType::Decimal128(..)) => Some(Bytes::copy_from_slice(&value.to_be_bytes())),
        // It was a number of 32 bits.
        (Edge::Float(value), DataType::Float32) => Some(Bytes::copy_from_slice(&(*value as f32).to_le_bytes())),
        (Edge::Float(value), DataType::Float64) => Some(Bytes::copy_from_slice(&value.to_le_bytes())),
        (Edge::Text(bytes), DataType::Utf8) => std::str::from_utf8(bytes).is_ok().then(|| bytes.clone()),
        (Edge::Text(bytes), DataType::Binary) => Some(bytes.clone()),
        _ => None,
    }
}
