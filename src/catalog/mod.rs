//! What SQL can name besides tables of sources: the relations of `feature_store`, `pg_catalog` and `information_schema`.
//!
//! All of them are plain in-memory relations made for one statement from a registry snapshot; none calls anybody. What
//! is only known live (a view's snapshot, its counts) was asked for by the planner before and comes in with [`StoreState`].

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

mod backends;
mod columns;
mod feature_store;
mod functions;
mod pg_catalog;
mod pg_functions;
mod session_facts;
mod session_function;

pub use feature_store::{LiveView, RetrievedTable, Status, StoreState, entities, feature_views, features, status};
pub use functions::session_functions;
pub use pg_catalog::Catalog;
pub use pg_catalog::functions::{function as catalog_function, object_id};
pub use pg_functions::{
    Builtin, FIELDS_WITH_FRACTION, SEARCHED_CASE, SIMPLE_CASE, WHOLE_ROW, aggregate_functions, builtin_functions, byte_concatenation,
    common_name, common_type, contains_all, extract_fraction, json_operator, make_array, moment_and_interval, row, strpos,
    text_concatenation, unmatched,
};
pub use session_facts::{
    BackendFacts, Backends, CursorFacts, Encryption, PreparedFacts, ServerStatistics, SessionFacts, Settings, StatementUse,
};

use crate::registry::RegistrySnapshot;

/// The system's relations as one statement sees them.
#[derive(Debug)]
pub struct SystemRelations<'a> {
    registry: &'a RegistrySnapshot,
    state: &'a StoreState,
    catalog: &'a Catalog,
}

impl<'a> SystemRelations<'a> {
    /// Over this registry version.
    pub fn new(registry: &'a RegistrySnapshot, state: &'a StoreState, catalog: &'a Catalog) -> Self {
        Self { registry, state, catalog }
    }

    /// The relation of this name. Without a schema, only `pg_catalog` is searched, as in PostgreSQL.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<Arc<dyn TableProvider>> {
        let batch = match schema {
            Some("feature_store") => feature_store::relation(name, self.registry, self.state)?,
            Some(schema @ ("pg_catalog" | "information_schema")) => self.catalog.rows(schema, name)?,
            None => self.catalog.rows("pg_catalog", name)?,
            Some(_) => return None,
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).ok()?;
        Some(Arc::new(SystemTable { table }))
    }
}

/// A system relation: small, in memory, and known as such to the planner, which may read it as often as it needs.
#[derive(Debug)]
pub struct SystemTable {
    table: MemTable,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.table.scan(state, projection, filters, limit).await
    }
}
