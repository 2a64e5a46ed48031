//! Credentials that the catalog hands out for one table's files, renewed before they end.
//!
//! They come with the table: in its `config` for all of its files, and in `storage-credentials` for those below a prefix, of
//! which the longest counts. A scan may outlive them, so the stores ask for them at each request, and what is about
//! to end is replaced by loading the table once more. Where the server did not say when they end, they are replaced when S3 says that they did.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::server::{Server, Table};
use crate::config::Secret;
use crate::error::Report;
use crate::source::{SourceError, TableIdent};
use crate::storage::{S3Credentials, StorageProperties, VendedCredentials};

/// When credentials end, in milliseconds since 1970, by the names that servers use.
pub(super) const EXPIRY: [&str; 2] = ["s3.session-token-expires-at-ms", "expiration-time"];

/// What is secret among the properties, and when it ends: all that a renewal changes.
const CREDENTIALS: [&str; 5] =
    ["s3.access-key-id", "s3.secret-access-key", "s3.session-token", "s3.session-token-expires-at-ms", "expiration-time"];

/// Credentials are replaced this long before their end, milliseconds.
const EARLY_MS: i64 = 60_000;

/// One table's.
#[derive(Debug)]
pub(super) struct Vended {
    server: Arc<Server>,
    ident: TableIdent,
    levels: Vec<String>,
    sets: Mutex<Sets>,
    renewing: tokio::sync::Mutex<()>,
}

/// By prefix; the empty one is the table's `config`.
#[derive(Clone, Default)]
struct Sets {
    by_prefix: Vec<(String, StorageProperties)>,
    table_uuid: Option<String>,
    /// Counts replacements.
    number: u64,
    /// S3 refused them.
    refused: bool,
}

impl std::fmt::Debug for Sets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.by_prefix.iter().map(|(prefix, _)| prefix)).finish()
    }
}

/// The sets that hold credentials.
pub(super) fn sets(config: &StorageProperties, credentials: &[(String, StorageProperties)]) -> Vec<(String, StorageProperties)> {
    let of_table = [(String::new(), config.clone())];
    let all = of_table.into_iter().chain(credentials.iter().cloned());
    all.filter(|(_, properties)| properties.contains_key("s3.access-key-id") && properties.contains_key("s3.secret-access-key")).collect()
}

/// Properties without what is secret.
pub(super) fn places(properties: &StorageProperties) -> StorageProperties {
    properties.iter().filter(|(key, _)| !CREDENTIALS.contains(&key.as_str())).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn ends(properties: &StorageProperties) -> Option<i64> {
    EXPIRY.iter().find_map(|key| properties.get(*key)?.parse().ok())
}

fn now_ms() -> i64 {
    use crate::clock::Clock;
    crate::clock::SystemClock.now_micros() / 1000
}

impl Vended {
    pub(super) fn new(
        server: Arc<Server>,
        ident: TableIdent,
        levels: Vec<String>,
        by_prefix: Vec<(String, StorageProperties)>,
        table_uuid: Option<String>,
    ) -> Arc<Self> {
        let sets = Mutex::new(Sets { by_prefix, table_uuid, number: 0, refused: false });
        Arc::new(Self { server, ident, levels, sets, renewing: tokio::sync::Mutex::new(()) })
    }

    /// Takes newer ones.
    pub(super) fn replace(&self, by_prefix: Vec<(String, StorageProperties)>) {
        let mut sets = self.sets.lock();
        sets.by_prefix = by_prefix;
        sets.number += 1;
        sets.refused = false;
    }

    /// Whether the next request should have newer ones.
    pub(super) fn is_ending(&self) -> bool {
        let sets = self.sets.lock();
        sets.refused || sets.by_prefix.iter().any(|(_, properties)| ends(properties).is_some_and(|end| end - EARLY_MS <= now_ms()))
    }

    async fn renew(&self) -> Result<(), SourceError> {
        let number = self.sets.lock().number;
        let _one = self.renewing.lock().await;
        // Whoever waited finds them renewed.
        if self.sets.lock().number != number {
            return Ok(());
        }
        match self.server.load(&self.levels, &self.ident.table, None).await? {
            Table::Loaded(loaded) => {
                let known = self.sets.lock().table_uuid.clone();
                if known.is_some() && loaded.metadata.table_uuid != known {
                    return Err(self.server.client.failed(&format!("table \"{}\" was replaced by another one", self.ident)));
                }
                self.replace(sets(&loaded.config, &loaded.credentials));
                Ok(())
            }
            Table::Missing | Table::Unchanged => Err(SourceError::UnknownTable { ident: self.ident.clone(), known: Vec::new() }),
        }
    }

    fn current(&self, prefix: &str) -> Option<StorageProperties> {
        self.sets.lock().by_prefix.iter().find(|(known, _)| known == prefix).map(|(_, properties)| properties.clone())
    }
}

#[async_trait]
impl VendedCredentials for Vended {
    fn prefix(&self, url: &str) -> Option<String> {
        let sets = self.sets.lock();
        let fits = |prefix: &&String| url.starts_with(prefix.as_str()) || same_place(url, prefix);
        sets.by_prefix.iter().map(|(prefix, _)| prefix).filter(fits).max_by_key(|prefix| prefix.len()).cloned()
    }

    fn properties(&self, prefix: &str) -> StorageProperties {
        self.current(prefix).map(|properties| places(&properties)).unwrap_or_default()
    }

    async fn credentials(&self, prefix: &str) -> Result<S3Credentials, Box<Report>> {
        let report = |error: SourceError| {
            let told: Report = error.into();
            Box::new(told)
        };
        if self.is_ending() {
            let refused = self.sets.lock().refused;
            let renewed = self.renew().await;
            let still_valid = |properties: &StorageProperties| ends(properties).is_some_and(|end| end > now_ms());
            if let Err(error) = renewed
                && (refused || !self.current(prefix).is_some_and(|properties| still_valid(&properties)))
            {
                return Err(report(error));
            }
        }
        let properties = self
            .current(prefix)
            .ok_or_else(|| report(self.server.client.failed(&format!("it gives no credentials for \"{prefix}\" any more"))))?;
        let get = |key: &str| properties.get(key).cloned();
        Ok(S3Credentials {
            key_id: get("s3.access-key-id").unwrap_or_default(),
            secret: Secret::new(get("s3.secret-access-key").unwrap_or_default()),
            token: get("s3.session-token").map(Secret::new),
        })
    }

    fn refused(&self) {
        self.sets.lock().refused = true;
    }
}

/// `s3a://` and `s3n://` are other words for `s3://`.
fn same_place(url: &str, prefix: &str) -> bool {
    let bare = |text: &str| text.split_once("://").map(|(_, rest)| rest.to_owned());
    match (bare(url), bare(prefix)) {
        (Some(url), Some(prefix)) => url.starts_with(&prefix),
        _ => false,
    }
}
