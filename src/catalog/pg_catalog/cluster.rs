//! What belongs to the server: schemas, databases, roles, settings, and the session itself.

use std::sync::atomic::Ordering;

use super::definitions::Definition;
use super::rows::{Cell, Rows};
use super::{Catalog, OWNER_OID, seeds};

/// The oid of the one database that a gateway serves.
const DATABASE_OID: i64 = 5;
/// The tablespace `pg_default`, and the encoding UTF8.
const PG_DEFAULT_OID: i64 = 1663;
const UTF8: i64 = 6;
/// The role that PostgreSQL 15 and later let own `public`.
const PG_DATABASE_OWNER_OID: u32 = 6171;

/// One row per schema.
pub fn pg_namespace(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["oid", "nspname", "nspowner"]);
    for (name, oid) in catalog.schemas() {
        let owner = if name == "public" { PG_DATABASE_OWNER_OID } else { OWNER_OID };
        rows.push(vec![Cell::oid(oid), Cell::text(name), Cell::oid(owner)]);
    }
    rows
}

/// The database.
pub fn pg_database(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &[
            "oid",
            "datname",
            "datdba",
            "encoding",
            "datlocprovider",
            "datistemplate",
            "datallowconn",
            "datconnlimit",
            "datfrozenxid",
            "datminmxid",
            "dattablespace",
            "datcollate",
            "datctype",
        ],
    );
    rows.push(vec![
        Cell::Int(DATABASE_OID),
        Cell::text(catalog.database()),
        Cell::oid(OWNER_OID),
        Cell::Int(UTF8),
        Cell::text("c"),
        Cell::Bool(false),
        Cell::Bool(true),
        Cell::Int(-1),
        Cell::Int(722),
        Cell::Int(1),
        Cell::Int(PG_DEFAULT_OID),
        Cell::text("C"),
        Cell::text("C"),
    ]);
    rows
}

/// The role that asks, and PostgreSQL's predefined ones.
pub fn pg_roles(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let names = [
        "rolname",
        "rolsuper",
        "rolinherit",
        "rolcreaterole",
        "rolcreatedb",
        "rolcanlogin",
        "rolreplication",
        "rolconnlimit",
        "rolpassword",
        "rolbypassrls",
        "oid",
    ];
    let mut rows = match super::definitions::find("pg_catalog", "pg_roles").filter(|roles| std::ptr::eq(*roles, definition)) {
        Some(roles) => seeds::rows(roles).unwrap_or_else(|| Rows::new(definition, &names)),
        None => Rows::new(definition, &names),
    };
    rows.push(vec![
        Cell::text(catalog.user()),
        Cell::Bool(true),
        Cell::Bool(true),
        Cell::Bool(true),
        Cell::Bool(true),
        Cell::Bool(true),
        Cell::Bool(true),
        Cell::Int(-1),
        Cell::text("********"),
        Cell::Bool(true),
        Cell::oid(OWNER_OID),
    ]);
    rows
}

/// The role that asks.
pub fn pg_user(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["usename", "usesysid", "usecreatedb", "usesuper", "userepl", "usebypassrls", "passwd"]);
    let mut row = vec![Cell::text(catalog.user()), Cell::oid(OWNER_OID)];
    row.extend(std::iter::repeat_n(Cell::Bool(true), 4));
    row.push(Cell::text("********"));
    rows.push(row);
    rows
}

/// One row per setting.
pub fn pg_settings(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &["name", "setting", "category", "short_desc", "context", "vartype", "source", "boot_val", "reset_val", "pending_restart"],
    );
    for (name, value) in catalog.facts().iter().flat_map(|facts| facts.settings.all()) {
        let kind = match value.as_str() {
            "on" | "off" => "bool",
            number if number.parse::<i64>().is_ok() => "integer",
            _ => "string",
        };
        rows.push(vec![
            Cell::text(name),
            Cell::text(value.clone()),
            Cell::text("Client Connection Defaults"),
            Cell::text(""),
            Cell::text("user"),
            Cell::text(kind),
            Cell::text("default"),
            Cell::text(value.clone()),
            Cell::text(value),
            Cell::Bool(false),
        ]);
    }
    rows
}

