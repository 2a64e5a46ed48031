//! Counts and bounds of a data file's columns, in the specification's single-value serialization.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, max_binary, max_boolean, max_string, min, min_binary, min_boolean, min_string};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

/// How many characters or bytes of a text bound are kept.
const TRUNCATE: usize = 16;

/// What a manifest says of a column.
#[derive(Debug, Clone, Default)]
pub(super) struct ColumnSummary {
    pub(super) values: i64,
    pub(super) nulls: i64,
    /// Floats only.
    pub(super) nans: Option<i64>,
    pub(super) lower: Option<Vec<u8>>,
    pub(super) upper: Option<Vec<u8>>,
}

/// The summary of one column of one file.
pub(super) fn summarize(column: &ArrayRef) -> ColumnSummary {
    let mut summary = ColumnSummary { values: column.len() as i64, nulls: column.null_count() as i64, ..ColumnSummary::default() };
    macro_rules! primitive {
        ($kind:ty, $bytes:expr) => {{
            let values = column.as_primitive::<$kind>();
            (min(values).map($bytes), max(values).map($bytes))
        }};
    }
    // NaN is no bound: the specification wants bounds over the other values, and the count beside them.
    macro_rules! float {
        ($kind:ty) => {{
            let values = column.as_primitive::<$kind>();
            summary.nans = Some(values.iter().flatten().filter(|value| value.is_nan()).count() as i64);
            let numbers = || values.iter().flatten().filter(|value| !value.is_nan());
            let least = numbers().min_by(|a, b| a.total_cmp(b));
            let greatest = numbers().max_by(|a, b| a.total_cmp(b));
            (least.map(|v| v.to_le_bytes().to_vec()), greatest.map(|v| v.to_le_bytes().to_vec()))
        }};
    }
    let (lower, upper) = match column.data_type() {
        DataType::Boolean => {
            (min_boolean(column.as_boolean()).map(|v| vec![u8::from(v)]), max_boolean(column.as_boolean()).map(|v| vec![u8::from(v)]))
        }
        DataType::Int32 => primitive!(Int32Type, |v| v.to_le_bytes().to_vec()),
        DataType::Int64 => primitive!(Int64Type, |v| v.to_le_bytes().to_vec()),
        DataType::Date32 => primitive!(Date32Type, |v| v.to_le_bytes().to_vec()),
        DataType::Timestamp(..) => primitive!(TimestampMicrosecondType, |v| v.to_le_bytes().to_vec()),
        DataType::Decimal128(..) => primitive!(Decimal128Type, decimal),
        DataType::Float32 => float!(Float32Type),
        DataType::Float64 => float!(Float64Type),
        DataType::Utf8 => {
            (min_string(column.as_string::<i32>()).map(lower_text), max_string(column.as_string::<i32>()).and_then(upper_text))
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            // A truncated upper bound of bytes would have to be incremented; left out, it prunes nothing and lies to nobody.
            (
                min_binary(values).map(|v| v[..v.len().min(TRUNCATE)].to_vec()),
                max_binary(values).filter(|v| v.len() <= TRUNCATE).map(<[u8]>::to_vec),
            )
        }
        _ => (None, None),
    };
    (summary.lower, summary.upper) = (lower, upper);
    summary
}

/// Two's complement, big endian, as short as it goes.
fn decimal(value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let sign = if value < 0 { 0xff } else { 0x00 };
    let mut start = 0;
    while start < 15 && bytes[start] == sign && (bytes[start + 1] & 0x80) == (sign & 0x80) {
        start += 1;
    }
    bytes[start..].to_vec()
}

fn lower_text(text: &str) -> Vec<u8> {
    text.chars().take(TRUNCATE).collect::<String>().into_bytes()
}

/// The shortest text of at most [`TRUNCATE`] characters that is not below `text`, if there is one.
fn upper_text(text: &str) -> Option<Vec<u8>> {
    let mut kept: Vec<char> = text.chars().take(TRUNCATE).collect();
    if kept.len() == text.chars().count() {
        return Some(text.as_bytes().to_vec());
    }
    while let Some(last) = kept.pop() {
        if let Some(next) = char::from_u32(last as u32 + 1) {
            kept.push(next);
            return Some(kept.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}
