//! The relations of one database as `pg_class` and `pg_attribute` know them: feature views (tables in `public`), the session's temporary
//! tables, the relations of `feature_store` (views), and the system's own.
//!
//! Oids of the user's objects are a hash of schema and name, so they are the same after a restart and on every replica; two names
//! that meet on one oid are told apart in the order of their names.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::definitions;
use crate::catalog::feature_store;
use crate::catalog::feature_store::StoreState;
use crate::pg_type::PgType;
use crate::registry::{ColumnBinding, FeatureView, RegistrySnapshot};

/// `pg_class.oid` below this is the system's.
const FIRST_NORMAL_OID: u32 = 16384;
/// The schemas, with the oids that a PostgreSQL 16 gives them.
pub const SCHEMAS: [(&str, u32); 5] =
    [("pg_catalog", 11), ("pg_toast", 99), ("public", 2200), ("information_schema", 12404), ("feature_store", 16384)];
/// The schema of the session's temporary tables, and its oid; `pg_temp` is another name of it.
pub const TEMPORARY: (&str, u32) = ("pg_temp_1", 16385);
/// The relations of `feature_store`.
const FEATURE_STORE: [&str; 8] =
    ["entities", "feature_services", "feature_views", "features", "on_demand_feature_views", "registry_history", "statements", "status"];

/// One relation.
#[derive(Debug)]
pub struct Relation {
    /// `pg_class.oid`
    pub oid: u32,
    /// Its rows' type in `pg_type`, and that of arrays of them; 0 for the system's own.
    pub row_types: (u32, u32),
    /// The schema's name.
    pub schema: &'static str,
    /// Its name.
    pub name: Cow<'static, str>,
    /// `pg_class.relkind`
    pub kind: &'static str,
    /// `COMMENT '…'`
    pub comment: Option<String>,
    /// In order.
    pub columns: Vec<RelationColumn>,
}

/// One column of a relation.
#[derive(Debug)]
pub struct RelationColumn {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its type.
    pub pg_type: PgType,
    /// `pg_attribute.atttypmod`
    pub typmod: i32,
    /// `NOT NULL`
    pub not_null: bool,
    /// `COMMENT '…'`
    pub comment: Option<String>,
}

impl Relation {
    /// Whether it is one of PostgreSQL's own.
    pub fn is_system(&self) -> bool {
        matches!(self.schema, "pg_catalog" | "information_schema")
    }
}

/// The oid of a schema.
pub fn schema_oid(name: &str) -> Option<u32> {
    if name == "pg_temp" {
        return Some(TEMPORARY.1);
    }
    SCHEMAS.iter().chain([&TEMPORARY]).find(|(schema, _)| *schema == name).map(|(_, oid)| *oid)
}

/// The name of a schema.
pub fn schema_name(oid: u32) -> Option<&'static str> {
    SCHEMAS.iter().chain([&TEMPORARY]).find(|(_, known)| *known == oid).map(|(schema, _)| *schema)
}

/// All relations of a registry version and a session's temporary tables, user's first.
pub fn relations(registry: &RegistrySnapshot, temporary: &[(String, SchemaRef)]) -> Vec<Relation> {
    let mut relations: Vec<Relation> = registry.feature_views.values().map(|view| feature_view(view, registry)).collect();
    relations.extend(temporary.iter().map(|(name, schema)| temporary_table(name, schema)));
    let state = StoreState::default();
    relations.extend(
        FEATURE_STORE.iter().filter_map(|name| feature_store::relation(name, registry, &state).map(|batch| store_relation(name, &batch))),
    );
    let mut taken: BTreeSet<u32> = SCHEMAS.iter().chain([&TEMPORARY]).map(|(_, oid)| *oid).collect();
    for relation in &mut relations {
        relation.oid = free_oid(relation.schema, &relation.name, &mut taken);
        let mut of_type = |prefix: &str| free_oid(relation.schema, &format!("{prefix} {}", relation.name), &mut taken);
        relation.row_types = (of_type("row"), of_type("array"));
    }
    relations.extend(definitions::all().iter().map(|definition| {
        Relation {
            oid: definition.oid,
            row_types: (0, 0),
            schema: definition.schema,
            name: Cow::Borrowed(definition.name),
            kind: definition.kind,
            comment: None,
            columns: definition
                .columns
                .iter()
                .map(|column| RelationColumn {
                    name: Cow::Borrowed(column.name),
                    pg_type: column.pg_type,
                    typmod: -1,
                    not_null: column.not_null,
                    comment: None,
                })
                .collect(),
        }
    }));
    relations
}

