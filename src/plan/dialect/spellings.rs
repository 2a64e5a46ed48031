//! Other spellings of what the engine has, brought to its own on the tree: functions under PostgreSQL's names, prefix operators,
//! `AT TIME ZONE`, `FETCH FIRST`, and `generate_series(…) AS x` whose column is `x`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, LimitClause, ObjectName, Query, Statement, Subscript, TableAlias, TableAliasColumnDef, TableFactor,
    TypedString, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::catalog_names::call;
use super::literals::bytes;
use super::rows::fields;

/// Functions that the engine has under another name.
const FUNCTIONS: &[(&str, &str)] = &[
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("ceiling", "ceil"),
    ("clock_timestamp", "now"),
    ("every", "bool_and"),
    ("sign", "signum"),
    ("statement_timestamp", "now"),
    ("transaction_timestamp", "now"),
    ("variance", "var_samp"),
];

/// Functions that give a wider number than PostgreSQL's.
const RESULTS: &[(&str, &str)] = &[
    ("array_length", "int"),
    ("array_ndims", "int"),
    ("array_position", "int"),
    ("array_positions", "int[]"),
    ("cardinality", "int"),
    ("ntile", "int"),
    ("regexp_count", "int"),
    ("regexp_instr", "int"),
];

/// Functions that are an expression: `$1` and `$2` are their arguments.
const EXPRESSIONS: &[(&str, usize, &str)] = &[
    ("div", 2, "trunc(($1) / ($2))"),
    ("gen_random_uuid", 0, "CAST(uuid() AS uuid)"),
    ("log", 1, "log10($1)"),
    ("make_timestamptz", 6, "CAST(make_timestamp($1, $2, $3, $4, $5, $6) AS timestamptz)"),
    ("make_timestamptz", 7, "timezone($7, make_timestamp($1, $2, $3, $4, $5, $6))"),
    ("mod", 2, "($1) % ($2)"),
    ("regexp_substr", 2, "(regexp_match($1, '(' || $2 || ')'))[1]"),
    // The template's clock is the session's.
    ("to_timestamp", 2, "CAST(timezone('UTC', to_timestamp_by_template($1, $2)) AS timestamptz)"),
    ("trim_array", 2, "($1)[1:(CAST(cardinality($1) AS bigint) - ($2))]"),
];

/// Rewrites all of them.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Spellings);
}

struct Spellings;

impl VisitorMut for Spellings {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        fetch_is_limit(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), alias, .. } | TableFactor::Function { name, alias, .. } => name_series(name, alias),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let replaced = match expression {
            Expr::Function(function) => by_function(function),
            Expr::UnaryOp { op, expr } => by_operator(*op, expr),
            Expr::BinaryOp { left, op: BinaryOperator::PGStartsWith, right } => {
                Some(call("starts_with", vec![(**left).clone(), (**right).clone()]))
            }
            Expr::BinaryOp { left, op: BinaryOperator::PGOverlap, right } => {
                Some(call("array_has_any", vec![(**left).clone(), (**right).clone()]))
            }
            Expr::Identifier(name) if name.quote_style.is_none() => without_parentheses(&name.value),
            Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => overlaps(left, right),
            Expr::Between { expr, negated, low, high } => symmetric(expr, *negated, low, high),
            Expr::CompoundFieldAccess { access_chain, .. } => {
                open_slices(access_chain);
                None
            }
            Expr::AtTimeZone { timestamp, time_zone } => Some(call("timezone", vec![(**time_zone).clone(), (**timestamp).clone()])),
            Expr::Substring { expr, substring_from: Some(from), substring_for: None, .. } if is_text_literal(from) => {
                parsed("(regexp_match($1, $2))[1]").map(|shape| filled(shape, &[(**expr).clone(), (**from).clone()]))
            }
            Expr::Value(value) => match &value.value {
                Value::UnicodeStringLiteral(text) => Some(Expr::value(Value::SingleQuotedString(text.clone()))),
                _ => None,
            },
            _ => None,
        };
        if let Some(replaced) = replaced {
            *expression = replaced;
        }
        ControlFlow::Continue(())
    }
}

/// A function that is called by its name alone.
fn without_parentheses(name: &str) -> Option<Expr> {
    match name.to_ascii_lowercase().as_str() {
        "localtimestamp" => parsed("CAST(now() AS timestamp)"),
        "localtime" => parsed("CAST(now() AS time)"),
        name @ ("current_schema" | "current_role" | "session_user" | "user") => Some(call(name, Vec::new())),
        _ => None,
    }
}

