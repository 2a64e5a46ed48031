//! Functions whose answer can be far larger than what they are given (`repeat('x', 1000000000)`, `range(0, 10 ^ 12)`).
//!
//! Or that work far longer than their arguments are large (`@>` of two arrays compares each element with each).
//!
//! The engine makes such an answer at once, beside the statement's share of memory and deaf to cancel and timeout, and panics where
//! an array's offsets are too narrow for it. So its size is worked out first: rows whose answers may be too large together are
//! answered in portions, and answers of more than [`MOST`] bytes for one batch are 54000, as in PostgreSQL those of one value are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::functions::{regex, string, unicode};
use datafusion::functions_nested::array_has::{array_has_all_udf, array_has_any_udf};
use datafusion::functions_nested::range::{gen_series_udf, range_udf};
use datafusion::functions_nested::repeat::array_repeat_udf;
use datafusion::functions_nested::resize::array_resize_udf;
use datafusion::functions_nested::string::string_to_array_udf;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use crate::error::{Report, SqlState};

/// Bytes that the answers to one batch of rows may take.
const MOST: f64 = (256_u32 << 20) as f64;
/// Bytes of a character at the most.
const CHARACTER: f64 = 4.0;
/// Bytes of a list's element, as a rule.
const ELEMENT: f64 = 16.0;

/// The engine's function, behind a look at its arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    size: SizeOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum SizeOf {
    Repeated,
    Padded,
    Replaced,
    /// As if every byte of the text matched.
    Matched,
    Elements,
    Series,
    Split,
    /// Not bytes but steps, which nothing interrupts either: of characters with characters.
    Matrix,
    /// Of elements with elements.
    Pairs,
}

fn bounded(inner: Arc<ScalarUDF>, size: SizeOf) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Bounded { inner, size }))
}

/// `@>` of two arrays.
pub fn contains_all() -> Arc<ScalarUDF> {
    bounded(array_has_all_udf(), SizeOf::Pairs)
}

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        bounded(string::repeat(), SizeOf::Repeated),
        bounded(string::replace(), SizeOf::Replaced),
        bounded(regex::regexp_replace(), SizeOf::Matched),
        bounded(unicode::lpad(), SizeOf::Padded),
        bounded(unicode::rpad(), SizeOf::Padded),
        bounded(string::levenshtein(), SizeOf::Matrix),
        bounded(string::btrim(), SizeOf::Matrix),
        bounded(string::ltrim(), SizeOf::Matrix),
        bounded(string::rtrim(), SizeOf::Matrix),
        bounded(string_to_array_udf(), SizeOf::Split),
        contains_all(),
        bounded(array_has_any_udf(), SizeOf::Pairs),
        bounded(array_repeat_udf(), SizeOf::Elements),
        bounded(array_resize_udf(), SizeOf::Elements),
        bounded(range_udf(), SizeOf::Series),
        bounded(gen_series_udf(), SizeOf::Series),
    ]
}

