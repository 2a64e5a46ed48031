//! The grammar of COPY: options in parentheses, which are names with any value, and those of older releases, which are keywords.
//!
//! Whether there is an option of a name, and which go together, is not grammar, and is found out when the statement runs; so an
//! option keeps where it stands. sqlparser knows a closed list of them, fails at the others and keeps no places. As in PostgreSQL,
//! STDIN and STDOUT are the same word, and the direction alone says which is meant.

use std::fmt::{Display, Formatter};

use datafusion::sql::sqlparser::ast::{self as sqlparser_ast, Expr, SetExpr};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::definitions::Cursor;
use super::parser::finish;
use super::{Ident, SqlError, Statement, quote_literal};

type Result<T> = std::result::Result<T, SqlError>;

/// `COPY`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyStatement {
    /// What is copied.
    pub source: CopySource,
    /// `TO`; `FROM` otherwise.
    pub to: bool,
    /// Over the connection, not to or from a file or a program.
    pub over_connection: bool,
    /// In the order in which they stand.
    pub options: Vec<CopyOption>,
    /// `WHERE`, of rows that come in.
    pub filter: Option<Box<Expr>>,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq)]
pub enum CopySource {
    /// A query: a `Statement::Query`.
    Query(Box<sqlparser_ast::Statement>),
    /// A table and some of its columns; none are all.
    Table {
        /// The parts of its name.
        name: Vec<Ident>,
        /// The columns.
        columns: Vec<Ident>,
    },
}

/// An option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOption {
    /// Its name in PostgreSQL's present spelling, `force_quote`.
    pub name: String,
    /// What it is set to.
    pub value: CopyValue,
    /// Where it stands.
    pub position: usize,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyValue {
    /// None was given.
    None,
    /// A word, a string or a number, as text.
    Text(String),
    /// `*`
    Star,
    /// `(a, b)`
    List(Vec<String>),
}

impl Display for CopyStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            CopySource::Query(query) => write!(f, "COPY ({query})")?,
            CopySource::Table { name, columns } => {
                f.write_str("COPY ")?;
                separated(f, name, ".")?;
                if !columns.is_empty() {
                    f.write_str(" (")?;
                    separated(f, columns, ", ")?;
                    f.write_str(")")?;
                }
            }
        }
        f.write_str(match (self.to, self.over_connection) {
            (true, true) => " TO STDOUT",
            (false, true) => " FROM STDIN",
            (true, false) => " TO ''",
            (false, false) => " FROM ''",
        })?;
        if !self.options.is_empty() {
            f.write_str(" (")?;
            separated(f, &self.options, ", ")?;
            f.write_str(")")?;
        }
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))
    }
}

impl Display for CopyOption {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::quote_ident(&self.name))?;
        match &self.value {
            CopyValue::None => Ok(()),
            CopyValue::Text(text) => write!(f, " {}", quote_literal(text)),
            CopyValue::Star => f.write_str(" *"),
            CopyValue::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quote_literal(item)).collect();
                write!(f, " ({})", items.join(", "))
            }
        }
    }
}

fn separated<T: Display>(f: &mut Formatter<'_>, items: &[T], separator: &str) -> std::fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { separator })?;
    }
    Ok(())
}

/// Reads COPY; `None`, with nothing consumed, if it is none.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Statement>> {
    if !cursor.take(&["COPY"]) {
        return Ok(None);
    }
    let mut options = Vec::new();
    let is_query = cursor.parser.peek_token_ref().token == Token::LParen;
    let source = if is_query {
        query(cursor)?
    } else {
        let position = cursor.position();
        if cursor.take(&["BINARY"]) {
            options.push(option("format", CopyValue::Text("binary".to_owned()), position));
        }
        let mut name = vec![cursor.name()?];
        while name.len() < 3 && cursor.parser.consume_token(&Token::Period) {
            name.push(cursor.label()?);
        }
        let columns = if cursor.parser.peek_token_ref().token == Token::LParen { cursor.parenthesised(Cursor::name)? } else { Vec::new() };
        CopySource::Table { name, columns }
    };
    let to = if cursor.take(&["TO"]) {
        true
    } else if !is_query && cursor.take(&["FROM"]) {
        false
    } else {
        return Err(cursor.unexpected());
    };
    let over_connection = if cursor.take(&["PROGRAM"]) {
        cursor.string()?;
        false
    } else if cursor.take(&["STDIN"]) || cursor.take(&["STDOUT"]) {
        true
    } else {
        cursor.string()?;
        false
    };
    if !is_query {
        let position = cursor.position();
        if cursor.take(&["USING", "DELIMITERS"]) || cursor.take(&["DELIMITERS"]) {
            options.push(option("delimiter", CopyValue::Text(cursor.string()?), position));
        }
    }
    cursor.take(&["WITH"]);
    if cursor.parser.peek_token_ref().token == Token::LParen {
        options.extend(cursor.parenthesised(named)?);
    } else {
        while let Some(option) = keyword(cursor)? {
            options.push(option);
        }
    }
    let mut filter = None;
    let position = cursor.position();
    if !is_query && cursor.take(&["WHERE"]) {
        if to {
            return Err(SqlError::NotWithCopyTo { position });
        }
        let mut condition = cursor.parse_with(Parser::parse_expr)?;
        finish(cursor, &mut condition)?;
        filter = Some(Box::new(condition));
    }
    cursor.expect_end()?;
    Ok(Some(Statement::Copy(Box::new(CopyStatement { source, to, over_connection, options, filter }))))
}

