//! Parquet footers of immutable files, kept across statements and bounded by bytes.
//!
//! A file named by an Iceberg snapshot never changes, so its footer is good as long as the process lives. The key is the
//! storage (two catalogs may both have a bucket of one name on different servers) and the object's bucket and key;
//! an entry holds its storage, so that the address cannot come to mean another one. When full, the least
//! recently used entries leave, an eighth of the limit at a time: one pass over the keys for many insertions.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;
use parking_lot::Mutex;
use parquet::file::metadata::ParquetMetaData;

use crate::source::CacheCounts;
use crate::storage::Storage;

/// Bytes that [`FooterCache::process`] holds unless told otherwise.
pub const DEFAULT_LIMIT: usize = 64 << 20;

static PROCESS: LazyLock<Arc<FooterCache>> = LazyLock::new(|| Arc::new(FooterCache::new(DEFAULT_LIMIT)));

#[derive(Debug)]
struct Entry {
    _storage: Arc<Storage>,
    footer: Arc<ParquetMetaData>,
    bytes: usize,
    used: u64,
    /// The version of a file that may be written again, as its listing has it.
    version: Option<String>,
}

#[derive(Debug, Default)]
struct Entries {
    by_file: HashMap<(usize, String), Entry>,
    bytes: usize,
    clock: u64,
}

/// The cache.
#[derive(Debug)]
pub struct FooterCache {
    entries: Mutex<Entries>,
    limit: AtomicUsize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl FooterCache {
    /// An empty one of this many bytes.
    pub fn new(limit: usize) -> Self {
        Self { entries: Mutex::default(), limit: limit.into(), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The one of this process.
    pub fn process() -> Arc<Self> {
        Arc::clone(&PROCESS)
    }

    /// Changes how much it may hold.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// What it did so far, and what it holds.
    pub fn counts(&self) -> CacheCounts {
        let entries = self.entries.lock();
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: entries.by_file.len() as u64,
            bytes: entries.bytes as u64,
        }
    }

    /// The footer of this object, if it is here.
    pub fn get(&self, storage: &Arc<Storage>, object: &str) -> Option<Arc<ParquetMetaData>> {
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let now = entries.clock;
        match entries.by_file.get_mut(&(Arc::as_ptr(storage).addr(), object.to_owned())) {
            Some(entry) => {
                entry.used = now;
                self.hits.fetch_add(1, Ordering::Relaxed);
                Some(Arc::clone(&entry.footer))
            }
            None => {
                self.misses.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Forgets the object's footer unless it is of this version.
    pub fn keep_version(&self, storage: &Arc<Storage>, object: &str, version: &str) {
        let mut entries = self.entries.lock();
        let key = (Arc::as_ptr(storage).addr(), object.to_owned());
        if entries.by_file.get(&key).is_some_and(|entry| entry.version.as_deref() != Some(version)) {
            let paged = (key.0, format!("{object}#pages"));
            for old in [key, paged].iter().filter_map(|key| entries.by_file.remove(key)).collect::<Vec<_>>() {
                entries.bytes -= old.bytes;
            }
        }
    }

    /// Says which version of the object its footer is of.
    pub fn set_version(&self, storage: &Arc<Storage>, object: &str, version: &str) {
        if let Some(entry) = self.entries.lock().by_file.get_mut(&(Arc::as_ptr(storage).addr(), object.to_owned())) {
            entry.version = Some(version.to_owned());
        }
    }

    /// Keeps this footer, if it is not larger than an eighth of the limit.
    pub fn put(&self, storage: &Arc<Storage>, object: &str, footer: &Arc<ParquetMetaData>) {
        let limit = self.limit.load(Ordering::Relaxed);
        let bytes = footer.memory_size() + object.len() + size_of::<Entry>();
        if bytes > limit / 8 {
            return;
        }
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let used = entries.clock;
        let entry = Entry { _storage: Arc::clone(storage), footer: Arc::clone(footer), bytes, used, version: None };
        if let Some(old) = entries.by_file.insert((Arc::as_ptr(storage).addr(), object.to_owned()), entry) {
            entries.bytes -= old.bytes;
        }
        entries.bytes += bytes;
        if entries.bytes > limit {
            entries.shrink(limit - limit / 8);
        }
    }
}

impl Entries {
    fn shrink(&mut self, limit: usize) {
        let mut by_age: Vec<(u64, usize)> = self.by_file.values().map(|entry| (entry.used, entry.bytes)).collect();
        by_age.sort_unstable();
        let mut oldest_kept = 0;
        let mut left = self.bytes;
        for (used, bytes) in by_age {
            if left <= limit {
                break;
            }
            left -= bytes;
            oldest_kept = used + 1;
        }
        self.by_file.retain(|_, entry| entry.used >= oldest_kept);
        self.bytes = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::record_batch::RecordBatch;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;

    fn footer() -> Arc<ParquetMetaData> {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Arc::new(ParquetMetaDataReader::new().parse_and_finish(&bytes::Bytes::from(bytes)).unwrap())
    }

    #[test]
    fn the_least_recently_used_leave_and_bytes_stay_bounded() {
        let (storage, footer) = (Storage::local(), footer());
        let one = footer.memory_size() + 1 + size_of::<Entry>();
        let cache = FooterCache::new(one * 10);
        for name in "abcdefghij".chars() {
            cache.put(&storage, &name.to_string(), &footer);
        }
        assert!(cache.get(&storage, "a").is_some());
        cache.put(&storage, "k", &footer);
        assert!(cache.counts().bytes <= one as u64 * 10);
        assert!(cache.get(&storage, "a").is_some(), "just used");
        assert!(cache.get(&storage, "k").is_some(), "just put");
        assert!(cache.get(&storage, "b").is_none(), "the oldest");
    }

    #[test]
    fn two_storages_are_two_places_and_large_footers_stay_out() {
        let (one, other, footer) = (Storage::local(), Storage::local(), footer());
        let cache = FooterCache::new(1 << 20);
        cache.put(&one, "a", &footer);
        assert!(cache.get(&one, "a").is_some());
        assert!(cache.get(&other, "a").is_none());
        let small = FooterCache::new(footer.memory_size());
        small.put(&one, "a", &footer);
        assert_eq!(small.counts().bytes, 0);
    }
}
