//! The demo's folder: `catalog.sqlite`, `warehouse/`, `registry/`, a lock, and a mark that the sample is complete.
//!
//! The lock is the operating system's, on an open file: it goes with the process, however that ends. The mark is written
//! last, so a creation that was interrupted is begun again, and nothing that the demo did not write is ever removed.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::warehouse::Warehouse;
use super::{DemoError, sample};
use crate::clock::Clock;

const LOCK: &str = "demo.lock";
const COMPLETE: &str = "sample.complete";
/// Content of the mark; a change of the sample changes it.
const SAMPLE_VERSION: &str = "featgres sample 1\n";
/// What the demo puts into its folder, SQLite's side files included.
const OURS: [&str; 8] =
    [LOCK, COMPLETE, "catalog.sqlite", "catalog.sqlite-journal", "catalog.sqlite-wal", "catalog.sqlite-shm", "warehouse", "registry"];

/// The folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct DemoFolder {
    path: PathBuf,
    lock: File,
    /// Tables and rows, if this call wrote them; `None` = they were there.
    pub written: Option<sample::Written>,
}

impl DemoFolder {
    /// Locks the folder and makes sure that the sample is in it.
    pub fn prepare(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, DemoError> {
        let shown = path.display();
        let path = std::path::absolute(path).map_err(DemoError::io(format!("could not find \"{shown}\"")))?;
        std::fs::create_dir_all(&path).map_err(DemoError::io(format!("could not create folder \"{shown}\"")))?;
        refuse_foreign(&path)?;
        let lock = lock(&path)?;
        let written = match std::fs::read_to_string(path.join(COMPLETE)) {
            Ok(version) if version == SAMPLE_VERSION => None,
            Ok(_) => return Err(DemoError::OtherSample { folder: path }),
            Err(_) => Some(create(&path, clock)?),
        };
        Ok(Self { path, lock, written })
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves a line in the lock for the next process that wants the folder: how to reach this one.
    pub fn announce(&mut self, command: &str) -> Result<(), DemoError> {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(command.as_bytes())
        };
        write(&mut self.lock).map_err(DemoError::io("could not write the lock"))
    }
}

fn refuse_foreign(path: &Path) -> Result<(), DemoError> {
    let reading = || DemoError::io(format!("could not read folder \"{}\"", path.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(reading())? {
        names.push(entry.map_err(reading())?.file_name().to_string_lossy().into_owned());
    }
    let foreign = names.iter().find(|name| !OURS.contains(&name.as_str()));
    // Without our lock, even a folder called `warehouse` is someone else's.
    let foreign = foreign.or_else(|| names.first().filter(|_| !names.iter().any(|name| name == LOCK)));
    match foreign {
        Some(found) => Err(DemoError::ForeignFolder { folder: path.to_owned(), found: found.clone() }),
        None => Ok(()),
    }
}

fn lock(path: &Path) -> Result<File, DemoError> {
    let locking = || DemoError::io(format!("could not lock folder \"{}\"", path.display()));
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path.join(LOCK)).map_err(locking())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only for the hint: what cannot be read is left out.
            let _ = file.read_to_string(&mut owner);
            Err(DemoError::FolderInUse { folder: path.to_owned(), owner: owner.trim().to_owned() })
        }
        Err(TryLockError::Error(source)) => Err(locking()(source)),
    }
}

/// Writes the sample, after removing what an interrupted creation left.
fn create(path: &Path, clock: Arc<dyn Clock>) -> Result<sample::Written, DemoError> {
    for name in OURS.into_iter().filter(|name| *name != LOCK) {
        let part = path.join(name);
        let removed = if part.is_dir() {
            std::fs::remove_dir_all(&part)
        } else if part.exists() {
            std::fs::remove_file(&part)
        } else {
            Ok(())
        };
        removed.map_err(DemoError::io(format!("could not remove \"{}\"", part.display())))?;
    }
    let warehouse = Warehouse::open("iceberg", &path.join("catalog.sqlite"), &path.join("warehouse"), clock)?;
    let written = sample::write(&warehouse)?;
    std::fs::write(path.join(COMPLETE), SAMPLE_VERSION).map_err(DemoError::io("could not finish the sample"))?;
    Ok(written)
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
