//! Other spellings of what the engine has, brought to its own on the tree: functions under PostgreSQL's names, prefix operators,
//! `AT TIME ZONE`, `FETCH FIRST`, and `generate_series(…) AS x` whose column is `x`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, LimitClause, ObjectName,
    Query, Statement, TableAlias, TableAliasColumnDef, TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Functions that the engine has under another name.
const FUNCTIONS: &[(&str, &str)] = &[
    ("array_remove", "array_remove_all"),
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
];

/// Functions that are an expression: `$1` and `$2` are their arguments.
const EXPRESSIONS: &[(&str, usize, &str)] = &[
    ("div", 2, "trunc(($1) / ($2))"),
    ("gen_random_uuid", 0, "CAST(uuid() AS uuid)"),
    ("log", 1, "log10($1)"),
    ("mod", 2, "($1) % ($2)"),
    ("to_timestamp", 2, "to_timestamp_by_template($1, $2)"),
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
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("localtimestamp") => {
                parsed("CAST(now() AS timestamp)")
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
    let FunctionArguments::List(FunctionArgumentList { args, clauses, .. }) = &function.args else { return None };
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression.clone()),
        _ => None,
    };
    if clauses.is_empty() { args.iter().map(plain).collect() } else { None }
}

/// `count(1)` is `count(*)`, which the engine makes of it too, but not of its name where both stand.
fn counts_rows(function: &mut Function) {
    let FunctionArguments::List(FunctionArgumentList { args, clauses, duplicate_treatment: None }) = &mut function.args else { return };
    let [argument @ FunctionArg::Unnamed(FunctionArgExpr::Expr(_))] = args.as_mut_slice() else { return };
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(counted)) = &*argument else { return };
    // A number has been given its type by now.
    let literal = if let Expr::Cast { expr, .. } = counted { expr.as_ref() } else { counted };
    let is_number = matches!(literal, Expr::Value(value) if matches!(value.value, Value::Number(..)));
    if is_number && clauses.is_empty() {
        *argument = FunctionArg::Unnamed(FunctionArgExpr::Wildcard);
    }
}

fn by_function(function: &mut Function) -> Option<Expr> {
    let name = builtin(&function.name)?;
    if name == "count" {
        counts_rows(function);
        return None;
    }
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
    let arguments = plain_arguments(function)?;
    let (_, _, shape) = EXPRESSIONS.iter().find(|(theirs, count, _)| *theirs == name && *count == arguments.len())?;
    Some(Expr::Nested(Box::new(filled(parsed(shape)?, &arguments))))
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

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
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
