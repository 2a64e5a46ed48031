//! Arithmetic as PostgreSQL does it, where the engine's differs: integers that overflow are an error, not another number; a
//! timestamp less a timestamp has days; an interval can be multiplied. Products and quotients of numerics: [`super::numeric_arithmetic`];
//! moments and intervals: [`moment_and_interval`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::kernels::numeric::{add, div, mul, sub};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility, cast,
};

use super::numeric_arithmetic;
use crate::catalog::moment_and_interval;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// The function of a sum of integers. A chain of them is one call, since a nested one is planned in the cube of its depth.
const INTEGER_SUM: &str = "int_pl";
const DAY_NANOS: f64 = 86_400_000_000_000.0;

/// The operation as an expression of ours, if PostgreSQL's differs from the engine's.
pub(super) fn plan(
    op: Operator,
    left: &Expr,
    right: &Expr,
    left_type: &DataType,
    right_type: &DataType,
    zone: &str,
) -> Result<Option<Expr>> {
    use DataType::{Date32, Timestamp};
    let call =
        |operation: Operation, left: Expr, right: Expr| Some(ScalarUDF::new_from_impl(Arithmetic::new(operation)).call(vec![left, right]));
    let micros = |expression: &Expr| cast(expression.clone(), Timestamp(TimeUnit::Microsecond, None));
    let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
    Ok(match (op, left_type, right_type) {
        (Operator::Plus | Operator::Minus, of @ (Date32 | Timestamp(..)), interval) if is_interval(interval) => {
            Some(moment_and_interval(left.clone(), of, right.clone(), op == Operator::Minus, zone))
        }
        (Operator::Plus, interval, of @ (Date32 | Timestamp(..))) if is_interval(interval) => {
            Some(moment_and_interval(right.clone(), of, left.clone(), false, zone))
        }
        // A number of days, which is an integer.
        (Operator::Minus, Date32, Date32) => {
            let days = |expression: &Expr| cast(expression.clone(), DataType::Int32);
            call(Operation::Days, days(left), days(right))
        }
        (Operator::Minus, Timestamp(..), Timestamp(..) | Date32) | (Operator::Minus, Date32, Timestamp(..)) => {
            let instants = [left_type, right_type].iter().any(|of| matches!(of, Timestamp(_, Some(_))));
            let utc = |expression: &Expr, data_type: &DataType| match data_type {
                Timestamp(_, Some(_)) => cast(expression.clone(), Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
                // Beside an instant it is one too: when the session's clock shows it.
                _ if instants && zone != "UTC" => {
                    let here = cast(expression.clone(), Timestamp(TimeUnit::Microsecond, Some(zone.into())));
                    cast(here, Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
                }
                _ => micros(expression),
            };
            call(Operation::Elapsed, utc(left, left_type), utc(right, right_type))
        }
        (Operator::Multiply, interval, number) if is_interval(interval) && number.is_numeric() => {
            call(Operation::IntervalTimes, cast(left.clone(), INTERVAL), cast(right.clone(), DataType::Float64))
        }
        (Operator::Multiply, number, interval) if is_interval(interval) && number.is_numeric() => {
            call(Operation::IntervalTimes, cast(right.clone(), INTERVAL), cast(left.clone(), DataType::Float64))
        }
        (Operator::Divide, interval, number) if is_interval(interval) && number.is_numeric() => {
            call(Operation::IntervalThrough, cast(left.clone(), INTERVAL), cast(right.clone(), DataType::Float64))
        }
        (Operator::Divide, left_type, right_type)
            if (left_type.is_floating() && right_type.is_numeric()) || (left_type.is_numeric() && right_type.is_floating()) =>
        {
            let wide = if matches!((left_type, right_type), (DataType::Float32, DataType::Float32)) {
                DataType::Float32
            } else {
                DataType::Float64
            };
            call(Operation::FloatThrough, cast(left.clone(), wide.clone()), cast(right.clone(), wide))
        }
        (Operator::Multiply | Operator::Divide, left_type, right_type) if numeric_arithmetic::applies(op, left_type, right_type) => {
            Some(numeric_arithmetic::call(op, left.clone(), right.clone()))
        }
        (Operator::Plus | Operator::Minus | Operator::Multiply, left_type, right_type)
            if left_type.is_signed_integer() && right_type.is_signed_integer() =>
        {
            let wide = BinaryTypeCoercer::new(left_type, &op, right_type).get_result_type()?;
            let operation = match op {
                Operator::Plus => Operation::Plus,
                Operator::Minus => Operation::Minus,
                _ => Operation::Times,
            };
            let widened =
                |expression: &Expr, own: &DataType| if *own == wide { expression.clone() } else { cast(expression.clone(), wide.clone()) };
            match left {
                // Of one type all along: what overflows on the way does so in one call, too.
                Expr::ScalarFunction(chain) if op == Operator::Plus && chain.func.name() == INTEGER_SUM && *left_type == wide => {
                    let mut chain = chain.clone();
                    chain.args.push(widened(right, right_type));
                    Some(Expr::ScalarFunction(chain))
                }
                _ => call(operation, widened(left, left_type), widened(right, right_type)),
            }
        }
        _ => None,
    })
}

/// What is done with two arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Plus,
    Minus,
    Times,
    /// Between two dates.
    Days,
    Elapsed,
    IntervalTimes,
    IntervalThrough,
    FloatThrough,
}

impl Operation {
    /// The operator whose types are this call's.
    fn op(self) -> Operator {
        match self {
            Operation::Minus | Operation::Days => Operator::Minus,
            Operation::Times => Operator::Multiply,
            _ => Operator::Plus,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

impl Arithmetic {
    fn new(operation: Operation) -> Self {
        let arguments = if operation == Operation::Plus { TypeSignature::VariadicAny } else { TypeSignature::Any(2) };
        Self { operation, signature: Signature::new(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Plus => INTEGER_SUM,
            Operation::Minus => "int_mi",
            Operation::Times => "int_mul",
            Operation::Days => "date_mi",
            Operation::Elapsed => "timestamp_mi",
            Operation::IntervalTimes => "interval_mul",
            Operation::IntervalThrough => "interval_div",
            Operation::FloatThrough => "float8div",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.operation {
            Operation::Plus | Operation::Minus | Operation::Times | Operation::Days => {
                let [first, rest @ ..] = arguments else { return Err(two_values()) };
                let wider = |left: DataType, right| BinaryTypeCoercer::new(&left, &self.operation.op(), right).get_result_type();
                rest.iter().try_fold(first.clone(), wider)?
            }
            Operation::FloatThrough => arguments.first().cloned().unwrap_or(DataType::Float64),
            Operation::Elapsed | Operation::IntervalTimes | Operation::IntervalThrough => INTERVAL,
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right, rest @ ..] = arguments.args.as_slice() else { return Err(two_values()) };
        let constant = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        if self.operation == Operation::Days {
            [left, right].into_iter().try_for_each(|days| finite(days, arguments.number_rows))?;
        }
        let kernel = match self.operation {
            Operation::Plus => add,
            Operation::Minus | Operation::Days => sub,
            Operation::Times => mul,
            Operation::FloatThrough => {
                let rows = if constant { 1 } else { arguments.number_rows };
                let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
                if divides_by_zero(&left, &right) {
                    let report = Report::new(SqlState::DIVISION_BY_ZERO, "division by zero");
                    return Err(DataFusionError::External(Box::new(report)));
                }
                return answer(div(&left, &right)?, constant);
            }
            operation => {
                let rows = if constant { 1 } else { arguments.number_rows };
                let array = of_times(operation, &left.to_array(rows)?, &right.to_array(rows)?)
                    .map_err(|report| DataFusionError::External(Box::new(report)))?;
                return answer(array, constant);
            }
        };
        let pair = |left: ColumnarValue, right: &ColumnarValue| {
            // The columns of a UNION and the results of a CASE may have got wider types since the call was planned.
            let (left_type, right_type) = (left.data_type(), right.data_type());
            let (wide_left, wide_right) = BinaryTypeCoercer::new(&left_type, &self.operation.op(), &right_type).get_input_types()?;
            let (left, right) = (left.cast_to(&wide_left, None)?, right.cast_to(&wide_right, None)?);
            datafusion::physical_expr_common::datum::apply(&left, &right, kernel).map_err(|error| overflow(error, &wide_left))
        };
        std::iter::once(right).chain(rest).try_fold(left.clone(), pair)
    }
}

/// The least and the largest date are infinitely far away.
fn finite(days: &ColumnarValue, rows: usize) -> Result<()> {
    let rows = if matches!(days, ColumnarValue::Scalar(_)) { 1 } else { rows };
    let days = days.to_array(rows)?;
    if days.as_primitive::<Int32Type>().iter().flatten().any(|day| day == i32::MAX || day == i32::MIN) {
        let report = Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates");
        return Err(DataFusionError::External(Box::new(report)));
    }
    Ok(())
}

fn two_values() -> DataFusionError {
    DataFusionError::Internal("arithmetic takes two values".into())
}

fn answer(array: ArrayRef, constant: bool) -> Result<ColumnarValue> {
    Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?) } else { ColumnarValue::Array(array) })
}

/// A double divided by zero is an error too, unless it is no number.
fn divides_by_zero(left: &ArrayRef, right: &ArrayRef) -> bool {
    fn any<T: ArrowPrimitiveType<Native: Into<f64>>>(left: &ArrayRef, right: &ArrayRef) -> bool {
        let pairs = left.as_primitive::<T>().iter().zip(right.as_primitive::<T>().iter());
        pairs.into_iter().any(|pair| matches!(pair, (Some(dividend), Some(divisor)) if divisor.into() == 0.0 && !dividend.into().is_nan()))
    }
    if *left.data_type() == DataType::Float32 { any::<Float32Type>(left, right) } else { any::<Float64Type>(left, right) }
}

fn overflow(error: DataFusionError, data_type: &DataType) -> DataFusionError {
    let overflown = matches!(&error, DataFusionError::ArrowError(error, _) if matches!(**error, ArrowError::ArithmeticOverflow(_)));
    if !overflown {
        return error;
    }
    let message = format!("{} out of range", PgType::of_data_type(data_type));
    DataFusionError::External(Box::new(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)))
}

fn interval_out_of_range() -> Report {
    Report::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

fn of_times(operation: Operation, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef, Report> {
    let mut answers: Vec<Option<IntervalMonthDayNano>> = Vec::with_capacity(left.len());
    let missing = |row: usize| left.is_null(row) || right.is_null(row);
    if operation == Operation::Elapsed {
        let (left, right) = (left.as_primitive::<TimestampMicrosecondType>(), right.as_primitive::<TimestampMicrosecondType>());
        for row in 0..left.len() {
            answers.push(if missing(row) { None } else { Some(elapsed(left.value(row), right.value(row))?) });
        }
    } else {
        let (left, right) = (left.as_primitive::<IntervalMonthDayNanoType>(), right.as_primitive::<Float64Type>());
        for row in 0..left.len() {
            answers.push(if missing(row) { None } else { Some(scaled(operation, left.value(row), right.value(row))?) });
        }
    }
    Ok(Arc::new(answers.into_iter().collect::<IntervalMonthDayNanoArray>()))
}

/// Whole days and the rest, both of one sign.
fn elapsed(left: i64, right: i64) -> Result<IntervalMonthDayNano, Report> {
    const DAY: i64 = 86_400_000_000;
    let micros = left
        .checked_sub(right)
        .filter(|_| left != i64::MAX && left != i64::MIN && right != i64::MAX && right != i64::MIN)
        .ok_or_else(interval_out_of_range)?;
    let days = i32::try_from(micros / DAY).map_err(|_| interval_out_of_range())?;
    Ok(IntervalMonthDayNano { months: 0, days, nanoseconds: micros % DAY * 1_000 })
}

/// A fraction of a month passes on as days of thirty, a fraction of a day as time.
fn scaled(operation: Operation, interval: IntervalMonthDayNano, factor: f64) -> Result<IntervalMonthDayNano, Report> {
    let factor = match operation {
        Operation::IntervalThrough if factor == 0.0 => return Err(Report::new(SqlState::DIVISION_BY_ZERO, "division by zero")),
        Operation::IntervalThrough => 1.0 / factor,
        _ => factor,
    };
    let months = f64::from(interval.months) * factor;
    let days = f64::from(interval.days) * factor + months.fract() * 30.0;
    let nanos = interval.nanoseconds as f64 * factor + days.fract() * DAY_NANOS;
    // To the microsecond, which is as fine as PostgreSQL's.
    let nanos = (nanos / 1_000.0).round_ties_even() * 1_000.0;
    let fits = |value: f64| value.is_finite() && value.abs() < f64::from(i32::MAX);
    if !fits(months) || !fits(days) || !nanos.is_finite() || nanos.abs() >= 9.2e18 {
        return Err(interval_out_of_range());
    }
    Ok(IntervalMonthDayNano { months: months.trunc() as i32, days: days.trunc() as i32, nanoseconds: nanos as i64 })
}
