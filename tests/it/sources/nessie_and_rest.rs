//! The real Nessie, by its own API and by its Iceberg REST, and SeaweedFS's REST catalog with OAuth2, while Trino commits.
//!
//! Tables live on a branch of the test's own, which is made and deleted through Nessie's API by the stack's script.

use tokio_postgres::Client;

use crate::support::{Stack, TestGateway, TrinoSession, cells};

/// The cells of all rows, NULL as `null`.
async fn cell(client: &Client, sql: &str) -> String {
    cells(client, sql).await.remove(0).remove(0)
}

async fn failure(client: &Client, sql: &str) -> (String, String, String) {
    let error = client.simple_query(sql).await.expect_err("the statement fails");
    let error = error.as_db_error().expect("an error of the server").clone();
    (error.code().code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn nessie_and_its_rest_catalog_read_what_trino_commits() {
    let Some(stack) = Stack::up("nessie_and_its_rest_catalog", &["s3", "nessie", "trino"]).await else { return };
    let trino = TrinoSession::new(stack.get("TRINO_URL"));
    let table = "iceberg_dev.nessie_test.balances";
    trino.run("CREATE SCHEMA IF NOT EXISTS iceberg_dev.nessie_test").await;
    for name in ["balances", "limits"] {
        trino.run(&format!("DROP TABLE IF EXISTS iceberg_dev.nessie_test.{name}")).await;
        trino.run(&format!("CREATE TABLE iceberg_dev.nessie_test.{name} (id bigint, amount bigint, ts timestamp(6) with time zone)")).await;
    }
    trino.run(&format!("INSERT INTO {table} VALUES (1, 10, TIMESTAMP '2026-01-01 00:00:00 UTC')")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = stack.config(
        folder.path(),
        &[
            ("FEATGRES_PROJECT", "test"),
            ("FEATGRES_CATALOGS__NESSIE__TYPE", "nessie"),
            ("FEATGRES_CATALOGS__NESSIE__URI", stack.get("NESSIE_URI")),
            ("FEATGRES_CATALOGS__NESSIE__REF", "dev"),
            ("FEATGRES_CATALOGS__REST__TYPE", "rest"),
            ("FEATGRES_CATALOGS__REST__URI", stack.get("NESSIE_ICEBERG_REST_URI")),
            ("FEATGRES_CATALOGS__REST__WAREHOUSE", "warehouse"),
            ("FEATGRES_CATALOGS__REST__PREFIX", "dev%7Cwarehouse"),
            ("FEATGRES_CATALOGS__SEAWEED__TYPE", "rest"),
            ("FEATGRES_CATALOGS__SEAWEED__URI", stack.get("SEAWEED_ICEBERG_REST_URI")),
            ("FEATGRES_CATALOGS__SEAWEED__WAREHOUSE", "s3://warehouse"),
            (
                "FEATGRES_CATALOGS__SEAWEED__CREDENTIAL",
                &format!("{}:{}", stack.get("AWS_ACCESS_KEY_ID"), stack.get("AWS_SECRET_ACCESS_KEY")),
            ),
        ],
    );
    let gateway = TestGateway::serve(folder, config).await.expect("the gateway starts");
    let client = gateway.connect().await;
    let other = gateway.connect().await;
    let sum = |catalog: &str| format!("SELECT count(*) || ' ' || coalesce(sum(amount), 0) FROM {catalog}.nessie_test.balances");
    for catalog in ["nessie", "rest"] {
        assert_eq!(cell(&client, &sum(catalog)).await, "1 10", "{catalog}");
        let view =
            format!("CREATE FEATURE VIEW {catalog}_view (amount BIGINT) ENTITIES (id) FROM {catalog}.nessie_test.balances TIMESTAMP ts");
        client.batch_execute(&view).await.expect("the view is created");
        let tables = cells(&client, &format!("SHOW TABLES FROM {catalog}.nessie_test")).await;
        assert!(["balances", "limits"].iter().all(|name| tables.iter().flatten().any(|cell| cell == name)), "{catalog}: {tables:?}");
        let (code, _, hint) = failure(&client, &format!("SELECT * FROM {catalog}.nessie_test.balance")).await;
        assert_eq!((code.as_str(), hint.as_str()), ("42P01", "Perhaps you meant \"balances\"."), "{catalog}");
        assert_eq!(failure(&client, &format!("SELECT * FROM {catalog}.nessie_tset.balances")).await.0, "3F000", "{catalog}");
    }

    // A transaction reads one commit of all tables; the next statement outside it reads the next.
    client.batch_execute("BEGIN").await.expect("BEGIN");
    assert_eq!(cell(&client, &sum("nessie")).await, "1 10");
    trino.run(&format!("INSERT INTO {table} VALUES (1, 20, TIMESTAMP '2026-01-02 00:00:00 UTC')")).await;
    trino.run("INSERT INTO iceberg_dev.nessie_test.limits VALUES (1, 1, TIMESTAMP '2026-01-02 00:00:00 UTC')").await;
    assert_eq!(cell(&client, &sum("nessie")).await, "1 10");
    assert_eq!(cell(&client, "SELECT count(*) FROM nessie.nessie_test.limits").await, "0");
    assert_eq!(cell(&other, "SELECT count(*) FROM nessie.nessie_test.limits").await, "1");
    client.batch_execute("COMMIT").await.expect("COMMIT");
    for catalog in ["nessie", "rest"] {
        assert_eq!(cell(&client, &sum(catalog)).await, "2 30", "{catalog}");
        let latest = format!("SELECT amount FROM get_latest_features((SELECT 1::bigint AS id), ARRAY['{catalog}_view:amount'])");
        assert_eq!(cell(&client, &latest).await, "20", "{catalog}");
    }

    // What was read is read again by its `at`, though the branch moves on.
    let retrieval = "SELECT amount FROM get_latest_features((SELECT 1::bigint AS id), ARRAY['nessie_view:amount'])";
    assert_eq!(cell(&client, retrieval).await, "20");
    let at = cell(&client, "SELECT at FROM feature_store.last_query()").await;
    let hash = cell(&client, "SELECT nessie_hash FROM feature_store.last_query()").await;
    assert!(hash.len() == 64 && at.ends_with(&format!("@{hash}")), "{at}");
    trino.run(&format!("DELETE FROM {table} WHERE amount = 20")).await;
    assert_eq!(cell(&client, retrieval).await, "10");
    let again = format!("SELECT amount FROM get_latest_features((SELECT 1::bigint AS id), ARRAY['nessie_view:amount'], at => '{at}')");
    assert_eq!(cell(&client, &again).await, "20");

    // Nessie's references: a tag, a hash; what is none.
    let tag = format!("t{}", uuid::Uuid::new_v4().simple());
    stack.nessie(&["tag", &tag, "dev"]).await;
    trino.run(&format!("INSERT INTO {table} VALUES (2, 100, TIMESTAMP '2026-01-03 00:00:00 UTC')")).await;
    let versioned = |version: &str| format!("SELECT sum(amount) FROM nessie.nessie_test.balances FOR VERSION AS OF '{version}'");
    assert_eq!(cell(&client, &versioned(&tag)).await, "10");
    assert_eq!(cell(&client, &versioned("dev")).await, "110");
    assert_eq!(cell(&client, &versioned(&format!("@{hash}"))).await, "30");
    let pinned =
        format!("CREATE FEATURE VIEW pinned (amount BIGINT) ENTITIES (id) FROM nessie.nessie_test.balances AT TAG '{tag}' TIMESTAMP ts");
    client.batch_execute(&pinned).await.expect("the view is created");
    assert_eq!(cell(&client, "SELECT count(*) FROM pinned").await, "1");
    let (code, message, _) = failure(&client, &versioned("no-such-thing")).await;
    assert_eq!((code.as_str(), message.as_str()), ("42704", "tag or branch \"no-such-thing\" does not exist in catalog \"nessie\""));
    stack.nessie(&["delete", &tag]).await;
    assert_eq!(failure(&client, "SELECT count(*) FROM pinned").await.0, "42704");

    // SeaweedFS: OAuth2, and a schema that is not there.
    let schemas = cells(&client, "SHOW SCHEMAS FROM seaweed").await;
    assert_eq!(failure(&client, "SELECT * FROM seaweed.no_such_schema.t").await.0, "3F000", "{schemas:?}");
}
