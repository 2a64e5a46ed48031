//! The columns that `JOIN … USING (k)` and NATURAL JOIN merge: their place in a star, and their bare name.
//!
//! In a star they stand first, and once. Their value is the left side's; of RIGHT JOIN the right side's, of FULL JOIN whichever there is. The
//! engine has them where the left side has them and always takes the left side's value, which is NULL where the right side has no
//! partner; and in WHERE it does not know the name at all. So the name is replaced by what it means, a star by what it stands for, and a RIGHT or
//! FULL JOIN compares in ON what its sides mean. That needs the relations' columns ([`crate::plan::relation_columns`]), but for inner and left
//! joins whose columns are named.
//!
//! The bare name of a column that a RIGHT or FULL JOIN merges is not known to subqueries.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use super::rows::binary;
use crate::error::{Report, SqlState};
use crate::plan::context::external;
use crate::sql::{constraint, constraint_mut, folded};

/// Finds the columns of the relations of a clause.
pub(super) type Columns<'a> = dyn Fn(&[TableWithJoins]) -> Result<Option<DFSchema>> + 'a;

/// Gives the columns that one query merges their meaning.
pub(super) fn in_query(query: &mut Query, columns: &Columns<'_>) -> Result<()> {
    let queries = Queries { columns };
    let merged = match query.body.as_mut() {
        SetExpr::Select(select) => queries.select(select)?,
        body => queries.branches(body).map(|()| None)?,
    };
    if let (Some(merged), Some(order_by)) = (merged, &mut query.order_by)
        && let OrderByKind::Expressions(keys) = &mut order_by.kind
    {
        for key in keys {
            let is_selected = matches!(&key.expr, Expr::Identifier(name) if merged.selected.contains(&folded(name)));
            if !is_selected {
                replace(key, &|name| merged.meaning(name));
            }
        }
    }
    Ok(())
}

struct Queries<'a> {
    columns: &'a Columns<'a>,
}

/// One column of a FROM clause.
#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// What it is: a relation's own, or whichever there is of two.
    value: Expr,
    merged: bool,
}

/// The columns that a clause merges.
struct Merged {
    columns: HashMap<String, Expr>,
    /// Those that the result has under their own names.
    selected: Vec<String>,
}

impl Merged {
    fn meaning(&self, name: &Ident) -> Option<Expr> {
        self.columns.get(&folded(name)).cloned()
    }
}

impl Queries<'_> {
    fn branches(&self, body: &mut SetExpr) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.select(select).map(|_| ()),
            SetExpr::SetOperation { left, right, .. } => {
                self.branches(left)?;
                self.branches(right)
            }
            _ => Ok(()),
        }
    }

    fn select(&self, select: &mut Select) -> Result<Option<Merged>> {
        if !merges(&select.from) {
            return Ok(None);
        }
        let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(options) if *options == WildcardAdditionalOptions::default());
        let has_star = select.projection.iter().any(is_star);
        if !has_star && !select.from.iter().any(keeps_the_right) {
            // The engine knows these but in WHERE.
            if let Some(selection) = &mut select.selection {
                let columns: HashMap<String, Ident> = select.from.iter().flat_map(kept_by_the_left).collect();
                replace(selection, &|name| columns.get(&folded(name)).map(|relation| column_of(relation, name)));
            }
            return Ok(None);
        }
        let mut named = 0;
        select.from.iter_mut().for_each(|table| give_names(table, &mut named));
        let Some(schema) = (self.columns)(&select.from)? else { return Ok(None) };
        let mut fields = Fields { schema: &schema, next: 0 };
        let mut all = Vec::new();
        for table in &mut select.from {
            all.extend(fields.of_clause(table)?);
        }
        let columns = all.iter().filter(|column| column.merged).map(|column| (column.name.clone(), column.value.clone()));
        let mut merged = Merged { columns: columns.collect(), selected: Vec::new() };
        let parts = |value: &Expr| match value {
            Expr::CompoundIdentifier(parts) => Some(parts.iter().map(folded).collect::<Vec<_>>()),
            _ => None,
        };
        let written =
            select.projection.iter().filter_map(|item| if let SelectItem::UnnamedExpr(value) = item { parts(value) } else { None });
        let written: Vec<Vec<String>> = written.collect();
        let mut projection = Vec::with_capacity(select.projection.len() + all.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                item if is_star(&item) => projection.extend(all.iter().map(item_of)),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) if merged.meaning(&name).is_some() => {
                    let value = merged.meaning(&name).unwrap_or_else(|| Expr::Identifier(name.clone()));
                    // The same column twice: the engine would not tell it from the other.
                    let again =
                        parts(&value).is_some_and(|parts| written.contains(&parts)).then(|| format!("\u{0}\u{0}{}", projection.len()));
                    let alias = quoted(&format!("{}{}", folded(&name), again.unwrap_or_default()));
                    projection.push(SelectItem::ExprWithAlias { expr: value, alias });
                }
                item => projection.push(item),
            }
        }
        merged.selected = projection.iter().filter_map(name_of_item).filter(|name| merged.columns.contains_key(name)).collect();
        select.projection = projection;
        replace(select, &|name| merged.meaning(name));
        Ok(Some(merged))
    }
}

