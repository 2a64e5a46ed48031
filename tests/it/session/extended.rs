//! Prepared statements: parameters, their types, fresh snapshots.

use std::time::{Duration, SystemTime};

use crate::support::TestGateway;

const VIEW: &str = "CREATE FEATURE VIEW customer_features (total_orders BIGINT, avg_order_value DOUBLE PRECISION)
    ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at";

fn day(day: u64) -> SystemTime {
    // 2026-01-01 is day 20454 since 1970.
    SystemTime::UNIX_EPOCH + Duration::from_secs((20454 + day - 1) * 86_400)
}

#[tokio::test(flavor = "multi_thread")]
async fn entity_rows_come_as_parameters() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.unwrap();
    let statement = client
        .prepare(
            "SELECT customer_id, total_orders, avg_order_value FROM get_historical_features(
                entities => (SELECT * FROM (VALUES ($1, $2)) AS e (customer_id, event_timestamp)),
                features => ARRAY['customer_features:*'])",
        )
        .await
        .unwrap();
    let types: Vec<&str> = statement.params().iter().map(|parameter| parameter.name()).collect();
    assert_eq!(types, ["int8", "timestamptz"], "untyped parameters take the types of key and time");
    let row = client.query_one(&statement, &[&1i64, &day(11)]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, Option<i64>>(1), row.get::<_, Option<f64>>(2)), (1, Some(15), Some(13.5)));
    let row = client.query_one(&statement, &[&1i64, &day(5)]).await.unwrap();
    assert_eq!((row.get::<_, Option<i64>>(1), row.get::<_, Option<f64>>(2)), (Some(10), Some(12.5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_carry_entity_rows() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.unwrap();
    let rows = client
        .query(
            "SELECT customer_id, total_orders FROM get_latest_features(
                entities => (SELECT unnest($1::bigint[]) AS customer_id), features => ARRAY['customer_features:total_orders'])
             ORDER BY customer_id",
            &[&vec![3i64, 1, 2]],
        )
        .await
        .unwrap();
    let got: Vec<(i64, Option<i64>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(got, [(1, Some(15)), (2, Some(21)), (3, Some(30))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_sees_new_commits() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    let statement = client.prepare("SELECT count(*) FROM iceberg.gold.labels").await.unwrap();
    assert_eq!(statement.columns()[0].name(), "count");
    assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, i64>(0), 8);
    let warehouse = gateway.warehouse();
    let mut table = warehouse.load_table("gold", "labels").unwrap();
    let schema = crate::support::schema(&[("customer_id", "bigint"), ("event_timestamp", "timestamptz"), ("churned", "bigint")]);
    warehouse.append(&mut table, &crate::support::batch(&schema, &[&[Some("9"), Some("2026-03-01"), Some("1")]])).unwrap();
    assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, i64>(0), 9);
}