impl SizeOf {
    fn of(self, arguments: &[ArrayRef]) -> f64 {
        let rows = arguments.first().map_or(0, |argument| argument.len());
        let sum = |of: &dyn Fn(usize) -> Option<f64>| (0..rows).filter_map(of).sum();
        match self {
            SizeOf::Repeated => {
                let (texts, times) = (lengths(arguments, 0), numbers(arguments, 1));
                sum(&|row| Some(texts(row)? * times(row)?.max(0.0)))
            }
            SizeOf::Padded => {
                let wanted = numbers(arguments, 1);
                sum(&|row| Some(wanted(row)?.max(0.0) * CHARACTER))
            }
            SizeOf::Replaced => {
                let (texts, from, to) = (lengths(arguments, 0), lengths(arguments, 1), lengths(arguments, 2));
                sum(&|row| {
                    let (text, from) = (texts(row)?, from(row)?);
                    Some(text + text / from.max(1.0) * to(row)?)
                })
            }
            SizeOf::Matched => {
                let (texts, to) = (lengths(arguments, 0), lengths(arguments, 2));
                let everywhere = arguments.len() > 3;
                sum(&|row| Some(texts(row)? + if everywhere { texts(row)? + 1.0 } else { 1.0 } * to(row)?))
            }
            SizeOf::Matrix => {
                let (left, right) = (lengths(arguments, 0), lengths(arguments, 1));
                sum(&|row| Some(left(row)? * right(row)?))
            }
            SizeOf::Pairs => {
                let (left, right) = (counts(arguments, 0), counts(arguments, 1));
                sum(&|row| Some(left(row)? * right(row)?))
            }
            SizeOf::Split => {
                let (texts, delimiters) = (texts(arguments, 0), texts(arguments, 1));
                let (Some(texts), Some(delimiters)) = (&texts, &delimiters) else { return 0.0 };
                let (texts, delimiters) = (texts.as_string::<i64>(), delimiters.as_string::<i64>());
                sum(&|row| {
                    let text = texts.is_valid(row).then(|| texts.value(row))?;
                    // Without a delimiter every character is an element.
                    let elements = if delimiters.is_valid(row) { text.matches(delimiters.value(row)).count() + 1 } else { text.len() };
                    Some(text.len() as f64 + elements as f64 * ELEMENT)
                })
            }
            SizeOf::Elements => {
                let count = numbers(arguments, 1);
                sum(&|row| Some(count(row)?.max(0.0) * ELEMENT))
            }
            SizeOf::Series => {
                let (first, second, step) = (numbers(arguments, 0), numbers(arguments, 1), numbers(arguments, 2));
                sum(&|row| {
                    let (from, to) = if arguments.len() == 1 { (0.0, first(row)?) } else { (first(row)?, second(row)?) };
                    let step = if arguments.len() < 3 { 1.0 } else { step(row)? };
                    // A step of nothing, or one that leads away, is the engine's to judge: such a series is empty or an error.
                    let steps = (to - from) / step;
                    Some(if steps.is_finite() { steps.max(0.0) * ELEMENT } else { 0.0 })
                })
            }
        }
    }
}

/// 54000 if a batch of a function's answers takes too many bytes.
pub(super) fn check(function: &str, bytes: f64) -> std::result::Result<(), Report> {
    if bytes <= MOST {
        return Ok(());
    }
    Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
        .detail(format!("What {function} gives for one batch of rows would take more than 256 MiB.")))
}

fn too_many_steps(function: &str) -> Report {
    Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("the arguments of {function} are too large together"))
        .detail(format!("It would compare more than {MOST} pairs of their parts."))
}

fn texts(arguments: &[ArrayRef], index: usize) -> Option<ArrayRef> {
    cast(arguments.get(index)?, &DataType::LargeUtf8).ok()
}

/// The lengths of an argument's texts or bytes, in bytes.
fn lengths(arguments: &[ArrayRef], index: usize) -> impl Fn(usize) -> Option<f64> {
    let bytes = arguments.get(index).and_then(|argument| cast(argument, &DataType::LargeBinary).ok());
    move |row| {
        let bytes = bytes.as_ref()?.as_binary_opt::<i64>()?;
        bytes.is_valid(row).then(|| bytes.value_length(row) as f64)
    }
}

/// The number of elements of an argument's arrays.
fn counts(arguments: &[ArrayRef], index: usize) -> impl Fn(usize) -> Option<f64> {
    let counts = arguments.get(index).and_then(|argument| cast(&length(argument).ok()?, &DataType::Int64).ok());
    move |row| {
        let counts = counts.as_ref()?.as_primitive_opt::<Int64Type>()?;
        counts.is_valid(row).then(|| counts.value(row) as f64)
    }
}

