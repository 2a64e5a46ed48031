//! Windows: those that build on a named one, and those whose keys the engine cannot compare.
//!
//! A window that builds on a named one: `OVER (w ROWS …)`, `WINDOW w2 AS (w ORDER BY …)`. The engine's planner knows `OVER w` only and
//! ignores the name inside the brackets, so the named window's clauses are put there.
//!
//! The engine refuses a frame by RANGE, which every ordered window has by default, over keys that it knows no distance of: bytes, uuids,
//! times of day, intervals. Without an offset a frame by GROUPS has the same rows. For keys of structs and maps see [`nested_order`].

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{ExprSchemable, WindowFrameBound, WindowFrameUnits};
use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowDefinition, NamedWindowExpr, OrderByKind, Query, Select, SetExpr, Statement, VisitMut, VisitorMut, WindowSpec,
    WindowType,
};

use super::nested_order;

/// Spells such windows out.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Queries);
}

/// Inner queries come first: what is left to an outer one is its own.
struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let windows = of_body(&mut query.body);
        if !windows.is_empty()
            && let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(expressions) = &mut order_by.kind
        {
            for expression in expressions {
                let _ = expression.visit(&mut Calls(&windows));
            }
        }
        ControlFlow::Continue(())
    }
}

fn of_body(body: &mut SetExpr) -> Vec<(String, WindowSpec)> {
    match body {
        SetExpr::Select(select) => of_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left);
            of_body(right);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn of_select(select: &mut Select) -> Vec<(String, WindowSpec)> {
    let mut windows: Vec<(String, WindowSpec)> = Vec::new();
    // Each builds on those before it, as in PostgreSQL.
    for NamedWindowDefinition(name, definition) in &mut select.named_window {
        let spec = match definition {
            NamedWindowExpr::WindowSpec(spec) => {
                build_on(spec, &windows);
                spec.clone()
            }
            NamedWindowExpr::NamedWindow(other) => match find(&windows, &other.value) {
                Some(spec) => spec.clone(),
                None => continue,
            },
        };
        windows.push((name.value.clone(), spec));
    }
    if !windows.is_empty() {
        for item in &mut select.projection {
            let _ = item.visit(&mut Calls(&windows));
        }
    }
    windows
}

fn find<'a>(windows: &'a [(String, WindowSpec)], name: &str) -> Option<&'a WindowSpec> {
    windows.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, spec)| spec)
}

/// Partitions are the named window's; so is its order, unless there is one here; a frame is always one's own.
fn build_on(spec: &mut WindowSpec, windows: &[(String, WindowSpec)]) {
    let Some(base) = spec.window_name.as_ref().and_then(|name| find(windows, &name.value)) else { return };
    if spec.partition_by.is_empty() {
        spec.partition_by.clone_from(&base.partition_by);
    }
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
    spec.window_name = None;
}

/// Makes the keys and the frame such that the engine takes them; says whether that was needed.
pub(super) fn compare_keys(window: &mut WindowFunctionParams, schema: &DFSchema) -> bool {
    let mut changed = false;
    for key in &mut window.order_by {
        if key.expr.get_type(schema).is_ok_and(|of| nested_order::is_unordered(&of)) {
            key.expr = nested_order::key(std::mem::take(&mut key.expr));
            changed = true;
        }
    }
    let frame = &mut window.window_frame;
    let offset = |bound: &WindowFrameBound| !bound.is_unbounded() && *bound != WindowFrameBound::CurrentRow;
    let plain = frame.units == WindowFrameUnits::Range && !offset(&frame.start_bound) && !offset(&frame.end_bound);
    if plain && window.order_by.first().is_some_and(|key| key.expr.get_type(schema).is_ok_and(|of| has_no_distance(&of))) {
        frame.units = WindowFrameUnits::Groups;
        changed = true;
    }
    changed
}

fn has_no_distance(of: &DataType) -> bool {
    matches!(of, DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Interval(_) | DataType::Time32(_) | DataType::Time64(_))
}

struct Calls<'a>(&'a [(String, WindowSpec)]);

impl VisitorMut for Calls<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(call) = expression
            && let Some(WindowType::WindowSpec(spec)) = &mut call.over
        {
            build_on(spec, self.0);
        }
        ControlFlow::Continue(())
    }
}
