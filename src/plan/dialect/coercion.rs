//! What [`super::operators`] does for operators, done on the plan for what is none: BETWEEN, IN, and casts of text to uuid.
//! Runs before the engine's own type coercion.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, Cast, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::operators::adapt;
use super::uuid;

/// The rule.
#[derive(Debug, Default)]
pub struct PostgresCoercion;

impl AnalyzerRule for PostgresCoercion {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
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
                let rewritten = expression.transform_up(|part| rewrite(part, &schema))?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "postgres_coercion"
    }
}

fn rewrite(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(Cast { expr, field }) if *field.data_type() == DataType::FixedSizeBinary(uuid::WIDTH) => match expr.get_type(schema) {
            Ok(DataType::Utf8) => Ok(Transformed::yes(uuid::from_text(*expr)?)),
            Ok(DataType::Utf8View | DataType::LargeUtf8) => {
                Ok(Transformed::yes(uuid::from_text(datafusion::logical_expr::cast(*expr, DataType::Utf8))?))
            }
            _ => Ok(Transformed::no(Expr::Cast(Cast { expr, field }))),
        },
        Expr::Between(Between { expr, negated, low, high }) => {
            let Ok(own) = expr.get_type(schema) else { return Ok(Transformed::no(Expr::Between(Between { expr, negated, low, high }))) };
            let low = towards(*low, &own, schema)?;
            let high = towards(*high, &own, schema)?;
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low: Box::new(low), high: Box::new(high) })))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let Ok(own) = expr.get_type(schema) else { return Ok(Transformed::no(Expr::InList(InList { expr, list, negated }))) };
            let list = list.into_iter().map(|item| towards(item, &own, schema)).collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn towards(expression: Expr, other: &DataType, schema: &DFSchema) -> Result<Expr> {
    match expression.get_type(schema) {
        Ok(own) => adapt(expression, &own, other),
        Err(_) => Ok(expression),
    }
}
