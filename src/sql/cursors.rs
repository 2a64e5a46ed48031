//! The grammar of cursors, `DECLARE`, `FETCH`, `MOVE` and `CLOSE`: PostgreSQL's options in any order, counts with a sign, FROM or IN
//! or neither, all of which sqlparser reads in one shape only.

use std::fmt::{Display, Formatter};

use datafusion::sql::sqlparser::ast::{self as sqlparser_ast, SetExpr};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::definitions::Cursor;
use super::parser::finish;
use super::{Ident, SqlError, Statement};

type Result<T> = std::result::Result<T, SqlError>;

/// A statement about cursors.
#[derive(Debug, Clone, PartialEq)]
pub enum CursorStatement {
    /// `DECLARE name … CURSOR … FOR query`.
    Declare(DeclareCursor),
    /// `FETCH` or `MOVE`.
    Fetch {
        /// The cursor.
        name: Ident,
        /// Where to.
        direction: Direction,
        /// `MOVE`: the rows are passed, not sent.
        moves: bool,
    },
    /// `CLOSE name`; none is `CLOSE ALL`.
    Close(Option<Ident>),
}

/// `DECLARE`.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclareCursor {
    /// Its name.
    pub name: Ident,
    /// `BINARY`.
    pub binary: bool,
    /// `SCROLL`, `NO SCROLL`, or not said.
    pub scroll: Option<bool>,
    /// `WITH HOLD`.
    pub hold: bool,
    /// What it reads: a `Statement::Query`.
    pub query: Box<sqlparser_ast::Statement>,
}

/// Where FETCH goes. Counts are PostgreSQL's: `i64::MAX` is ALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// So many rows on; backward if negative, the row it stands on if 0.
    Forward(i64),
    /// So many rows back.
    Backward(i64),
    /// To the row of this number, from 1; from the end if negative.
    Absolute(i64),
    /// So many rows from where it stands.
    Relative(i64),
}

/// Every row there is.
pub const ALL_ROWS: i64 = i64::MAX;

impl Display for CursorStatement {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Declare(declare) => {
                write!(f, "DECLARE {}", declare.name)?;
                if declare.binary {
                    f.write_str(" BINARY")?;
                }
                f.write_str(match declare.scroll {
                    Some(true) => " SCROLL",
                    Some(false) => " NO SCROLL",
                    None => "",
                })?;
                write!(f, " CURSOR{} FOR {}", if declare.hold { " WITH HOLD" } else { "" }, declare.query)
            }
            Self::Fetch { name, direction, moves } => {
                write!(f, "{} {direction} FROM {name}", if *moves { "MOVE" } else { "FETCH" })
            }
            Self::Close(Some(name)) => write!(f, "CLOSE {name}"),
            Self::Close(None) => f.write_str("CLOSE ALL"),
        }
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forward(ALL_ROWS) => f.write_str("ALL"),
            Self::Backward(ALL_ROWS) => f.write_str("BACKWARD ALL"),
            Self::Forward(count) => write!(f, "FORWARD {count}"),
            Self::Backward(count) => write!(f, "BACKWARD {count}"),
            Self::Absolute(row) => write!(f, "ABSOLUTE {row}"),
            Self::Relative(count) => write!(f, "RELATIVE {count}"),
        }
    }
}

/// Reads one of these statements; `None`, with nothing consumed, if it is none.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Statement>> {
    let statement = if cursor.take(&["DECLARE"]) {
        CursorStatement::Declare(declare(cursor)?)
    } else if cursor.take(&["FETCH"]) {
        fetch(cursor, false)?
    } else if cursor.take(&["MOVE"]) {
        fetch(cursor, true)?
    } else if cursor.take(&["CLOSE"]) {
        CursorStatement::Close(if cursor.take(&["ALL"]) { None } else { Some(cursor.name()?) })
    } else {
        return Ok(None);
    };
    cursor.expect_end()?;
    Ok(Some(Statement::Cursor(statement)))
}

