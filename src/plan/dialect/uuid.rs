//! Text to uuid: the engine knows sixteen bytes, not how people write them.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Expr;

use crate::catalog::Builtin;
use crate::error::Report;
use crate::pg_format::decode::{self, Value};
use crate::pg_type::PgType;
use crate::plan::context::external;

/// Bytes of a uuid.
pub(super) const WIDTH: i32 = 16;

/// A literal text as a literal uuid; other expressions as a call. What is none is 22P02.
pub(super) fn from_text(expression: Expr) -> Result<Expr> {
    if let Expr::Literal(ScalarValue::Utf8(text), metadata) = &expression {
        let bytes = text.as_deref().map(decode::uuid).transpose().map_err(external)?;
        return Ok(Expr::Literal(ScalarValue::FixedSizeBinary(WIDTH, bytes), metadata.clone()));
    }
    Ok(Builtin::function_of("uuid_in", of_a_text, uuid_in, PgType::UUID).call(vec![expression]))
}

fn of_a_text(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    (arguments.len() == 1).then(|| (vec![DataType::Utf8], DataType::FixedSizeBinary(WIDTH)))
}

fn uuid_in(arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, Report> {
    let texts = arguments.iter().flat_map(|texts| texts.as_string::<i32>());
    let values = texts.map(|text| text.map_or(Ok(Value::Null), |text| decode::uuid(text).map(Value::Bytes)));
    decode::build(&DataType::FixedSizeBinary(WIDTH), &values.collect::<std::result::Result<Vec<_>, _>>()?)
}