/// An argument's numbers; dates, times and intervals in nanoseconds, a month of them as its shortest.
fn numbers(arguments: &[ArrayRef], index: usize) -> impl Fn(usize) -> Option<f64> {
    const DAY: f64 = 86_400e9;
    let argument = arguments.get(index).cloned();
    let unit = match argument.as_ref().map(|argument| argument.data_type()) {
        Some(DataType::Timestamp(unit, _)) => match unit {
            TimeUnit::Second => 1e9,
            TimeUnit::Millisecond => 1e6,
            TimeUnit::Microsecond => 1e3,
            TimeUnit::Nanosecond => 1.0,
        },
        Some(DataType::Date32) => DAY,
        _ => 1.0,
    };
    let whole = |argument: &ArrayRef| match argument.data_type() {
        DataType::Timestamp(..) => cast(argument, &DataType::Int64),
        DataType::Date32 => cast(argument, &DataType::Int32),
        _ => Ok(Arc::clone(argument)),
    };
    let numbers = argument.as_ref().and_then(|argument| cast(&whole(argument).ok()?, &DataType::Float64).ok());
    move |row| {
        let argument = argument.as_ref().filter(|argument| argument.is_valid(row))?;
        if let Some(intervals) = argument.as_primitive_opt::<IntervalMonthDayNanoType>() {
            let interval = intervals.value(row);
            return Some((f64::from(interval.months) * 28.0 + f64::from(interval.days)) * DAY + interval.nanoseconds as f64);
        }
        Some(numbers.as_ref()?.as_primitive::<Float64Type>().value(row) * unit)
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let arrays = arguments.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        if self.size.of(&arrays) <= MOST {
            return self.inner.invoke_with_args(arguments);
        }
        let (mut portions, mut from, mut bytes) = (Vec::new(), 0, 0.0);
        while from < rows {
            let count = self.portion(&arrays, from, rows - from)?;
            let slices = arrays.iter().map(|array| ColumnarValue::Array(array.slice(from, count))).collect();
            let portion = self.inner.invoke_with_args(ScalarFunctionArgs { args: slices, number_rows: count, ..arguments.clone() })?;
            let portion = portion.into_array(count)?;
            bytes += portion.to_data().get_slice_memory_size()? as f64;
            check(self.inner.name(), bytes).map_err(|report| DataFusionError::External(Box::new(report)))?;
            portions.push(portion);
            from += count;
        }
        let whole = concat(&portions.iter().map(|portion| portion.as_ref()).collect::<Vec<_>>())?;
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&whole, 0)?) } else { ColumnarValue::Array(whole) })
    }
}

impl Bounded {
    /// How many rows from this one on have answers that are not too large together; one row alone may not either.
    fn portion(&self, arrays: &[ArrayRef], from: usize, rows: usize) -> Result<usize> {
        let mut count = rows;
        loop {
            let slices: Vec<ArrayRef> = arrays.iter().map(|array| array.slice(from, count)).collect();
            let size = self.size.of(&slices);
            if size <= MOST {
                return Ok(count);
            }
            if count == 1 {
                let refused = match self.size {
                    SizeOf::Matrix | SizeOf::Pairs => Err(too_many_steps(self.inner.name())),
                    _ => check(self.inner.name(), size),
                };
                refused.map_err(|report| DataFusionError::External(Box::new(report)))?;
            }
            count = count.div_ceil(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Int64Array, IntervalMonthDayNanoArray, StringArray};
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    #[test]
    fn sizes_are_worked_out() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some("")]));
        let number: ArrayRef = Arc::new(Int64Array::from(vec![Some(10), Some(5), Some(-3)]));
        assert!(SizeOf::Repeated.of(&[Arc::clone(&text), Arc::clone(&number)]) == 30.0);
        assert!(SizeOf::Padded.of(&[Arc::clone(&text), Arc::clone(&number)]) == 15.0 * CHARACTER);
        assert!(SizeOf::Series.of(&[Arc::clone(&number)]) == 15.0 * ELEMENT);
        let days: ArrayRef = Arc::new(Date32Array::from(vec![0]));
        let end: ArrayRef = Arc::new(Date32Array::from(vec![100]));
        let week: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 10, 0)]));
        assert!(SizeOf::Series.of(&[Arc::clone(&days), Arc::clone(&end), Arc::clone(&week)]) == 10.0 * ELEMENT);
        assert!(SizeOf::Series.of(&[end, days, week]) == 0.0);
        let from: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "x"]));
        let to: ArrayRef = Arc::new(StringArray::from(vec!["bbbb", "b", "b"]));
        assert!(SizeOf::Replaced.of(&[text, from, to]) == 3.0 + 12.0);
    }
}
