//! Values to an array of a wanted Arrow type, which is a parameter's or that of a temporary table's column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Decimal256Array, FixedSizeBinaryBuilder, Float32Array, Float64Array,
    IntervalMonthDayNanoArray, ListArray, NullArray, PrimitiveArray, StringArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, FieldRef, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::Value;
use crate::error::{Report, SqlState};

/// The narrowest decimal that holds the value at its own scale.
pub(super) fn decimal_type(digits: i256, scale: i8) -> DataType {
    match digits.to_i128() {
        Some(narrow) if narrow.unsigned_abs() < 10_u128.pow(38) && scale <= 38 => DataType::Decimal128(38, scale),
        _ => DataType::Decimal256(76, scale),
    }
}

fn mismatch(data_type: &DataType) -> Report {
    Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("values of the type {data_type} cannot be received from a client"))
}

/// An array of the values.
pub(crate) fn build<'a>(data_type: &DataType, values: &'a [Value]) -> Result<ArrayRef, Report> {
    Ok(match data_type {
        DataType::Null => Arc::new(NullArray::new(values.len())),
        DataType::Boolean => {
            let flag = |value: &Value| if let Value::Bool(flag) = value { Some(*flag) } else { None };
            Arc::new(each(data_type, values, flag).collect::<Result<BooleanArray, Report>>()?)
        }
        DataType::Int8 => integers::<Int8Type>(data_type, values)?,
        DataType::Int16 => integers::<Int16Type>(data_type, values)?,
        DataType::Int32 => integers::<Int32Type>(data_type, values)?,
        DataType::Int64 => integers::<Int64Type>(data_type, values)?,
        DataType::UInt8 => integers::<UInt8Type>(data_type, values)?,
        DataType::UInt16 => integers::<UInt16Type>(data_type, values)?,
        DataType::UInt32 => integers::<UInt32Type>(data_type, values)?,
        DataType::UInt64 => integers::<UInt64Type>(data_type, values)?,
        DataType::Float16 | DataType::Float32 => {
            let float = |value: &Value| if let Value::Float(float) = value { Some(*float as f32) } else { None };
            converted(Arc::new(each(data_type, values, float).collect::<Result<Float32Array, Report>>()?), data_type)?
        }
        DataType::Float64 => {
            let float = |value: &Value| if let Value::Float(float) = value { Some(*float) } else { None };
            Arc::new(each(data_type, values, float).collect::<Result<Float64Array, Report>>()?)
        }
        DataType::Decimal128(precision, scale) => {
            let digits = decimals(data_type, *precision, *scale, values)?;
            let narrow: Decimal128Array = digits.into_iter().map(|value| value.and_then(|value| value.to_i128())).collect();
            Arc::new(narrow.with_precision_and_scale(*precision, *scale).map_err(|_| field_overflow(*precision, *scale))?)
        }
        DataType::Decimal256(precision, scale) => {
            let wide: Decimal256Array = decimals(data_type, *precision, *scale, values)?.into_iter().collect();
            Arc::new(wide.with_precision_and_scale(*precision, *scale).map_err(|_| field_overflow(*precision, *scale))?)
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            converted(build(&DataType::Decimal128(*precision, *scale), values)?, data_type)?
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = |value: &'a Value| if let Value::Text(text) = value { Some(text.as_str()) } else { None };
            converted(Arc::new(each(data_type, values, text).collect::<Result<StringArray, Report>>()?), data_type)?
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = |value: &'a Value| if let Value::Bytes(bytes) = value { Some(bytes.as_slice()) } else { None };
            converted(Arc::new(each(data_type, values, bytes).collect::<Result<BinaryArray, Report>>()?), data_type)?
        }
        DataType::FixedSizeBinary(width) => {
            let mut builder = FixedSizeBinaryBuilder::new(*width);
            for value in values {
                match value {
                    Value::Bytes(value) => builder
                        .append_value(value)
                        .map_err(|_| Report::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value is not {width} bytes long")))?,
                    Value::Null => builder.append_null(),
                    _ => return Err(mismatch(data_type)),
                }
            }
            Arc::new(builder.finish())
        }
        DataType::Date32 | DataType::Date64 => {
            let day = |value: &Value| if let Value::Date(day) = value { Some(*day) } else { None };
            converted(Arc::new(each(data_type, values, day).collect::<Result<PrimitiveArray<Date32Type>, Report>>()?), data_type)?
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let time = |value: &Value| if let Value::Time(time) = value { Some(*time) } else { None };
            converted(
                Arc::new(each(data_type, values, time).collect::<Result<PrimitiveArray<Time64MicrosecondType>, Report>>()?),
                data_type,
            )?
        }
        DataType::Timestamp(unit, _) => timestamps(data_type, *unit, values)?,
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let parts = values.iter().map(|value| match value {
                Value::Interval(months, days, micros) => {
                    let nanoseconds = micros.checked_mul(1_000).ok_or_else(|| out_of_range("interval"))?;
                    Ok(Some(IntervalMonthDayNano { months: *months, days: *days, nanoseconds }))
                }
                other => none(other, data_type),
            });
            Arc::new(parts.collect::<Result<IntervalMonthDayNanoArray, Report>>()?)
        }
        DataType::List(item) => list(data_type, item, values)?,
        DataType::Dictionary(_, of) => converted(build(of, values)?, data_type)?,
        other if values.iter().all(|value| *value == Value::Null) => new_null_array(other, values.len()),
        other => return Err(mismatch(other)),
    })
}

