//! `VALUES ('{}'::jsonb), ('{}'), (NULL)`: what is written without a type takes the one that another row gives its column.
//!
//! The engine asks each row for the same type down to what it calls metadata, and so refuses a list of which one row has a cast. PostgreSQL
//! takes texts without a type and NULLs for what the other rows are. Bare numbers, which have a type, are taken for a double where a row is
//! one (the engine would make numerics of all of them), and for a numeric or an object's id, where both have to be said.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Query, SetExpr, Statement, TypedString, UnaryOperator, Value, VisitMut, VisitorMut,
};

/// Gives such values their types. Comes before bare numbers get those that their size gives them.
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
            let types: Vec<&DataType> = values.rows.iter().filter_map(|row| given(row.get(column)?)).collect();
            let of = match types.as_slice() {
                types if types.iter().any(|of| is_double(of)) => DataType::Double(ExactNumberInfo::None),
                [first, ..] => (*first).clone(),
                [] => continue,
            };
            for value in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
                if takes(value, &of) {
                    let operand = std::mem::replace(value, Expr::value(Value::Null));
                    *value =
                        Expr::Cast { kind: CastKind::Cast, expr: Box::new(operand), data_type: of.clone(), array: false, format: None };
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The type that a value says.
fn given(value: &Expr) -> Option<&DataType> {
    match value {
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => Some(data_type),
        _ => None,
    }
}

fn is_double(of: &DataType) -> bool {
    matches!(of, DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Float(_) | DataType::Real)
}

fn takes(value: &Expr, of: &DataType) -> bool {
    let number = |value: &Value| {
        let of_numbers = matches!(of, DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) | DataType::Custom(..));
        matches!(value, Value::Number(..)) && (of_numbers || is_double(of))
    };
    match value {
        Expr::Value(value) => matches!(value.value, Value::Null | Value::SingleQuotedString(_)) || number(&value.value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => matches!(expr.as_ref(), Expr::Value(value) if number(&value.value)),
        _ => false,
    }
}
