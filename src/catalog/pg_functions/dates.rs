//! Ages, justified intervals, clocks of other zones, and the fields of a time that have a fraction.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, IntervalMonthDayNanoArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::logical_expr::{Expr, ScalarUDF, lit};

use super::Builtin;
use crate::civil::{self, DAY_MICROS};
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
const HOUR_MICROS: i64 = 3_600_000_000;
/// Digits of a numeric that holds any number of microseconds since 1970.
const FRACTION_PRECISION: u8 = 24;
const FRACTION_SCALE: i8 = 6;

/// The fields of EXTRACT that have a fraction, with the digits that PostgreSQL shows of it.
pub const FIELDS_WITH_FRACTION: [(&str, i8); 6] =
    [("second", 6), ("seconds", 6), ("millisecond", 3), ("milliseconds", 3), ("epoch", 6), ("julian", 6)];

/// `extract(field from source)` of such a field, as a numeric with six digits behind the point.
pub fn extract_fraction(field: &str, source: Expr) -> Expr {
    Builtin::function("extract", extract_types, extract).call(vec![lit(field), source])
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Builtin::function("age", age_types, age),
        Builtin::function("justify_days", interval_types, |arguments| justified(arguments, true, false)),
        Builtin::function("justify_hours", interval_types, |arguments| justified(arguments, false, true)),
        Builtin::function("justify_interval", interval_types, |arguments| justified(arguments, true, true)),
        Builtin::function("isfinite", finite_types, is_finite),
        Builtin::function("make_timestamp", make_types, make_timestamp),
        Builtin::function("date_part", part_types, date_part),
        Builtin::function("timezone", zone_types, timezone),
    ]
}

fn is_instant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Null)
}

fn age_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let two = arguments.len() == 2 && arguments.iter().all(is_instant);
    two.then(|| (vec![TIMESTAMP; 2], INTERVAL))
}

fn interval_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let one = matches!(arguments, [DataType::Interval(_) | DataType::Duration(_) | DataType::Null]);
    one.then(|| (vec![INTERVAL], INTERVAL))
}

fn finite_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    match arguments {
        [DataType::Timestamp(..)] => Some((vec![TIMESTAMP], DataType::Boolean)),
        [own @ (DataType::Date32 | DataType::Interval(_))] => Some((vec![own.clone()], DataType::Boolean)),
        _ => None,
    }
}

fn make_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let numbers = arguments.len() == 6 && arguments.iter().all(|argument| argument.is_numeric() || *argument == DataType::Null);
    let types = || {
        let mut types = vec![DataType::Int64; 5];
        types.push(DataType::Float64);
        types
    };
    numbers.then(|| (types(), TIMESTAMP))
}

/// What a field is taken of: an instant keeps its zone's reading, which the engine's `date_part` knows.
fn source_type(source: &DataType) -> Option<DataType> {
    Some(match source {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Date32 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Interval(_) | DataType::Duration(_) => INTERVAL,
        DataType::Null => TIMESTAMP,
        _ => return None,
    })
}

fn extract_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let [field, source] = arguments else { return None };
    let text = matches!(field, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let source = source_type(source)?;
    text.then(|| (vec![DataType::Utf8, source], DataType::Decimal128(FRACTION_PRECISION, FRACTION_SCALE)))
}

fn part_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    extract_types(arguments).map(|(types, _)| (types, DataType::Float64))
}

fn out_of_range(what: &str) -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

/// Year, month, day and the microseconds of the day.
fn fields(micros: i64) -> (i64, i64, i64, i64) {
    let (year, month, day) = civil::from_days(micros.div_euclid(DAY_MICROS));
    (year, i64::from(month), i64::from(day), micros.rem_euclid(DAY_MICROS))
}

/// The difference in years, months, days and time, the days counted in the earlier month.
fn age(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let (later, earlier) = two::<TimestampMicrosecondType>(arguments)?;
    let ages = later.iter().zip(earlier.iter()).map(|(later, earlier)| match (later, earlier) {
        (Some(later), Some(earlier)) => age_of(later, earlier).map(Some),
        _ => Ok(None),
    });
    Ok(Arc::new(ages.collect::<Result<IntervalMonthDayNanoArray, Report>>()?))
}

