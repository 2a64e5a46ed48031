//! What [`super::operators`] does for operators, done on the plan for what is none: BETWEEN, IN, SIMILAR TO, and casts.
//! Runs before the engine's own type coercion.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, Cast, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::operators::adapt;
use super::{casts, similar, uuid};

/// The rule.
#[derive(Debug, Default)]
pub struct PostgresCoercion;

impl AnalyzerRule for PostgresCoercion {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.as_deref().unwrap_or("UTC");
        plan.transform_up_with_subqueries(|node| {
            let mut schema = DFSchema::empty();
            for input in node.inputs() {
                schema.merge(input.schema());
            }
            if let LogicalPlan::TableScan(scan) = &node {
                schema.merge(&scan.projected_schema);
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(|part| rewrite(part, &schema, zone))?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "postgres_coercion"
    }
}

/// An expression that no rule will see, as the rule would leave it.
pub(in crate::plan) fn coerce(expression: Expr, schema: &DFSchema, zone: &str) -> Result<Expr> {
    expression.transform_up(|part| rewrite(part, schema, zone)).map(|rewritten| rewritten.data)
}

fn rewrite(expression: Expr, schema: &DFSchema, zone: &str) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(Cast { expr, field }) if *field.data_type() == DataType::FixedSizeBinary(uuid::WIDTH) => match expr.get_type(schema) {
            Ok(DataType::Utf8) => Ok(Transformed::yes(uuid::from_text(*expr)?)),
            Ok(DataType::Utf8View | DataType::LargeUtf8) => {
                Ok(Transformed::yes(uuid::from_text(datafusion::logical_expr::cast(*expr, DataType::Utf8))?))
            }
            _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
        },
        Expr::Cast(Cast { expr, field }) => match casts::rewrite(&expr, &field, schema, zone)? {
            Some(call) => Ok(Transformed::yes(call)),
            None => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
        },
        Expr::ScalarFunction(call) if zone != "UTC" && READS_THE_CLOCK.contains(&call.func.name()) => here(call, schema, zone),
        Expr::SimilarTo(like) => similar::rewrite(like),
        Expr::Between(Between { expr, negated, low, high }) => {
            let Ok(own) = expr.get_type(schema) else { return Ok(Transformed::no(Expr::Between(Between { expr, negated, low, high }))) };
            let low = towards(*low, &own, schema, zone)?;
            let high = towards(*high, &own, schema, zone)?;
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low: Box::new(low), high: Box::new(high) })))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let Ok(own) = expr.get_type(schema) else { return Ok(Transformed::no(Expr::InList(InList { expr, list, negated }))) };
            let list = list.into_iter().map(|item| towards(item, &own, schema, zone)).collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Functions of an instant whose answer depends on the time zone.
const READS_THE_CLOCK: [&str; 4] = ["date_part", "date_trunc", "extract", "to_char"];

/// The call with instants as the session's clocks show them: columns carry the zone that they were stored with.
fn here(mut call: ScalarFunction, schema: &DFSchema, zone: &str) -> Result<Transformed<Expr>> {
    let mut stored = None;
    for argument in &mut call.args {
        if let Ok(DataType::Timestamp(unit, Some(own))) = argument.get_type(schema)
            && own.as_ref() != zone
        {
            let shown = DataType::Timestamp(unit, Some(zone.into()));
            *argument = datafusion::logical_expr::cast(argument.clone(), shown);
            stored = Some(DataType::Timestamp(unit, Some(own)));
        }
    }
    let Some(stored) = stored else { return Ok(Transformed::no(Expr::ScalarFunction(call))) };
    let truncated = call.func.name() == "date_trunc";
    let call = Expr::ScalarFunction(call);
    Ok(Transformed::yes(if truncated { datafusion::logical_expr::cast(call, stored) } else { call }))
}

fn towards(expression: Expr, other: &DataType, schema: &DFSchema, zone: &str) -> Result<Expr> {
    let Ok(own) = expression.get_type(schema) else { return Ok(expression) };
    // A cast that this makes was not there when the operands were rewritten.
    rewrite(adapt(expression, &own, other)?, schema, zone).map(|rewritten| rewritten.data)
}