fn unclear() -> DataFusionError {
    let report = Report::new(SqlState::FEATURE_NOT_SUPPORTED, "USING and NATURAL over a join that has a name are not supported");
    external(report.hint("Join ON a.key = b.key."))
}

/// The column in a select list, under its name.
fn item_of(column: &Column) -> SelectItem {
    match &column.value {
        Expr::CompoundIdentifier(parts) if parts.last().is_some_and(|part| part.value == column.name) => {
            SelectItem::UnnamedExpr(column.value.clone())
        }
        value => SelectItem::ExprWithAlias { expr: value.clone(), alias: quoted(&column.name) },
    }
}

fn name_of_item(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// Whether a clause merges columns.
fn merges(from: &[TableWithJoins]) -> bool {
    from.iter().any(|table| {
        let nested = |relation: &TableFactor| match relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => merges(std::slice::from_ref(table_with_joins)),
            _ => false,
        };
        nested(&table.relation)
            || table.joins.iter().any(|join| {
                nested(&join.relation)
                    || matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
            })
    })
}

/// Whether it has a join that needs more than the left side's value, or whose columns are not on the tree.
fn keeps_the_right(table: &TableWithJoins) -> bool {
    let nested = |relation: &TableFactor| matches!(relation, TableFactor::NestedJoin { .. });
    let natural = |operator: &JoinOperator| matches!(constraint(operator), Some(JoinConstraint::Natural));
    nested(&table.relation)
        || table.joins.iter().any(|join| nested(&join.relation) || natural(&join.join_operator) || side(&join.join_operator) != Side::Left)
}

/// Whose value a merged column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Either,
}

fn side(operator: &JoinOperator) -> Side {
    match operator {
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Side::Right,
        JoinOperator::FullOuter(_) => Side::Either,
        _ => Side::Left,
    }
}

/// The fields of a clause, taken relation by relation.
struct Fields<'a> {
    schema: &'a DFSchema,
    next: usize,
}

impl Fields<'_> {
    /// The columns of a clause in PostgreSQL's order. What NATURAL merges is named on the tree, and RIGHT and FULL JOIN get their condition.
    fn of_clause(&mut self, table: &mut TableWithJoins) -> Result<Vec<Column>> {
        let mut left = self.of_relation(&mut table.relation)?;
        for join in &mut table.joins {
            let right = self.of_relation(&mut join.relation)?;
            let side = side(&join.join_operator);
            let written = constraint_mut(&mut join.join_operator);
            let names: Vec<String> = match written.as_deref() {
                Some(JoinConstraint::Using(names)) => names.iter().filter_map(|name| name.0.last()?.as_ident()).map(folded).collect(),
                Some(JoinConstraint::Natural) => {
                    left.iter().map(|column| column.name.clone()).filter(|name| right.iter().any(|column| column.name == *name)).collect()
                }
                _ => Vec::new(),
            };
            let pair = |name: &String| Ok((value(&left, name, "left")?, value(&right, name, "right")?));
            let pairs: Vec<(Expr, Expr)> = names.iter().map(pair).collect::<Result<_>>()?;
            if let (Some(written), false) = (written, names.is_empty()) {
                let plain = side == Side::Left && pairs.iter().all(|(left, _)| matches!(left, Expr::CompoundIdentifier(_)));
                *written = if plain && !left.iter().any(|column| column.merged) {
                    JoinConstraint::Using(names.iter().map(|name| ObjectName::from(vec![quoted(name)])).collect())
                } else {
                    let equal = pairs.iter().map(|(left, right)| binary(left.clone(), BinaryOperator::Eq, right.clone()));
                    let all = equal.reduce(|one, other| binary(one, BinaryOperator::And, other));
                    all.map_or(JoinConstraint::None, JoinConstraint::On)
                };
            }
            let merged = names.iter().zip(pairs).map(|(name, (left, right))| {
                let value = match side {
                    Side::Left => left,
                    Side::Right => right,
                    Side::Either => whichever(left, right),
                };
                Column { name: name.clone(), value, merged: true }
            });
            let mut columns: Vec<Column> = merged.collect();
            columns.extend(left.into_iter().chain(right).filter(|column| !names.contains(&column.name)));
            left = columns;
        }
        Ok(left)
    }

    fn of_relation(&mut self, relation: &mut TableFactor) -> Result<Vec<Column>> {
        match relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.of_clause(table_with_joins),
            relation => self.of_leaf(relation).ok_or_else(unclear),
        }
    }

    fn of_leaf(&mut self, relation: &TableFactor) -> Option<Vec<Column>> {
        let name = name_of(relation)?;
        if self.next >= self.schema.fields().len() {
            return None;
        }
        let qualifier = self.schema.qualified_field(self.next).0.cloned();
        if qualifier.as_ref()?.table() != folded(&name) {
            return None;
        }
        let mut columns = Vec::new();
        while self.next < self.schema.fields().len() {
            let (relation, field) = self.schema.qualified_field(self.next);
            if relation != qualifier.as_ref() {
                break;
            }
            let value = Expr::CompoundIdentifier(vec![name.clone(), quoted(field.name())]);
            columns.push(Column { name: field.name().clone(), value, merged: false });
            self.next += 1;
        }
        Some(columns)
    }
}

