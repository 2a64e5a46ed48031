//! Casts as PostgreSQL makes them, where the engine's differ: numbers are rounded to integers, not cut; text is read, and values
//! become text, by the code that the wire uses; `varchar(n)` shortens; the session's time zone decides an instant's date.
//!
//! A cast that differs becomes a call of [`PostgresCast`]; constants are folded by the engine as with any immutable function. What
//! text cannot be is refused with PostgreSQL's words (22P02, 22003, 22007). Costs a [`Value`] per row where text is read.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, FieldRef, Float64Type, IntervalUnit, TimeUnit, i256};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    cast as cast_to,
};

use super::style::Style;
use crate::error::{Report, SqlState};
use crate::pg_format::OutputSettings;
use crate::pg_format::characters::{self, Length};
use crate::pg_format::clocks;
use crate::pg_format::decode::{self, Value};
use crate::pg_format::encode;
use crate::pg_format::precision;
use crate::pg_format::reading::{DateOrder, Reading};
use crate::pg_format::zone::Zone;
use crate::pg_type::{NUMERIC_SCALE, PgType};

/// Digits of a decimal that a double surely holds.
const EXACT_DIGITS: u8 = 15;

/// The cast as a call, if PostgreSQL's differs from the engine's.
pub(super) fn rewrite(expression: &Expr, target: &FieldRef, schema: &DFSchema, style: Style<'_>) -> Result<Option<Expr>> {
    let zone = style.zone;
    let Ok((_, source)) = expression.to_field(schema) else { return Ok(None) };
    if let Some(moment) = moment(expression, target.data_type(), zone) {
        return Ok(Some(moment));
    }
    if !differs(&source, target, zone) && !may_be_infinite(expression, &source, target) {
        return Ok(None);
    }
    let function = PostgresCast {
        name: PgType::of(target).name().to_owned(),
        target: Arc::clone(target),
        zone: zone.to_owned(),
        order: style.order,
        signature: Signature::any(1, Volatility::Immutable),
    };
    Ok(Some(ScalarUDF::new_from_impl(function).call(vec![expression.clone()])))
}

/// Whether a call is such a cast, which gives NULL for NULL only.
pub(super) fn is_cast(call: &ScalarFunction) -> bool {
    let function: &dyn std::any::Any = call.func.inner().as_ref();
    function.is::<PostgresCast>()
}

/// `'now'` and `'today'`, which are no constants.
fn moment(expression: &Expr, target: &DataType, zone: &str) -> Option<Expr> {
    use datafusion::functions::datetime::expr_fn::now;
    if !matches!(target, DataType::Timestamp(..) | DataType::Date32) {
        return None;
    }
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expression else { return None };
    let here = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    let days = match text.trim().to_ascii_lowercase().as_str() {
        "now" => return Some(cast_to(cast_to(now(), here), target.clone())),
        "today" => 0,
        "tomorrow" => 1,
        "yesterday" => -1,
        _ => return None,
    };
    let day = cast_to(cast_to(cast_to(now(), here), DataType::Date32), DataType::Int32) + datafusion::logical_expr::lit(days);
    Some(cast_to(cast_to(day, DataType::Date32), target.clone()))
}

