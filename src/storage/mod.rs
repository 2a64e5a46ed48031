//! URLs to object stores: one credential path, one retry policy, one place where bytes are counted.
//!
//! A [`Storage`] carries the properties of one catalog (or of the registry), so two warehouses with different
//! credentials meet in one query without meeting here.

mod error;

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

pub use error::StorageError;

/// Properties by pyiceberg's names: `s3.endpoint`, `s3.region`, `s3.access-key-id`, …
pub type StorageProperties = BTreeMap<String, String>;

/// Where an object is: its store and its key there.
#[derive(Debug, Clone)]
pub struct Located {
    /// The store of the URL's bucket.
    pub store: Arc<dyn ObjectStore>,
    /// The key, never decoded.
    pub path: Path,
}

/// The object stores that one set of properties opens, by scheme and bucket.
#[derive(Debug)]
pub struct Storage {
    properties: StorageProperties,
}