/// Whether two spans of time, each of two moments or of one and an interval, have a moment in common.
fn overlaps(one: &Expr, other: &Expr) -> Option<Expr> {
    let span = |span: &Expr| {
        let parts = fields(span)?;
        let [start, end] = parts.as_slice() else { return None };
        let is_interval = match end {
            Expr::Interval(_) => true,
            Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) => {
                matches!(data_type, DataType::Interval { .. })
            }
            _ => false,
        };
        let end = if is_interval { filled(parsed("($1) + ($2)")?, &[start.clone(), end.clone()]) } else { end.clone() };
        Some([start.clone(), end])
    };
    let ([a, b], [c, d]) = (span(one)?, span(other)?);
    let shape = "(least($1, $2) > least($3, $4) AND least($1, $2) < greatest($3, $4))
        OR (least($3, $4) > least($1, $2) AND least($3, $4) < greatest($1, $2)) OR least($1, $2) = least($3, $4)";
    Some(Expr::Nested(Box::new(filled(parsed(shape)?, &[a, b, c, d]))))
}

/// `x BETWEEN SYMMETRIC a AND b`, whose first bound the parser was given behind an operator.
fn symmetric(value: &Expr, negated: bool, low: &Expr, high: &Expr) -> Option<Expr> {
    let mut low = low.clone();
    if !take_mark(&mut low) {
        return None;
    }
    let shape = if negated { "NOT ($1 BETWEEN $2 AND $3 OR $1 BETWEEN $3 AND $2)" } else { "$1 BETWEEN $2 AND $3 OR $1 BETWEEN $3 AND $2" };
    let nested = [value.clone(), low, high.clone()].map(|part| Expr::Nested(Box::new(part)));
    Some(Expr::Nested(Box::new(filled(parsed(shape)?, &nested))))
}

/// Takes the operator away from where the expression begins; whether it was there.
fn take_mark(expression: &mut Expr) -> bool {
    match expression {
        Expr::UnaryOp { op: UnaryOperator::PGPrefixFactorial, expr } => {
            *expression = std::mem::replace(expr.as_mut(), Expr::value(Value::Null));
            true
        }
        Expr::BinaryOp { left: first, .. } | Expr::Cast { expr: first, .. } | Expr::AtTimeZone { timestamp: first, .. } => take_mark(first),
        Expr::CompoundFieldAccess { root, .. } => take_mark(root),
        _ => false,
    }
}

/// `a[2:]` and `a[:2]` with both bounds.
fn open_slices(chain: &mut [AccessExpr]) {
    let bound = |number: &str| Some(Expr::value(Value::Number(number.to_owned(), false)));
    for access in chain {
        if let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = access {
            *lower_bound = lower_bound.take().or_else(|| bound("1"));
            *upper_bound = upper_bound.take().or_else(|| bound("2147483647"));
        }
    }
}

fn is_text_literal(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_)))
}

/// The name without a schema, or behind PostgreSQL's.
fn builtin(name: &ObjectName) -> Option<String> {
    let (schema, name) = match name.0.as_slice() {
        [name] => (None, name.as_ident()?),
        [schema, name] => (Some(schema.as_ident()?), name.as_ident()?),
        _ => return None,
    };
    schema.is_none_or(|schema| schema.value.eq_ignore_ascii_case("pg_catalog")).then(|| name.value.to_ascii_lowercase())
}

fn plain_arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if list.clauses.is_empty() { unnamed(list) } else { None }
}

/// The arguments, if none has a name.
fn unnamed(list: &FunctionArgumentList) -> Option<Vec<Expr>> {
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
        _ => None,
    };
    list.args.iter().map(plain).collect()
}

fn by_function(function: &mut Function) -> Option<Expr> {
    let name = builtin(&function.name)?;
    if let Some((_, own)) = FUNCTIONS.iter().find(|(theirs, _)| *theirs == name) {
        function.name = ObjectName::from(vec![Ident::new(*own)]);
        return None;
    }
    if name == "localtimestamp" && matches!(function.args, FunctionArguments::None) {
        return parsed("CAST(now() AS timestamp)");
    }
    if let Some((_, answer)) = RESULTS.iter().find(|(theirs, _)| *theirs == name) {
        let shape = parsed(&format!("CAST($1 AS {answer})"))?;
        return Some(filled(shape, &[Expr::Function(function.clone())]));
    }
    if let Some((kind, "agg")) = name.rsplit_once('_')
        && matches!(kind, "json" | "jsonb" | "json_object" | "jsonb_object")
    {
        return json_aggregate(kind, function);
    }
    if name == "make_interval" {
        in_place(function, &["years", "months", "weeks", "days", "hours", "mins", "secs"]);
    }
    // What is counted is the row, not a number: the engine makes `count(*)` of it too, but keeps another name where both stand.
    if name == "count" && matches!(plain_arguments(function)?.as_slice(), [number] if is_number(number)) {
        if let FunctionArguments::List(list) = &mut function.args
            && list.duplicate_treatment.is_none()
        {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
        }
        return None;
    }
    if name == "encode"
        && let FunctionArguments::List(list) = &mut function.args
        && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(bytes))) = list.args.first_mut()
        && let Some(literal) = bytes_of(bytes)
    {
        *bytes = literal;
    }
    let arguments = plain_arguments(function)?;
    if let ("to_timestamp", [text, template]) = (name.as_str(), arguments.as_slice())
        && matches!(template, Expr::Value(value) if value.to_string().to_ascii_uppercase().contains("TZ"))
    {
        return Some(call("to_timestamp_by_template", vec![text.clone(), template.clone()]));
    }
    let (_, _, shape) = EXPRESSIONS.iter().find(|(theirs, count, _)| *theirs == name && *count == arguments.len())?;
    Some(Expr::Nested(Box::new(filled(parsed(shape)?, &arguments))))
}

