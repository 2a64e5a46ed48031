//! Columns of instants as the readings of a zone's wall clock, and back: what casts and assignments between `timestamptz` and `timestamp`,
//! `date` and `time` mean in a session's time zone. The infinities stay what they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType};

use super::zone::Zone;
use crate::civil::DAY_MICROS;
use crate::error::{Report, SqlState};

const READING: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

fn cast_to(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, Report> {
    cast(array, target).map_err(|error| Report::new(SqlState::CANNOT_COERCE, error.to_string()))
}

/// Microseconds, whatever the type says of a zone; a part of one counts downwards, which the engine's cast does not do before 1970.
fn micros(moments: &ArrayRef) -> Result<PrimitiveArray<TimestampMicrosecondType>, Report> {
    let floor = |nanos: i64| if matches!(nanos, i64::MAX | i64::MIN) { nanos } else { nanos.div_euclid(1_000) };
    match moments.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Ok(moments.as_primitive::<TimestampNanosecondType>().unary(floor)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Ok(moments.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<&str>))
        }
        _ => Ok(cast_to(moments, &READING)?.as_primitive::<TimestampMicrosecondType>().clone()),
    }
}

/// The wall clock's readings of instants, as timestamps, dates or times.
pub(crate) fn readings(instants: &ArrayRef, zone: Zone, target: &DataType) -> Result<ArrayRef, Report> {
    let micros = micros(instants)?;
    let reading = |micros: i64| match micros {
        i64::MAX | i64::MIN => micros,
        micros => micros.saturating_add(i64::from(zone.offset_at(micros)) * 1_000_000),
    };
    let readings: PrimitiveArray<TimestampMicrosecondType> = micros.unary(reading);
    if *target == DataType::Date32 {
        let day = |micros: i64| match micros {
            i64::MAX => i32::MAX,
            i64::MIN => i32::MIN,
            micros => i32::try_from(micros.div_euclid(DAY_MICROS)).unwrap_or(i32::MAX),
        };
        return Ok(Arc::new(readings.unary::<_, Date32Type>(day)));
    }
    cast_to(&(Arc::new(readings) as ArrayRef), target)
}

/// The instants at which the wall clock shows these timestamps or midnights; 22008 beyond a timestamp's range.
pub(crate) fn instants(readings: &ArrayRef, zone: Zone) -> Result<ArrayRef, Report> {
    let out_of_range = || Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    let midnight = |day: i32| match day {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        day => i64::from(day).checked_mul(DAY_MICROS).ok_or_else(out_of_range),
    };
    let micros: PrimitiveArray<TimestampMicrosecondType> = match readings.data_type() {
        DataType::Date32 => readings.as_primitive::<Date32Type>().try_unary(midnight)?,
        _ => self::micros(readings)?,
    };
    let instant = |micros: i64| match micros {
        i64::MAX | i64::MIN => Ok(micros),
        micros => zone.to_utc(micros).ok_or_else(out_of_range),
    };
    let instants: PrimitiveArray<TimestampMicrosecondType> = micros.try_unary(instant)?;
    Ok(Arc::new(instants.with_timezone("UTC")))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn midnights_and_infinities_in_tokyo() {
        let zone = Zone::parse("Asia/Tokyo").unwrap();
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), Some(i32::MAX), None]));
        let found = instants(&days, zone).unwrap();
        let wanted = TimestampMicrosecondArray::from(vec![Some(DAY_MICROS - 9 * 3_600_000_000), Some(i64::MAX), None]);
        assert_eq!(found.as_primitive::<TimestampMicrosecondType>(), &wanted.with_timezone("UTC"));
        assert_eq!(&readings(&found, zone, &DataType::Date32).unwrap(), &days);
    }
}
