//! `SELECT … FROM (SELECT … ORDER BY x) t` gives rows in the inner order, and `LIMIT 10` behind it the first ten of it; `array_agg(a)` of such a
//! subquery takes them in that order.
//!
//! SQL does not promise that, but PostgreSQL does it, and every tool that wraps a user's query relies on it. The engine's planner drops an
//! ORDER BY there unless the subquery is limited, so it gets the `OFFSET 0` that PostgreSQL's users write for the same reason; the engine removes
//! that one later and leaves the sort. An aggregate whose answer depends on the order gets the inner ORDER BY as its own: the keys become
//! columns that no statement can name.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, LimitClause,
    Offset, OffsetRows, OrderByExpr, OrderByKind, OrderByOptions, Query, Select, SelectItem, SetExpr, Statement, TableAliasColumnDef,
    TableFactor, Value, VisitMut, VisitorMut,
};

use crate::sql::folded;

/// Marks such subqueries.
pub(super) fn keep(statement: &mut Statement) {
    let _ = statement.visit(&mut Subqueries);
}

/// Aggregates whose answer depends on the order of rows.
const ORDERED: [&str; 6] = ["array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"];

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            mark(&mut table.query);
        }
        if let SetExpr::Select(select) = query.body.as_mut() {
            hand_to_aggregates(select);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            mark(subquery);
        }
        ControlFlow::Continue(())
    }
}

fn mark(query: &mut Query) {
    if query.order_by.is_some() && query.limit_clause.is_none() && query.fetch.is_none() {
        let offset = Some(Offset { value: Expr::value(Value::Number("0".to_owned(), false)), rows: OffsetRows::None });
        query.limit_clause = Some(LimitClause::LimitOffset { limit: None, offset, limit_by: Vec::new() });
    }
}

/// Gives the order of the one subquery in FROM to the aggregates of the select list that have none.
fn hand_to_aggregates(select: &mut Select) {
    let mut aggregates = Aggregates { order: &[], found: false, depth: 0 };
    let _ = select.projection.visit(&mut aggregates);
    let [from] = select.from.as_mut_slice() else { return };
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = &mut from.relation else { return };
    if !aggregates.found || !from.joins.is_empty() {
        return;
    }
    let Some((items, keys)) = sort_columns(subquery, &alias.name) else { return };
    if !alias.columns.is_empty() {
        let names = items.iter().filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(TableAliasColumnDef { name: alias.clone(), data_type: None }),
            _ => None,
        });
        alias.columns.extend(names);
    }
    if let SetExpr::Select(inner) = subquery.body.as_mut() {
        inner.projection.extend(items);
    }
    let _ = select.projection.visit(&mut Aggregates { order: &keys, found: false, depth: 0 });
}

/// The keys of a subquery's ORDER BY as columns of it, and as keys outside of it. `None` where it has columns of another kind.
fn sort_columns(subquery: &Query, relation: &Ident) -> Option<(Vec<SelectItem>, Vec<OrderByExpr>)> {
    let SetExpr::Select(select) = subquery.body.as_ref() else { return None };
    let OrderByKind::Expressions(keys) = &subquery.order_by.as_ref()?.kind else { return None };
    let has_star = select.projection.iter().any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }));
    if select.distinct.is_some() || keys.is_empty() {
        return None;
    }
    let of_item = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    };
    let mut columns = Vec::with_capacity(keys.len());
    let mut outside = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        let expr = match &key.expr {
            Expr::Value(value) => match &value.value {
                Value::Number(place, _) if !has_star => of_item(select.projection.get(place.parse::<usize>().ok()?.checked_sub(1)?)?)?,
                _ => return None,
            },
            Expr::Identifier(name) => {
                let named = |item: &&SelectItem| matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == folded(name));
                select.projection.iter().find(named).and_then(of_item).unwrap_or_else(|| key.expr.clone())
            }
            other => other.clone(),
        };
        let alias = Ident::with_quote('"', format!("\u{0}order{index}"));
        outside.push(OrderByExpr { expr: Expr::CompoundIdentifier(vec![relation.clone(), alias.clone()]), ..key.clone() });
        columns.push(SelectItem::ExprWithAlias { expr, alias });
    }
    Some((columns, outside))
}

/// Finds such aggregates, and gives them an order if there is one to give.
struct Aggregates<'a> {
    order: &'a [OrderByExpr],
    found: bool,
    /// Aggregates of subqueries are of other rows.
    depth: usize,
}

impl VisitorMut for Aggregates<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expression
            && takes_any_order(function)
        {
            if let FunctionArguments::List(list) = &mut function.args
                && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
            {
                // What is distinct is found by sorting in PostgreSQL.
                if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(value))) = list.args.first() {
                    let options = OrderByOptions { asc: None, nulls_first: None };
                    let key = OrderByExpr { expr: value.clone(), options, with_fill: None };
                    list.clauses.push(FunctionArgumentClause::OrderBy(vec![key]));
                }
                return ControlFlow::Continue(());
            }
            self.found = true;
            if let (FunctionArguments::List(list), false) = (&mut function.args, self.order.is_empty()) {
                list.clauses.push(FunctionArgumentClause::OrderBy(self.order.to_vec()));
            }
        }
        ControlFlow::Continue(())
    }
}

fn takes_any_order(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_ascii_lowercase());
    let is_ordered = list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)));
    !is_ordered && function.over.is_none() && name.is_some_and(|name| ORDERED.contains(&name.as_str()))
}
