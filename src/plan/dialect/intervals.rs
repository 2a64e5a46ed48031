//! The order of intervals: a month is thirty days and a day twenty-four hours, so that `1 mon` equals `30 days` and comes before `31 days`.
//! The engine compares months first, then days, then the rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Digits of the longest interval in nanoseconds.
const PRECISION: u8 = 38;
const DAY_NANOS: i128 = 86_400_000_000_000;

/// Whether values of the type are compared by [`order`].
pub(super) fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(IntervalUnit::MonthDayNano))
}

/// The place of an interval among all, as a number.
pub(super) fn order(interval: Expr) -> Expr {
    ScalarUDF::new_from_impl(Order { signature: Signature::any(1, Volatility::Immutable) }).call(vec![interval])
}

fn nanos(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * DAY_NANOS + i128::from(interval.nanoseconds)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Order {
    signature: Signature,
}

impl ScalarUDFImpl for Order {
    fn name(&self) -> &str {
        "interval_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(PRECISION, 0))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let Some(intervals) = arrays.first() else { return datafusion::common::exec_err!("an order is one of an interval") };
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let places: Decimal128Array = intervals.iter().map(|interval| interval.map(nanos)).collect();
        let places: ArrayRef = Arc::new(places.with_precision_and_scale(PRECISION, 0)?);
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&places, 0)?) } else { ColumnarValue::Array(places) })
    }
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
