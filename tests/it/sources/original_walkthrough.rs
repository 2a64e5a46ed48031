//! The original deployment from end to end: its environment variables, its table that Trino keeps in Nessie on S3, its feature
//! view, its batch of customers 123 and 456. Then Trino does to the table all that tables go through, and each time the next
//! retrieval must be what Trino itself says of it.
//!
//! Once over format 2 on Trino 476 (position deletes), once over format 3 on Trino 483 (deletion vectors).
//! The tables are made on Nessie's branch `dev`, which Trino has as its catalog `iceberg_dev`; featgres calls it `iceberg`.

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{Stack, TestGateway, TrinoSession, answer, plain};

#[tokio::test(flavor = "multi_thread")]
async fn original_walkthrough() {
    let Some(stack) = Stack::up("original_walkthrough", &["s3", "nessie", "trino"]).await else { return };
    let walk = Walk::begin(&stack, "TRINO_URL", "customer_aggregates", 2).await;
    walk.pinned_by_a_tag(&stack, "customer_aggregates").await;
    walk.through_all_changes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn original_walkthrough_with_deletion_vectors() {
    let Some(stack) = Stack::up("original_walkthrough_with_deletion_vectors", &["s3", "nessie", "trino-new"]).await else { return };
    let walk = Walk::begin(&stack, "TRINO_NEW_URL", "customer_aggregates_v3", 3).await;
    walk.pinned_by_a_tag(&stack, "customer_aggregates_v3").await;
    walk.through_all_changes().await;
}

struct Walk {
    trino: TrinoSession,
    client: Client,
    gateway: TestGateway,
    /// The table as Trino names it.
    table: String,
    /// The column behind the feature `total_orders`, as Trino has it now.
    orders: &'static str,
}

impl Walk {
    /// The table as the original's pipeline writes it, and the gateway as the original's variables configure it.
    async fn begin(stack: &Stack, url: &str, name: &str, format: u8) -> Self {
        let trino = TrinoSession::new(stack.get(url));
        let table = format!("iceberg_dev.gold.{name}");
        trino.run("CREATE SCHEMA IF NOT EXISTS iceberg_dev.gold").await;
        trino.run(&format!("DROP TABLE IF EXISTS {table}")).await;
        trino
            .run(&format!(
                "CREATE TABLE {table} (customer_id bigint, total_orders bigint, avg_order_value double, updated_at timestamp(6) with time zone) \
                 WITH (format_version = {format})"
            ))
            .await;
        let rows = |from: u32, to: u32, more: &str, days: u32| {
            format!(
                "INSERT INTO {table} SELECT id, id % 97 + 1 {more}, (id % 1000) / 4e0 {more}, TIMESTAMP '2026-01-01 00:00:00 UTC' \
                 + (id % 3000) * INTERVAL '1' MINUTE + INTERVAL '{days}' DAY FROM UNNEST(sequence({from}, {to})) AS t(id)"
            )
        };
        for insert in [rows(1, 300, "", 0), rows(301, 600, "", 0), rows(101, 500, "+ 1", 30)] {
            trino.run(&insert).await;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let config = stack.config(
            folder.path(),
            &[
                ("FEATGRES_PROJECT", "asgard_features"),
                ("FEATGRES_CATALOGS__ICEBERG__TYPE", "trino"),
                ("FEATGRES_CATALOGS__ICEBERG__URI", stack.get(url)),
                ("FEATGRES_CATALOGS__ICEBERG__CATALOG", "iceberg_dev"),
                ("FEATGRES_CATALOGS__ICEBERG__POINTER_LIFETIME", "0"),
                ("FEATGRES_CATALOGS__LAKE__TYPE", "nessie"),
                ("FEATGRES_CATALOGS__LAKE__URI", stack.get("NESSIE_URI")),
                ("FEATGRES_CATALOGS__LAKE__REF", "dev"),
                ("FEATGRES_HTTP__LISTEN", "127.0.0.1:0"),
                ("FEATGRES_HTTP__FEAST_API", "true"),
            ],
        );
        let gateway = TestGateway::serve(folder, config).await.expect("the gateway starts");
        let client = gateway.connect().await;
        client
            .batch_execute(&format!(
                "CREATE FEATURE VIEW customer_features (total_orders BIGINT, avg_order_value DOUBLE PRECISION) \
                 ENTITIES (customer_id) FROM iceberg.gold.{name} TIMESTAMP updated_at"
            ))
            .await
            .expect("the view is created");
        let walk = Self { trino, client, gateway, table, orders: "total_orders" };
        walk.created_again_over_http(name).await;
        walk.discovered(name).await;
        walk
    }

    /// The original's own call makes the same view as the statement.
    async fn created_again_over_http(&self, name: &str) {
        let by_sql = self.cells("SHOW CREATE FEATURE VIEW customer_features").await;
        self.client.batch_execute("DROP FEATURE VIEW customer_features; DROP ENTITY customer_id").await.expect("both are dropped");
        let request = json!({
            "name": "customer_features",
            "entities": ["customer_id"],
            "features": [{"name": "total_orders", "dtype": "int64"}, {"name": "avg_order_value", "dtype": "float64"}],
            "source": {"catalog": "iceberg", "schema": "gold", "table_name": name, "timestamp_field": "updated_at"},
            "online": false
        });
        self.post("/feast/features", &request).await;
        assert_eq!(self.cells("SHOW CREATE FEATURE VIEW customer_features").await, by_sql);
    }

    /// The answer of a call that must succeed.
    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = reqwest::Client::new().post(self.gateway.url(path)).json(body).send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// What the original shows of itself: the pattern of the table's files, the status.
    async fn discovered(&self, name: &str) {
        let path = self.trino.rows(&format!("SELECT \"$path\" FROM {} LIMIT 1", self.table)).await.remove(0).remove(0);
        let pattern = format!("{}/*.parquet", path.rsplit_once('/').expect("a folder").0);
        let shown = self.cells("SELECT path FROM feature_store.feature_views").await;
        assert_eq!(shown, [[pattern.clone()]]);
        assert!(
            pattern.starts_with(&format!("s3://airbytedestination1/iceberg/gold/{name}-")) && pattern.ends_with("/data/*.parquet"),
            "{pattern}"
        );
        let status = "SELECT project, online_store_type, offline_store_type, num_feature_views, feature_views FROM feature_store.status";
        let expected = ["asgard_features", "disabled", "iceberg (trino, nessie)", "1", "{customer_features}"];
        assert_eq!(self.cells(status).await, [expected.map(str::to_owned)]);
        let status: Value = reqwest::get(self.gateway.url("/feast/status")).await.expect("an answer").json().await.expect("JSON");
        assert_eq!((&status["num_feature_views"], &status["feature_views"]), (&json!(1), &json!(["customer_features"])));
    }

    async fn through_all_changes(mut self) {
        let table = self.table.clone();
        self.agree("as created").await;
        let late = "TIMESTAMP '2026-03-01 00:00:00 UTC'";
        self.change("INSERT", &format!("INSERT INTO {table} VALUES (123, 1000, 1.5e0, {late}), (7000, 1, 1e0, {late})")).await;
        self.change("DELETE", &format!("DELETE FROM {table} WHERE customer_id = 123 AND updated_at = {late}")).await;
        self.change("DELETE of many", &format!("DELETE FROM {table} WHERE customer_id % 7 = 3")).await;
        self.change(
            "UPDATE",
            &format!("UPDATE {table} SET total_orders = total_orders + 5, avg_order_value = NULL WHERE customer_id IN (123, 200, 456)"),
        )
        .await;
        self.change(
            "MERGE",
            &format!(
                "MERGE INTO {table} AS t USING (VALUES (123, 77, {late}), (456, 78, {late}), (8000, 79, {late})) AS s(id, orders, at) \
                 ON t.customer_id = s.id AND t.updated_at < TIMESTAMP '2026-01-20 00:00:00 UTC' \
                 WHEN MATCHED AND s.id = 123 THEN DELETE WHEN MATCHED THEN UPDATE SET total_orders = s.orders \
                 WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.orders, 2.5e0, s.at)"
            ),
        )
        .await;
        self.change("OPTIMIZE", &format!("ALTER TABLE {table} EXECUTE optimize")).await;
        self.change(
            "partitioning",
            &format!("ALTER TABLE {table} SET PROPERTIES partitioning = ARRAY['bucket(customer_id, 4)', 'month(updated_at)']"),
        )
        .await;
        self.change(
            "INSERT by the new partitioning",
            &format!("INSERT INTO {table} VALUES (123, 90, 9e0, {late} + INTERVAL '1' DAY), (456, 91, 9.5e0, {late} + INTERVAL '2' DAY)"),
        )
        .await;
        self.change("DELETE across partitionings", &format!("DELETE FROM {table} WHERE customer_id % 5 = 2")).await;
        self.orders = "orders_so_far";
        self.change("RENAME COLUMN", &format!("ALTER TABLE {table} RENAME COLUMN total_orders TO orders_so_far")).await;
        self.change("INSERT after the rename", &format!("INSERT INTO {table} VALUES (456, 92, 1e0, {late} + INTERVAL '3' DAY)")).await;
        let definition = self.cells("SHOW CREATE FEATURE VIEW customer_features").await.remove(0).remove(0);
        assert!(definition.contains("total_orders bigint FROM orders_so_far"), "{definition}");
        self.change("ADD COLUMN", &format!("ALTER TABLE {table} ADD COLUMN segment varchar")).await;
        self.change("UPDATE of all", &format!("UPDATE {table} SET orders_so_far = orders_so_far * 2")).await;
        self.trino.run(&format!("DROP TABLE {table}")).await;
        let gone = self.client.simple_query("SELECT * FROM customer_features").await.expect_err("the table is gone");
        assert_eq!(gone.code().map(|code| code.code()), Some("42P01"), "{gone}");
    }

    /// A tag of Nessie pins a training set: the branch moves on, and the pinned retrieval gives the same rows.
    async fn pinned_by_a_tag(&self, stack: &Stack, name: &str) {
        let view = format!(
            "CREATE FEATURE VIEW tagged (total_orders BIGINT, avg_order_value DOUBLE PRECISION) ENTITIES (customer_id) \
             FROM lake.gold.{name} TIMESTAMP updated_at"
        );
        self.client.batch_execute(&view).await.expect("a view over Nessie's own catalog");
        let tag = format!("train-{}-{}", name.replace('_', "-"), std::process::id());
        stack.nessie(&["tag", &tag, "dev"]).await;
        let training = |at: &str| {
            format!(
                "SELECT customer_id, day, total_orders, avg_order_value FROM get_historical_features(\
                 entities => (SELECT c.value AS customer_id, d.value AS day, TIMESTAMPTZ '2026-01-01 12:00:00+00' + d.value * INTERVAL '9 days' AS event_timestamp \
                 FROM generate_series(90, 210) AS c(value), generate_series(0, 8) AS d(value)), \
                 features => ARRAY['tagged:total_orders', 'tagged:avg_order_value'] {at}) ORDER BY 1, 2"
            )
        };
        let pinned = training(&format!(", at => '{tag}'"));
        let before = self.cells(&pinned).await;
        assert_eq!(before, self.cells(&training("")).await, "the tag is where the branch is");
        let table = &self.table;
        self.trino.run(&format!("UPDATE {table} SET total_orders = total_orders + 1000000 WHERE customer_id < 200")).await;
        self.trino.run(&format!("DELETE FROM {table} WHERE customer_id >= 200")).await;
        self.trino.run(&format!("ALTER TABLE {table} EXECUTE optimize")).await;
        assert_eq!(self.cells(&pinned).await, before, "the pinned training set");
        assert_ne!(self.cells(&training("")).await, before, "the branch has moved on");
        self.client.batch_execute("DROP FEATURE VIEW tagged").await.expect("the view is dropped");
        stack.nessie(&["delete", &tag]).await;
    }

    /// Trino changes the table; the next retrieval is right.
    async fn change(&self, what: &str, sql: &str) {
        self.trino.run(sql).await;
        self.agree(what).await;
    }

    /// Batch features, a training set and the whole view are what Trino says of its table.
    async fn agree(&self, what: &str) {
        let (table, orders) = (&self.table, self.orders);
        let batch = self
            .cells(
                "SELECT customer_id, total_orders, avg_order_value FROM get_latest_features(\
                 entities => (SELECT customer_id FROM (VALUES (123::bigint), (456)) AS t(customer_id)), \
                 features => ARRAY['customer_features:total_orders', 'customer_features:avg_order_value']) ORDER BY 1",
            )
            .await;
        let expected = format!(
            "SELECT e.id, {orders}, avg_order_value FROM (VALUES 123, 456) AS e(id) LEFT JOIN (SELECT *, row_number() OVER \
             (PARTITION BY customer_id ORDER BY updated_at DESC) AS r FROM {table} WHERE updated_at <= now()) AS f \
             ON f.customer_id = e.id AND r = 1 ORDER BY 1"
        );
        assert_eq!(batch, self.trino.rows(&expected).await, "batch features after {what}");
        let question = json!({"feature_views": ["customer_features"], "entities": [{"customer_id": 123}, {"customer_id": 456}]});
        let answer = self.post("/feast/predictions/batch", &question).await;
        let over_http: Vec<Vec<String>> = answer
            .as_array()
            .expect("an object per entity row")
            .iter()
            .map(|row| ["customer_id", "total_orders", "avg_order_value"].map(|key| plain(&row[key].to_string())).to_vec())
            .collect();
        assert_eq!(over_http, batch, "batch features over HTTP after {what}");

        let training = self
            .cells(
                "SELECT customer_id, day, total_orders, avg_order_value FROM get_historical_features(\
                 entities => (SELECT c.value AS customer_id, d.value AS day, TIMESTAMPTZ '2026-01-01 12:00:00+00' + d.value * INTERVAL '9 days' AS event_timestamp \
                 FROM generate_series(90, 210) AS c(value), generate_series(0, 8) AS d(value)), \
                 features => ARRAY['customer_features:total_orders', 'customer_features:avg_order_value']) ORDER BY 1, 2",
            )
            .await;
        let expected = format!(
            "SELECT id, day, {orders}, avg_order_value FROM (SELECT e.id, e.day, f.{orders}, f.avg_order_value, row_number() OVER \
             (PARTITION BY e.id, e.day ORDER BY f.updated_at DESC NULLS LAST) AS r FROM (SELECT id, day, TIMESTAMP '2026-01-01 12:00:00 UTC' \
             + day * INTERVAL '9' DAY AS at FROM UNNEST(sequence(90, 210)) AS c(id) CROSS JOIN UNNEST(sequence(0, 8)) AS d(day)) AS e \
             LEFT JOIN {table} AS f ON f.customer_id = e.id AND f.updated_at <= e.at) WHERE r = 1 ORDER BY 1, 2"
        );
        assert_eq!(training, self.trino.rows(&expected).await, "training set after {what}");

        let all = self
            .cells("SELECT customer_id, total_orders, avg_order_value, extract(epoch FROM updated_at)::bigint FROM customer_features ORDER BY 1, 4")
            .await;
        let expected =
            format!("SELECT customer_id, {orders}, avg_order_value, CAST(to_unixtime(updated_at) AS bigint) FROM {table} ORDER BY 1, 4");
        assert_eq!(all, self.trino.rows(&expected).await, "all rows after {what}");
    }

    /// The rows of a query, in the spelling of [`TrinoSession::rows`].
    async fn cells(&self, sql: &str) -> Vec<Vec<String>> {
        let shown = |cell: Option<String>| cell.map_or_else(|| "null".to_owned(), |cell| plain(&cell));
        answer(&self.client, sql).await.into_iter().map(|row| row.into_iter().map(shown).collect()).collect()
    }
}
