//! Memory, cancel, and refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{IntervalMonthDayNano, SchemaRef};
use async_trait::async_trait;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::memory_rows::MemoryRows;
use crate::error::{Report, SqlState};
use crate::exec::point_in_time_join::{
    EntityTime, FeatureBatch, FeatureRows, FeatureScan, FeatureStream, Locator, Lookup, OutputColumn, PointInTimeJoinExec,
};

fn batch(keys: impl Iterator<Item = i64>, time: i64) -> RecordBatch {
    let k: ArrayRef = Arc::new(Int64Array::from_iter_values(keys));
    let t: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![time; k.len()]));
    let value: ArrayRef = Arc::new(Int64Array::from_iter_values(0..k.len() as i64));
    RecordBatch::try_from_iter([("k", k), ("t", t), ("value", value)]).unwrap()
}

fn lookup(rows: Arc<dyn FeatureRows>) -> Lookup {
    Lookup {
        name: "v".into(),
        rows,
        on: vec![(0, 0)],
        timestamp: 1,
        created: None,
        valid_until: None,
        commit_order: None,
        tie_columns: vec![2],
        ttl: None,
        filter_by_created: false,
    }
}

fn join(entities: RecordBatch, lookup: Lookup) -> Result<Arc<dyn ExecutionPlan>> {
    let input = MemorySourceConfig::try_new_exec(&[vec![entities.clone()]], entities.schema(), None)?;
    let output = OutputColumn { lookup: 0, column: 2, name: "value_then".into() };
    Ok(Arc::new(PointInTimeJoinExec::try_new(input, EntityTime::Column(1), vec![lookup], vec![output], Arc::default())?))
}

fn report(error: DataFusionError) -> Report {
    let DataFusionError::External(inner) = error else { panic!("{error}") };
    *inner.downcast::<Report>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_limited_and_given_back() {
    let entities = batch(0..100_000, 10);
    let plan = |can_fetch| {
        let rows = Arc::new(MemoryRows::new(vec![batch(0..100_000, 5), batch(0..100_000, 6)], can_fetch, false));
        join(entities.clone(), lookup(rows)).unwrap()
    };
    let mut refused = 0;
    for megabytes in [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 100] {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(megabytes << 20, 1.0).build_arc().unwrap();
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime).task_ctx();
        for can_fetch in [true, false] {
            match collect(plan(can_fetch), Arc::clone(&context)).await {
                Ok(batches) => assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 100_000),
                Err(error) => {
                    assert!(matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)), "{error}");
                    assert!(megabytes < 100);
                    refused += 1;
                }
            }
            // After an error the tasks beside the failing one end at their next yield.
            while context.memory_pool().reserved() > 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    assert!(refused >= 6, "{refused} refusals");
}

/// Feature rows that never end; counts the streams that are alive.
#[derive(Debug)]
struct Endless {
    batch: RecordBatch,
    alive: Arc<AtomicUsize>,
    waits: bool,
}

struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl FeatureRows for Endless {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn can_fetch(&self) -> bool {
        true
    }

    async fn scan(&self, request: &FeatureScan, _: &Arc<TaskContext>, _: &ExecutionPlanMetricsSet) -> Result<Vec<FeatureStream>> {
        let columns = self.batch.project(&request.columns)?;
        let locators = UInt64Array::from_iter_values(0..columns.num_rows() as u64);
        let stream = || {
            self.alive.fetch_add(1, Ordering::SeqCst);
            let alive = Alive(Arc::clone(&self.alive));
            let (waits, columns, locators) = (self.waits, columns.clone(), locators.clone());
            stream::poll_fn(move |_| {
                let _ = &alive;
                match waits {
                    true => Poll::Pending,
                    false => {
                        Poll::Ready(Some(Ok(FeatureBatch { columns: columns.clone(), locators: Some(locators.clone()), ceiling: None })))
                    }
                }
            })
            .boxed()
        };
        Ok((0..request.partitions).map(|_| stream()).collect())
    }

    async fn fetch(
        &self,
        locators: &[Locator],
        columns: &[usize],
        _: &Arc<TaskContext>,
        _: &ExecutionPlanMetricsSet,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let rows = arrow::array::UInt32Array::from_iter_values(locators.iter().map(|locator| locator.row() as u32));
        let batch = arrow::compute::take_record_batch(&self.batch.project(columns)?, &rows)?;
        Ok(stream::iter([Ok(batch)]).boxed())
    }

    fn describe(&self) -> String {
        "endless".into()
    }

    fn same_rows(&self, _: &dyn FeatureRows) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_stream_stops_every_task() {
    for waits in [true, false] {
        let alive = Arc::new(AtomicUsize::new(0));
        let rows = Arc::new(Endless { batch: batch(0..1000, 5), alive: Arc::clone(&alive), waits });
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config(config).task_ctx();
        let mut stream = join(batch(0..1000, 10), lookup(rows)).unwrap().execute(0, Arc::clone(&context)).unwrap();
        // Polled until the scan has begun: it can never end.
        while alive.load(Ordering::SeqCst) < 2 {
            assert!(futures::poll!(stream.next()).is_pending());
            tokio::task::yield_now().await;
        }
        drop(stream);
        // The tasks see it at their next yield.
        while alive.load(Ordering::SeqCst) > 0 || context.memory_pool().reserved() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn infinite_entity_times_are_refused() {
    for time in [i64::MAX, i64::MIN] {
        let rows = Arc::new(MemoryRows::new(vec![batch(0..3, 5)], true, false));
        let plan = join(batch(0..3, time), lookup(rows)).unwrap();
        let error = collect(plan, SessionContext::new().task_ctx()).await.unwrap_err();
        assert_eq!(report(error).sqlstate, SqlState::DATETIME_FIELD_OVERFLOW);
    }
    // Of feature rows they are instants like any other.
    let rows = Arc::new(MemoryRows::new(vec![batch(0..3, i64::MIN), batch(0..3, i64::MAX)], true, false));
    let batches = collect(join(batch(0..3, 0), lookup(rows)).unwrap(), SessionContext::new().task_ctx()).await.unwrap();
    assert_eq!(batches[0].column(3).null_count(), 0);
}

#[test]
fn types_and_windows_are_checked() {
    let rows = || Arc::new(MemoryRows::new(vec![batch(0..3, 5)], true, false)) as Arc<dyn FeatureRows>;
    let state = |lookup: Lookup| report(join(batch(0..3, 5), lookup).unwrap_err()).sqlstate;
    let ttl = Some(IntervalMonthDayNano::new(0, 0, 0));
    assert_eq!(state(Lookup { ttl, ..lookup(rows()) }), SqlState::INVALID_PARAMETER_VALUE);
    assert_eq!(state(Lookup { on: vec![(1, 0)], ..lookup(rows()) }), SqlState::DATATYPE_MISMATCH);
    assert_eq!(state(Lookup { timestamp: 2, ..lookup(rows()) }), SqlState::DATATYPE_MISMATCH);
    assert_eq!(state(Lookup { timestamp: 9, ..lookup(rows()) }), SqlState::INTERNAL_ERROR);
}
