//! `to_char`, `to_date`, `to_timestamp` and `to_number` with a template. A template is taken apart once for a run of rows that
//! share it, which is as a rule all of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, PrimitiveArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use super::number_template::NumberTemplate;
use super::time_template::{Moment, TimeTemplate};
use crate::civil::DAY_MICROS;
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;
use crate::pg_type::PgType;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Builtin::function("to_char", char_types, to_char),
        Builtin::function("to_date", |arguments| two_texts(arguments, DataType::Date32), to_date),
        Builtin::function("to_timestamp_by_template", |arguments| two_texts(arguments, instant()), to_timestamp),
        Builtin::function("to_number", |arguments| two_texts(arguments, PgType::NUMERIC.arrow()), to_number),
    ]
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

fn two_texts(arguments: &[DataType], answer: DataType) -> Option<(Vec<DataType>, DataType)> {
    (arguments.len() == 2 && arguments.iter().all(is_text)).then(|| (vec![DataType::Utf8; 2], answer))
}

fn char_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let [value, template] = arguments else { return None };
    let value = match value {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Date32 | DataType::Date64 | DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Interval(_) | DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        number if number.is_integer() => DataType::Int64,
        number if number.is_floating() => DataType::Float64,
        number @ DataType::Decimal128(..) => number.clone(),
        DataType::Decimal256(..) => DataType::Decimal128(38, 16),
        _ => return None,
    };
    is_text(template).then(|| (vec![value, DataType::Utf8], DataType::Utf8))
}

fn missing() -> Report {
    Report::new(SqlState::UNDEFINED_FUNCTION, "the function takes two arguments")
}

/// The last template, taken apart.
struct Last<T> {
    text: String,
    parsed: Option<T>,
}

impl<T> Last<T> {
    fn new() -> Self {
        Self { text: String::new(), parsed: None }
    }

    fn of(&mut self, text: &str, parse: impl FnOnce(&str) -> Result<T, Report>) -> Result<&T, Report> {
        if self.text != text || self.parsed.is_none() {
            self.parsed = Some(parse(text)?);
            text.clone_into(&mut self.text);
        }
        self.parsed.as_ref().ok_or_else(missing)
    }
}

fn to_char(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [values, templates] = arguments else { return Err(missing()) };
    let templates = templates.as_string::<i32>();
    let numeric = values.data_type().is_numeric();
    let zone = match values.data_type() {
        DataType::Timestamp(_, Some(zone)) => Some(Zone::parse(zone).unwrap_or(Zone::UTC)),
        _ => None,
    };
    let (mut times, mut numbers) = (Last::new(), Last::new());
    let mut out = StringBuilder::new();
    for row in 0..values.len() {
        if values.is_null(row) || templates.is_null(row) {
            out.append_null();
            continue;
        }
        let template = templates.value(row);
        if numeric {
            let template = numbers.of(template, NumberTemplate::parse)?;
            let (digits, negative) = decimal_text(values, row, template.scale());
            out.append_value(template.write(&digits, negative));
            continue;
        }
        let moment = match moment(values, row, zone) {
            Some(moment) => moment,
            None => {
                out.append_null();
                continue;
            }
        };
        out.append_value(times.of(template, |text| Ok(TimeTemplate::parse(text)))?.write(&moment)?);
    }
    Ok(Arc::new(out.finish()))
}

/// An infinite timestamp has no fields; PostgreSQL's answer is NULL.
fn moment(values: &ArrayRef, row: usize, zone: Option<Zone>) -> Option<Moment> {
    match values.data_type() {
        DataType::Time64(_) => {
            let micros = values.as_primitive::<Time64MicrosecondType>().value(row);
            Some(Moment { year: 0, month: 0, day: 0, micros, days: None, offset: None })
        }
        DataType::Interval(_) => {
            let interval = values.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Some(Moment {
                year: i64::from(interval.months / 12),
                month: i64::from(interval.months % 12),
                day: i64::from(interval.days),
                micros: interval.nanoseconds / 1_000,
                days: None,
                offset: None,
            })
        }
        _ => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            let offset = zone.map(|zone| zone.offset_at(micros));
            let local = micros.checked_add(i64::from(offset.unwrap_or_default()) * 1_000_000)?;
            (micros != i64::MAX && micros != i64::MIN).then(|| Moment::of(local, offset))
        }
    }
}

