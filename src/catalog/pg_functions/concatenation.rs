//! `concat` and `concat_ws`: values of all types in PostgreSQL's spelling, without the NULLs. And `||` of two texts, which the engine
//! has too, but panics where the answers of a batch are too large for an array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::compute::kernels::concat_elements::concat_elements_utf8_many;
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::{Expr, ScalarUDF};

use super::Builtin;
use super::bounded::check;
use crate::error::{Report, SqlState};
use crate::pg_format::OutputSettings;
use crate::pg_format::encode;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Builtin::function("concat", anything, concat), Builtin::function("concat_ws", anything, concat_ws), textcat_function()]
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
    let columns = arguments.iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    check("||", columns.iter().map(bytes).sum())?;
    let joined = concat_elements_utf8_many(&columns.iter().collect::<Vec<_>>());
    Ok(Arc::new(joined.map_err(|error| Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string()))?))
}

/// All arguments as they are.
fn anything(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    (!arguments.is_empty()).then(|| (arguments.to_vec(), DataType::Utf8))
}

fn texts(array: &ArrayRef) -> Result<StringArray, Report> {
    let failed = |error: arrow::error::ArrowError| Report::new(SqlState::CANNOT_COERCE, error.to_string());
    let zone = match array.data_type() {
        DataType::Timestamp(_, Some(zone)) => zone.to_string(),
        _ => "UTC".to_owned(),
    };
    match array.data_type() {
        DataType::Null => Ok(StringArray::new_null(array.len())),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let plain = arrow::compute::cast(array, &DataType::Utf8).map_err(failed)?;
            Ok(StringArray::from(plain.to_data()))
        }
        data_type => {
            let settings = OutputSettings { time_zone: zone, extra_float_digits: 1, bytea_escape: false };
            encode::texts(array.as_ref(), &Field::new("", data_type.clone(), true), &settings)
        }
    }
}

fn bytes(texts: &StringArray) -> f64 {
    texts.offsets().last().copied().unwrap_or_default() as f64
}

fn concat(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let columns = arguments.iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    let rows = arguments.first().map_or(0, |array| array.len());
    check("concat", columns.iter().map(bytes).sum())?;
    let mut joined = StringBuilder::new();
    for row in 0..rows {
        let parts: Vec<&str> = columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)).collect();
        joined.append_value(parts.concat());
    }
    Ok(Arc::new(joined.finish()))
}

fn concat_ws(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let columns = arguments.iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    let Some((separators, columns)) = columns.split_first() else { return Ok(Arc::new(StringArray::new_null(0))) };
    check("concat_ws", bytes(separators) * columns.len() as f64 + columns.iter().map(bytes).sum::<f64>())?;
    let mut joined = StringBuilder::new();
    for row in 0..separators.len() {
        if separators.is_null(row) {
            joined.append_null();
            continue;
        }
        let parts: Vec<&str> = columns.iter().filter(|column| column.is_valid(row)).map(|column| column.value(row)).collect();
        joined.append_value(parts.join(separators.value(row)));
    }
    Ok(Arc::new(joined.finish()))
}
