//! [`TableSnapshot`]: a table pinned to one snapshot, and the files that it is made of.
//!
//! Pinning reads pointer and metadata only; manifests are read by [`TableSnapshot::scan_files`], a bounded number at a
//! time, through the process-wide cache. Everything below a pinned snapshot is immutable, so a file that is missing
//! means that the snapshot was expired under the reader: 72000, never fewer rows.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::cache::{FileCache, unfold};
use super::iceberg::{
    DataFile, DeleteFile, DeleteIndex, DeleteKind, DeletionVector, FileFormat, FormatError, Manifest, ManifestContent, ManifestFile,
    Schema, Snapshot, TableMetadata,
};
use super::{SourceError, TableIdent, TablePointer};
use crate::storage::{Storage, StorageError};

/// A delete file of no more bytes than this is read by one request.
const SMALL_DELETE_FILE: u64 = 1 << 20;

/// How many manifests of one scan are fetched at a time.
const CONCURRENT_MANIFESTS: usize = 16;

/// A table pinned to one snapshot: what a statement reads.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// Its name.
    pub ident: TableIdent,
    /// What the catalog said.
    pub pointer: TablePointer,
    /// The metadata that the pointer leads to.
    pub metadata: Arc<TableMetadata>,
    /// The schema that it is read with.
    pub schema: Arc<Schema>,
    /// The snapshot; none is a table that was never written.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Where its files are.
    pub storage: Arc<Storage>,
    pub(super) cache: Arc<FileCache>,
    /// Its files, where they were found by listing a folder and not by manifests.
    pub(super) listed: Option<Arc<[DataFile]>>,
}

/// The live files of a snapshot.
#[derive(Debug, Clone, Default)]
pub struct ScanFiles {
    /// Data files; see [`TableSnapshot::check_readable`].
    pub data_files: Vec<DataFile>,
    /// Delete files: Parquet, or Puffin for vectors.
    pub delete_files: Vec<Arc<DeleteFile>>,
    /// Manifests that were skipped by the caller's word.
    pub manifests_skipped: usize,
    /// Manifests that were read.
    pub manifests_read: usize,
}

impl TableSnapshot {
    /// Files that a pattern found, as if they were a table's: `metadata` has their columns and no snapshot. None if it has no
    /// columns either.
    pub fn of_listed_files(
        ident: TableIdent,
        pattern: &str,
        metadata: TableMetadata,
        files: Vec<DataFile>,
        storage: Arc<Storage>,
    ) -> Option<Self> {
        let schema = Arc::clone(metadata.current_schema()?);
        let (pointer, metadata) = (TablePointer::at(pattern), Arc::new(metadata));
        // Nothing of it is ever looked up there.
        let cache = Arc::new(FileCache::new(0));
        Some(Self { ident, pointer, metadata, schema, snapshot: None, storage, cache, listed: Some(files.into()) })
    }

    /// Whether its files were found by listing a folder: there are no snapshots, deletes or field ids then.
    pub fn is_listed(&self) -> bool {
        self.listed.is_some()
    }

    /// The pattern that its files were found by, if they were.
    pub fn glob(&self) -> Option<&str> {
        self.listed.as_ref().map(|_| self.pointer.metadata_location.as_str())
    }

    /// The snapshot's number; none for a table that was never written.
    pub fn snapshot_id(&self) -> Option<i64> {
        self.snapshot.as_ref().map(|snapshot| snapshot.snapshot_id)
    }

    /// The table's identity; version 1 may have none.
    pub fn table_uuid(&self) -> Option<&str> {
        self.metadata.table_uuid.as_deref()
    }

    /// The error of a file that is damaged or unsupported, with this table's name.
    pub fn format_error(&self, source: FormatError) -> SourceError {
        SourceError::format(&self.ident, source)
    }

    /// The error of a file of this snapshot: gone is expired.
    pub fn storage_error(&self, error: StorageError) -> SourceError {
        match error {
            StorageError::NotFound { url } => SourceError::SnapshotExpired { ident: self.ident.clone(), url },
            other => SourceError::Storage(other),
        }
    }

