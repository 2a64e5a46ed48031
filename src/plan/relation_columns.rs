//! What columns the relations of a FROM clause have, found by planning the clause alone.
//!
//! The tree does not tell: a relation may be a table, a view, a function or a query. What stands in ON decides no column, and may name columns
//! from outside, so it is left out. Costs one planning of the clause; only statements that cannot do without it ask.

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, JoinConstraint, JoinOperator, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Value, With,
};

use crate::sql::parse_entity_query;

/// The columns, in order, under the names of their relations. `ctes` are those in scope, the outermost first; `build` plans a statement.
pub(super) fn of(from: &[TableWithJoins], ctes: &[With], build: &dyn Fn(&Statement) -> Result<LogicalPlan>) -> Result<Option<DFSchema>> {
    let Ok(mut query) = parse_entity_query("SELECT 1") else { return Ok(None) };
    // The engine lets none hide another of its name.
    let tables: Vec<Cte> = ctes.iter().flat_map(|with| &with.cte_tables).cloned().collect();
    if let Some(last) = ctes.last() {
        query.with = Some(With { recursive: ctes.iter().any(|with| with.recursive), cte_tables: tables, ..last.clone() });
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(None) };
    select.from = from.to_vec();
    select.from.iter_mut().for_each(crossed);
    select.projection = vec![SelectItem::UnnamedExpr(Expr::value(Value::Number("1".to_owned(), false)))];
    let plan = build(&Statement::Query(query))?;
    Ok(match &plan {
        LogicalPlan::Projection(projection) => Some(projection.input.schema().as_ref().clone()),
        _ => None,
    })
}

/// The clause without its conditions.
fn crossed(table: &mut TableWithJoins) {
    let mut relations = vec![&mut table.relation];
    for join in &mut table.joins {
        join.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        relations.push(&mut join.relation);
    }
    for relation in relations {
        if let TableFactor::NestedJoin { table_with_joins, alias: None } = relation {
            crossed(table_with_joins);
        }
    }
}
