//! The order of intervals: a month is thirty days and a day twenty-four hours, so that `1 mon` equals `30 days` and comes before `31 days`.
//! The engine compares months first, then days, then the rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::logical_expr::Expr;

use crate::catalog::Builtin;
use crate::error::Report;

/// The longest interval in nanoseconds has fewer digits.
const ANSWER: DataType = DataType::Decimal128(38, 0);
const DAY_NANOS: i128 = 86_400_000_000_000;

/// Whether values of the type are compared by [`order`].
pub(super) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(IntervalUnit::MonthDayNano))
}

/// The place of an interval among all, as a number.
pub(super) fn order(interval: Expr) -> Expr {
    Builtin::function("interval_order", of_an_interval, places).call(vec![interval])
}

fn nanos(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * DAY_NANOS + i128::from(interval.nanoseconds)
}

fn of_an_interval(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    matches!(arguments, [of] if is_interval(of)).then(|| (arguments.to_vec(), ANSWER))
}

fn places(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let intervals = arguments.iter().flat_map(|intervals| intervals.as_primitive::<IntervalMonthDayNanoType>());
    let places: Decimal128Array = intervals.map(|interval| interval.map(nanos)).collect();
    Ok(Arc::new(places.with_data_type(ANSWER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_thirty_days() {
        let interval = |months, days, nanoseconds| nanos(IntervalMonthDayNano { months, days, nanoseconds });
        assert_eq!(interval(1, 0, 0), interval(0, 30, 0));
        assert_eq!(interval(0, 1, 0), interval(0, 0, 86_400_000_000_000));
        assert!(interval(0, 40, 0) > interval(1, 0, 0));
        assert!(interval(-1, 0, 0) < interval(0, 0, 0));
    }
}
