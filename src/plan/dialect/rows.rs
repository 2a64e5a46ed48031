//! Rows beside rows: `(a, b) = (c, d)`, `(a, b) < (c, d)`, `(a, b) IN ((1, 2), …)`, `(a, b) IS NULL`, `ROW(a, b)` like all of them.
//!
//! The engine makes structs of rows, which are equal where both have a NULL and never NULL themselves. PostgreSQL compares them field by
//! field, and so does what each becomes here. A row that is to be one of a subquery's, as a condition of its own in WHERE, becomes a question whether there is such a row there;
//! elsewhere it stays with the engine, which refuses it. What rows are left are values: calls of [`crate::catalog::row`].

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, ObjectNamePart, Query, Select,
    SelectItem, SetExpr, Statement, TableAlias, TableAliasColumnDef, TableFactor, TableVersion, TableWithJoins, UnaryOperator, Value,
    VisitMut, VisitorMut,
};

use super::catalog_names::call;
use super::merged_columns::quoted;
use crate::sql::{folded, parse_entity_query};

/// Rewrites them.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Rows { versions: Vec::new() });
}

/// Fields of a row, at most, as in PostgreSQL; a comparison is as deep a tree.
const MOST_FIELDS: usize = 1_664;

struct Rows {
    /// Of the tables around: what stands there are rows to nobody.
    versions: Vec<Option<TableVersion>>,
}

impl VisitorMut for Rows {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        self.versions.push(if let TableFactor::Table { version, .. } = table { version.take() } else { None });
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let (Some(Some(taken)), TableFactor::Table { version, .. }) = (self.versions.pop(), table) {
            *version = Some(taken);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let Some(condition) = &mut select.selection {
            conjuncts(condition);
        }
        // `GROUP BY (a, b)` is `GROUP BY a, b`.
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by
            && keys.iter().any(|key| fields(key).is_some())
        {
            *keys = keys.drain(..).flat_map(|key| fields(&key).unwrap_or_else(|| vec![key])).collect();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        // Rows inside rows are values by now: only the outer ones are taken apart.
        let replaced = match expression {
            Expr::BinaryOp { left, op, right } => fields(left).zip(fields(right)).and_then(|(left, right)| compared(op, &left, &right)),
            Expr::IsNull(row) => fields(row).and_then(|fields| each(fields, Expr::IsNull)),
            Expr::IsNotNull(row) => fields(row).and_then(|fields| each(fields, Expr::IsNotNull)),
            Expr::InList { expr, list, negated } => fields(expr).and_then(|row| one_of(&row, list, *negated)),
            Expr::Between { expr, negated, low, high } => within(expr, low, high, *negated),
            Expr::Tuple(fields) if !fields.is_empty() => {
                *expression = call("row", std::mem::take(fields));
                None
            }
            _ => None,
        };
        if let Some(replaced) = replaced {
            *expression = Expr::Nested(Box::new(replaced));
        }
        ControlFlow::Continue(())
    }
}

/// The fields of a row that is written.
pub(super) fn fields(expression: &Expr) -> Option<Vec<Expr>> {
    match expression {
        Expr::Tuple(fields) if fields.len() > 1 => Some(fields.clone()),
        Expr::Nested(inner) => fields(inner),
        Expr::Function(function) => called(function),
        _ => None,
    }
}

/// The fields of `ROW(a, b)`.
fn called(function: &Function) -> Option<Vec<Expr>> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    if folded(name) != "row" || list.args.is_empty() {
        return None;
    }
    let fields = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(field)) => Some(field.clone()),
        _ => None,
    });
    fields.collect()
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// All of them joined, as a tree that is no deeper than it must be.
pub(super) fn joined(mut terms: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    if terms.len() > 1 {
        let right = joined(terms.split_off(terms.len() / 2), op)?;
        let left = joined(terms, op)?;
        return Some(Expr::Nested(Box::new(binary(left, op.clone(), right))));
    }
    terms.pop()
}

