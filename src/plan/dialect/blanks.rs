//! The blanks that fill a `char(n)`: no part of it where it is compared or becomes text, and part of it where it is matched (LIKE) or sent.
//!
//! What is compared with one (a `char(n)`, a `varchar`, a literal) is read as one, and loses its blanks too; a `text` keeps them, as in
//! PostgreSQL, whose operator is then that of texts. Groups and sets compare values of one column, which are filled alike.

use std::sync::{Arc, LazyLock};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Between, Cast, InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF};

use crate::catalog::{Builtin, SEARCHED_CASE, SIMPLE_CASE};
use crate::error::{Report, SqlState};
use crate::pg_format::characters;
use crate::pg_type::PgType;

/// The function that takes the blanks away, which PostgreSQL has under this name.
const NAME: &str = "rtrim1";

/// Functions that take a `char(n)` as it is; all others take text.
const AS_IT_IS: &[&str] = &[
    "array_agg",
    "array_to_string",
    "coalesce",
    "concat",
    "concat_ws",
    "format",
    "greatest",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "least",
    "make_array",
    "nullif",
    "octet_length",
    "pg_typeof",
    "to_json",
    "to_jsonb",
    NAME,
    SEARCHED_CASE,
    SIMPLE_CASE,
];

static TRIM: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Builtin::function(NAME, one_text, trim));

fn one_text(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    (arguments.len() == 1).then(|| (vec![DataType::Utf8], DataType::Utf8))
}

fn trim(arguments: &[ArrayRef]) -> Result<ArrayRef, Report> {
    let [texts] = arguments else { return Err(Report::new(SqlState::UNDEFINED_FUNCTION, "rtrim1 takes one text")) };
    characters::trimmed(texts)
}

/// The expression with blanks taken from its parts where they do not count.
pub(super) fn rewrite(mut expression: Expr, schema: &DFSchema) -> Expr {
    let fixed = |part: &Expr| pg_type(part, schema) == Some(PgType::BPCHAR);
    match &mut expression {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            [left, right].into_iter().filter(|side| fixed(side)).for_each(|side| take(side));
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if super::coercion::is_comparison(*op) && (fixed(left) || fixed(right)) => {
            [left, right].into_iter().filter(|side| reads_as_fixed(side, schema)).for_each(|side| take(side));
        }
        Expr::InList(InList { expr, list, .. }) if fixed(expr) || list.iter().any(fixed) => {
            std::iter::once(expr.as_mut()).chain(list).filter(|side| reads_as_fixed(side, schema)).for_each(take);
        }
        Expr::Between(Between { expr, low, high, .. }) if [&*expr, &*low, &*high].into_iter().any(|side| fixed(side)) => {
            [expr, low, high].into_iter().filter(|side| reads_as_fixed(side, schema)).for_each(|side| take(side));
        }
        Expr::Cast(Cast { expr, field }) if PgType::of(field) != PgType::BPCHAR && fixed(expr) => take(expr),
        Expr::ScalarFunction(ScalarFunction { func, args }) if !AS_IT_IS.contains(&func.name()) => {
            args.iter_mut().filter(|argument| fixed(argument)).for_each(take);
        }
        Expr::AggregateFunction(AggregateFunction { func, params }) if func.name() == "string_agg" => {
            params.args.iter_mut().filter(|argument| fixed(argument)).for_each(take);
        }
        _ => {}
    }
    expression
}

fn pg_type(expression: &Expr, schema: &DFSchema) -> Option<PgType> {
    expression.to_field(schema).ok().map(|(_, field)| PgType::of(&field))
}

/// Whether it is a `char(n)` beside one.
fn reads_as_fixed(expression: &Expr, schema: &DFSchema) -> bool {
    matches!(expression, Expr::Literal(ScalarValue::Utf8(_), _))
        || matches!(pg_type(expression, schema), Some(PgType::BPCHAR | PgType::VARCHAR))
}

fn take(expression: &mut Expr) {
    let own = std::mem::take(expression);
    *expression = TRIM.call(vec![own]);
}
