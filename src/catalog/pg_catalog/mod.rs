//! `pg_catalog` and `information_schema`: PostgreSQL 16's relations, filled from the registry alone.
//!
//! Every relation that PostgreSQL has is there with its columns and types ([`definitions`]). What it holds comes from three
//! places: rows that every PostgreSQL has ([`seeds`]), the database's objects ([`objects`], shown by [`class`], [`cluster`] and
//! [`information_schema`]), or nothing: a gateway has no indexes, constraints, triggers or sequences, so those relations are empty.
//! A relation is built when a statement names it: some thousand rows at most, for the columns of the system's own relations.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::SessionFacts;
use crate::registry::RegistrySnapshot;

mod class;
mod cluster;
mod definitions;
pub mod functions;
mod information_schema;
mod objects;
mod rows;
mod seeds;
mod time_zones;
#[cfg(test)]
mod tests;

use objects::{Relation, SCHEMAS, TEMPORARY};
use rows::Rows;

/// The role that owns everything: whoever asks, for there are no owners.
pub const OWNER_OID: u32 = 10;

/// The system catalog of one registry version, for one session.
pub struct Catalog {
    registry: Arc<RegistrySnapshot>,
    temporary: Vec<(String, SchemaRef)>,
    facts: Option<Arc<SessionFacts>>,
    found: OnceLock<(Vec<Relation>, HashMap<u32, usize>)>,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("version", &self.registry.version).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Of this registry version and these temporary tables; `facts` are the session's, none for what has no session.
    pub fn new(registry: Arc<RegistrySnapshot>, temporary: Vec<(String, SchemaRef)>, facts: Option<Arc<SessionFacts>>) -> Self {
        Self { registry, temporary, facts, found: OnceLock::new() }
    }

    fn found(&self) -> &(Vec<Relation>, HashMap<u32, usize>) {
        self.found.get_or_init(|| {
            let relations = objects::relations(&self.registry, &self.temporary);
            let by_oid = objects::by_oid(&relations);
            (relations, by_oid)
        })
    }

    /// All relations, the user's first.
    pub(super) fn relations(&self) -> &[Relation] {
        &self.found().0
    }

    /// The relation with this oid.
    pub(super) fn relation_of(&self, oid: u32) -> Option<&Relation> {
        let (relations, by_oid) = self.found();
        by_oid.get(&oid).and_then(|index| relations.get(*index))
    }

    /// The relation of this name; without a schema, as the search path finds it.
    pub(super) fn relation_named(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        let of = |schema: &str| self.relations().iter().find(|relation| relation.schema == schema && relation.name == name);
        match schema {
            Some("pg_temp") => of(TEMPORARY.0),
            Some(schema) => of(schema),
            None => of(TEMPORARY.0).or_else(|| of("pg_catalog")).or_else(|| of("public")),
        }
    }

    /// A relation's oid and a column's number in it, from 1.
    pub fn attribute(&self, schema: Option<&str>, relation: &str, column: &str) -> Option<(u32, i16)> {
        let relation = self.relation_named(schema, relation)?;
        let index = relation.columns.iter().position(|known| known.name == column)?;
        Some((relation.oid, i16::try_from(index + 1).ok()?))
    }

    /// The schemas, with their oids.
    pub(super) fn schemas(&self) -> impl Iterator<Item = (&'static str, u32)> {
        SCHEMAS.into_iter().chain((!self.temporary.is_empty()).then_some(TEMPORARY))
    }

    /// The database's name.
    pub(super) fn database(&self) -> &str {
        self.facts.as_ref().map_or("", |facts| &facts.database)
    }

    /// The role that asks.
    pub(super) fn user(&self) -> &str {
        self.facts.as_ref().map_or("featgres", |facts| &facts.user)
    }

    /// The registry's version.
    pub(super) fn version(&self) -> i64 {
        i64::try_from(self.registry.version).unwrap_or(i64::MAX)
    }

    /// What is known of the session that asks.
    pub(super) fn facts(&self) -> Option<&SessionFacts> {
        self.facts.as_deref()
    }

    /// The rows of a system relation, or none if there is no such relation.
    pub fn rows(&self, schema: &str, name: &str) -> Option<RecordBatch> {
        let definition = definitions::find(schema, name)?;
        let rows = match (schema, name) {
            ("pg_catalog", "pg_class") => class::pg_class(definition, self),
            ("pg_catalog", "pg_type") => class::pg_type(definition, self)?,
            ("pg_catalog", "pg_attribute") => class::pg_attribute(definition, self),
            ("pg_catalog", "pg_description") => class::pg_description(definition, self),
            ("pg_catalog", "pg_tables") => class::pg_tables(definition, self),
            ("pg_catalog", "pg_views") => class::pg_views(definition, self),
            ("pg_catalog", "pg_namespace") => cluster::pg_namespace(definition, self),
            ("pg_catalog", "pg_database") => cluster::pg_database(definition, self),
            ("pg_catalog", "pg_roles" | "pg_authid") => cluster::pg_roles(definition, self),
            ("pg_catalog", "pg_user" | "pg_shadow") => cluster::pg_user(definition, self),
            ("pg_catalog", "pg_settings") => cluster::pg_settings(definition, self),
            ("pg_catalog", "pg_stat_activity") => cluster::pg_stat_activity(definition, self),
            ("pg_catalog", "pg_stat_ssl") => cluster::pg_stat_ssl(definition, self),
            ("pg_catalog", "pg_cursors") => cluster::pg_cursors(definition, self),
            ("pg_catalog", "pg_prepared_statements") => cluster::pg_prepared_statements(definition, self),
            ("pg_catalog", "pg_timezone_names") => time_zones::pg_timezone_names(definition),
            ("information_schema", _) => information_schema::rows(definition, self),
            _ => seeds::rows(definition).unwrap_or_else(|| Rows::new(definition, &[])),
        };
        Some(rows.finish())
    }
}
