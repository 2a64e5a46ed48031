//! Logarithms, roots and powers, which PostgreSQL refuses where they are no number or too large, and the engine answers with
//! NaN or an infinity.
//!
//! All are of doubles; what is no number or infinite already passes through.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::error::{Report, SqlState};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Builtin::function("ln", of_doubles::<1>, |arguments| each(arguments, |x| logarithm(x, f64::ln))),
        Builtin::function("log10", of_doubles::<1>, |arguments| each(arguments, |x| logarithm(x, f64::log10))),
        Builtin::function("log", log_types, log),
        Builtin::function("sqrt", of_doubles::<1>, |arguments| each(arguments, root)),
        Builtin::function("exp", of_doubles::<1>, |arguments| each(arguments, |x| in_range(x.exp(), x.is_infinite()))),
        Builtin::function("acos", of_doubles::<1>, |arguments| each(arguments, |x| angle(x, f64::acos))),
        Builtin::function("asin", of_doubles::<1>, |arguments| each(arguments, |x| angle(x, f64::asin))),
    ]
}

fn of_doubles<const COUNT: usize>(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let numbers = arguments.iter().all(|argument| argument.is_numeric() || *argument == DataType::Null);
    (numbers && arguments.len() == COUNT).then(|| (vec![DataType::Float64; COUNT], DataType::Float64))
}

fn log_types(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    of_doubles::<1>(arguments).or_else(|| of_doubles::<2>(arguments))
}

/// Of ten, or of the base that comes first.
fn log(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [bases, numbers] = arguments else { return each(arguments, |x| logarithm(x, f64::log10)) };
    let pairs = bases.as_primitive::<Float64Type>().iter().zip(numbers.as_primitive::<Float64Type>());
    let answers = pairs.map(|pair| {
        let (Some(base), Some(number)) = pair else { return Ok(None) };
        let (base, number) = (logarithm(base, f64::ln)?, logarithm(number, f64::ln)?);
        if base == 0.0 {
            return Err(Report::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        Ok(Some(number / base))
    });
    Ok(Arc::new(answers.collect::<Result<Float64Array, Report>>()?))
}

fn each(arguments: &[ArrayRef], of: fn(f64) -> Result<f64, Report>) -> Result<ArrayRef, Report> {
    let Some(numbers) = arguments.first() else { return Ok(Arc::new(Float64Array::new_null(0))) };
    let answers = numbers.as_primitive::<Float64Type>().iter().map(|number| number.map(of).transpose());
    Ok(Arc::new(answers.collect::<Result<Float64Array, Report>>()?))
}

fn logarithm(x: f64, of: fn(f64) -> f64) -> Result<f64, Report> {
    let refused = |what: &str| Err(Report::new(SqlState::INVALID_ARGUMENT_FOR_LOG, format!("cannot take logarithm of {what}")));
    match x {
        0.0 => refused("zero"),
        x if x < 0.0 => refused("a negative number"),
        x => Ok(of(x)),
    }
}

fn root(x: f64) -> Result<f64, Report> {
    if x < 0.0 {
        let message = "cannot take square root of a negative number";
        return Err(Report::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    Ok(x.sqrt())
}

fn angle(x: f64, of: fn(f64) -> f64) -> Result<f64, Report> {
    if x.abs() > 1.0 {
        return Err(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range"));
    }
    Ok(of(x))
}

/// An answer that is infinite, or zero, because no double is that large, or that small.
fn in_range(answer: f64, from_infinity: bool) -> Result<f64, Report> {
    let refused = |how: &str| Err(Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {how}")));
    if answer.is_infinite() && !from_infinity {
        return refused("overflow");
    }
    if answer == 0.0 && !from_infinity {
        return refused("underflow");
    }
    Ok(answer)
}
