//! A registered feature view met with its live source: which columns of the rows are keys, times and features now.
//!
//! Views over tables bind by field id, so a rename in the source changes nothing here but the column's position; a
//! column that is gone is 42703 and another table under the name 55000, at the first statement that needs the view.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::Column;
use datafusion::datasource::{TableProvider, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::error;
use super::fixed_query::FixedQuery;
use crate::error::{Report, SqlState, perhaps_you_meant};
use crate::registry::{ColumnBinding, FeatureView, RegistrySnapshot, ViewSource};
use crate::source::TableSnapshot;
use crate::table::{SnapshotTable, TableOptions};

/// Where a view's rows come from in this statement.
#[derive(Debug, Clone)]
pub enum ViewRows {
    /// A pinned table.
    Snapshot {
        /// The snapshot.
        snapshot: Arc<TableSnapshot>,
        /// The same as a relation.
        table: Arc<SnapshotTable>,
    },
    /// `AS SELECT`.
    Query {
        /// Its plan.
        plan: Box<LogicalPlan>,
        /// The fixed settings that it is planned by, whatever the session's are.
        planner: Arc<SessionState>,
    },
}

/// A join key of a view.
#[derive(Debug, Clone)]
pub struct ViewKey {
    /// The name that entity rows use.
    pub name: String,
    /// Index into [`ResolvedView::schema`].
    pub column: usize,
}

/// A view, ready to be read.
#[derive(Debug, Clone)]
pub struct ResolvedView {
    /// Its definition.
    pub view: Arc<FeatureView>,
    /// Its rows.
    pub rows: ViewRows,
    /// All columns of the rows.
    pub schema: SchemaRef,
    /// Join keys, in the entities' order.
    pub keys: Vec<ViewKey>,
    /// The event timestamp's index.
    pub timestamp: usize,
    /// The created timestamp's.
    pub created: Option<usize>,
    /// Valid-until's.
    pub valid_until: Option<usize>,
    /// The features', in declared order.
    pub features: Vec<usize>,
}

impl ResolvedView {
    /// Binds a view to its rows.
    pub fn bind(view: Arc<FeatureView>, registry: &RegistrySnapshot, rows: ViewRows) -> Result<Self, Report> {
        let schema = match &rows {
            ViewRows::Snapshot { snapshot, table } => {
                same_table(&view, snapshot)?;
                table.schema()
            }
            ViewRows::Query { plan, .. } => Arc::new(Schema::clone(plan.schema().as_arrow())),
        };
        let find = |binding: &ColumnBinding| column(&view, &rows, &schema, binding);
        let mut keys = Vec::new();
        for entity in &view.entities {
            let registered = registry.entities.get(&entity.entity).ok_or_else(|| {
                Report::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("entity \"{}\" of feature view \"{}\" does not exist", entity.entity, view.name),
                )
            })?;
            for (key, binding) in registered.keys.iter().zip(&entity.columns) {
                keys.push(ViewKey { name: key.name.clone(), column: find(binding)? });
            }
        }
        let timestamp = find(&view.timestamp)?;
        let created = view.created.as_ref().map(find).transpose()?;
        let valid_until = view.valid_until.as_ref().map(find).transpose()?;
        let features = view.features.iter().map(|feature| find(&feature.column)).collect::<Result<_, _>>()?;
        Ok(Self { view: Arc::clone(&view), schema, keys, timestamp, created, valid_until, features, rows })
    }

    /// The position of a feature among [`Self::features`], or 42703 with the nearest name.
    pub fn feature(&self, name: &str) -> Result<usize, Report> {
        self.view.features.iter().position(|feature| feature.name == name).ok_or_else(|| {
            let report = Report::new(
                SqlState::UNDEFINED_COLUMN,
                format!("feature \"{name}\" does not exist in feature view \"{}\"", self.view.name),
            );
            match perhaps_you_meant(name, self.view.features.iter().map(|feature| feature.name.as_str())) {
                Some(hint) => report.hint(hint),
                None => report,
            }
        })
    }

    /// The view as a relation: keys by the entities' names, times by the source's, features by the view's.
    pub fn relation(&self) -> Result<LogicalPlan, Report> {
        let provider: Arc<dyn TableProvider> = match &self.rows {
            ViewRows::Snapshot { table, .. } => Arc::clone(table) as _,
            ViewRows::Query { plan, planner } => Arc::new(FixedQuery::new(plan.as_ref().clone(), Arc::clone(planner))),
        };
        let input = LogicalPlanBuilder::scan(self.view.name.as_str(), provider_as_source(provider), None);
        let expressions = self
            .columns()
            .into_iter()
            .map(|(name, column)| Expr::Column(Column::new(Some(self.view.name.as_str()), self.schema.field(column).name())).alias(name));
        input
            .and_then(|builder| builder.project(expressions.collect::<Vec<_>>()))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|failure| error::without_position(&failure))
    }

    /// All rows with the columns of [`Self::schema`] by the source's names; and whether the commit order stands behind them.
    pub fn source(&self) -> Result<(LogicalPlan, bool), Report> {
        let (provider, commit_order): (Arc<dyn TableProvider>, bool) = match &self.rows {
            ViewRows::Snapshot { snapshot, .. } => {
                (Arc::new(SnapshotTable::new(Arc::clone(snapshot), TableOptions { metadata_columns: true })?), true)
            }
            ViewRows::Query { plan, planner } => (Arc::new(FixedQuery::new(plan.as_ref().clone(), Arc::clone(planner))), false),
        };
        LogicalPlanBuilder::scan(self.view.name.as_str(), provider_as_source(provider), None)
            .and_then(LogicalPlanBuilder::build)
            .map(|plan| (plan, commit_order))
            .map_err(|failure| error::without_position(&failure))
    }

    /// Names and source indices of the relation's columns. A column that is both key and time appears once.
    pub fn columns(&self) -> Vec<(String, usize)> {
        let mut columns: Vec<(String, usize)> = Vec::new();
        let mut add = |name: &str, column: usize| {
            if !columns.iter().any(|(taken, _)| taken == name) {
                columns.push((name.to_owned(), column));
            }
        };
        for key in &self.keys {
            add(&key.name, key.column);
        }
        add(&self.view.timestamp.name, self.timestamp);
        if let (Some(binding), Some(column)) = (&self.view.created, self.created) {
            add(&binding.name, column);
        }
        if let (Some(binding), Some(column)) = (&self.view.valid_until, self.valid_until) {
            add(&binding.name, column);
        }
        for (feature, column) in self.view.features.iter().zip(&self.features) {
            add(&feature.name, *column);
        }
        columns
    }
}

