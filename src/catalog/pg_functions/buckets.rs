//! `width_bucket`: of bounds and a count, and of an array of lower bounds; and `num_nulls`, `num_nonnulls`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Decimal256Type, Field, Float64Type, Int32Type, i256};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

type Types = Option<(Vec<DataType>, DataType)>;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Builtin::function("width_bucket", bucket_types, width_bucket),
        Builtin::function("num_nulls", anything, |arguments| counted(arguments, true)),
        Builtin::function("num_nonnulls", anything, |arguments| counted(arguments, false)),
    ]
}

fn bucket_types(arguments: &[DataType]) -> Types {
    let is_number = |of: &DataType| of.is_numeric() || of.is_null();
    match arguments {
        [value, low, high, count] if [value, low, high, count].into_iter().all(is_number) => {
            let exact = [value, low, high].into_iter().all(|of| of.is_decimal() || of.is_integer() || of.is_null());
            if exact && [value, low, high].into_iter().any(DataType::is_decimal) {
                let numeric = PgType::NUMERIC.arrow();
                return Some((vec![numeric.clone(), numeric.clone(), numeric, DataType::Int32], DataType::Int32));
            }
            Some((vec![DataType::Float64, DataType::Float64, DataType::Float64, DataType::Int32], DataType::Int32))
        }
        [value, DataType::List(item)] if is_number(value) && is_number(item.data_type()) => {
            let list = DataType::List(Arc::new(Field::new("item", DataType::Float64, true)));
            Some((vec![DataType::Float64, list], DataType::Int32))
        }
        _ => None,
    }
}

fn anything(arguments: &[DataType]) -> Types {
    (!arguments.is_empty()).then(|| (arguments.to_vec(), DataType::Int32))
}

fn refused(message: &str) -> Report {
    Report::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message)
}

fn width_bucket(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    match arguments {
        [values, lows, highs, counts] if values.data_type().is_decimal() => {
            let numbers = |array: &ArrayRef| array.as_primitive::<Decimal256Type>().clone();
            let (values, lows, highs, counts) = (numbers(values), numbers(lows), numbers(highs), counts.as_primitive::<Int32Type>());
            let bucket = |row: usize| {
                if values.is_null(row) || lows.is_null(row) || highs.is_null(row) || counts.is_null(row) {
                    return Ok(None);
                }
                exactly_between(values.value(row), lows.value(row), highs.value(row), counts.value(row)).map(Some)
            };
            Ok(Arc::new((0..values.len()).map(bucket).collect::<Result<Int32Array, Report>>()?))
        }
        [values, lows, highs, counts] => {
            let (values, lows, highs) =
                (values.as_primitive::<Float64Type>(), lows.as_primitive::<Float64Type>(), highs.as_primitive::<Float64Type>());
            let counts = counts.as_primitive::<Int32Type>();
            let bucket = |row: usize| {
                if values.is_null(row) || lows.is_null(row) || highs.is_null(row) || counts.is_null(row) {
                    return Ok(None);
                }
                between(values.value(row), lows.value(row), highs.value(row), counts.value(row)).map(Some)
            };
            Ok(Arc::new((0..values.len()).map(bucket).collect::<Result<Int32Array, Report>>()?))
        }
        [values, lists] => {
            let (values, lists) = (values.as_primitive::<Float64Type>(), lists.as_list::<i32>());
            let bucket = |row: usize| {
                if values.is_null(row) || lists.is_null(row) {
                    return Ok(None);
                }
                let bounds = lists.value(row);
                let bounds = bounds.as_primitive::<Float64Type>();
                if bounds.null_count() > 0 {
                    return Err(Report::new(SqlState::NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs"));
                }
                let value = values.value(row);
                Ok(Some(bounds.values().partition_point(|bound| bound.total_cmp(&value).is_le()) as i32))
            };
            Ok(Arc::new((0..values.len()).map(bucket).collect::<Result<Int32Array, Report>>()?))
        }
        _ => Err(Report::new(SqlState::UNDEFINED_FUNCTION, "function width_bucket() does not exist")),
    }
}

fn between(value: f64, low: f64, high: f64, count: i32) -> Result<i32, Report> {
    if count <= 0 {
        return Err(refused("count must be greater than zero"));
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return Err(refused("operand, lower bound, and upper bound cannot be NaN"));
    }
    if !(low.is_finite() && high.is_finite()) {
        return Err(refused("lower and upper bounds must be finite"));
    }
    if low == high {
        return Err(refused("lower bound cannot equal upper bound"));
    }
    let above = count.checked_add(1).ok_or_else(|| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    let (before, behind) = if low < high { (value < low, value >= high) } else { (value > low, value <= high) };
    Ok(match (before, behind) {
        (true, _) => 0,
        (_, true) => above,
        // Halves, so that the distance of the bounds is a double.
        _ => ((f64::from(count) * ((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0))) as i32 + 1).min(count),
    })
}

/// The same of numerics, all of one scale.
fn exactly_between(value: i256, low: i256, high: i256, count: i32) -> Result<i32, Report> {
    let out_of_range = || Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    if count <= 0 {
        return Err(refused("count must be greater than zero"));
    }
    if low == high {
        return Err(refused("lower bound cannot equal upper bound"));
    }
    let (before, behind) = if low < high { (value < low, value >= high) } else { (value > low, value <= high) };
    let above = || count.checked_add(1).ok_or_else(|| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"));
    match (before, behind) {
        (true, _) => Ok(0),
        (_, true) => above(),
        _ => {
            let quotient = || {
                let scaled = value.checked_sub(low)?.checked_mul(i256::from_i128(i128::from(count)))?;
                i32::try_from(scaled.checked_div(high.checked_sub(low)?)?.to_i128()?).ok()?.checked_add(1)
            };
            quotient().ok_or_else(out_of_range)
        }
    }
}

fn counted(arguments: &[ArrayRef], nulls: bool) -> Result<ArrayRef, Report> {
    let rows = arguments.first().map_or(0, |array| array.len());
    let logical: Vec<_> = arguments.iter().map(|array| array.logical_nulls()).collect();
    let count = |row: usize| logical.iter().filter(|mask| mask.as_ref().is_some_and(|mask| mask.is_null(row)) == nulls).count() as i32;
    Ok(Arc::new((0..rows).map(|row| Some(count(row))).collect::<Int32Array>()))
}
