//! Text to statements: which grammar a statement belongs to, and sqlparser's errors in PostgreSQL's words.
//!
//! A text is parsed whole before any of it runs, as PostgreSQL does: one wrong statement, and none is carried out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self as sqlparser_ast, JoinConstraint, Spanned, TableFactor, TableVersion, TableWithJoins, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::copy;
use super::cursors;
use super::definitions::{self, Cursor};
use super::dialect::FeatgresDialect;
use super::rewrite::{are_words, is_word, rewrite};
use super::tokens::{StatementTokens, Tokens};
use super::trees::constraint;
use super::{SqlError, Statement, StatementText};

/// How deep sqlparser may recurse; it grows its stack as needed.
const MAX_RECURSION: usize = 200;

/// First words that sqlparser takes for a statement and PostgreSQL does not.
const FOREIGN: &[&str] = &[
    "assert",
    "attach",
    "cache",
    "case",
    "deny",
    "detach",
    "export",
    "flush",
    "from",
    "if",
    "install",
    "kill",
    "msck",
    "open",
    "optimize",
    "pragma",
    "print",
    "raise",
    "raiserror",
    "rename",
    "replace",
    "return",
    "throw",
    "uncache",
    "unload",
    "use",
    "waitfor",
    "while",
];

/// Statements that PostgreSQL has, or that a feature store may be asked for, and that are not carried out.
const NOT_SUPPORTED: &[(&[&str], &str)] = &[
    (&["CREATE", "OR", "REPLACE", "ON", "DEMAND", "FEATURE", "VIEW"], "CREATE ON DEMAND FEATURE VIEW"),
    (&["CREATE", "ON", "DEMAND", "FEATURE", "VIEW"], "CREATE ON DEMAND FEATURE VIEW"),
    (&["CREATE", "OR", "REPLACE", "FEATURE", "SERVICE"], "CREATE FEATURE SERVICE"),
    (&["CREATE", "FEATURE", "SERVICE"], "CREATE FEATURE SERVICE"),
    (&["CREATE", "OR", "REPLACE", "ENTITY"], "CREATE OR REPLACE ENTITY"),
    (&["CREATE", "ROLE"], "CREATE ROLE"),
    (&["CREATE", "USER"], "CREATE USER"),
    (&["CREATE", "GROUP"], "CREATE GROUP"),
    (&["CREATE", "MATERIALIZED", "VIEW"], "CREATE MATERIALIZED VIEW"),
    (&["ALTER", "FEATURE", "VIEW"], "ALTER FEATURE VIEW"),
    (&["ALTER", "FEATURE", "SERVICE"], "ALTER FEATURE SERVICE"),
    (&["ALTER", "ON", "DEMAND", "FEATURE", "VIEW"], "ALTER ON DEMAND FEATURE VIEW"),
    (&["ALTER", "ENTITY"], "ALTER ENTITY"),
    (&["ALTER", "ROLE"], "ALTER ROLE"),
    (&["ALTER", "USER"], "ALTER USER"),
    (&["ALTER", "SYSTEM"], "ALTER SYSTEM"),
    (&["ALTER", "DATABASE"], "ALTER DATABASE"),
    (&["ALTER", "DEFAULT", "PRIVILEGES"], "ALTER DEFAULT PRIVILEGES"),
    (&["DROP", "ON", "DEMAND", "FEATURE", "VIEW"], "DROP ON DEMAND FEATURE VIEW"),
    (&["DROP", "ROLE"], "DROP ROLE"),
    (&["DROP", "USER"], "DROP USER"),
    (&["DROP", "OWNED"], "DROP OWNED"),
    (&["COMMENT", "ON", "ENTITY"], "COMMENT ON ENTITY"),
    (&["COMMENT", "ON", "FEATURE", "VIEW"], "COMMENT ON FEATURE VIEW"),
    (&["COMMENT", "ON", "FEATURE", "SERVICE"], "COMMENT ON FEATURE SERVICE"),
    (&["COMMENT", "ON", "FEATURE"], "COMMENT ON FEATURE"),
    (&["GRANT"], "GRANT"),
    (&["REVOKE"], "REVOKE"),
    (&["REFRESH", "MATERIALIZED", "VIEW"], "REFRESH MATERIALIZED VIEW"),
    (&["SET", "CONSTRAINTS"], "SET CONSTRAINTS"),
    (&["CHECKPOINT"], "CHECKPOINT"),
    (&["REINDEX"], "REINDEX"),
    (&["CLUSTER"], "CLUSTER"),
    (&["REASSIGN", "OWNED"], "REASSIGN OWNED"),
    (&["SECURITY", "LABEL"], "SECURITY LABEL"),
    (&["IMPORT", "FOREIGN", "SCHEMA"], "IMPORT FOREIGN SCHEMA"),
    (&["DO"], "DO"),
    (&["PREPARE", "TRANSACTION"], "PREPARE TRANSACTION"),
    (&["COMMIT", "PREPARED"], "COMMIT PREPARED"),
    (&["ROLLBACK", "PREPARED"], "ROLLBACK PREPARED"),
];

