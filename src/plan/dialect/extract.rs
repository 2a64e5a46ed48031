//! `EXTRACT`: a numeric in PostgreSQL, with the fraction of a second where the field has one. The engine gives integers and cuts.
//!
//! Fields that are whole stay the engine's `date_part` under a cast, so that a comparison with one still prunes files.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::datetime::expr_fn::date_part;
use datafusion::logical_expr::planner::PlannerResult;
use datafusion::logical_expr::{Expr, cast};

use crate::catalog::{FIELDS_WITH_FRACTION, extract_fraction};

/// `[field, source]` as an expression.
pub(super) fn plan(mut arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
    let (Some(source), Some(Expr::Literal(ScalarValue::Utf8(Some(field)), _))) = (arguments.get(1), arguments.first()) else {
        return Ok(PlannerResult::Original(arguments));
    };
    let field = field.to_ascii_lowercase();
    if let Some((_, scale)) = FIELDS_WITH_FRACTION.iter().find(|(name, _)| *name == field) {
        let (source, digits) = (source.clone(), DataType::Decimal128(24, *scale));
        return Ok(PlannerResult::Planned(cast(extract_fraction(&field, source), digits)));
    }
    let source = arguments.swap_remove(1);
    let field = arguments.swap_remove(0);
    Ok(PlannerResult::Planned(cast(date_part(field, source), DataType::Decimal128(20, 0))))
}
