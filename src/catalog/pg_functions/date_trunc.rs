//! `date_trunc('month', x)` of timestamps, of instants by the clock of their type's zone, and of intervals.
//!
//! The engine's own counts nanoseconds on the way, and fails beyond the year 2262. This one tells the optimizer which moments it makes one of,
//! so that `date_trunc('month', t) = '2025-03-01'` prunes files as `t >= '2025-03-01' AND t < '2025-04-01'` does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result as EngineResult, ScalarValue};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::civil::{self, DAY_MICROS};
use crate::error::{Report, SqlState};
use crate::pg_format::zone::Zone;

pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(DateTrunc { signature: Signature::user_defined(Volatility::Immutable) }))
}

const NAME: &str = "date_trunc";
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// Monday, 1970-01-05, counted from 1970-01-01.
const FIRST_MONDAY: i64 = 4;

/// What is cut to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// So many microseconds, up to an hour.
    Micros(i64),
    Day,
    Week,
    /// So many months: a divisor of a year.
    Months(i64),
    /// So many years, from the first (1, 11, 101) or the zeroth (1990).
    Years {
        count: i64,
        from: i64,
    },
}

impl Unit {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "microsecond" | "microseconds" | "us" | "usec" | "usecs" => Self::Micros(1),
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => Self::Micros(1_000),
            "second" | "seconds" | "s" | "sec" | "secs" => Self::Micros(1_000_000),
            "minute" | "minutes" | "m" | "min" | "mins" => Self::Micros(60_000_000),
            "hour" | "hours" | "h" | "hr" | "hrs" => Self::Micros(3_600_000_000),
            "day" | "days" | "d" => Self::Day,
            "week" | "weeks" | "w" => Self::Week,
            "month" | "months" | "mon" | "mons" => Self::Months(1),
            "quarter" | "qtr" => Self::Months(3),
            "year" | "years" | "y" | "yr" | "yrs" => Self::Months(12),
            "decade" | "decades" | "dec" | "decs" => Self::Years { count: 10, from: 0 },
            "century" | "centuries" | "c" | "cent" => Self::Years { count: 100, from: 1 },
            "millennium" | "millennia" | "mil" | "mils" => Self::Years { count: 1_000, from: 1 },
            _ => return None,
        })
    }

    /// The last beginning of such a unit that is not later, and the next, in microseconds.
    fn around(self, micros: i64) -> Option<(i64, i64)> {
        let days = micros.div_euclid(DAY_MICROS);
        let midnights = |from: i64, to: i64| Some((from.checked_mul(DAY_MICROS)?, to.checked_mul(DAY_MICROS)?));
        match self {
            Self::Micros(length) => {
                let start = micros.checked_sub(micros.rem_euclid(length))?;
                Some((start, start.checked_add(length)?))
            }
            Self::Day => midnights(days, days + 1),
            Self::Week => {
                let monday = days - (days - FIRST_MONDAY).rem_euclid(7);
                midnights(monday, monday + 7)
            }
            Self::Months(length) => {
                let (year, month, _) = civil::from_days(days);
                let first = (i64::from(month) - 1) / length * length;
                let start = civil::to_days(year, first as u32 + 1, 1);
                let next = first + length;
                midnights(start, civil::to_days(year + next / 12, (next % 12) as u32 + 1, 1))
            }
            Self::Years { count, from } => {
                let (year, _, _) = civil::from_days(days);
                let start = (year - from).div_euclid(count) * count + from;
                midnights(civil::to_days(start, 1, 1), civil::to_days(start + count, 1, 1))
            }
        }
    }

    /// The interval without what is smaller.
    fn of_interval(self, interval: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
        let IntervalMonthDayNano { months, days, nanoseconds } = interval;
        Some(match self {
            Self::Micros(length) => {
                let nanos = length * 1_000;
                IntervalMonthDayNano::new(months, days, nanoseconds / nanos * nanos)
            }
            Self::Day => IntervalMonthDayNano::new(months, days, 0),
            Self::Week => return None,
            Self::Months(length) => {
                let length = length as i32;
                IntervalMonthDayNano::new(months / length * length, 0, 0)
            }
            Self::Years { count, .. } => {
                let length = count as i32 * 12;
                IntervalMonthDayNano::new(months / length * length, 0, 0)
            }
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    signature: Signature,
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> EngineResult<Vec<DataType>> {
        let (unit, source, zone) = match arguments {
            [unit, source] => (unit, source, None),
            // In a zone of its own it takes instants only.
            [unit, DataType::Timestamp(_, None), zone] => (unit, &DataType::Null, Some(zone)),
            [unit, source, zone] => (unit, source, Some(zone)),
            _ => return Err(super::unknown(NAME, arguments)),
        };
        let is_text = |of: &DataType| matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null);
        let source = match source {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            // PostgreSQL prefers the instant to the timestamp.
            DataType::Date32 | DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Interval(_) | DataType::Duration(_) | DataType::Time64(_) | DataType::Time32(_) => INTERVAL,
            _ => return Err(super::unknown(NAME, arguments)),
        };
        if !is_text(unit) || !zone.is_none_or(is_text) {
            return Err(super::unknown(NAME, arguments));
        }
        Ok([DataType::Utf8, source].into_iter().chain(zone.map(|_| DataType::Utf8)).collect())
    }

    fn return_type(&self, arguments: &[DataType]) -> EngineResult<DataType> {
        self.coerce_types(arguments).map(|mut types| types.swap_remove(1))
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        super::answer(&call, |arguments, _| truncated(arguments))
    }

    fn preimage(&self, arguments: &[Expr], answer: &Expr, context: &SimplifyContext) -> EngineResult<PreimageResult> {
        let [unit, source] = arguments else { return Ok(PreimageResult::None) };
        let unit = unit.as_literal().and_then(|unit| unit.try_as_str().flatten()).and_then(Unit::parse);
        let (Some(unit), Some(ScalarValue::TimestampMicrosecond(Some(micros), zone))) = (unit, answer.as_literal()) else {
            return Ok(PreimageResult::None);
        };
        // A clock that is put back shows some hours twice.
        let is_universal = zone.as_ref().is_none_or(|zone| Zone::parse(zone) == Some(Zone::UTC));
        let own = context.get_data_type(source)?;
        let same = matches!(&own, DataType::Timestamp(TimeUnit::Microsecond, own) if own.is_some() == zone.is_some());
        match unit.around(*micros) {
            Some((start, next)) if start == *micros && is_universal && same => {
                let DataType::Timestamp(_, own) = own else { return Ok(PreimageResult::None) };
                let moment = |micros| ScalarValue::TimestampMicrosecond(Some(micros), own.clone());
                let interval = Box::new(Interval::try_new(moment(start), moment(next))?);
                Ok(PreimageResult::Range { expr: source.clone(), interval })
            }
            _ => Ok(PreimageResult::None),
        }
    }
}

fn truncated(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [units, source, zones @ ..] = arguments else {
        return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "date_trunc takes a unit and a moment"));
    };
    let units = units.as_string::<i32>();
    let name = crate::pg_type::PgType::of_data_type(source.data_type());
    let mut known: Option<(&str, Unit)> = None;
    let mut unit = |row: usize| -> Result<Option<(&str, Unit)>, Report> {
        if units.is_null(row) {
            return Ok(None);
        }
        let text = units.value(row);
        if known.is_none_or(|(last, _)| last != text) {
            let unknown = || {
                let message = format!("unit \"{}\" not recognized for type {name}", text.trim().to_ascii_lowercase());
                Report::new(SqlState::INVALID_PARAMETER_VALUE, message)
            };
            known = Some((text, Unit::parse(text).ok_or_else(unknown)?));
        }
        Ok(known)
    };
    if let Some(intervals) = source.as_primitive_opt::<IntervalMonthDayNanoType>() {
        let mut answers = Vec::with_capacity(intervals.len());
        for (row, interval) in intervals.iter().enumerate() {
            answers.push(match (unit(row)?, interval) {
                (Some((text, unit)), Some(interval)) => Some(unit.of_interval(interval).ok_or_else(|| {
                    let message = format!("unit \"{text}\" not supported for type interval");
                    Report::new(SqlState::FEATURE_NOT_SUPPORTED, message).detail("Months usually have fractional weeks.")
                })?),
                _ => None,
            });
        }
        return Ok(Arc::new(PrimitiveArray::<IntervalMonthDayNanoType>::from(answers)));
    }
    let own = match source.data_type() {
        DataType::Timestamp(_, Some(zone)) => Zone::parse(zone).unwrap_or(Zone::UTC),
        _ => Zone::UTC,
    };
    let zones = zones.first().map(|zones| zones.as_string::<i32>());
    let zone = |row: usize| -> Result<Option<Zone>, Report> {
        let Some(zones) = zones else { return Ok(Some(own)) };
        if zones.is_null(row) {
            return Ok(None);
        }
        let unknown = || Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("time zone \"{}\" not recognized", zones.value(row)));
        Zone::parse(zones.value(row)).map(Some).ok_or_else(unknown)
    };
    let out_of_range = || Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    let moments = source.as_primitive::<TimestampMicrosecondType>();
    let mut answers = Vec::with_capacity(moments.len());
    for (row, micros) in moments.iter().enumerate() {
        answers.push(match (unit(row)?, micros, zone(row)?) {
            (Some(_), Some(infinite @ (i64::MAX | i64::MIN)), Some(_)) => Some(infinite),
            (Some((_, unit)), Some(micros), Some(zone)) => Some(start(unit, micros, zone).ok_or_else(out_of_range)?),
            _ => None,
        });
    }
    Ok(Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(answers).with_data_type(source.data_type().clone())))
}

