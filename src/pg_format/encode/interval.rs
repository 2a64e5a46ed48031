//! Intervals in IntervalStyle `postgres`: `1 year 2 mons -3 days +04:05:06.789`. Durations are intervals of time alone.

use arrow::array::Array;
use arrow::datatypes::{
    DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, TimeUnit,
};

use super::number::primitive;
use super::temporal::{two, write_fraction};
use super::{AnyCell, Format, unsupported};
use crate::error::{Report, SqlState};

/// Any interval or duration array.
pub(super) fn interval<'a>(array: &'a dyn Array, format: Format) -> Result<AnyCell<'a>, Report> {
    let put = move |months: i32, days: i32, micros: i64, out: &mut Vec<u8>| -> Result<(), Report> {
        match format {
            Format::Text => write_interval(months, days, micros, out),
            Format::Binary => {
                out.extend_from_slice(&micros.to_be_bytes());
                out.extend_from_slice(&days.to_be_bytes());
                out.extend_from_slice(&months.to_be_bytes());
            }
        }
        Ok(())
    };
    let scaled = move |value: i64, factor: i64, out: &mut Vec<u8>| -> Result<(), Report> {
        let micros = value.checked_mul(factor).ok_or_else(|| Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
        put(0, 0, micros, out)
    };
    Ok(match array.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            primitive::<IntervalYearMonthType, _>(array, move |months, out| put(months, 0, 0, out))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            primitive::<IntervalDayTimeType, _>(array, move |value, out| put(0, value.days, i64::from(value.milliseconds) * 1_000, out))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => primitive::<IntervalMonthDayNanoType, _>(array, move |value, out| {
            put(value.months, value.days, value.nanoseconds.div_euclid(1_000), out)
        }),
        DataType::Duration(TimeUnit::Second) => primitive::<DurationSecondType, _>(array, move |value, out| scaled(value, 1_000_000, out)),
        DataType::Duration(TimeUnit::Millisecond) => {
            primitive::<DurationMillisecondType, _>(array, move |value, out| scaled(value, 1_000, out))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            primitive::<DurationMicrosecondType, _>(array, move |value, out| put(0, 0, value, out))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            primitive::<DurationNanosecondType, _>(array, move |value, out| put(0, 0, value.div_euclid(1_000), out))
        }
        other => return Err(unsupported(other)),
    })
}

/// PostgreSQL's EncodeInterval: a part that follows a negative one shows its plus.
pub(super) fn write_interval(months: i32, days: i32, micros: i64, out: &mut Vec<u8>) {
    let (mut empty, mut after_negative) = (true, false);
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        if !empty {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        after_negative = value < 0;
        empty = false;
    }
    if !empty && micros == 0 {
        return;
    }
    if !empty {
        out.push(b' ');
    }
    if micros < 0 {
        out.push(b'-');
    } else if after_negative {
        out.push(b'+');
    }
    let magnitude = micros.unsigned_abs();
    let hours = magnitude / 3_600_000_000;
    if hours < 100 {
        two(hours as u32, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(hours).as_bytes());
    }
    out.push(b':');
    two((magnitude / 60_000_000 % 60) as u32, out);
    out.push(b':');
    two((magnitude / 1_000_000 % 60) as u32, out);
    write_fraction((magnitude % 1_000_000) as u32, out);
}
