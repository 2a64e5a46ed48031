//! `concat` and `concat_ws`: values of all types in PostgreSQL's spelling, without the NULLs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::error::{Report, SqlState};
use crate::pg_format::OutputSettings;
use crate::pg_format::encode;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Builtin::function("concat", anything, concat), Builtin::function("concat_ws", anything, concat_ws)]
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

fn concat(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let columns = arguments.iter().map(texts).collect::<Result<Vec<_>, _>>()?;
    let rows = arguments.first().map_or(0, |array| array.len());
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
