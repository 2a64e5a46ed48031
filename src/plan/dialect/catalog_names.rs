//! What clients write when they look into the catalog: `pg_catalog.f(x)`, `x OPERATOR(pg_catalog.~) y`, `COLLATE`, `LIKE … ESCAPE`,
//! `ARRAY(SELECT …)`, `'{a,b}'` as an array, and functions that return sets.
//!
//! All of it is brought to what the engine's planner knows, on the statement's tree. A function that returns a set becomes an
//! `unnest` of one that returns an array; set functions in FROM whose arguments are columns likewise, for the engine's own
//! take constants only.

use std::ops::ControlFlow;

use super::{literals, system_sets};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, ObjectNamePart, OrderBy, OrderByKind, OrderByOptions, Query, SetExpr,
    Statement, TableAlias, TableAliasColumnDef, TableFactor, TableFunctionArgs, TimezoneInfo, TypedString, UnaryOperator, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::ast::{FunctionArgumentClause, Select, SelectItem};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::pg_format::decode;

/// Rewrites the whole statement.
pub fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Names);
}

struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } = item {
                let _ = VisitMut::visit(expression, &mut Anys);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::UnaryOp { op: UnaryOperator::Not, expr } | Expr::IsNull(expr) | Expr::IsNotNull(expr) = expression {
            let _ = VisitMut::visit(expr.as_mut(), &mut Anys);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) => {
                unqualified(&mut function.name);
                flatten_argument(function);
                if let Some(rewritten) = set_returning(function).or_else(|| array_of_rows(function)) {
                    *expression = rewritten;
                }
            }
            Expr::BinaryOp { op, .. } => operator(op),
            Expr::Collate { expr, .. } => *expression = std::mem::replace(expr, Expr::value(Value::Null)),
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                if let Some(escape) = escape_char.take()
                    && !matches!(&escape.value, Value::SingleQuotedString(text) if text == "\\")
                {
                    let given = std::mem::replace(pattern, Box::new(Expr::value(Value::Null)));
                    **pattern = call("like_escape", vec![*given, Expr::Value(escape)]);
                }
            }
            Expr::Cast { expr, data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)), .. } => {
                array_literal(expr);
                elements_of(expr, of);
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => array_literal(right),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(arguments), alias, with_ordinality, .. } = factor {
            unqualified(name);
            let Some(function) = name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| ident.value.to_ascii_lowercase()) else {
                return ControlFlow::Continue(());
            };
            if matches!(function.as_str(), "generate_series") {
                typed_bounds(arguments);
            }
            let expressions: Vec<Expr> = arguments.args.iter().filter_map(argument).cloned().collect();
            if expressions.is_empty()
                && let Some(subquery) = system_sets::of(&function)
            {
                let alias = alias.take().or_else(|| Some(named(&function)));
                *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
                return ControlFlow::Continue(());
            }
            if function == "generate_series"
                && let Some((bounds, narrow)) = whole_numbers(&expressions)
            {
                for (argument, bound) in arguments.args.iter_mut().zip(bounds) {
                    *argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(bound));
                }
                if narrow {
                    narrow_series(factor);
                }
                return ControlFlow::Continue(());
            }
            let constant = |argument: &Expr| match argument {
                Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
                Expr::UnaryOp { .. } => true,
                _ => false,
            };
            let columns = !expressions.iter().all(constant);
            let arrays = match function.as_str() {
                "unnest" => expressions,
                "generate_subscripts" | "generate_series" if columns => {
                    let typed = |argument| literals::number(&argument).unwrap_or(argument);
                    vec![call(&function, expressions.into_iter().map(typed).collect())]
                }
                _ => return ControlFlow::Continue(()),
            };
            *factor = TableFactor::UNNEST {
                alias: alias.take(),
                array_exprs: arrays,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: *with_ordinality,
            };
        }
        if let TableFactor::UNNEST { array_exprs, .. } = factor {
            array_exprs.iter_mut().for_each(flatten);
        }
        if let TableFactor::UNNEST { alias, array_exprs, with_ordinality, .. } = factor {
            count_along(alias, array_exprs, with_ordinality);
        }
        // A set's alias is the name of its column too.
        if let TableFactor::UNNEST { alias: Some(alias), array_exprs, .. } = factor
            && alias.columns.is_empty()
            && array_exprs.len() == 1
        {
            alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
        }
        ControlFlow::Continue(())
    }
}

