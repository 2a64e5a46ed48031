//! A relation's name where a value stands: its whole row, `SELECT to_json(c) FROM customers AS c`, `count(c.*)`, `(c).total`, `c IS NULL`.
//!
//! The engine looks for a column of that name. So the name becomes a call that makes a row of the relation's columns
//! ([`crate::catalog::WHOLE_ROW`]), unless there is a column of that name, which PostgreSQL prefers as well. A row of the side of an outer join that
//! may have found no partner is marked. That needs the relations' columns; only statements pay for it that name a relation so.
//!
//! A relation of a query around is not found from within a subquery.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinOperator, OrderBy,
    OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};

use super::catalog_names::call;
use super::merged_columns::{Columns, name_of, quoted};
use super::rows::joined;
use crate::catalog::WHOLE_ROW;
use crate::sql::folded;

/// Gives the relations' names that stand for rows their meaning.
pub(super) fn in_query(query: &mut Query, columns: &Columns<'_>) -> Result<()> {
    match query.body.as_mut() {
        SetExpr::Select(select) => {
            let mut keys = match &mut query.order_by {
                Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) => {
                    let aliases = aliases(select);
                    keys.iter_mut().filter(|key| !is_alias(&key.expr, &aliases)).collect()
                }
                _ => Vec::new(),
            };
            let Some(rows) = in_select(select, &mut keys, columns)? else { return Ok(()) };
            let aliases = aliases(select);
            for key in keys.into_iter().filter(|key| !is_alias(&key.expr, &aliases)) {
                let _ = key.visit(&mut Names { rows: &rows, depth: 0 });
            }
            Ok(())
        }
        body => in_branches(body, columns),
    }
}

fn in_branches(body: &mut SetExpr, columns: &Columns<'_>) -> Result<()> {
    match body {
        SetExpr::Select(select) => in_select(select, &mut [], columns).map(|_| ()),
        SetExpr::SetOperation { left, right, .. } => {
            in_branches(left, columns)?;
            in_branches(right, columns)
        }
        _ => Ok(()),
    }
}

/// A relation of FROM.
#[derive(Default)]
struct Relation {
    /// As the clause names it.
    name: Option<Ident>,
    /// Whether an outer join may leave it without a row.
    may_be_absent: bool,
    /// Whether it is a function, which may give values and no rows.
    of_values: bool,
    columns: Vec<String>,
}

/// Relations by what their names mean.
type Relations = HashMap<String, Relation>;

/// `keys` are those of ORDER BY, which are rewritten by who calls.
fn in_select(select: &mut Select, keys: &mut [&mut OrderByExpr], columns: &Columns<'_>) -> Result<Option<Relations>> {
    let mut rows = Relations::new();
    for table in &select.from {
        relations(table, false, &mut rows);
    }
    if rows.is_empty() || !(mentions(select, &rows) || keys.iter_mut().any(|key| mentions(*key, &rows))) {
        return Ok(None);
    }
    // A clause that cannot stand alone, because it refers to a query around, may have no rows to name.
    let Ok(Some(schema)) = columns(&select.from) else { return Ok(None) };
    fill(&mut rows, &schema);
    let aliases = aliases(select);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && let Some(relation) = rows.get(&folded(name))
        {
            *item = SelectItem::ExprWithAlias { expr: relation.row(), alias: quoted(&folded(name)) };
        }
    }
    // An alias of the result wins where rows are grouped by it.
    let grouped = match &mut select.group_by {
        GroupByExpr::Expressions(keys, _) if keys.iter().any(|key| is_alias(key, &aliases)) => Some(std::mem::take(keys)),
        _ => None,
    };
    let _ = select.visit(&mut Names { rows: &rows, depth: 0 });
    if let (Some(mut grouped), GroupByExpr::Expressions(keys, _)) = (grouped, &mut select.group_by) {
        for key in grouped.iter_mut().filter(|key| !is_alias(key, &aliases)) {
            let _ = key.visit(&mut Names { rows: &rows, depth: 0 });
        }
        *keys = grouped;
    }
    Ok(Some(rows))
}

fn relations(table: &TableWithJoins, outer: bool, found: &mut Relations) {
    let keeps_right =
        |operator: &JoinOperator| matches!(operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_));
    let keeps_left =
        |operator: &JoinOperator| matches!(operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_) | JoinOperator::FullOuter(_));
    let mut add = |relation: &TableFactor, may_be_absent: bool| match relation {
        TableFactor::NestedJoin { table_with_joins, alias: None } => relations(table_with_joins, may_be_absent, found),
        relation => {
            if let Some(name) = name_of(relation) {
                let of_values = matches!(
                    relation,
                    TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. }
                );
                found.insert(folded(&name), Relation { name: Some(name), may_be_absent, of_values, columns: Vec::new() });
            }
        }
    };
    let left_out = |from: usize| table.joins.iter().skip(from).any(|join| keeps_right(&join.join_operator));
    add(&table.relation, outer || left_out(0));
    for (place, join) in table.joins.iter().enumerate() {
        add(&join.relation, outer || keeps_left(&join.join_operator) || left_out(place + 1));
    }
}

