//! A moment and an interval: months first (of a shorter month the last day), then days, then time.
//!
//! Months and days of an instant are those of the session's clock, whatever zone its column was stored with; a reading that the clock skips
//! counts as if it had not been put forward. The engine fails there, and so one such row would fail a query. The infinities stay.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion::common::Result as EngineResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast};

use crate::civil::{self, DAY_MICROS};
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;

/// `moment + interval`, or less it.
pub fn moment_and_interval(moment: Expr, of: &DataType, interval: Expr, less: bool, zone: &str) -> Expr {
    let zone_of_type = match of {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let zone = if zone_of_type.is_some() { zone } else { "UTC" };
    let moment = cast(moment, DataType::Timestamp(TimeUnit::Microsecond, zone_of_type));
    let interval = cast(interval, DataType::Interval(IntervalUnit::MonthDayNano));
    let function = Later { less, zone: zone.to_owned(), signature: Signature::any(2, Volatility::Immutable) };
    ScalarUDF::new_from_impl(function).call(vec![moment, interval])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Later {
    less: bool,
    zone: String,
    signature: Signature,
}

impl ScalarUDFImpl for Later {
    fn name(&self) -> &str {
        if self.less { "timestamp_mi_interval" } else { "timestamp_pl_interval" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> EngineResult<DataType> {
        arguments.first().cloned().ok_or_else(|| DataFusionError::Internal("a moment and an interval are needed".into()))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        super::answer(&call, |arguments, _| self.later(arguments))
    }
}

impl Later {
    fn later(&self, arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
        let [moments, intervals] = arguments else {
            return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "a moment and an interval are needed"));
        };
        let zone = Zone::parse(&self.zone).unwrap_or(Zone::UTC);
        let (micros, intervals) =
            (moments.as_primitive::<TimestampMicrosecondType>(), intervals.as_primitive::<IntervalMonthDayNanoType>());
        let mut answers = Vec::with_capacity(micros.len());
        for (micros, interval) in micros.iter().zip(intervals.iter()) {
            answers.push(match (micros, interval) {
                (Some(infinite @ (i64::MAX | i64::MIN)), Some(_)) => Some(infinite),
                (Some(micros), Some(interval)) => Some(after(micros, interval, self.less, zone).ok_or_else(out_of_range)?),
                _ => None,
            });
        }
        Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(answers).with_data_type(moments.data_type().clone())))
    }
}

fn out_of_range() -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

fn after(micros: i64, interval: IntervalMonthDayNano, less: bool, zone: Zone) -> Option<i64> {
    let sign = if less { -1 } else { 1 };
    let (months, days) = (i64::from(interval.months) * sign, i64::from(interval.days) * sign);
    let mut moment = micros;
    if months != 0 || days != 0 {
        let local = moment.checked_add(i64::from(zone.offset_at(moment)) * 1_000_000)?;
        let (mut day, time) = (local.div_euclid(DAY_MICROS), local.rem_euclid(DAY_MICROS));
        if months != 0 {
            let (year, month, day_of_month) = civil::from_days(day);
            let months = year * 12 + i64::from(month) - 1 + months;
            let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
            day = civil::to_days(year, month, day_of_month.min(civil::days_in_month(year, month)));
        }
        moment = zone.to_utc(day.checked_add(days)?.checked_mul(DAY_MICROS)?.checked_add(time)?)?;
    }
    moment.checked_add((interval.nanoseconds / 1_000).checked_mul(sign)?).filter(|moment| !matches!(*moment, i64::MAX | i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_days_and_skipped_hours() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let at =
            |year, month, day, hour: i64, minute: i64| civil::to_days(year, month, day) * DAY_MICROS + (hour * 60 + minute) * 60_000_000;
        let interval = IntervalMonthDayNano::new;
        // 02:30 is skipped on the 31st of March 2024.
        assert_eq!(after(at(2024, 3, 30, 1, 30), interval(0, 1, 0), false, berlin), Some(at(2024, 3, 31, 1, 30)));
        assert_eq!(after(at(2024, 1, 31, 0, 0), interval(1, 0, 0), false, Zone::UTC), Some(at(2024, 2, 29, 0, 0)));
        assert_eq!(after(at(2024, 3, 31, 0, 0), interval(1, 0, 0), true, Zone::UTC), Some(at(2024, 2, 29, 0, 0)));
        assert_eq!(after(at(2024, 1, 1, 0, 0), interval(0, 0, 60_000_000_000), true, Zone::UTC), Some(at(2023, 12, 31, 23, 59)));
        assert_eq!(after(i64::MAX - 1, interval(0, 1, 0), false, Zone::UTC), None);
    }
}
