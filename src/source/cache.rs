//! The process-wide cache of parsed metadata files, manifest lists, manifests and deletion vectors, and of small delete files.
//!
//! All are immutable under their URL, so an entry is never stale: only the pointer to a metadata file has a
//! lifetime, and that is not kept here. Entries are weighed by about what they take in memory and bounded in sum; of
//! several statements that miss the same file one reads it and the others wait. Keys hold the storage's identity: the
//! same URL can be two objects behind two endpoints.
//!
//! Parsing large files runs off the async threads; should a decoder panic on hostile bytes, the file is reported as
//! damaged and the process lives on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::iceberg::{DeleteFile, DeletionVector, FormatError, Manifest, ManifestFile, ManifestList, TableMetadata};
use super::{SourceError, TableSnapshot};
use crate::storage::{Storage, StorageError};

/// The default bound in bytes.
pub const DEFAULT_CACHE_BYTES: u64 = 256 << 20;

/// Smaller files are parsed where they arrive: a thread switch would cost more.
const PARSE_INLINE: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    storage: u64,
    url: Box<str>,
}

#[derive(Debug, Clone)]
enum Entry {
    Metadata(Arc<TableMetadata>, usize),
    ManifestList(Arc<ManifestList>),
    Manifest(Arc<Manifest>),
    Vector(Arc<DeletionVector>),
    /// The bytes of a delete file; none where it has too many.
    Bytes(Option<Bytes>),
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let entry = match entry {
            Entry::Metadata(_, weight) => *weight,
            Entry::ManifestList(list) => list.weight(),
            Entry::Manifest(manifest) => manifest.weight(),
            Entry::Vector(vector) => vector.positions().serialized_size(),
            Entry::Bytes(bytes) => bytes.as_ref().map_or(0, Bytes::len),
        };
        (key.url.len() + entry + 64) as u64
    }
}

/// Why a file could not be had; the table's name is added by [`unfold`].
#[derive(Debug)]
pub(super) enum FileError {
    Storage(StorageError),
    Format(FormatError),
}

/// With the table's name, and "gone" as "expired".
pub(super) fn unfold(table: &TableSnapshot, error: FileError) -> SourceError {
    match error {
        FileError::Storage(error) => table.storage_error(error),
        FileError::Format(error) => table.format_error(error),
    }
}

/// What a cache did since the start, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Found in memory, or read by another statement at the same time.
    pub hits: u64,
    /// Read.
    pub misses: u64,
    /// Entries held now.
    pub entries: u64,
    /// Bytes held now, about.
    pub bytes: u64,
}

/// Parsed files by URL.
pub struct FileCache {
    entries: Cache<Key, Entry, Weight>,
    lookups: AtomicU64,
    misses: AtomicU64,
}

impl std::fmt::Debug for FileCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCache").field("entries", &self.entries.len()).field("weight", &self.entries.weight()).finish()
    }
}

impl Default for FileCache {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_BYTES)
    }
}

impl FileCache {
    /// At most about this many bytes.
    pub fn new(bytes: u64) -> Self {
        // Entries of a few KiB are typical; the estimate only sizes the first allocation.
        let items = usize::try_from(bytes / (8 << 10)).unwrap_or(usize::MAX).clamp(64, 1 << 16);
        Self { entries: Cache::with_weighter(items, bytes, Weight), lookups: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// What it did so far.
    pub fn counts(&self) -> CacheCounts {
        let misses = self.misses.load(Ordering::Relaxed);
        CacheCounts {
            hits: self.lookups.load(Ordering::Relaxed).saturating_sub(misses),
            misses,
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
        }
    }

    async fn load(
        &self,
        storage: &Arc<Storage>,
        url: &str,
        parse: impl FnOnce(Bytes) -> Result<Entry, FormatError> + Send + 'static,
    ) -> Result<Entry, FileError> {
        let read = async {
            let bytes = storage.read(url).await.map_err(FileError::Storage)?;
            let undecodable = || FileError::Format(FormatError::damaged(url, "it cannot be decoded"));
            if bytes.len() <= PARSE_INLINE {
                let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| parse(bytes)));
                return parsed.map_err(|_| undecodable())?.map_err(FileError::Format);
            }
            match tokio::task::spawn_blocking(move || parse(bytes)).await {
                Ok(parsed) => parsed.map_err(FileError::Format),
                Err(error) if error.is_panic() => Err(undecodable()),
                Err(_) => Err(FileError::Format(FormatError::damaged(url, "decoding was interrupted"))),
            }
        };
        self.find(&self.key(storage, url), read).await
    }