fn age_of(later: i64, earlier: i64) -> Result<IntervalMonthDayNano, Report> {
    if [later, earlier].iter().any(|instant| matches!(*instant, i64::MAX | i64::MIN)) {
        return Err(out_of_range("interval"));
    }
    let negative = later < earlier;
    let (from, to) = if negative { (later, earlier) } else { (earlier, later) };
    let (from_year, from_month, from_day, from_micros) = fields(from);
    let (to_year, to_month, to_day, to_micros) = fields(to);
    let mut months = (to_year - from_year) * 12 + to_month - from_month;
    let (mut days, mut micros) = (to_day - from_day, to_micros - from_micros);
    if micros < 0 {
        micros += DAY_MICROS;
        days -= 1;
    }
    if days < 0 {
        // As long as the month that the earlier date lies in, or for a negative age the later one.
        let (year, month) = if negative { (to_year, to_month) } else { (from_year, from_month) };
        days += i64::from(civil::days_in_month(year, month as u32));
        months -= 1;
    }
    let sign = if negative { -1 } else { 1 };
    let narrow = |value: i64| i32::try_from(value * sign).map_err(|_| out_of_range("interval"));
    Ok(IntervalMonthDayNano { months: narrow(months)?, days: narrow(days)?, nanoseconds: micros * 1_000 * sign })
}

fn two<T: arrow::datatypes::ArrowPrimitiveType>(arguments: &[ArrayRef]) -> Result<(&PrimitiveArray<T>, &PrimitiveArray<T>), Report> {
    match arguments {
        [left, right] => Ok((left.as_primitive(), right.as_primitive())),
        _ => Err(Report::new(SqlState::UNDEFINED_FUNCTION, "the function takes two arguments")),
    }
}

/// Thirty days are a month, twenty-four hours a day; signs agree afterwards.
fn justified(arguments: &[ArrayRef], days_too: bool, hours_too: bool) -> Result<ArrayRef, Report> {
    let Some(intervals) = arguments.first() else { return Err(out_of_range("interval")) };
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let justify = |interval: IntervalMonthDayNano| -> Option<IntervalMonthDayNano> {
        let (mut months, mut days, mut nanos) = (i64::from(interval.months), i64::from(interval.days), interval.nanoseconds);
        let day = DAY_MICROS * 1_000;
        if hours_too {
            days += nanos / day;
            nanos %= day;
        }
        if days_too {
            months += days / 30;
            days %= 30;
            if months > 0 && (days < 0 || (days == 0 && nanos < 0)) {
                days += 30;
                months -= 1;
            } else if months < 0 && (days > 0 || (days == 0 && nanos > 0)) {
                days -= 30;
                months += 1;
            }
        }
        if hours_too {
            if days > 0 && nanos < 0 {
                nanos += day;
                days -= 1;
            } else if days < 0 && nanos > 0 {
                nanos -= day;
                days += 1;
            }
        }
        Some(IntervalMonthDayNano { months: i32::try_from(months).ok()?, days: i32::try_from(days).ok()?, nanoseconds: nanos })
    };
    let answers = intervals.iter().map(|interval| match interval {
        Some(interval) => justify(interval).map(Some).ok_or_else(|| out_of_range("interval")),
        None => Ok(None),
    });
    Ok(Arc::new(answers.collect::<Result<IntervalMonthDayNanoArray, Report>>()?))
}

fn is_finite(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let Some(values) = arguments.first() else { return Err(out_of_range("value")) };
    let answers: BooleanArray = match values.data_type() {
        DataType::Date32 => {
            values.as_primitive::<Date32Type>().iter().map(|day| day.map(|day| !matches!(day, i32::MAX | i32::MIN))).collect()
        }
        DataType::Timestamp(..) => values
            .as_primitive::<TimestampMicrosecondType>()
            .iter()
            .map(|micros| micros.map(|micros| !matches!(micros, i64::MAX | i64::MIN)))
            .collect(),
        _ => (0..values.len()).map(|row| values.is_valid(row).then_some(true)).collect(),
    };
    Ok(Arc::new(answers))
}

