//! URLs to object stores: one credential path, one retry policy, one place where requests are counted.
//!
//! A [`Storage`] carries the properties of one catalog (or of the registry), so two warehouses with different
//! credentials meet in one query without meeting here. Stores are opened lazily, one for each bucket, and kept.
//!
//! A key is taken exactly as it is written in the URL: nothing is percent-decoded or re-encoded, because writers put
//! literal `%20` and `+` into keys. What object stores could not hold that way (an empty path segment, `.`, `..`,
//! control characters) is refused by name. Local files are a store rooted at `/`; of file names only those that end in `#`
//! and digits are not read, which object_store keeps for itself.
//!
//! Reads are one GET each: sizes come from the answer, never from a HEAD; existence is learned by reading.

mod conditional_put;
mod container;
mod counting;
mod error;
mod profile;
mod refusal;
mod s3;
mod sockets;
mod vended;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use parking_lot::Mutex;
use tokio::runtime::Handle;

pub use counting::RequestCounts;
pub use error::StorageError;
pub use refusal::Refusal;
pub use vended::{S3Credentials, VendedCredentials};

use counting::{Counters, CountingStore};
use vended::OfPrefix;

/// Properties by pyiceberg's names: `s3.endpoint`, `s3.region`, `s3.access-key-id`, …; `mount.BUCKET` = a local folder.
pub type StorageProperties = BTreeMap<String, String>;

/// The largest object that [`Storage::read`] takes into memory.
pub const MAX_WHOLE_OBJECT: u64 = 1 << 30;

/// The most buckets that one set of properties opens: their names come from metadata, which may be hostile.
const MAX_BUCKETS: usize = 1024;

/// Where an object is: its store and its key there.
#[derive(Debug, Clone)]
pub struct Located {
    /// The store of the URL's bucket; it counts its requests.
    pub store: Arc<dyn ObjectStore>,
    /// The key, never decoded.
    pub path: Path,
    /// `file://`, or `s3://bucket` whatever the scheme was spelt like; with the key it names the object uniquely.
    pub bucket: String,
}

/// An object found by [`Storage::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its URL, spelt like the prefix that was listed.
    pub url: String,
    /// Its size in bytes.
    pub size: u64,
    /// Changes when the object is written again: the store's tag where it has one, with size and time.
    pub version: String,
}

/// The object stores that one set of properties opens, by scheme and bucket.
pub struct Storage {
    properties: StorageProperties,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
    counters: Arc<Counters>,
    identity: u64,
    vended: Option<Arc<dyn VendedCredentials>>,
    /// Where requests run: the runtime of whoever made this, which has the sockets; readers may have none.
    sockets: Option<Handle>,
}

/// Numbers storages: see [`Storage::identity`].
static IDENTITIES: AtomicU64 = AtomicU64::new(0);

impl std::fmt::Debug for Storage {
    /// Property names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("properties", &self.properties.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// A URL taken apart: the store's name and the key in it.
#[derive(Debug, PartialEq, Eq)]
struct Split<'a> {
    bucket: String,
    key: &'a str,
}

/// `s3a://` and `s3n://` are Hadoop's words for `s3://`; a bare absolute path is a local file.
fn split(url: &str) -> Result<Split<'_>, StorageError> {
    let bad = |reason: &str| StorageError::BadUrl { url: url.to_owned(), reason: reason.to_owned() };
    if url.starts_with('/') {
        return Ok(Split { bucket: "file://".to_owned(), key: url });
    }
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(bad("not an absolute path or a URL"));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "s3" | "s3a" | "s3n" => {
            let rest = rest.strip_prefix("//").ok_or_else(|| bad("a bucket must follow the scheme"))?;
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(bad("the bucket is empty"));
            }
            Ok(Split { bucket: format!("s3://{bucket}"), key })
        }
        "file" => {
            // `file:///path` and the `file:/path` of Hadoop; a host other than localhost is another machine's file.
            let key = match rest.strip_prefix("//") {
                Some(local) if local.starts_with('/') => local,
                Some(host) => host.strip_prefix("localhost").filter(|key| key.starts_with('/')).ok_or_else(|| bad("it names a host"))?,
                None if rest.starts_with('/') => rest,
                None => return Err(bad("a file URL needs an absolute path")),
            };
            Ok(Split { bucket: "file://".to_owned(), key })
        }
        other => Err(bad(&format!("scheme \"{other}\" is not supported"))),
    }
}

