//! CASE whose results are of several types: a function while the statement is planned (`catalog::SEARCHED_CASE`), so that what it stands in
//! sees the type that PostgreSQL gives it, and CASE again before the engine coerces types.

use std::ops::ControlFlow;

use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::sql::sqlparser::ast::{Expr, Statement, UnaryOperator, Value, VisitMut, VisitorMut};

use super::catalog_names::call;
use crate::catalog::{SEARCHED_CASE, SIMPLE_CASE};

/// Makes functions of those whose type is not plain.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Cases);
}

struct Cases;

impl VisitorMut for Cases {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let Expr::Case { operand, conditions, else_result, .. } = expression else { return ControlFlow::Continue(()) };
        let results = || conditions.iter().map(|when| &when.result).chain(else_result.as_deref());
        let tests = || operand.as_deref().into_iter().chain(conditions.iter().map(|when| &when.condition));
        let plain = |wanted: Kind| results().map(kind).all(|kind| kind == wanted || kind == Kind::Null);
        // A parameter takes its type from the CASE it stands in.
        let open = results().chain(tests()).any(|part| kind(part) == Kind::Parameter);
        if open || plain(Kind::Number) || plain(Kind::Text) {
            return ControlFlow::Continue(());
        }
        let name = if operand.is_some() { SIMPLE_CASE } else { SEARCHED_CASE };
        let mut arguments: Vec<Expr> = operand.take().map(|operand| *operand).into_iter().collect();
        for when in conditions.drain(..) {
            arguments.extend([when.condition, when.result]);
        }
        arguments.extend(else_result.take().map(|result| *result));
        *expression = call(name, arguments);
        ControlFlow::Continue(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Null,
    Parameter,
    Other,
}

fn kind(expression: &Expr) -> Kind {
    match expression {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => kind(inner),
        // What bare numbers have become.
        Expr::Cast { expr, .. } if kind(expr) == Kind::Number => Kind::Number,
        Expr::Value(value) => match &value.value {
            Value::Number(..) => Kind::Number,
            Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) => Kind::Text,
            Value::Null => Kind::Null,
            Value::Placeholder(_) => Kind::Parameter,
            _ => Kind::Other,
        },
        _ => Kind::Other,
    }
}

/// The CASE that a call stands for.
pub(super) fn restore(call: ScalarFunction) -> Result<Case, ScalarFunction> {
    let simple = match call.func.name() {
        SIMPLE_CASE => true,
        SEARCHED_CASE => false,
        _ => return Err(call),
    };
    let mut arguments = call.args.into_iter();
    let expr = if simple { arguments.next().map(Box::new) } else { None };
    let mut when_then_expr = Vec::new();
    let mut else_expr = None;
    while let Some(test) = arguments.next() {
        match arguments.next() {
            Some(result) => when_then_expr.push((Box::new(test), Box::new(result))),
            None => else_expr = Some(Box::new(test)),
        }
    }
    Ok(Case { expr, when_then_expr, else_expr })
}