    /// Its manifests, none read yet.
    pub async fn manifests(&self) -> Result<Vec<ManifestFile>, SourceError> {
        let Some(snapshot) = &self.snapshot else { return Ok(Vec::new()) };
        if snapshot.key_id.is_some() {
            let url = snapshot.manifest_list.as_deref().unwrap_or(&self.pointer.metadata_location);
            return Err(self.format_error(FormatError::unsupported(url, "encrypted manifest lists are")));
        }
        match (&snapshot.manifest_list, &snapshot.manifests) {
            (Some(url), _) => {
                let list = self.cache.manifest_list(&self.storage, url).await;
                Ok(list.map_err(|error| unfold(self, error))?.manifests.clone())
            }
            (None, Some(paths)) => Ok(paths.iter().map(|path| ManifestFile::inline(path)).collect()),
            (None, None) => {
                let reason = format!("snapshot {} has neither a manifest list nor manifests", snapshot.snapshot_id);
                Err(self.format_error(FormatError::damaged(&self.pointer.metadata_location, reason)))
            }
        }
    }

    /// Its live files, less those of manifests that `keep_manifest` refuses.
    pub async fn scan_files(&self, keep_manifest: &(dyn Fn(&ManifestFile) -> bool + Send + Sync)) -> Result<ScanFiles, SourceError> {
        if let Some(listed) = &self.listed {
            return Ok(ScanFiles { data_files: listed.to_vec(), ..ScanFiles::default() });
        }
        let all = self.manifests().await?;
        let total = all.len();
        let kept: Vec<ManifestFile> = all.into_iter().filter(|manifest| !manifest.is_dead() && keep_manifest(manifest)).collect();
        let mut files = ScanFiles { manifests_skipped: total - kept.len(), manifests_read: kept.len(), ..ScanFiles::default() };
        let mut read = stream::iter(kept)
            .map(|manifest| async move {
                let parsed = self.manifest(&manifest).await?;
                Ok::<_, SourceError>((manifest, parsed))
            })
            .buffered(CONCURRENT_MANIFESTS);
        while let Some((manifest, parsed)) = read.try_next().await? {
            match manifest.content {
                ManifestContent::Data => {
                    files.data_files.extend(parsed.data_files(&manifest).map_err(|error| self.format_error(error))?);
                }
                ManifestContent::Deletes => {
                    let deletes = parsed.delete_files(&manifest).map_err(|error| self.format_error(error))?;
                    files.delete_files.extend(deletes.into_iter().map(Arc::new));
                }
            }
        }
        for file in &files.delete_files {
            // A vector's format is Puffin by its kind.
            let format = if file.kind == DeleteKind::Vector { &FileFormat::Parquet } else { &file.format };
            readable(&file.path, format, file.encrypted, "delete files").map_err(|error| self.format_error(error))?;
        }
        Ok(files)
    }

    async fn manifest(&self, manifest: &ManifestFile) -> Result<Arc<Manifest>, SourceError> {
        if manifest.encrypted {
            return Err(self.format_error(FormatError::unsupported(&manifest.path, "encrypted manifests are")));
        }
        self.cache.manifest(&self.storage, manifest, &self.metadata).await.map_err(|error| unfold(self, error))
    }

    /// Refuses a data file that cannot be read: asked for those that a scan keeps.
    pub fn check_readable(&self, file: &DataFile) -> Result<(), SourceError> {
        readable(&file.path, &file.format, file.encrypted, "data files").map_err(|error| self.format_error(error))
    }

    /// The deletes of a scan, ready for lookups by data file.
    pub fn delete_index(&self, files: &ScanFiles) -> Result<DeleteIndex, SourceError> {
        DeleteIndex::new(&files.delete_files, &self.metadata).map_err(|error| self.format_error(error))
    }

    /// A deletion vector, all of it checked.
    pub async fn deletion_vector(&self, delete: &DeleteFile) -> Result<Arc<DeletionVector>, SourceError> {
        self.cache.vector(&self.storage, delete).await.map_err(|error| unfold(self, error))
    }

    /// The bytes of a delete file that is small enough to be read, and kept, as a whole.
    pub async fn small_delete_file(&self, delete: &DeleteFile) -> Result<Option<Bytes>, SourceError> {
        if !u64::try_from(delete.file_size).is_ok_and(|size| size <= SMALL_DELETE_FILE) {
            return Ok(None);
        }
        self.cache.small_file(&self.storage, &delete.path, SMALL_DELETE_FILE).await.map_err(|error| unfold(self, error))
    }
}

fn readable(path: &str, format: &FileFormat, encrypted: bool, what: &str) -> Result<(), FormatError> {
    if encrypted {
        return Err(FormatError::unsupported(path, format!("encrypted {what} are")));
    }
    match format {
        FileFormat::Parquet => Ok(()),
        other => Err(FormatError::unsupported(path, format!("{other} {what} are"))),
    }
}