/// The key as a path of the store, byte for byte.
fn parse_key(url: &str, key: &str) -> Result<Path, StorageError> {
    Path::parse(key).map_err(|error| {
        let reason = match error {
            object_store::path::Error::EmptySegment { .. } => "the key has an empty path segment (\"//\")".to_owned(),
            other => other.to_string(),
        };
        StorageError::BadUrl { url: url.to_owned(), reason }
    })
}

impl Storage {
    /// Opens nothing yet; refuses properties that nobody would read.
    pub fn new(properties: StorageProperties) -> Result<Arc<Self>, StorageError> {
        s3::check(&properties)?;
        let storage = Self::with_properties(properties.clone());
        for (name, folder) in &properties {
            if let Some(bucket) = name.strip_prefix("mount.") {
                let store = LocalFileSystem::new_with_prefix(folder)
                    .map_err(|error| StorageError::BadProperty { name: name.clone(), reason: error.to_string() })?;
                storage.mount(&format!("s3://{bucket}"), Arc::new(store));
            }
        }
        Ok(Arc::new(storage))
    }

    /// The same with credentials that somebody hands out, for the URLs that they are good for.
    pub fn with_vended(properties: StorageProperties, vended: Arc<dyn VendedCredentials>) -> Result<Arc<Self>, StorageError> {
        s3::check(&properties)?;
        Ok(Arc::new(Self { vended: Some(vended), ..Self::with_properties(properties) }))
    }

    /// The same without any property: local files, and S3 by the environment.
    pub fn local() -> Arc<Self> {
        Arc::new(Self::with_properties(StorageProperties::new()))
    }

    fn with_properties(properties: StorageProperties) -> Self {
        Self {
            properties,
            stores: Mutex::new(HashMap::new()),
            counters: Arc::new(Counters::default()),
            identity: IDENTITIES.fetch_add(1, Ordering::Relaxed),
            vended: None,
            sockets: Handle::try_current().ok(),
        }
    }

    /// Differs between any two storages of the process: the same URL can be two objects behind two endpoints.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// One whose `bucket` (`s3://name` or `file://`) is served by this store: for tests and embedding.
    pub fn with_store(bucket: &str, store: Arc<dyn ObjectStore>) -> Arc<Self> {
        let storage = Self::local();
        storage.mount(bucket, store);
        storage
    }

    /// Serves `bucket` (`s3://name` or `file://`) by this store from now on.
    pub fn mount(&self, bucket: &str, store: Arc<dyn ObjectStore>) {
        let bucket = if bucket.starts_with("file:") { "file://" } else { bucket.trim_end_matches('/') };
        self.stores.lock().insert(bucket.to_owned(), self.counted(store));
    }

    fn counted(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(CountingStore::new(store, Arc::clone(&self.counters), self.vended.clone()))
    }

    /// What was asked of all stores so far.
    pub fn request_counts(&self) -> RequestCounts {
        self.counters.read()
    }

    /// The store and the key that this URL means.
    pub fn locate(&self, url: &str) -> Result<Located, StorageError> {
        let Split { bucket, key } = split(url)?;
        let path = parse_key(url, key)?;
        let prefix = self.vended.as_ref().and_then(|vended| vended.prefix(url).map(|prefix| (Arc::clone(vended), prefix)));
        // No bucket's name has a line break in it.
        let key = match &prefix {
            Some((_, prefix)) => format!("{bucket}\n{prefix}"),
            None => bucket.clone(),
        };
        let mut stores = self.stores.lock();
        if let Some(store) = stores.get(&key) {
            return Ok(Located { store: Arc::clone(store), path, bucket });
        }
        if stores.len() >= MAX_BUCKETS {
            return Err(StorageError::TooManyBuckets { url: url.to_owned(), limit: MAX_BUCKETS });
        }
        let opened: Arc<dyn ObjectStore> = match (bucket.strip_prefix("s3://"), prefix) {
            (Some(name), Some((vended, prefix))) => {
                let mut properties = self.properties.clone();
                properties.extend(vended.properties(&prefix));
                s3::open(url, name, &properties, Some(OfPrefix { vended, prefix }), self.sockets.as_ref())?
            }
            (Some(name), None) => s3::open(url, name, &self.properties, None, self.sockets.as_ref())?,
            (None, _) => Arc::new(LocalFileSystem::new()),
        };
        let store = self.counted(opened);
        stores.insert(key, Arc::clone(&store));
        Ok(Located { store, path, bucket })
    }

