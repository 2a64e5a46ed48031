//! Types of parameters that follow from the statement's own words, whatever its tables hold: `$1::uuid`, `LIMIT $1`, `left(t, $1)`, `WHERE $1`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, LimitClause, ObjectNamePart, Query, Select, Statement,
    Subscript, TableFactor, UnaryOperator, Value, Visit, Visitor,
};

use super::Parameters;
use super::signatures;
use crate::pg_type::PgType;

/// Notes all of them.
pub(super) fn hint(parameters: &Parameters, statement: &Statement) {
    let _ = statement.visit(&mut Written { parameters });
}

/// The `$n` that an expression is, if it is one.
fn placeholder(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(placeholder) => Some(placeholder),
            _ => None,
        },
        Expr::Nested(inner) => placeholder(inner),
        _ => None,
    }
}

struct Written<'a> {
    parameters: &'a Parameters,
}

impl Written<'_> {
    fn is(&self, expression: &Expr, pg_type: PgType) {
        if let Some(placeholder) = placeholder(expression) {
            self.parameters.hint_named(placeholder, pg_type);
        }
    }

    fn cast(&self, operand: &Expr, data_type: &str) {
        let Some((pg_type, _)) = PgType::from_sql_name(data_type) else { return };
        if let Some(placeholder) = placeholder(operand) {
            self.parameters.hint_named(placeholder, pg_type);
        } else if let (Expr::Array(array), Some(element)) = (operand, pg_type.element()) {
            array.elem.iter().for_each(|item| self.is(item, element));
        }
    }

    fn call(&self, name: &str, arguments: &[&Expr]) {
        for (place, argument) in arguments.iter().enumerate() {
            if let Some(pg_type) = signatures::argument(name, arguments.len(), place) {
                self.is(argument, pg_type);
            }
        }
    }

    fn function(&self, function: &Function) {
        let Some(name) = function.name.0.last().and_then(ObjectNamePart::as_ident) else { return };
        let FunctionArguments::List(list) = &function.args else { return };
        // What a cast to the name of an object has become.
        if let Some(pg_type) = name.value.strip_suffix("in").and_then(PgType::from_name).filter(|pg_type| pg_type.is_named_oid()) {
            plain(&list.args).into_iter().for_each(|argument| self.is(argument, pg_type));
        }
        self.call(&name.value.to_lowercase(), &plain(&list.args));
    }
}

fn plain(arguments: &[FunctionArg]) -> Vec<&Expr> {
    let mut plain = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) = argument {
            plain.push(expression);
        }
    }
    plain
}

impl Visitor for Written<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Cast { expr, data_type, .. } => self.cast(expr, &data_type.to_string()),
            Expr::Function(function) => self.function(function),
            Expr::UnaryOp { op: UnaryOperator::Not, expr }
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr) => self.is(expr, PgType::BOOL),
            Expr::Case { operand: None, conditions, .. } => conditions.iter().for_each(|when| self.is(&when.condition, PgType::BOOL)),
            Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => self.is(expr, PgType::FLOAT8),
            Expr::Substring { expr, substring_from, substring_for, special, shorthand } => {
                self.is(expr, PgType::TEXT);
                // Of `substring(a, b)` PostgreSQL prefers the one of regular expressions, where nothing else tells.
                let counts: Vec<&Expr> = [substring_from, substring_for].into_iter().flatten().map(|count| count.as_ref()).collect();
                let told = !special && counts.iter().any(|count| placeholder(count).is_none());
                if *shorthand || told {
                    counts.into_iter().for_each(|count| self.is(count, PgType::INT4));
                }
            }
            Expr::Overlay { overlay_from, overlay_for, .. } => {
                self.is(overlay_from, PgType::INT4);
                overlay_for.iter().for_each(|count| self.is(count, PgType::INT4));
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                for access in access_chain {
                    if let AccessExpr::Subscript(Subscript::Index { index }) = access {
                        self.is(index, PgType::INT4);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => (limit.as_ref(), offset.as_ref().map(|offset| &offset.value)),
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
            None => (None, None),
        };
        let fetch = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
        [limit, offset, fetch].into_iter().flatten().for_each(|count| self.is(count, PgType::INT8));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        [&select.selection, &select.having].into_iter().flatten().for_each(|condition| self.is(condition, PgType::BOOL));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(arguments), .. } = factor
            && let Some(name) = name.0.last().and_then(ObjectNamePart::as_ident)
        {
            self.call(&name.value.to_lowercase(), &plain(&arguments.args));
        }
        ControlFlow::Continue(())
    }
}
