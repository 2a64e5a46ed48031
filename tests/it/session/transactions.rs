//! BEGIN … COMMIT over registry, settings and temporary tables; two gateways on one registry.

use featgres::config::Config;

use crate::support::{TestGateway, code};

const VIEW: &str =
    "CREATE FEATURE VIEW v (total_orders BIGINT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at";

#[tokio::test(flavor = "multi_thread")]
async fn ddl_is_one_version_or_none() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    let version = async || client.query_one("SELECT registry_version FROM feature_store.status", &[]).await.unwrap().get::<_, i64>(0);
    let before = version().await;
    client.batch_execute("BEGIN").await.unwrap();
    client.batch_execute("CREATE ENTITY shop KEY (shop_id TEXT)").await.unwrap();
    client.batch_execute(VIEW).await.unwrap();
    assert_eq!(client.query("SELECT name FROM feature_store.feature_views", &[]).await.unwrap().len(), 1, "it sees its own definitions");
    let other = gateway.connect().await;
    assert_eq!(other.query("SELECT name FROM feature_store.feature_views", &[]).await.unwrap().len(), 0, "others do not");
    client.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(version().await, before);
    client.batch_execute(&format!("BEGIN; CREATE ENTITY shop KEY (shop_id TEXT); {VIEW}; COMMIT")).await.unwrap();
    assert_eq!(version().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_race_is_40001() {
    let gateway = TestGateway::start().await;
    let (first, second) = (gateway.connect().await, gateway.connect().await);
    for client in [&first, &second] {
        client.batch_execute("BEGIN").await.unwrap();
    }
    first.batch_execute("CREATE ENTITY a KEY (k BIGINT)").await.unwrap();
    second.batch_execute("CREATE ENTITY b KEY (k BIGINT)").await.unwrap();
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(code(second.batch_execute("COMMIT").await), "40001");
    second.batch_execute("CREATE ENTITY b KEY (k BIGINT)").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_fails_the_block() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client
        .batch_execute("BEGIN; CREATE TEMP TABLE t (a BIGINT); INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    assert_eq!(code(client.batch_execute("SELECT nothing").await), "42703");
    assert_eq!(code(client.batch_execute("SELECT 1").await), "25P02");
    client.batch_execute("ROLLBACK TO SAVEPOINT s").await.unwrap();
    assert_eq!(client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get::<_, i64>(0), 1);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(client.query_one("SELECT sum(a)::bigint FROM t", &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_a_registry() {
    let first = TestGateway::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::embedded("test", first.folder(), "127.0.0.1:0".parse().unwrap());
    config.registry_refresh = std::time::Duration::ZERO;
    let second = TestGateway::serve(folder, config).await.unwrap();
    first.connect().await.batch_execute(VIEW).await.unwrap();
    let client = second.connect().await;
    let rows = client.query("SELECT name FROM feature_store.feature_views", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, String>(0), "v");
    assert_eq!(code(client.batch_execute(VIEW).await), "42P07");
}
