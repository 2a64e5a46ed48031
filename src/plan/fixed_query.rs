//! [`FixedQuery`]: the rows of an `AS SELECT` view, planned by fixed settings whatever the session's are.
//!
//! Were the view's query part of the statement's plan, its casts and comparisons of times would follow the session's time
//! zone. Filters are applied above it; the projection is part of it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// A view's query as a relation.
#[derive(Debug)]
pub(super) struct FixedQuery {
    plan: LogicalPlan,
    planner: Arc<SessionState>,
}

impl FixedQuery {
    /// The rows of `plan`, planned by `planner`.
    pub(super) fn new(plan: LogicalPlan, planner: Arc<SessionState>) -> Self {
        Self { plan, planner }
    }
}

#[async_trait]
impl TableProvider for FixedQuery {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut builder = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(projection) = projection {
            let schema = self.plan.schema();
            let columns = projection.iter().map(|index| Expr::Column(Column::from(schema.qualified_field(*index))));
            builder = builder.project(columns.collect::<Vec<_>>())?;
        }
        if limit.is_some() {
            builder = builder.limit(0, limit)?;
        }
        self.planner.create_physical_plan(&builder.build()?).await
    }
}