/// Whether a date that becomes a timestamp is a constant, which may be infinite. A column's, which only a temporary table can have infinite, are left to
/// the engine, that may conclude from its own cast which files there are to read.
fn may_be_infinite(date: &Expr, source: &Field, target: &Field) -> bool {
    matches!((source.data_type(), target.data_type()), (DataType::Date32, DataType::Timestamp(..))) && date.column_refs().is_empty()
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn differs(source: &Field, target: &Field, zone: &str) -> bool {
    use DataType::{
        Binary, Boolean, Date32, Duration, FixedSizeBinary, Float16, Float32, Float64, Interval, List, Map, Struct, Time64, Timestamp,
    };
    let wanted = PgType::of(target);
    if precision::digits(target).is_some() {
        return !matches!(source.data_type(), DataType::Null);
    }
    match (source.data_type(), target.data_type()) {
        (from, to) if is_text(from) && is_text(to) => Length::of(target).is_some() || matches!(wanted, PgType::JSON | PgType::JSONB),
        (from, to) if is_text(from) => match to {
            to if to.is_signed_integer() || to.is_decimal() => true,
            Boolean | Float32 | Float64 | Timestamp(..) | Date32 | Time64(TimeUnit::Microsecond) | Binary => true,
            Interval(IntervalUnit::MonthDayNano) => true,
            List(item) => {
                (!item.data_type().is_nested() || wanted.element().is_some()) && !wanted.element().is_some_and(PgType::is_oid_like)
            }
            _ => false,
        },
        (
            Float16 | Float32 | Float64 | Timestamp(..) | Time64(_) | Interval(_) | Duration(_) | Binary | FixedSizeBinary(_) | Date32,
            to,
        ) if is_text(to) => true,
        (List(_) | Struct(_) | Map(..), to) if is_text(to) => true,
        // Without the zeros that its width adds.
        (DataType::Decimal256(..), to) if is_text(to) => true,
        (from, to) if is_text(to) => Length::of(target).is_some() && *from != DataType::Null,
        (List(from), List(to)) => Length::of(target).is_some() || differs(&element(source, from), &element(target, to), zone),
        (from, to) if to.is_signed_integer() => {
            from.is_floating() || from.is_decimal() || (from.is_signed_integer() && from.primitive_width() > to.primitive_width())
        }
        // The engine divides what may have more digits than a double.
        (DataType::Decimal128(precision, _), Float64 | Float32) => *precision > EXACT_DIGITS,
        (DataType::Decimal256(..), Float64 | Float32) => true,
        // A double is as many digits as it surely has, which the engine's product with a power of ten is not.
        (from, to) if from.is_floating() && to.is_decimal() => true,
        // The engine's error of a number with too many digits is not PostgreSQL's.
        (from, DataType::Decimal128(precision, _)) => *precision < 38 && (from.is_decimal() || from.is_signed_integer()),
        // Which the engine takes for a function with an inverse.
        (Timestamp(..), Date32) => true,
        (Timestamp(_, Some(_)), Timestamp(_, None) | Time64(_)) => Zone::parse(zone) != Some(Zone::UTC),
        _ => false,
    }
}

/// The field of a list's elements, under the name that the list has for them.
fn element(list: &Field, item: &Field) -> Field {
    encode::element_field(item, PgType::of(list))
}

/// One cast.
#[derive(Debug)]
struct PostgresCast {
    name: String,
    target: FieldRef,
    zone: String,
    order: DateOrder,
    signature: Signature,
}

impl PartialEq for PostgresCast {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target && self.zone == other.zone && self.order == other.order
    }
}

impl Eq for PostgresCast {}

impl Hash for PostgresCast {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.hash(state);
        self.zone.hash(state);
        self.order.hash(state);
    }
}

impl ScalarUDFImpl for PostgresCast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = arguments.arg_fields.iter().all(|field| field.is_nullable());
        Ok(Arc::new(self.target.as_ref().clone().with_nullable(nullable)))
    }

    /// The moments of a day, where the clock is one that is never put back: files are pruned by them.
    fn preimage(&self, arguments: &[Expr], answer: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
        let ([moment], Some(ScalarValue::Date32(Some(day)))) = (arguments, answer.as_literal()) else { return Ok(PreimageResult::None) };
        let DataType::Timestamp(unit, zone) = context.get_data_type(moment)? else { return Ok(PreimageResult::None) };
        let is_steady = zone.is_none() || Zone::parse(&self.zone) == Some(Zone::UTC);
        let length = length_of_day(unit);
        let start = i64::from(*day).checked_mul(length).filter(|_| is_steady && !matches!(*day, i32::MAX | i32::MIN));
        let Some((start, next)) = start.and_then(|start| Some((start, start.checked_add(length)?))) else {
            return Ok(PreimageResult::None);
        };
        let moment_of = |ticks: i64| ScalarValue::Int64(Some(ticks)).cast_to(&DataType::Timestamp(unit, zone.clone()));
        let interval = Box::new(Interval::try_new(moment_of(start)?, moment_of(next)?)?);
        Ok(PreimageResult::Range { expr: moment.clone(), interval })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value], [source]) = (arguments.args.as_slice(), arguments.arg_fields.as_slice()) else {
            return Err(DataFusionError::Internal("a cast takes one value".into()));
        };
        let constant = matches!(value, ColumnarValue::Scalar(_));
        let array = value.to_array(if constant { 1 } else { arguments.number_rows })?;
        let array = self.convert(&array, source).map_err(external)?;
        Ok(match array.as_list_opt::<i32>() {
            _ if !constant => ColumnarValue::Array(array),
            // Made of an array's row it would forget what its elements are called.
            Some(list) => ColumnarValue::Scalar(ScalarValue::List(Arc::new(list.clone()))),
            None => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
        })
    }
}

