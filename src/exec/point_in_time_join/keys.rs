//! Join keys compared by value: two columns of different types become numbers or bytes that are equal exactly when the keys are.
//!
//! A key pair is either *narrow* (integers, booleans, dates, instants, short decimals: one `i64`) or *wide* (text, binary, long
//! decimals: bytes). One narrow pair alone is the fast path ([`Keys::Numbers`]); every other key is the concatenation of
//! its parts as bytes, text and binary with their length in front, so that `('a','bc')` is not `('ab','c')`.
//! A value that the other side's type cannot hold equals nothing there: it is treated like NULL. Floats, times of day and nested
//! types are refused, and so is every mixture (README, "What an answer means", rule 6).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use datafusion::error::{DataFusionError, Result};

use super::instant::{Carry, Instants, Unit};

/// How one pair of key columns is compared. Two pairs of one kind and one entity column share an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Integers of any width; `unsigned` if both sides are 64 bits without sign.
    Integer {
        /// Both sides are `UInt64`: the bits are compared.
        unsigned: bool,
    },
    /// Booleans.
    Boolean,
    /// Dates, as days.
    Date,
    /// Timestamps with or without zone, as steps of the finer unit.
    Instant(Unit),
    /// Decimals of at most 18 digits, at this scale.
    ShortDecimal(i8),
    /// Other decimals, without trailing zeros.
    Decimal,
    /// Text, by bytes.
    Text,
    /// Binary and uuid, by bytes.
    Binary,
    /// One side is nothing but NULL.
    Never,
}

/// Whether values of these types can be equal as join keys; floats and text with numbers cannot.
pub fn comparable_keys(entity: &DataType, feature: &DataType) -> bool {
    KeyKind::of(entity, feature).is_some()
}

impl KeyKind {
    /// How columns of these types are compared; `None` if they are not.
    pub fn of(entity: &DataType, feature: &DataType) -> Option<Self> {
        use DataType::{Boolean, Date32, Date64, Null, Timestamp, UInt64};
        let (entity, feature) = (value_type(entity), value_type(feature));
        Some(match (entity, feature) {
            (Null, Null) => Self::Never,
            (Null, other) | (other, Null) => {
                Self::of(other, other)?;
                Self::Never
            }
            (a, b) if a.is_integer() && b.is_integer() => Self::Integer { unsigned: *a == UInt64 && *b == UInt64 },
            (Boolean, Boolean) => Self::Boolean,
            (Date32 | Date64, Date32 | Date64) => Self::Date,
            (Timestamp(..), Timestamp(..)) => {
                let (a, b) = (Unit::of(entity)?, Unit::of(feature)?);
                Self::Instant(if a.nanos(1) < b.nanos(1) { a } else { b })
            }
            (a, b) if is_text(a) && is_text(b) => Self::Text,
            (a, b) if is_binary(a) && is_binary(b) => Self::Binary,
            (a, b) => {
                let ((p, s), (q, r)) = (decimal(a)?, decimal(b)?);
                if p <= 18 && q <= 18 { Self::ShortDecimal(s.max(r)) } else { Self::Decimal }
            }
        })
    }

    /// Whether such keys are one `i64`.
    pub fn is_narrow(self) -> bool {
        !matches!(self, Self::Text | Self::Binary | Self::Decimal)
    }
}

fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value_type(value),
        other => other,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

fn decimal(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Some((*p, *s)),
        _ => None,
    }
}

/// The keys of a batch of rows.
#[derive(Debug)]
pub enum Keys {
    /// One narrow pair.
    Numbers {
        /// The keys.
        values: ScalarBuffer<i64>,
        /// Where there is one.
        nulls: Option<NullBuffer>,
    },
    /// Any other key.
    Bytes {
        /// All keys, one after the other.
        data: Vec<u8>,
        /// Where each begins; one more than there are keys.
        offsets: Vec<usize>,
        /// Where there is one.
        nulls: Option<NullBuffer>,
    },
    /// No key at all: every row has the same.
    Absent,
}

impl Keys {
    /// The keys of rows whose key columns are `columns`, compared as `kinds`.
    pub fn encode(kinds: &[KeyKind], columns: &[ArrayRef]) -> Result<Self> {
        if kinds.is_empty() {
            return Ok(Self::Absent);
        }
        if let ([kind], [column]) = (kinds, columns)
            && kind.is_narrow()
        {
            let (values, nulls) = numbers(*kind, column)?;
            return Ok(Self::Numbers { values, nulls });
        }
        let rows = columns.first().map_or(0, |column| column.len());
        let mut parts = Vec::with_capacity(kinds.len());
        let mut nulls: Option<NullBuffer> = None;
        for (kind, column) in kinds.iter().zip(columns) {
            let part = Part::new(*kind, column)?;
            nulls = NullBuffer::union(nulls.as_ref(), part.nulls().as_ref());
            parts.push(part);
        }
        let with_length = kinds.len() > 1;
        let mut data = Vec::new();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        for row in 0..rows {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                for part in &parts {
                    part.append(row, with_length, &mut data);
                }
            }
            offsets.push(data.len());
        }
        Ok(Self::Bytes { data, offsets, nulls })
    }

    /// Whether row `row` has no key: it matches nothing.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Numbers { nulls, .. } | Self::Bytes { nulls, .. } => nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
            Self::Absent => false,
        }
    }
}