/// Who is connected, and what each does; what another role does it alone sees.
pub fn pg_stat_activity(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(
        definition,
        &[
            "datid",
            "datname",
            "pid",
            "usesysid",
            "usename",
            "application_name",
            "client_addr",
            "client_port",
            "backend_start",
            "xact_start",
            "query_start",
            "state_change",
            "state",
            "query",
            "backend_type",
        ],
    );
    let instant = |time: Option<i64>| time.map_or(Cell::Null, Cell::Instant);
    for facts in backends(catalog) {
        rows.push(vec![
            Cell::Int(DATABASE_OID),
            Cell::text(catalog.database()),
            Cell::Int(i64::from(facts.process_id)),
            Cell::oid(OWNER_OID),
            Cell::text(facts.user),
            Cell::text(facts.application_name),
            Cell::optional(facts.client.map(|client| client.ip().to_string())),
            facts.client.map_or(Cell::Null, |client| Cell::Int(i64::from(client.port()))),
            Cell::Instant(facts.backend_start),
            instant(facts.xact_start),
            instant(facts.query_start),
            Cell::Instant(facts.state_change),
            Cell::text(facts.state),
            Cell::text(facts.query.unwrap_or_else(|| "<insufficient privilege>".to_owned())),
            Cell::text("client backend"),
        ]);
    }
    rows
}

/// Whose connection is encrypted.
pub fn pg_stat_ssl(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["pid", "ssl", "version", "cipher", "bits", "client_dn", "issuer_dn"]);
    for facts in backends(catalog) {
        let encryption = facts.encryption.as_ref();
        rows.push(vec![
            Cell::Int(i64::from(facts.process_id)),
            Cell::Bool(encryption.is_some()),
            Cell::optional(encryption.map(|found| found.version)),
            Cell::optional(encryption.map(|found| found.cipher.as_str())),
            encryption.map_or(Cell::Null, |found| Cell::Int(i64::from(found.bits))),
            Cell::optional(encryption.and_then(|found| found.client_name.as_deref())),
            Cell::optional(encryption.and_then(|found| found.issuer_name.as_deref())),
        ]);
    }
    rows
}

fn backends(catalog: &Catalog) -> Vec<crate::catalog::BackendFacts> {
    catalog.facts().map_or_else(Vec::new, |facts| facts.backends.all())
}

/// The session's open cursors and portals.
pub fn pg_cursors(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let mut rows = Rows::new(definition, &["name", "statement", "is_holdable", "is_binary", "is_scrollable", "creation_time"]);
    for (name, cursor) in catalog.facts().iter().flat_map(|facts| facts.cursors.lock().clone()) {
        rows.push(vec![
            Cell::text(name),
            Cell::text(cursor.statement.as_ref()),
            Cell::Bool(cursor.is_holdable),
            Cell::Bool(cursor.is_binary),
            Cell::Bool(cursor.is_scrollable),
            Cell::Instant(cursor.declared_at),
        ]);
    }
    rows
}

/// The session's prepared statements. There are no generic plans: each run is planned for its values.
pub fn pg_prepared_statements(definition: &'static Definition, catalog: &Catalog) -> Rows {
    let columns = ["name", "statement", "prepare_time", "parameter_types", "result_types", "from_sql", "generic_plans", "custom_plans"];
    let mut rows = Rows::new(definition, &columns);
    let types = |oids: &[u32]| Cell::List(oids.iter().copied().map(Cell::oid).collect());
    for (name, prepared) in catalog.facts().iter().flat_map(|facts| facts.prepared.lock().clone()) {
        rows.push(vec![
            Cell::text(name),
            Cell::text(prepared.statement.as_ref()),
            Cell::Instant(prepared.prepared_at),
            types(&prepared.parameters),
            prepared.results.as_deref().map_or(Cell::Null, types),
            Cell::Bool(prepared.from_sql),
            Cell::Int(0),
            Cell::Int(i64::try_from(prepared.runs.load(Ordering::Relaxed)).unwrap_or(i64::MAX)),
        ]);
    }
    rows
}
