//! From a table's name and a [`SnapshotRef`] to a [`TableSnapshot`].
//!
//! What is not there is an error, never the current snapshot instead. A branch is read with the table's current
//! schema, since that is what its next commit is written with; a tag, a snapshot and a time with the schema of their
//! snapshot, since that is what a reader of that time saw. In a catalog with commits (Nessie) branches and tags are the
//! catalog's, and a table is what the commit says, schema included; snapshots and times are looked for in the table's own log first.

use std::sync::Arc;

use super::cache::FileError;
use super::iceberg::{FormatError, ReferenceKind, Schema, Snapshot, TableMetadata};
use super::pointers::Age;
use super::{
    CommitKind, Commits, CommittedTables, SnapshotRef, SourceCatalog, SourceError, Sources, TableIdent, TablePointer, TableSnapshot,
};
use crate::storage::{Storage, StorageError};

impl Sources {
    /// Pins the table: finds its metadata (a pointer may be as old as its catalog allows), reads it (through the cache),
    /// picks the snapshot.
    pub async fn snapshot(&self, ident: &TableIdent, at: &SnapshotRef) -> Result<Arc<TableSnapshot>, SourceError> {
        self.snapshot_in(ident, at, &Commits::default()).await
    }

    /// The same at the commits that a transaction reads, where the catalog has commits.
    pub async fn snapshot_in(&self, ident: &TableIdent, at: &SnapshotRef, commits: &Commits) -> Result<Arc<TableSnapshot>, SourceError> {
        self.aged(ident, at, commits, Age::Kept).await
    }

    /// The same by a pointer that the catalog is asked for now, whatever its lifetime.
    pub async fn fresh_snapshot_in(
        &self,
        ident: &TableIdent,
        at: &SnapshotRef,
        commits: &Commits,
    ) -> Result<Arc<TableSnapshot>, SourceError> {
        self.aged(ident, at, commits, Age::Fresh).await
    }

    async fn aged(&self, ident: &TableIdent, at: &SnapshotRef, commits: &Commits, age: Age) -> Result<Arc<TableSnapshot>, SourceError> {
        let catalog = self.catalog(&ident.catalog)?;
        if let Some(tables) = catalog.commits() {
            if age == Age::Fresh {
                tables.forget();
            }
            return self.at_commit(ident, at, commits, catalog, tables).await;
        }
        let (pointer, kept) = self.pointers.get(catalog, ident, age).await?;
        let error = match self.pin(ident, at, catalog, pointer.clone()).await {
            Err(error) if is_of_the_past(&error, kept) => error,
            done => return done,
        };
        // The table may have moved on since the catalog was asked: what it knows now decides.
        let (fresh, _) = self.pointers.get(catalog, ident, Age::Fresh).await?;
        if (&fresh.metadata_location, fresh.snapshot_id) == (&pointer.metadata_location, pointer.snapshot_id) {
            return Err(error);
        }
        self.pin(ident, at, catalog, fresh).await
    }

