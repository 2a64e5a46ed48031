//! Rows that are the same in every PostgreSQL 16: types, their functions, casts, collations, access methods.
//!
//! Written by a PostgreSQL 16 with `COPY … TO STDOUT (HEADER)`, one file per relation, and read when a statement names it.
//! `pg_proc` holds the functions that types need and those that clients ask for by name.

use super::definitions::Definition;
use super::rows::{Cell, Rows};
use crate::pg_type::PgType;

/// The text of a relation's fixed rows.
fn text(name: &str) -> Option<&'static str> {
    Some(match name {
        "pg_am" => include_str!("rows/pg_am.tsv"),
        "pg_cast" => include_str!("rows/pg_cast.tsv"),
        "pg_collation" => include_str!("rows/pg_collation.tsv"),
        "pg_language" => include_str!("rows/pg_language.tsv"),
        "pg_proc" => include_str!("rows/pg_proc.tsv"),
        "pg_range" => include_str!("rows/pg_range.tsv"),
        "pg_roles" => include_str!("rows/pg_roles.tsv"),
        "pg_tablespace" => include_str!("rows/pg_tablespace.tsv"),
        "pg_type" => include_str!("rows/pg_type.tsv"),
        _ => return None,
    })
}

/// The fixed rows of a relation in `pg_catalog`, if it has any.
pub fn rows(definition: &'static Definition) -> Option<Rows> {
    rows_with_header(definition).map(|(_, rows)| rows)
}

/// The same with the names of the columns, for more rows of them.
pub fn rows_with_header(definition: &'static Definition) -> Option<(Vec<&'static str>, Rows)> {
    let mut lines = text(definition.name)?.lines();
    let header: Vec<&'static str> = lines.next()?.split('\t').collect();
    let types: Vec<PgType> = header
        .iter()
        .map(|name| definition.columns.iter().find(|column| column.name == *name).map_or(PgType::TEXT, |column| column.pg_type))
        .collect();
    let mut rows = Rows::new(definition, &header);
    for line in lines {
        rows.push(line.split('\t').zip(&types).map(|(text, pg_type)| cell(text, *pg_type)).collect());
    }
    Some((header, rows))
}

/// One value of COPY's text format.
fn cell(text: &str, pg_type: PgType) -> Cell {
    if text == "\\N" {
        return Cell::Null;
    }
    if matches!(pg_type, PgType::OIDVECTOR | PgType::INT2VECTOR) {
        return Cell::List(text.split_whitespace().map(Cell::text).collect());
    }
    if pg_type.element().is_some() {
        let inside = text.trim_start_matches('{').trim_end_matches('}');
        return Cell::List(inside.split(',').filter(|element| !element.is_empty()).map(Cell::text).collect());
    }
    match pg_type {
        PgType::BOOL => Cell::Bool(text == "t"),
        _ => Cell::text(text.replace("\\\\", "\\")),
    }
}
