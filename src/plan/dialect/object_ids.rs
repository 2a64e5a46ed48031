//! `'x'::regclass`, `oid::regtype::text`, `::oid`: types that are numbers and look like names.
//!
//! On the tree a cast to such a type becomes a call of its input function, and a cast of that to text a call of its output
//! function; comparisons then see numbers. Columns of a result that are still of such a type are shown by name at the very end.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{DataType, Expr, Function, ObjectNamePart, Statement, Value, VisitMut, VisitorMut};

use super::catalog_names::call;
use crate::catalog::{Catalog, catalog_function};
use crate::pg_type::PgType;

/// Types with input and output functions of ours.
const KINDS: [&str; 5] = ["regclass", "regtype", "regproc", "regnamespace", "regrole"];

/// Rewrites the casts of a statement.
pub fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Casts);
}

struct Casts;

impl VisitorMut for Casts {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let Expr::Cast { expr, data_type, .. } = expression else { return ControlFlow::Continue(()) };
        if let Some(kind) = kind(data_type) {
            let operand = std::mem::replace(expr.as_mut(), Expr::value(Value::Null));
            *expression = call(&format!("{kind}in"), vec![operand]);
        } else if is_text(data_type)
            && let Some(kind) = input_function(expr)
        {
            let operand = std::mem::replace(expr.as_mut(), Expr::value(Value::Null));
            *expression = call(&format!("{kind}out"), vec![operand]);
        }
        ControlFlow::Continue(())
    }
}

/// The last part of a type's name.
fn last_name(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Regclass => Some("regclass".to_owned()),
        DataType::Custom(name, _) => Some(name.0.last().and_then(ObjectNamePart::as_ident)?.value.to_ascii_lowercase()),
        _ => None,
    }
}

fn kind(data_type: &DataType) -> Option<&'static str> {
    let name = last_name(data_type)?;
    // A function with its arguments is found by its name here.
    let name = if name == "regprocedure" { "regproc" } else { name.as_str() };
    KINDS.into_iter().find(|kind| *kind == name)
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_))
        || last_name(data_type).is_some_and(|name| matches!(name.as_str(), "text" | "name" | "varchar"))
}

/// The kind of which the expression is a call that gives a value.
fn input_function(expression: &Expr) -> Option<&'static str> {
    match expression {
        Expr::Nested(inner) => input_function(inner),
        Expr::Function(Function { name, .. }) => {
            let name = &name.0.last().and_then(ObjectNamePart::as_ident)?.value;
            KINDS.into_iter().find(|kind| name.strip_suffix("in").or_else(|| name.strip_prefix("to_")) == Some(kind))
        }
        _ => None,
    }
}

/// Shows the result's columns of these types by name.
pub fn show(plan: LogicalPlan, catalog: &Arc<Catalog>) -> Result<LogicalPlan> {
    let shown = |field: &Field| {
        let pg_type = PgType::of(field);
        match field.data_type() {
            ArrowType::List(item) if item.data_type().is_integer() => (pg_type == PgType::REGTYPE.array_of()).then(|| pg_type.name()),
            plain if plain.is_integer() => KINDS.into_iter().find(|kind| *kind == pg_type.name()),
            _ => None,
        }
    };
    if !plan.schema().fields().iter().any(|field| shown(field).is_some()) {
        return Ok(plan);
    }
    let expressions: Vec<PlanExpr> = plan
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            let column = PlanExpr::Column(Column::new(qualifier.cloned(), field.name()));
            let pg_type = PgType::of(field);
            match shown(field).and_then(|kind| catalog_function(&format!("{kind}out"), catalog)) {
                Some(function) => {
                    let named = PlanExpr::ScalarFunction(datafusion::logical_expr::expr::ScalarFunction::new_udf(function, vec![column]));
                    let metadata = std::collections::HashMap::from([(crate::pg_type::PG_TYPE_KEY.to_owned(), pg_type.name().to_owned())]);
                    named.alias_with_metadata(field.name(), Some(metadata.into()))
                }
                None => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}
