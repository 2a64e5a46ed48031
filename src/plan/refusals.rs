//! What a query may not say, whatever its names mean: aggregates where there are no groups yet, numbers of columns that are none,
//! lists of different lengths. PostgreSQL finds these while it reads the tree and points at them; the engine finds some of them later,
//! without a place, and plans others as something else. So they are looked for on the tree, before it is planned.
//!
//! Left to the engine: what depends on how many columns a `*` stands for.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator,
    LimitClause, OrderByKind, Query, Select, SelectItem, SetExpr, Spanned, Statement, TableFactor, TableWithJoins, Value, Visit, Visitor,
};

use crate::error::{Report, SqlState};
use crate::sql::{constraint, folded, position_of};

/// Functions that exist over a window only.
const OF_WINDOWS: &[&str] =
    &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"];
/// As many arguments a function may have.
const MOST_ARGUMENTS: usize = 100;
/// What looks like a function and is syntax, which takes any number of them.
const NO_FUNCTIONS: &[&str] = &["coalesce", "greatest", "least"];
/// Functions that return rows.
const OF_SETS: &[&str] = &["generate_series", "generate_subscripts", "unnest"];

/// Which function names are aggregates'.
pub type IsAggregate<'a> = &'a dyn Fn(&str) -> bool;

/// Refuses what PostgreSQL refuses.
pub fn check(statement: &Statement, is_aggregate: IsAggregate<'_>) -> Result<(), Report> {
    let mut checker = Checker { is_aggregate };
    match Visit::visit(statement, &mut checker) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(report) => Err(*report),
    }
}

/// Refuses aggregates, window functions and functions that return rows in a condition that sees one row.
pub fn no_calls(condition: &Expr, clause: &str, is_aggregate: IsAggregate<'_>) -> Result<(), Report> {
    Checker { is_aggregate }.no_calls(condition, clause)
}

struct Checker<'a> {
    is_aggregate: IsAggregate<'a>,
}

impl Visitor for Checker<'_> {
    type Break = Box<Report>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<Report>> {
        match self.query(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(report) => ControlFlow::Break(Box::new(report)),
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Box<Report>> {
        match expression {
            Expr::Function(function) if has_too_many_arguments(function) => {
                let message = format!("cannot pass more than {MOST_ARGUMENTS} arguments to a function");
                ControlFlow::Break(Box::new(Report::new(SqlState::TOO_MANY_ARGUMENTS, message).position(start(function))))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn has_too_many_arguments(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    list.args.len() > MOST_ARGUMENTS && name_of(function).is_none_or(|name| !NO_FUNCTIONS.contains(&name.as_str()))
}

/// Where a part of the tree begins.
pub(super) fn start(part: &impl Spanned) -> Option<usize> {
    position_of(part.span().start)
}

/// A function's own name.
pub(super) fn name_of(function: &Function) -> Option<String> {
    function.name.0.last().and_then(|part| part.as_ident()).map(folded)
}

/// How many columns a query has, if none of them is a star.
fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => targets(select),
        SetExpr::Query(query) => width(&query.body),
        SetExpr::SetOperation { left, right, .. } => width(left).or_else(|| width(right)),
        SetExpr::Values(values) => values.rows.first().map(|row| row.len()),
        _ => None,
    }
}

fn targets(select: &Select) -> Option<usize> {
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    select.projection.iter().all(plain).then_some(select.projection.len())
}

/// Where the first column of a query stands.
fn first_column(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => select.projection.first().and_then(start),
        SetExpr::Query(query) => first_column(&query.body),
        SetExpr::SetOperation { left, .. } => first_column(left),
        SetExpr::Values(values) => values.rows.first().and_then(|row| row.first()).and_then(start),
        _ => None,
    }
}

/// Calls in an expression, those of its subqueries left out.
struct Calls<'a> {
    depth: usize,
    test: &'a dyn Fn(&Function) -> Option<Report>,
}

impl Visitor for Calls<'_> {
    type Break = Box<Report>;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<Box<Report>> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Box<Report>> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Box<Report>> {
        match expression {
            Expr::Function(function) if self.depth == 0 => match (self.test)(function) {
                Some(report) => ControlFlow::Break(Box::new(report)),
                None => ControlFlow::Continue(()),
            },
            _ => ControlFlow::Continue(()),
        }
    }
}

fn each_call(part: &impl Visit, test: &dyn Fn(&Function) -> Option<Report>) -> Result<(), Report> {
    match part.visit(&mut Calls { depth: 0, test }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(report) => Err(*report),
    }
}

