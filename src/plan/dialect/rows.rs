//! Rows beside rows: `(a, b) = (c, d)`, `(a, b) < (c, d)`, `(a, b) IN ((1, 2), …)`, `(a, b) IS NULL`.
//!
//! The engine makes structs of rows, which are equal where both have a NULL and never NULL themselves. PostgreSQL compares them field by
//! field, and so does what each becomes here. Rows beside a subquery stay with the engine, which refuses them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, UnaryOperator, VisitMut, VisitorMut};

/// Rewrites them.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Rows);
}

struct Rows;

impl VisitorMut for Rows {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let replaced = match expression {
            Expr::BinaryOp { left, op, right } => fields(left).zip(fields(right)).and_then(|(left, right)| compared(op, left, right)),
            Expr::IsNull(row) => fields(row).and_then(|fields| each(fields, Expr::IsNull)),
            Expr::IsNotNull(row) => fields(row).and_then(|fields| each(fields, Expr::IsNotNull)),
            Expr::InList { expr, list, negated } => fields(expr).and_then(|row| one_of(row, list, *negated)),
            _ => None,
        };
        if let Some(replaced) = replaced {
            *expression = Expr::Nested(Box::new(replaced));
        }
        ControlFlow::Continue(())
    }
}

fn fields(expression: &Expr) -> Option<&[Expr]> {
    match expression {
        Expr::Tuple(fields) if fields.len() > 1 => Some(fields),
        Expr::Nested(inner) => fields(inner),
        _ => None,
    }
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// All of them joined, as a tree that is no deeper than it must be.
pub(super) fn joined(mut terms: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    if terms.len() > 1 {
        let right = joined(terms.split_off(terms.len() / 2), op)?;
        let left = joined(terms, op)?;
        return Some(Expr::Nested(Box::new(binary(left, op.clone(), right))));
    }
    terms.pop()
}

fn each(fields: &[Expr], test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    joined(fields.iter().map(|field| test(Box::new(field.clone()))).collect(), &BinaryOperator::And)
}

fn compared(op: &BinaryOperator, left: &[Expr], right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if left.len() != right.len() {
        return None;
    }
    let pairs = || left.iter().cloned().zip(right.iter().cloned());
    match op {
        Eq => joined(pairs().map(|(left, right)| binary(left, Eq, right)).collect(), &And),
        NotEq => joined(pairs().map(|(left, right)| binary(left, NotEq, right)).collect(), &Or),
        Lt | LtEq | Gt | GtEq => {
            let strict = if matches!(op, Lt | LtEq) { Lt } else { Gt };
            // The last field decides what is equal so far.
            pairs().rev().fold(None, |rest, (left, right)| {
                let Some(rest) = rest else { return Some(binary(left, op.clone(), right)) };
                let further = binary(binary(left.clone(), Eq, right.clone()), And, Expr::Nested(Box::new(rest)));
                Some(binary(binary(left, strict.clone(), right), Or, Expr::Nested(Box::new(further))))
            })
        }
        _ => None,
    }
}

fn one_of(row: &[Expr], list: &[Expr], negated: bool) -> Option<Expr> {
    let equal = list.iter().map(|item| compared(&BinaryOperator::Eq, row, fields(item)?)).collect::<Option<Vec<_>>>()?;
    let any = Expr::Nested(Box::new(joined(equal, &BinaryOperator::Or)?));
    Some(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) } } else { any })
}
