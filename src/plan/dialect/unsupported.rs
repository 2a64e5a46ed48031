//! What PostgreSQL does and the engine would do wrong, or in hours: refused on the tree, before it is planned.
//!
//! - `EXCEPT ALL` and `INTERSECT ALL`: the engine takes the rows of one side that the other has, however often. 0A000.
//! - Subqueries in conditions and values of subqueries more than [`MAX_DEPTH`] deep: the engine checks its plans after every pass, and takes
//!   twice as long for each level; twenty are a minute, thirty are hours in which nothing can be cancelled. 54001. Those in FROM do not count.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, SetOperator, SetQuantifier, Statement, Visit, Visitor};

use crate::error::{Report, SqlState};

/// Levels that are checked in a moment.
const MAX_DEPTH: usize = 12;

/// The refusal, if there is anything to refuse.
pub(in crate::plan) fn check(statement: &Statement) -> Result<(), Report> {
    match statement.visit(&mut Unsupported { depth: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(report) => Err(*report),
    }
}

struct Unsupported {
    depth: usize,
}

fn is_subquery(expression: &Expr) -> bool {
    matches!(expression, Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_))
}

/// `EXCEPT ALL` or `INTERSECT ALL`, if it is in the body itself.
fn counting(body: &SetExpr) -> Option<&'static str> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else { return None };
    match (op, set_quantifier) {
        (SetOperator::Except, SetQuantifier::All) => Some("EXCEPT ALL"),
        (SetOperator::Intersect, SetQuantifier::All) => Some("INTERSECT ALL"),
        _ => counting(left).or_else(|| counting(right)),
    }
}

impl Visitor for Unsupported {
    type Break = Box<Report>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<Report>> {
        let Some(operation) = counting(&query.body) else { return ControlFlow::Continue(()) };
        let report = Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{operation} is not supported"));
        let hint = "Number equal rows with row_number() OVER (PARTITION BY all columns), and leave ALL out.";
        ControlFlow::Break(Box::new(report.hint(hint)))
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Box<Report>> {
        self.depth += usize::from(is_subquery(expression));
        if self.depth <= MAX_DEPTH {
            return ControlFlow::Continue(());
        }
        let message = format!("subqueries in conditions are nested more than {MAX_DEPTH} deep");
        let report = Report::new(SqlState::STATEMENT_TOO_COMPLEX, message);
        ControlFlow::Break(Box::new(report.hint("Join the inner ones in FROM, or put their rows into a temporary table.")))
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Box<Report>> {
        self.depth -= usize::from(is_subquery(expression));
        ControlFlow::Continue(())
    }
}
