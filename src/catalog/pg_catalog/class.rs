//! Relations about relations: `pg_class`, `pg_attribute`, `pg_description`, and the views over them.

use super::definitions::Definition;
use super::objects::{Relation, RelationColumn, TEMPORARY, schema_oid};
use super::rows::{Cell, Rows};
use super::{Catalog, OWNER_OID, seeds};
use crate::pg_type::PgType;

/// `pg_class.oid` of `pg_class`: the `classoid` of comments on relations.
pub const PG_CLASS_OID: u32 = 1259;
/// The access method `heap`, which every table is told to have.
const HEAP_OID: i64 = 2;
/// `pg_collation.oid` of `default` and of `C`, which `name` has.
const DEFAULT_COLLATION: i64 = 100;
const C_COLLATION: i64 = 950;

/// One row per relation.
pub fn pg_class(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &[
            "oid",
            "relname",
            "relnamespace",
            "reltype",
            "relowner",
            "relam",
            "relfilenode",
            "reltuples",
            "relpersistence",
            "relkind",
            "relnatts",
            "relhasrules",
            "relispopulated",
            "relreplident",
            "relfrozenxid",
            "relminmxid",
        ],
    );
    for relation in catalog.relations() {
        let table = relation.kind == "r";
        rows.push(vec![
            Cell::oid(relation.oid),
            Cell::text(relation.name.as_ref()),
            Cell::oid(schema_oid(relation.schema).unwrap_or_default()),
            Cell::oid(relation.row_types.0),
            Cell::oid(OWNER_OID),
            Cell::Int(if table { HEAP_OID } else { 0 }),
            Cell::Int(if table && !relation.is_system() { i64::from(relation.oid) } else { 0 }),
            Cell::Float(if table { -1.0 } else { 0.0 }),
            Cell::text(if relation.schema == TEMPORARY.0 { "t" } else { "p" }),
            Cell::text(relation.kind),
            Cell::Int(relation.columns.len() as i64),
            Cell::Bool(!table),
            Cell::Bool(true),
            Cell::text(if table && !relation.is_system() { "d" } else { "n" }),
            Cell::Int(if table { 731 } else { 0 }),
            Cell::Int(i64::from(table)),
        ]);
    }
    rows
}

/// One row per column.
pub fn pg_attribute(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &[
            "attrelid",
            "attname",
            "atttypid",
            "attlen",
            "attnum",
            "attcacheoff",
            "atttypmod",
            "attndims",
            "attbyval",
            "attalign",
            "attstorage",
            "attcompression",
            "attnotnull",
            "attidentity",
            "attgenerated",
            "attislocal",
            "attstattarget",
            "attcollation",
        ],
    );
    for relation in catalog.relations() {
        for (index, column) in relation.columns.iter().enumerate() {
            let pg_type = column.pg_type;
            let (by_value, align, storage) = layout(pg_type);
            rows.push(vec![
                Cell::oid(relation.oid),
                Cell::text(column.name.as_ref()),
                Cell::oid(pg_type.oid()),
                Cell::Int(i64::from(pg_type.len())),
                Cell::Int(index as i64 + 1),
                Cell::Int(-1),
                Cell::Int(i64::from(column.typmod)),
                Cell::Int(i64::from(pg_type.element().is_some())),
                Cell::Bool(by_value),
                Cell::text(align),
                Cell::text(storage),
                Cell::text(""),
                Cell::Bool(column.not_null),
                Cell::text(""),
                Cell::text(""),
                Cell::Bool(true),
                Cell::Int(-1),
                Cell::Int(collation(pg_type)),
            ]);
        }
    }
    rows
}