    /// Tags and branches are the catalog's there, and the snapshot is the one that its commit names.
    async fn at_commit(
        &self,
        ident: &TableIdent,
        at: &SnapshotRef,
        commits: &Commits,
        catalog: &Arc<dyn SourceCatalog>,
        tables: &dyn CommittedTables,
    ) -> Result<Arc<TableSnapshot>, SourceError> {
        let named = |reference: String| async move { commits.get(&ident.catalog, tables, &reference).await };
        let wanted = match at {
            SnapshotRef::Branch(name) => Some((name, "branch", Some(CommitKind::Branch))),
            SnapshotRef::Tag(name) => Some((name, "tag", Some(CommitKind::Tag))),
            SnapshotRef::TagOrBranch(name) => Some((name, "tag or branch", None)),
            _ => None,
        };
        if let Some((name, word, kind)) = wanted {
            let found = named(name.clone()).await?.filter(|commit| kind.is_none_or(|kind| commit.kind == kind));
            let commit = match found {
                Some(commit) => commit,
                None => return Err(unknown(ident, word, name, tables).await),
            };
            return self.pin(ident, &SnapshotRef::Current, catalog, tables.pointer_at(ident, &commit).await?).await;
        }
        if let SnapshotRef::ReferenceOrTimestamp { name, micros } = at {
            if let Some(commit) = named(name.clone()).await? {
                return self.pin(ident, &SnapshotRef::Current, catalog, tables.pointer_at(ident, &commit).await?).await;
            }
            return Box::pin(self.at_commit(ident, &SnapshotRef::Timestamp(*micros), commits, catalog, tables)).await;
        }
        if let SnapshotRef::Recorded { commit: Some(hash), .. } = at
            && let Some(commit) = named(format!("@{hash}")).await?
        {
            return self.pin(ident, at, catalog, tables.pointer_at(ident, &commit).await?).await;
        }
        // What is left is a snapshot of the table as it is now: a commit that is no longer known costs nothing if the snapshot still is.
        let commit = match named(tables.reference().to_owned()).await? {
            Some(commit) => commit,
            None => return Err(unknown(ident, "tag or branch", tables.reference(), tables).await),
        };
        let pinned = self.pin(ident, at, catalog, tables.pointer_at(ident, &commit).await?).await;
        // The table's log may be shorter than the catalog's: commits through Nessie's REST API keep one snapshot.
        if let (Err(SourceError::NoSnapshotAt { .. }), SnapshotRef::Timestamp(micros)) = (&pinned, at)
            && let Some(reference) = tables.reference_at(*micros)
            && let Some(then) = named(reference).await?
        {
            match tables.pointer_at(ident, &then).await {
                Ok(pointer) => return self.pin(ident, &SnapshotRef::Current, catalog, pointer).await,
                Err(SourceError::UnknownTable { .. } | SourceError::UnknownSchema { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        pinned
    }

    /// From the catalog's answer to the snapshot.
    async fn pin(
        &self,
        ident: &TableIdent,
        at: &SnapshotRef,
        catalog: &Arc<dyn SourceCatalog>,
        pointer: TablePointer,
    ) -> Result<Arc<TableSnapshot>, SourceError> {
        let storage = Arc::clone(pointer.storage.as_ref().unwrap_or_else(|| catalog.storage()));
        let (metadata, picked) = match &pointer.metadata {
            None => {
                let metadata = self.metadata(ident, &storage, &pointer.metadata_location).await?;
                let picked = pick(ident, &pointer, &metadata, at);
                (metadata, picked)
            }
            Some(sent) => match pick(ident, &pointer, sent, at) {
                // Servers may leave out what is not current: the file knows it, if it is this table's. (Some name their files `v1`, `v2`, so
                // that a table that was dropped had one of the same name.)
                Err(error) if is_of_history(&error) => {
                    let metadata = self.metadata(ident, &storage, &pointer.metadata_location).await?;
                    let picked = match metadata.table_uuid == sent.table_uuid {
                        true => pick(ident, &pointer, &metadata, at),
                        false => Err(error),
                    };
                    (metadata, picked)
                }
                picked => (Arc::clone(sent), picked),
            },
        };
        let (snapshot, schema) = picked?;
        let cache = Arc::clone(&self.cache);
        Ok(Arc::new(TableSnapshot { ident: ident.clone(), pointer, metadata, schema, snapshot, storage, cache, listed: None }))
    }

    async fn metadata(&self, ident: &TableIdent, storage: &Arc<Storage>, location: &str) -> Result<Arc<TableMetadata>, SourceError> {
        self.cache.metadata(storage, location).await.map_err(|error| match error {
            FileError::Format(source) => SourceError::format(ident, source),
            FileError::Storage(StorageError::NotFound { url }) => SourceError::SnapshotExpired { ident: ident.clone(), url },
            FileError::Storage(error) => SourceError::Storage(error),
        })
    }
}

/// Whether more history could have answered.
fn is_of_history(error: &SourceError) -> bool {
    matches!(error, SourceError::UnknownSnapshot { .. } | SourceError::NoSnapshotAt { .. } | SourceError::UnknownReference { .. })
}

/// 42704 for a reference of the catalog, with the nearest one.
async fn unknown(ident: &TableIdent, kind: &'static str, name: &str, tables: &dyn CommittedTables) -> SourceError {
    match tables.references().await {
        Ok(known) => SourceError::UnknownCatalogReference { catalog: ident.catalog.clone(), kind, name: name.to_owned(), known },
        Err(error) => error,
    }
}

/// Whether newer metadata may have what was not found: a metadata file that is gone was replaced in the meantime; a
/// reference or snapshot that is not there may be newer than a pointer that was kept.
fn is_of_the_past(error: &SourceError, kept: bool) -> bool {
    match error {
        SourceError::SnapshotExpired { .. } => true,
        SourceError::UnknownReference { .. } | SourceError::UnknownSnapshot { .. } | SourceError::UnknownTableSchema { .. } => kept,
        _ => false,
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
        let schema = match pointer.schema_id {
            Some(id) => metadata.schema(id).cloned().ok_or_else(|| damaged(format!("the catalog names schema {id}, which it lacks")))?,
            None => current_schema()?,
        };
        Ok((id.map(snapshot).transpose()?, schema))
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
        SnapshotRef::Recorded { snapshot_id, schema_id, .. } => {
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
