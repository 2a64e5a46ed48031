//! `'x'::regclass`, `oid::regtype::text`, `::oid`: types that are numbers and look like names.
//!
//! On the tree a cast to such a type becomes a call of its input function, and a cast of that to text a call of its output
//! function; comparisons then see numbers. Columns of a result that are still of such a type become pairs of number and name at the very
//! end, of which the wire sends the one in binary and the other as text.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{DataType as SqlDataType, Expr, Function, ObjectNamePart, Statement, Value, VisitMut, VisitorMut};

use super::catalog_names::call;
use crate::catalog::{Catalog, catalog_function};
use crate::pg_type::PgType;

/// Types with input and output functions of ours.
const KINDS: [&str; 6] = ["regclass", "regtype", "regproc", "regprocedure", "regnamespace", "regrole"];

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
fn last_name(data_type: &SqlDataType) -> Option<String> {
    match data_type {
        SqlDataType::Regclass => Some("regclass".to_owned()),
        SqlDataType::Custom(name, _) => Some(name.0.last().and_then(ObjectNamePart::as_ident)?.value.to_ascii_lowercase()),
        _ => None,
    }
}

fn kind(data_type: &SqlDataType) -> Option<&'static str> {
    let name = last_name(data_type)?;
    KINDS.into_iter().find(|kind| *kind == name)
}

fn is_text(data_type: &SqlDataType) -> bool {
    matches!(data_type, SqlDataType::Text | SqlDataType::Varchar(_) | SqlDataType::CharacterVarying(_))
        || last_name(data_type).is_some_and(|name| matches!(name.as_str(), "text" | "name" | "varchar"))
}

/// The kind of which the expression is a call that gives a value.
fn input_function(expression: &Expr) -> Option<&'static str> {
    match expression {
        Expr::Nested(inner) => input_function(inner),
        Expr::Function(Function { name, .. }) => {
            let name = &name.0.last().and_then(ObjectNamePart::as_ident)?.value;
            if name.eq_ignore_ascii_case("pg_typeof") {
                return Some("regtype");
            }
            KINDS.into_iter().find(|kind| name.strip_suffix("in").or_else(|| name.strip_prefix("to_")) == Some(kind))
        }
        _ => None,
    }
}

/// Shows the result's columns of these types by name, too.
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
                    let name = PlanExpr::ScalarFunction(ScalarFunction::new_udf(function, vec![column.clone()]));
                    // An array of them is of names alone.
                    let named = if field.data_type().is_nested() {
                        name
                    } else {
                        let pair = vec![lit("oid"), cast(column, ArrowType::UInt32), lit("name"), name];
                        datafusion::functions::core::named_struct().call(pair)
                    };
                    let metadata = std::collections::HashMap::from([(crate::pg_type::PG_TYPE_KEY.to_owned(), pg_type.name().to_owned())]);
                    named.alias_with_metadata(field.name(), Some(metadata.into()))
                }
                None => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}
