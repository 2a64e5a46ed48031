//! The column that `JOIN … USING (k)` merges, by its bare name.
//!
//! In WHERE the engine does not know it, whatever the kind of join: it is replaced by a relation's own column that has its value (the
//! right side's of an inner join, the left side's of a left one). What NATURAL merges is not on the tree, and stays ambiguous there.
//!
//! Of `RIGHT` and `FULL JOIN` its value is the right side's, or whichever side's there is; the engine takes the left side's, which is NULL
//! where the right side has no partner. Of a join of two relations the name is replaced by what it means everywhere. Where that cannot be
//! done (a star, NATURAL, a longer chain of joins) the statement is refused: it would get NULL for a key.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Ident, Join, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, VisitMut, VisitorMut,
};

use crate::error::{Report, SqlState};

/// Gives merged columns their meaning.
pub(in crate::plan) fn rewrite(statement: &mut Statement) -> Result<(), Report> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported")).hint(
            "Join ON a.key = b.key, and select coalesce(a.key, b.key); USING merges the columns of two relations whose columns are named.",
        )),
    }
}

struct Queries;

impl VisitorMut for Queries {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<&'static str> {
        if let Some(merged) = of_body(&mut query.body)?
            && let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(expressions) = &mut order_by.kind
        {
            for expression in expressions {
                let named = matches!(&expression.expr, Expr::Identifier(name) if merged.selected.contains(&name.value));
                if !named {
                    replace(expression, &|name| merged.meaning(name));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The columns that one join merges.
struct Merged {
    columns: Vec<String>,
    full: bool,
    left: Ident,
    right: Ident,
    /// Those that the result has under their own names.
    selected: Vec<String>,
}

fn of_body(body: &mut SetExpr) -> ControlFlow<&'static str, Option<Merged>> {
    match body {
        SetExpr::Select(select) => of_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left)?;
            of_body(right)?;
            ControlFlow::Continue(None)
        }
        _ => ControlFlow::Continue(None),
    }
}

/// The constraint of a join that keeps rows of its right side alone, and whether it keeps those of its left side too.
fn keeps_right(join: &Join) -> Option<(&JoinConstraint, bool)> {
    match &join.join_operator {
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => Some((constraint, false)),
        JoinOperator::FullOuter(constraint) => Some((constraint, true)),
        _ => None,
    }
}

fn of_select(select: &mut Select) -> ControlFlow<&'static str, Option<Merged>> {
    let mut found = None;
    for from in &select.from {
        for join in &from.joins {
            match keeps_right(join) {
                Some((JoinConstraint::Using(columns), full)) => found = Some((from, join, columns, full)),
                Some((JoinConstraint::Natural, _)) => return ControlFlow::Break("NATURAL RIGHT or FULL JOIN"),
                _ => {}
            }
        }
    }
    let Some((from, join, columns, full)) = found else {
        if let Some(selection) = &mut select.selection {
            let columns: HashMap<String, Ident> = select.from.iter().flat_map(kept_by_the_left).collect();
            replace(selection, &|name| columns.get(&name.value).map(|relation| column_of(relation, name)));
        }
        return ControlFlow::Continue(None);
    };
    let starred = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    let names = (name_of(&from.relation), name_of(&join.relation));
    let ([_], [_], false, (Some(left), Some(right))) = (select.from.as_slice(), from.joins.as_slice(), starred, names) else {
        return ControlFlow::Break("RIGHT or FULL JOIN … USING of more than two relations, or with a star,");
    };
    let columns = columns.iter().filter_map(|name| name.0.last()?.as_ident()).map(|name| name.value.clone()).collect();
    let mut merged = Merged { columns, full, left, right, selected: Vec::new() };
    let mut projection = std::mem::take(&mut select.projection);
    for item in &mut projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item
            && merged.columns.contains(&name.value)
        {
            merged.selected.push(name.value.clone());
            *item = SelectItem::ExprWithAlias { expr: merged.value(name), alias: name.clone() };
        }
    }
    select.projection = projection;
    replace(select, &|name| merged.meaning(name));
    ControlFlow::Continue(Some(merged))
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
            let left = kept.get(&column.value).or(alone.as_ref()).cloned();
            let relation = if inner { name_of(&join.relation).or(left) } else { left };
            relation.map(|relation| kept.insert(column.value.clone(), relation));
        }
        alone = None;
    }
    kept
}

fn name_of(relation: &TableFactor) -> Option<Ident> {
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

impl Merged {
    fn meaning(&self, name: &Ident) -> Option<Expr> {
        self.columns.contains(&name.value).then(|| self.value(name))
    }

    fn value(&self, name: &Ident) -> Expr {
        let of = |relation: &Ident| column_of(relation, name);
        if !self.full {
            return of(&self.right);
        }
        Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![CaseWhen { condition: Expr::IsNotNull(Box::new(of(&self.left))), result: of(&self.left) }],
            else_result: Some(Box::new(of(&self.right))),
        }
    }
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