impl Checker<'_> {
    fn query(&self, query: &Query) -> Result<(), Report> {
        if let Some(with) = &query.with {
            let names: Vec<&Ident> = with.cte_tables.iter().map(|table| &table.alias.name).collect();
            for (index, name) in names.iter().enumerate() {
                if names[..index].iter().any(|other| folded(other) == folded(name)) {
                    let message = format!("WITH query name \"{}\" specified more than once", folded(name));
                    return Err(Report::new(SqlState::DUPLICATE_ALIAS, message).position(position_of(name.span.start)));
                }
            }
        }
        if let Some(with) = &query.with {
            for table in &with.cte_tables {
                let (name, given) = (&table.alias.name, table.alias.columns.len());
                if let Some(available) = width(&table.query.body).filter(|available| *available < given) {
                    let message =
                        format!("WITH query \"{}\" has {available} columns available but {given} columns specified", folded(name));
                    return Err(Report::new(SqlState::INVALID_COLUMN_REFERENCE, message).position(position_of(name.span.start)));
                }
            }
        }
        self.body(&query.body)?;
        if let Some(order_by) = &query.order_by
            && let OrderByKind::Expressions(expressions) = &order_by.kind
        {
            for each in expressions {
                column_number(&each.expr, width(&query.body), "ORDER BY")?;
            }
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let both = limit.iter().map(|limit| ("LIMIT", limit)).chain(offset.iter().map(|offset| ("OFFSET", &offset.value)));
            for (clause, value) in both {
                self.no_calls(value, clause)?;
                if let Expr::Value(constant) = value
                    && let Value::SingleQuotedString(text) = &constant.value
                    && text.trim().parse::<i64>().is_err()
                {
                    let message = format!("invalid input syntax for type bigint: \"{text}\"");
                    return Err(Report::new(SqlState::INVALID_TEXT_REPRESENTATION, message).position(start(value)));
                }
            }
        }
        Ok(())
    }

    fn body(&self, body: &SetExpr) -> Result<(), Report> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Values(values) => {
                let length = values.rows.first().map_or(0, |row| row.len());
                if let Some(row) = values.rows.iter().find(|row| row.len() != length) {
                    let report = Report::new(SqlState::SYNTAX_ERROR, "VALUES lists must all be the same length");
                    return Err(report.position(row.first().and_then(start)));
                }
                values.rows.iter().flat_map(|row| row.iter()).try_for_each(|value| self.no_calls(value, "VALUES"))
            }
            SetExpr::SetOperation { left, right, op, .. } => {
                self.body(left)?;
                self.body(right)?;
                match (width(left), width(right)) {
                    (Some(one), Some(other)) if one != other => {
                        let message = format!("each {} query must have the same number of columns", op.to_string().to_uppercase());
                        Err(Report::new(SqlState::SYNTAX_ERROR, message).position(first_column(right)))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn select(&self, select: &Select) -> Result<(), Report> {
        one_name_each(&select.from)?;
        for factor in factors(&select.from) {
            if let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor
                && let Some(available) = width(&subquery.body).filter(|available| *available < alias.columns.len())
            {
                let (name, given) = (folded(&alias.name), alias.columns.len());
                let message = format!("table \"{name}\" has {available} columns available but {given} columns specified");
                return Err(Report::new(SqlState::INVALID_COLUMN_REFERENCE, message));
            }
        }
        if select.from.is_empty()
            && let Some(SelectItem::Wildcard(options)) = select.projection.iter().find(|item| matches!(item, SelectItem::Wildcard(_)))
        {
            let report = Report::new(SqlState::SYNTAX_ERROR, "SELECT * with no tables specified is not valid");
            return Err(report.position(position_of(options.wildcard_token.0.span.start)));
        }
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. } = item {
                self.targets(value)?;
            }
        }
        for join in select.from.iter().flat_map(|table| &table.joins) {
            if let Some(condition) = condition(&join.join_operator) {
                self.no_calls(condition, "JOIN conditions")?;
            }
        }
        if let Some(selection) = &select.selection {
            self.no_calls(selection, "WHERE")?;
        }
        if let Some(having) = &select.having {
            each_call(having, &|call| self.window(call, "HAVING").or_else(|| set(call, "HAVING")))?;
            self.targets(having)?;
        }
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            for key in keys {
                column_number(key, targets(select), "GROUP BY")?;
                each_call(key, &|call| self.aggregate(call, "GROUP BY").or_else(|| self.window(call, "GROUP BY")))?;
            }
        }
        Ok(())
    }

    /// Calls that may stand among the results: aggregates, but not in one another.
    fn targets(&self, value: &Expr) -> Result<(), Report> {
        each_call(value, &|call| {
            let name = name_of(call)?;
            if call.over.is_none() && call.within_group.is_empty() && OF_WINDOWS.contains(&name.as_str()) {
                let report = Report::new(SqlState::WRONG_OBJECT_TYPE, format!("window function {name} requires an OVER clause"));
                return Some(report.position(start(&call.name)));
            }
            if !self.is_plain_aggregate(call) {
                return None;
            }
            let FunctionArguments::List(arguments) = &call.args else { return None };
            let is_star = |argument: &FunctionArg| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
            if name != "count" && arguments.args.iter().any(is_star) {
                let report = Report::new(SqlState::UNDEFINED_FUNCTION, format!("function {name}() does not exist"))
                    .hint("No function matches the given name and argument types. You might need to add explicit type casts.");
                return Some(report.position(start(&call.name)));
            }
            each_call(arguments, &|inner| {
                let nested = |what: &str| Report::new(SqlState::GROUPING_ERROR, what).position(start(&inner.name));
                if inner.over.is_some() {
                    return Some(nested("aggregate function calls cannot contain window function calls"));
                }
                self.is_plain_aggregate(inner).then(|| nested("aggregate function calls cannot be nested"))
            })
            .err()
        })
    }

    fn no_calls(&self, part: &Expr, clause: &str) -> Result<(), Report> {
        each_call(part, &|call| self.aggregate(call, clause).or_else(|| self.window(call, clause)).or_else(|| set(call, clause)))
    }

    fn is_plain_aggregate(&self, call: &Function) -> bool {
        call.over.is_none() && name_of(call).is_some_and(|name| (self.is_aggregate)(&name))
    }

    fn aggregate(&self, call: &Function, clause: &str) -> Option<Report> {
        let report = || Report::new(SqlState::GROUPING_ERROR, format!("aggregate functions are not allowed in {clause}"));
        self.is_plain_aggregate(call).then(|| report().position(start(&call.name)))
    }

    fn window(&self, call: &Function, clause: &str) -> Option<Report> {
        let report = || Report::new(SqlState::WINDOWING_ERROR, format!("window functions are not allowed in {clause}"));
        call.over.is_some().then(|| report().position(start(&call.name)))
    }
}

