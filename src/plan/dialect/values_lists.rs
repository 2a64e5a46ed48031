//! `VALUES ('{}'::jsonb), ('{}'), (NULL)`: what is written without a type takes the one that another row gives its column.
//!
//! The engine asks each row for the same type down to what it calls metadata, and so refuses a list of which one row has a cast. PostgreSQL
//! takes texts without a type and NULLs for what the other rows are; numbers, which have a type, are left alone unless the others' is
//! numeric or an object's id, where both have to be said.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Query, SetExpr, Statement, Value, VisitMut, VisitorMut};

/// Gives such values their types.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Values(values) = query.body.as_mut() else { return ControlFlow::Continue(()) };
        let columns = values.rows.iter().map(|row| row.len()).min().unwrap_or_default();
        for column in 0..columns {
            let given = values.rows.iter().find_map(|row| match row.get(column) {
                Some(Expr::Cast { data_type, .. }) => Some(data_type.clone()),
                _ => None,
            });
            let Some(given) = given else { continue };
            for value in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
                if takes(value, &given) {
                    let operand = std::mem::replace(value, Expr::value(Value::Null));
                    *value =
                        Expr::Cast { kind: CastKind::Cast, expr: Box::new(operand), data_type: given.clone(), array: false, format: None };
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn takes(value: &Expr, given: &DataType) -> bool {
    match value {
        Expr::Value(value) => match &value.value {
            Value::Null | Value::SingleQuotedString(_) => true,
            Value::Number(..) => matches!(given, DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) | DataType::Custom(..)),
            _ => false,
        },
        _ => false,
    }
}