/// The digits of a number rounded to `scale` places, and whether it is negative.
fn decimal_text(values: &ArrayRef, row: usize, scale: usize) -> (String, bool) {
    match values.data_type() {
        DataType::Int64 => {
            let value = values.as_primitive::<Int64Type>().value(row);
            let zeros = if scale > 0 { format!(".{}", "0".repeat(scale)) } else { String::new() };
            (format!("{}{zeros}", value.unsigned_abs()), value < 0)
        }
        DataType::Decimal128(_, own) => {
            let value = values.as_primitive::<Decimal128Type>().value(row);
            let own = usize::try_from(*own).unwrap_or_default();
            let mut magnitude = value.unsigned_abs();
            if own > scale {
                let unit = 10_u128.saturating_pow((own - scale) as u32);
                magnitude = magnitude / unit + u128::from(magnitude % unit * 2 >= unit);
            }
            let shown = own.min(scale);
            let digits = format!("{magnitude:0>width$}", width = shown + 1);
            let (whole, fraction) = digits.split_at(digits.len() - shown);
            let text = if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction:0<scale$}") };
            (text, value < 0 && magnitude > 0)
        }
        _ => {
            let value = values.as_primitive::<Float64Type>().value(row);
            (format!("{:.scale$}", value.abs()), value < 0.0)
        }
    }
}

fn to_date(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let days = read_all(arguments, |days, _, _| i32::try_from(days).ok())?;
    Ok(Arc::new(days.into_iter().collect::<PrimitiveArray<Date32Type>>()) as Arc<Date32Array>)
}

fn to_timestamp(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let instants = read_all(arguments, |days, micros, offset| {
        days.checked_mul(DAY_MICROS)?.checked_add(micros)?.checked_sub(i64::from(offset.unwrap_or_default()) * 1_000_000)
    })?;
    Ok(Arc::new(instants.into_iter().collect::<PrimitiveArray<TimestampMicrosecondType>>().with_timezone("UTC")))
}

fn read_all<T>(arguments: &[ArrayRef], value: impl Fn(i64, i64, Option<i32>) -> Option<T>) -> Result<Vec<Option<T>>, Report> {
    let [texts, templates] = arguments else { return Err(missing()) };
    let (texts, templates) = (texts.as_string::<i32>(), templates.as_string::<i32>());
    let mut last = Last::new();
    let mut answers = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) || templates.is_null(row) {
            answers.push(None);
            continue;
        }
        let (days, micros, offset) = last.of(templates.value(row), |text| Ok(TimeTemplate::parse(text)))?.read(texts.value(row))?;
        let read = value(days, micros, offset);
        let out_of_range = || Report::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{}\"", texts.value(row)));
        answers.push(Some(read.ok_or_else(out_of_range)?));
    }
    Ok(answers)
}

fn to_number(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [texts, templates] = arguments else { return Err(missing()) };
    let (texts, templates) = (texts.as_string::<i32>(), templates.as_string::<i32>());
    let mut last = Last::new();
    let mut numbers = StringBuilder::new();
    for row in 0..texts.len() {
        if texts.is_null(row) || templates.is_null(row) {
            numbers.append_null();
        } else {
            numbers.append_value(last.of(templates.value(row), NumberTemplate::parse)?.read(texts.value(row))?);
        }
    }
    let numbers: ArrayRef = Arc::new(numbers.finish());
    let numbers = cast(&numbers, &PgType::NUMERIC.arrow());
    numbers.map_err(|error| Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, error.to_string()))
}
