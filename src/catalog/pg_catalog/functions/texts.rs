//! PostgreSQL's text functions that the engine lacks and clients use when they look into a catalog.

use super::{Entry, lenient, strict, text};
use crate::catalog::pg_catalog::Catalog;
use crate::catalog::pg_catalog::rows::Cell;
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
use crate::spelling::{quote_ident, quote_literal};

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    strict("quote_ident", (1, 1), PgType::TEXT, |_, row| {
        Ok(Cell::optional(row.first().and_then(Cell::shown).map(|name| quote_ident(&name))))
    }),
    strict("quote_literal", (1, 1), PgType::TEXT, |_, row| {
        Ok(Cell::optional(row.first().and_then(Cell::shown).map(|text| quote_literal(&text))))
    }),
    lenient("quote_nullable", (1, 1), PgType::TEXT, |_, row| {
        Ok(Cell::text(row.first().and_then(Cell::shown).map_or_else(|| "NULL".to_owned(), |text| quote_literal(&text))))
    }),
    strict("pg_size_pretty", (1, 1), PgType::TEXT, size_pretty),
    strict("pg_encoding_to_char", (1, 1), PgType::NAME, |_, row| {
        Ok(Cell::text(match row.first() {
            Some(Cell::Int(0)) => "SQL_ASCII",
            Some(Cell::Int(6)) => "UTF8",
            Some(Cell::Int(8)) => "LATIN1",
            _ => "",
        }))
    }),
    strict("pg_char_to_encoding", (1, 1), PgType::INT4, |_, row| {
        Ok(Cell::Int(if text(row.first()).is_some_and(|name| name.replace('-', "").eq_ignore_ascii_case("utf8")) { 6 } else { -1 }))
    }),
    lenient("pg_client_encoding", (0, 0), PgType::NAME, |_, _| Ok(Cell::text("UTF8"))),
    lenient("getdatabaseencoding", (0, 0), PgType::NAME, |_, _| Ok(Cell::text("UTF8"))),
    strict("like_escape", (2, 2), PgType::TEXT, like_escape),
];

/// A pattern whose escape is another character, with a backslash as its escape.
fn like_escape(_catalog: &Catalog, row: &[Cell]) -> Result<Cell, Report> {
    let (Some(pattern), Some(escape)) = (text(row.first()), text(row.get(1))) else { return Ok(Cell::Null) };
    let mut escapes = escape.chars();
    let (escape, None) = (escapes.next(), escapes.next()) else {
        return Err(
            Report::new(SqlState::INVALID_PARAMETER_VALUE, "invalid escape string").hint("Escape string must be empty or one character.")
        );
    };
    let mut rewritten = String::with_capacity(pattern.len() + 4);
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            rewritten.push('\\');
            rewritten.extend(characters.next());
        } else {
            if character == '\\' {
                rewritten.push('\\');
            }
            rewritten.push(character);
        }
    }
    Ok(Cell::Text(rewritten))
}

/// Whole numbers of the largest unit that leaves at least ten of it, rounded as PostgreSQL does.
fn size_pretty(_catalog: &Catalog, row: &[Cell]) -> Result<Cell, Report> {
    let Some(Cell::Int(bytes)) = row.first() else { return Ok(Cell::Null) };
    let mut size = *bytes;
    if size.unsigned_abs() < 10 * 1024 {
        return Ok(Cell::text(format!("{size} bytes")));
    }
    // One bit is kept for rounding half away from zero.
    size >>= 9;
    for unit in ["kB", "MB", "GB", "TB"] {
        if size.unsigned_abs() < 2 * 10 * 1024 - 1 {
            return Ok(Cell::text(format!("{} {unit}", (size + size.signum()) / 2)));
        }
        size >>= 10;
    }
    Ok(Cell::text(format!("{} PB", (size + size.signum()) / 2)))
}
