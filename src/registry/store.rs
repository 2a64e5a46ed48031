//! [`RegistryStore`]: versions as numbered, create-only objects below one URL, shared by any number of gateways.
//!
//! A commit of version n+1 is one create-only put: of two writers of one version the store lets one win, and the other
//! is told ([`RegistryError::RaceLost`]). Numbers have no gaps, so the newest version is found by probing (1, 2, 4, 8 …
//! further, then halving), and the state by the newest full snapshot at or before it plus at most
//! [`SNAPSHOT_EVERY`] commits: opening costs a few dozen small reads, however long the history is. Snapshots only save
//! reading; losing one loses nothing.
//!
//! Nothing here trusts a lost answer: if a put fails in a way that may have worked, the object is read back and its id
//! compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use parking_lot::RwLock;

use super::format::{self, CommitObject, Marker, SnapshotObject};
use super::{HistoryEntry, RegistryChange, RegistryError, RegistrySnapshot};
use crate::clock::Clock;
use crate::storage::{Located, Storage, StorageError};

/// A full snapshot stands at each multiple of this.
const SNAPSHOT_EVERY: u64 = 32;
/// Commits that are read at once.
const CONCURRENT_READS: usize = 8;
/// Attempts of a statement outside BEGIN that keeps losing races.
const MAX_ATTEMPTS: usize = 20;
/// Attempts of a put whose outcome is unknown.
const MAX_PUTS: usize = 3;
/// Characters of a statement that the history keeps.
const MAX_STATEMENT: usize = 65_536;
/// How long what is known is served while the registry cannot be read.
const MAX_STALE_MICROS: i64 = 60_000_000;

type Result<T> = std::result::Result<T, RegistryError>;

/// The registry below one URL, and the newest version known here.
#[derive(Debug)]
pub struct RegistryStore {
    storage: Arc<Storage>,
    url: String,
    clock: Arc<dyn Clock>,
    current: RwLock<Arc<RegistrySnapshot>>,
    /// When the registry was last seen to have nothing newer; microseconds.
    checked_at: AtomicI64,
    refresh_every: i64,
    /// One look for newer versions at a time, one commit at a time.
    looking: tokio::sync::Mutex<()>,
    writing: tokio::sync::Mutex<()>,
    /// Whose turn it is among this gateway's own statements: they would lose races against each other until their patience ends.
    turn: tokio::sync::Mutex<()>,
}

impl RegistryStore {
    /// Opens the registry below `url`, or makes an empty one if nothing is there. What cannot be read, cannot be
    /// written, or is something else, is an error, and is left as it was.
    pub async fn open(storage: Arc<Storage>, url: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::open_with(storage, url, clock, Duration::from_secs(1)).await
    }

    /// The same with `registry_refresh`: how long [`RegistryStore::fresh`] may go without looking.
    pub async fn open_with(storage: Arc<Storage>, url: &str, clock: Arc<dyn Clock>, refresh: Duration) -> Result<Arc<Self>> {
        let store = Self {
            storage,
            url: url.trim_end_matches('/').to_owned(),
            clock,
            current: RwLock::new(Arc::new(RegistrySnapshot::default())),
            checked_at: AtomicI64::new(i64::MIN),
            turn: tokio::sync::Mutex::new(()),
            refresh_every: i64::try_from(refresh.as_micros()).unwrap_or(i64::MAX),
            looking: tokio::sync::Mutex::new(()),
            writing: tokio::sync::Mutex::new(()),
        };
        store.check_marker().await?;
        store.refresh().await?;
        Ok(Arc::new(store))
    }

    /// The newest version known here; asks nobody.
    pub fn current(&self) -> Arc<RegistrySnapshot> {
        Arc::clone(&self.current.read())
    }

    /// The newest version, looked for if the last look is longer ago than `registry_refresh`. While the registry cannot
    /// be read, what is known is served for a minute.
    pub async fn fresh(&self) -> Result<Arc<RegistrySnapshot>> {
        if self.age() < self.refresh_every {
            return Ok(self.current());
        }
        match self.refresh().await {
            Err(RegistryError::Storage(error)) if self.age() < MAX_STALE_MICROS => {
                tracing::warn!(%error, url = self.url, "the registry cannot be read; serving the version that is known");
                Ok(self.current())
            }
            outcome => outcome,
        }
    }

