//! SQL catalogs that others write: Trino's JDBC catalog on SQLite, and pyiceberg on PostgreSQL.

use std::process::Stdio;

use featgres::config::{CatalogConfig, CatalogKind, Config, Secret};
use tokio_postgres::Client;

use crate::support::{PostgreSql, Stack, TestGateway, TrinoSession, cells};

async fn refused(client: &Client, sql: &str) -> (String, String) {
    let error = client.simple_query(sql).await.expect_err("the statement fails");
    let error = error.as_db_error().expect("an error of the server");
    (error.code().code().to_owned(), error.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn trinos_jdbc_catalog() {
    let Some(stack) = Stack::up("trinos_jdbc_catalog", &["s3", "nessie", "trino"]).await else { return };
    let trino = TrinoSession::new(stack.get("TRINO_URL"));
    let schema = format!("jdbc_{}", std::process::id());
    let there = format!("iceberg_jdbc.{schema}");
    trino.run(&format!("CREATE SCHEMA {there}")).await;
    trino.run(&format!("CREATE TABLE {there}.t (id bigint, amount decimal(10, 2), ts timestamp(6) with time zone)")).await;
    trino.run(&format!("CREATE VIEW {there}.v AS SELECT 1 AS one")).await;
    let mut lake = CatalogConfig::new("lake", CatalogKind::Sql, stack.get("JDBC_CATALOG_URI").to_owned());
    lake.catalog = "default".to_owned();
    for (key, variable) in [
        ("s3.endpoint", "AWS_ENDPOINT_URL_S3"),
        ("s3.region", "AWS_REGION"),
        ("s3.access-key-id", "AWS_ACCESS_KEY_ID"),
        ("s3.secret-access-key", "AWS_SECRET_ACCESS_KEY"),
    ] {
        lake.properties.insert(key.to_owned(), Secret::new(stack.get(variable)));
    }
    let gateway = TestGateway::with(|config: &mut Config| config.catalogs.extend([("lake".to_owned(), lake)]), |_| {}).await;
    let client = gateway.connect().await;
    let question = format!("SELECT count(*), sum(amount) FROM lake.{schema}.t");
    let mut expected = 0;
    for round in 1..=3 {
        trino.run(&format!("INSERT INTO {there}.t VALUES ({round}, {round}.25, TIMESTAMP '2026-01-0{round} 00:00:00 UTC')")).await;
        expected += round;
        // The very next statement sees it.
        assert_eq!(cells(&client, &question).await, [[round.to_string(), format!("{expected}.{:02}", 25 * round)]]);
    }
    trino.run(&format!("DELETE FROM {there}.t WHERE id = 2")).await;
    assert_eq!(cells(&client, &question).await, [["2", "4.50"]]);
    assert_eq!(cells(&client, &format!("SHOW TABLES FROM lake.{schema}")).await, [["t"]]);
    let (code, message) = refused(&client, &format!("SELECT * FROM lake.{schema}.v")).await;
    assert_eq!((code, message), ("42809".to_owned(), format!("\"lake.{schema}.v\" is a view, not a table")));
    for drop in [format!("DROP VIEW {there}.v"), format!("DROP TABLE {there}.t"), format!("DROP SCHEMA {there}")] {
        trino.run(&drop).await;
    }
    assert_eq!(refused(&client, &question).await.0, "3F000");
}

const SCRIPT: &str = r#"
import sys, datetime as dt
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
uri, warehouse, step = sys.argv[1:]
catalog = SqlCatalog("shop", uri=uri, warehouse=warehouse)
rows = lambda *ids: pa.table({"id": pa.array(ids, pa.int64()), "ts": pa.array([dt.datetime(2026, 1, i, tzinfo=dt.timezone.utc) for i in ids], pa.timestamp("us", "UTC"))})
if step == "create":
    for name in ("gold", ("gold", "deep")):
        catalog.create_namespace(name)
    for name in (("gold", "t"), ("gold", "deep", "t")):
        catalog.create_table(name, schema=rows(1).schema).append(rows(1, 2))
    SqlCatalog("other", uri=uri, warehouse=warehouse).create_namespace("not_ours")
else:
    catalog.load_table(("gold", "t")).append(rows(3, 4, 5))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn pyiceberg_on_postgresql() {
    const NAME: &str = "pyiceberg_on_postgresql";
    let python = std::env::var("FEATGRES_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let known =
        std::process::Command::new(&python).args(["-c", "import pyiceberg, pyarrow, sqlalchemy, psycopg2"]).stderr(Stdio::null()).status();
    if !known.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: {NAME}: {python} has no pyiceberg with sqlalchemy and psycopg2 (FEATGRES_PYTHON)");
        return;
    }
    let server = match PostgreSql::start() {
        Ok(server) => server,
        Err(why) => {
            eprintln!("SKIPPED: {NAME}: {why}");
            return;
        }
    };
    let place = format!("{}@{}/{}", server.user, server.address, server.database);
    let folder = tempfile::tempdir().expect("a folder");
    let warehouse = format!("file://{}", folder.path().display());
    let write = |step: &'static str| {
        let mut command = tokio::process::Command::new(&python);
        command.args(["-c", SCRIPT, &format!("postgresql+psycopg2://{place}"), &warehouse, step]).env("PYTHONDONTWRITEBYTECODE", "1");
        async move {
            let output = command.output().await.expect("Python runs");
            assert!(output.status.success(), "{step}: {}", String::from_utf8_lossy(&output.stderr));
        }
    };
    write("create").await;
    // As it stands in pyiceberg's own configuration, driver and all.
    let toml = format!(
        "project = \"p\"\nlisten = \"127.0.0.1:0\"\nregistry = \"{0}/registry\"\n[catalogs.shop]\ntype = \"sql\"\nuri = \"postgresql+psycopg2://{place}\"\n",
        folder.path().display()
    );
    std::fs::write(folder.path().join("featgres.toml"), toml).expect("a file");
    let config = Config::load(Some(&folder.path().join("featgres.toml")), [], &Default::default()).expect("a configuration");
    let gateway = TestGateway::serve(tempfile::tempdir().expect("a folder"), config).await.expect("it starts");
    let client = gateway.connect().await;
    assert_eq!(cells(&client, "SHOW SCHEMAS FROM shop").await, [["gold"], ["gold.deep"]]);
    assert_eq!(cells(&client, "SELECT count(*), max(id) FROM shop.gold.t").await, [["2", "2"]]);
    assert_eq!(cells(&client, "SELECT count(*), max(id) FROM shop.\"gold.deep\".t").await, [["2", "2"]]);
    write("append").await;
    assert_eq!(cells(&client, "SELECT count(*), max(id) FROM shop.gold.t").await, [["5", "5"]]);
    assert_eq!(refused(&client, "SELECT * FROM shop.not_ours.t").await.0, "3F000");
    assert_eq!(refused(&client, "SELECT * FROM shop.gold.tt").await.0, "42P01");
}
