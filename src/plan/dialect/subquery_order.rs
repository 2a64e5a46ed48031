//! `SELECT … FROM (SELECT … ORDER BY x) t` gives rows in the inner order, and `LIMIT 10` behind it the first ten of it.
//!
//! SQL does not promise that, but PostgreSQL does it, and every tool that wraps a user's query relies on it. The engine's planner drops an
//! ORDER BY there unless the subquery is limited, so it gets the `OFFSET 0` that PostgreSQL's users write for the same reason; the engine removes
//! that one later and leaves the sort. What aggregates the rows may still take them in any order.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Offset, OffsetRows, Query, Statement, TableFactor, Value, VisitMut, VisitorMut};

/// Marks such subqueries.
pub(super) fn keep(statement: &mut Statement) {
    let _ = statement.visit(&mut Subqueries);
}

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            mark(&mut table.query);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            mark(subquery);
        }
        ControlFlow::Continue(())
    }
}

fn mark(query: &mut Query) {
    if query.order_by.is_some() && query.limit_clause.is_none() && query.fetch.is_none() {
        let offset = Some(Offset { value: Expr::value(Value::Number("0".to_owned(), false)), rows: OffsetRows::None });
        query.limit_clause = Some(LimitClause::LimitOffset { limit: None, offset, limit_by: Vec::new() });
    }
}
