//! `x = ANY (SELECT …)`, `x > ALL (SELECT …)`, `x = ANY (ARRAY[…])`, `x LIKE ANY ('{…}')`. Equality is IN and NOT IN. For the other comparisons
//! with rows the engine correlates by name, and mistakes a column of the subquery for one of the outer query's where both read the same table;
//! so the subquery gets a name of its own. With an array that is written out they are comparisons with each of its elements.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Ident, Query, SelectItem, SetExpr, Statement, TableAlias,
    TableFactor, Value, ValueWithSpan, VisitMut, VisitorMut,
};

use super::catalog_names::{elements, is_read_alike};
use super::rows::{binary, joined};

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
        if let Expr::Like { any: true, pattern, .. } | Expr::ILike { any: true, pattern, .. } = expression {
            if let Some(patterns) = elements_of(pattern) {
                **pattern = Expr::value(Value::Null);
                let each = patterns.into_iter().map(|pattern| like(expression.clone(), pattern));
                let whole = joined(each.collect(), &BinaryOperator::Or);
                if let Some(whole) = whole {
                    *expression = Expr::Nested(Box::new(whole));
                }
            }
            return ControlFlow::Continue(());
        }
        let (Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right }) = &*expression else {
            return ControlFlow::Continue(());
        };
        let Expr::Subquery(query) = right.as_ref() else {
            if let Some(written) = elements_of(right).and_then(|elements| compared(expression, elements)) {
                *expression = written;
            }
            return ControlFlow::Continue(());
        };
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

/// The elements of an array that is written out, each of the type that the array is cast to; `None` of any other, of an empty
/// one, and of one of several dimensions.
fn elements_of(array: &Expr) -> Option<Vec<Expr>> {
    let found = match array {
        Expr::Nested(inner) => elements_of(inner)?,
        Expr::Array(Array { elem, .. }) if !elem.iter().any(|element| matches!(element, Expr::Array(_))) => elem.clone(),
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            let value = |element: Option<String>| Expr::value(element.map_or(Value::Null, Value::SingleQuotedString));
            elements(text)?.into_iter().map(value).collect()
        }
        Expr::Cast {
            expr,
            data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)),
            kind: CastKind::Cast | CastKind::DoubleColon,
            ..
        } if !matches!(**of, DataType::Array(_)) => {
            let cast = |element: Expr| Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(element),
                data_type: of.as_ref().clone(),
                array: false,
                format: None,
            };
            let elements = elements_of(expr)?;
            // Of many, what would be read as the same anyway is not cast one by one.
            if elements.len() > FEW && is_read_alike(of) { elements } else { elements.into_iter().map(cast).collect() }
        }
        _ => return None,
    };
    (!found.is_empty()).then_some(found)
}

/// The comparison with ANY or ALL as one of IN, or one with each of a few elements.
fn compared(comparison: &Expr, elements: Vec<Expr>) -> Option<Expr> {
    let (left, op, joint) = match comparison {
        Expr::AnyOp { left, compare_op, .. } => (left, compare_op, BinaryOperator::Or),
        Expr::AllOp { left, compare_op, .. } => (left, compare_op, BinaryOperator::And),
        _ => return None,
    };
    let whole = match (&joint, op) {
        (BinaryOperator::Or, BinaryOperator::Eq) => Expr::InList { expr: left.clone(), list: elements, negated: false },
        (BinaryOperator::And, BinaryOperator::NotEq) => Expr::InList { expr: left.clone(), list: elements, negated: true },
        _ if elements.len() <= FEW => {
            let each = elements.into_iter().map(|element| binary((**left).clone(), op.clone(), element));
            joined(each.collect(), &joint)?
        }
        _ => return None,
    };
    Some(Expr::Nested(Box::new(whole)))
}

/// As many elements are compared one by one.
const FEW: usize = 100;

/// The same LIKE with one pattern.
fn like(mut like: Expr, one: Expr) -> Expr {
    if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut like {
        (*any, **pattern) = (false, one);
    }
    like
}