fn make_timestamp(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [year, month, day, hour, minute, second] = arguments else { return Err(out_of_range("timestamp")) };
    let whole = |array: &ArrayRef, row: usize| array.as_primitive::<Int64Type>().value(row);
    let mut answers: Vec<Option<i64>> = Vec::with_capacity(year.len());
    for row in 0..year.len() {
        if arguments.iter().any(|argument| argument.is_null(row)) {
            answers.push(None);
            continue;
        }
        let (year, month, day) = (whole(year, row), whole(month, row), whole(day, row));
        let (hour, minute, second) = (whole(hour, row), whole(minute, row), second.as_primitive::<Float64Type>().value(row));
        let date = year != 0 && year.abs() < 300_000 && (1..=12).contains(&month) && day >= 1;
        // A negative year is before Christ, and there was no year 0.
        let astronomical = if year < 0 { year + 1 } else { year };
        if !date || day > i64::from(civil::days_in_month(astronomical, month as u32)) {
            return Err(Report::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date field value out of range: {year}-{month:02}-{day:02}"),
            ));
        }
        if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60.0).contains(&second) {
            return Err(Report::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
            ));
        }
        let days = civil::to_days(astronomical, month as u32, day as u32);
        let micros = hour * HOUR_MICROS + minute * 60_000_000 + (second * 1e6).round_ties_even() as i64;
        answers.push(Some(days * DAY_MICROS + micros));
    }
    Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(answers)))
}

/// Microseconds since 1970 of an instant or a day, of midnight for a time, of an interval as PostgreSQL counts it.
fn epoch(source: &ArrayRef, row: usize) -> i128 {
    match source.data_type() {
        DataType::Date32 => i128::from(source.as_primitive::<Date32Type>().value(row)) * i128::from(DAY_MICROS),
        DataType::Time64(_) => i128::from(source.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Interval(_) => {
            let interval = source.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let (years, months) = (i128::from(interval.months / 12), i128::from(interval.months % 12));
            // A year is 365.25 days, a month 30.
            let day = i128::from(DAY_MICROS);
            years * day * 1_461 / 4
                + months * 30 * day
                + i128::from(interval.days) * day
                + i128::from(interval.nanoseconds.div_euclid(1_000))
        }
        _ => i128::from(source.as_primitive::<TimestampMicrosecondType>().value(row)),
    }
}

/// The microseconds within the minute; zones are whole minutes away but for some long ago.
fn within_minute(source: &ArrayRef, row: usize) -> i128 {
    match source.data_type() {
        DataType::Interval(_) => {
            i128::from(source.as_primitive::<IntervalMonthDayNanoType>().value(row).nanoseconds.div_euclid(1_000) % 60_000_000)
        }
        _ => epoch(source, row).rem_euclid(60_000_000),
    }
}

fn fraction_of(field: &str, source: &ArrayRef, row: usize) -> Option<i128> {
    match field {
        "second" | "seconds" => Some(within_minute(source, row)),
        "millisecond" | "milliseconds" => Some(within_minute(source, row) * 1_000),
        "microsecond" | "microseconds" => Some(within_minute(source, row) * 1_000_000),
        "epoch" => Some(epoch(source, row)),
        // Days since 4714-11-24 BC, in millionths.
        "julian" if !matches!(source.data_type(), DataType::Interval(_) | DataType::Time64(_)) => {
            let micros = epoch(source, row);
            Some((micros + 2_440_588 * i128::from(DAY_MICROS)) * 1_000_000 / i128::from(DAY_MICROS))
        }
        _ => None,
    }
}

fn extract(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [fields, source] = arguments else { return Err(out_of_range("value")) };
    let fields = fields.as_string::<i32>();
    let mut answers: Vec<Option<i128>> = Vec::with_capacity(source.len());
    for row in 0..source.len() {
        if fields.is_null(row) || source.is_null(row) {
            answers.push(None);
            continue;
        }
        let field = fields.value(row).to_ascii_lowercase();
        answers.push(Some(fraction_of(&field, source, row).ok_or_else(|| unknown_unit(&field))?));
    }
    let answers = Decimal128Array::from(answers).with_precision_and_scale(FRACTION_PRECISION, FRACTION_SCALE);
    Ok(Arc::new(answers.map_err(|_| out_of_range("value"))?))
}

fn unknown_unit(field: &str) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("unit \"{field}\" not recognized"))
}