/// `x = ANY (array)` that finds nothing is unknown where the array has a NULL. As a condition that is no difference, so only
/// what is a value, or negated, is written out.
struct Anys;

impl VisitorMut for Anys {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let Expr::AnyOp { right, .. } = expression else { return ControlFlow::Continue(()) };
        array_literal(right);
        let harmless = match right.as_ref() {
            Expr::Subquery(_) => true,
            Expr::Array(array) => array.elem.iter().all(|element| matches!(element, Expr::Value(value) if value.value != Value::Null)),
            _ => false,
        };
        if !harmless {
            let unknown = Expr::Case {
                case_token: AttachedToken::empty(),
                end_token: AttachedToken::empty(),
                operand: None,
                conditions: vec![CaseWhen { condition: call("array_has_null", vec![(**right).clone()]), result: Expr::value(Value::Null) }],
                else_result: Some(Box::new(Expr::value(Value::Boolean(false)))),
            };
            let any = std::mem::replace(expression, Expr::value(Value::Null));
            *expression = Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(any), op: BinaryOperator::Or, right: Box::new(unknown) }));
        }
        ControlFlow::Continue(())
    }
}

/// `WITH ORDINALITY` is one more array, of the first one's subscripts.
fn count_along(alias: &mut Option<TableAlias>, arrays: &mut Vec<Expr>, with_ordinality: &mut bool) {
    let (Some(first), true) = (arrays.first().cloned(), *with_ordinality) else { return };
    let alias = alias.get_or_insert_with(|| named("unnest"));
    let column = |name: Ident| TableAliasColumnDef { name, data_type: None };
    if alias.columns.is_empty() && arrays.len() == 1 {
        alias.columns.push(column(alias.name.clone()));
    }
    if alias.columns.len() == arrays.len() {
        alias.columns.push(column(Ident::new("ordinality")));
    }
    arrays.push(call("generate_subscripts", vec![first, Expr::value(Value::Number("1".to_owned(), false))]));
    *with_ordinality = false;
}

fn named(name: &str) -> TableAlias {
    TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None }
}

/// `pg_catalog.f` is `f`: there are no functions elsewhere.
fn unqualified(name: &mut ObjectName) {
    if let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(_)] = name.0.as_slice()
        && (schema.value.eq_ignore_ascii_case("pg_catalog") || schema.value.eq_ignore_ascii_case("information_schema"))
    {
        name.0.remove(0);
    }
}

/// `OPERATOR(pg_catalog.~)` is `~`.
fn operator(op: &mut BinaryOperator) {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else { return };
    *op = match parts.last().map(String::as_str) {
        Some("~") => BinaryOperator::PGRegexMatch,
        Some("~*") => BinaryOperator::PGRegexIMatch,
        Some("!~") => BinaryOperator::PGRegexNotMatch,
        Some("!~*") => BinaryOperator::PGRegexNotIMatch,
        Some("~~") => BinaryOperator::PGLikeMatch,
        Some("~~*") => BinaryOperator::PGILikeMatch,
        Some("!~~") => BinaryOperator::PGNotLikeMatch,
        Some("!~~*") => BinaryOperator::PGNotILikeMatch,
        Some("=") => BinaryOperator::Eq,
        Some("<>" | "!=") => BinaryOperator::NotEq,
        Some("<") => BinaryOperator::Lt,
        Some("<=") => BinaryOperator::LtEq,
        Some(">") => BinaryOperator::Gt,
        Some(">=") => BinaryOperator::GtEq,
        Some("+") => BinaryOperator::Plus,
        Some("-") => BinaryOperator::Minus,
        Some("*") => BinaryOperator::Multiply,
        Some("/") => BinaryOperator::Divide,
        Some("||") => BinaryOperator::StringConcat,
        _ => return,
    };
}

fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
        _ => None,
    }
}

