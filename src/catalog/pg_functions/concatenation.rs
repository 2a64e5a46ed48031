//! `concat`, `concat_ws` and `array_to_string`: values of all types in PostgreSQL's spelling, without the NULLs. And `||` of two texts, which
//! the engine has too, but panics where the answers of a batch are too large for an array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::kernels::concat_elements::concat_elements_utf8_many;
use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, ScalarUDF};

use super::Builtin;
use super::bounded::check;
use super::json_making::element;
use super::shown::{Arguments, Shown};
use crate::error::{Report, SqlState};
use crate::pg_format::encode;
use crate::pg_type::PgType;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![
        Shown::function("concat", 1..=100, PgType::TEXT, concat),
        Shown::function("concat_ws", 2..=100, PgType::TEXT, concat_ws),
        Shown::function("array_to_string", 2..=3, PgType::TEXT, array_to_string),
        textcat_function(),
    ]
}

/// `||` of two texts: NULL if either is. A chain of them is one call, since a nested one is planned in the cube of its depth.
pub fn text_concatenation(left: Expr, right: Expr) -> Expr {
    match left {
        Expr::ScalarFunction(mut chain) if chain.func.name() == TEXTCAT => {
            chain.args.push(right);
            Expr::ScalarFunction(chain)
        }
        left => textcat_function().call(vec![left, right]),
    }
}

const TEXTCAT: &str = "textcat";

fn textcat_function() -> Arc<ScalarUDF> {
    Builtin::function(TEXTCAT, all_texts, textcat)
}

fn all_texts(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    (arguments.len() >= 2).then(|| (vec![DataType::Utf8; arguments.len()], DataType::Utf8))
}

fn textcat(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let columns: Vec<&StringArray> = arguments.iter().map(|texts| texts.as_string::<i32>()).collect();
    check("||", columns.iter().map(|texts| bytes(texts)).sum())?;
    let joined = concat_elements_utf8_many(&columns);
    Ok(Arc::new(joined.map_err(|error| Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string()))?))
}

fn bytes(texts: &StringArray) -> f64 {
    texts.offsets().last().copied().unwrap_or_default() as f64
}

fn concat(arguments: &Arguments<'_>) -> Result<StringArray, Report> {
    let columns = arguments.texts()?;
    check("concat", columns.iter().map(bytes).sum())?;
    let mut joined = StringBuilder::new();
    for row in 0..arguments.rows {
        let parts: Vec<&str> = columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)).collect();
        joined.append_value(parts.concat());
    }
    Ok(joined.finish())
}

fn concat_ws(arguments: &Arguments<'_>) -> Result<StringArray, Report> {
    let columns = arguments.texts()?;
    let Some((separators, columns)) = columns.split_first() else { return Ok(StringArray::new_null(arguments.rows)) };
    check("concat_ws", bytes(separators) * columns.len() as f64 + columns.iter().map(bytes).sum::<f64>())?;
    let mut joined = StringBuilder::new();
    for row in 0..arguments.rows {
        if separators.is_null(row) {
            joined.append_null();
            continue;
        }
        let parts: Vec<&str> = columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)).collect();
        joined.append_value(parts.join(separators.value(row)));
    }
    Ok(joined.finish())
}

/// The elements in a row, those of inner arrays too.
fn array_to_string(arguments: &Arguments<'_>) -> Result<StringArray, Report> {
    let ([array, others @ ..], [field, other_fields @ ..]) = (arguments.arrays, arguments.fields) else {
        return Ok(StringArray::new_null(arguments.rows));
    };
    if array.data_type().is_null() {
        return Ok(StringArray::new_null(arguments.rows));
    }
    let others = others.iter().zip(other_fields).map(|(array, field)| encode::texts(array.as_ref(), field, &arguments.settings));
    let others = others.collect::<Result<Vec<_>, _>>()?;
    let Some(separators) = others.first() else { return Ok(StringArray::new_null(arguments.rows)) };
    // From the outermost array to its elements: which of a level's values belong to each of the one above.
    let mut levels = Vec::new();
    let (mut values, mut item) = (Arc::clone(array), field.as_ref().clone());
    while let Some(list) = values.as_list_opt::<i32>() {
        let (inner, inner_item) = (Arc::clone(list.values()), element(&item));
        levels.push(list.clone());
        (values, item) = (inner, inner_item);
    }
    let elements = encode::texts(values.as_ref(), &item, &arguments.settings)?;
    let mut joined = StringBuilder::new();
    for row in 0..arguments.rows {
        if separators.is_null(row) || levels.first().is_none_or(|lists| lists.is_null(row)) {
            joined.append_null();
            continue;
        }
        let mut range = row..row + 1;
        for lists in &levels {
            let offsets = lists.value_offsets();
            range = offsets[range.start] as usize..offsets[range.end] as usize;
        }
        let null = others.get(1).filter(|nulls| nulls.is_valid(row)).map(|nulls| nulls.value(row));
        let parts = range.filter_map(|place| if elements.is_valid(place) { Some(elements.value(place)) } else { null });
        let parts: Vec<&str> = parts.collect();
        let separator = separators.value(row);
        check(arguments.name, (joined.values_slice().len() + separator.len() * parts.len()) as f64 + bytes(&elements))?;
        joined.append_value(parts.join(separator));
    }
    Ok(joined.finish())
}
