//! `bytea`: `octet_length` and `||`, which the engine has of texts alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use super::bounded::check;
use crate::error::{Report, SqlState};

type Types = Option<(Vec<DataType>, DataType)>;

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    vec![Builtin::function("octet_length", one, octet_length), byte_concatenation()]
}

/// `||` of two of them.
pub fn byte_concatenation() -> Arc<ScalarUDF> {
    Builtin::function("byteacat", two, byteacat)
}

fn one(arguments: &[DataType]) -> Types {
    let is_bytes =
        |of: &DataType| matches!(of, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_));
    match arguments {
        [bytes] if is_bytes(bytes) => Some((vec![DataType::Binary], DataType::Int32)),
        [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null] => Some((vec![DataType::Utf8], DataType::Int32)),
        _ => None,
    }
}

fn two(arguments: &[DataType]) -> Types {
    (arguments.len() == 2).then(|| (vec![DataType::Binary; 2], DataType::Binary))
}

fn octet_length(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let Some(values) = arguments.first() else { return Err(unknown()) };
    let bytes = cast(values, &DataType::Binary).map_err(|error| Report::new(SqlState::CANNOT_COERCE, error.to_string()))?;
    Ok(Arc::new(bytes.as_binary::<i32>().iter().map(|value| value.map(|value| value.len() as i32)).collect::<Int32Array>()))
}

fn byteacat(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [left, right] = arguments else { return Err(unknown()) };
    let (left, right) = (left.as_binary::<i32>(), right.as_binary::<i32>());
    check("||", (left.value_data().len() + right.value_data().len()) as f64)?;
    let mut joined = BinaryBuilder::with_capacity(left.len(), left.value_data().len() + right.value_data().len());
    for (left, right) in left.iter().zip(right.iter()) {
        joined.append_option(left.zip(right).map(|(left, right)| [left, right].concat()));
    }
    Ok(Arc::new(joined.finish()))
}

fn unknown() -> Report {
    Report::new(SqlState::UNDEFINED_FUNCTION, "no such function of bytea")
}