/// Microseconds, or the like, of a day.
fn length_of_day(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 86_400,
        TimeUnit::Millisecond => 86_400_000,
        TimeUnit::Microsecond => 86_400_000_000,
        TimeUnit::Nanosecond => 86_400_000_000_000,
    }
}

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

impl PostgresCast {
    fn convert(&self, array: &ArrayRef, source: &Field) -> Result<ArrayRef, Report> {
        self.converted(array, source).map(|converted| precision::kept(&converted, &self.target))
    }

    fn converted(&self, array: &ArrayRef, source: &Field) -> Result<ArrayRef, Report> {
        let target = self.target.data_type();
        let zone = Zone::parse(&self.zone).unwrap_or(Zone::UTC);
        let reading = Reading { zone, order: self.order };
        match (array.data_type(), target) {
            // These are here for what the target keeps of a second.
            (DataType::Timestamp(_, None) | DataType::Date32, DataType::Timestamp(_, Some(_))) => {
                engine_cast(&clocks::instants(array, zone)?, target)
            }
            (DataType::Timestamp(_, from), DataType::Timestamp(_, to)) if from.is_some() == to.is_some() => engine_cast(array, target),
            (DataType::Date32, DataType::Timestamp(unit, _)) => {
                let midnights = clocks::instants(array, Zone::UTC)?;
                engine_cast(&engine_cast(&midnights, &DataType::Timestamp(*unit, None))?, target)
            }
            (DataType::Time64(_) | DataType::Interval(_), DataType::Time64(_)) => engine_cast(array, target),
            (from, to) if is_text(to) => {
                let texts = if is_text(from) { plain_text(array)? } else { self.texts(array, source)? };
                let texts = match PgType::of(&self.target) {
                    json @ (PgType::JSON | PgType::JSONB) => checked_json(&texts, json, reading)?,
                    _ => texts,
                };
                self.fitted(&engine_cast(&(Arc::new(texts) as ArrayRef), to)?)
            }
            (from, _) if is_text(from) => {
                let wanted = PgType::of(&self.target);
                let texts = plain_text(array)?;
                let value = |text: Option<&str>| text.map_or(Ok(Value::Null), |text| decode::parse_text(wanted, text, reading));
                let values = texts.iter().map(value).collect::<Result<Vec<_>, _>>()?;
                self.fitted(&decode::build(target, &values)?)
            }
            (DataType::List(from), DataType::List(to)) if Length::of(&self.target).is_none() => {
                let (from, to) = (element(source, from), element(&self.target, to));
                self.elements(array.as_list::<i32>(), &from, Arc::new(to))
            }
            (DataType::List(_), DataType::List(_)) => self.fitted(&engine_cast(array, target)?),
            (DataType::Timestamp(_, None), _) => clocks::readings(array, Zone::UTC, target),
            (DataType::Timestamp(..), _) => clocks::readings(array, zone, target),
            (from, to) if from.is_floating() && to.is_decimal() => decimals(array, target),
            (from, to) if from.is_decimal() && to.is_floating() => engine_cast(&nearest(array)?, target),
            (_, DataType::Decimal128(precision, scale)) => {
                let checked = CastOptions { safe: false, ..CastOptions::default() };
                cast_with_options(array, target, &checked).map_err(|_| decode::field_overflow(*precision, *scale))
            }
            (from, _) if from.is_floating() => rounded(array, target),
            _ => integers(array, target),
        }
    }

    /// Of the length that the target has.
    fn fitted(&self, array: &ArrayRef) -> Result<ArrayRef, Report> {
        Length::of(&self.target).map_or_else(|| Ok(Arc::clone(array)), |length| characters::cut(array, length))
    }

    /// A list whose elements are cast one by one.
    fn elements(&self, lists: &ListArray, source: &Field, target: FieldRef) -> Result<ArrayRef, Report> {
        let values = if differs(source, &target, &self.zone) {
            let cast = Self {
                name: self.name.clone(),
                target: Arc::clone(&target),
                zone: self.zone.clone(),
                order: self.order,
                signature: self.signature.clone(),
            };
            cast.convert(lists.values(), source)?
        } else {
            engine_cast(lists.values(), target.data_type())?
        };
        let item = match self.target.data_type() {
            DataType::List(item) => Arc::clone(item),
            _ => target,
        };
        let cast = ListArray::try_new(item, lists.offsets().clone(), values, lists.nulls().cloned());
        cast.map(|lists| Arc::new(lists) as ArrayRef).map_err(|error| Report::new(SqlState::CANNOT_COERCE, error.to_string()))
    }