fn each(fields: Vec<Expr>, test: fn(Box<Expr>) -> Expr) -> Option<Expr> {
    joined(fields.into_iter().map(|field| test(Box::new(field))).collect(), &BinaryOperator::And)
}

fn compared(op: &BinaryOperator, left: &[Expr], right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if left.len() != right.len() || left.len() > MOST_FIELDS {
        return None;
    }
    let pairs = || left.iter().cloned().zip(right.iter().cloned());
    match op {
        Eq => joined(pairs().map(|(left, right)| binary(left, Eq, right)).collect(), &And),
        NotEq => joined(pairs().map(|(left, right)| binary(left, NotEq, right)).collect(), &Or),
        Lt | LtEq | Gt | GtEq => {
            let strict = if matches!(op, Lt | LtEq) { Lt } else { Gt };
            // The last field decides what is equal so far.
            pairs().rev().fold(None, |rest, (left, right)| {
                let Some(rest) = rest else { return Some(binary(left, op.clone(), right)) };
                let further = binary(binary(left.clone(), Eq, right.clone()), And, Expr::Nested(Box::new(rest)));
                Some(binary(binary(left, strict.clone(), right), Or, Expr::Nested(Box::new(further))))
            })
        }
        _ => None,
    }
}

fn within(row: &Expr, low: &Expr, high: &Expr, negated: bool) -> Option<Expr> {
    let (row, low, high) = (fields(row)?, fields(low)?, fields(high)?);
    let nested = |op, bound: &[Expr]| compared(&op, &row, bound).map(|compared| Expr::Nested(Box::new(compared)));
    let both = binary(nested(BinaryOperator::GtEq, &low)?, BinaryOperator::And, nested(BinaryOperator::LtEq, &high)?);
    Some(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(Expr::Nested(Box::new(both))) } } else { both })
}

fn one_of(row: &[Expr], list: &[Expr], negated: bool) -> Option<Expr> {
    let equal = list.iter().map(|item| compared(&BinaryOperator::Eq, row, &fields(item)?)).collect::<Option<Vec<_>>>()?;
    let any = Expr::Nested(Box::new(joined(equal, &BinaryOperator::Or)?));
    Some(if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) } } else { any })
}

/// The parts of a condition that all must hold, where NULL is as good as false.
fn conjuncts(condition: &mut Expr) {
    match condition {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conjuncts(left);
            conjuncts(right);
        }
        Expr::InSubquery { expr, subquery, negated } => {
            if let Some(exists) = fields(expr).and_then(|row| among(&row, subquery, *negated)) {
                *condition = exists;
            }
        }
        _ => {}
    }
}

/// Whether the subquery has such a row; or, negated, whether it has none that is or might be one.
fn among(row: &[Expr], subquery: &Query, negated: bool) -> Option<Expr> {
    if let SetExpr::Select(select) = subquery.body.as_ref()
        && select.projection.len() != row.len()
        && !select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)))
    {
        return None;
    }
    // Names that nothing outside has.
    let (relation, column) = (quoted("\u{0}rows"), |place: usize| quoted(&format!("\u{0}{place}")));
    let equal = row.iter().enumerate().map(|(place, field)| {
        let theirs = Expr::CompoundIdentifier(vec![relation.clone(), column(place)]);
        binary(Expr::Nested(Box::new(field.clone())), BinaryOperator::Eq, theirs)
    });
    let equal = joined(equal.collect(), &BinaryOperator::And)?;
    let mut query = parse_entity_query("SELECT 1").ok()?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    select.projection = vec![SelectItem::UnnamedExpr(Expr::value(Value::Number("1".to_owned(), false)))];
    select.from = vec![TableWithJoins {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(subquery.clone()),
            alias: Some(TableAlias {
                explicit: true,
                name: relation.clone(),
                columns: (0..row.len()).map(|place| TableAliasColumnDef::from_name(column(place).value)).collect(),
                at: None,
            }),
            sample: None,
        },
        joins: Vec::new(),
    }];
    select.selection = Some(if negated { Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal)))) } else { equal });
    Some(Expr::Exists { subquery: query, negated })
}
