//! The node in a plan: what the optimizer does to it, what is read for it, and relations as feature rows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::util::pretty::pretty_format_batches;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::QueryPlanner;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};

use super::memory_rows::MemoryRows;
use crate::exec::point_in_time_join::{
    EntityTime, FeatureRows, Lookup, OutputColumn, PointInTimeJoin, PointInTimeJoinPlanner, PruneFeatures, RelationRows,
};

#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(PointInTimeJoinPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

/// A session that knows the join, as the product's does.
pub fn session() -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(SessionConfig::new().with_target_partitions(2))
        .with_query_planner(Arc::new(Planner))
        .with_optimizer_rule(Arc::new(PruneFeatures))
        .build();
    SessionContext::new_with_state(state)
}

fn times(values: &[i64]) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values.to_vec()))
}

fn feature_rows() -> MemoryRows {
    let k: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2]));
    let a: ArrayRef = Arc::new(Int64Array::from(vec![10, 11, 20]));
    let b: ArrayRef = Arc::new(StringArray::from(vec!["x", "y", "z"]));
    let batch = RecordBatch::try_from_iter([("k", k), ("ts", times(&[1, 5, 3])), ("a", a), ("b", b)]).unwrap();
    MemoryRows::new(vec![batch], true, true)
}

async fn entity_rows(session: &SessionContext) -> LogicalPlan {
    let k: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 3]));
    let label: ArrayRef = Arc::new(StringArray::from(vec!["p", "q", "r", "s"]));
    let unused: ArrayRef = Arc::new(Int64Array::from(vec![0; 4]));
    let batch = RecordBatch::try_from_iter([("unused", unused), ("id", k), ("t", times(&[4, 9, 9, 9])), ("label", label)]).unwrap();
    session.register_batch("e", batch).ok();
    session.table("e").await.unwrap().into_unoptimized_plan()
}

fn lookup(name: &str, rows: Arc<dyn FeatureRows>) -> Lookup {
    Lookup {
        name: name.into(),
        rows,
        on: vec![(1, 0)],
        timestamp: 1,
        created: None,
        valid_until: None,
        commit_order: None,
        tie_columns: vec![2, 3],
        ttl: None,
        filter_by_created: false,
    }
}

fn output(lookup: usize, column: usize, name: &str) -> OutputColumn {
    OutputColumn { lookup, column, name: name.into() }
}