    fn key(&self, storage: &Arc<Storage>, url: &str) -> Key {
        Key { storage: storage.identity(), url: url.into() }
    }

    /// The entry, or what `read` gives; of several who miss it one reads.
    async fn find(&self, key: &Key, read: impl Future<Output = Result<Entry, FileError>>) -> Result<Entry, FileError> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let counted = async {
            self.misses.fetch_add(1, Ordering::Relaxed);
            read.await
        };
        self.entries.get_or_insert_async(key, counted).await
    }

    pub(super) async fn metadata(&self, storage: &Arc<Storage>, url: &str) -> Result<Arc<TableMetadata>, FileError> {
        let name = url.to_owned();
        let parse = move |bytes: Bytes| {
            // Text unfolds to structs of about three times its size; gzip to about ten times.
            let factor = if bytes.starts_with(&[0x1f, 0x8b]) { 30 } else { 3 };
            TableMetadata::parse(&bytes, &name).map(|metadata| Entry::Metadata(Arc::new(metadata), bytes.len() * factor))
        };
        match self.load(storage, url, parse).await? {
            Entry::Metadata(metadata, _) => Ok(metadata),
            _ => Err(FileError::Format(FormatError::damaged(url, "it is used as metadata and as a manifest"))),
        }
    }

    pub(super) async fn manifest_list(&self, storage: &Arc<Storage>, url: &str) -> Result<Arc<ManifestList>, FileError> {
        let name = url.to_owned();
        let parse = move |bytes: Bytes| ManifestList::parse(&bytes, &name).map(|list| Entry::ManifestList(Arc::new(list)));
        match self.load(storage, url, parse).await? {
            Entry::ManifestList(list) => Ok(list),
            _ => Err(FileError::Format(FormatError::damaged(url, "it is used as manifest list and as something else"))),
        }
    }

    pub(super) async fn manifest(
        &self,
        storage: &Arc<Storage>,
        manifest: &ManifestFile,
        metadata: &Arc<TableMetadata>,
    ) -> Result<Arc<Manifest>, FileError> {
        let (listed, metadata) = (manifest.clone(), Arc::clone(metadata));
        let parse = move |bytes: Bytes| Manifest::parse(&bytes, &listed, &metadata).map(|manifest| Entry::Manifest(Arc::new(manifest)));
        match self.load(storage, &manifest.path, parse).await? {
            Entry::Manifest(manifest) => Ok(manifest),
            _ => Err(FileError::Format(FormatError::damaged(&manifest.path, "it is used as manifest and as something else"))),
        }
    }

    /// A deletion vector, read by one ranged GET and checked.
    pub(super) async fn vector(&self, storage: &Arc<Storage>, delete: &DeleteFile) -> Result<Arc<DeletionVector>, FileError> {
        let range = delete.content_offset.zip(delete.content_size).and_then(|(offset, size)| {
            let (start, size) = (u64::try_from(offset).ok()?, u64::try_from(size).ok()?);
            Some(start..start.checked_add(size)?)
        });
        let Some(range) = range else {
            let reason = "deletion vector: its place in the file is impossible";
            return Err(FileError::Format(FormatError::damaged(&delete.path, reason)));
        };
        // One Puffin file holds many; what the manifest says of this one is part of what it is checked against.
        let count = delete.record_count;
        let key = self.key(storage, &format!("{}#{}+{}={count}", delete.path, range.start, range.end - range.start));
        let read = async {
            let blob = storage.read_range(&delete.path, range).await.map_err(FileError::Storage)?;
            let vector = DeletionVector::parse(&blob, delete).map_err(FileError::Format)?;
            Ok(Entry::Vector(Arc::new(vector)))
        };
        match self.find(&key, read).await? {
            Entry::Vector(vector) => Ok(vector),
            _ => Err(FileError::Format(FormatError::damaged(&delete.path, "it is used as a vector and as something else"))),
        }
    }

    /// The whole of a delete file, if it has no more than this many bytes.
    pub(super) async fn small_file(&self, storage: &Arc<Storage>, url: &str, limit: u64) -> Result<Option<Bytes>, FileError> {
        let key = self.key(storage, &format!("{url}#bytes"));
        let read = async { storage.read_small(url, limit).await.map(Entry::Bytes).map_err(FileError::Storage) };
        match self.find(&key, read).await? {
            Entry::Bytes(bytes) => Ok(bytes),
            _ => Ok(None),
        }
    }
}
