//! The threads that statements compute on: each that runs has a crew of its own, as it has a process in PostgreSQL.
//!
//! Operators that share threads end their turns themselves: forty joins, two tasks each, that keep a thread for some 20 ms let nobody else in for a
//! second, neither a login nor a cancel nor `SELECT 1`. The system ends turns when it likes and prefers who slept, so what may compute
//! for long gets threads that only its own statement uses; sockets, planning and rows without a source keep theirs.
//!
//! A crew is one thread per core, made in some 100 µs and kept for the next statement when this one's tasks are over. It does no I/O but with
//! local files: requests to object stores run where the sockets are ([`crate::storage`]). Costs a hop between threads per batch, a small batch that
//! is there before it is asked for, and as many threads as statements run (their stacks take memory as they are used).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_plan::async_func::AsyncFuncExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::placeholder_row::PlaceholderRowExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::future::FutureExt;
use futures::stream::{BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::memory::bytes_of;
use crate::error::{Report, SqlState};
use crate::plan::StopFlag;

/// Crews that wait for statements, at most; more are let go when their statements end.
const KEPT: usize = 4;
/// Crews, at most: beyond them statements share. Open cursors and portals that wait for their clients have one each.
const MOST: usize = 64;
/// A batch of fewer bytes is sent ahead; a larger one is computed when it is asked for.
const SMALL: usize = 1 << 20;

/// All crews of a server.
#[derive(Debug, Default)]
pub(super) struct Crews {
    all: Mutex<Vec<Arc<Crew>>>,
}

/// Threads, and how many statements they compute.
#[derive(Debug)]
struct Crew {
    runtime: Option<Runtime>,
    statements: AtomicUsize,
}

impl Drop for Crew {
    fn drop(&mut self) {
        // Waits for nobody: a task that is still there ends with its step.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Crew {
    fn new() -> Result<Self> {
        let build = || {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(cores)
                .thread_name("statement")
                .thread_stack_size(crate::sql::STACK_SIZE)
                .enable_time()
                .build()
        };
        // It panics where the system has no more threads.
        let runtime = std::panic::catch_unwind(build).unwrap_or_else(|_| Err(std::io::ErrorKind::WouldBlock.into()));
        let runtime = runtime.map_err(|_| {
            let report = Report::new(SqlState::INSUFFICIENT_RESOURCES, "could not start threads for the statement");
            DataFusionError::External(Box::new(report))
        })?;
        Ok(Self { runtime: Some(runtime), statements: AtomicUsize::new(0) })
    }

    /// Its tasks, those that were stopped and have not ended yet as well.
    fn tasks(&self) -> usize {
        self.runtime.as_ref().map_or(0, |runtime| runtime.metrics().num_alive_tasks())
    }

    fn is_at_rest(&self) -> bool {
        self.statements.load(Ordering::Relaxed) == 0 && self.tasks() == 0
    }
}

/// A crew for as long as a statement's own task is there, however that ends.
struct Lent {
    crews: Arc<Crews>,
    crew: Arc<Crew>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.crews.take_back(&self.crew);
    }
}

/// What a crew sends to its session.
enum Sent {
    Batch(Result<RecordBatch>),
    Panic(Box<dyn std::any::Any + Send>),
    /// No more rows, and the operators and their memory are gone.
    End,
}

impl Crews {
    /// The rows of a plan, which nobody computes before they are asked for. When they are dropped, the operators end with their step and
    /// `stop` is raised.
    pub fn run(
        self: &Arc<Self>,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        stop: Arc<StopFlag>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        if is_brief(plan.as_ref()) && !stop.is_heeded() {
            return Ok(execute_stream(plan, context)?.boxed());
        }
        let crews = Arc::clone(self);
        let begin = async move {
            match crews.start(plan, context, stop) {
                Ok(rows) => rows,
                Err(failure) => futures::stream::iter([Err(failure)]).boxed(),
            }
        };
        Ok(begin.into_stream().flatten().boxed())
    }

    fn start(
        self: Arc<Self>,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        stop: Arc<StopFlag>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        struct Stopped(Arc<StopFlag>);
        impl Drop for Stopped {
            fn drop(&mut self) {
                self.0.raise();
            }
        }
        let crew = self.lend()?;
        let Some(handle) = crew.runtime.as_ref().map(|runtime| runtime.handle().clone()) else {
            return Ok(futures::stream::empty().boxed());
        };
        let (sender, receiver) = mpsc::channel(2);
        let (asks, asked) = watch::channel(0_u64);
        let lent = Lent { crews: self, crew };
        handle.spawn(async move {
            let _lent = lent;
            let computed = AssertUnwindSafe(compute(plan, context, &sender, asked)).catch_unwind();
            let end = tokio::select! {
                biased;
                // Nobody waits for the end of rows that nobody wants.
                () = sender.closed() => None,
                done = computed => Some(done.map_or_else(Sent::Panic, |()| Sent::End)),
            };
            if let Some(end) = end {
                let _ = sender.send(end).await;
            }
        });
        let state = Some((receiver, asks, Stopped(stop)));
        let rows = futures::stream::unfold(state, |state| async move {
            let (mut receiver, asks, stopped) = state?;
            asks.send_modify(|batches| *batches += 1);
            match receiver.recv().await {
                Some(Sent::Batch(batch)) => Some((batch, Some((receiver, asks, stopped)))),
                Some(Sent::End) => None,
                Some(Sent::Panic(panic)) => std::panic::resume_unwind(panic),
                None => Some((Err(DataFusionError::Internal("a statement's task ended without its last rows".to_owned())), None)),
            }
        });
        Ok(rows.boxed())
    }

    fn lend(&self) -> Result<Arc<Crew>> {
        let mut all = self.all.lock();
        let rested = all.iter().rev().find(|crew| crew.is_at_rest()).cloned();
        let fewest = || all.iter().min_by_key(|crew| (crew.statements.load(Ordering::Relaxed), crew.tasks())).cloned();
        let crew = match rested {
            Some(crew) => crew,
            None if all.len() < MOST => match Crew::new() {
                Ok(crew) => {
                    let crew = Arc::new(crew);
                    all.push(Arc::clone(&crew));
                    crew
                }
                Err(failure) => fewest().ok_or(failure)?,
            },
            None => fewest().ok_or_else(|| DataFusionError::Internal("there is no crew".to_owned()))?,
        };
        crew.statements.fetch_add(1, Ordering::Relaxed);
        Ok(crew)
    }

    /// By the statement's own task as the last that it does: what it spawned and stopped may still be under way, and the crew is lent when
    /// that is over.
    fn take_back(&self, crew: &Crew) {
        let mut all = self.all.lock();
        crew.statements.fetch_sub(1, Ordering::Relaxed);
        let free = |crew: &Arc<Crew>| crew.statements.load(Ordering::Relaxed) == 0;
        let surplus = if all.iter().filter(|crew| free(crew)).count() > KEPT { all.iter().position(free) } else { None };
        let surplus = surplus.map(|place| all.remove(place));
        drop(all);
        drop(surplus);
    }
}

async fn compute(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>, sender: &mpsc::Sender<Sent>, mut asked: watch::Receiver<u64>) {
    let pool = Arc::clone(context.memory_pool());
    // Here, because operators spawn tasks when they are started, into the runtime that they find.
    let mut rows = match execute_stream(plan, context) {
        Ok(rows) => rows,
        Err(failure) => return drop(sender.send(Sent::Batch(Err(failure))).await),
    };
    // What is on its way to the client is the statement's memory too.
    let held = MemoryConsumer::new("rows on their way").register(&pool);
    let mut sent = 0;
    while let Some(batch) = rows.next().await {
        let bytes = batch.as_ref().map_or(0, bytes_of);
        let batch = batch.and_then(|batch| held.try_resize(if bytes < SMALL { 0 } else { bytes }).map(|()| batch));
        let (ahead, failed) = (u64::from(bytes < SMALL), batch.is_err());
        sent += 1;
        if sender.send(Sent::Batch(batch)).await.is_err() || failed || asked.wait_for(|asked| asked + ahead > sent).await.is_err() {
            return;
        }
    }
}

/// Whether a plan is rows without a source: those that pools and drivers ask for all day are not worth the hop.
fn is_brief(plan: &dyn ExecutionPlan) -> bool {
    let any = plan as &dyn std::any::Any;
    let computes = any.is::<ProjectionExec>() || any.is::<AsyncFuncExec>() || any.is::<CooperativeExec>();
    let gives = any.is::<PlaceholderRowExec>() || any.is::<EmptyExec>();
    (computes || gives) && plan.children().into_iter().all(|child| is_brief(child.as_ref()))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// A join that compares for long and finds nothing.
    const LONG: &str = "SELECT * FROM generate_series(1, 20000) a JOIN generate_series(1, 20000) b ON a.value + b.value < 0";

    async fn rows(crews: &Arc<Crews>, sql: &str) -> BoxStream<'static, Result<RecordBatch>> {
        let state = datafusion::execution::SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features()
            .with_physical_optimizer_rule(Arc::new(super::super::yielding::YieldInJoins));
        let context = SessionContext::new_with_state(state.build());
        let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        crews.run(plan, context.task_ctx(), Arc::default()).unwrap()
    }

    async fn until(mut done: impl FnMut() -> bool) {
        while !done() {
            tokio::task::yield_now().await;
        }
    }

    fn count(batches: &[Result<RecordBatch>]) -> usize {
        batches.iter().map(|batch| batch.as_ref().unwrap().num_rows()).sum()
    }

    #[tokio::test]
    async fn whoever_asks_for_rows_computes_nothing_but_rows_without_a_source() {
        let crews = Arc::new(Crews::default());
        let mut long = futures::future::join_all((0..8).map(|_| rows(&crews, LONG))).await;
        for rows in &mut long {
            // Another thread begins.
            assert!(rows.next().now_or_never().is_none());
        }
        let brief = rows(&crews, "SELECT 1 AS one").await.next().now_or_never();
        assert_eq!(brief.unwrap().unwrap().unwrap().num_rows(), 1);
        // And between them another gets its turn.
        let other = rows(&crews, "SELECT count(*) FROM generate_series(1, 1000)").await.collect::<Vec<_>>().await;
        assert_eq!(count(&other), 1);
        drop(long);
        until(|| crews.all.lock().len() == KEPT && crews.all.lock().iter().all(|crew| crew.is_at_rest())).await;
    }

    #[tokio::test]
    async fn a_crew_at_rest_is_lent_again() {
        let crews = Arc::new(Crews::default());
        for _ in 0..3 {
            let all = rows(&crews, "SELECT value FROM generate_series(1, 20000)").await.collect::<Vec<_>>().await;
            assert_eq!(count(&all), 20_000);
            until(|| crews.all.lock().iter().all(|crew| crew.is_at_rest())).await;
            assert_eq!(crews.all.lock().len(), 1);
        }
        // Rows that nobody asked for need none.
        drop(rows(&crews, LONG).await);
        assert_eq!(crews.all.lock().len(), 1);
    }

    /// Many statements at a time that end while their last rows are not taken yet: none loses its threads to another.
    #[tokio::test]
    async fn statements_that_wait_for_their_clients_keep_their_crews() {
        let crews = Arc::new(Crews::default());
        for _ in 0..20 {
            let mut waiting = Vec::new();
            for _ in 0..12 {
                let mut rows = rows(&crews, "SELECT value FROM generate_series(1, 12000)").await;
                let first = rows.next().await.unwrap().unwrap();
                waiting.push((first.num_rows(), rows));
            }
            for (first, rows) in waiting {
                assert_eq!(first + count(&rows.collect::<Vec<_>>().await), 12_000);
            }
        }
    }

    #[tokio::test]
    async fn errors_and_panics_arrive_where_the_rows_are_wanted() {
        let crews = Arc::new(Crews::default());
        let all = rows(&crews, "SELECT 1 / (value - 5000) FROM generate_series(1, 9000)").await.collect::<Vec<_>>().await;
        assert!(all.last().unwrap().as_ref().is_err_and(|failure| failure.to_string().contains("Divide by zero")), "{all:?}");
        // By a function that panics, whichever thread it runs on.
        let panics = datafusion::logical_expr::create_udf(
            "panics",
            vec![arrow::datatypes::DataType::Int64],
            arrow::datatypes::DataType::Int64,
            datafusion::logical_expr::Volatility::Volatile,
            Arc::new(|_: &[datafusion::logical_expr::ColumnarValue]| panic!("on purpose")),
        );
        let context = SessionContext::new();
        context.register_udf(panics);
        let plan = context.sql("SELECT panics(value) FROM generate_series(1, 10)").await.unwrap().create_physical_plan().await.unwrap();
        let rows = crews.run(plan, context.task_ctx(), Arc::default()).unwrap();
        let panic = AssertUnwindSafe(rows.collect::<Vec<_>>()).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
