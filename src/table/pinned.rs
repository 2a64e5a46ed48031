//! [`PinnedTable`]: a pinned snapshot with what every scan of it needs.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;

use super::error::TableError;
use super::field_ids::{field_id, shown};
use super::footer_cache::FooterCache;
use super::reader_factory::StorageReaderFactory;
use super::schema::arrow_schema;
use crate::source::TableSnapshot;
use crate::source::iceberg::NameMapping;

/// A snapshot, its columns as Arrow's, and how its files are read.
#[derive(Debug)]
pub struct PinnedTable {
    /// The snapshot.
    pub snapshot: Arc<TableSnapshot>,
    /// The table's columns, with field ids at every depth.
    pub arrow: SchemaRef,
    /// The same as rows have them: see [`shown`].
    pub shown: SchemaRef,
    /// For files without field ids.
    pub name_mapping: Option<Arc<NameMapping>>,
    /// Whether columns are found by name in every file, whatever ids the files have.
    pub by_name: bool,
    footers: Arc<FooterCache>,
}

impl PinnedTable {
    /// Of this snapshot; reads nothing.
    pub fn new(snapshot: Arc<TableSnapshot>) -> Result<Self, TableError> {
        let name_mapping = snapshot
            .metadata
            .name_mapping()
            .transpose()
            .map_err(|reason| TableError::DamagedMetadata { table: snapshot.ident.to_string(), reason })?
            .map(Arc::new);
        let (arrow, by_name) = (arrow_schema(&snapshot.schema), snapshot.is_listed());
        let shown = Arc::new(Schema::new(arrow.fields().iter().map(|field| shown(field)).collect::<Vec<_>>()));
        Ok(Self { arrow, shown, name_mapping, by_name, snapshot, footers: FooterCache::process() })
    }

    /// Readers of its files; they report to `metrics`, if given, else to their scan.
    pub fn readers(&self, metrics: Option<ExecutionPlanMetricsSet>, page_offsets: bool) -> StorageReaderFactory {
        StorageReaderFactory::new(Arc::clone(&self.snapshot.storage), Arc::clone(&self.footers), metrics, page_offsets)
    }

    /// The position of the column with this field id.
    pub fn position(&self, id: i32) -> Option<usize> {
        self.arrow.fields().iter().position(|field| field_id(field) == Some(id))
    }

    /// The expression with each column replaced by that of its field id; none if a column is nested, not the table's, or has no
    /// replacement.
    pub fn rename_columns(
        &self,
        expr: &Arc<dyn PhysicalExpr>,
        replacement: impl Fn(i32) -> Option<Column>,
    ) -> Option<Arc<dyn PhysicalExpr>> {
        let mut all = true;
        let renamed = Arc::clone(expr).transform_up(|node| {
            let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
            let field = self.arrow.field_with_name(column.name()).ok().filter(|field| !field.data_type().is_nested());
            match field.and_then(field_id).and_then(&replacement) {
                Some(column) => Ok(Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>)),
                None => {
                    all = false;
                    Ok(Transformed::no(node))
                }
            }
        });
        renamed.ok().filter(|_| all).map(|renamed| renamed.data)
    }
}
