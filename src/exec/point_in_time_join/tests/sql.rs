//! The operator against a plain window-function query over the same rows, in the same engine.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{LogicalPlanBuilder, col};
use datafusion::prelude::DataFrame;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::memory_rows::MemoryRows;
use super::plans::session;
use crate::exec::point_in_time_join::{EntityTime, Lookup, OutputColumn, PointInTimeJoin};

const MINUTE: i64 = 60_000_000;

fn maybe(random: &mut StdRng, null: f64, to: i64) -> Option<i64> {
    (!random.random_bool(null)).then(|| random.random_range(0..to))
}

fn features(random: &mut StdRng, commit: i64) -> RecordBatch {
    let rows = random.random_range(0..40);
    let mut column = |null: f64, to: i64| -> Vec<Option<i64>> { (0..rows).map(|_| maybe(random, null, to)).collect() };
    let time = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter(values.into_iter().map(|value| value.map(|value| value * MINUTE))))
    };
    let k: ArrayRef = Arc::new(Int64Array::from(column(0.1, 4)));
    let ts = time(column(0.1, 20));
    let created = time(column(0.2, 3));
    let seq: ArrayRef = Arc::new(Int64Array::from(vec![commit; rows]));
    let a: ArrayRef = Arc::new(Float64Array::from_iter(column(0.2, 3).into_iter().map(|value| value.map(|value| value as f64))));
    let b: ArrayRef = Arc::new(StringArray::from_iter(column(0.2, 3).into_iter().map(|value| value.map(|value| format!("b{value}")))));
    let valid_until = time(column(0.6, 25));
    let columns = [("k", k), ("ts", ts), ("created", created), ("seq", seq), ("a", a), ("b", b), ("valid_until", valid_until)];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_agrees_with_sql() {
    for seed in 0..60 {
        let random = &mut StdRng::seed_from_u64(seed);
        let session = session();
        let files: Vec<RecordBatch> = (0..4).map(|file| features(random, file / 2)).collect();
        let table = MemTable::try_new(files[0].schema(), files.iter().map(|file| vec![file.clone()]).collect()).unwrap();
        session.register_table("f", Arc::new(table)).unwrap();
        let rows = 50;
        let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let k: ArrayRef = Arc::new(Int64Array::from_iter((0..rows).map(|_| maybe(random, 0.1, 5))));
        let t = (0..rows).map(|_| maybe(random, 0.1, 25).map(|value| value * MINUTE));
        let t: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter(t));
        session.register_batch("e", RecordBatch::try_from_iter([("id", id), ("key", k), ("t", t)]).unwrap()).unwrap();
        let known = random.random_bool(0.4);
        let lookup = Lookup {
            name: "f".into(),
            rows: Arc::new(MemoryRows::new(files, random.random_bool(0.5), true)),
            on: vec![(1, 0)],
            timestamp: 1,
            created: Some(2),
            valid_until: Some(6),
            commit_order: Some(3),
            tie_columns: vec![4, 5],
            ttl: Some(arrow::datatypes::IntervalMonthDayNano::new(0, 0, 5 * MINUTE * 1_000)),
            filter_by_created: known,
        };
        let output = |column: usize, name: &str| OutputColumn { lookup: 0, column, name: name.into() };
        let entity_rows = session.table("e").await.unwrap().into_unoptimized_plan();
        let outputs = vec![output(4, "a"), output(5, "b"), output(1, "ts")];
        let join = PointInTimeJoin::try_new(entity_rows, EntityTime::Column(2), vec![lookup], outputs).unwrap().into_plan();
        let plan = LogicalPlanBuilder::from(join).sort([col("id").sort(true, true)]).unwrap().build().unwrap();
        let got = DataFrame::new(session.state(), plan).collect().await.unwrap();
        let knowledge = if known { "AND f.created <= e.t" } else { "" };
        let query = format!(
            "WITH ranked AS (
                 SELECT e.id, f.*, row_number() OVER (PARTITION BY e.id ORDER BY f.ts DESC, f.created DESC NULLS LAST, f.seq DESC,
                     f.a DESC NULLS LAST, f.b DESC NULLS LAST, f.valid_until DESC NULLS FIRST) AS place
                 FROM e JOIN f ON f.k = e.key AND f.ts <= e.t AND f.ts >= e.t - INTERVAL '5 minutes' {knowledge})
             SELECT e.id, e.key, e.t, r.a, r.b, r.ts
             FROM e LEFT JOIN ranked r ON r.id = e.id AND r.place = 1 AND (r.valid_until IS NULL OR r.valid_until > e.t)
             ORDER BY e.id"
        );
        let wanted = session.sql(&query).await.unwrap().collect().await.unwrap();
        let show = |batches: &[RecordBatch]| pretty_format_batches(batches).unwrap().to_string();
        assert_eq!(show(&got), show(&wanted), "seed {seed}");
    }
}