async fn run(session: &SessionContext, plan: LogicalPlan) -> (String, String) {
    let physical = session.state().create_physical_plan(&plan).await.unwrap();
    let shown = displayable(physical.as_ref()).indent(false).to_string();
    let batches = DataFrame::new(session.state(), plan).collect().await.unwrap();
    (shown, pretty_format_batches(&batches).unwrap().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn features_that_nobody_reads_are_not_fetched() {
    let session = session();
    let (first, second) = (Arc::new(feature_rows()), Arc::new(feature_rows()));
    let lookups = vec![lookup("v", first.clone()), lookup("w", second.clone())];
    let outputs = vec![output(0, 2, "a"), output(1, 3, "wb"), output(0, 3, "b")];
    let entity_rows = entity_rows(&session).await;
    let join = PointInTimeJoin::try_new(entity_rows, EntityTime::Column(2), lookups, outputs).unwrap().into_plan();

    let all = LogicalPlanBuilder::from(join.clone()).sort([col("label").sort(true, true)]).unwrap().build().unwrap();
    let (shown, rows) = run(&session, all).await;
    assert!(shown.contains("v: rows=memory(1 files) on=[id = k] window=[ts <= t] columns=[a, b] operator=fetch winners"), "{shown}");
    let expected = "\
+--------+----+----------------------------+-------+----+----+---+
| unused | id | t                          | label | a  | wb | b |
+--------+----+----------------------------+-------+----+----+---+
| 0      | 1  | 1970-01-01T00:00:00.000004 | p     | 10 | x  | x |
| 0      | 1  | 1970-01-01T00:00:00.000009 | q     | 11 | y  | y |
| 0      | 2  | 1970-01-01T00:00:00.000009 | r     | 20 | z  | z |
| 0      | 3  | 1970-01-01T00:00:00.000009 | s     |    |    |   |
+--------+----+----------------------------+-------+----+----+---+";
    assert_eq!(rows, expected);
    assert_eq!((first.scans.load(Ordering::Relaxed), second.scans.load(Ordering::Relaxed)), (1, 1));

    // One feature of one view: through an alias, a filter on an entity column and a sort.
    let plan = LogicalPlanBuilder::from(join.clone())
        .alias("j")
        .unwrap()
        .filter(col("j.label").not_eq(lit("q")))
        .unwrap()
        .sort([col("j.label").sort(true, true)])
        .unwrap()
        .project([col("j.b")])
        .unwrap()
        .build()
        .unwrap();
    let before = first.columns.load(Ordering::Relaxed);
    let (shown, rows) = run(&session, plan).await;
    assert!(shown.contains("lookups=[v:") && shown.contains("columns=[b]") && !shown.contains("w:"), "{shown}");
    assert!(!shown.contains("unused"), "entity columns are narrowed too: {shown}");
    assert!(shown.find("FilterExec") > shown.find("PointInTimeJoinExec"), "the filter goes below: {shown}");
    assert_eq!(rows, "+---+\n| b |\n+---+\n| x |\n| z |\n|   |\n+---+");
    // Keys and time, then the one feature.
    assert_eq!(first.columns.load(Ordering::Relaxed) - before, 3);
    assert_eq!(second.scans.load(Ordering::Relaxed), 1);

    // count(*) reads no feature rows at all.
    let plan = LogicalPlanBuilder::from(join.clone())
        .aggregate(Vec::<datafusion::logical_expr::Expr>::new(), [count(lit(1)).alias("n")])
        .unwrap()
        .build()
        .unwrap();
    let (shown, rows) = run(&session, plan).await;
    assert!(!shown.contains("PointInTimeJoinExec"), "{shown}");
    assert_eq!(rows, "+---+\n| n |\n+---+\n| 4 |\n+---+");
    assert_eq!(first.scans.load(Ordering::Relaxed), 2);

    // A filter on a feature stays above, and its feature is kept.
    let plan = LogicalPlanBuilder::from(join).filter(col("a").eq(lit(20_i64))).unwrap().project([col("label")]).unwrap().build().unwrap();
    let (shown, rows) = run(&session, plan).await;
    assert!(shown.contains("columns=[a]") && shown.find("FilterExec") < shown.find("PointInTimeJoinExec"), "{shown}");
    assert_eq!(rows, "+-------+\n| label |\n+-------+\n| r     |\n+-------+");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_one_table_share_a_pass() {
    let session = session();
    let rows = Arc::new(feature_rows());
    let mut short = lookup("short", rows.clone());
    short.ttl = Some(arrow::datatypes::IntervalMonthDayNano::new(0, 0, 4_000));
    short.tie_columns = vec![3];
    let lookups = vec![lookup("long", rows.clone()), short];
    let entity_rows = entity_rows(&session).await;
    let outputs = vec![output(1, 2, "short_a"), output(0, 2, "a"), output(0, 1, "a_ts")];
    let join = PointInTimeJoin::try_new(entity_rows, EntityTime::Column(2), lookups, outputs).unwrap().into_plan();
    let plan = LogicalPlanBuilder::from(join).sort([col("label").sort(true, true)]).unwrap().build().unwrap();
    let (shown, shown_rows) = run(&session, plan).await;
    assert!(shown.contains("short: rows=memory(1 files) on=[id = k] window=[t - 00:00:00.000004 <= ts <= t]"), "{shown}");
    assert!(shown.contains("pass of long"), "{shown}");
    assert_eq!((rows.scans.load(Ordering::Relaxed), rows.fetches.load(Ordering::Relaxed)), (1, 1));
    let values: Vec<Vec<&str>> =
        shown_rows.lines().skip(3).take(4).map(|line| line.split('|').skip(5).take(2).map(str::trim).collect()).collect();
    assert_eq!(values, [["10", "10"], ["11", "11"], ["", "20"], ["", ""]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_is_planned_with_the_statement() {
    let session = session();
    session.register_batch("f", feature_rows().files[0].clone()).unwrap();
    let relation = session.sql("SELECT k, ts, a + 1 AS a, b, a * 2 AS never FROM f WHERE a <> 11").await.unwrap();
    let rows = Arc::new(RelationRows::new(relation.into_unoptimized_plan(), "AS SELECT"));
    let entity_rows = entity_rows(&session).await;
    let mut lookup = lookup("v", rows);
    lookup.tie_columns = vec![2];
    let outputs = vec![output(0, 2, "a"), output(0, 1, "a_ts")];
    let join = PointInTimeJoin::try_new(entity_rows, EntityTime::Column(2), vec![lookup], outputs).unwrap().into_plan();
    let plan = LogicalPlanBuilder::from(join)
        .sort([col("label").sort(true, true)])
        .unwrap()
        .project([col("label"), col("a"), col("a_ts")])
        .unwrap()
        .build()
        .unwrap();
    let (shown, rows) = run(&session, plan).await;
    assert!(shown.contains("v: rows=AS SELECT") && shown.contains("operator=keep winners"), "{shown}");
    let expected = "\
+-------+----+----------------------------+
| label | a  | a_ts                       |
+-------+----+----------------------------+
| p     | 11 | 1970-01-01T00:00:00.000001 |
| q     | 11 | 1970-01-01T00:00:00.000001 |
| r     | 21 | 1970-01-01T00:00:00.000003 |
| s     |    |                            |
+-------+----+----------------------------+";
    assert_eq!(rows, expected);
}