fn set(call: &Function, clause: &str) -> Option<Report> {
    // A VALUES list may call them in PostgreSQL's grammar; the engine says what it cannot do there.
    let is_set = name_of(call).is_some_and(|name| OF_SETS.contains(&name.as_str()));
    let report = || Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("set-returning functions are not allowed in {clause}"));
    is_set.then(|| report().position(start(&call.name)))
}

/// `ORDER BY 2`, which must be a column's number, and no other constant.
fn column_number(value: &Expr, columns: Option<usize>, clause: &str) -> Result<(), Report> {
    let Expr::Value(constant) = value else { return Ok(()) };
    let position = start(value);
    match &constant.value {
        Value::Number(digits, _) if digits.bytes().all(|digit| digit.is_ascii_digit()) => match (digits.parse::<usize>(), columns) {
            (Ok(0), _) | (Err(_), _) => Err(no_position(digits, clause, position)),
            (Ok(number), Some(columns)) if number > columns => Err(no_position(digits, clause, position)),
            _ => Ok(()),
        },
        Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) => {
            Err(Report::new(SqlState::SYNTAX_ERROR, format!("non-integer constant in {clause}")).position(position))
        }
        _ => Ok(()),
    }
}

fn no_position(number: &str, clause: &str, position: Option<usize>) -> Report {
    let message = format!("{clause} position {number} is not in select list");
    Report::new(SqlState::INVALID_COLUMN_REFERENCE, message).position(position)
}

/// A join's condition.
pub(super) fn condition(operator: &JoinOperator) -> Option<&Expr> {
    match constraint(operator)? {
        JoinConstraint::On(condition) => Some(condition),
        _ => None,
    }
}

/// The relations of a FROM, those joined in brackets left out.
pub(super) fn factors(from: &[TableWithJoins]) -> impl Iterator<Item = &TableFactor> {
    from.iter().flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)))
}

/// No two relations of one FROM may go by one name.
fn one_name_each(from: &[TableWithJoins]) -> Result<(), Report> {
    let mut names: Vec<(String, String)> = Vec::new();
    for factor in factors(from) {
        let (alias, name) = match factor {
            TableFactor::Table { name, alias, args: None, .. } => (alias.as_ref(), Some(name)),
            TableFactor::Derived { alias, .. } | TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } => {
                (alias.as_ref(), None)
            }
            _ => continue,
        };
        // Relations of different schemas may have one name, where no alias says it.
        let (shown, whole) = match (alias, name) {
            (Some(alias), _) => (folded(&alias.name), String::new()),
            (None, Some(name)) => {
                let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
                (parts.last().cloned().unwrap_or_default(), parts.join("."))
            }
            (None, None) => continue,
        };
        let same =
            |(other, its_whole): &(String, String)| *other == shown && (whole.is_empty() || its_whole.is_empty() || *its_whole == whole);
        if names.iter().any(same) {
            return Err(Report::new(SqlState::DUPLICATE_ALIAS, format!("table name \"{shown}\" specified more than once")));
        }
        names.push((shown, whole));
    }
    Ok(())
}

/// The expressions of DISTINCT ON.
pub(super) fn distinct_on(select: &Select) -> &[Expr] {
    match &select.distinct {
        Some(Distinct::On(expressions)) => expressions,
        _ => &[],
    }
}
