//! Durable writes: an object that exists after the call survives the power cut, and of two writers that create one
//! object exactly one wins.
//!
//! On S3 both are a property of a conditional PUT. On local files object_store gives neither durability (it never
//! syncs) nor, between processes, a create that cannot be seen half-written, so files go their own way: write a
//! temporary file in the same folder, fsync it, hard-link it to its name (which fails if the name is taken), and fsync the
//! folder, and every folder that had to be made. A file system without hard links is an error, not a weaker promise.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use object_store::{PutMode, PutOptions, PutPayload};

use super::{Located, Storage, StorageError, parse_key, split};

/// Makes the names of temporary files differ within this process; the process id does it between processes.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

impl Storage {
    /// Creates the object, durably, or fails with [`StorageError::AlreadyExists`] and leaves it as it is.
    ///
    /// A retry after a lost answer may meet its own object: callers compare contents on `AlreadyExists`.
    pub async fn put_if_absent(&self, url: &str, bytes: Bytes) -> Result<(), StorageError> {
        match self.local_file(url)? {
            Some(file) => {
                self.counters.put();
                tokio::task::spawn_blocking(move || put_file(&file, &bytes))
                    .await
                    .unwrap_or_else(|_| Err(Error::other("the write did not finish")))
                    .map_err(|error| match error.kind() {
                        ErrorKind::AlreadyExists => StorageError::AlreadyExists { url: url.to_owned() },
                        _ => StorageError::Io {
                            url: url.to_owned(),
                            source: object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) },
                        },
                    })
            }
            None => {
                let Located { store, path, .. } = self.locate(url)?;
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                store.put_opts(&path, PutPayload::from_bytes(bytes), options).await.map_err(|error| StorageError::of(url, error))?;
                Ok(())
            }
        }
    }

    /// The file that a URL means, if it is one on the local disk: `file://`, a bare path, or below a `mount.` property.
    fn local_file(&self, url: &str) -> Result<Option<PathBuf>, StorageError> {
        let parts = split(url)?;
        let root = match parts.bucket.strip_prefix("s3://") {
            None => PathBuf::from("/"),
            Some(bucket) => match self.properties.get(&format!("mount.{bucket}")) {
                Some(folder) => PathBuf::from(folder),
                None => return Ok(None),
            },
        };
        // Through the store's rules, so that a name with `..` or `//` is refused here as it is for reads.
        let key = parse_key(url, parts.key)?;
        if key.as_ref().is_empty() {
            return Err(StorageError::BadUrl { url: url.to_owned(), reason: "it names a folder".to_owned() });
        }
        Ok(Some(root.join(key.as_ref())))
    }
}

/// Writes the file; all of it or nothing is seen at its name.
fn put_file(target: &FilePath, bytes: &[u8]) -> Result<(), Error> {
    let folder = target.parent().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it has no folder"))?;
    make_folder(folder)?;
    let number = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".put-{}-{number}.tmp", std::process::id()));
    let written = write_and_link(&temporary, target, bytes);
    // Linked or failed, it has done its work.
    let _ = std::fs::remove_file(&temporary);
    written?;
    File::open(folder)?.sync_all()
}

fn write_and_link(temporary: &FilePath, target: &FilePath, bytes: &[u8]) -> Result<(), Error> {
    // A process that died under the same id may have left the name behind; nobody else can be using it.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::hard_link(temporary, target)
}

/// Makes the folder and those above it, and syncs the parents of those that are new.
fn make_folder(folder: &FilePath) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => File::open(parent)?.sync_all()?,
        }
    }
    Ok(())
}