/// One key column on its way into [`Keys::Bytes`].
enum Part {
    Number(ScalarBuffer<i64>, Option<NullBuffer>),
    Decimal(Vec<[u8; 34]>, Option<NullBuffer>),
    Bytes(ArrayRef),
}

impl Part {
    fn new(kind: KeyKind, column: &ArrayRef) -> Result<Self> {
        if kind.is_narrow() {
            let (values, nulls) = numbers(kind, column)?;
            return Ok(Self::Number(values, nulls));
        }
        let column = plain(column)?;
        if kind == KeyKind::Decimal {
            return Ok(Self::Decimal(canonical_decimals(&column)?, column.logical_nulls()));
        }
        // Views and large offsets are only other layouts of the same bytes: one layout keeps `append` short.
        let layout = match column.data_type() {
            DataType::Utf8View | DataType::BinaryView | DataType::FixedSizeBinary(_) => column,
            _ if kind == KeyKind::Text => arrow::compute::cast(&column, &DataType::LargeUtf8)?,
            _ => arrow::compute::cast(&column, &DataType::LargeBinary)?,
        };
        Ok(Self::Bytes(layout))
    }

    fn nulls(&self) -> Option<NullBuffer> {
        match self {
            Self::Number(_, nulls) | Self::Decimal(_, nulls) => nulls.clone(),
            Self::Bytes(array) => array.logical_nulls(),
        }
    }

    fn append(&self, row: usize, with_length: bool, out: &mut Vec<u8>) {
        let bytes: &[u8] = match self {
            Self::Number(values, _) => {
                out.extend_from_slice(&values.get(row).copied().unwrap_or_default().to_le_bytes());
                return;
            }
            Self::Decimal(values, _) => {
                out.extend_from_slice(values.get(row).map_or(&[][..], |value| &value[..]));
                return;
            }
            Self::Bytes(array) => match array.data_type() {
                DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
                DataType::BinaryView => array.as_binary_view().value(row),
                DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
                DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
                _ => array.as_binary::<i64>().value(row),
            },
        };
        if with_length {
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        }
        out.extend_from_slice(bytes);
    }
}

/// A dictionary's values in place of its codes.
fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Dictionary(_, value) => plain(&arrow::compute::cast(column, value)?),
        _ => Ok(column.clone()),
    }
}

type Numbers = (ScalarBuffer<i64>, Option<NullBuffer>);

fn numbers(kind: KeyKind, column: &ArrayRef) -> Result<Numbers> {
    let column = &plain(column)?;
    let nulls = column.logical_nulls();
    let exact = |values: ScalarBuffer<i64>| Ok((values, nulls.clone()));
    match kind {
        KeyKind::Never => Ok((vec![0; column.len()].into(), Some(NullBuffer::new_null(column.len())))),
        KeyKind::Boolean => match column.as_boolean_opt() {
            Some(booleans) => exact(booleans.values().iter().map(i64::from).collect()),
            None => wrong_type(kind, column.data_type()),
        },
        KeyKind::Date => match column.data_type() {
            DataType::Date32 => exact(column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()),
            DataType::Date64 => exact(column.as_primitive::<Date64Type>().values().iter().map(|ms| ms.div_euclid(86_400_000)).collect()),
            other => wrong_type(kind, other),
        },
        KeyKind::Instant(unit) => {
            let instants = Instants::try_new(column)?;
            match Unit::of_column(column.data_type(), "key")?.towards(unit) {
                Carry::Same => exact(instants.values),
                carry => Ok(checked(
                    instants.values.iter().map(|value| match carry {
                        Carry::Times(factor) => value.checked_mul(factor),
                        Carry::Same | Carry::Per(_) => None,
                    }),
                    nulls,
                )),
            }
        }
        KeyKind::ShortDecimal(scale) => short_decimals(column, scale, nulls),
        KeyKind::Integer { unsigned } => match column.data_type() {
            DataType::Int64 => exact(column.as_primitive::<Int64Type>().values().clone()),
            DataType::Int32 => exact(column.as_primitive::<Int32Type>().values().iter().map(|v| i64::from(*v)).collect()),
            DataType::Int16 => exact(column.as_primitive::<Int16Type>().values().iter().map(|v| i64::from(*v)).collect()),
            DataType::Int8 => exact(column.as_primitive::<Int8Type>().values().iter().map(|v| i64::from(*v)).collect()),
            DataType::UInt32 => exact(column.as_primitive::<UInt32Type>().values().iter().map(|v| i64::from(*v)).collect()),
            DataType::UInt16 => exact(column.as_primitive::<UInt16Type>().values().iter().map(|v| i64::from(*v)).collect()),
            DataType::UInt8 => exact(column.as_primitive::<UInt8Type>().values().iter().map(|v| i64::from(*v)).collect()),
            DataType::UInt64 if unsigned => exact(column.as_primitive::<UInt64Type>().values().iter().map(|v| v.cast_signed()).collect()),
            DataType::UInt64 => Ok(checked(column.as_primitive::<UInt64Type>().values().iter().map(|v| i64::try_from(*v).ok()), nulls)),
            other => wrong_type(kind, other),
        },
        KeyKind::Text | KeyKind::Binary | KeyKind::Decimal => wrong_type(kind, column.data_type()),
    }
}

