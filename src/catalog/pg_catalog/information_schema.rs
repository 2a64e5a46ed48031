//! `information_schema`: the SQL standard's words for the same objects.

use super::Catalog;
use super::definitions::Definition;
use super::objects::{Relation, RelationColumn, TEMPORARY};
use super::rows::{Cell, Rows};
use crate::pg_type::PgType;

/// The rows of a view of `information_schema`; what is not here describes what a gateway does not have.
pub fn rows(definition: &'static Definition, catalog: &Catalog) -> Rows {
    match definition.name {
        "tables" => tables(definition, catalog),
        "columns" => columns(definition, catalog),
        "schemata" => schemata(definition, catalog),
        "views" => views(definition, catalog),
        "information_schema_catalog_name" => {
            let mut rows = Rows::new(definition, &["catalog_name"]);
            rows.push(vec![Cell::text(catalog.database())]);
            rows
        }
        "enabled_roles" | "applicable_roles" => {
            let mut rows = Rows::new(definition, &["role_name"]);
            if definition.name == "enabled_roles" {
                rows.push(vec![Cell::text(catalog.user())]);
            }
            rows
        }
        _ => Rows::new(definition, &[]),
    }
}

fn yes(flag: bool) -> Cell {
    Cell::text(if flag { "YES" } else { "NO" })
}

fn tables(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["table_catalog", "table_schema", "table_name", "table_type", "is_insertable_into", "is_typed"]);
    for relation in catalog.relations() {
        let table = relation.kind == "r";
        rows.push(vec![
            Cell::text(catalog.database()),
            Cell::text(relation.schema),
            Cell::text(relation.name.as_ref()),
            Cell::text(match relation.kind {
                "r" if relation.schema == TEMPORARY.0 => "LOCAL TEMPORARY",
                "r" => "BASE TABLE",
                _ => "VIEW",
            }),
            yes(table),
            yes(false),
        ]);
    }
    rows
}

fn schemata(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["catalog_name", "schema_name", "schema_owner"]);
    for (schema, _) in catalog.schemas() {
        let owner = if schema == "public" { "pg_database_owner" } else { catalog.user() };
        rows.push(vec![Cell::text(catalog.database()), Cell::text(schema), Cell::text(owner)]);
    }
    rows
}

fn views(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "check_option",
            "is_updatable",
            "is_insertable_into",
            "is_trigger_updatable",
            "is_trigger_deletable",
            "is_trigger_insertable_into",
        ],
    );
    for relation in catalog.relations().iter().filter(|relation| relation.kind == "v") {
        let mut row =
            vec![Cell::text(catalog.database()), Cell::text(relation.schema), Cell::text(relation.name.as_ref()), Cell::text("NONE")];
        row.extend(std::iter::repeat_n(yes(false), 5));
        rows.push(row);
    }
    rows
}

fn columns(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "is_nullable",
            "data_type",
            "character_maximum_length",
            "character_octet_length",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
            "udt_catalog",
            "udt_schema",
            "udt_name",
            "dtd_identifier",
            "is_self_referencing",
            "is_identity",
            "identity_cycle",
            "is_generated",
            "is_updatable",
        ],
    );
    for relation in catalog.relations() {
        for (index, column) in relation.columns.iter().enumerate() {
            rows.push(column_row(catalog, relation, column, index as i64 + 1));
        }
    }
    rows
}

fn column_row(catalog: &Catalog, relation: &Relation, column: &RelationColumn, number: i64) -> Vec<Cell> {
    let pg_type = column.pg_type;
    let data_type = if pg_type.element().is_some() || matches!(pg_type, PgType::INT2VECTOR | PgType::OIDVECTOR) {
        "ARRAY".to_owned()
    } else {
        match pg_type {
            PgType::BPCHAR => "character".to_owned(),
            _ => pg_type.format(-1),
        }
    };
    // The standard's bounds: characters, digits, digits after the seconds.
    let length = matches!(pg_type, PgType::VARCHAR | PgType::BPCHAR).then_some(i64::from(column.typmod) - 4).filter(|length| *length > 0);
    let octets = match pg_type {
        PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR => Some(length.map_or(1_073_741_824, |length| length * 4)),
        _ => None,
    };
    let packed = i64::from(column.typmod) - 4;
    let (precision, radix, scale) = match pg_type {
        PgType::INT2 => (Some(16), Some(2), Some(0)),
        PgType::INT4 => (Some(32), Some(2), Some(0)),
        PgType::INT8 => (Some(64), Some(2), Some(0)),
        PgType::FLOAT4 => (Some(24), Some(2), None),
        PgType::FLOAT8 => (Some(53), Some(2), None),
        PgType::NUMERIC if packed >= 0 => (Some(packed >> 16), Some(10), Some(packed & 0x7ff)),
        PgType::NUMERIC => (None, Some(10), None),
        _ => (None, None, None),
    };
    let time = match pg_type {
        PgType::DATE => Some(0),
        PgType::TIME | PgType::TIMETZ | PgType::TIMESTAMP | PgType::TIMESTAMPTZ | PgType::INTERVAL => {
            Some(if column.typmod < 0 { 6 } else { i64::from(column.typmod) })
        }
        _ => None,
    };
    let number_or_null = |value: Option<i64>| value.map_or(Cell::Null, Cell::Int);
    vec![
        Cell::text(catalog.database()),
        Cell::text(relation.schema),
        Cell::text(relation.name.as_ref()),
        Cell::text(column.name.as_ref()),
        Cell::Int(number),
        yes(!column.not_null),
        Cell::text(data_type),
        number_or_null(length),
        number_or_null(octets),
        number_or_null(precision),
        number_or_null(radix),
        number_or_null(scale),
        number_or_null(time),
        Cell::text(catalog.database()),
        Cell::text("pg_catalog"),
        Cell::text(pg_type.name()),
        Cell::text(number.to_string()),
        yes(false),
        yes(false),
        yes(false),
        Cell::text("NEVER"),
        yes(relation.kind == "r"),
    ]
}