fn declare(cursor: &mut Cursor<'_>) -> Result<DeclareCursor> {
    let name = cursor.name()?;
    let (mut binary, mut scroll, mut sensitive) = (false, None, None);
    loop {
        let conflict = |pair| SqlError::ConflictingOptions { pair };
        if cursor.take(&["CURSOR"]) {
            break;
        } else if cursor.take(&["BINARY"]) {
            binary = true;
        } else if cursor.take(&["NO", "SCROLL"]) {
            if scroll.replace(false) == Some(true) {
                return Err(conflict("SCROLL and NO SCROLL"));
            }
        } else if cursor.take(&["SCROLL"]) {
            if scroll.replace(true) == Some(false) {
                return Err(conflict("SCROLL and NO SCROLL"));
            }
        } else if cursor.take(&["INSENSITIVE"]) {
            if sensitive.replace(false) == Some(true) {
                return Err(conflict("INSENSITIVE and ASENSITIVE"));
            }
        } else if cursor.take(&["ASENSITIVE"]) {
            if sensitive.replace(true) == Some(false) {
                return Err(conflict("INSENSITIVE and ASENSITIVE"));
            }
        } else {
            return Err(cursor.unexpected());
        }
    }
    let hold = cursor.take(&["WITH", "HOLD"]);
    if !hold {
        cursor.take(&["WITHOUT", "HOLD"]);
    }
    if !cursor.take(&["FOR"]) {
        return Err(cursor.unexpected());
    }
    let position = cursor.position();
    let mut query = cursor.parse_with(Parser::parse_query)?;
    if matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)) {
        return Err(cursor.statement.syntax_error_at(position));
    }
    finish(cursor, &mut query)?;
    Ok(DeclareCursor { name, binary, scroll, hold, query: Box::new(sqlparser_ast::Statement::Query(query)) })
}

fn fetch(cursor: &mut Cursor<'_>, moves: bool) -> Result<CursorStatement> {
    let direction = direction(cursor)?;
    // FROM, IN, or neither.
    if !cursor.take(&["FROM"]) {
        cursor.take(&["IN"]);
    }
    Ok(CursorStatement::Fetch { name: cursor.name()?, direction, moves })
}

fn direction(cursor: &mut Cursor<'_>) -> Result<Direction> {
    // A word that ends the statement is the cursor's name, whatever it means elsewhere.
    if cursor.parser.peek_nth_token_ref(1).token == Token::EOF {
        return Ok(Direction::Forward(1));
    }
    for (word, direction) in [
        ("NEXT", Direction::Forward(1)),
        ("PRIOR", Direction::Backward(1)),
        ("FIRST", Direction::Absolute(1)),
        ("LAST", Direction::Absolute(-1)),
        ("ALL", Direction::Forward(ALL_ROWS)),
    ] {
        if cursor.take(&[word]) {
            return Ok(direction);
        }
    }
    if cursor.take(&["ABSOLUTE"]) {
        return Ok(Direction::Absolute(needed(cursor)?));
    }
    if cursor.take(&["RELATIVE"]) {
        return Ok(Direction::Relative(needed(cursor)?));
    }
    if cursor.take(&["FORWARD"]) {
        return Ok(Direction::Forward(if cursor.take(&["ALL"]) { ALL_ROWS } else { count(cursor)?.unwrap_or(1) }));
    }
    if cursor.take(&["BACKWARD"]) {
        return Ok(Direction::Backward(if cursor.take(&["ALL"]) { ALL_ROWS } else { count(cursor)?.unwrap_or(1) }));
    }
    Ok(Direction::Forward(count(cursor)?.unwrap_or(1)))
}

fn needed(cursor: &mut Cursor<'_>) -> Result<i64> {
    count(cursor)?.ok_or_else(|| cursor.unexpected())
}

/// A 32-bit number with a sign, if one is next.
fn count(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    let negative = match cursor.parser.peek_token_ref().token {
        Token::Minus => true,
        Token::Plus => false,
        Token::Number(..) => return number(cursor).map(Some),
        _ => return Ok(None),
    };
    cursor.parser.advance_token();
    let number = number(cursor)?;
    Ok(Some(if negative { -number } else { number }))
}

fn number(cursor: &mut Cursor<'_>) -> Result<i64> {
    let Token::Number(digits, _) = &cursor.parser.peek_token_ref().token else { return Err(cursor.unexpected()) };
    let number = digits.parse::<i32>().map_err(|_| cursor.unexpected())?;
    cursor.parser.advance_token();
    Ok(i64::from(number))
}
