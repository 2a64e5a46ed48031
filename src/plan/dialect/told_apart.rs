//! Expressions that differ by a cast only: `count(v), count(v::text)`, `GROUP BY at::date, at`.
//!
//! The engine calls a cast by what it casts, so such expressions have one name, and it refuses a relation with two columns of one name, at
//! once or while it optimizes. Such a statement is planned once more with each cast inside a call that does nothing, but whose arguments,
//! and so its name, say the type. Others keep their casts as the engine and its readers of sources know them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, Visit, VisitMut, Visitor, VisitorMut};

use super::catalog_names::call;

/// The plan or why there is none; neither, if the statement has been changed and is to be planned again.
pub fn with_names_apart(planned: Result<LogicalPlan>, statement: &mut Statement) -> Result<LogicalPlan, Option<DataFusionError>> {
    let of_one_name = match &planned {
        Ok(plan) => has_columns_of_one_name(plan),
        Err(failure) => matches!(
            failure.find_root(),
            DataFusionError::SchemaError(error, _)
                if matches!(**error, SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. })
        ),
    };
    let mut casts = Casts { found: false };
    if of_one_name {
        let _ = VisitMut::visit(statement, &mut casts);
    }
    if casts.found { Err(None) } else { planned.map_err(Some) }
}

/// Whether an aggregate or a window has two expressions that the engine will take for one column.
fn has_columns_of_one_name(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let _ = plan.apply_with_subqueries(|node| {
        let expressions: Vec<&PlanExpr> = match node {
            LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.iter().chain(&aggregate.aggr_expr).collect(),
            LogicalPlan::Window(window) => window.window_expr.iter().collect(),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        if expressions.iter().any(|expression| expression.exists(|part| Ok(matches!(part, PlanExpr::Cast(_)))).unwrap_or(false)) {
            let mut names = HashSet::new();
            found |= !expressions.iter().all(|expression| names.insert(expression.schema_name().to_string()));
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

struct Casts {
    found: bool,
}

impl VisitorMut for Casts {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        // A constant stays one: many an argument must be.
        if let Expr::Cast { expr, data_type, .. } = expression
            && Visit::visit(expr, &mut Columns).is_break()
        {
            let name = Expr::value(Value::SingleQuotedString(data_type.to_string()));
            let cast = std::mem::replace(expression, Expr::value(Value::Null));
            *expression = call("as_type", vec![cast, name]);
            self.found = true;
        }
        ControlFlow::Continue(())
    }
}

/// Breaks at the first column.
struct Columns;

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
