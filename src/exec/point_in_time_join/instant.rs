//! Instants of any unit, compared exactly; windows in PostgreSQL's calendar.
//!
//! Entity times stay in the unit of their column and feature times in theirs. A feature time is carried over to the entity
//! side once, as the *first entity instant that sees it* ([`Carry::first_instant_at_or_after`], rounding up), so the hot path
//! compares `i64`s of one unit and one index serves views of every unit. Nothing overflows: what lies beyond the
//! entity unit's range is seen by no entity row or by all of them. Lower bounds of windows are calendar arithmetic
//! (months, then days, then time, as PostgreSQL's `timestamp - interval` in UTC) on `i128` nanoseconds.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;

use super::error::JoinError;
use crate::civil;

/// Nanoseconds of a day.
pub const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// What one step of a time column's `i64` is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unit {
    nanos: i128,
}

impl Unit {
    /// The unit of a time column: any timestamp (with or without zone: both are UTC instants), or a date (midnight UTC).
    pub fn of(data_type: &DataType) -> Option<Self> {
        let nanos = match data_type {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 1_000_000,
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
            DataType::Date32 => NANOS_PER_DAY,
            _ => return None,
        };
        Some(Self { nanos })
    }

    /// [`Self::of`], or the refusal that names the column.
    pub fn of_column(data_type: &DataType, column: &str) -> std::result::Result<Self, JoinError> {
        Self::of(data_type).ok_or_else(|| JoinError::NotATime { column: column.into(), data_type: data_type.clone() })
    }

    /// The instant in nanoseconds since 1970.
    pub fn nanos(self, value: i64) -> i128 {
        i128::from(value) * self.nanos
    }

    /// The last instant of this unit at or before `nanos`, held to the range of `i64`.
    pub fn floor(self, nanos: i128) -> i64 {
        nanos.div_euclid(self.nanos).clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// How instants of `self` are carried over to `entity`'s unit.
    pub fn towards(self, entity: Unit) -> Carry {
        if self.nanos == entity.nanos {
            Carry::Same
        } else if self.nanos > entity.nanos {
            Carry::Times((self.nanos / entity.nanos) as i64)
        } else {
            Carry::Per((entity.nanos / self.nanos) as i64)
        }
    }
}

/// The step from a feature time to the first entity instant that sees it. Units divide each other, so it is one multiplication
/// or one division.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// The units are the same.
    Same,
    /// The feature unit is coarser: multiply.
    Times(i64),
    /// The feature unit is finer: divide, rounding up.
    Per(i64),
}

impl Carry {
    /// The smallest entity instant `t` with `value <= t`; `None` if no entity instant is that late.
    #[inline]
    pub fn first_instant_at_or_after(self, value: i64) -> Option<i64> {
        match self {
            Self::Same => Some(value),
            Self::Times(factor) => match value.checked_mul(factor) {
                Some(instant) => Some(instant),
                None if value < 0 => Some(i64::MIN),
                None => None,
            },
            Self::Per(factor) => Some(value.div_euclid(factor) + i64::from(value.rem_euclid(factor) != 0)),
        }
    }
}

/// The values of a time column in its own [`Unit`].
#[derive(Debug, Clone)]
pub struct Instants {
    /// Steps since 1970.
    pub values: ScalarBuffer<i64>,
    /// Where there is a value.
    pub nulls: Option<NullBuffer>,
}

impl Instants {
    /// The instants of an array of a type that [`Unit::of`] knows.
    pub fn try_new(array: &ArrayRef) -> std::result::Result<Self, JoinError> {
        let values = match array.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => array.as_primitive::<TimestampNanosecondType>().values().clone(),
            DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().values().clone(),
            DataType::Timestamp(TimeUnit::Millisecond, _) => array.as_primitive::<TimestampMillisecondType>().values().clone(),
            DataType::Timestamp(TimeUnit::Second, _) => array.as_primitive::<TimestampSecondType>().values().clone(),
            DataType::Date64 => array.as_primitive::<Date64Type>().values().clone(),
            DataType::Date32 => array.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect(),
            other => return Err(JoinError::NotATime { column: "time".into(), data_type: other.clone() }),
        };
        Ok(Self { values, nulls: array.nulls().cloned() })
    }

    /// Whether row `row` has no instant.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The instant of row `row`.
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        if self.is_null(row) { None } else { self.values.get(row).copied() }
    }
}

