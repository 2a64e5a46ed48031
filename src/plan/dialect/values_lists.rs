//! `VALUES ('{}'::jsonb), ('{}'), (NULL)`: what is written without a type takes the one that another row gives its column.
//!
//! The engine asks each row for the same type down to what it calls metadata, and so refuses a list of which one row has a cast. PostgreSQL
//! takes texts without a type and NULLs for what the other rows are. Bare numbers, which have a type, are taken for a double where a row is
//! one (the engine would make numerics of all of them), and for a numeric or an object's id, where both have to be said. A list with a
//! subquery in it becomes SELECTs.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Ident, ObjectName, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement,
    TypedString, UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions,
};

/// Gives such values their types. Comes before bare numbers get those that their size gives them.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Lists);
}

struct Lists;

impl VisitorMut for Lists {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Values(values) = query.body.as_mut()
            && values.rows.iter().flat_map(|row| row.iter()).any(has_subquery)
            && let Some(selects) = selected(values.rows.iter().map(|row| row.to_vec()).collect())
        {
            *query.body = selects;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let SetExpr::Values(values) = query.body.as_mut() else { return ControlFlow::Continue(()) };
        let columns = values.rows.iter().map(|row| row.len()).min().unwrap_or_default();
        for column in 0..columns {
            let types: Vec<DataType> = values.rows.iter().filter_map(|row| given(row.get(column)?)).collect();
            let first = match types.as_slice() {
                types if types.iter().any(is_single) && !types.iter().any(is_double) => DataType::Float4,
                types if types.iter().any(is_double) => DataType::Double(ExactNumberInfo::None),
                [first, ..] => first.clone(),
                [] => continue,
            };
            // A length is that of a column where all of its values have it.
            let all_have_it = types.len() == values.rows.len() && types.iter().all(|of| *of == first);
            let of = if all_have_it { first.clone() } else { without_length(&first) };
            let had_length = of != first;
            for value in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
                if had_length || takes(value, &of) {
                    let operand = std::mem::replace(value, Expr::value(Value::Null));
                    *value =
                        Expr::Cast { kind: CastKind::Cast, expr: Box::new(operand), data_type: of.clone(), array: false, format: None };
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn has_subquery(expression: &Expr) -> bool {
    let found = visit_expressions(expression, |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Rows as SELECTs: subqueries have no place in the engine's VALUES.
fn selected(mut rows: Vec<Vec<Expr>>) -> Option<SetExpr> {
    if rows.len() > 1 {
        let right = Box::new(selected(rows.split_off(rows.len() / 2))?);
        let left = Box::new(selected(rows)?);
        return Some(SetExpr::SetOperation { op: SetOperator::Union, set_quantifier: SetQuantifier::All, left, right });
    }
    let SetExpr::Select(mut select) = *crate::sql::parse_entity_query("SELECT 1").ok()?.body else { return None };
    let columns = rows.pop()?.into_iter().enumerate();
    let named = |(index, expr): (usize, Expr)| SelectItem::ExprWithAlias { expr, alias: Ident::new(format!("column{}", index + 1)) };
    select.projection = columns.map(named).collect();
    Some(SetExpr::Select(select))
}

/// The type that a value says.
fn given(value: &Expr) -> Option<DataType> {
    match value {
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => Some(data_type.clone()),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => Some(DataType::Boolean),
        _ => None,
    }
}

/// The type for texts of any length.
fn without_length(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => DataType::Varchar(None),
        DataType::Char(_) | DataType::Character(_) => DataType::Custom(ObjectName::from(vec![Ident::new("bpchar")]), Vec::new()),
        other => other.clone(),
    }
}

fn is_single(of: &DataType) -> bool {
    matches!(of, DataType::Real | DataType::Float4)
}

fn is_double(of: &DataType) -> bool {
    matches!(of, DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Float(_))
}

fn takes(value: &Expr, of: &DataType) -> bool {
    let number = |value: &Value| {
        let of_numbers = matches!(of, DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) | DataType::Custom(..));
        matches!(value, Value::Number(..)) && (of_numbers || is_double(of) || is_single(of))
    };
    match value {
        Expr::Value(value) => matches!(value.value, Value::Null | Value::SingleQuotedString(_)) || number(&value.value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => matches!(expr.as_ref(), Expr::Value(value) if number(&value.value)),
        _ => false,
    }
}
