//! Functions over arrays that the engine lacks; what returns a set there gives an array here, which the planner unnests.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::error::ArrowError;
use datafusion::logical_expr::ScalarUDF;

use crate::catalog::Builtin;
use crate::error::{Report, SqlState};

type Types = Option<(Vec<DataType>, DataType)>;
type Answer = Result<ArrayRef, Report>;

/// The function of this name.
pub(super) fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    Some(match name {
        "array_or_empty" => Builtin::function("array_or_empty", or_empty_types, or_empty),
        "generate_subscripts" => Builtin::function("generate_subscripts", subscripts_types, subscripts),
        "_pg_expandarray" => Builtin::function("_pg_expandarray", expand_types, expand),
        _ => return None,
    })
}

/// An item field.
fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

fn expanded(element: &Field) -> Fields {
    Fields::from(vec![element.clone().with_name("x").with_nullable(true), Field::new("n", DataType::Int32, true)])
}

fn or_empty_types(arguments: &[DataType]) -> Types {
    let [array @ DataType::List(_)] = arguments else { return None };
    Some((vec![array.clone()], array.clone()))
}

fn subscripts_types(arguments: &[DataType]) -> Types {
    matches!(arguments, [DataType::List(_), _]).then(|| (arguments.to_vec(), DataType::List(item(DataType::Int32))))
}

fn expand_types(arguments: &[DataType]) -> Types {
    let [DataType::List(element)] = arguments else { return None };
    Some((arguments.to_vec(), DataType::List(item(DataType::Struct(expanded(element))))))
}

/// The first argument, an array in each row.
fn lists(arguments: &[ArrayRef]) -> Result<&ListArray, Report> {
    let lists = arguments.first().and_then(|array| array.as_list_opt::<i32>());
    lists.ok_or_else(|| Report::new(SqlState::DATATYPE_MISMATCH, "the first argument is no array"))
}

/// The elements of each row's array; a NULL has none, whatever lies behind it.
fn lengths(lists: &ListArray) -> impl Iterator<Item = i32> {
    (0..lists.len()).map(|row| if lists.is_null(row) { 0 } else { lists.value_length(row).max(0) })
}

/// All rows' elements.
fn elements(lists: &ListArray) -> Answer {
    let slices: Vec<ArrayRef> = lists.iter().flatten().collect();
    let slices: Vec<&dyn Array> = slices.iter().map(AsRef::as_ref).collect();
    if slices.is_empty() { Ok(lists.values().slice(0, 0)) } else { arrow::compute::concat(&slices).map_err(failed) }
}

/// What each element is.
fn element(lists: &ListArray) -> FieldRef {
    match lists.data_type() {
        DataType::List(element) => Arc::clone(element),
        other => item(other.clone()),
    }
}

/// Arrays as long as these are, of other elements.
fn as_long_as(lists: &ListArray, element: FieldRef, elements: ArrayRef) -> Answer {
    let offsets = OffsetBuffer::from_lengths(lengths(lists).map(|length| length as usize));
    Ok(Arc::new(ListArray::try_new(element, offsets, elements, None).map_err(failed)?))
}

fn failed(error: ArrowError) -> Report {
    Report::new(SqlState::INTERNAL_ERROR, error.to_string())
}

/// 1, 2, … one for each element.
fn numbers(lists: &ListArray) -> ArrayRef {
    Arc::new(lengths(lists).flat_map(|length| 1..=length).collect::<Int32Array>())
}

/// The array, or `{}` for NULL: what `ARRAY(SELECT …)` is of no rows.
fn or_empty(arguments: &[ArrayRef]) -> Answer {
    let lists = lists(arguments)?;
    as_long_as(lists, element(lists), elements(lists)?)
}

fn subscripts(arguments: &[ArrayRef]) -> Answer {
    let lists = lists(arguments)?;
    as_long_as(lists, item(DataType::Int32), numbers(lists))
}

/// `(x, n)`: each element with its number.
fn expand(arguments: &[ArrayRef]) -> Answer {
    let lists = lists(arguments)?;
    let fields = expanded(&element(lists));
    let rows = StructArray::try_new(fields.clone(), vec![elements(lists)?, numbers(lists)], None).map_err(failed)?;
    as_long_as(lists, item(DataType::Struct(fields)), Arc::new(rows))
}
