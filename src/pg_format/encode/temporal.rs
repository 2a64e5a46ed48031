//! Dates, times and timestamps in ISO style, fractions trimmed, years before the first as BC.
//!
//! Everything is brought to days or to microseconds, both signed; see `civil` for why not chrono. The zone's offset is asked per
//! value, except in zones that have one offset only.

use arrow::array::Array;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::number::primitive;
use super::{AnyCell, Format, Style, unsupported};
use crate::civil::{self, DAY_MICROS, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS};
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;

/// The first and last day PostgreSQL's date can hold (4714-11-24 BC and 5874897-12-31), counted from 1970.
const FIRST_DAY: i64 = -2_440_588;
const LAST_DAY: i64 = 2_145_042_905;

/// Dates; `Date64` is milliseconds.
pub(super) fn date<'a>(array: &'a dyn Array, format: Format) -> Result<AnyCell<'a>, Report> {
    Ok(match (array.data_type(), format) {
        (DataType::Date32, Format::Text) => primitive::<Date32Type, _>(array, |days, out| {
            write_date(days, out);
            Ok(())
        }),
        (DataType::Date32, Format::Binary) => primitive::<Date32Type, _>(array, date_binary),
        (DataType::Date64, Format::Text) => primitive::<Date64Type, _>(array, |millis, out| {
            write_date(days_of(millis), out);
            Ok(())
        }),
        (DataType::Date64, Format::Binary) => primitive::<Date64Type, _>(array, |millis, out| date_binary(days_of(millis), out)),
        (other, _) => return Err(unsupported(other)),
    })
}

fn days_of(millis: i64) -> i32 {
    millis.div_euclid(86_400_000).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// A date as text.
pub(super) fn write_date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        days => {
            if write_civil(i64::from(days), out) {
                out.extend_from_slice(b" BC");
            }
        }
    }
}

fn date_binary(days: i32, out: &mut Vec<u8>) -> Result<(), Report> {
    let shifted = match days {
        i32::MAX | i32::MIN => days,
        days if (FIRST_DAY..=LAST_DAY).contains(&i64::from(days)) => days - POSTGRES_EPOCH_DAYS as i32,
        _ => return Err(Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")),
    };
    out.extend_from_slice(&shifted.to_be_bytes());
    Ok(())
}

/// Times of day in any unit.
pub(super) fn time<'a>(array: &'a dyn Array, format: Format) -> Result<AnyCell<'a>, Report> {
    fn put(micros: i64, format: Format, out: &mut Vec<u8>) -> Result<(), Report> {
        match format {
            Format::Text => write_clock(micros, out),
            Format::Binary => out.extend_from_slice(&micros.to_be_bytes()),
        }
        Ok(())
    }
    Ok(match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            primitive::<Time32SecondType, _>(array, move |value, out| put(i64::from(value) * 1_000_000, format, out))
        }
        DataType::Time32(_) => primitive::<Time32MillisecondType, _>(array, move |value, out| put(i64::from(value) * 1_000, format, out)),
        DataType::Time64(TimeUnit::Microsecond) => primitive::<Time64MicrosecondType, _>(array, move |value, out| put(value, format, out)),
        DataType::Time64(_) => primitive::<Time64NanosecondType, _>(array, move |value, out| put(value.div_euclid(1_000), format, out)),
        other => return Err(unsupported(other)),
    })
}

/// Timestamps in any unit, with a zone or without.
pub(super) fn timestamp<'a>(
    array: &'a dyn Array,
    unit: TimeUnit,
    zoned: bool,
    format: Format,
    style: &Style,
) -> Result<AnyCell<'a>, Report> {
    let zone = zoned.then_some(style.zone);
    let put = move |value: i64, to_micros: fn(i64) -> Option<i64>, out: &mut Vec<u8>| -> Result<(), Report> {
        let micros = match value {
            i64::MAX | i64::MIN => value,
            value => to_micros(value).ok_or_else(out_of_range)?,
        };
        if format == Format::Text {
            write_timestamp(micros, zone, b' ', out);
            return Ok(());
        }
        let shifted = match micros {
            i64::MAX | i64::MIN => micros,
            micros => micros.checked_sub(POSTGRES_EPOCH_MICROS).ok_or_else(out_of_range)?,
        };
        out.extend_from_slice(&shifted.to_be_bytes());
        Ok(())
    };
    Ok(match unit {
        TimeUnit::Second => primitive::<TimestampSecondType, _>(array, move |value, out| put(value, |v| v.checked_mul(1_000_000), out)),
        TimeUnit::Millisecond => {
            primitive::<TimestampMillisecondType, _>(array, move |value, out| put(value, |v| v.checked_mul(1_000), out))
        }
        TimeUnit::Microsecond => primitive::<TimestampMicrosecondType, _>(array, move |value, out| put(value, Some, out)),
        TimeUnit::Nanosecond => {
            primitive::<TimestampNanosecondType, _>(array, move |value, out| put(value, |v| Some(v.div_euclid(1_000)), out))
        }
    })
}

fn out_of_range() -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// A timestamp as text; of an instant (with a zone) the wall clock's reading and its offset.
pub(super) fn write_timestamp(micros: i64, zone: Option<Zone>, separator: u8, out: &mut Vec<u8>) {
    match micros {
        i64::MAX => return out.extend_from_slice(b"infinity"),
        i64::MIN => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let offset = zone.map(|zone| zone.offset_at(micros));
    let local = micros.saturating_add(i64::from(offset.unwrap_or(0)) * 1_000_000);
    let before_christ = write_civil(local.div_euclid(DAY_MICROS), out);
    out.push(separator);
    write_clock(local.rem_euclid(DAY_MICROS), out);
    if let Some(offset) = offset {
        write_offset(offset, separator == b'T', out);
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// `+00`, `+05:30`, `-00:25:21`; JSON's always has minutes.
fn write_offset(seconds: i32, minutes_too: bool, out: &mut Vec<u8>) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let seconds = seconds.unsigned_abs();
    two(seconds / 3_600, out);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if minutes != 0 || rest != 0 || minutes_too {
        out.push(b':');
        two(minutes, out);
    }
    if rest != 0 {
        out.push(b':');
        two(rest, out);
    }
}

/// `YYYY-MM-DD`; whether it is before Christ, in which case the year is counted backwards and `BC` is due.
fn write_civil(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil::from_days(days);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year } as u64;
    if year < 10_000 {
        two((year / 100) as u32, out);
        two((year % 100) as u32, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
    }
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
    before_christ
}

/// `HH:MM:SS[.ffffff]`, the fraction without trailing zeros.
pub(super) fn write_clock(micros: i64, out: &mut Vec<u8>) {
    let seconds = (micros / 1_000_000) as u32;
    two(seconds / 3_600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    write_fraction((micros % 1_000_000).unsigned_abs() as u32, out);
}

/// `.5` of 500000 microseconds, nothing of 0.
pub(super) fn write_fraction(micros: u32, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    out.push(b'.');
    two(micros / 10_000, out);
    two(micros / 100 % 100, out);
    two(micros % 100, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// Two digits.
pub(super) fn two(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}
