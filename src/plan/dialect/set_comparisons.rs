//! `x = ANY (SELECT …)`, `x > ALL (SELECT …)`. Equality is IN and NOT IN. For the others the engine correlates by name, and mistakes a
//! column of the subquery for one of the outer query's where both read the same table; so the subquery gets a name of its own.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, SelectItem, SetExpr, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

/// Rewrites comparisons with the rows of a subquery.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Comparisons { named: 0 });
}

struct Comparisons {
    named: usize,
}

impl Comparisons {
    /// `SELECT * FROM (query) AS …`, if the pattern's shape is as expected.
    fn named(&mut self, query: &Query) -> Option<Query> {
        let mut outer = *crate::sql::parse_entity_query("SELECT * FROM (SELECT 1) AS q").ok()?;
        let SetExpr::Select(select) = outer.body.as_mut() else { return None };
        let TableFactor::Derived { subquery, alias: Some(TableAlias { name, .. }), .. } = &mut select.from.first_mut()?.relation else {
            return None;
        };
        if !matches!(select.projection.as_slice(), [SelectItem::Wildcard(_)]) {
            return None;
        }
        self.named += 1;
        // A name that no statement can hold.
        *name = Ident::with_quote('"', format!("\u{0}{}", self.named));
        **subquery = query.clone();
        Some(outer)
    }
}

impl VisitorMut for Comparisons {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let (Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right }) = &*expression else {
            return ControlFlow::Continue(());
        };
        let Expr::Subquery(query) = right.as_ref() else { return ControlFlow::Continue(()) };
        let any = matches!(expression, Expr::AnyOp { .. });
        let is_in = match (any, compare_op) {
            (true, BinaryOperator::Eq) => Some(false),
            (false, BinaryOperator::NotEq) => Some(true),
            _ => None,
        };
        if let Some(negated) = is_in {
            *expression = Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated };
        } else if let Some(named) = self.named(query)
            && let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expression
        {
            **right = Expr::Subquery(Box::new(named));
        }
        ControlFlow::Continue(())
    }
}
