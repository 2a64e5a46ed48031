//! What the engine concludes for scans of tables in several files, where memory would not show it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use featgres::demo::warehouse::Warehouse;

use crate::support::TestGateway;

/// `gold.t (id, d, at)`, a file for each list of rows; `at` in microseconds.
fn write(warehouse: &Warehouse, files: &[&[(i64, f64, i64)]]) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("d", DataType::Float64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]));
    let mut table = warehouse.create_table("gold", "t", &schema, &[]).expect("a table");
    for rows in files {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<TimestampMicrosecondArray>()),
        ];
        warehouse.append(&mut table, &RecordBatch::try_new(Arc::clone(&schema), columns).expect("rows")).expect("a commit");
    }
}

async fn ids(gateway: &TestGateway, sql: &str) -> Vec<i64> {
    let rows = gateway.connect().await.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

/// How many files EXPLAIN says are read.
async fn files_read(gateway: &TestGateway, sql: &str) -> usize {
    let plan = gateway.connect().await.query(&format!("EXPLAIN {sql}"), &[]).await.expect("a plan");
    let lines: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let files = lines.iter().find_map(|line| line.split("files=").nth(1)?.split('/').next()?.parse().ok());
    files.unwrap_or_else(|| panic!("{sql}: {lines:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_one_column_prune_whatever_they_are_joined_by() {
    let files: &[&[(i64, f64, i64)]] = &[&[(1, 0.0, 0)], &[(2, 0.0, 0)], &[(3, 0.0, 0)]];
    let gateway = TestGateway::with(|_| {}, |warehouse| write(warehouse, files)).await;
    for (condition, wanted) in [
        ("id = 1 OR id = 3", vec![1, 3]),
        ("id IN (1, 7) OR id IN (3, 8, 9, 10)", vec![1, 3]),
        ("id NOT IN (1) AND id NOT IN (2)", vec![3]),
        ("NOT (id = 1 OR id = 2)", vec![3]),
        ("id IN (1, 2) AND id IN (2, 3)", vec![2]),
    ] {
        let sql = format!("SELECT id FROM iceberg.gold.t WHERE {condition} ORDER BY id");
        assert_eq!(ids(&gateway, &sql).await, wanted, "{sql}");
        let most = if condition.contains("AND id IN") { 2 } else { wanted.len() };
        assert!(files_read(&gateway, &sql).await <= most, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zeros_of_both_signs_meet_whatever_file_they_are_in() {
    let gateway = TestGateway::with(|_| {}, |warehouse| write(warehouse, &[&[(1, 0.0, 0)], &[(2, -0.0, 0)], &[(3, 1.5, 0)]])).await;
    for (sql, wanted) in [
        ("SELECT id FROM iceberg.gold.t JOIN (VALUES ('-0'::float8)) v(k) ON t.d = v.k ORDER BY id", vec![1, 2]),
        ("SELECT id FROM iceberg.gold.t JOIN (VALUES ('0'::float8)) v(k) ON t.d = v.k ORDER BY id", vec![1, 2]),
        ("SELECT id FROM iceberg.gold.t WHERE d IN (SELECT '-0'::float8) ORDER BY id", vec![1, 2]),
        ("SELECT id FROM iceberg.gold.t WHERE d = '-0' ORDER BY id", vec![1, 2]),
        ("SELECT a.id FROM iceberg.gold.t a JOIN iceberg.gold.t b ON a.d = b.d ORDER BY a.id", vec![1, 1, 2, 2, 3]),
    ] {
        assert_eq!(ids(&gateway, sql).await, wanted, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_moments_are_found_and_pruned() {
    const HOUR: i64 = 3_600_000_000;
    // One file from 23:00 to 01:00 on the first days of 1970, and one a month later.
    let files: &[&[(i64, f64, i64)]] =
        &[&[(1, 0.0, 23 * HOUR), (2, 0.0, 24 * HOUR), (3, 0.0, 25 * HOUR)], &[(4, 0.0, 31 * 24 * HOUR + HOUR), (5, 0.0, 31 * 24 * HOUR)]];
    let gateway = TestGateway::with(|_| {}, |warehouse| write(warehouse, files)).await;
    for (condition, wanted, files) in [
        ("at::date < '1970-01-02'", vec![1], 1),
        ("at::date > '1970-01-01'", vec![2, 3, 5, 4], 2),
        ("at::date = '1970-02-01'", vec![5, 4], 1),
        ("date_trunc('month', at) = '1970-02-01'", vec![5, 4], 1),
        ("date_trunc('month', at) < '1970-02-01'", vec![1, 2, 3], 1),
        ("at::date IN ('1970-01-02', '1970-03-01')", vec![2, 3], 1),
        ("at > date '1970-01-02'", vec![3, 5, 4], 2),
    ] {
        let sql = format!("SELECT id FROM iceberg.gold.t WHERE {condition} ORDER BY at");
        assert_eq!(ids(&gateway, &sql).await, wanted, "{sql}");
        assert_eq!(files_read(&gateway, &sql).await, files, "{condition}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_travel_without_a_zone_is_the_sessions() {
    let gateway = TestGateway::with(|_| {}, |warehouse| write(warehouse, &[&[(1, 0.0, 0)]])).await;
    let client = gateway.connect().await;
    let count = "SELECT count(*) FROM iceberg.gold.t FOR TIMESTAMP AS OF TIMESTAMPTZ";
    let soon = "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 hours', 'YYYY-MM-DD HH24:MI:SS')";
    let soon: String = client.query_one(soon, &[]).await.expect("a time").get(0);
    // Two hours from now by UTC's clock is three hours ago where clocks are five hours ahead.
    assert_eq!(client.query_one(&format!("{count} '{soon}'"), &[]).await.expect("rows").get::<_, i64>(0), 1);
    client.batch_execute("SET TIME ZONE 'Asia/Karachi'").await.expect("a zone");
    let before = client.query_one(&format!("{count} '{soon}'"), &[]).await.expect_err("there was no snapshot yet");
    assert_eq!(before.code().map(|code| code.code().to_owned()).as_deref(), Some("72000"));
}