/// Whether a column of this type can say when a row is true.
pub fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Date32 | DataType::Timestamp(TimeUnit::Nanosecond | TimeUnit::Microsecond | TimeUnit::Millisecond | TimeUnit::Second, _)
    )
}

/// The view's table is the one it was created over.
fn same_table(view: &FeatureView, snapshot: &TableSnapshot) -> Result<(), Report> {
    let ViewSource::Table { table_uuid: Some(expected), .. } = &view.source else { return Ok(()) };
    match snapshot.table_uuid() {
        Some(found) if found != expected.as_str() => Err(Report::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("table \"{}\" is not the one that feature view \"{}\" was created over", snapshot.ident, view.name),
        )
        .detail(format!("Its table-uuid was {expected} and is {found} now: the table was dropped and created again."))
        .hint("CREATE OR REPLACE FEATURE VIEW binds the view to the new table.")),
        _ => Ok(()),
    }
}

/// The index of a bound column in the rows' schema.
fn column(view: &FeatureView, rows: &ViewRows, schema: &Schema, binding: &ColumnBinding) -> Result<usize, Report> {
    let found = match (rows, binding.field_id) {
        (ViewRows::Snapshot { .. }, Some(id)) => schema.fields().iter().position(|field| field_id(field) == Some(id)),
        _ => schema.fields().iter().position(|field| field.name() == &binding.name),
    };
    found.ok_or_else(|| {
        Report::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{}\" of feature view \"{}\" does not exist in its source", binding.name, view.name),
        )
        .hint("CREATE OR REPLACE FEATURE VIEW with a column that the source has.")
    })
}

/// The Iceberg field id that a snapshot's schema carries in its fields' metadata.
pub fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(parquet::arrow::PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}
