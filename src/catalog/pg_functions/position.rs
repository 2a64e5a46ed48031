//! `strpos` and `position(… in …)`, in time that grows with the text and not with the text times what is looked for, as the engine's does.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::Builtin;
use crate::error::Report;

/// `strpos(text, what) -> integer`: the place of the first occurrence in characters, from 1; 0 if there is none.
pub fn strpos() -> Arc<ScalarUDF> {
    Builtin::function("strpos", two_texts, positions)
}

fn two_texts(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    (arguments.len() == 2).then(|| (vec![DataType::Utf8; 2], DataType::Int32))
}

fn positions(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [texts, wanted] = arguments else { return Ok(Arc::new(Int32Array::new_null(0))) };
    let pairs = texts.as_string::<i32>().iter().zip(wanted.as_string::<i32>());
    let found = pairs.map(|pair| {
        let (text, wanted) = (pair.0?, pair.1?);
        let before = text.find(wanted).map(|at| text[..at].chars().count() as i32);
        Some(before.map_or(0, |before| before + 1))
    });
    Ok(Arc::new(found.collect::<Int32Array>()))
}