fn value(columns: &[Column], name: &str, side: &str) -> Result<Expr> {
    let mut found = columns.iter().filter(|column| column.name == name);
    let (sqlstate, message) = match (found.next(), found.next()) {
        (Some(column), None) => return Ok(column.value.clone()),
        (None, _) => (SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" specified in USING clause does not exist in {side} table")),
        _ => (SqlState::AMBIGUOUS_COLUMN, format!("common column name \"{name}\" appears more than once in {side} table")),
    };
    Err(external(Report::new(sqlstate, message)))
}

fn whichever(left: Expr, right: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: Expr::IsNotNull(Box::new(left.clone())), result: left }],
        else_result: Some(Box::new(right)),
    }
}

/// The columns that inner and left joins merge, each with a relation whose column has its value.
fn kept_by_the_left(from: &TableWithJoins) -> HashMap<String, Ident> {
    let mut kept: HashMap<String, Ident> = HashMap::new();
    let mut alone = name_of(&from.relation);
    for join in &from.joins {
        let (columns, inner) = match &join.join_operator {
            JoinOperator::Join(JoinConstraint::Using(columns)) | JoinOperator::Inner(JoinConstraint::Using(columns)) => (columns, true),
            JoinOperator::Left(JoinConstraint::Using(columns)) | JoinOperator::LeftOuter(JoinConstraint::Using(columns)) => {
                (columns, false)
            }
            _ => (&Vec::new(), true),
        };
        for column in columns.iter().filter_map(|name| name.0.last()?.as_ident()) {
            let left = kept.get(&folded(column)).or(alone.as_ref()).cloned();
            let relation = if inner { name_of(&join.relation).or(left) } else { left };
            relation.map(|relation| kept.insert(folded(column), relation));
        }
        alone = None;
    }
    kept
}

/// Names the relations that have none: functions as PostgreSQL does, queries so that no statement can say it.
fn give_names(table: &mut TableWithJoins, named: &mut usize) {
    for relation in std::iter::once(&mut table.relation).chain(table.joins.iter_mut().map(|join| &mut join.relation)) {
        let (alias, name) = match relation {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                give_names(table_with_joins, named);
                continue;
            }
            TableFactor::Table { name, alias: alias @ None, args: Some(_), .. }
            | TableFactor::Function { name, alias: alias @ None, .. } => (alias, name.0.last().and_then(|part| part.as_ident()).cloned()),
            TableFactor::Derived { alias: alias @ None, .. } => (alias, None),
            _ => continue,
        };
        *named += 1;
        let name = name.unwrap_or_else(|| quoted(&format!("\u{0}{named}")));
        *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
    }
}

pub(super) fn name_of(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, alias: None, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

fn column_of(relation: &Ident, name: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![relation.clone(), name.clone()])
}

/// Gives the bare names of one query their meaning, not those of its subqueries.
struct Names<'a> {
    meaning: &'a dyn Fn(&Ident) -> Option<Expr>,
    depth: usize,
}

/// The same of all names in a part of a query.
fn replace(part: &mut impl VisitMut, meaning: &dyn Fn(&Ident) -> Option<Expr>) {
    let _ = part.visit(&mut Names { meaning, depth: 0 });
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
        if self.depth == 0
            && let Expr::Identifier(name) = expression
            && let Some(meaning) = (self.meaning)(name)
        {
            *expression = meaning;
        }
        ControlFlow::Continue(())
    }
}
