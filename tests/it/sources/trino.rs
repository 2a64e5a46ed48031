//! Catalogs of type `trino` over a fake coordinator: what is asked, what is read, and every way in which it can fail.

use std::time::{Duration, Instant};

use featgres::config::{CatalogConfig, CatalogKind, Config};

use crate::support::{FakeTrino, TestGateway, TrinoFault as Fault, code, lines, write_sample};

const VIEW: &str = "CREATE FEATURE VIEW customer_features (total_orders BIGINT) ENTITIES (customer_id) \
    FROM lake.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at";
const RETRIEVAL: &str = "SELECT total_orders FROM get_latest_features(entities => (SELECT 1::bigint AS customer_id), \
    features => ARRAY['customer_features:total_orders'])";

/// A gateway over the sample tables, which it finds by itself (`iceberg`) and through the fake (`lake`).
async fn gateway(trino: &FakeTrino, lifetime: Duration) -> TestGateway {
    let uri = trino.url();
    let configure = move |config: &mut Config| {
        let mut lake = CatalogConfig::new("lake", CatalogKind::Trino, uri);
        lake.timeout = Duration::from_secs(2);
        lake.pointer_lifetime = lifetime;
        config.catalogs.insert("lake".to_owned(), lake);
    };
    let gateway = TestGateway::with(configure, write_sample).await;
    trino.show(&gateway.folder().join("catalog.sqlite"));
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_those_that_trino_names() {
    let trino = FakeTrino::start().await;
    let gateway = gateway(&trino, Duration::ZERO).await;
    let client = gateway.connect().await;
    let all = "SELECT * FROM CATALOG.gold.customer_aggregates ORDER BY 1, 2, 3, 4";
    assert_eq!(lines(&client, &all.replace("CATALOG", "lake")).await, lines(&client, &all.replace("CATALOG", "iceberg")).await);
    assert_eq!(lines(&client, "SHOW TABLES FROM lake.gold").await, ["customer_aggregates", "labels", "tiers"]);
    assert_eq!(lines(&client, "SHOW SCHEMAS FROM lake").await, ["gold"]);
    for (sql, expected) in [
        ("SELECT * FROM lake.gold.customer_aggregate", "42P01"),
        ("SELECT * FROM lake.golf.customer_aggregates", "3F000"),
        ("SELECT * FROM lake.gold.\"labels$files\"", "42P01"),
    ] {
        let error = client.simple_query(sql).await.expect_err(sql);
        assert_eq!(error.code().map(|code| code.code()), Some(expected), "{sql}: {error:?}");
    }
    let error = client.simple_query("SELECT * FROM lake.gold.lables").await.expect_err("misspelt");
    assert_eq!(error.as_db_error().and_then(|error| error.hint()), Some("Perhaps you meant \"labels\"."));
    client.batch_execute(VIEW).await.expect("the view");
    let path = lines(&client, "SELECT path FROM feature_store.feature_views").await.remove(0);
    assert!(path.ends_with("/data/*.parquet"), "{path}");
    assert_eq!(lines(&client, RETRIEVAL).await, ["15"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pointer_is_asked_for_once_in_its_lifetime() {
    let trino = FakeTrino::start().await;
    let gateway = gateway(&trino, Duration::from_secs(3600)).await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.expect("the view");
    trino.questions();
    for _ in 0..20 {
        assert_eq!(lines(&client, RETRIEVAL).await, ["15"]);
    }
    assert_eq!(trino.questions(), Vec::<String>::new(), "retrievals within the pointer's lifetime");
    for sql in ["\\d", "SELECT * FROM information_schema.columns", "SELECT * FROM pg_catalog.pg_class"] {
        let _ = client.simple_query(sql).await;
    }
    assert_eq!(trino.questions(), Vec::<String>::new(), "queries of the system catalog");
    client.batch_execute("REFRESH FEATURE VIEW customer_features").await.expect("a refresh");
    let asked = trino.questions();
    assert_eq!(asked.iter().filter(|sql| sql.starts_with("SELECT file")).count(), 1, "{asked:?}");
    for _ in 0..5 {
        assert_eq!(lines(&client, "SHOW TABLES FROM lake.gold").await.len(), 3);
        assert_eq!(code(client.simple_query("SELECT * FROM lake.gold.lables").await), "42P01");
    }
    let listings = trino.questions().into_iter().filter(|sql| sql.starts_with("SELECT table_name")).count();
    assert_eq!(listings, 1, "lists of tables within seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_in_time_and_passes_without_a_restart() {
    let trino = FakeTrino::start().await;
    let gateway = gateway(&trino, Duration::ZERO).await;
    let client = gateway.connect().await;
    client.batch_execute(VIEW).await.expect("the view");
    let faults = [
        (Fault::Unavailable, "HV00N", "503"),
        (Fault::Hanging, "HV00N", "did not answer within 2s"),
        (Fault::Cut, "HV00N", "the connection broke"),
        (Fault::Malformed, "HV000", "Trino's answer is not one"),
        // By its pages or by its time, whichever is over first.
        (Fault::Endless, "HV0", "Trino"),
        (Fault::StartingUp, "HV00N", "SERVER_STARTING_UP"),
        (Fault::NoRows, "HV000", "names no metadata file"),
    ];
    for (fault, expected, words) in faults {
        trino.set(fault);
        let began = Instant::now();
        let error = client.simple_query(RETRIEVAL).await.expect_err("it fails");
        let found = error.code().map(|code| code.code()).unwrap_or_default();
        assert!(found.starts_with(expected), "{fault:?}: {error:?}");
        let message = error.as_db_error().expect("an error of the server").message().to_owned();
        assert!(message.contains(words) && message.contains("\"lake\""), "{fault:?}: {message}");
        assert!(began.elapsed() < Duration::from_secs(20), "{fault:?} took {:?}", began.elapsed());
        assert_eq!(lines(&client, "SELECT count(*) FROM iceberg.gold.labels").await, ["8"], "others go on");
        trino.set(Fault::None);
        assert_eq!(lines(&client, RETRIEVAL).await, ["15"], "after {fault:?}");
    }
    trino.set(Fault::Hanging);
    client.batch_execute("SET statement_timeout = '200ms'").await.expect("a setting");
    assert_eq!(code(client.simple_query(RETRIEVAL).await), "57014");
    client.batch_execute("RESET statement_timeout").await.expect("a setting");
    assert_eq!(lines(&client, "SELECT name FROM feature_store.feature_views").await, ["customer_features"], "never fails for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn trino_stops_working_for_a_statement_that_ends() {
    let trino = FakeTrino::start().await;
    let gateway = gateway(&trino, Duration::ZERO).await;
    let client = gateway.connect().await;
    let question = "SELECT count(*) FROM lake.gold.labels";
    trino.set(Fault::Working);
    // A limit of the statement's, a limit of the catalog's, and somebody who cancels.
    client.batch_execute("SET statement_timeout = '1s'").await.expect("a setting");
    assert_eq!(code(client.simple_query(question).await), "57014");
    trino.cancelled(1).await;
    client.batch_execute("RESET statement_timeout").await.expect("a setting");
    assert_eq!(code(client.simple_query(question).await), "HV00N");
    trino.cancelled(2).await;
    trino.questions();
    let cancelled = tokio::join!(client.simple_query(question), async {
        while trino.questions().is_empty() {
            tokio::task::yield_now().await;
        }
        client.cancel_token().cancel_query(tokio_postgres::NoTls).await.expect("a request to cancel");
    });
    assert_eq!(code(cancelled.0), "57014");
    let pages = trino.cancelled(3).await;
    assert!(pages.iter().all(|page| page.starts_with("/v1/statement/executing/")), "{pages:?}");
    trino.set(Fault::None);
    assert_eq!(lines(&client, question).await, ["8"]);
    assert_eq!(trino.cancelled(3).await.len(), 3, "what ends by itself is not cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_whole_or_an_error() {
    let trino = FakeTrino::start().await;
    let gateway = gateway(&trino, Duration::ZERO).await;
    let client = gateway.connect().await;
    let tables: Vec<String> = (0..5_432).map(|number| format!("t{number:05}")).collect();
    trino.list(tables.clone());
    assert_eq!(lines(&client, "SHOW TABLES FROM lake.many").await, tables);
    let error = client.simple_query("SELECT * FROM lake.many.t05431x").await.expect_err("no such table");
    assert_eq!(error.code().map(|code| code.code()), Some("3F000"), "{error:?}");
    // Rows that the client library does not understand, and does not complain about.
    trino.set(Fault::Garbled);
    assert_eq!(code(client.simple_query("SHOW TABLES FROM lake.gold").await), "HV000");
    assert_eq!(code(client.simple_query("SELECT count(*) FROM lake.gold.labels").await), "HV000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_starts_is_waited_for() {
    let trino = FakeTrino::start().await;
    let gateway = gateway(&trino, Duration::ZERO).await;
    let client = gateway.connect().await;
    trino.set(Fault::StartingUp);
    let (rows, ()) = tokio::join!(lines(&client, "SELECT count(*) FROM lake.gold.labels"), async {
        while trino.questions().is_empty() {
            tokio::task::yield_now().await;
        }
        trino.set(Fault::None);
    });
    assert_eq!(rows, ["8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_down_at_the_start_is_used_when_it_is_up() {
    let trino = FakeTrino::start().await;
    let port = trino.port();
    let gateway = gateway(&trino, Duration::ZERO).await;
    drop(trino);
    let client = gateway.connect().await;
    let mut refused = client.simple_query("SELECT count(*) FROM lake.gold.labels").await;
    while refused.is_ok() {
        // The fake's last breath.
        refused = client.simple_query("SELECT count(*) FROM lake.gold.labels").await;
    }
    assert_eq!(code(refused), "HV00N");
    assert_eq!(lines(&client, "SELECT count(*) FROM iceberg.gold.labels").await, ["8"]);
    let trino = FakeTrino::start_on(port).await;
    trino.show(&gateway.folder().join("catalog.sqlite"));
    assert_eq!(lines(&client, "SELECT count(*) FROM lake.gold.labels").await, ["8"]);
}
