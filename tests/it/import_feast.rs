//! `featgres import-feast` on a real Feast repository (`tests/fixtures/feast_repo`, written by `feast apply`), and a Feast
//! `feature_store.yaml` as the configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{PostgreSql, TestGateway, batch, schema};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/feast_repo")
}

/// Runs the binary without any of our variables.
fn featgres(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_featgres"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("FEATGRES_") || name.starts_with("AWS_") || name.starts_with("S3_"))
    {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const EXPECTED: &str = r#"CREATE ENTITY customer KEY (customer_id bigint)
    COMMENT 'Who buys'
    TAGS (team = 'growth');

CREATE ENTITY shop KEY (shop_id text);

CREATE FEATURE VIEW customer_features (
    total_orders bigint COMMENT 'orders so far',
    avg_order_value double precision
)
    ENTITIES (customer (customer_id))
    FROM iceberg.gold.customer_aggregates
    TIMESTAMP updated_at
    CREATED TIMESTAMP ingested_at
    TTL INTERVAL '30 days'
    COMMENT 'It''s what a customer did'
    TAGS (tier = 'gold')
    WITH (owner = 'ann@example.com');

-- feature view rates: its files "data/rates.parquet" lie in no Iceberg table's folder (…/schema/table/data/*.parquet); say --table rates=catalog.schema.table

-- shop_orders was served online; get_latest_features answers from the table itself
CREATE FEATURE VIEW shop_orders (
    items bigint FROM n_items,
    open boolean,
    closed_at timestamp with time zone
)
    ENTITIES (shop (shop))
    FROM iceberg.gold.orders
    TIMESTAMP happened_at;

-- shop_tags was served online; get_latest_features answers from the table itself
CREATE FEATURE VIEW shop_tags (
    tags text[]
)
    ENTITIES (shop (shop_id))
    FROM lake.silver.tags
    TIMESTAMP ts;

-- feature service churn_v1: name its features in the call, as ARRAY['customer_features:total_orders', 'rates:eur_usd']

-- on demand feature view order_ratio: its Python is not read; write it as SQL over the features
"#;

/// Definitions in the order of their names: Feast keeps them in none.
fn sorted(ddl: &str) -> Vec<&str> {
    let mut definitions: Vec<&str> = ddl.trim_end().split("\n\n").collect();
    definitions.sort_unstable();
    definitions
}

#[test]
fn a_repository_becomes_ddl_from_either_registry() {
    let printed = featgres(&["import-feast", repository().to_str().unwrap(), "--table", "shop_tags=lake.silver.tags"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    assert_eq!(sorted(&text(&printed.stdout)), sorted(EXPECTED));
    assert!(text(&printed.stderr).contains("2 entities, 4 feature views; 3 objects have no counterpart"), "{}", text(&printed.stderr));

    let folder = tempfile::tempdir().unwrap();
    let registry = repository().join("data/registry.sqlite");
    let yaml = format!("project: asgard_features\nregistry:\n    registry_type: sql\n    path: sqlite:///{}\n", registry.display());
    std::fs::write(folder.path().join("feature_store.yaml"), yaml).unwrap();
    let printed = featgres(&["import-feast", folder.path().to_str().unwrap(), "--table", "shop_tags=lake.silver.tags"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    assert_eq!(sorted(&text(&printed.stdout)), sorted(EXPECTED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_in_postgresql_says_the_same() {
    let server = match PostgreSql::start() {
        Ok(server) => server,
        Err(why) => {
            eprintln!("SKIPPED: a_registry_in_postgresql_says_the_same: {why}");
            return;
        }
    };
    let conninfo = format!("host={} port={} user={} dbname={}", server.address.ip(), server.address.port(), server.user, server.database);
    // It listens before it is ready.
    let (client, connection) = loop {
        match tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await {
            Err(error) if error.code().is_some_and(|code| code.code() == "57P03") => tokio::task::yield_now().await,
            connected => break connected.unwrap(),
        }
    };
    tokio::spawn(connection);
    // The tables as Feast makes them there, with the rows that it wrote to SQLite.
    let written = rusqlite::Connection::open(repository().join("data/registry.sqlite")).unwrap();
    for (table, name, message) in [
        ("entities", "entity_name", "entity_proto"),
        ("feature_views", "feature_view_name", "feature_view_proto"),
        ("stream_feature_views", "feature_view_name", "feature_view_proto"),
        ("feature_services", "feature_service_name", "feature_service_proto"),
        ("on_demand_feature_views", "feature_view_name", "feature_view_proto"),
    ] {
        let ddl = format!("CREATE TABLE {table} ({name} varchar(255), project_id varchar(255), {message} bytea)");
        client.batch_execute(&ddl).await.unwrap();
        let mut query = written.prepare(&format!("SELECT {name}, project_id, {message} FROM {table}")).unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let rows: Vec<(String, String, Vec<u8>)> = rows.collect::<Result<_, _>>().unwrap();
        for (name, project, bytes) in rows {
            client.execute(&format!("INSERT INTO {table} VALUES ($1, $2, $3)"), &[&name, &project, &bytes]).await.unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let yaml = |user: &str| {
        let place = format!("{}:{}/{}", server.address.ip(), server.address.port(), server.database);
        format!("project: asgard_features\nregistry:\n    registry_type: sql\n    path: postgresql+psycopg://{user}:pl4nt3d@{place}\n")
    };
    std::fs::write(folder.path().join("feature_store.yaml"), yaml(&server.user)).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let import = |path: String| async move {
        tokio::task::spawn_blocking(move || featgres(&["import-feast", &path, "--table", "shop_tags=lake.silver.tags"])).await.unwrap()
    };
    let printed = import(path.clone()).await;
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    assert_eq!(sorted(&text(&printed.stdout)), sorted(EXPECTED));
    std::fs::write(folder.path().join("feature_store.yaml"), yaml("nobody_here")).unwrap();
    let refused = text(&import(path).await.stderr);
    assert!(refused.contains("nobody_here") && !refused.contains("pl4nt3d"), "{refused}");
}

#[test]
fn what_is_no_repository_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert!(text(&featgres(&["import-feast", path]).stderr).contains("feature_store.yaml"));
    std::fs::write(folder.path().join("feature_store.yaml"), "project: p\nregistry: registry.db\n").unwrap();
    assert!(text(&featgres(&["import-feast", path]).stderr).contains("registry.db"));
    std::fs::write(folder.path().join("registry.db"), "not a registry").unwrap();
    let refused = featgres(&["import-feast", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("is no registry of Feast's"), "{}", text(&refused.stderr));
    let unknown = featgres(&["import-feast", repository().to_str().unwrap(), "--table", "nothing=a.b.c"]);
    assert!(text(&unknown.stderr).contains("feature view \"nothing\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_applied_whole_or_not_at_all() {
    let gateway = TestGateway::start().await;
    let config = gateway.folder().join("featgres.toml");
    let catalog = &gateway.gateway.config.catalogs["iceberg"];
    let toml = format!(
        "project = \"test\"\nregistry = \"{}\"\n[catalogs.iceberg]\ntype = \"sql\"\nuri = \"{}\"\n",
        gateway.gateway.config.registry, catalog.uri
    );
    std::fs::write(&config, toml).unwrap();
    let repository = repository();
    let arguments = ["import-feast", repository.to_str().unwrap(), "--apply", "--config", config.to_str().unwrap()];
    let refused = featgres(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("orders"), "{}", text(&refused.stderr));
    let client = gateway.connect().await;
    assert!(client.query("SELECT 1 FROM feature_store.entities", &[]).await.unwrap().is_empty());

    let orders = schema(&[
        ("shop", "text"),
        ("n_items", "bigint"),
        ("open", "boolean"),
        ("closed_at", "timestamptz"),
        ("happened_at", "timestamptz"),
    ]);
    let warehouse = gateway.warehouse();
    let mut table = warehouse.create_table("gold", "orders", &orders, &[]).unwrap();
    let row: &[Option<&str>] = &[Some("s1"), Some("7"), Some("true"), None, Some("2026-01-01")];
    warehouse.append(&mut table, &batch(&orders, &[row])).unwrap();
    let applied = featgres(&arguments);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    assert!(text(&applied.stderr).contains("-- feature view rates"), "what is left out is said");
    let (client, mut version) = (gateway.connect().await, 0);
    // Another process's commit is seen within registry_refresh.
    while version == 0 {
        version = client.query_one("SELECT registry_version FROM feature_store.status", &[]).await.unwrap().get::<_, i64>(0);
    }
    assert_eq!(version, 1, "one transaction");
    let row = client
        .query_one(
            "SELECT items, open FROM get_latest_features((SELECT 's1' AS shop_id), ARRAY['shop_orders:items', 'shop_orders:open'])",
            &[],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (7, true));
}

#[test]
fn feasts_file_is_a_configuration() {
    let file = repository().join("feature_store.yaml");
    let printed = featgres(&["print-config", "--config", file.to_str().unwrap()]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let printed = text(&printed.stdout);
    assert!(printed.contains("project = \"asgard_features\"") && printed.contains("feast_repo/data/featgres-registry\""), "{printed}");
}