fn option(name: &str, value: CopyValue, position: usize) -> CopyOption {
    CopyOption { name: name.to_owned(), value, position }
}

fn query(cursor: &mut Cursor<'_>) -> Result<CopySource> {
    cursor.parser.advance_token();
    let position = cursor.position();
    let mut query = cursor.parse_with(Parser::parse_query)?;
    if matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) {
        return Err(SqlError::CopyOfEffect { position });
    }
    finish(cursor, &mut query)?;
    cursor.expect(&Token::RParen)?;
    Ok(CopySource::Query(Box::new(sqlparser_ast::Statement::Query(query))))
}

/// `name value` between parentheses.
fn named(cursor: &mut Cursor<'_>) -> Result<CopyOption> {
    let Ident { name, position } = cursor.label()?;
    let value = match &cursor.parser.peek_token_ref().token {
        Token::Comma | Token::RParen => CopyValue::None,
        Token::Mul => {
            cursor.parser.advance_token();
            CopyValue::Star
        }
        Token::LParen => CopyValue::List(cursor.parenthesised(text)?),
        Token::Plus | Token::Minus | Token::Number(..) => CopyValue::Text(number(cursor)?),
        _ => CopyValue::Text(text(cursor)?),
    };
    Ok(CopyOption { name, value, position })
}

/// A word or a string.
fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    match &cursor.parser.peek_token_ref().token {
        // The words that are reserved elsewhere and values here.
        Token::Word(word)
            if word.quote_style.is_none()
                && ["true", "false", "on", "binary"].iter().any(|known| word.value.eq_ignore_ascii_case(known)) =>
        {
            cursor.label().map(|word| word.name)
        }
        Token::Word(_) => cursor.name().map(|word| word.name),
        _ => cursor.string(),
    }
}

fn number(cursor: &mut Cursor<'_>) -> Result<String> {
    let negative = cursor.parser.consume_token(&Token::Minus);
    if !negative {
        let _ = cursor.parser.consume_token(&Token::Plus);
    }
    let Token::Number(digits, _) = &cursor.parser.peek_token_ref().token else { return Err(cursor.unexpected()) };
    let number = format!("{}{digits}", if negative { "-" } else { "" });
    cursor.parser.advance_token();
    Ok(number)
}

/// An option in the spelling of PostgreSQL before 9.0, if one is next.
fn keyword(cursor: &mut Cursor<'_>) -> Result<Option<CopyOption>> {
    let position = cursor.position();
    let yes = || CopyValue::Text("true".to_owned());
    for (word, name, value) in [
        ("BINARY", "format", CopyValue::Text("binary".to_owned())),
        ("CSV", "format", CopyValue::Text("csv".to_owned())),
        ("FREEZE", "freeze", yes()),
        ("HEADER", "header", yes()),
    ] {
        if cursor.take(&[word]) {
            return Ok(Some(option(name, value, position)));
        }
    }
    for (word, name) in [("DELIMITER", "delimiter"), ("NULL", "null"), ("QUOTE", "quote"), ("ESCAPE", "escape")] {
        if cursor.take(&[word]) {
            cursor.take(&["AS"]);
            return Ok(Some(option(name, CopyValue::Text(cursor.string()?), position)));
        }
    }
    if cursor.take(&["ENCODING"]) {
        return Ok(Some(option("encoding", CopyValue::Text(cursor.string()?), position)));
    }
    for (words, name) in [
        (&["FORCE", "NOT", "NULL"][..], "force_not_null"),
        (&["FORCE", "NULL"][..], "force_null"),
        (&["FORCE", "QUOTE"][..], "force_quote"),
    ] {
        if cursor.take(words) {
            if name == "force_quote" && cursor.parser.consume_token(&Token::Mul) {
                return Ok(Some(option(name, CopyValue::Star, position)));
            }
            let mut columns = vec![cursor.name()?.name];
            while cursor.parser.consume_token(&Token::Comma) {
                columns.push(cursor.name()?.name);
            }
            return Ok(Some(option(name, CopyValue::List(columns), position)));
        }
    }
    if cursor.take(&["FORCE"]) {
        return Err(cursor.unexpected());
    }
    Ok(None)
}
