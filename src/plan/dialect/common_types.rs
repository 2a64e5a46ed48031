//! Arguments that have to be of one type, on the plan: quoted literals become values of it, and other numbers floats beside a float. What
//! cannot be brought together is 42804, as in PostgreSQL; the engine would make text of all. The type's name, which the engine forgets, is
//! put back by a cast that changes nothing else.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Case, Cast, ScalarFunction};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan, cast};

use super::coercion::{rewrite_one, towards};
use super::operators::as_instant;
use super::style::Style;
use crate::catalog::{SEARCHED_CASE, common_name, common_type, unmatched};
use crate::pg_format::decode;
use crate::pg_format::reading::Reading;
use crate::pg_format::zone::Zone;
use crate::pg_type::PgType;
use crate::plan::context::external;

/// A call of `coalesce` and the like.
pub(super) fn call(mut call: ScalarFunction, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    let function = call.func.name().to_owned();
    let first = call.args.first().map(|first| (first.to_field(schema).ok().map(|(_, field)| field), is_literal(first)));
    let name = one_type(&function, call.args.iter_mut().collect(), schema, style)?;
    let name = match function.as_str() {
        "nullif" => match first.and_then(|(field, literal)| common_name([(field.as_ref()?, literal)].into_iter())) {
            // What it is compared as is text.
            Some(PgType::VARCHAR) => None,
            Some(PgType::BPCHAR) => return unless_equal(call, schema, style),
            name => name,
        },
        "make_array" => name.map(PgType::array_of),
        _ => name,
    };
    named(Expr::ScalarFunction(call), name, schema)
}

/// `nullif` of a `char(n)`, whose comparison is another than that of texts.
fn unless_equal(call: ScalarFunction, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    let mut arguments = call.args.into_iter();
    let (Some(value), Some(other)) = (arguments.next(), arguments.next()) else {
        return Err(DataFusionError::Internal("nullif takes two values".into()));
    };
    let equal = rewrite_one(value.clone().eq(other), schema, style)?;
    let nothing = Expr::Literal(ScalarValue::Utf8(None), None);
    let choice = Case { expr: None, when_then_expr: vec![(Box::new(equal), Box::new(nothing))], else_expr: Some(Box::new(value)) };
    named(Expr::Case(choice), Some(PgType::BPCHAR), schema)
}

/// A CASE.
pub(super) fn case(mut case: Case, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    let results = case.else_expr.as_deref_mut().into_iter().chain(case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut()));
    let name = one_type(SEARCHED_CASE, results.collect(), schema, style)?;
    if let Some(own) = case.expr.as_ref().and_then(|operand| operand.get_type(schema).ok()) {
        for (when, _) in &mut case.when_then_expr {
            **when = towards(std::mem::take(when.as_mut()), &own, schema, style)?;
        }
    }
    named(Expr::Case(case), name, schema)
}

/// The name of the type that the parts have in common, to which they are brought.
fn one_type(function: &str, parts: Vec<&mut Expr>, schema: &DFSchema, style: Style<'_>) -> Result<Option<PgType>> {
    let fields: Option<Vec<FieldRef>> = parts.iter().map(|part| part.to_field(schema).ok().map(|(_, field)| field)).collect();
    // What has no type yet is a parameter's, or an error that the engine tells.
    let Some(fields) = fields else { return Ok(None) };
    let types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
    let Some(common) = common_type(&types) else { return Err(unmatched(function, &types)) };
    let literals: Vec<bool> = parts.iter().map(|part| is_literal(part)).collect();
    let name = common_name(fields.iter().zip(literals.iter().copied()));
    for ((part, own), literal) in parts.into_iter().zip(&types).zip(literals) {
        if is_text(own) && !is_text(&common) {
            if !literal && !matches!(part, Expr::Placeholder(_)) {
                return Err(unmatched(function, &types));
            }
            *part = value(std::mem::take(part), &common, schema, style)?;
        } else if literal && matches!(name, Some(PgType::JSON | PgType::JSONB | PgType::CHAR)) {
            let field = name.map(|name| Arc::new(name.arrow_field("")));
            if let Some(field) = field {
                *part = rewrite_one(Expr::Cast(Cast { expr: Box::new(std::mem::take(part)), field }), schema, style)?;
            }
        } else if matches!((own, &common), (DataType::Timestamp(_, None) | DataType::Date32, DataType::Timestamp(_, Some(_)))) {
            // What the session's clock shows then.
            *part = as_instant(std::mem::take(part), &common, style.zone);
        } else if common.is_floating() && own.is_numeric() && *own != common {
            *part = cast(std::mem::take(part), common.clone());
        }
    }
    Ok(name)
}

/// A quoted literal as a value of this type.
pub(super) fn value(literal: Expr, wanted: &DataType, schema: &DFSchema, style: Style<'_>) -> Result<Expr> {
    // What is none is an error even where it would not be chosen.
    if let (Expr::Literal(ScalarValue::Utf8(Some(text)), _), false) = (&literal, wanted.is_nested()) {
        let reading = Reading { zone: Zone::parse(style.zone).unwrap_or(Zone::UTC), order: style.order };
        decode::parse_text(PgType::of_data_type(wanted), text, reading).map_err(external)?;
    }
    let adapted = towards(literal, wanted, schema, style)?;
    match adapted {
        literal @ Expr::Literal(ScalarValue::Utf8(_), _) if !wanted.is_nested() && !wanted.is_null() => {
            rewrite_one(cast(literal, wanted.clone()), schema, style)
        }
        adapted => Ok(adapted),
    }
}

fn named(expression: Expr, name: Option<PgType>, schema: &DFSchema) -> Result<Expr> {
    let Some(name) = name else { return Ok(expression) };
    let (_, found) = expression.to_field(schema)?;
    let bare = found.as_ref().clone().with_metadata(Default::default());
    if PgType::of(&bare) == name {
        return Ok(expression);
    }
    let wanted = name.arrow_field("").with_data_type(found.data_type().clone()).with_nullable(found.is_nullable());
    Ok(if PgType::of(&wanted) == name { Expr::Cast(Cast { expr: Box::new(expression), field: Arc::new(wanted) }) } else { expression })
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A text in quotes, which has no type of its own.
fn is_literal(expression: &Expr) -> bool {
    match expression {
        Expr::Alias(alias) => is_literal(&alias.expr),
        Expr::Literal(ScalarValue::Utf8(_), metadata) => metadata.as_ref().is_none_or(|metadata| metadata.is_empty()),
        _ => false,
    }
}

/// Whether a column of a relation is nothing but such texts.
pub(super) fn is_literal_column(plan: &LogicalPlan, column: usize) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.get(column).is_some_and(is_literal),
        LogicalPlan::Values(values) => values.values.iter().all(|row| row.get(column).is_some_and(is_literal)),
        LogicalPlan::SubqueryAlias(alias) => is_literal_column(&alias.input, column),
        LogicalPlan::Filter(filter) => is_literal_column(&filter.input, column),
        LogicalPlan::Sort(sort) => is_literal_column(&sort.input, column),
        LogicalPlan::Limit(limit) => is_literal_column(&limit.input, column),
        LogicalPlan::Distinct(Distinct::All(input)) => is_literal_column(input, column),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| is_literal_column(input, column)),
        _ => false,
    }
}
