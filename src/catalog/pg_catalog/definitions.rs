//! Which relations PostgreSQL 16 has in `pg_catalog` and `information_schema`, with their oids, columns and types.
//!
//! `relations.tsv` was written by a PostgreSQL 16 about itself (domains by their base types, as the wire shows them). A relation
//! that nobody fills is empty here with the right columns, so a statement over it plans and gives no rows, as it would there.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::pg_type::PgType;

/// One line per relation: schema, name, oid, kind, columns.
const RELATIONS: &str = include_str!("relations.tsv");

/// A relation's columns, as PostgreSQL declares them.
#[derive(Debug)]
pub struct Definition {
    /// `pg_catalog` or `information_schema`.
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// `pg_class.oid`.
    pub oid: u32,
    /// `pg_class.relkind`.
    pub kind: &'static str,
    /// In order.
    pub columns: Vec<ColumnDefinition>,
}

/// One column.
#[derive(Debug)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: &'static str,
    /// Its type; what no client ever reads as more than text is text.
    pub pg_type: PgType,
    /// `NOT NULL`.
    pub not_null: bool,
}

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| RELATIONS.lines().filter_map(parse).collect());
static BY_NAME: LazyLock<HashMap<(&'static str, &'static str), usize>> =
    LazyLock::new(|| DEFINITIONS.iter().enumerate().map(|(index, definition)| ((definition.schema, definition.name), index)).collect());

/// All of them, by schema and name.
pub fn all() -> &'static [Definition] {
    &DEFINITIONS
}

/// The one of this name.
pub fn find(schema: &str, name: &str) -> Option<&'static Definition> {
    BY_NAME.get(&(schema, name)).and_then(|index| DEFINITIONS.get(*index))
}

fn parse(line: &'static str) -> Option<Definition> {
    let mut parts = line.split('\t');
    let (schema, name, oid, kind, columns) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let columns = columns.split(' ').filter_map(column).collect();
    Some(Definition { schema, name, oid: oid.parse().ok()?, kind, columns })
}

fn column(text: &'static str) -> Option<ColumnDefinition> {
    let (name, type_name) = text.split_once(':')?;
    let (type_name, not_null) = match type_name.strip_suffix('!') {
        Some(type_name) => (type_name, true),
        None => (type_name, false),
    };
    Some(ColumnDefinition { name, pg_type: PgType::from_name(type_name).unwrap_or(PgType::TEXT), not_null })
}
