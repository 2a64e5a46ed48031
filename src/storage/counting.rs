//! An object store that counts what is asked of it, so that a test can say "no HEAD, no LIST" and metrics can say how
//! much was read. It adds four relaxed atomic additions to a request. Since all requests pass here, it is also where one whose
//! vended credentials have ended is made once more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result,
};

use super::VendedCredentials;
use super::refusal::is_expired;

/// Requests so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Reads, ranged ones too.
    pub gets: u64,
    /// Reads of metadata only.
    pub heads: u64,
    /// Listings.
    pub lists: u64,
    /// Writes, copies and deletes.
    pub puts: u64,
    /// Bytes that the reads asked for and got.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    gets: AtomicU64,
    heads: AtomicU64,
    lists: AtomicU64,
    puts: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> RequestCounts {
        RequestCounts {
            gets: self.gets.load(Ordering::Relaxed),
            heads: self.heads.load(Ordering::Relaxed),
            lists: self.lists.load(Ordering::Relaxed),
            puts: self.puts.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// A write that went past the store (a durable local put).
    pub(super) fn put(&self) {
        self.puts.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    counters: Arc<Counters>,
    vended: Option<Arc<dyn VendedCredentials>>,
}

impl CountingStore {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, counters: Arc<Counters>, vended: Option<Arc<dyn VendedCredentials>>) -> Self {
        Self { inner, counters, vended }
    }

    /// Whether the request is worth another try, because its credentials have ended and there may be new ones.
    fn renewed(&self, error: &object_store::Error) -> bool {
        match &self.vended {
            Some(vended) if is_expired(error) => {
                vended.refused();
                true
            }
            _ => false,
        }
    }
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.counters.put();
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.counters.put();
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let counter = if head { &self.counters.heads } else { &self.counters.gets };
        counter.fetch_add(1, Ordering::Relaxed);
        let answer = match self.inner.get_opts(location, options.clone()).await {
            Err(error) if self.renewed(&error) => self.inner.get_opts(location, options).await?,
            answer => answer?,
        };
        if !head {
            self.counters.bytes.fetch_add(answer.range.end - answer.range.start, Ordering::Relaxed);
        }
        Ok(answer)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<Bytes>> {
        self.counters.gets.fetch_add(1, Ordering::Relaxed);
        let answer = match self.inner.get_ranges(location, ranges).await {
            Err(error) if self.renewed(&error) => self.inner.get_ranges(location, ranges).await?,
            answer => answer?,
        };
        self.counters.bytes.fetch_add(answer.iter().map(|bytes| bytes.len() as u64).sum(), Ordering::Relaxed);
        Ok(answer)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.counters.put();
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counters.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counters.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counters.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.counters.put();
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.counters.put();
        self.inner.rename_opts(from, to, options).await
    }
}