/// The unit's beginning on the zone's clock. Within a day the clock is taken to go on as it does at the instant.
fn start(unit: Unit, micros: i64, zone: Zone) -> Option<i64> {
    if zone == Zone::UTC {
        return unit.around(micros).map(|(start, _)| start);
    }
    let offset = i64::from(zone.offset_at(micros)) * 1_000_000;
    let (start, _) = unit.around(micros.checked_add(offset)?)?;
    if matches!(unit, Unit::Micros(_)) { start.checked_sub(offset) } else { zone.to_utc(start) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_begin_where_they_do() {
        let day = |year, month, day| civil::to_days(year, month, day) * DAY_MICROS;
        let noon = day(2025, 3, 15) + DAY_MICROS / 2;
        for (name, start, next) in [
            ("day", day(2025, 3, 15), day(2025, 3, 16)),
            ("week", day(2025, 3, 10), day(2025, 3, 17)),
            ("month", day(2025, 3, 1), day(2025, 4, 1)),
            ("quarter", day(2025, 1, 1), day(2025, 4, 1)),
            ("year", day(2025, 1, 1), day(2026, 1, 1)),
            ("decade", day(2020, 1, 1), day(2030, 1, 1)),
            ("century", day(2001, 1, 1), day(2101, 1, 1)),
            ("millennium", day(2001, 1, 1), day(3001, 1, 1)),
            ("hour", noon, noon + 3_600_000_000),
        ] {
            assert_eq!(Unit::parse(name).unwrap().around(noon), Some((start, next)), "{name}");
        }
        assert_eq!(Unit::Months(12).around(-1), Some((day(1969, 1, 1), day(1970, 1, 1))));
        assert_eq!(Unit::Week.around(i64::MAX), None);
    }
}
