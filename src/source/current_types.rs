//! An older snapshot with the types that its columns have now.
//!
//! A feature keeps one type whatever snapshot a call is pinned to: what was an int before the column was promoted is read as the
//! long that it is now. Columns stay those of the snapshot's own schema, by field id; only types change, and only by promotions
//! that the specification allows, at any depth.
//!
//! A column that is younger than the snapshot can be asked for by its field id ([`TableSnapshot::with_columns`]). The
//! snapshot's files do not hold it, so it reads as the table's own reading of those same files has it: NULL, or the field's initial default.

use std::sync::Arc;

use super::TableSnapshot;
use super::iceberg::{ListType, MapType, NestedField, PrimitiveType, Schema, StructType, Type};

impl TableSnapshot {
    /// The same snapshot, its columns in the table's present types.
    #[must_use]
    pub fn with_current_types(self: &Arc<Self>) -> Arc<Self> {
        let Some(current) = self.metadata.current_schema() else { return Arc::clone(self) };
        if Arc::ptr_eq(current, &self.schema) {
            return Arc::clone(self);
        }
        let fields: Vec<_> = self.schema.fields().iter().map(|field| promoted(field, current)).collect();
        if fields == self.schema.fields() {
            return Arc::clone(self);
        }
        // Ids are those of a schema that was checked.
        match Schema::new(self.schema.schema_id, StructType { fields }, self.schema.identifier_field_ids.clone()) {
            Ok(schema) => Arc::new(Self { schema: Arc::new(schema), ..self.as_ref().clone() }),
            Err(_) => Arc::clone(self),
        }
    }
}

impl TableSnapshot {
    /// The same snapshot, and those of these columns that the table has now and the snapshot's schema has not yet. They come last; one
    /// whose name another column had then is told apart by its id.
    #[must_use]
    pub fn with_columns(self: &Arc<Self>, ids: &[i32]) -> Arc<Self> {
        let Some(current) = self.metadata.current_schema() else { return Arc::clone(self) };
        let mut fields: Vec<_> = self.schema.fields().to_vec();
        for id in ids {
            let missing = self.schema.field(*id).is_none() && fields.iter().all(|field| field.id != *id);
            let Some(field) = current.fields().iter().find(|field| missing && field.id == *id) else { continue };
            let taken = fields.iter().any(|known| known.name == field.name);
            let name = if taken { format!("{}#{id}", field.name) } else { field.name.clone() };
            fields.push(Arc::new(NestedField { name, ..field.as_ref().clone() }));
        }
        if fields.len() == self.schema.fields().len() {
            return Arc::clone(self);
        }
        match Schema::new(self.schema.schema_id, StructType { fields }, self.schema.identifier_field_ids.clone()) {
            Ok(schema) => Arc::new(Self { schema: Arc::new(schema), ..self.as_ref().clone() }),
            Err(_) => Arc::clone(self),
        }
    }

    /// Whether rows of before the column hold a value: it has an initial default.
    pub fn has_default(&self, id: i32) -> bool {
        let field = self.metadata.current_schema().and_then(|schema| schema.field(id));
        field.is_some_and(|field| field.initial_default.is_some())
    }
}

fn promoted(field: &Arc<NestedField>, current: &Schema) -> Arc<NestedField> {
    let field_type = match &field.field_type {
        Type::Primitive(own) => match current.field(field.id).and_then(|now| now.field_type.as_primitive()) {
            Some(now) if own.promotes_to(now) => Type::Primitive(now.clone()),
            _ => return Arc::clone(field),
        },
        Type::Struct(of) => Type::Struct(StructType { fields: of.fields.iter().map(|child| promoted(child, current)).collect() }),
        Type::List(of) => Type::List(ListType { element: promoted(&of.element, current) }),
        Type::Map(of) => Type::Map(MapType { key: promoted(&of.key, current), value: promoted(&of.value, current) }),
    };
    Arc::new(NestedField { field_type, ..field.as_ref().clone() })
}

