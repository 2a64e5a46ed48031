//! What SQL can name besides tables of sources: the relations of `feature_store`, `pg_catalog` and `information_schema`.
//!
//! All of them are plain in-memory relations made for one statement from a registry snapshot; none calls anybody. What
//! is only known live (a view's snapshot, its counts) was asked for by the planner before and comes in with [`StoreState`].

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;

mod columns;
mod feature_store;
mod functions;

pub use feature_store::{LiveView, RetrievedTable, Status, StoreState, entities, feature_views, features, status};
pub use functions::{SessionFacts, Settings, session_functions};

use crate::registry::RegistrySnapshot;

/// The system's relations as one statement sees them.
#[derive(Debug)]
pub struct SystemRelations<'a> {
    registry: &'a RegistrySnapshot,
    state: &'a StoreState,
}

impl<'a> SystemRelations<'a> {
    /// Over this registry version.
    pub fn new(registry: &'a RegistrySnapshot, state: &'a StoreState) -> Self {
        Self { registry, state }
    }

    /// The relation of this name. Without a schema, only `pg_catalog` is searched, as in PostgreSQL.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<Arc<dyn TableProvider>> {
        let batch = match schema {
            Some("feature_store") => feature_store::relation(name, self.registry, self.state)?,
            _ => return None,
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).ok()?;
        Some(Arc::new(table))
    }
}
