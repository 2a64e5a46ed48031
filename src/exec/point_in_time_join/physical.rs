//! [`PointInTimeJoinExec`]: the operator, and [`PointInTimeJoinPlanner`], which makes it of the logical node.
//!
//! The entity rows are the only child; the feature rows are the operator's own business and show in its EXPLAIN line. Output is one
//! partition: what runs in parallel (streams of feature rows, fetches, gathers) does so inside. All state belongs to the
//! output stream: dropping that stops every task.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, CardinalityEffect, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::{StreamExt, TryStreamExt, stream};

use super::logical::{self, PointInTimeJoin};
use super::lookup::{EntityTime, Lookup, OutputColumn};
use super::metrics::{JoinMetrics, TieCounter};
use super::pass::Surroundings;
use super::relation::RelationRows;
use super::run::Join;

/// See the module's documentation.
#[derive(Debug)]
pub struct PointInTimeJoinExec {
    input: Arc<dyn ExecutionPlan>,
    join: Arc<Join>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl PointInTimeJoinExec {
    /// Joins `outputs` of `lookups` to the rows of `input`. Relations among the lookups must have been planned.
    pub fn try_new(
        input: Arc<dyn ExecutionPlan>,
        entity_time: EntityTime,
        lookups: Vec<Lookup>,
        outputs: Vec<OutputColumn>,
        ties: Arc<TieCounter>,
    ) -> Result<Self> {
        let entity = input.schema();
        let unit = entity_time.validate(&entity)?;
        let kinds = lookups.iter().map(|lookup| Ok(lookup.validate(&entity)?)).collect::<Result<Vec<_>>>()?;
        let mut fields: Vec<_> = entity.fields().iter().map(Arc::clone).collect();
        for output in &outputs {
            fields.push(Arc::new(logical::output_field(&lookups, output)?));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, entity.metadata().clone()));
        let join = Join { entity_time, lookups, kinds, outputs, unit, schema, ties };
        Ok(Self::over(input, Arc::new(join)))
    }

    /// The plans of lookups that are relations, each once: they are no children of the node, but what they read is read for it.
    pub fn relations(&self) -> impl Iterator<Item = &Arc<dyn ExecutionPlan>> {
        let lookups = &self.join.lookups;
        lookups.iter().enumerate().filter_map(move |(place, lookup)| {
            let first = !lookups.iter().take(place).any(|other| Arc::ptr_eq(&other.rows, &lookup.rows));
            let relation = (lookup.rows.as_ref() as &dyn Any).downcast_ref::<RelationRows>()?;
            relation.physical_plan().filter(|_| first)
        })
    }

    fn over(input: Arc<dyn ExecutionPlan>, join: Arc<Join>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&join.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, join, metrics: ExecutionPlanMetricsSet::new(), properties: Arc::new(properties) }
    }
}

impl DisplayAs for PointInTimeJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PointInTimeJoinExec: ")?;
        logical::describe(f, &self.input.schema(), &self.join.entity_time, &self.join.lookups, &self.join.outputs)
    }
}

impl ExecutionPlan for PointInTimeJoinExec {
    fn name(&self) -> &'static str {
        "PointInTimeJoinExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.join.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::over(input, Arc::clone(&self.join)))),
            _ => Err(DataFusionError::Internal("PointInTimeJoinExec has exactly one child".into())),
        }
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::over(input, Arc::clone(&self.join)))),
            _ => Err(DataFusionError::Internal("PointInTimeJoinExec has exactly one child".into())),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!("PointInTimeJoinExec has one partition, not {partition}")));
        }
        let metrics = JoinMetrics::new(&self.metrics, partition);
        let memory = MemoryConsumer::new("PointInTimeJoin").register(context.memory_pool());
        let (batch_size, parallel) = (context.session_config().batch_size(), context.session_config().target_partitions());
        let baseline = metrics.baseline.clone();
        let around = Surroundings { context, metrics, metrics_set: self.metrics.clone(), memory: Arc::new(memory) };
        let answer = Arc::clone(&self.join).run(Arc::clone(&self.input), around);
        let batches = stream::once(answer).map_ok(move |answer| answer.stream(batch_size, parallel)).try_flatten();
        let counted = batches.map(move |batch| {
            if let Ok(batch) = &batch {
                baseline.output_rows().add(batch.num_rows());
            }
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.join.schema);
        if let Some(entity) = input.first() {
            statistics.num_rows = entity.num_rows;
            for (own, column) in statistics.column_statistics.iter_mut().zip(&entity.column_statistics) {
                *own = ColumnStatistics::clone(column);
            }
        }
        Ok(Arc::new(statistics))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

/// Plans [`PointInTimeJoin`], and the relations among its lookups with it.
#[derive(Debug, Default)]
pub struct PointInTimeJoinPlanner;

#[async_trait]
impl ExtensionPlanner for PointInTimeJoinPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(join) = node.as_any().downcast_ref::<PointInTimeJoin>() else { return Ok(None) };
        let [input] = physical_inputs else {
            return Err(DataFusionError::Internal("PointInTimeJoin has exactly one input".into()));
        };
        let lookups = plan_relations(join.lookups(), join.outputs(), session).await?;
        let exec = PointInTimeJoinExec::try_new(
            Arc::clone(input),
            join.entity_time().clone(),
            lookups,
            join.outputs().to_vec(),
            Arc::clone(join.ties()),
        )?;
        Ok(Some(Arc::new(exec)))
    }
}

/// The lookups with their relations planned: each relation once, for the columns that any lookup over it uses.
async fn plan_relations(lookups: &[Lookup], outputs: &[OutputColumn], session: &dyn Session) -> Result<Vec<Lookup>> {
    let mut planned = lookups.to_vec();
    for place in 0..lookups.len() {
        let Some(lookup) = lookups.get(place) else { continue };
        let Some(relation) = (lookup.rows.as_ref() as &dyn Any).downcast_ref::<RelationRows>() else { continue };
        let same = |other: &Lookup| Arc::ptr_eq(&other.rows, &lookup.rows);
        if lookups.iter().take(place).any(same) {
            continue;
        }
        let mut columns = BTreeSet::new();
        for (number, lookup) in lookups.iter().enumerate().filter(|(_, other)| same(other)) {
            columns.extend(lookup.on.iter().map(|pair| pair.1));
            columns.insert(lookup.timestamp);
            columns.extend([lookup.created, lookup.valid_until, lookup.commit_order].into_iter().flatten());
            columns.extend(&lookup.tie_columns);
            columns.extend(outputs.iter().filter(|output| output.lookup == number).map(|output| output.column));
        }
        if let Some(relation) = relation.plan(columns.into_iter().collect(), session).await? {
            let relation: Arc<dyn super::FeatureRows> = Arc::new(relation);
            for (own, _) in planned.iter_mut().zip(lookups).filter(|(_, other)| same(other)) {
                own.rows = Arc::clone(&relation);
            }
        }
    }
    Ok(planned)
}
