//! A function of values in FROM, `FROM upper('x') AS u`: a query of one row in its place, whose column has the alias's name.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr, TableFunctionArgs, VisitMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::literals;

/// `SELECT name(arguments) AS column`.
pub(in crate::plan) fn row_of(name: &ObjectName, arguments: &TableFunctionArgs, column: Option<Ident>) -> Option<Box<Query>> {
    let mut query = Parser::new(&PostgreSqlDialect {}).try_with_sql("SELECT 1").ok()?.parse_query().ok()?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let mut call = Expr::Function(Function {
        name: name.clone(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.args.clone(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
    // Numbers among a table's arguments have no type yet.
    let _ = VisitMut::visit(&mut call, &mut literals::Literals);
    select.projection = vec![match column {
        Some(alias) => SelectItem::ExprWithAlias { expr: call, alias },
        None => SelectItem::UnnamedExpr(call),
    }];
    Some(query)
}
