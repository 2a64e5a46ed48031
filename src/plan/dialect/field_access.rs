//! `(s).field` and `t.a[1]`: PostgreSQL's parentheses around a struct, and its names without them. The engine's planner knows a field by its name as text only.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Statement, Value, VisitMut, VisitorMut};

/// Turns the field names of composite accesses into text.
pub fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Fields);
}

struct Fields;

impl VisitorMut for Fields {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundFieldAccess { root, access_chain } = expression {
            // Without parentheses the dots before a subscript are those of a column's name: `t.a[1]`.
            if let Expr::Identifier(first) = root.as_ref() {
                let mut parts = vec![first.clone()];
                while let Some(AccessExpr::Dot(Expr::Identifier(part))) = access_chain.first() {
                    parts.push(part.clone());
                    access_chain.remove(0);
                }
                if parts.len() > 1 {
                    **root = Expr::CompoundIdentifier(parts);
                }
            }
            // The parentheses are what tells a struct from a table's name; the planner has no need of them.
            if let Expr::Nested(inner) = root.as_mut() {
                *root = inner.clone();
            }
            for access in access_chain {
                if let AccessExpr::Dot(Expr::Identifier(name)) = access {
                    let text = if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() };
                    *access = AccessExpr::Dot(Expr::value(Value::SingleQuotedString(text)));
                }
            }
        }
        ControlFlow::Continue(())
    }
}