/// A call of a function by its lower-case name.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The bounds and step of a series of integers as plain numbers, for the engine's series of those streams; and whether it is of `int4`.
fn whole_numbers(arguments: &[Expr]) -> Option<(Vec<Expr>, bool)> {
    let mut narrow = true;
    let mut bounds = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let (bound, cast) = match argument {
            Expr::Cast { expr, data_type: DataType::BigInt(None) | DataType::Int8(None), .. } => (expr.as_ref(), Some(false)),
            Expr::Cast { expr, data_type: DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None), .. } => {
                (expr.as_ref(), Some(true))
            }
            other => (other, None),
        };
        let digits = match bound {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => expr.as_ref(),
            other => other,
        };
        let Expr::Value(ValueWithSpan { value: Value::Number(digits, false), .. }) = digits else { return None };
        let number = digits.parse::<i64>().ok()?;
        let small = i32::try_from(number).is_ok();
        if cast == Some(true) && !small {
            return None;
        }
        narrow &= cast.unwrap_or(small);
        bounds.push(bound.clone());
    }
    (bounds.len() >= 2).then_some((bounds, narrow))
}

/// Quoted bounds of a series of times, of the first one's type, and its step as an interval. A series of dates is one of instants.
fn typed_bounds(arguments: &mut TableFunctionArgs) {
    let mut bounds: Vec<&mut Expr> = arguments.args.iter_mut().filter_map(argument_mut).collect();
    let of = |expression: &Expr| match expression {
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => Some(data_type.clone()),
        _ => None,
    };
    let [first, last, step] = bounds.as_mut_slice() else { return };
    let is_time = |of: &DataType| matches!(of, DataType::Date | DataType::Timestamp(..) | DataType::Custom(..));
    let Some(given) = of(first).or_else(|| of(last)).filter(is_time) else { return };
    let wanted = if given == DataType::Date { DataType::Timestamp(None, TimezoneInfo::WithTimeZone) } else { given.clone() };
    let cast = |expression: &mut Expr, data_type: DataType| {
        let own = std::mem::replace(expression, Expr::value(Value::Null));
        *expression = Expr::Cast { kind: CastKind::Cast, expr: Box::new(own), data_type, array: false, format: None };
    };
    for bound in [first, last] {
        if is_quoted(bound) || of(bound) == Some(DataType::Date) {
            cast(bound, wanted.clone());
        }
    }
    if is_quoted(step) {
        cast(step, DataType::Interval { fields: None, precision: None });
    }
}

fn is_quoted(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

fn argument_mut(argument: &mut FunctionArg) -> Option<&mut Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
        _ => None,
    }
}

/// The engine's series is of `bigint`.
fn narrow_series(factor: &mut TableFactor) {
    let TableFactor::Table { alias, .. } = factor else { return };
    let alias = alias.take();
    let template = "SELECT CAST(value AS INT) FROM t";
    let Ok(mut subquery) = Parser::new(&PostgreSqlDialect {}).try_with_sql(template).and_then(|mut parser| parser.parse_query()) else {
        return;
    };
    if let SetExpr::Select(select) = subquery.body.as_mut()
        && let Some(from) = select.from.first_mut()
    {
        std::mem::swap(&mut from.relation, factor);
        *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
    }
}

/// `generate_series(1, 3)`, `generate_subscripts(a, 1)` and `_pg_expandarray(a)` in a select list.
fn set_returning(function: &Function) -> Option<Expr> {
    let name = function.name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    matches!(name.as_str(), "generate_series" | "generate_subscripts" | "_pg_expandarray")
        .then(|| call("unnest", vec![narrow_array(name == "generate_series", function)]))
}

/// The same in a select list.
fn flatten_argument(function: &mut Function) {
    let is_unnest = function.name.0.last().and_then(ObjectNamePart::as_ident).is_some_and(|name| name.value.eq_ignore_ascii_case("unnest"));
    if let (true, FunctionArguments::List(list)) = (is_unnest, &mut function.args)
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] = list.args.as_mut_slice()
    {
        flatten(array);
    }
}

/// An array of several dimensions as the one that `unnest` makes rows of.
fn flatten(array: &mut Expr) {
    let own = std::mem::replace(array, Expr::value(Value::Null));
    *array = call("flat", vec![own]);
}