/// An array of arrays. The numerics of one share the scale that the list's type says.
fn list(data_type: &DataType, item: &FieldRef, values: &[Value]) -> Result<ArrayRef, Report> {
    let mut lengths = Vec::with_capacity(values.len());
    let mut valid = Vec::with_capacity(values.len());
    let mut items = Vec::new();
    for value in values {
        match value {
            Value::Array(list) => {
                if !item.data_type().is_nested() && list.iter().any(|item| matches!(item, Value::Array(_))) {
                    return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "arrays of more than one dimension are not supported"));
                }
                lengths.push(list.len());
                items.extend_from_slice(list);
            }
            Value::Null => lengths.push(0),
            _ => return Err(mismatch(data_type)),
        }
        valid.push(*value != Value::Null);
    }
    let child = build(item.data_type(), &items)?;
    let list = ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), child, Some(NullBuffer::from(valid)));
    let null = |_| Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, "the array's elements must not be null");
    Ok(Arc::new(list.map_err(null)?))
}

/// What each value is as this type; none of NULL, and another kind of value is a mistake of the caller's.
fn each<'a, T>(
    data_type: &DataType,
    values: &'a [Value],
    pick: impl Fn(&'a Value) -> Option<T>,
) -> impl Iterator<Item = Result<Option<T>, Report>> {
    values.iter().map(move |value| match value {
        Value::Null => Ok(None),
        value => pick(value).map(Some).ok_or_else(|| mismatch(data_type)),
    })
}

/// NULL, where another kind of value is a mistake of the caller's.
fn none<T>(value: &Value, data_type: &DataType) -> Result<Option<T>, Report> {
    if *value == Value::Null { Ok(None) } else { Err(mismatch(data_type)) }
}

fn converted(array: ArrayRef, data_type: &DataType) -> Result<ArrayRef, Report> {
    if array.data_type() == data_type {
        return Ok(array);
    }
    cast(&array, data_type).map_err(|_| out_of_range("value"))
}

fn out_of_range(what: &str) -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

fn integers<T: ArrowPrimitiveType>(data_type: &DataType, values: &[Value]) -> Result<ArrayRef, Report>
where
    T::Native: TryFrom<i64>,
{
    let integers = values.iter().map(|value| match value {
        Value::Int(value) => T::Native::try_from(*value)
            .map(Some)
            .map_err(|_| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{value}\" is out of range"))),
        // numeric is what unsigned 64 bits are called.
        Value::Decimal(digits, 0) => {
            let narrow = digits.to_i128().and_then(|value| i64::try_from(value).ok()).and_then(|value| T::Native::try_from(value).ok());
            narrow.map(Some).ok_or_else(|| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value \"{digits}\" is out of range")))
        }
        other => none(other, data_type),
    });
    Ok(Arc::new(integers.collect::<Result<PrimitiveArray<T>, Report>>()?))
}

/// At the wanted scale, rounded half away from zero, within the wanted precision.
fn decimals(data_type: &DataType, precision: u8, scale: i8, values: &[Value]) -> Result<Vec<Option<i256>>, Report> {
    let limit = ten_to(u32::from(precision)).ok_or_else(|| mismatch(data_type))?;
    let rescale = |digits: i256, from: i8| -> Option<i256> {
        let shift = i32::from(scale) - i32::from(from);
        let scaled = if shift >= 0 {
            digits.checked_mul(ten_to(shift.unsigned_abs())?)?
        } else {
            let divisor = ten_to(shift.unsigned_abs())?;
            let half = divisor / i256::from_i128(2);
            let away = if digits < i256::ZERO { digits.checked_sub(half)? } else { digits.checked_add(half)? };
            away / divisor
        };
        (scaled < limit && scaled > -limit).then_some(scaled)
    };
    let values = values.iter().map(|value| match value {
        Value::Decimal(digits, from) => rescale(*digits, *from).map(Some).ok_or_else(|| field_overflow(precision, scale)),
        Value::Int(value) => rescale(i256::from_i128(i128::from(*value)), 0).map(Some).ok_or_else(|| field_overflow(precision, scale)),
        other => none(other, data_type),
    });
    values.collect()
}

fn ten_to(power: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(power)
}

/// PostgreSQL's words for a number with more digits before the point than its type has.
pub(crate) fn field_overflow(precision: u8, scale: i8) -> Report {
    let whole = i32::from(precision) - i32::from(scale);
    Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
        .detail(format!("A field with precision {precision}, scale {scale} must round to an absolute value less than 10^{whole}."))
}

fn timestamps(data_type: &DataType, unit: TimeUnit, values: &[Value]) -> Result<ArrayRef, Report> {
    fn of<T: ArrowPrimitiveType<Native = i64>>(
        data_type: &DataType,
        values: &[Value],
        convert: fn(i64) -> Option<i64>,
    ) -> Result<ArrayRef, Report> {
        let instants = values.iter().map(|value| match value {
            Value::Timestamp(extreme @ (i64::MAX | i64::MIN)) => Ok(Some(*extreme)),
            Value::Timestamp(micros) => convert(*micros).map(Some).ok_or_else(|| out_of_range("timestamp")),
            other => none(other, data_type),
        });
        let array = instants.collect::<Result<PrimitiveArray<T>, Report>>()?;
        Ok(Arc::new(array.with_data_type(data_type.clone())))
    }
    match unit {
        TimeUnit::Second => of::<TimestampSecondType>(data_type, values, |micros| Some(micros.div_euclid(1_000_000))),
        TimeUnit::Millisecond => of::<TimestampMillisecondType>(data_type, values, |micros| Some(micros.div_euclid(1_000))),
        TimeUnit::Microsecond => of::<TimestampMicrosecondType>(data_type, values, Some),
        TimeUnit::Nanosecond => of::<TimestampNanosecondType>(data_type, values, |micros| micros.checked_mul(1_000)),
    }
}
