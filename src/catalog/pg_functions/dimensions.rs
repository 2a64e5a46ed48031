//! Arrays of several dimensions, which are lists of lists of one length: `array_dims`, `array_upper`, `array_lower`, the check of
//! `ARRAY[[1, 2], [3, 4]]`, and the one dimension that `unnest` sees.
//!
//! Only what PostgreSQL calls an array is one: the lists of lists of a table, which may differ in length, are jsonb and stay as they are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, ListArray, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Builtin;
use super::named::with_name;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;

type Types = Option<(Vec<DataType>, DataType)>;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Builtin::function("array_dims", one_array, dims),
        Builtin::function("array_has_null", one_array_or_none, has_null),
        Builtin::function("array_upper", array_and_dimension, |arguments| bounds(arguments, |length| length)),
        Builtin::function("array_lower", array_and_dimension, |arguments| bounds(arguments, |_| 1)),
        Arc::new(ScalarUDF::new_from_impl(Flat { signature: Signature::any(1, Volatility::Immutable) })),
    ]
}

fn one_array(arguments: &[DataType]) -> Types {
    matches!(arguments, [DataType::List(_)]).then(|| (arguments.to_vec(), DataType::Utf8))
}

fn one_array_or_none(arguments: &[DataType]) -> Types {
    matches!(arguments, [DataType::List(_) | DataType::Null]).then(|| (arguments.to_vec(), DataType::Boolean))
}

/// Whether an element is NULL, as all are of an array that is.
fn has_null(arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, Report> {
    let Some(arrays) = arguments.first() else {
        return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "function array_has_null() does not exist"));
    };
    let Some(lists) = arrays.as_list_opt::<i32>() else { return Ok(Arc::new(BooleanArray::from(vec![true; arrays.len()]))) };
    let value = |row: usize| lists.is_null(row) || lists.value(row).null_count() > 0;
    Ok(Arc::new((0..lists.len()).map(|row| Some(value(row))).collect::<BooleanArray>()))
}

fn array_and_dimension(arguments: &[DataType]) -> Types {
    match arguments {
        [array @ DataType::List(_), _] => Some((vec![array.clone(), DataType::Int64], DataType::Int32)),
        _ => None,
    }
}

/// The length of each dimension, none of an empty array; `None` of NULL and of lists that differ.
fn shape(array: &dyn Array, row: usize) -> Option<Vec<usize>> {
    let lists = array.as_list_opt::<i32>()?;
    if lists.is_null(row) {
        return None;
    }
    let (from, to) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
    if from == to {
        return Some(Vec::new());
    }
    let mut lengths = vec![to - from];
    if matches!(lists.values().data_type(), DataType::List(_)) {
        let first = shape(lists.values().as_ref(), from)?;
        for index in from + 1..to {
            if shape(lists.values().as_ref(), index)? != first {
                return None;
            }
        }
        lengths.extend(first);
    }
    Some(lengths)
}

/// Refuses arrays that make no array together (2202E).
pub(super) fn check_alike(arrays: &[ArrayRef], rows: usize) -> std::result::Result<(), Report> {
    let Some((first, others)) = arrays.split_first() else { return Ok(()) };
    for row in 0..rows {
        let wanted = shape(first.as_ref(), row);
        if wanted.is_none() || others.iter().any(|other| shape(other.as_ref(), row) != wanted) {
            let message = "multidimensional arrays must have array expressions with matching dimensions";
            return Err(Report::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
        }
    }
    Ok(())
}

fn dims(arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, Report> {
    let Some(arrays) = arguments.first() else {
        return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "function array_dims() does not exist"));
    };
    let text = |row| {
        let lengths = shape(arrays.as_ref(), row).filter(|lengths| !lengths.is_empty())?;
        Some(lengths.iter().map(|length| format!("[1:{length}]")).collect::<String>())
    };
    Ok(Arc::new((0..arrays.len()).map(text).collect::<StringArray>()))
}

fn bounds(arguments: &[ArrayRef], bound: fn(usize) -> usize) -> std::result::Result<ArrayRef, Report> {
    let [arrays, dimensions] = arguments else {
        return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "an array and a dimension are needed"));
    };
    let dimensions: &Int64Array = dimensions.as_primitive::<Int64Type>();
    let value = |row: usize| {
        let dimension = dimensions.is_valid(row).then(|| dimensions.value(row))?;
        let lengths = shape(arrays.as_ref(), row)?;
        let length = lengths.get(usize::try_from(dimension.checked_sub(1)?).ok()?)?;
        i32::try_from(bound(*length)).ok()
    };
    Ok(Arc::new((0..arrays.len()).map(value).collect::<Int32Array>()))
}

/// `flat(array)`: an array of several dimensions as one of one, anything else as it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Flat {
    signature: Signature,
}

/// The innermost elements' field, where there are lists between.
fn innermost(field: &Field) -> Option<&FieldRef> {
    PgType::of(field).element()?;
    let mut data_type = field.data_type();
    let mut depth = 0;
    loop {
        match data_type {
            DataType::List(item) if !matches!(item.data_type(), DataType::List(_)) => return (depth > 0).then_some(item),
            DataType::List(item) => data_type = item.data_type(),
            _ => return None,
        }
        depth += 1;
    }
}

fn nothing() -> DataFusionError {
    DataFusionError::External(Box::new(Report::new(SqlState::UNDEFINED_FUNCTION, "function flat() does not exist")))
}

impl ScalarUDFImpl for Flat {
    fn name(&self) -> &str {
        "flat"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments.first().cloned().ok_or_else(nothing)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let field = arguments.arg_fields.first().ok_or_else(nothing)?;
        Ok(match innermost(field) {
            Some(item) => {
                let flat = Field::new(field.name(), DataType::List(Arc::clone(item)), field.is_nullable());
                with_name(&Arc::new(flat), Some(PgType::of(field)))
            }
            None => Arc::clone(field),
        })
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let is_flat = match arguments.as_slice() {
            [array] => array.to_field(context.schema().as_ref()).is_ok_and(|(_, field)| innermost(&field).is_none()),
            _ => false,
        };
        Ok(match (is_flat, arguments) {
            (true, mut arguments) => ExprSimplifyResult::Simplified(arguments.remove(0)),
            (false, arguments) => ExprSimplifyResult::Original(arguments),
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let (Some(value), Some(field)) = (arguments.args.into_iter().next(), arguments.arg_fields.first()) else { return Err(nothing()) };
        let Some(item) = innermost(field) else { return Ok(value) };
        let mut lists = value.into_array(rows)?;
        // One level at a time, from the outside.
        while let Some(list) = lists.as_list_opt::<i32>()
            && let Some(inner) = list.values().as_list_opt::<i32>()
        {
            let mut lengths = Vec::with_capacity(list.len());
            let mut parts: Vec<ArrayRef> = Vec::new();
            for row in 0..list.len() {
                let (from, to) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
                let (start, end) = if list.is_null(row) || from == to {
                    (0, 0)
                } else {
                    (inner.value_offsets()[from] as usize, inner.value_offsets()[to] as usize)
                };
                lengths.push(end - start);
                parts.push(inner.values().slice(start, end - start));
            }
            let values = match parts.is_empty() {
                true => inner.values().slice(0, 0),
                false => concat(&parts.iter().map(|part| part.as_ref()).collect::<Vec<_>>())?,
            };
            let field = Arc::new(Field::new("item", values.data_type().clone(), true));
            lists = Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, list.nulls().cloned())?);
        }
        Ok(ColumnarValue::Array(cast(&lists, &DataType::List(Arc::clone(item)))?))
    }
}
