//! What PostgreSQL can say of an object: its comment, definition, size, and whether one may use it.
//!
//! A gateway has no indexes, constraints, rules, triggers or sequences; the functions that print their definitions exist because
//! clients name them in statements that meet no row. Everybody who is in may read everything.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Body, Entry, lenient, oid, strict};
use crate::catalog::pg_catalog::rows::Cell;
use crate::pg_type::PgType;

/// Of an object that does not exist.
const NOTHING: Body = |_, _| Ok(Cell::Null);
const YES: Body = |_, _| Ok(Cell::Bool(true));
const NO: Body = |_, _| Ok(Cell::Bool(false));
const ZERO: Body = |_, _| Ok(Cell::Int(0));

/// When this process first was asked, microseconds since 1970.
static STARTED: LazyLock<i64> =
    LazyLock::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)));

/// The functions.
pub(super) const ENTRIES: &[Entry] = &[
    strict("obj_description", (1, 2), PgType::TEXT, |catalog, row| {
        let of_relation = row.get(1).is_none_or(|class| *class == Cell::text("pg_class"));
        let relation = oid(row.first()).filter(|_| of_relation).and_then(|oid| catalog.relation_of(oid));
        Ok(Cell::optional(relation.and_then(|relation| relation.comment.clone())))
    }),
    strict("col_description", (2, 2), PgType::TEXT, |catalog, row| {
        let Some(Cell::Int(number)) = row.get(1) else { return Ok(Cell::Null) };
        let relation = oid(row.first()).and_then(|oid| catalog.relation_of(oid));
        let index = usize::try_from(*number).ok().and_then(|number| number.checked_sub(1));
        let column = relation.zip(index).and_then(|(relation, index)| relation.columns.get(index));
        Ok(Cell::optional(column.and_then(|column| column.comment.clone())))
    }),
    strict("shobj_description", (2, 2), PgType::TEXT, NOTHING),
    strict("pg_get_expr", (2, 3), PgType::TEXT, NOTHING),
    strict("pg_get_indexdef", (1, 3), PgType::TEXT, NOTHING),
    strict("pg_get_constraintdef", (1, 2), PgType::TEXT, NOTHING),
    strict("pg_get_viewdef", (1, 2), PgType::TEXT, |catalog, row| {
        let relation = oid(row.first()).and_then(|oid| catalog.relation_of(oid)).filter(|relation| relation.kind == "v");
        Ok(relation.map_or(Cell::Null, |_| Cell::text("")))
    }),
    strict("pg_get_ruledef", (1, 2), PgType::TEXT, NOTHING),
    strict("pg_get_triggerdef", (1, 2), PgType::TEXT, NOTHING),
    strict("pg_get_functiondef", (1, 1), PgType::TEXT, NOTHING),
    strict("pg_get_function_sqlbody", (1, 1), PgType::TEXT, NOTHING),
    strict("pg_get_partkeydef", (1, 1), PgType::TEXT, NOTHING),
    strict("pg_get_partition_constraintdef", (1, 1), PgType::TEXT, NOTHING),
    strict("pg_get_statisticsobjdef", (1, 1), PgType::TEXT, NOTHING),
    strict("pg_get_statisticsobjdef_columns", (1, 1), PgType::TEXT, NOTHING),
    strict("pg_get_serial_sequence", (2, 2), PgType::TEXT, NOTHING),
    strict("pg_sequence_last_value", (1, 1), PgType::INT8, NOTHING),
    strict("pg_is_wal_replay_paused", (0, 0), PgType::BOOL, NO),
    // Nothing is partitioned.
    strict("pg_partition_ancestors", (1, 1), PgType::REGCLASS, NOTHING),
    strict("pg_partition_root", (1, 1), PgType::REGCLASS, NOTHING),
    strict("pg_describe_object", (3, 3), PgType::TEXT, NOTHING),
    strict("pg_tablespace_location", (1, 1), PgType::TEXT, |_, _| Ok(Cell::text(""))),
    strict("pg_relation_is_publishable", (1, 1), PgType::BOOL, YES),
    strict("pg_relation_is_updatable", (2, 2), PgType::INT4, ZERO),
    strict("pg_column_is_updatable", (3, 3), PgType::BOOL, NO),
    strict("pg_index_column_has_property", (3, 3), PgType::BOOL, NO),
    strict("pg_indexam_has_property", (2, 2), PgType::BOOL, NO),
    strict("pg_stat_get_numscans", (1, 1), PgType::INT8, ZERO),
    strict("pg_relation_size", (1, 2), PgType::INT8, ZERO),
    strict("pg_total_relation_size", (1, 1), PgType::INT8, ZERO),
    strict("pg_table_size", (1, 1), PgType::INT8, ZERO),
    strict("pg_indexes_size", (1, 1), PgType::INT8, ZERO),
    strict("pg_database_size", (1, 1), PgType::INT8, ZERO),
    strict("pg_tablespace_size", (1, 1), PgType::INT8, ZERO),
    strict("pg_relation_filenode", (1, 1), PgType::OID, |_, row| Ok(oid(row.first()).map_or(Cell::Null, Cell::oid))),
    strict("has_table_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_any_column_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_column_privilege", (3, 4), PgType::BOOL, YES),
    strict("has_schema_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_database_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_function_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_language_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_sequence_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_tablespace_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_type_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_foreign_data_wrapper_privilege", (2, 3), PgType::BOOL, YES),
    strict("has_server_privilege", (2, 3), PgType::BOOL, YES),
    strict("pg_has_role", (2, 3), PgType::BOOL, YES),
    strict("row_security_active", (1, 1), PgType::BOOL, NO),
    lenient("pg_is_in_recovery", (0, 0), PgType::BOOL, NO),
    lenient("pg_is_other_temp_schema", (1, 1), PgType::BOOL, NO),
    lenient("pg_my_temp_schema", (0, 0), PgType::OID, ZERO),
    lenient("pg_jit_available", (0, 0), PgType::BOOL, NO),
    lenient("pg_postmaster_start_time", (0, 0), PgType::TIMESTAMPTZ, |_, _| Ok(Cell::Instant(*STARTED))),
    lenient("pg_conf_load_time", (0, 0), PgType::TIMESTAMPTZ, |_, _| Ok(Cell::Instant(*STARTED))),
    // A snapshot of the registry is what a transaction sees.
    lenient("txid_current", (0, 0), PgType::INT8, |catalog, _| Ok(Cell::Int(catalog.version()))),
    // Nobody can hold one.
    lenient("pg_advisory_unlock_all", (0, 0), PgType::VOID, NOTHING),
    lenient("txid_current_if_assigned", (0, 0), PgType::INT8, NOTHING),
    lenient("inet_client_addr", (0, 0), PgType::INET, NOTHING),
    lenient("inet_client_port", (0, 0), PgType::INT4, NOTHING),
    lenient("inet_server_addr", (0, 0), PgType::INET, NOTHING),
    lenient("inet_server_port", (0, 0), PgType::INT4, NOTHING),
];