/// The types that every PostgreSQL has, and each relation's rows and arrays of them.
pub fn pg_type(definition: &'static Definition, catalog: &Catalog) -> Option<Rows> {
    let (header, mut rows) = seeds::rows_with_header(definition)?;
    let relations = catalog.relations().iter().filter(|relation| relation.row_types.0 != 0);
    for relation in relations {
        let (row_type, array_type) = relation.row_types;
        for is_array in [false, true] {
            let either = |array: i64, row: i64| Cell::Int(if is_array { array } else { row });
            let cell = |column: &&str| match *column {
                "oid" => Cell::oid(if is_array { array_type } else { row_type }),
                "typname" => Cell::text(format!("{}{}", if is_array { "_" } else { "" }, relation.name)),
                "typnamespace" => Cell::oid(schema_oid(relation.schema).unwrap_or_default()),
                "typowner" => Cell::oid(OWNER_OID),
                "typlen" | "typtypmod" => Cell::Int(-1),
                "typtype" => Cell::text(if is_array { "b" } else { "c" }),
                "typcategory" => Cell::text(if is_array { "A" } else { "C" }),
                "typisdefined" => Cell::Bool(true),
                "typbyval" | "typispreferred" | "typnotnull" => Cell::Bool(false),
                "typdelim" => Cell::text(","),
                "typrelid" => Cell::oid(if is_array { 0 } else { relation.oid }),
                "typelem" => Cell::oid(if is_array { row_type } else { 0 }),
                "typarray" => Cell::oid(if is_array { 0 } else { array_type }),
                // array_subscript_handler, array_typanalyze, and the input and output of arrays and records.
                "typsubscript" => either(6179, 0),
                "typanalyze" => either(3816, 0),
                "typinput" => either(750, 2290),
                "typoutput" => either(751, 2291),
                "typreceive" => either(2400, 2402),
                "typsend" => either(2401, 2403),
                "typalign" => Cell::text("d"),
                "typstorage" => Cell::text("x"),
                _ => Cell::Int(0),
            };
            rows.push(header.iter().map(cell).collect());
        }
    }
    Some(rows)
}

/// Whether values are passed by value, their alignment, and how they are stored.
fn layout(pg_type: PgType) -> (bool, &'static str, &'static str) {
    let element = pg_type.element();
    let align = match element.unwrap_or(pg_type) {
        PgType::INT8 | PgType::FLOAT8 | PgType::TIMESTAMP | PgType::TIMESTAMPTZ | PgType::TIME | PgType::TIMETZ | PgType::INTERVAL => "d",
        PgType::MONEY | PgType::PG_LSN | PgType::XID8 | PgType::ACLITEM => "d",
        PgType::BOOL | PgType::CHAR | PgType::UUID | PgType::NAME if element.is_none() => "c",
        PgType::INT2 | PgType::TID if element.is_none() => "s",
        _ => "i",
    };
    let length = pg_type.len();
    let storage = match pg_type {
        _ if length > 0 => "p",
        PgType::NUMERIC | PgType::INET | PgType::CIDR => "m",
        PgType::INT2VECTOR | PgType::OIDVECTOR => "p",
        _ => "x",
    };
    (matches!(length, 1 | 2 | 4 | 8) && pg_type != PgType::NAME, align, storage)
}

/// The collation of a column of this type.
fn collation(pg_type: PgType) -> i64 {
    match pg_type.element().unwrap_or(pg_type) {
        PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR => DEFAULT_COLLATION,
        PgType::NAME => C_COLLATION,
        _ => 0,
    }
}

/// One row per comment.
pub fn pg_description(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["objoid", "classoid", "objsubid", "description"]);
    let mut add = |relation: &Relation, number: i64, comment: &Option<String>| {
        if let Some(comment) = comment {
            rows.push(vec![Cell::oid(relation.oid), Cell::oid(PG_CLASS_OID), Cell::Int(number), Cell::text(comment)]);
        }
    };
    for relation in catalog.relations() {
        add(relation, 0, &relation.comment);
        for (index, RelationColumn { comment, .. }) in relation.columns.iter().enumerate() {
            add(relation, index as i64 + 1, comment);
        }
    }
    rows
}

/// One row per table.
pub fn pg_tables(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows =
        Rows::new(definition, &["schemaname", "tablename", "tableowner", "hasindexes", "hasrules", "hastriggers", "rowsecurity"]);
    for relation in catalog.relations().iter().filter(|relation| relation.kind == "r") {
        let mut row = vec![Cell::text(relation.schema), Cell::text(relation.name.as_ref()), Cell::text(catalog.user())];
        row.extend(std::iter::repeat_n(Cell::Bool(false), 4));
        rows.push(row);
    }
    rows
}

/// One row per view.
pub fn pg_views(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["schemaname", "viewname", "viewowner", "definition"]);
    for relation in catalog.relations().iter().filter(|relation| relation.kind == "v") {
        rows.push(vec![Cell::text(relation.schema), Cell::text(relation.name.as_ref()), Cell::text(catalog.user()), Cell::text("")]);
    }
    rows
}
