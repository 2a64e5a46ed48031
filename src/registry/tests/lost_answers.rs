//! A store whose puts work and whose answers are lost, or whose puts are lost: what is told must be what is so.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result as StoreResult,
};

use super::*;
use crate::clock::SystemClock;
use crate::storage::{Storage, StorageError};

/// An in-memory bucket that fails some puts of versions and some reads.
#[derive(Debug, Default)]
struct Unreliable {
    bucket: InMemory,
    /// Puts that fail before anything is written.
    lost_puts: AtomicUsize,
    /// Puts whose answer is lost after writing.
    lost_answers: AtomicUsize,
    /// Reads that fail.
    lost_reads: AtomicUsize,
}

impl std::fmt::Display for Unreliable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unreliable")
    }
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn lost() -> Error {
    Error::Generic { store: "Unreliable", source: "connection reset".into() }
}

#[async_trait::async_trait]
impl ObjectStore for Unreliable {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        let version = location.as_ref().contains("versions/");
        if version && take(&self.lost_puts) {
            return Err(lost());
        }
        let outcome = self.bucket.put_opts(location, payload, options).await;
        if version && take(&self.lost_answers) { Err(lost()) } else { outcome }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        if take(&self.lost_reads) { Err(lost()) } else { self.bucket.get_opts(location, options).await }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<bytes::Bytes>> {
        self.bucket.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.bucket.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.bucket.copy_opts(from, to, options).await
    }
}

async fn open(bucket: &Arc<Unreliable>) -> Arc<RegistryStore> {
    let storage = Storage::with_store("s3://bucket", Arc::clone(bucket) as Arc<dyn ObjectStore>);
    RegistryStore::open(storage, "s3://bucket/registry/", Arc::new(SystemClock)).await.unwrap()
}

#[tokio::test]
async fn a_lost_answer_is_found_by_reading_back() {
    let bucket = Arc::new(Unreliable::default());
    let store = open(&bucket).await;
    bucket.lost_answers.store(1, Ordering::SeqCst);
    let (made, _) = store.commit(&store.current(), &[create_entity("a")], "r", "").await.unwrap();
    assert_eq!((made.version, made.entities.len()), (1, 1));
    assert_eq!(open(&bucket).await.current(), made);
}

#[tokio::test]
async fn a_lost_put_is_put_again_and_told_when_it_stays_lost() {
    let bucket = Arc::new(Unreliable::default());
    let store = open(&bucket).await;
    bucket.lost_puts.store(2, Ordering::SeqCst);
    assert_eq!(store.commit(&store.current(), &[create_entity("a")], "r", "").await.unwrap().0.version, 1);
    bucket.lost_puts.store(3, Ordering::SeqCst);
    let error = store.commit(&store.current(), &[create_entity("b")], "r", "").await.unwrap_err();
    assert!(matches!(error, RegistryError::Storage(StorageError::Io { .. })), "{error:?}");
    assert_eq!(seen(error).0, "58030");
    assert_eq!(open(&bucket).await.current().version, 1);
}

#[tokio::test]
async fn a_lost_answer_of_a_lost_race_is_a_lost_race() {
    let bucket = Arc::new(Unreliable::default());
    let (one, two) = (open(&bucket).await, open(&bucket).await);
    one.commit(&one.current(), &[create_entity("a")], "r", "").await.unwrap();
    bucket.lost_answers.store(1, Ordering::SeqCst);
    assert!(matches!(two.commit(&two.current(), &[create_entity("b")], "r", "").await, Err(RegistryError::RaceLost)));
    assert_eq!(two.refresh().await.unwrap().entities.keys().collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn what_cannot_be_known_is_said_to_be_unknown() {
    let bucket = Arc::new(Unreliable::default());
    let store = open(&bucket).await;
    bucket.lost_answers.store(9, Ordering::SeqCst);
    bucket.lost_reads.store(9, Ordering::SeqCst);
    let error = store.commit(&store.current(), &[create_entity("a")], "r", "").await.unwrap_err();
    assert!(matches!(error, RegistryError::OutcomeUnknown { version: 1, .. }), "{error:?}");
    bucket.lost_answers.store(0, Ordering::SeqCst);
    bucket.lost_reads.store(0, Ordering::SeqCst);
    assert_eq!(store.refresh().await.unwrap().version, 1);
}

#[tokio::test]
async fn what_is_known_is_served_while_the_store_is_away() {
    let bucket = Arc::new(Unreliable::default());
    let storage = Storage::with_store("s3://bucket", Arc::clone(&bucket) as Arc<dyn ObjectStore>);
    let store = RegistryStore::open_with(storage, "s3://bucket/registry", Arc::new(SystemClock), std::time::Duration::ZERO).await.unwrap();
    bucket.lost_reads.store(1, Ordering::SeqCst);
    assert_eq!(store.fresh().await.unwrap().version, 0);
    bucket.lost_reads.store(1, Ordering::SeqCst);
    assert!(matches!(store.refresh().await, Err(RegistryError::Storage(_))));
}
