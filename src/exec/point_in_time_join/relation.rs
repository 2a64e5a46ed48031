//! [`RelationRows`]: any relation as feature rows, for `AS SELECT` views and `ASOF JOIN`.
//!
//! A relation has no row to go back to: its plan may filter, join and compute. So `can_fetch` is false: the join streams all columns
//! it may need and keeps those of winners. Until the statement is planned this holds a logical plan; the join's planner makes a physical
//! plan of it that computes the used columns only. Every use of one `RelationRows` (by `Arc`) within a statement shares one
//! execution. Running the plan again would read the same rows as long as its tables are pinned, which is the plan layer's part.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::UInt64Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::Column;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::feature_rows::{FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator};

/// The rows of a query.
pub struct RelationRows {
    schema: SchemaRef,
    description: String,
    source: Source,
}

enum Source {
    /// Not planned yet; perhaps to be planned by fixed settings instead of the session's.
    Logical { plan: Box<LogicalPlan>, planner: Option<Arc<SessionState>> },
    /// Planned: which of the relation's columns the plan gives, in its order.
    Physical { plan: Arc<dyn ExecutionPlan>, columns: Vec<usize> },
}

impl RelationRows {
    /// The rows of `plan`, planned together with the statement by its session's settings. `description` is for EXPLAIN.
    pub fn new(plan: LogicalPlan, description: impl Into<String>) -> Self {
        let schema = Arc::clone(plan.schema().inner());
        Self { schema, description: description.into(), source: Source::Logical { plan: Box::new(plan), planner: None } }
    }

    /// The same, but planned by `planner`, whatever the session says: a view means the same to everybody.
    #[must_use]
    pub fn planned_by(mut self, planner: Arc<SessionState>) -> Self {
        if let Source::Logical { planner: own, .. } = &mut self.source {
            *own = Some(planner);
        }
        self
    }

    /// The rows of a physical plan.
    pub fn physical(plan: Arc<dyn ExecutionPlan>, description: impl Into<String>) -> Self {
        let columns = (0..plan.schema().fields().len()).collect();
        Self { schema: plan.schema(), description: description.into(), source: Source::Physical { plan, columns } }
    }

    /// This relation planned for execution, giving `columns` (ascending) only; `None` if it is planned already.
    pub(super) async fn plan(&self, columns: Vec<usize>, session: &dyn Session) -> Result<Option<Self>> {
        let Source::Logical { plan, planner } = &self.source else { return Ok(None) };
        let fields = plan.schema();
        let exprs: Vec<Expr> = columns.iter().map(|column| Expr::Column(Column::from(fields.qualified_field(*column)))).collect();
        let projected = LogicalPlanBuilder::from(plan.as_ref().clone()).project(exprs)?.build()?;
        let plan = match planner {
            Some(planner) => planner.create_physical_plan(&projected).await?,
            None => session.create_physical_plan(&projected).await?,
        };
        let schema = Arc::clone(&self.schema);
        Ok(Some(Self { schema, description: self.description.clone(), source: Source::Physical { plan, columns } }))
    }

    /// The physical plan, if there is one yet: EXPLAIN and metrics look into it.
    pub fn physical_plan(&self) -> Option<&Arc<dyn ExecutionPlan>> {
        match &self.source {
            Source::Physical { plan, .. } => Some(plan),
            Source::Logical { .. } => None,
        }
    }
}

impl fmt::Debug for RelationRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelationRows").field("description", &self.description).finish_non_exhaustive()
    }
}

#[async_trait]
impl FeatureRows for RelationRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn can_fetch(&self) -> bool {
        false
    }

    async fn scan(
        &self,
        request: &FeatureScan,
        context: &Arc<TaskContext>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Vec<FeatureStream>> {
        let Source::Physical { plan, columns } = &self.source else {
            return Err(DataFusionError::Internal(format!("the relation \"{}\" was not planned", self.description)));
        };
        let mut projection = Vec::with_capacity(request.columns.len());
        for wanted in &request.columns {
            let place = columns.iter().position(|column| column == wanted).ok_or_else(|| {
                DataFusionError::Internal(format!("column {wanted} of the relation \"{}\" was not planned", self.description))
            })?;
            projection.push(place);
        }
        let partitions = plan.output_partitioning().partition_count();
        let mut streams: Vec<FeatureStream> = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let projection = projection.clone();
            let stream = plan.execute(partition, Arc::clone(context))?;
            let batches = stream
                .map(move |batch| Ok(FeatureBatch { columns: batch?.project(&projection)?, locators: None::<UInt64Array>, ceiling: None }));
            streams.push(batches.boxed());
        }
        Ok(bounded(streams, request.partitions.max(1)))
    }

    async fn fetch(
        &self,
        _locators: &[Locator],
        _columns: &[usize],
        _context: &Arc<TaskContext>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        Err(DataFusionError::Internal(format!("rows of the relation \"{}\" cannot be fetched", self.description)))
    }

    fn describe(&self) -> String {
        self.description.clone()
    }

    fn same_rows(&self, other: &dyn FeatureRows) -> bool {
        let Some(other) = (other as &dyn Any).downcast_ref::<Self>() else { return false };
        match (&self.source, &other.source) {
            (Source::Physical { plan: a, .. }, Source::Physical { plan: b, .. }) => Arc::ptr_eq(a, b),
            _ => std::ptr::eq(self, other),
        }
    }
}

/// At most `limit` streams. Those that share one are read side by side, not one after the other: partitions of one plan can wait
/// for each other (a repartitioning does), so each of them has to be polled.
fn bounded(streams: Vec<FeatureStream>, limit: usize) -> Vec<FeatureStream> {
    if streams.len() <= limit {
        return streams;
    }
    let mut groups: Vec<Vec<FeatureStream>> = (0..limit).map(|_| Vec::new()).collect();
    for (place, stream) in streams.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(place % limit) {
            group.push(stream);
        }
    }
    groups.into_iter().map(|group| futures::stream::select_all(group).boxed()).collect()
}
