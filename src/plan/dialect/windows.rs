//! A window that builds on a named one: `OVER (w ROWS …)`, `WINDOW w2 AS (w ORDER BY …)`. The engine's planner knows `OVER w` only and
//! ignores the name inside the brackets, so the named window's clauses are put there.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowDefinition, NamedWindowExpr, OrderByKind, Query, Select, SetExpr, Statement, VisitMut, VisitorMut, WindowSpec,
    WindowType,
};

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
