//! Result columns named as PostgreSQL names them: `count`, `?column?`, the innermost name of a cast.
//!
//! The engine names an expression by its text and refuses two columns of one name; PostgreSQL does neither. So every
//! unnamed expression gets an alias on the tree before planning. Where a name is taken, the alias goes on with a NUL and a
//! number, which no identifier of a client can hold, and [`shown`] cuts it off again.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, DataType, ExactNumberInfo, Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Statement,
    TrimWhereField, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::error::{Report, SqlState};
use crate::sql::folded;

/// Separates a name from the number that makes it unique.
const SEPARATOR: char = '\u{0}';

/// Gives every unnamed result column of the statement and its subqueries its PostgreSQL name.
pub(super) fn give(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        beside_stars(&mut query.body);
        behind_order(query);
    }
    let _ = statement.visit(&mut Namer);
}

/// The name without what made it unique.
pub(super) fn shown(name: &str) -> &str {
    if name.starts_with("UNNEST(") {
        return "unnest";
    }
    name.split(SEPARATOR).next().unwrap_or(name)
}

/// 54011 where a target list is longer than PostgreSQL allows: the engine would plan tens of thousands of expressions for minutes.
pub(super) fn count(statement: &Statement) -> Result<(), Report> {
    match Visit::visit(statement, &mut Counter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            Err(Report::new(SqlState::TOO_MANY_COLUMNS, format!("target lists can have at most {MOST_TARGETS} entries")))
        }
    }
}

const MOST_TARGETS: usize = 1_664;

struct Counter;

impl Visitor for Counter {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut bodies = vec![query.body.as_ref()];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(select) if select.projection.len() > MOST_TARGETS => return ControlFlow::Break(()),
                SetExpr::SetOperation { left, right, .. } => bodies.extend([left.as_ref(), right.as_ref()]),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        name_body(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn name_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => name_items(&mut select.projection),
        SetExpr::SetOperation { left, right, .. } => {
            name_body(left);
            name_body(right);
        }
        _ => {}
    }
}

/// `SELECT t.a, t.*`, as DBeaver asks of every relation: what is named besides the star gets a name of its own, so that the star's may be
/// the same. Only of the statement's own columns, for those of a subquery have to be found by their names.
fn beside_stars(body: &mut SetExpr) {
    let SetExpr::Select(select) = body else { return };
    let items = &mut select.projection;
    if !items.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))) {
        return;
    }
    for (index, item) in items.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expression) = item
            && let Some(ident) = column(expression)
        {
            let alias = Ident::with_quote('"', format!("{}{SEPARATOR}{SEPARATOR}{index}", folded(ident)));
            *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias };
        }
    }
}

/// `SELECT -a AS a FROM t ORDER BY -a`, `SELECT a::text AS a FROM t ORDER BY t.a`: an expression of ORDER BY is one of the relations' columns. The
/// engine would take a result column of that name, so it gets another, and keeps it where ORDER BY is its name alone. Only of the
/// statement's own columns, too.
fn behind_order(query: &mut Query) {
    let (SetExpr::Select(select), Some(order_by)) = (query.body.as_mut(), &mut query.order_by) else { return };
    let OrderByKind::Expressions(keys) = &mut order_by.kind else { return };
    if select.distinct.is_some() {
        return;
    }
    for (index, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
        let name = folded(alias);
        let is_itself = column(expr).is_some_and(|column| folded(column) == name);
        let is_bare = |key: &Expr| matches!(key, Expr::Identifier(ident) if folded(ident) == name);
        if is_itself || !keys.iter().any(|key| !is_bare(&key.expr) && Visit::visit(&key.expr, &mut Named(&name)).is_break()) {
            continue;
        }
        let other = Ident::with_quote('"', format!("{name}{SEPARATOR}{SEPARATOR}{index}"));
        for key in keys.iter_mut().filter(|key| is_bare(&key.expr)) {
            key.expr = Expr::Identifier(other.clone());
        }
        *alias = other;
    }
}

/// Breaks at a column of this name.
struct Named<'a>(&'a str);

impl Visitor for Named<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if column(expression).is_some_and(|ident| folded(ident) == self.0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn name_items(items: &mut [SelectItem]) {
    let mut taken: HashSet<String> = HashSet::new();
    let mut plain: HashSet<String> = HashSet::new();
    for item in items.iter_mut() {
        match item {
            SelectItem::UnnamedExpr(expression) => {
                if let Some(ident) = column(expression) {
                    let name = folded(ident);
                    let text = expression.to_string();
                    if !plain.insert(text) {
                        // The same column twice: the second one needs a name of its own.
                        let alias = unique(&name, &mut taken);
                        *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias };
                    } else {
                        taken.insert(name);
                    }
                }
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = folded(alias);
                if taken.contains(&name) {
                    let alias = unique(&name, &mut taken);
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                } else {
                    taken.insert(name);
                }
            }
            _ => {}
        }
    }
    for item in items {
        if let SelectItem::UnnamedExpr(expression) = item
            && column(expression).is_none()
            && !is_set_returning(expression)
        {
            let alias = unique(&figure(expression), &mut taken);
            *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias };
        }
    }
}