/// The columns of each, but those that no statement can name; who shares a name with any column is no row, and neither is who has none.
fn fill(rows: &mut Relations, schema: &DFSchema) {
    for (qualifier, field) in schema.iter() {
        if let Some(relation) = qualifier.and_then(|qualifier| rows.get_mut(qualifier.table()))
            && !field.name().starts_with('\0')
        {
            relation.columns.push(field.name().clone());
        }
    }
    rows.retain(|name, relation| !relation.columns.is_empty() && !schema.fields().iter().any(|field| field.name() == name));
}

fn aliases(select: &Select) -> Vec<String> {
    let alias = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    };
    select.projection.iter().filter_map(alias).collect()
}

fn is_alias(key: &Expr, aliases: &[String]) -> bool {
    matches!(key, Expr::Identifier(name) if aliases.contains(&folded(name)))
}

impl Relation {
    fn values(&self) -> impl Iterator<Item = (&String, Expr)> {
        let relation = self.name.iter();
        relation.flat_map(|name| self.columns.iter().map(|column| (column, Expr::CompoundIdentifier(vec![name.clone(), quoted(column)]))))
    }

    /// The call that makes its row, or the one value that a function gives.
    fn row(&self) -> Expr {
        if self.of_values
            && self.columns.len() == 1
            && let Some((_, value)) = self.values().next()
        {
            return value;
        }
        let mut arguments = vec![Expr::value(Value::Boolean(self.may_be_absent))];
        for (name, value) in self.values() {
            arguments.extend([Expr::value(Value::SingleQuotedString(name.clone())), value]);
        }
        call(WHOLE_ROW, arguments)
    }

    /// What each of its columns says.
    fn each(&self, test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
        let tests = self.values().map(|(_, value)| test(Box::new(value))).collect();
        joined(tests, &BinaryOperator::And).map(|all| Expr::Nested(Box::new(all)))
    }
}

/// Whether a part of a query names a relation as a value.
fn mentions(part: &mut impl VisitMut, rows: &Relations) -> bool {
    part.visit(&mut Mentions { rows, depth: 0 }).is_break()
}

struct Mentions<'a> {
    rows: &'a Relations,
    depth: usize,
}

impl VisitorMut for Mentions<'_> {
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
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let named = match expression {
            Expr::Identifier(name) => self.rows.contains_key(&folded(name)),
            Expr::Function(function) => starred(function, self.rows).next().is_some(),
            _ => false,
        };
        if named { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The arguments like `t.*`, with their relations.
fn starred<'a>(function: &'a mut Function, rows: &'a Relations) -> impl Iterator<Item = (&'a mut FunctionArgExpr, &'a Relation)> {
    let arguments = match &mut function.args {
        FunctionArguments::List(list) => list.args.as_mut_slice(),
        _ => &mut [],
    };
    arguments.iter_mut().filter_map(|argument| {
        let FunctionArg::Unnamed(argument) = argument else { return None };
        let FunctionArgExpr::QualifiedWildcard(name) = argument else { return None };
        let [part] = name.0.as_slice() else { return None };
        let relation = rows.get(&folded(part.as_ident()?))?;
        Some((argument, relation))
    })
}

/// `ROW(t.*, 1)` has the columns as its fields.
fn spread(function: &mut Function, rows: &Relations) {
    let is_row = matches!(function.name.0.as_slice(), [part] if part.as_ident().is_some_and(|name| folded(name) == "row"));
    let FunctionArguments::List(list) = &mut function.args else { return };
    if !is_row || list.args.is_empty() {
        return;
    }
    let columns = |argument: FunctionArg| match &argument {
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => match name.0.as_slice() {
            [part] => match part.as_ident().and_then(|name| rows.get(&folded(name))) {
                Some(relation) => {
                    relation.values().map(|(_, value)| FunctionArg::Unnamed(FunctionArgExpr::Expr(value))).collect::<Vec<_>>()
                }
                None => vec![argument],
            },
            _ => vec![argument],
        },
        _ => vec![argument],
    };
    list.args = std::mem::take(&mut list.args).into_iter().flat_map(columns).collect();
}

struct Names<'a> {
    rows: &'a Relations,
    depth: usize,
}

impl Names<'_> {
    /// The relation that an expression names.
    fn named(&self, expression: &Expr) -> Option<&Relation> {
        match expression {
            Expr::Identifier(name) => self.rows.get(&folded(name)),
            Expr::Nested(inner) => self.named(inner),
            _ => None,
        }
    }
}

impl VisitorMut for Names<'_> {
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
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Function(function) = expression {
            spread(function, self.rows);
            starred(function, self.rows).for_each(|(argument, relation)| *argument = FunctionArgExpr::Expr(relation.row()));
        }
        let replaced = match expression {
            Expr::Identifier(name) => self.rows.get(&folded(name)).map(Relation::row),
            Expr::IsNull(row) => self.named(row).and_then(|relation| relation.each(Expr::IsNull)),
            Expr::IsNotNull(row) => self.named(row).and_then(|relation| relation.each(Expr::IsNotNull)),
            _ => None,
        };
        if let Some(replaced) = replaced {
            *expression = replaced;
        }
        ControlFlow::Continue(())
    }
}
