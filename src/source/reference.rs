//! From a table's name and a [`SnapshotRef`] to a [`TableSnapshot`].
//!
//! What is not there is an error, never the current snapshot instead. A branch is read with the table's current
//! schema, since that is what its next commit is written with; a tag, a snapshot and a time with the schema of their
//! snapshot, since that is what a reader of that time saw.

use std::sync::Arc;

use super::cache::FileError;
use super::iceberg::{FormatError, ReferenceKind, Schema, Snapshot, TableMetadata};
use super::{SnapshotRef, SourceError, Sources, TableIdent, TablePointer, TableSnapshot};

impl Sources {
    /// Pins the table: asks the catalog, reads the metadata (through the cache), picks the snapshot.
    pub async fn snapshot(&self, ident: &TableIdent, at: &SnapshotRef) -> Result<Arc<TableSnapshot>, SourceError> {
        let catalog = self.catalog(&ident.catalog)?;
        let pointer = catalog.pointer(ident).await?;
        let storage = Arc::clone(catalog.storage());
        let metadata = self.cache.metadata(&storage, &pointer.metadata_location).await.map_err(|error| match error {
            FileError::Format(source) => SourceError::format(ident, source),
            FileError::Storage(crate::storage::StorageError::NotFound { url }) => {
                SourceError::SnapshotExpired { ident: ident.clone(), url }
            }
            FileError::Storage(error) => SourceError::Storage(error),
        })?;
        let (snapshot, schema) = pick(ident, &pointer, &metadata, at)?;
        let cache = Arc::clone(&self.cache);
        Ok(Arc::new(TableSnapshot { ident: ident.clone(), pointer, metadata, schema, snapshot, storage, cache }))
    }
}

/// Which snapshot and schema are meant.
fn pick(
    ident: &TableIdent,
    pointer: &TablePointer,
    metadata: &TableMetadata,
    at: &SnapshotRef,
) -> Result<(Option<Arc<Snapshot>>, Arc<Schema>), SourceError> {
    let damaged = |reason: String| SourceError::format(ident, FormatError::damaged(&pointer.metadata_location, reason));
    let current_schema = || metadata.current_schema().cloned().ok_or_else(|| damaged("it has no current schema".to_owned()));
    let snapshot = |snapshot_id: i64| {
        let found = metadata.snapshot(snapshot_id).cloned();
        found.ok_or_else(|| SourceError::UnknownSnapshot { ident: ident.clone(), snapshot_id })
    };
    let with_own_schema = |snapshot_id: i64| {
        let snapshot = snapshot(snapshot_id)?;
        let schema = match snapshot.schema_id {
            Some(id) => {
                metadata.schema(id).cloned().ok_or_else(|| damaged(format!("snapshot {snapshot_id} names schema {id}, which it lacks")))?
            }
            // Version 1 did not say.
            None => current_schema()?,
        };
        Ok((Some(snapshot), schema))
    };
    let reference = |name: &str, kind: Option<ReferenceKind>| {
        let matches = |of: ReferenceKind| kind.is_none_or(|kind| kind == of);
        metadata.refs.get(name).filter(|reference| matches(reference.kind)).ok_or_else(|| SourceError::UnknownReference {
            ident: Box::new(ident.clone()),
            kind: match kind {
                Some(ReferenceKind::Branch) => "branch",
                Some(ReferenceKind::Tag) => "tag",
                None => "tag or branch",
            },
            name: name.to_owned(),
            known: metadata.refs.iter().filter(|(_, reference)| matches(reference.kind)).map(|(name, _)| name.clone()).collect(),
        })
    };
    let current = || {
        // Nessie's snapshot wins: the metadata may be of a commit on another branch.
        let id = pointer.snapshot_id.filter(|id| *id != -1).or(metadata.current_snapshot_id);
        Ok((id.map(snapshot).transpose()?, current_schema()?))
    };
    match at {
        SnapshotRef::Current => current(),
        SnapshotRef::Snapshot(id) => with_own_schema(*id),
        // A table that was never written has a main without a head.
        SnapshotRef::Branch(name) | SnapshotRef::TagOrBranch(name) if name == "main" && metadata.current_snapshot_id.is_none() => current(),
        SnapshotRef::Branch(name) => {
            let reference = reference(name, Some(ReferenceKind::Branch))?;
            Ok((Some(snapshot(reference.snapshot_id)?), current_schema()?))
        }
        SnapshotRef::Tag(name) => with_own_schema(reference(name, Some(ReferenceKind::Tag))?.snapshot_id),
        SnapshotRef::TagOrBranch(name) => {
            let reference = reference(name, None)?;
            match reference.kind {
                ReferenceKind::Branch => Ok((Some(snapshot(reference.snapshot_id)?), current_schema()?)),
                ReferenceKind::Tag => with_own_schema(reference.snapshot_id),
            }
        }
        SnapshotRef::ReferenceOrTimestamp { name, micros } => {
            let at =
                if metadata.refs.contains_key(name) { SnapshotRef::TagOrBranch(name.clone()) } else { SnapshotRef::Timestamp(*micros) };
            pick(ident, pointer, metadata, &at)
        }
        SnapshotRef::Recorded { snapshot_id, schema_id } => {
            let (snapshot, own) = match snapshot_id {
                Some(id) => with_own_schema(*id)?,
                None => (None, current_schema()?),
            };
            let schema = match schema_id {
                Some(id) => {
                    metadata.schema(*id).cloned().ok_or_else(|| SourceError::UnknownTableSchema { ident: ident.clone(), schema_id: *id })?
                }
                None => own,
            };
            Ok((snapshot, schema))
        }
        SnapshotRef::Timestamp(micros) => {
            let id = metadata.snapshot_at(*micros).ok_or_else(|| SourceError::NoSnapshotAt { ident: ident.clone(), at: utc(*micros) })?;
            with_own_schema(id)
        }
    }
}

fn utc(micros: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(micros) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string(),
        None => format!("{micros} microseconds since 1970"),
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
