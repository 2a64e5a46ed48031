//! How deep subqueries may stand in conditions and values of subqueries.
//!
//! The engine checks its plans after every pass, and takes twice as long for each level of such a subquery: twenty are a minute, thirty are
//! hours in which nothing can be cancelled. Beyond [`MAX_DEPTH`] a statement is 54001. Subqueries in FROM do not count.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, Visit, Visitor};

use crate::error::{Report, SqlState};

/// Levels that are checked in a moment.
const MAX_DEPTH: usize = 12;

/// 54001 for a statement that goes deeper.
pub(in crate::plan) fn check(statement: &Statement) -> Result<(), Report> {
    if statement.visit(&mut Depth(0)).is_continue() {
        return Ok(());
    }
    Err(Report::new(SqlState::STATEMENT_TOO_COMPLEX, format!("subqueries in conditions are nested more than {MAX_DEPTH} deep"))
        .hint("Join the inner ones in FROM, or put their rows into a temporary table."))
}

struct Depth(usize);

fn is_subquery(expression: &Expr) -> bool {
    matches!(expression, Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_))
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        self.0 += usize::from(is_subquery(expression));
        if self.0 > MAX_DEPTH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        self.0 -= usize::from(is_subquery(expression));
        ControlFlow::Continue(())
    }
}
