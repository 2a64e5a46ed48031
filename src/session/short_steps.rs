//! An operator that gives a join the rows to look up in short steps, and the thread back between them.
//!
//! A join with a condition of its own compares each row with all that may match it, and a condition that is never true gives no batch between which
//! it could yield: one batch of 8,192 rows against a million others is minutes in one poll, deaf to cancel and timeout, on a thread that
//! other sessions wait for. How long a step took shows when the next one is asked for, so steps begin with one row, grow while
//! they are fast and shrink when they are slow. Costs a clock reading and a slice per step.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, RecordBatchStream, SendableRecordBatchStream, StatisticsArgs,
};
use futures::{Stream, StreamExt};

/// Rows of the first step: the other side may have millions for each.
const FIRST: usize = 1;
/// A step that took less is followed by a longer one.
const FAST: Duration = Duration::from_millis(5);
/// A step that took more is followed by a shorter one.
const SLOW: Duration = Duration::from_millis(20);
/// After so long it is looked what else there is to do.
const TURN: Duration = Duration::from_millis(10);

/// The operator.
#[derive(Debug)]
pub(super) struct ShortStepsExec {
    input: Arc<dyn ExecutionPlan>,
}

impl ShortStepsExec {
    /// Over the side of a join whose rows are looked up.
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input }
    }
}

impl DisplayAs for ShortStepsExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShortStepsExec")
    }
}

impl ExecutionPlan for ShortStepsExec {
    fn name(&self) -> &str {
        "ShortStepsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(children.into_iter().next().map_or(self as Arc<dyn ExecutionPlan>, |input| Arc::new(Self::new(input))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        Ok(Box::pin(ShortSteps { input, schema, left: None, rows: FIRST, given: None, turn: Instant::now() }))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _arguments: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(input.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }
}

struct ShortSteps {
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    /// What is left of the input's last batch.
    left: Option<RecordBatch>,
    /// Of the next step.
    rows: usize,
    /// When the last step was given.
    given: Option<Instant>,
    /// When the thread was given back last.
    turn: Instant,
}

impl Stream for ShortSteps {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let now = Instant::now();
        if let Some(took) = self.given.take().map(|given| now - given) {
            if took > SLOW {
                self.rows = (self.rows / 2).max(1);
            } else if took < FAST {
                self.rows = self.rows.saturating_mul(2);
            }
            if now - self.turn > TURN {
                self.turn = now;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let batch = match self.left.take() {
            Some(batch) => batch,
            None => match self.input.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(batch))) => batch,
                other => return other,
            },
        };
        let step = batch.slice(0, self.rows.min(batch.num_rows()));
        if step.num_rows() < batch.num_rows() {
            self.left = Some(batch.slice(step.num_rows(), batch.num_rows() - step.num_rows()));
        }
        self.given = Some(Instant::now());
        Poll::Ready(Some(Ok(step)))
    }
}

impl RecordBatchStream for ShortSteps {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use futures::FutureExt;

    use super::super::yielding::YieldInJoins;

    /// A join that finds nothing gives its thread back; nothing else in these plans waits for anything.
    #[tokio::test]
    async fn a_join_that_finds_nothing_waits_between_its_steps() {
        for join in ["a.value + b.value < 0", "a.value % 2 = b.value % 2 AND a.value + b.value < 0"] {
            let state = SessionStateBuilder::new()
                .with_config(SessionConfig::new().with_target_partitions(1))
                .with_default_features()
                .with_physical_optimizer_rule(std::sync::Arc::new(YieldInJoins));
            let context = SessionContext::new_with_state(state.build());
            let sql = format!("SELECT * FROM generate_series(1, 20000) a JOIN generate_series(1, 3000) b ON {join}");
            let rows = context.sql(&sql).await.unwrap().execute_stream().await.unwrap();
            let mut all = Box::pin(futures::StreamExt::collect::<Vec<_>>(rows));
            let mut turns = 0;
            let answer = loop {
                match all.as_mut().now_or_never() {
                    Some(answer) => break answer,
                    None => turns += 1,
                }
            };
            assert!(answer.iter().all(|batch| batch.as_ref().unwrap().num_rows() == 0));
            assert!(turns > 3, "{turns}");
        }
    }
}
