//! Commits between statements: what a pin, a transaction and the record of a retrieval keep, and what follows the table.

use arrow::record_batch::RecordBatch;
use featgres::demo::warehouse::Warehouse;
use tokio_postgres::Client;

use crate::support::{TestGateway, batch, code, lines, schema};

const VIEW: &str = "CREATE FEATURE VIEW customer_features (total_orders BIGINT)
    ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at";
const RETRIEVAL: &str =
    "SELECT customer_id, total_orders FROM get_historical_features((TABLE iceberg.gold.labels), ARRAY['customer_features:*']";

/// Customer 1 has `orders` from a time before all labels of 11 January, and one more label of that day.
fn commit(gateway: &TestGateway, orders: &str) -> (i64, i64) {
    let warehouse = gateway.warehouse();
    let aggregates = append(&warehouse, "customer_aggregates", |schema| {
        batch(schema, &[&[Some("1"), Some("2026-01-10T12:00:00"), Some("2026-01-10T12:00:00"), Some(orders), None, None]])
    });
    let labels = append(&warehouse, "labels", |schema| batch(schema, &[&[Some("1"), Some("2026-01-11"), Some("1")]]));
    (aggregates, labels)
}

fn append(warehouse: &Warehouse, name: &str, rows: impl FnOnce(&arrow::datatypes::Schema) -> RecordBatch) -> i64 {
    let mut table = warehouse.load_table("gold", name).unwrap();
    let schema = table.schema().clone();
    warehouse.append(&mut table, &rows(&schema)).unwrap()
}

async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let mut rows = lines(client, sql).await;
    rows.sort();
    rows
}

async fn last_at(client: &Client) -> String {
    let found = rows(client, "SELECT DISTINCT at FROM feature_store.last_query()").await;
    assert_eq!(found.len(), 1, "one text for all tables: {found:?}");
    found[0].clone()
}

const BEFORE: [&str; 8] = ["1|10", "1|10", "1|15", "2|21", "2|NULL", "3|NULL", "4|NULL", "NULL|NULL"];