impl PrimitiveType {
    /// Whether a column of this type may have become one of that type.
    pub fn promotes_to(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Int, Self::Long) | (Self::Float, Self::Double) | (Self::Date, Self::Timestamp | Self::TimestampNs) => true,
            (Self::Decimal { precision: from, scale }, Self::Decimal { precision: to, scale: same }) => from < to && scale == same,
            (Self::Unknown, other) => *other != Self::Unknown,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use object_store::memory::InMemory;
    use serde_json::json;

    use super::*;
    use crate::source::one_table_tests::{OneTable, ident};
    use crate::source::{SnapshotRef, SourceCatalog, Sources};
    use crate::storage::Storage;

    #[tokio::test]
    async fn an_older_snapshot_is_read_in_the_types_of_today() {
        let schema = |id: i32, name: &str, int: &str, decimal: &str, nested: &str, gone: &str| {
            let field = |id: i32, name: &str, of: serde_json::Value| json!({"id": id, "name": name, "required": false, "type": of});
            let list = json!({"type": "list", "element-id": 4, "element-required": false,
                "element": {"type": "struct", "fields": [field(5, "x", json!(nested))]}});
            let mut fields = vec![field(1, name, json!(int)), field(2, "m", json!(decimal)), field(3, "l", list)];
            if !gone.is_empty() {
                fields.push(field(6, "gone", json!(gone)));
            } else {
                fields.push(json!({"id": 7, "name": "later", "required": false, "type": "string", "initial-default": "x"}));
                fields.push(field(8, "gone", json!("long")));
            }
            json!({"type": "struct", "schema-id": id, "fields": fields})
        };
        let metadata = json!({
            "format-version": 2, "location": "s3://b/t", "current-schema-id": 1,
            "schemas": [schema(0, "old", "int", "decimal(5,2)", "float", "int"), schema(1, "new", "long", "decimal(9,2)", "double", "")],
            "current-snapshot-id": 2,
            "snapshots": [{"snapshot-id": 1, "timestamp-ms": 1, "schema-id": 0}, {"snapshot-id": 2, "timestamp-ms": 2, "schema-id": 1}]
        });
        let storage = Storage::with_store("s3://b", Arc::new(InMemory::new()));
        storage.put_if_absent("s3://b/m.json", Bytes::from(metadata.to_string())).await.unwrap();
        let catalog: Arc<dyn SourceCatalog> = Arc::new(OneTable::at(&storage, "s3://b/m.json"));
        let sources = Sources::new([catalog]);
        let ident = ident("t");
        let pinned = sources.snapshot(&ident, &SnapshotRef::Snapshot(1)).await.unwrap();
        let shown = |snapshot: &TableSnapshot| {
            let fields = snapshot.schema.fields().iter().map(|field| format!("{} {}", field.name, field.field_type));
            fields.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(shown(&pinned), "old int, m decimal(5, 2), l list<struct<x: float>>, gone int");
        let now = pinned.with_current_types();
        assert_eq!(shown(&now), "old long, m decimal(9, 2), l list<struct<x: double>>, gone int");
        assert_eq!((now.snapshot_id(), now.schema.schema_id), (Some(1), 0));
        let current = sources.snapshot(&ident, &SnapshotRef::Current).await.unwrap();
        assert!(Arc::ptr_eq(&current, &current.with_current_types()));

        // Of the columns asked for, 6 was dropped, 9 never was, 5 is inside one that is there.
        let wider = pinned.with_columns(&[1, 7, 6, 9, 8, 5, 7]);
        assert_eq!(
            shown(&wider),
            "old int, m decimal(5, 2), l list<struct<x: float>>, gone int, later string, gone#8 long",
            "8 is called as 6 was"
        );
        assert_eq!((wider.has_default(7), wider.has_default(8)), (true, false));
        assert!(Arc::ptr_eq(&current, &current.with_columns(&[1, 6, 7])));
    }
}