    fn texts(&self, array: &ArrayRef, source: &Field) -> Result<StringArray, Report> {
        let settings = OutputSettings { time_zone: self.zone.clone(), extra_float_digits: 1, bytea_escape: false };
        let spelt_alike = match array.data_type() {
            DataType::Boolean | DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => true,
            other => other.is_integer(),
        };
        if spelt_alike {
            return plain_text(array);
        }
        encode::texts(array.as_ref(), source, &settings)
    }
}

fn plain_text(array: &ArrayRef) -> Result<StringArray, Report> {
    Ok(engine_cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn engine_cast(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, Report> {
    cast(array, target).map_err(|error| Report::new(SqlState::CANNOT_COERCE, error.to_string()))
}

fn checked_json(texts: &StringArray, pg_type: PgType, reading: Reading) -> Result<StringArray, Report> {
    let read = |text: Option<&str>| match text.map(|text| decode::parse_text(pg_type, text, reading)).transpose()? {
        Some(Value::Text(normal)) => Ok(Some(normal)),
        _ => Ok(None),
    };
    texts.iter().map(read).collect()
}

fn out_of_range(target: &DataType) -> Report {
    Report::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{} out of range", PgType::of_data_type(target)))
}

/// Floats to integers, halves to the even one.
fn rounded(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, Report> {
    let doubles = engine_cast(array, &DataType::Float64)?;
    let doubles = doubles.as_primitive::<Float64Type>();
    let integer = |value: f64| {
        let rounded = value.round_ties_even();
        // 2^63 itself is a double, and the first that does not fit.
        (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded).then_some(rounded as i64)
    };
    let values = doubles.iter().map(|value| value.map(|value| integer(value).ok_or_else(|| out_of_range(target))).transpose());
    integers(&(Arc::new(values.collect::<Result<Int64Array, _>>()?) as ArrayRef), target)
}

/// The doubles that are nearest to decimals.
fn nearest(array: &ArrayRef) -> Result<ArrayRef, Report> {
    let parsed = |number: String| number.parse::<f64>().map_err(|_| out_of_range(&DataType::Float64));
    Ok(match array.data_type() {
        DataType::Decimal128(_, scale) => {
            let divisor = 10_f64.powi(i32::from(*scale));
            // Both are exact, so one division is.
            let exact = |value: i128| value.unsigned_abs() < 1 << f64::MANTISSA_DIGITS && (0..=22).contains(scale);
            let double = |value| if exact(value) { Ok(value as f64 / divisor) } else { parsed(format!("{value}e{}", -i32::from(*scale))) };
            Arc::new(array.as_primitive::<Decimal128Type>().try_unary::<_, Float64Type, Report>(double)?)
        }
        _ => {
            let wide = engine_cast(array, &PgType::NUMERIC.arrow())?;
            let double = |value: i256| parsed(format!("{value}e-{NUMERIC_SCALE}"));
            Arc::new(wide.as_primitive::<Decimal256Type>().try_unary::<_, Float64Type, Report>(double)?)
        }
    })
}

/// Floats to decimals by the digits that they surely have: fifteen of a double, six of a single.
fn decimals(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, Report> {
    let digits = if *array.data_type() == DataType::Float64 { 15 } else { 6 };
    let doubles = engine_cast(array, &DataType::Float64)?;
    let smallest = 10_f64.powi(-i32::from(NUMERIC_SCALE) - 2);
    let value = |double: Option<f64>| match double {
        None => Ok(Value::Null),
        // Nothing that a numeric here can hold, and more zeros than its text may have.
        Some(double) if double.abs() < smallest => Ok(Value::Decimal(i256::ZERO, 0)),
        Some(double) => decode::parse_text(PgType::NUMERIC, &format!("{double:.*e}", digits - 1), Zone::UTC.into()),
    };
    let values = doubles.as_primitive::<Float64Type>().iter().map(value).collect::<Result<Vec<_>, _>>()?;
    decode::build(target, &values)
}

/// Decimals (halves away from zero) and wider integers to integers.
fn integers(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, Report> {
    let checked = CastOptions { safe: false, ..CastOptions::default() };
    let whole = match array.data_type() {
        DataType::Decimal256(precision, _) => cast_with_options(array, &DataType::Decimal256(*precision, 0), &checked),
        other if other.is_decimal() => cast_with_options(array, &DataType::Decimal128(38, 0), &checked),
        _ => Ok(Arc::clone(array)),
    };
    whole.and_then(|whole| cast_with_options(&whole, target, &checked)).map_err(|_| out_of_range(target))
}