#[tokio::test(flavor = "multi_thread")]
async fn what_last_query_tells_gives_the_same_rows_again() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.unwrap();
    assert!(rows(&client, "SELECT * FROM feature_store.last_query()").await.is_empty());
    assert_eq!(rows(&client, &format!("{RETRIEVAL})")).await, BEFORE);
    let read = client
        .query(
            "SELECT catalog, schema, \"table\", metadata_location, table_uuid, snapshot_id, schema_id, nessie_hash, registry_version
             FROM feature_store.last_query() ORDER BY 3",
            &[],
        )
        .await
        .unwrap();
    let names: Vec<String> =
        read.iter().map(|row| format!("{}.{}.{}", row.get::<_, &str>(0), row.get::<_, &str>(1), row.get::<_, &str>(2))).collect();
    assert_eq!(names, ["iceberg.gold.customer_aggregates", "iceberg.gold.labels"]);
    let labels = gateway.warehouse().load_table("gold", "labels").unwrap();
    assert_eq!(read[1].get::<_, &str>(3), labels.metadata_location());
    assert_eq!(read[1].get::<_, Option<i64>>(5), labels.snapshot_id());
    assert_eq!((read[1].get::<_, i64>(6), read[1].get::<_, Option<&str>>(7), read[1].get::<_, i64>(8)), (0, None, 1));
    assert_eq!(read[1].get::<_, &str>(4).len(), 36);
    let at = last_at(&client).await;

    commit(&gateway, "16");
    let now = rows(&client, &format!("{RETRIEVAL})")).await;
    assert_eq!(now.len(), 9);
    assert_eq!(now.iter().filter(|row| *row == "1|16").count(), 2, "{now:?}");
    assert_eq!(rows(&client, &format!("{RETRIEVAL}, at => '{at}')")).await, BEFORE);
    assert_eq!(last_at(&client).await, at, "a pinned retrieval tells the same pin");
    // Entity rows of an expression further out, and in quoted SQL, are pinned too.
    let spine = format!(
        "WITH spine AS (SELECT * FROM iceberg.gold.labels) SELECT customer_id, total_orders
         FROM get_historical_features((TABLE spine), ARRAY['customer_features:*'], at => '{at}')"
    );
    assert_eq!(rows(&client, &spine).await, BEFORE);
    let quoted = format!(
        "SELECT customer_id, total_orders FROM get_historical_features('TABLE iceberg.gold.labels', ARRAY['customer_features:*'], at => '{at}')"
    );
    assert_eq!(rows(&client, &quoted).await, BEFORE);

    // Another session has no last retrieval, and another statement does not end this one's.
    assert!(rows(&gateway.connect().await, "SELECT * FROM feature_store.last_query()").await.is_empty());
    client.batch_execute("DISCARD ALL").await.unwrap();
    assert!(rows(&client, "SELECT * FROM feature_store.last_query").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_is_a_parameter() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.unwrap();
    rows(&client, &format!("{RETRIEVAL})")).await;
    let at = last_at(&client).await;
    let statement = client.prepare(&format!("{RETRIEVAL}, at => $1)")).await.unwrap();
    assert_eq!(statement.params()[0].name(), "text");
    let (_, labels) = commit(&gateway, "16");
    let count = async |at: Option<&str>| client.query(&statement, &[&at]).await.map(|rows| rows.len());
    assert_eq!(count(Some(&at)).await.unwrap(), 8);
    assert_eq!(count(None).await.unwrap(), 9, "NULL is not given");
    assert_eq!(count(Some("main")).await.unwrap(), 9);
    assert_eq!(code(count(Some("nowhere")).await), "42704");
    assert_eq!(code(count(Some("a=1")).await), "22023");
    assert_eq!(code(count(Some(&labels.to_string())).await), "72000", "a snapshot id is one table's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_pins_all_tables_and_wins_over_a_views_own_pin() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.unwrap();
    for name in ["customer_aggregates", "labels"] {
        let warehouse = gateway.warehouse();
        let mut table = warehouse.load_table("gold", name).unwrap();
        warehouse.tag(&mut table, "train").unwrap();
    }
    let (pinned, _) = commit(&gateway, "16");
    commit(&gateway, "17");
    let view = |name: &str, pin: &str| {
        format!(
            "CREATE FEATURE VIEW {name} (total_orders BIGINT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates {pin}
             TIMESTAMP updated_at CREATED TIMESTAMP ingested_at"
        )
    };
    client.batch_execute(&view("tagged", "AT TAG 'train'")).await.unwrap();
    client.batch_execute(&view("numbered", &format!("AT SNAPSHOT {pinned}"))).await.unwrap();
    let latest = |view: &str, rest: &str| {
        format!("SELECT total_orders FROM get_latest_features((SELECT 1 AS customer_id), ARRAY['{view}:*']{rest})")
    };
    assert_eq!(rows(&client, &latest("tagged", "")).await, ["15"]);
    assert_eq!(rows(&client, &latest("numbered", "")).await, ["16"]);
    assert_eq!(rows(&client, &latest("numbered", ", at => 'train'")).await, ["15"]);
    assert_eq!(rows(&client, &latest("tagged", ", at => 'main'")).await, ["17"]);
    assert_eq!(rows(&client, &format!("{RETRIEVAL}, at => 'train')")).await, BEFORE);
    let definition = rows(&client, "SHOW CREATE FEATURE VIEW tagged").await.remove(0);
    assert!(definition.contains("AT TAG 'train'"), "{definition}");
    let again = definition.replace("FEATURE VIEW tagged", "FEATURE VIEW again");
    client.batch_execute(&again).await.unwrap();
    assert_eq!(rows(&client, "SHOW CREATE FEATURE VIEW again").await[0], again);
    let counts = rows(&client, "SELECT name || ' ' || row_count FROM feature_store.feature_views").await;
    assert_eq!(counts, ["again 8", "customer_features 10", "numbered 9", "tagged 8"]);

    // Two pins of one table in one retrieval, and both come back.
    let both = "SELECT tagged, now FROM (SELECT tagged__total_orders AS tagged, customer_features__total_orders AS now
        FROM get_latest_features((SELECT 1 AS customer_id), ARRAY['tagged:*', 'customer_features:*'], full_feature_names => true";
    assert_eq!(rows(&client, &format!("{both})) AS t")).await, ["15|17"]);
    let at = last_at(&client).await;
    commit(&gateway, "18");
    let warehouse = gateway.warehouse();
    let mut table = warehouse.load_table("gold", "customer_aggregates").unwrap();
    warehouse.tag(&mut table, "train").unwrap();
    assert_eq!(rows(&client, &format!("{both})) AS t")).await, ["18|18"], "tags can move");
    assert_eq!(rows(&client, &format!("{both}, at => '{at}')) AS t")).await, ["15|17"], "{at}");
    let plain = format!("SELECT count(*) FROM iceberg.gold.customer_aggregates FOR VERSION AS OF {pinned}");
    assert_eq!(rows(&client, &plain).await, ["9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_reads_what_it_saw_first() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(rows(&client, &format!("{RETRIEVAL})")).await, BEFORE);
    commit(&gateway, "16");
    assert_eq!(rows(&client, &format!("{RETRIEVAL})")).await, BEFORE, "the tables as first seen");
    assert_eq!(rows(&client, "SELECT count(*) FROM iceberg.gold.labels").await, ["8"]);
    assert_eq!(client.query_one("SELECT count(*) FROM iceberg.gold.labels", &[]).await.unwrap().get::<_, i64>(0), 8);
    client.batch_execute("COMMIT").await.unwrap();
    assert_eq!(rows(&client, "SELECT count(*) FROM iceberg.gold.labels").await, ["9"], "each statement of its own sees the newest");
    commit(&gateway, "17");
    assert_eq!(rows(&client, "SELECT count(*) FROM iceberg.gold.labels").await, ["10"]);
    let newest =
        rows(&client, "SELECT total_orders FROM get_latest_features((SELECT 1 AS customer_id), ARRAY['customer_features:*'])").await;
    assert_eq!(newest, ["17"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_stays_empty_under_its_pin() {
    let gateway = TestGateway::with(
        |_| {},
        |warehouse| {
            let columns = schema(&[("customer_id", "bigint"), ("updated_at", "timestamptz"), ("score", "double")]);
            warehouse.create_table("gold", "scores", &columns, &[]).unwrap();
        },
    )
    .await;
    let client = gateway.connect().await;
    client
        .batch_execute(
            "CREATE FEATURE VIEW scores (score DOUBLE PRECISION) ENTITIES (customer_id) FROM iceberg.gold.scores TIMESTAMP updated_at",
        )
        .await
        .unwrap();
    let latest = |rest: &str| format!("SELECT score FROM get_latest_features((SELECT 1 AS customer_id), ARRAY['scores:*']{rest})");
    assert_eq!(rows(&client, &latest("")).await, ["NULL"]);
    let at = last_at(&client).await;
    append(&gateway.warehouse(), "scores", |schema| batch(schema, &[&[Some("1"), Some("2026-01-01"), Some("0.5")]]));
    assert_eq!(rows(&client, &latest("")).await, ["0.5"]);
    assert_eq!(rows(&client, &latest(&format!(", at => '{at}'"))).await, ["NULL"]);
    let ranges = format!("SELECT count(*) FROM get_feature_ranges('scores', at => '{at}')");
    assert_eq!(rows(&client, &ranges).await, ["0"]);
}