/// Whether an entity time stands for PostgreSQL's `infinity` or `-infinity`: the ends of its range.
pub fn is_infinite(value: i64, unit: Unit) -> bool {
    let (lowest, highest) = if unit.nanos == NANOS_PER_DAY { (i64::from(i32::MIN), i64::from(i32::MAX)) } else { (i64::MIN, i64::MAX) };
    value == lowest || value == highest
}

/// The lower end of the window of an entity row at `nanos`: `t - interval`, as PostgreSQL subtracts in UTC.
pub fn window_start(nanos: i128, interval: IntervalMonthDayNano) -> i128 {
    let (mut days, time) = (nanos.div_euclid(NANOS_PER_DAY), nanos.rem_euclid(NANOS_PER_DAY));
    if interval.months != 0 {
        // Seconds of an `i64`, the widest unit, are 10^14 days.
        let (year, month, day) = civil::from_days(days as i64);
        let months = year * 12 + i64::from(month - 1) - i64::from(interval.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        days = i128::from(civil::to_days(year, month, day.min(civil::days_in_month(year, month))));
    }
    (days - i128::from(interval.days)) * NANOS_PER_DAY + time - i128::from(interval.nanoseconds)
}

/// Whether an interval is longer than nothing, with PostgreSQL's months of 30 days and days of 24 hours.
pub fn is_positive(interval: IntervalMonthDayNano) -> bool {
    (i128::from(interval.months) * 30 + i128::from(interval.days)) * NANOS_PER_DAY + i128::from(interval.nanoseconds) > 0
}

/// The interval in PostgreSQL's words, for EXPLAIN.
pub fn interval_words(interval: IntervalMonthDayNano) -> String {
    let mut words = Vec::new();
    let mut say = |count: i64, one: &str| match count {
        0 => {}
        1 => words.push(format!("1 {one}")),
        _ => words.push(format!("{count} {one}s")),
    };
    say(i64::from(interval.months / 12), "year");
    say(i64::from(interval.months % 12), "mon");
    say(i64::from(interval.days), "day");
    let nanos = interval.nanoseconds;
    if nanos != 0 {
        let (sign, rest) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
        let (seconds, fraction) = (rest / 1_000_000_000, rest % 1_000_000_000);
        let mut clock = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if fraction != 0 {
            clock.push_str(format!(".{fraction:09}").trim_end_matches('0'));
        }
        words.push(clock);
    }
    words.join(" ")
}

/// A literal of a time column's type at `value` of its unit.
pub fn time_literal(data_type: &DataType, value: i64) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => ScalarValue::TimestampNanosecond(Some(value), zone.clone()),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => ScalarValue::TimestampMicrosecond(Some(value), zone.clone()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => ScalarValue::TimestampMillisecond(Some(value), zone.clone()),
        DataType::Timestamp(TimeUnit::Second, zone) => ScalarValue::TimestampSecond(Some(value), zone.clone()),
        DataType::Date64 => ScalarValue::Date64(Some(value)),
        DataType::Date32 => ScalarValue::Date32(Some(value.clamp(i32::MIN.into(), i32::MAX.into()) as i32)),
        _ => return None,
    })
}

/// The one instant of a constant entity time: its unit and value, `None` if it is NULL.
pub fn constant_instant(value: &ScalarValue) -> Result<(Unit, Option<i64>)> {
    let data_type = value.data_type();
    if data_type == DataType::Null {
        return Ok((Unit { nanos: 1 }, None));
    }
    let unit = Unit::of_column(&data_type, "as_of")?;
    Ok((unit, Instants::try_new(&value.to_array()?)?.get(0)))
}

#[cfg(test)]
#[path = "tests/instant.rs"]
mod tests;