    /// Looks for versions that others committed.
    pub async fn refresh(&self) -> Result<Arc<RegistrySnapshot>> {
        let asked_at = self.clock.now_micros();
        let _one_at_a_time = self.looking.lock().await;
        // Somebody else looked while this call waited for its turn.
        if self.checked_at.load(Ordering::Acquire) > asked_at {
            return Ok(self.current());
        }
        let began = self.clock.now_micros();
        let newest = self.catch_up(self.current()).await?;
        self.checked_at.store(began, Ordering::Release);
        Ok(self.publish(newest))
    }

    /// Makes `changes` one version on top of `base`, durably, and says its NOTICEs. [`RegistryError::RaceLost`] if
    /// anything was committed since `base`. Changes without effect make no version.
    pub async fn commit(
        &self,
        base: &RegistrySnapshot,
        changes: &[RegistryChange],
        role: &str,
        statement: &str,
    ) -> Result<(Arc<RegistrySnapshot>, Vec<String>)> {
        let _one_at_a_time = self.writing.lock().await;
        let (mut next, notices) = base.apply_all(changes)?;
        let mut commit = CommitObject::between(base, &next);
        if commit.is_empty() {
            return Ok((self.current(), notices));
        }
        if self.current().version > base.version {
            return Err(RegistryError::RaceLost);
        }
        commit.committed_at = self.clock.now_micros();
        commit.role = role.to_owned();
        commit.statement = statement.chars().take(MAX_STATEMENT).collect();
        next.version = commit.version;
        self.put_commit(&commit).await?;
        let next = self.publish(Arc::new(next));
        if commit.version.is_multiple_of(SNAPSHOT_EVERY) {
            self.put_snapshot(&next).await;
        }
        Ok((next, notices))
    }

    /// The same for a statement outside BEGIN: on a lost race it is applied to the newest version and tried again, so
    /// that only the rules themselves can refuse it.
    pub async fn commit_autocommit(
        &self,
        changes: &[RegistryChange],
        role: &str,
        statement: &str,
    ) -> Result<(Arc<RegistrySnapshot>, Vec<String>)> {
        let _turn = self.turn.lock().await;
        for _ in 1..MAX_ATTEMPTS {
            let base = self.refresh().await?;
            match self.commit(&base, changes, role, statement).await {
                // The clock's step may be coarser than a race: look again, whenever the last look was.
                Err(RegistryError::RaceLost) => self.checked_at.store(i64::MIN, Ordering::Release),
                outcome => return outcome,
            }
        }
        Err(RegistryError::RaceLost)
    }