/// The statements of a text; none for an empty one, comments, or semicolons alone.
pub fn parse(text: &str) -> Result<Vec<StatementText>, SqlError> {
    let tokens = Tokens::of(text)?;
    tokens
        .statements()
        .map(|statement| {
            Ok(StatementText { statement: parse_statement(&statement)?, text: statement.text().to_owned(), position: statement.position() })
        })
        .collect()
}

/// The one query of quoted SQL that gives entity rows. Positions are those of `text`.
pub fn parse_entity_query(text: &str) -> Result<Box<sqlparser_ast::Query>, SqlError> {
    let tokens = Tokens::of(text)?;
    let mut statements = tokens.statements();
    let Some(statement) = statements.next() else { return Err(SqlError::NotOneQuery { position: tokens.end() }) };
    let begins_query = ["SELECT", "VALUES", "WITH", "TABLE"].iter().any(|first| is_word(statement.tokens.first(), first))
        || statement.tokens.first().is_some_and(|first| first.token == Token::LParen);
    if !begins_query {
        return Err(SqlError::NotOneQuery { position: statement.position() });
    }
    let query = parse_statement(&statement)?;
    if let Some(second) = statements.next() {
        return Err(SqlError::NotOneQuery { position: second.position() });
    }
    match query {
        Statement::Sql(statement_tree) => match *statement_tree {
            sqlparser_ast::Statement::Query(query) if is_read_only(&query.body) => Ok(query),
            _ => Err(SqlError::NotOneQuery { position: statement.position() }),
        },
        _ => Err(SqlError::NotOneQuery { position: statement.position() }),
    }
}

/// The type of this name, if it is one.
pub fn parse_type(name: &str) -> Option<sqlparser_ast::DataType> {
    let dialect = FeatgresDialect::new(name.len(), false);
    Parser::new(&dialect).try_with_sql(name).and_then(|mut parser| parser.parse_data_type()).ok()
}

/// `WITH … INSERT` is a query to sqlparser.
fn is_read_only(body: &sqlparser_ast::SetExpr) -> bool {
    !matches!(
        body,
        sqlparser_ast::SetExpr::Insert(_)
            | sqlparser_ast::SetExpr::Update(_)
            | sqlparser_ast::SetExpr::Delete(_)
            | sqlparser_ast::SetExpr::Merge(_)
    )
}

fn parse_statement(statement: &StatementTokens<'_>) -> Result<Statement, SqlError> {
    statement.check_depth()?;
    let tokens = statement.tokens;
    if let Some((_, name)) = NOT_SUPPORTED.iter().find(|(words, _)| are_words(tokens, 0, words)) {
        return Ok(Statement::NotSupported { name, position: statement.position() });
    }
    if FOREIGN.iter().any(|first| is_word(tokens.first(), first)) {
        return Err(statement.syntax_error_at(statement.position()));
    }
    let rewritten = rewrite(tokens);
    if let (true, Some(position)) = (rewritten.versioned, rewritten.foreign_version) {
        return Err(statement.syntax_error_at(position));
    }
    let dialect = FeatgresDialect::new(rewritten.tokens.len(), rewritten.versioned);
    let parser = Parser::new(&dialect).with_recursion_limit(MAX_RECURSION).with_tokens_with_locations(rewritten.tokens);
    let mut cursor = Cursor { parser, statement: *statement, dialect: &dialect };
    if let Some(definition) = definitions::parse(&mut cursor)? {
        cursor.expect_end()?;
        return Ok(definition);
    }
    if let Some(statement) = cursors::parse(&mut cursor)? {
        return Ok(statement);
    }
    if let Some(statement) = copy::parse(&mut cursor)? {
        return Ok(statement);
    }
    let mut tree = cursor.parse_with(Parser::parse_statement)?;
    cursor.expect_end()?;
    finish(&cursor, &mut tree)?;
    Ok(Statement::Sql(Box::new(tree)))
}