/// The array of a series, of `int4` where its bounds are.
fn narrow_array(series: bool, function: &Function) -> Expr {
    let array = Expr::Function(function.clone());
    let narrow = |argument: &FunctionArg| {
        matches!(self::argument(argument), Some(Expr::Cast { data_type: DataType::Int(None) | DataType::Integer(None), .. }))
    };
    let FunctionArguments::List(list) = &function.args else { return array };
    if !series || !list.args.iter().all(narrow) {
        return array;
    }
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(array),
        data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(DataType::Int(None)), None)),
        array: false,
        format: None,
    }
}

/// `ARRAY(SELECT x …)`: the rows in their order, and an empty array of none.
fn array_of_rows(function: &Function) -> Option<Expr> {
    let FunctionArguments::Subquery(query) = &function.args else { return None };
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return None };
    if !name.value.eq_ignore_ascii_case("array") {
        return None;
    }
    let template = Parser::new(&PostgreSqlDialect {})
        .try_with_sql("SELECT array_agg(element) FROM (SELECT 1) AS elements(element)")
        .and_then(|mut parser| parser.parse_query());
    let mut outer = template.ok()?;
    let order = own_order(query);
    let SetExpr::Select(select) = outer.body.as_mut() else { return None };
    if let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
        *subquery = query.clone();
    }
    if let Some(options) = order
        && let Some(SelectItem::UnnamedExpr(Expr::Function(Function { args: FunctionArguments::List(list), .. }))) =
            select.projection.first_mut()
    {
        let by = datafusion::sql::sqlparser::ast::OrderByExpr { expr: Expr::Identifier(Ident::new("element")), options, with_fill: None };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![by]));
    }
    Some(call("array_or_empty", vec![Expr::Subquery(outer)]))
}

/// The direction, if the query orders by its only column.
fn own_order(query: &Query) -> Option<OrderByOptions> {
    let Some(OrderBy { kind: OrderByKind::Expressions(by), .. }) = &query.order_by else { return None };
    let [by] = by.as_slice() else { return None };
    let first = matches!(&by.expr, Expr::Value(value) if matches!(&value.value, Value::Number(number, _) if number == "1"));
    let SetExpr::Select(select) = query.body.as_ref() else { return first.then_some(by.options) };
    let same = match select.projection.first() {
        Some(SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. }) => *expression == by.expr,
        _ => false,
    };
    (first || same).then_some(by.options)
}

/// `'{a,b}'` where an array is wanted.
fn array_literal(expression: &mut Box<Expr>) {
    let Expr::Value(value) = expression.as_ref() else { return };
    let Value::SingleQuotedString(text) = &value.value else { return };
    let Some(elements) = elements(text) else { return };
    let elem = elements.into_iter().map(|element| Expr::value(element.map_or(Value::Null, Value::SingleQuotedString))).collect();
    **expression = Expr::Array(Array { elem, named: true });
}

/// `ARRAY[…]::of[]` casts each element, as PostgreSQL does: one may be a number and the next the text of one, and dates are read by
/// DateStyle. What the engine reads alike is left to it, since such lists can be long.
fn elements_of(array: &mut Expr, of: &DataType) {
    let Expr::Array(Array { elem, .. }) = array else { return };
    if is_read_alike(of) || elem.iter().any(|element| matches!(element, Expr::Array(_))) {
        return;
    }
    for element in elem {
        let operand = std::mem::replace(element, Expr::value(Value::Null));
        *element = Expr::Cast { kind: CastKind::Cast, expr: Box::new(operand), data_type: of.clone(), array: false, format: None };
    }
}

/// Whether the engine reads texts of this type as PostgreSQL does.
pub(super) fn is_read_alike(of: &DataType) -> bool {
    matches!(of, DataType::SmallInt(_) | DataType::Int(_) | DataType::Integer(_) | DataType::BigInt(_) | DataType::Text | DataType::Boolean)
}

/// The elements of a one-dimensional array's text.
pub(super) fn elements(text: &str) -> Option<Vec<Option<String>>> {
    decode::texts(text).ok()
}
