//! Booleans, integers and oids. Unsigned integers go out as the next wider signed type, `u64` as numeric.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};

use super::{AnyCell, Cell, Format, numeric, unsupported};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

struct Boolean<'a> {
    array: &'a BooleanArray,
    words: [u8; 2],
}

impl Cell for Boolean<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        out.push(self.words[usize::from(self.array.value(row))]);
        Ok(())
    }
}

/// `t`, `f`.
pub(super) fn boolean(array: &BooleanArray, format: Format) -> AnyCell<'_> {
    let words = if format == Format::Text { *b"ft" } else { [0, 1] };
    Box::new(Boolean { array, words })
}

/// A cursor over a primitive array and what to do with each value.
pub(super) struct Primitive<'a, T: ArrowPrimitiveType, W> {
    array: &'a PrimitiveArray<T>,
    write: W,
}

impl<T: ArrowPrimitiveType, W: Fn(T::Native, &mut Vec<u8>) -> Result<(), Report>> Cell for Primitive<'_, T, W> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Report> {
        (self.write)(self.array.value(row), out)
    }
}

/// A cursor that applies `write` to each value.
pub(super) fn primitive<'a, T, W>(array: &'a dyn Array, write: W) -> AnyCell<'a>
where
    T: ArrowPrimitiveType,
    W: Fn(T::Native, &mut Vec<u8>) -> Result<(), Report> + 'a,
{
    Box::new(Primitive::<T, W> { array: array.as_primitive::<T>(), write })
}

/// Any integer array.
pub(super) fn integer<'a>(array: &'a dyn Array, pg_type: PgType, format: Format) -> Result<AnyCell<'a>, Report> {
    Ok(match array.data_type() {
        DataType::Int8 => typed::<Int8Type>(array, pg_type, format),
        DataType::Int16 => typed::<Int16Type>(array, pg_type, format),
        DataType::Int32 => typed::<Int32Type>(array, pg_type, format),
        DataType::Int64 => typed::<Int64Type>(array, pg_type, format),
        DataType::UInt8 => typed::<UInt8Type>(array, pg_type, format),
        DataType::UInt16 => typed::<UInt16Type>(array, pg_type, format),
        DataType::UInt32 => typed::<UInt32Type>(array, pg_type, format),
        DataType::UInt64 => typed::<UInt64Type>(array, pg_type, format),
        other => return Err(unsupported(other)),
    })
}

fn typed<'a, T>(array: &'a dyn Array, pg_type: PgType, format: Format) -> AnyCell<'a>
where
    T: ArrowPrimitiveType,
    T::Native: itoa::Integer + Into<i128> + Copy,
{
    if format == Format::Text {
        return primitive::<T, _>(array, |value, out| {
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            Ok(())
        });
    }
    // The width is the announced type's: a plan may deliver an Int32 where it announced int8.
    match pg_type {
        PgType::INT2 => primitive::<T, _>(array, |value, out| put::<i16, 2>(value.into(), i16::to_be_bytes, out)),
        PgType::INT4 => primitive::<T, _>(array, |value, out| put::<i32, 4>(value.into(), i32::to_be_bytes, out)),
        PgType::NUMERIC => primitive::<T, _>(array, |value, out| {
            let value: i128 = value.into();
            numeric::write_binary(value < 0, itoa::Buffer::new().format(value.unsigned_abs()).as_bytes(), 0, out);
            Ok(())
        }),
        PgType::FLOAT8 => primitive::<T, _>(array, |value, out| {
            let value: i128 = value.into();
            out.extend_from_slice(&(value as f64).to_be_bytes());
            Ok(())
        }),
        PgType::CHAR => primitive::<T, _>(array, |value, out| put::<u8, 1>(value.into(), u8::to_be_bytes, out)),
        PgType::TEXT | PgType::VARCHAR => primitive::<T, _>(array, |value, out| {
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            Ok(())
        }),
        // An oid may come as a negative Int32 or as a wide Int64: its low 32 bits count.
        other if other.is_oid_like() => primitive::<T, _>(array, |value, out| {
            let value: i128 = value.into();
            out.extend_from_slice(&(value as u32).to_be_bytes());
            Ok(())
        }),
        _ => primitive::<T, _>(array, |value, out| put::<i64, 8>(value.into(), i64::to_be_bytes, out)),
    }
}

/// Appends a value in a width that must hold it.
fn put<W: TryFrom<i128>, const N: usize>(value: i128, bytes: fn(W) -> [u8; N], out: &mut Vec<u8>) -> Result<(), Report> {
    let fitting = W::try_from(value)
        .map_err(|_| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{value}\" does not fit the column's type")))?;
    out.extend_from_slice(&bytes(fitting));
    Ok(())
}
