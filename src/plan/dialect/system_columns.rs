//! `t.tableoid`: a column that every table has and `*` does not show. It is the same for all rows of a relation, so it becomes the
//! relation's oid by name. The others (`ctid`, `xmin`) tell of rows on disk, which there are none of.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

use crate::sql::folded;

/// The column.
const TABLEOID: &str = "tableoid";

/// Rewrites the system columns of a statement.
pub fn rewrite(statement: &mut Statement) {
    let _ = statement.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    // Inner queries first: a name stands for the innermost relation that has it.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        body(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => relations_of(select),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left);
            self::body(right);
        }
        _ => {}
    }
}

fn relations_of(select: &mut Select) {
    let factors = select.from.iter().flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let mut relations: Vec<(String, ObjectName)> = Vec::new();
    for factor in factors {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && let Some(last) = name.0.last().and_then(ObjectNamePart::as_ident)
        {
            let known = alias.as_ref().map_or(last, |alias| &alias.name);
            relations.push((folded(known), name.clone()));
        }
    }
    if !relations.is_empty() {
        let _ = select.visit(&mut Columns { relations });
    }
}

/// Puts oids in the places of the columns.
struct Columns {
    relations: Vec<(String, ObjectName)>,
}

impl VisitorMut for Columns {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let relation = match &*expression {
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] if folded(column) == TABLEOID => {
                    let table = folded(table);
                    self.relations.iter().find(|(known, _)| *known == table).map(|(_, name)| name)
                }
                _ => None,
            },
            Expr::Identifier(column) if folded(column) == TABLEOID && self.relations.len() == 1 => Some(&self.relations[0].1),
            _ => None,
        };
        if let Some(name) = relation {
            let text = Expr::value(Value::SingleQuotedString(name.to_string()));
            *expression = cast(cast(text, DataType::Regclass), DataType::Custom(ObjectName::from(vec![Ident::new("oid")]), Vec::new()));
        }
        ControlFlow::Continue(())
    }
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::DoubleColon, expr: Box::new(expression), data_type, array: false, format: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    #[test]
    fn the_innermost_relation_of_the_name_counts() {
        let sql = "SELECT c.tableoid, (SELECT tableoid FROM pg_catalog.pg_type AS c) FROM pg_class AS c";
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        rewrite(&mut statement);
        assert_eq!(
            statement.to_string(),
            "SELECT 'pg_class'::REGCLASS::oid, (SELECT 'pg_catalog.pg_type'::REGCLASS::oid FROM pg_catalog.pg_type AS c) FROM pg_class AS c"
        );
    }
}