/// A query as the planner takes it, wherever it stood: no join lacks its condition, and versions have their names.
pub(super) fn finish(cursor: &Cursor<'_>, tree: &mut impl VisitMut) -> Result<(), SqlError> {
    if let ControlFlow::Break(end) = tree.visit(&mut JoinsWithout) {
        // The condition would have followed the relation.
        return Err(cursor.statement.syntax_error_at(end.max(1)));
    }
    name_versions(tree);
    Ok(())
}

/// `a JOIN b` without a condition, which sqlparser takes for a cross join. Breaks with where the joined relation ends, as far as that is known.
struct JoinsWithout;

impl VisitorMut for JoinsWithout {
    type Break = usize;

    fn pre_visit_query(&mut self, query: &mut sqlparser_ast::Query) -> ControlFlow<usize> {
        match without_condition(&query.body) {
            Some(end) => ControlFlow::Break(end),
            None => ControlFlow::Continue(()),
        }
    }
}

fn without_condition(body: &sqlparser_ast::SetExpr) -> Option<usize> {
    match body {
        sqlparser_ast::SetExpr::Select(select) => select.from.iter().find_map(joined_without),
        sqlparser_ast::SetExpr::SetOperation { left, right, .. } => without_condition(left).or_else(|| without_condition(right)),
        _ => None,
    }
}

fn joined_without(table: &TableWithJoins) -> Option<usize> {
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => joined_without(table_with_joins),
        _ => None,
    };
    nested(&table.relation).or_else(|| {
        table.joins.iter().find_map(|join| match constraint(&join.join_operator) {
            Some(JoinConstraint::None) => Some(join.relation.span().end.column as usize),
            _ => nested(&join.relation),
        })
    })
}

/// Versions travelled through sqlparser as `FOR SYSTEM_TIME AS OF`; gives them their name in the tree.
fn name_versions(tree: &mut impl VisitMut) {
    struct Versions;
    impl VisitorMut for Versions {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { version: Some(version), .. } = factor
                && let TableVersion::ForSystemTimeAsOf(expression) = version
            {
                *version = TableVersion::VersionAsOf(expression.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let _ = tree.visit(&mut Versions);
}

/// sqlparser's error in PostgreSQL's words. Its own words are kept as a hint where they say more than "unexpected".
pub(super) fn error_of(error: &ParserError, parser: &Parser<'_>, dialect: &FeatgresDialect, statement: &StatementTokens<'_>) -> SqlError {
    let message = match error {
        ParserError::RecursionLimitExceeded => return SqlError::TooComplex { position: None },
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => message,
    };
    // " at Line: 1, Column: 17"; none means the end of the tokens, or an error without a place.
    let located = message.rsplit_once(" at Line: 1, Column: ").and_then(|(_, column)| column.parse().ok());
    let at_end = message.ends_with("found: EOF");
    let position = located.unwrap_or_else(|| {
        let next = parser.peek_token();
        if at_end || next.token == Token::EOF { usize::MAX } else { next.span.start.column as usize }
    });
    statement.syntax_error_at(position.max(reached(parser, dialect)))
}

/// Where the parser was furthest: it tries one reading after the other, and complains of the last one's beginning, but the mistake is
/// behind whatever some reading could make sense of.
pub(super) fn reached(parser: &Parser<'_>, dialect: &FeatgresDialect) -> usize {
    let token = parser.token_at(dialect.reached());
    if token.token == Token::EOF && dialect.reached() > 0 { usize::MAX } else { token.span.start.column as usize }
}