fn wrong_type<T>(kind: KeyKind, data_type: &DataType) -> Result<T> {
    Err(DataFusionError::Internal(format!("a key column of type {data_type} came where {kind:?} was planned")))
}

/// Numbers that may not fit: those that do not are no key.
fn checked(values: impl Iterator<Item = Option<i64>>, nulls: Option<NullBuffer>) -> Numbers {
    let (numbers, fits): (Vec<i64>, Vec<bool>) = values.map(|value| (value.unwrap_or_default(), value.is_some())).unzip();
    let fits = fits.contains(&false).then(|| NullBuffer::from(fits));
    (numbers.into(), NullBuffer::union(nulls.as_ref(), fits.as_ref()))
}

fn short_decimals(column: &ArrayRef, scale: i8, nulls: Option<NullBuffer>) -> Result<Numbers> {
    let own = decimal(column.data_type()).map_or(0, |(_, scale)| scale);
    let factor = u32::try_from(i32::from(scale) - i32::from(own)).ok().and_then(|digits| 10_i64.checked_pow(digits));
    let rescale = |value: Option<i64>| match (value, factor) {
        (Some(0), _) => Some(0),
        (Some(value), Some(factor)) => value.checked_mul(factor),
        _ => None,
    };
    Ok(match column.data_type() {
        DataType::Decimal32(..) => {
            checked(column.as_primitive::<Decimal32Type>().values().iter().map(|v| rescale(Some(i64::from(*v)))), nulls)
        }
        DataType::Decimal64(..) => checked(column.as_primitive::<Decimal64Type>().values().iter().map(|v| rescale(Some(*v))), nulls),
        DataType::Decimal128(..) => {
            checked(column.as_primitive::<Decimal128Type>().values().iter().map(|v| rescale(i64::try_from(*v).ok())), nulls)
        }
        DataType::Decimal256(..) => checked(
            column.as_primitive::<Decimal256Type>().values().iter().map(|v| rescale(v.to_i128().and_then(|v| i64::try_from(v).ok()))),
            nulls,
        ),
        other => return wrong_type(KeyKind::ShortDecimal(scale), other),
    })
}

/// Decimals as (scale, digits) without trailing zeros: one spelling per value.
fn canonical_decimals(column: &ArrayRef) -> Result<Vec<[u8; 34]>> {
    fn all<T: DecimalType>(column: &ArrayRef, scale: i8, widen: impl Fn(T::Native) -> i256) -> Vec<[u8; 34]> {
        column.as_primitive::<T>().values().iter().map(|value| canonical_decimal(widen(*value), scale)).collect()
    }
    Ok(match column.data_type() {
        DataType::Decimal32(_, scale) => all::<Decimal32Type>(column, *scale, |v| i256::from_i128(v.into())),
        DataType::Decimal64(_, scale) => all::<Decimal64Type>(column, *scale, |v| i256::from_i128(v.into())),
        DataType::Decimal128(_, scale) => all::<Decimal128Type>(column, *scale, i256::from_i128),
        DataType::Decimal256(_, scale) => all::<Decimal256Type>(column, *scale, |v| v),
        other => return wrong_type(KeyKind::Decimal, other),
    })
}

fn canonical_decimal(mut digits: i256, scale: i8) -> [u8; 34] {
    let ten = i256::from_i128(10);
    let mut scale = i16::from(scale);
    if digits == i256::ZERO {
        scale = 0;
    } else {
        while digits.checked_rem(ten) == Some(i256::ZERO) {
            digits = digits.checked_div(ten).unwrap_or(i256::ZERO);
            scale -= 1;
        }
    }
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&scale.to_le_bytes());
    bytes[2..].copy_from_slice(&digits.to_le_bytes());
    bytes
}

#[cfg(test)]
#[path = "tests/keys.rs"]
mod tests;
