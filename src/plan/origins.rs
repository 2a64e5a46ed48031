//! Which column of which relation a result column is, for RowDescription: drivers tell tables and keys by it.
//!
//! A column is followed down the plan as long as it is passed on unchanged, under whatever name: through filters, joins, groupings
//! and subqueries, as in PostgreSQL. What is computed, or comes from several places, has no origin. Columns of source tables have none either:
//! those tables are in no catalog of PostgreSQL's kind.

use datafusion::common::{JoinType, TableReference};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use crate::catalog::Catalog;
use crate::pg_type::PG_TYPMOD_KEY;

/// The origin of each of the plan's columns.
pub(super) fn of(plan: &LogicalPlan, catalog: &Catalog) -> Vec<Option<(u32, i16)>> {
    (0..plan.schema().fields().len()).map(|index| origin(plan, index, catalog)).collect()
}

fn origin(plan: &LogicalPlan, index: usize, catalog: &Catalog) -> Option<(u32, i16)> {
    let passed = |input: &LogicalPlan| origin(input, index, catalog);
    match plan {
        LogicalPlan::Projection(projection) => of_expression(projection.expr.get(index)?, &projection.input, catalog),
        LogicalPlan::Aggregate(aggregate) => of_expression(aggregate.group_expr.get(index)?, &aggregate.input, catalog),
        LogicalPlan::Filter(filter) => passed(&filter.input),
        LogicalPlan::Sort(sort) => passed(&sort.input),
        LogicalPlan::Limit(limit) => passed(&limit.input),
        LogicalPlan::Distinct(Distinct::All(input)) => passed(input),
        LogicalPlan::Window(window) if index < window.input.schema().fields().len() => passed(&window.input),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => passed(&join.right),
                _ if index < left => passed(&join.left),
                JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => origin(&join.right, index - left, catalog),
                _ => None,
            }
        }
        // A feature view stands in the plan as what it reads, under its name.
        LogicalPlan::SubqueryAlias(alias) => {
            passed(&alias.input).or_else(|| named(&alias.alias, alias.schema.field(index).name(), catalog))
        }
        LogicalPlan::TableScan(scan) => named(&scan.table_name, scan.projected_schema.field(index).name(), catalog),
        _ => None,
    }
}

/// Whether a column's type has the modifier that its Arrow type shows: a relation's column and a cast have, what is computed has not.
pub(super) fn keeps_modifier(plan: &LogicalPlan, index: usize) -> bool {
    let passed = |input: &LogicalPlan| keeps_modifier(input, index);
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.get(index).is_some_and(|part| modified(part, &projection.input)),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.get(index).is_some_and(|part| modified(part, &aggregate.input)),
        LogicalPlan::Filter(filter) => passed(&filter.input),
        LogicalPlan::Sort(sort) => passed(&sort.input),
        LogicalPlan::Limit(limit) => passed(&limit.input),
        LogicalPlan::Distinct(Distinct::All(input)) => passed(input),
        LogicalPlan::Window(window) => index < window.input.schema().fields().len() && passed(&window.input),
        LogicalPlan::SubqueryAlias(alias) => passed(&alias.input),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| passed(input)),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => passed(&join.right),
                _ if index < left => passed(&join.left),
                _ => keeps_modifier(&join.right, index - left),
            }
        }
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => false,
        _ => true,
    }
}

fn modified(expression: &Expr, input: &LogicalPlan) -> bool {
    match expression {
        Expr::Alias(alias) => modified(&alias.expr, input),
        Expr::Column(column) => input.schema().maybe_index_of_column(column).is_some_and(|index| keeps_modifier(input, index)),
        // Casts that were not written have no modifier of their own.
        Expr::Cast(cast) => cast.field.metadata().contains_key(PG_TYPMOD_KEY),
        _ => false,
    }
}

fn of_expression(expression: &Expr, input: &LogicalPlan, catalog: &Catalog) -> Option<(u32, i16)> {
    match expression {
        Expr::Alias(alias) => of_expression(&alias.expr, input, catalog),
        Expr::Column(column) => origin(input, input.schema().maybe_index_of_column(column)?, catalog),
        _ => None,
    }
}

fn named(table: &TableReference, column: &str, catalog: &Catalog) -> Option<(u32, i16)> {
    match table {
        TableReference::Full { .. } => None,
        TableReference::Partial { schema, table } => catalog.attribute(Some(schema), table, column),
        TableReference::Bare { table } => catalog.attribute(None, table, column),
    }
}
