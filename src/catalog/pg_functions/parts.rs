//! Times of their parts: `make_interval`, `make_time`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, PrimitiveArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, IntervalMonthDayNano, IntervalUnit, Time64MicrosecondType, TimeUnit};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::civil::DAY_MICROS;
use crate::error::{Report, SqlState};

type Types = Option<(Vec<DataType>, DataType)>;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Builtin::function("make_interval", interval_types, make_interval), Builtin::function("make_time", time_types, make_time)]
}

/// Years, months, weeks, days, hours, minutes; and seconds, which may have a fraction.
fn interval_types(arguments: &[DataType]) -> Types {
    let numbers = arguments.len() <= 7 && arguments.iter().all(|of| of.is_numeric() || of.is_null());
    let wanted = |place: usize| if place == 6 { DataType::Float64 } else { DataType::Int32 };
    numbers.then(|| ((0..arguments.len()).map(wanted).collect(), DataType::Interval(IntervalUnit::MonthDayNano)))
}

fn time_types(arguments: &[DataType]) -> Types {
    let numbers = arguments.len() == 3 && arguments.iter().all(|of| of.is_numeric() || of.is_null());
    numbers.then(|| (vec![DataType::Int32, DataType::Int32, DataType::Float64], DataType::Time64(TimeUnit::Microsecond)))
}

/// The whole parts of a row, then the seconds; none if one is NULL.
fn parts(arguments: &[ArrayRef], row: usize, whole: usize) -> Option<(Vec<i64>, f64)> {
    let mut numbers = vec![0; whole];
    let mut seconds = 0.0;
    for (place, array) in arguments.iter().enumerate() {
        if array.is_null(row) {
            return None;
        }
        match numbers.get_mut(place) {
            Some(number) => *number = i64::from(array.as_primitive::<Int32Type>().value(row)),
            None => seconds = array.as_primitive::<Float64Type>().value(row),
        }
    }
    Some((numbers, seconds))
}

fn out_of_range(what: &str) -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

fn make_interval(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let rows = arguments.first().map_or(1, |array| array.len());
    let value = |row: usize| {
        let Some((parts, seconds)) = parts(arguments, row, 6) else { return Ok(None) };
        let [years, months, weeks, days, hours, minutes] = parts[..] else { return Ok(None) };
        let micros = (seconds * 1e6).round();
        let overflow = || out_of_range("interval");
        if !micros.is_finite() || micros.abs() > 9e18 {
            return Err(overflow());
        }
        let nanoseconds = (hours * 3600 + minutes * 60)
            .checked_mul(1_000_000)
            .and_then(|whole| whole.checked_add(micros as i64))
            .and_then(|micros| micros.checked_mul(1_000))
            .ok_or_else(overflow)?;
        let months = i32::try_from(years * 12 + months).map_err(|_| overflow())?;
        let days = i32::try_from(weeks * 7 + days).map_err(|_| overflow())?;
        Ok(Some(IntervalMonthDayNano { months, days, nanoseconds }))
    };
    Ok(Arc::new((0..rows).map(value).collect::<Result<IntervalMonthDayNanoArray, Report>>()?))
}

fn make_time(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let rows = arguments.first().map_or(0, |array| array.len());
    let value = |row: usize| {
        let Some((parts, seconds)) = parts(arguments, row, 2) else { return Ok(None) };
        let [hour, minute] = parts[..] else { return Ok(None) };
        if (0..=24).contains(&hour) && (0..=59).contains(&minute) && (0.0..=60.0).contains(&seconds) {
            let micros = (hour * 3600 + minute * 60) * 1_000_000 + (seconds * 1e6).round() as i64;
            if micros <= DAY_MICROS {
                return Ok(Some(micros));
            }
        }
        Err(Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("time field value out of range: {hour}:{minute:02}:{seconds:02}")))
    };
    Ok(Arc::new((0..rows).map(value).collect::<Result<PrimitiveArray<Time64MicrosecondType>, Report>>()?))
}