/// The engine expands `unnest` in the select list by itself and loses an alias around it in places.
fn is_set_returning(expression: &Expr) -> bool {
    matches!(expression, Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("unnest"))
}

fn unique(name: &str, taken: &mut HashSet<String>) -> Ident {
    let mut candidate = name.to_owned();
    let mut number = 1;
    while !taken.insert(candidate.clone()) {
        number += 1;
        candidate = format!("{name}{SEPARATOR}{number}");
    }
    Ident::with_quote('"', candidate)
}

fn column(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    }
}

/// PostgreSQL's rules for the name of an expression.
fn figure(expression: &Expr) -> String {
    strong(expression).unwrap_or_else(|| "?column?".to_owned())
}

fn strong(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()).map(folded),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strong(inner),
        Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
            other if is_weak(other) => Some(type_name(data_type)),
            other => strong(other).or_else(|| Some(type_name(data_type))),
        },
        // The last field's name; a subscript is named as what it is of.
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = |access: &AccessExpr| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some(folded(name)),
                AccessExpr::Dot(Expr::Value(name)) => name.value.clone().into_string(),
                _ => None,
            };
            access_chain.iter().rev().find_map(field).or_else(|| strong(root))
        }
        Expr::TypedString(typed) => Some(type_name(&typed.data_type)),
        Expr::Case { else_result, .. } => else_result.as_ref().and_then(|last| strong(last)).or_else(|| Some("case".to_owned())),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Exists { negated: false, .. } => Some("exists".to_owned()),
        Expr::Overlay { .. } => Some("overlay".to_owned()),
        Expr::Substring { shorthand: true, .. } => Some("substr".to_owned()),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                Some(TrimWhereField::Both) | None => "btrim",
            }
            .to_owned(),
        ),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::AtTimeZone { .. } => Some("timezone".to_owned()),
        Expr::Tuple(_) => Some("row".to_owned()),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::UnnamedExpr(first) => strong(first),
                SelectItem::ExprWithAlias { alias, .. } => Some(shown(&folded(alias)).to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Whether an expression has no name but that of a cast: of two casts, the outer one's is shown.
fn is_weak(expression: &Expr) -> bool {
    match expression {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_weak(expr),
        _ => false,
    }
}

/// The catalog's name of a type: what PostgreSQL calls `'1'::int`.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4".into(),
        DataType::BigInt(_) | DataType::Int8(_) => "int8".into(),
        DataType::SmallInt(_) | DataType::Int2(_) => "int2".into(),
        DataType::Real | DataType::Float4 | DataType::Float(ExactNumberInfo::Precision(1..=24)) => "float4".into(),
        DataType::Double(_) | DataType::DoublePrecision | DataType::Float8 | DataType::Float(_) => "float8".into(),
        DataType::Boolean | DataType::Bool => "bool".into(),
        DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric".into(),
        DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar".into(),
        DataType::Char(_) | DataType::Character(_) => "bpchar".into(),
        DataType::Timestamp(_, zone) => {
            if zone.to_string().to_uppercase().contains("WITH TIME ZONE") || zone.to_string().eq_ignore_ascii_case("tz") {
                "timestamptz".into()
            } else {
                "timestamp".into()
            }
        }
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => type_name(element),
        DataType::Custom(name, _) => name.0.last().and_then(|part| part.as_ident()).map(folded).unwrap_or_default(),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn names(sql: &str) -> Vec<String> {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        give(&mut statement);
        let Statement::Query(query) = statement else { panic!("not a query") };
        let SetExpr::Select(select) = *query.body else { panic!("not a select") };
        select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => shown(&folded(alias)).to_owned(),
                SelectItem::UnnamedExpr(expression) => column(expression).map(folded).unwrap_or_default(),
                other => other.to_string(),
            })
            .collect()
    }

    #[test]
    fn a_column_beside_the_star_has_a_name_of_its_own() {
        assert_eq!(names("SELECT t.x, t.* FROM t"), ["x", "t.*"]);
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT t.x, t.* FROM t").unwrap().remove(0);
        give(&mut statement);
        assert!(statement.to_string().contains("x\u{0}\u{0}0"));
    }

    #[test]
    fn as_postgres_names_them() {
        assert_eq!(
            names("SELECT 1, 1 + 1, count(*), count(x), x::text, '1'::int, CASE WHEN a THEN b END, t.y, x, x, lower(x) AS z FROM t"),
            ["?column?", "?column?", "count", "count", "x", "int4", "case", "y", "x", "x", "z"]
        );
        assert_eq!(names("SELECT (s).a, (s).b.c, y[1], (s).d[2] FROM t"), ["a", "c", "y", "d"]);
    }
}
