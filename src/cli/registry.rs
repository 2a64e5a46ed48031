//! `featgres registry dump` and `registry verify`: the registry without a gateway in front of it.

use std::process::ExitCode;
use std::sync::Arc;

use super::block_on;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::Report;
use crate::registry::{RegistrySnapshot, RegistryStore, entity_definition, feature_view_definition};
use crate::storage::Storage;

/// How many versions are read at a time.
const PAGE: usize = 256;

pub(super) fn dump(config: &Config) -> Result<ExitCode, Report> {
    block_on(async move {
        print!("{}", definitions(&open(config).await?.current()));
        Ok(ExitCode::SUCCESS)
    })
}

/// Opening reads the newest state; the history reads every commit below it, and fails on the first that is missing or damaged.
pub(super) fn verify(config: &Config) -> Result<ExitCode, Report> {
    block_on(async move {
        let store = open(config).await?;
        let snapshot = store.current();
        let (mut before, mut versions) = (None, 0);
        loop {
            let page = store.history(before, PAGE).await?;
            versions += page.len();
            match page.last() {
                Some(oldest) if oldest.version > 1 => before = Some(oldest.version),
                _ => break,
            }
        }
        println!(
            "registry {} is whole: version {}, {versions} commits, {} entities, {} feature views",
            config.registry,
            snapshot.version,
            snapshot.entities.len(),
            snapshot.feature_views.len()
        );
        Ok(ExitCode::SUCCESS)
    })
}

/// Everything in an order in which it can be created: entities, then what uses them.
pub(super) fn definitions(snapshot: &RegistrySnapshot) -> String {
    let entities = snapshot.entities.values().map(entity_definition);
    let views = snapshot.feature_views.values().map(feature_view_definition);
    entities.chain(views).map(|definition| format!("{};\n\n", definition.trim_end_matches(';'))).collect()
}

async fn open(config: &Config) -> Result<Arc<RegistryStore>, Report> {
    Ok(RegistryStore::open(Storage::new(config.registry_properties())?, &config.registry, Arc::new(SystemClock)).await?)
}