/// Relations by oid.
pub fn by_oid(relations: &[Relation]) -> HashMap<u32, usize> {
    relations.iter().enumerate().map(|(index, relation)| (relation.oid, index)).collect()
}

/// FNV-1a of the name, brought above the system's oids.
fn free_oid(schema: &str, name: &str, taken: &mut BTreeSet<u32>) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in schema.bytes().chain([0]).chain(name.bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    // Positive as a signed integer too: some clients keep oids in one.
    let mut oid = (hash & 0x7fff_ffff).max(FIRST_NORMAL_OID + 1);
    while !taken.insert(oid) {
        oid = (oid.wrapping_add(1) & 0x7fff_ffff).max(FIRST_NORMAL_OID + 1);
    }
    oid
}

/// The columns of a view's relation: keys by the entities' names, times by the source's, features by the view's.
fn feature_view(view: &FeatureView, registry: &RegistrySnapshot) -> Relation {
    let mut columns: Vec<RelationColumn> = Vec::new();
    let mut add = |name: &str, type_name: &str, comment: Option<&String>| {
        if columns.iter().any(|column| column.name == name) {
            return;
        }
        let (pg_type, typmod) = PgType::from_sql_name(type_name).unwrap_or((PgType::TEXT, -1));
        columns.push(RelationColumn { name: Cow::Owned(name.to_owned()), pg_type, typmod, not_null: false, comment: comment.cloned() });
    };
    for binding in &view.entities {
        let keys = registry.entities.get(&binding.entity).map(|entity| entity.keys.as_slice()).unwrap_or_default();
        for (at, key) in keys.iter().enumerate() {
            // The column's own type, which the entity's is only compared with.
            let own = binding.columns.get(at).and_then(|column| column.data_type.as_ref());
            add(&key.name, own.unwrap_or(&key.data_type), None);
        }
    }
    let mut time = |binding: &ColumnBinding| {
        add(&binding.name, binding.data_type.as_deref().unwrap_or("timestamp with time zone"), None);
    };
    time(&view.timestamp);
    view.created.iter().for_each(&mut time);
    view.valid_until.iter().for_each(&mut time);
    for feature in &view.features {
        add(&feature.name, &feature.data_type, feature.comment.as_ref());
    }
    Relation {
        oid: 0,
        row_types: (0, 0),
        schema: "public",
        name: Cow::Owned(view.name.clone()),
        kind: "r",
        comment: view.comment.clone(),
        columns,
    }
}

fn store_relation(name: &'static str, batch: &RecordBatch) -> Relation {
    let columns = columns_of(batch.schema_ref());
    Relation { oid: 0, row_types: (0, 0), schema: "feature_store", name: Cow::Borrowed(name), kind: "v", comment: None, columns }
}

fn temporary_table(name: &str, schema: &SchemaRef) -> Relation {
    let mut columns = columns_of(schema);
    for (column, field) in columns.iter_mut().zip(schema.fields()) {
        column.not_null = !field.is_nullable();
    }
    Relation { oid: 0, row_types: (0, 0), schema: TEMPORARY.0, name: Cow::Owned(name.to_owned()), kind: "r", comment: None, columns }
}

fn columns_of(schema: &SchemaRef) -> Vec<RelationColumn> {
    let column = |field: &FieldRef| RelationColumn {
        name: Cow::Owned(field.name().clone()),
        pg_type: PgType::of(field),
        typmod: PgType::typmod(field),
        not_null: false,
        comment: None,
    };
    schema.fields().iter().map(column).collect()
}
