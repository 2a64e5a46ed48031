//! Reads equality delete files into one [`EqualityDeletes`] table.
//!
//! A key column is known by field id alone: it may be renamed, promoted, dropped from the schema since, lie in a struct, or be
//! absent from the query. The key's type is that of the pinned schema, or, of a dropped column, of the newest schema that
//! had it; delete files and data files are both brought to it. A delete file that lacks a key column is damaged.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};
use futures::{StreamExt, TryStreamExt};
use hashbrown::HashMap;

use super::column_words::path;
use super::equality_delete_exec::{EqualityDeletes, GLOBAL_SCOPE, KeyColumn, KeySet};
use super::error::{TableError, external};
use super::field_ids::{field_id, with_field_id};
use super::parquet_rows::{self, struct_of};
use super::reader_factory::StorageReaderFactory;
use super::reshape::{Defaults, Shape};
use super::schema::arrow_field;
use super::schema_evolution::inner_name;
use crate::source::TableSnapshot;
use crate::source::iceberg::{DeleteFile, NestedField, PartitionTuple, Schema, TableMetadata};

/// Delete files read at a time.
const CONCURRENT_READS: usize = 8;

/// Numbers of the partitions that deletes are scoped to.
#[derive(Debug, Default)]
pub struct Scopes {
    numbers: HashMap<(i32, PartitionTuple), u32>,
}

impl Scopes {
    /// Of these delete files.
    pub fn of<'a>(deletes: impl Iterator<Item = &'a DeleteFile>, metadata: &TableMetadata) -> Self {
        let mut numbers = HashMap::new();
        for delete in deletes {
            if metadata.partition_spec(delete.spec_id).is_none_or(|spec| spec.is_unpartitioned()) {
                continue;
            }
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX).saturating_add(1);
            numbers.entry((delete.spec_id, delete.partition.clone())).or_insert(next);
        }
        Self { numbers }
    }

    /// Of files under this spec with this partition.
    pub fn number(&self, spec_id: i32, partition: &PartitionTuple) -> u32 {
        if self.numbers.is_empty() {
            return GLOBAL_SCOPE;
        }
        self.numbers.get(&(spec_id, partition.clone())).copied().unwrap_or(GLOBAL_SCOPE)
    }
}

/// Reads all of these files; they apply by sequence number and scope.
pub async fn read(
    factory: &StorageReaderFactory,
    deletes: &[Arc<DeleteFile>],
    scopes: &Scopes,
    snapshot: &TableSnapshot,
    pool: &Arc<dyn MemoryPool>,
) -> datafusion::common::Result<EqualityDeletes> {
    let (pinned, metadata) = (snapshot.schema.as_ref(), snapshot.metadata.as_ref());
    let reservation = MemoryConsumer::new("equality deletes").register(pool);
    let mut key_sets: Vec<KeySet> = Vec::new();
    let mut set_of: HashMap<Vec<i32>, usize> = HashMap::new();
    let mut planned = Vec::with_capacity(deletes.len());
    for delete in deletes {
        let mut ids = delete.equality_ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let set = match set_of.get(&ids) {
            Some(set) => *set,
            None => {
                let columns = ids.iter().map(|id| key_column(*id, &delete.path, pinned, metadata)).collect::<Result<Vec<_>, _>>();
                key_sets.push(KeySet::new(columns.map_err(external)?)?);
                set_of.insert(ids, key_sets.len() - 1);
                key_sets.len() - 1
            }
        };
        planned.push((Arc::clone(delete), set, key_sets[set].columns.clone()));
    }
    let mut files = futures::stream::iter(planned)
        .map(|(delete, set, columns)| async move {
            let rows = parquet_rows::open(factory, snapshot, &delete).await.map_err(external)?;
            Ok::<_, datafusion::common::DataFusionError>((delete, set, columns, rows))
        })
        .buffered(CONCURRENT_READS);
    while let Some((delete, set, columns, rows)) = files.try_next().await? {
        let damaged = |reason: String| external(TableError::DamagedDeleteFile { url: delete.path.clone(), reason });
        let global = metadata.partition_spec(delete.spec_id).is_none_or(|spec| spec.is_unpartitioned());
        let scope = if global { GLOBAL_SCOPE } else { scopes.number(delete.spec_id, &delete.partition) };
        let mut roots = Vec::with_capacity(columns.len());
        for key in &columns {
            let root = field_id(&key.column);
            let found = rows.fields.iter().position(|field| root.is_some() && field_id(field) == root);
            let root = found.filter(|root| has_key(&rows.fields[*root], key.id, key.depth));
            let root = root.ok_or_else(|| damaged(format!("it has no column with field id {}, which is part of its key", key.id)))?;
            let shape = Shape::between(&rows.fields[root], &key.column, &Defaults::default()).map_err(|mismatch| {
                let name = path(&key.root.name, &mismatch.inside);
                damaged(format!("its key \"{name}\" has type {}, not {}", mismatch.file_type, mismatch.table_type))
            })?;
            roots.push((root, shape));
        }
        let mut read: Vec<usize> = roots.iter().map(|(root, _)| *root).collect();
        read.sort_unstable();
        read.dedup();
        let mut batches = rows.read(&read).map_err(external)?;
        while let Some(batch) = batches.try_next().await.map_err(external)? {
            let mut keys = Vec::with_capacity(columns.len());
            for (key, (root, shape)) in columns.iter().zip(&roots) {
                let at = read.iter().position(|column| column == root).unwrap_or_default();
                keys.push(key.values(&shape.apply(batch.column(at))?)?);
            }
            let added = key_sets[set].delete(&keys, scope, delete.sequence_number)?;
            reservation.try_grow(added)?;
        }
    }
    drop(files);
    Ok(EqualityDeletes::new(key_sets, reservation))
}

/// Whether the key lies this deep in the field.
fn has_key(field: &Field, id: i32, depth: usize) -> bool {
    match field.data_type() {
        _ if depth == 0 => field_id(field) == Some(id),
        DataType::Struct(children) => children.iter().any(|child| has_key(child, id, depth - 1)),
        _ => false,
    }
}

/// Where a key is scanned, and as what type.
fn key_column(id: i32, url: &str, pinned: &Schema, metadata: &TableMetadata) -> Result<KeyColumn, TableError> {
    let damaged = |reason: String| TableError::DamagedDeleteFile { url: url.to_owned(), reason };
    let older = || metadata.schemas().filter(|schema| schema.field(id).is_some()).max_by_key(|schema| schema.schema_id);
    let path: Vec<&Arc<NestedField>> =
        if pinned.field(id).is_some() { pinned.path(id) } else { older().map(|schema| schema.path(id)).unwrap_or_default() };
    let Some((key, parents)) = path.split_last() else {
        return Err(damaged(format!("its key has field id {id}, which the table never had")));
    };
    if key.field_type.as_primitive().is_none() {
        return Err(damaged(format!("its key \"{}\" is not of a primitive type", key.name)));
    }
    let mut column: FieldRef = arrow_field(key);
    for parent in parents.iter().rev() {
        if !matches!(parent.field_type, crate::source::iceberg::Type::Struct(_)) {
            return Err(damaged(format!("its key \"{}\" lies in a list or map", key.name)));
        }
        column = Arc::new(with_field_id(struct_of(&parent.name, column), parent.id));
    }
    let name = match parents.first() {
        None => inner_name(id),
        Some(root) => format!("{}~{id}", inner_name(root.id)),
    };
    let column = Arc::new(column.as_ref().clone().with_name(name));
    let root = Arc::clone(parents.first().unwrap_or(key));
    Ok(KeyColumn { column, depth: parents.len(), id, root })
}