/// `timestamp AT TIME ZONE 'Europe/Berlin'`: an instant of a wall clock's reading, a reading of an instant.
fn zone_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let [zone, source] = arguments else { return None };
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let (from, to) = match source {
        DataType::Timestamp(_, Some(_)) => (instant, TIMESTAMP),
        DataType::Timestamp(_, None) | DataType::Date32 | DataType::Null => (TIMESTAMP, instant),
        _ => return None,
    };
    let text = matches!(zone, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
    text.then(|| (vec![DataType::Utf8, from], to))
}

fn timezone(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [names, source] = arguments else { return Err(out_of_range("timestamp")) };
    let names = names.as_string::<i32>();
    let instants = matches!(source.data_type(), DataType::Timestamp(_, Some(_)));
    let source = source.as_primitive::<TimestampMicrosecondType>();
    let mut last: Option<(&str, Zone)> = None;
    let mut answers: Vec<Option<i64>> = Vec::with_capacity(source.len());
    for row in 0..source.len() {
        if names.is_null(row) || source.is_null(row) {
            answers.push(None);
            continue;
        }
        let (name, micros) = (names.value(row), source.value(row));
        let zone = match last {
            Some((known, zone)) if known == name => zone,
            _ => Zone::named(name)
                .ok_or_else(|| Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{name}\" not recognized")))?,
        };
        last = Some((name, zone));
        let answer = match micros {
            i64::MAX | i64::MIN => Some(micros),
            micros if instants => micros.checked_add(i64::from(zone.offset_at(micros)) * 1_000_000),
            micros => zone.to_utc(micros),
        };
        answers.push(Some(answer.ok_or_else(|| out_of_range("timestamp"))?));
    }
    let answers = PrimitiveArray::<TimestampMicrosecondType>::from(answers);
    Ok(Arc::new(if instants { answers } else { answers.with_timezone("UTC") }))
}

/// Any field as a double: those with a fraction by the above, the others by the engine's kernel.
fn date_part(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    use arrow::compute::{DatePart, date_part};
    let [fields, source] = arguments else { return Err(out_of_range("value")) };
    let fields = fields.as_string::<i32>();
    let mut answers: Vec<Option<f64>> = Vec::with_capacity(source.len());
    let mut kernel: Option<(String, ArrayRef)> = None;
    for row in 0..source.len() {
        if fields.is_null(row) || source.is_null(row) {
            answers.push(None);
            continue;
        }
        let field = fields.value(row).to_ascii_lowercase();
        if let Some(millionths) = fraction_of(&field, source, row) {
            answers.push(Some(millionths as f64 / 1e6));
            continue;
        }
        if kernel.as_ref().is_none_or(|(known, _)| *known != field) {
            let (part, _) = part_of(&field).ok_or_else(|| unknown_unit(&field))?;
            let values = date_part(source, part).map_err(|_| unknown_unit(&field))?;
            kernel = Some((field.clone(), values));
        }
        let value = kernel.as_ref().map(|(_, values)| values.as_primitive::<arrow::datatypes::Int32Type>().value(row)).unwrap_or_default();
        answers.push(Some(part_of(&field).map_or(f64::from(value), |(_, finish)| finish(value))));
    }
    fn part_of(field: &str) -> Option<(DatePart, fn(i32) -> f64)> {
        let plain: fn(i32) -> f64 = f64::from;
        Some(match field {
            "year" | "years" => (DatePart::Year, plain),
            "isoyear" => (DatePart::YearISO, plain),
            "quarter" => (DatePart::Quarter, plain),
            "month" | "months" => (DatePart::Month, plain),
            "week" | "weeks" => (DatePart::Week, plain),
            "day" | "days" => (DatePart::Day, plain),
            "dow" => (DatePart::DayOfWeekSunday0, plain),
            "isodow" => (DatePart::DayOfWeekMonday0, |value| f64::from(value + 1)),
            "doy" => (DatePart::DayOfYear, plain),
            "hour" | "hours" => (DatePart::Hour, plain),
            "minute" | "minutes" => (DatePart::Minute, plain),
            "decade" => (DatePart::Year, |value| f64::from(value.div_euclid(10))),
            "century" => (DatePart::Year, |value| f64::from((value + 99).div_euclid(100))),
            "millennium" => (DatePart::Year, |value| f64::from((value + 999).div_euclid(1_000))),
            _ => return None,
        })
    }
    Ok(Arc::new(Float64Array::from(answers)))
}