    /// The last `limit` commits before version `before` (or of all), newest first.
    pub async fn history(&self, before: Option<u64>, limit: usize) -> Result<Vec<HistoryEntry>> {
        let newest = self.current().version.min(before.map_or(u64::MAX, |before| before.saturating_sub(1)));
        let oldest = newest.saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX));
        futures::stream::iter((oldest + 1..=newest).rev())
            .map(async |version| {
                let commit = self.commit_of(version).await?;
                Ok(HistoryEntry { version, committed_at: commit.committed_at, role: commit.role, statement: commit.statement })
            })
            .buffered(CONCURRENT_READS)
            .try_collect()
            .await
    }

    /// Microseconds since the last look; a clock that went back counts as long ago.
    fn age(&self) -> i64 {
        let checked_at = self.checked_at.load(Ordering::Acquire);
        match self.clock.now_micros().checked_sub(checked_at) {
            Some(age) if age >= 0 => age,
            _ => i64::MAX,
        }
    }

    /// Makes this version the known one, unless a newer one is.
    fn publish(&self, snapshot: Arc<RegistrySnapshot>) -> Arc<RegistrySnapshot> {
        let mut current = self.current.write();
        if snapshot.version > current.version {
            *current = snapshot;
        }
        Arc::clone(&current)
    }

    fn version_url(&self, version: u64) -> String {
        format!("{}/versions/{version:020}.json", self.url)
    }

    fn snapshot_url(&self, version: u64) -> String {
        format!("{}/snapshots/{version:020}.json", self.url)
    }

    /// Whether this is a registry that we can read and write; makes one where nothing is.
    async fn check_marker(&self) -> Result<()> {
        let url = format!("{}/format.json", self.url);
        match self.storage.read(&url).await {
            Ok(bytes) => drop(format::decode::<Marker>(&url, &bytes)?),
            Err(StorageError::NotFound { .. }) => self.check_empty().await?,
            Err(error) => return Err(error.into()),
        }
        // Also when it is there: a store that may not be written says so now, not at the first CREATE.
        match self.storage.put_if_absent(&url, format::encode(&url, &Marker::default())?).await {
            Ok(()) | Err(StorageError::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn check_empty(&self) -> Result<()> {
        let Located { store, path, .. } = self.storage.locate(&self.url)?;
        match store.list(Some(&path)).next().await {
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(()),
            Some(Ok(found)) => Err(RegistryError::ForeignContent { url: self.url.clone(), found: found.location.to_string() }),
            Some(Err(source)) => Err(StorageError::of(&self.url, source).into()),
        }
    }

    async fn commit_of(&self, version: u64) -> Result<CommitObject> {
        let url = self.version_url(version);
        let commit: CommitObject = format::decode(&url, &self.storage.read(&url).await?)?;
        if commit.version == version {
            Ok(commit)
        } else {
            Err(RegistryError::Damaged { url, reason: format!("it says it is version {}", commit.version) })
        }
    }

    async fn exists(&self, version: u64) -> Result<bool> {
        let url = self.version_url(version);
        let Located { store, path, .. } = self.storage.locate(&url)?;
        match store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(StorageError::of(&url, source).into()),
        }
    }

    /// The newest version, given one that exists (or 0).
    async fn newest_after(&self, mut newest: u64) -> Result<u64> {
        let mut step = 1;
        while self.exists(newest + step).await? {
            newest += step;
            step *= 2;
        }
        // newest exists, newest + step does not.
        while step > 1 {
            step /= 2;
            if self.exists(newest + step).await? {
                newest += step;
            }
        }
        Ok(newest)
    }

    /// The newest state, from one that is known.
    async fn catch_up(&self, known: Arc<RegistrySnapshot>) -> Result<Arc<RegistrySnapshot>> {
        let newest = self.newest_after(known.version).await?;
        if newest == known.version {
            return Ok(known);
        }
        let mut state = (*known).clone();
        let mut full = newest / SNAPSHOT_EVERY * SNAPSHOT_EVERY;
        while full > state.version {
            let url = self.snapshot_url(full);
            match self.storage.read(&url).await {
                Ok(bytes) => {
                    let object: SnapshotObject = format::decode(&url, &bytes)?;
                    if object.version != full {
                        return Err(RegistryError::Damaged { url, reason: format!("it says it is version {}", object.version) });
                    }
                    state = object.into();
                }
                Err(StorageError::NotFound { .. }) => full -= SNAPSHOT_EVERY,
                Err(error) => return Err(error.into()),
            }
        }
        let replayed_from = state.version;
        let mut newest_full = None;
        let mut commits =
            futures::stream::iter(state.version + 1..=newest).map(|version| self.commit_of(version)).buffered(CONCURRENT_READS);
        while let Some(commit) = commits.try_next().await? {
            commit.replay(&mut state);
            if state.version == newest / SNAPSHOT_EVERY * SNAPSHOT_EVERY {
                newest_full = Some(state.clone());
            }
        }
        drop(commits);
        // Writers that died before writing their snapshot: the next reader must not pay for it again.
        if let (Some(full), true) = (newest_full, newest - replayed_from > 2 * SNAPSHOT_EVERY) {
            self.put_snapshot(&full).await;
        }
        Ok(Arc::new(state))
    }

    /// Puts the commit; after an unclear failure finds out whether it is there.
    async fn put_commit(&self, commit: &CommitObject) -> Result<()> {
        let url = self.version_url(commit.version);
        let bytes = format::encode(&url, commit)?;
        let mut attempt = 1;
        loop {
            let failure = match self.storage.put_if_absent(&url, bytes.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // A retry inside the client may have met its own object, so "exists" is no answer either.
            match self.commit_of(commit.version).await {
                Ok(found) if found.id == commit.id => return Ok(()),
                Ok(_) => return Err(RegistryError::RaceLost),
                Err(RegistryError::Storage(StorageError::NotFound { .. })) if attempt == MAX_PUTS => return Err(failure.into()),
                Err(RegistryError::Storage(_)) if attempt < MAX_PUTS => attempt += 1,
                Err(RegistryError::Storage(_)) => return Err(RegistryError::OutcomeUnknown { version: commit.version, source: failure }),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a full snapshot; failing is harmless.
    async fn put_snapshot(&self, snapshot: &RegistrySnapshot) {
        let url = self.snapshot_url(snapshot.version);
        let outcome = match format::encode(&url, &SnapshotObject::from(snapshot)) {
            Ok(bytes) => self.storage.put_if_absent(&url, bytes).await.map_err(RegistryError::from),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) | Err(RegistryError::Storage(StorageError::AlreadyExists { .. })) => {}
            Err(error) => tracing::warn!(%error, url, "a snapshot of the registry could not be written; opening it takes longer"),
        }
    }
}
