//! The catalog of a small registry.

use std::sync::Arc;

use super::Catalog;
use crate::registry::RegistrySnapshot;

#[test]
fn every_relation_has_its_columns() {
    let catalog = Catalog::new(Arc::new(RegistrySnapshot::default()), Vec::new(), None);
    for definition in super::definitions::all() {
        let batch = catalog.rows(definition.schema, definition.name).unwrap();
        assert_eq!(batch.num_columns(), definition.columns.len(), "{}", definition.name);
    }
    assert!(catalog.rows("pg_catalog", "pg_type").unwrap().num_rows() > 150);
    assert!(catalog.rows("pg_catalog", "nothing").is_none());
}

#[test]
fn oids_are_unique_and_found() {
    let catalog = Catalog::new(Arc::new(RegistrySnapshot::default()), Vec::new(), None);
    for relation in catalog.relations() {
        assert_eq!(catalog.relation_of(relation.oid).unwrap().name, relation.name);
    }
    assert_eq!(catalog.relation_named(None, "pg_class").unwrap().oid, 1259);
}
