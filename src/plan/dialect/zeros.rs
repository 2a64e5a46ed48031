//! GROUP BY and DISTINCT keep the sign of a zero, as PostgreSQL does: it shows a value of the group.
//!
//! The engine folds `-0.0` into `0.0` to find groups, and shows what it folded. Beside each floating key the rule
//! asks whether all values of the group are `-0.0`, and gives that back above the aggregate. Where a group has zeros of both
//! signs, PostgreSQL shows whichever came first; here it is `0.0`, so that the answer does not depend on the order of rows.
//! Costs one boolean per group, for floating keys only; ROLLUP and its like, and floats inside nested keys, stay the engine's.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_aggregate::bool_and_or::bool_and;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection, when};
use datafusion::optimizer::AnalyzerRule;

use crate::catalog::Builtin;
use crate::error::Report;

/// The rule. Runs after the engine has settled types.
#[derive(Debug, Default)]
pub struct KeepSignedZeros;

impl AnalyzerRule for KeepSignedZeros {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) => keep(aggregate),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                if !input.schema().fields().iter().any(|field| field.data_type().is_floating()) {
                    return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
                }
                let keys = input.schema().iter().map(|(relation, field)| Expr::Column(Column::from((relation, field)))).collect();
                keep(Aggregate::try_new(input, keys, Vec::new())?)
            }
            other => Ok(Transformed::no(other)),
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "keep_signed_zeros"
    }
}

fn keep(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let keys = aggregate.group_expr.len();
    let sets = aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)));
    let floating: Vec<usize> = (0..keys).filter(|key| aggregate.schema.field(*key).data_type().is_floating()).collect();
    if sets || floating.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let Aggregate { input, group_expr, mut aggr_expr, schema, .. } = aggregate;
    let negative_zero = Builtin::function("is_negative_zero", of_a_float, is_negative_zero);
    for key in &floating {
        aggr_expr.push(bool_and(negative_zero.call(vec![group_expr[*key].clone()])));
    }
    let wide = Aggregate::try_new(input, group_expr, aggr_expr)?;
    let first_sign = wide.schema.fields().len() - floating.len();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for (at, (relation, field)) in schema.iter().enumerate() {
        let column = Expr::Column(Column::from((relation, field)));
        let Some(key) = floating.iter().position(|key| *key == at) else {
            columns.push(column);
            continue;
        };
        let negative = Expr::Column(Column::from(wide.schema.qualified_field(first_sign + key)));
        let zero = match field.data_type() {
            DataType::Float32 => ScalarValue::Float32(Some(-0.0)),
            _ => ScalarValue::Float64(Some(-0.0)),
        };
        let value = when(negative, Expr::Literal(zero, None)).otherwise(column)?;
        let metadata = FieldMetadata::from(field.metadata().clone());
        columns.push(Expr::Alias(Alias::new(value, relation.cloned(), field.name()).with_metadata(Some(metadata))));
    }
    let projection = Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(wide)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// `is_negative_zero(double precision | real) -> boolean`; never NULL, since a NULL key is no zero.
fn is_negative_zero(arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, Report> {
    fn answers<T: ArrowPrimitiveType<Native: Into<f64>>>(keys: &ArrayRef) -> impl Iterator<Item = bool> {
        keys.as_primitive::<T>().iter().map(|key| key.map(Into::into).is_some_and(|key: f64| key == 0.0 && key.is_sign_negative()))
    }
    let answers = arguments.iter().flat_map(|keys| -> Vec<bool> {
        match keys.data_type() {
            DataType::Float32 => answers::<Float32Type>(keys).collect(),
            _ => answers::<Float64Type>(keys).collect(),
        }
    });
    Ok(Arc::new(BooleanArray::from(answers.collect::<Vec<_>>())))
}

fn of_a_float(arguments: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    matches!(arguments, [DataType::Float32 | DataType::Float64]).then(|| (arguments.to_vec(), DataType::Boolean))
}