/// An aggregate of JSON as a function of the arrays of its arguments.
fn json_aggregate(kind: &str, function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let arguments = unnamed(list)?;
    // Distinct pairs are not the pairs of what is distinct: left as it is, there is no such function.
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let array = |argument: &Expr| {
        let mut array = function.clone();
        array.name = ObjectName::from(vec![Ident::new("array_agg")]);
        if let FunctionArguments::List(list) = &mut array.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument.clone()))];
        }
        Expr::Function(array)
    };
    match (kind, arguments.as_slice()) {
        ("json" | "jsonb", [value]) => Some(call(&format!("{kind}_array_of"), vec![array(value)])),
        (_, [key, value]) if !distinct => Some(call(&format!("{kind}_of"), vec![array(key), array(value)])),
        _ => None,
    }
}

/// Named arguments in their places, 0 where none is given.
fn in_place(function: &mut Function, names: &[&str]) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let mut places: Vec<Option<FunctionArg>> = vec![None; names.len()];
    for (place, argument) in list.args.iter().enumerate() {
        let (place, value) = match argument {
            FunctionArg::Named { name, arg, .. } => (names.iter().position(|known| name.value.eq_ignore_ascii_case(known)), arg),
            FunctionArg::Unnamed(arg) => (Some(place), arg),
            FunctionArg::ExprNamed { .. } => (None, &FunctionArgExpr::Wildcard),
        };
        // What has no place is refused as it is written.
        let Some(free) = place.and_then(|place| places.get_mut(place)).filter(|free| free.is_none()) else { return };
        *free = Some(FunctionArg::Unnamed(value.clone()));
    }
    let zero = || FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::value(Value::Number("0".to_owned(), false))));
    list.args = places.into_iter().map(|place| place.unwrap_or_else(zero)).collect();
}

/// A number as it is written, or what it has become.
fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Cast { expr, data_type: DataType::Int(None), .. } => is_number(expr),
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        _ => false,
    }
}

/// A quoted literal as bytes.
fn bytes_of(expression: &Expr) -> Option<Expr> {
    let Expr::Value(value) = expression else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    bytes(text)
}

fn by_operator(op: UnaryOperator, operand: &Expr) -> Option<Expr> {
    let shape = match op {
        UnaryOperator::PGSquareRoot => "sqrt($1)",
        UnaryOperator::PGCubeRoot => "cbrt($1)",
        UnaryOperator::PGAbs => "abs($1)",
        UnaryOperator::BitwiseNot => "($1) # CAST(-1 AS int)",
        _ => return None,
    };
    Some(Expr::Nested(Box::new(filled(parsed(shape)?, std::slice::from_ref(operand)))))
}

/// One of the constant shapes above.
fn parsed(shape: &str) -> Option<Expr> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(shape).ok()?.parse_expr().ok()
}

/// The shape with the arguments in their places. The arguments were rewritten already, and their own parameters stay.
fn filled(mut shape: Expr, arguments: &[Expr]) -> Expr {
    struct Fill<'a>(&'a [Expr]);
    impl VisitorMut for Fill<'_> {
        type Break = ();
        fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = expression
                && let Value::Placeholder(place) = &value.value
                && let Some(argument) =
                    place.trim_start_matches('$').parse::<usize>().ok().and_then(|place| self.0.get(place.checked_sub(1)?))
            {
                *expression = argument.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _ = shape.visit(&mut Fill(arguments));
    shape
}

/// `FETCH FIRST n ROWS ONLY`; what LIMIT cannot say (PERCENT, WITH TIES) stays, and is refused by the engine by name.
fn fetch_is_limit(query: &mut Query) {
    let plain = query.fetch.as_ref().is_some_and(|fetch| !fetch.with_ties && !fetch.percent);
    if !plain {
        return;
    }
    let Some(fetch) = query.fetch.take() else { return };
    let wanted = fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".to_owned(), false)));
    match &mut query.limit_clause {
        None => query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(wanted), offset: None, limit_by: Vec::new() }),
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(wanted),
        // Both were written, which no PostgreSQL takes either.
        Some(_) => {}
    }
}

/// A set-returning function of one column gives it the name that it has itself, or its alias.
fn name_series(name: &ObjectName, alias: &mut Option<TableAlias>) {
    if builtin(name).as_deref() != Some("generate_series") {
        return;
    }
    let column = |name: Ident| vec![TableAliasColumnDef { name, data_type: None }];
    match alias {
        Some(alias) if alias.columns.is_empty() => alias.columns = column(alias.name.clone()),
        Some(_) => {}
        None => {
            let own = Ident::new("generate_series");
            *alias = Some(TableAlias { explicit: true, name: own.clone(), columns: column(own), at: None });
        }
    }
}
