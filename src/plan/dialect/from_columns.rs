//! What the tree alone does not tell: the columns of FROM, for the two that need them ([`super::whole_rows`] and [`super::merged_columns`]).
//!
//! Queries are visited from the inside out, because what refers to an inner one needs its columns as they will be; each with the CTEs that it sees.
//! While a query is visited its CTEs are held here and not in it, so that none is visited twice.

use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{Query, Statement, TableWithJoins, VisitMut, VisitorMut, With};

use super::{merged_columns, whole_rows};

/// Finds the columns of relations, given the CTEs in scope.
pub(in crate::plan) type Columns<'a> = dyn Fn(&[TableWithJoins], &[With]) -> Result<Option<DFSchema>> + 'a;

/// Rewrites both.
pub(in crate::plan) fn rewrite(statement: &mut Statement, columns: &Columns<'_>) -> Result<()> {
    match statement.visit(&mut Queries { columns, scope: Vec::new() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(failure) => Err(failure),
    }
}

struct Queries<'a> {
    columns: &'a Columns<'a>,
    /// The CTEs of the queries around, as far as they can be seen.
    scope: Vec<With>,
}

impl Queries<'_> {
    fn query(&self, query: &mut Query) -> Result<()> {
        let columns = |from: &[TableWithJoins]| (self.columns)(from, &self.scope);
        whole_rows::in_query(query, &columns)?;
        merged_columns::in_query(query, &columns)
    }
}

impl VisitorMut for Queries<'_> {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let Some(with) = &mut query.with else { return ControlFlow::Continue(()) };
        let tables = std::mem::take(&mut with.cte_tables);
        // To itself, and to those that follow, a recursive one refers as well.
        let seen = if with.recursive { tables.clone() } else { Vec::new() };
        self.scope.push(With { cte_tables: seen, ..with.clone() });
        for (index, mut table) in tables.into_iter().enumerate() {
            table.query.visit(self)?;
            let Some(scope) = self.scope.last_mut() else { break };
            match scope.cte_tables.get_mut(index) {
                Some(before) => *before = table,
                None => scope.cte_tables.push(table),
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        if let Err(failure) = self.query(query) {
            return ControlFlow::Break(failure);
        }
        if let Some(with) = &mut query.with
            && let Some(scope) = self.scope.pop()
        {
            with.cte_tables = scope.cte_tables;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_entity_query;

    #[test]
    fn queries_in_queries_are_visited_once_each_and_stay_as_they_are() {
        let mut text = "SELECT 1 AS x".to_owned();
        for depth in 0..30 {
            text = format!("WITH t{depth} AS ({text}), r AS (SELECT 1) SELECT * FROM t{depth}");
        }
        let mut statement = Statement::Query(parse_entity_query(&text).unwrap());
        rewrite(&mut statement, &|_, _| Ok(None)).unwrap();
        assert_eq!(statement.to_string(), text);
    }
}