    /// The whole object by one GET; more than [`MAX_WHOLE_OBJECT`] is refused before its body is read.
    pub async fn read(&self, url: &str) -> Result<Bytes, StorageError> {
        let Located { store, path, .. } = self.locate(url)?;
        let answer = store.get_opts(&path, GetOptions::default()).await.map_err(|error| StorageError::of(url, error))?;
        let size = answer.meta.size;
        if size > MAX_WHOLE_OBJECT {
            return Err(StorageError::TooLarge { url: url.to_owned(), size, limit: MAX_WHOLE_OBJECT });
        }
        answer.bytes().await.map_err(|error| StorageError::of(url, error))
    }

    /// These bytes of the object by one GET; a range that it does not hold is [`StorageError::OutOfRange`].
    pub async fn read_range(&self, url: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let Located { store, path, .. } = self.locate(url)?;
        let out_of_range = || StorageError::OutOfRange { url: url.to_owned(), start: range.start, end: range.end };
        let Some(length) = range.end.checked_sub(range.start) else { return Err(out_of_range()) };
        if length == 0 {
            return Ok(Bytes::new());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let past_end = |error| if starts_past_end(&error) { out_of_range() } else { StorageError::of(url, error) };
        let answer = store.get_opts(&path, options).await.map_err(past_end)?;
        // Stores cut a range that is longer than the object: what they answer says whether it was there, and since
        // lengths come from metadata, only what is there may cost memory.
        if answer.range != range {
            return Err(out_of_range());
        }
        if length > MAX_WHOLE_OBJECT {
            return Err(StorageError::TooLarge { url: url.to_owned(), size: length, limit: MAX_WHOLE_OBJECT });
        }
        let bytes = answer.bytes().await.map_err(past_end)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(out_of_range()) }
    }

    /// The whole object by one GET, if it has no more than `limit` bytes.
    pub async fn read_small(&self, url: &str, limit: u64) -> Result<Option<Bytes>, StorageError> {
        let Located { store, path, .. } = self.locate(url)?;
        let options = GetOptions { range: Some(GetRange::Bounded(0..limit)), ..GetOptions::default() };
        match store.get_opts(&path, options).await {
            Ok(answer) if answer.meta.size > limit => Ok(None),
            Ok(answer) => answer.bytes().await.map(Some).map_err(|error| StorageError::of(url, error)),
            // An empty object has no first byte.
            Err(error) if starts_past_end(&error) => Ok(Some(Bytes::new())),
            Err(error) => Err(StorageError::of(url, error)),
        }
    }

    /// All objects whose key lies below this folder, sorted by URL.
    pub async fn list(&self, url: &str) -> Result<Vec<ListedObject>, StorageError> {
        self.list_at_most(url, usize::MAX).await
    }

    /// The same, but more than `most` objects are [`StorageError::TooManyObjects`].
    pub async fn list_at_most(&self, url: &str, most: usize) -> Result<Vec<ListedObject>, StorageError> {
        let Located { store, path, .. } = self.locate(url)?;
        let prefix = url.trim_end_matches('/');
        let mut found = Vec::new();
        let mut listing = store.list(Some(&path));
        while let Some(meta) = listing.try_next().await.map_err(|error| StorageError::of(url, error))? {
            if found.len() >= most {
                return Err(StorageError::TooManyObjects { url: url.to_owned(), limit: most });
            }
            found.push(meta);
        }
        let mut listed: Vec<ListedObject> = found
            .into_iter()
            .filter_map(|meta| {
                let below = meta.location.as_ref().strip_prefix(path.as_ref())?.trim_start_matches('/');
                let version = format!("{}:{}:{}", meta.e_tag.unwrap_or_default(), meta.size, meta.last_modified.timestamp_micros());
                Some(ListedObject { url: format!("{prefix}/{below}"), size: meta.size, version })
            })
            .collect();
        listed.sort_by(|a, b| a.url.cmp(&b.url));
        Ok(listed)
    }
}

/// Whether a store refused a range because the object ends before it. Local stores have a typed error for it deep in
/// their chain; S3 answers 416, which object_store keeps as text only.
fn starts_past_end(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if text.contains("416 Range Not Satisfiable") || text.contains("Wanted range starting at") {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vended_tests;
