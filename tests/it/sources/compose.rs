//! What `docker-compose.yml` starts, run without Docker: its gateway by its own environment, its sample tables by its own SQL, on the same
//! kinds of servers. Hosts are those of this machine, credentials those of its S3, and the tables lie on a branch and in a schema of
//! the test's own; all else is as the files say.

use std::collections::BTreeMap;
use std::path::Path;

use featgres::config::{Config, Overrides};
use serde_json::json;

use crate::support::{Stack, TestGateway, TrinoSession};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The variables of the service's `env_file`s and of its `environment`.
fn environment(compose: &serde_yaml_ng::Value, service: &str) -> BTreeMap<String, String> {
    let service = &compose["services"][service];
    let files = service["env_file"].as_sequence().into_iter().flatten().map(|file| read(file.as_str().expect("a path")));
    let texts: Vec<String> = files.collect();
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let mut found: BTreeMap<String, String> =
        lines.map(|line| line.split_once('=').expect("NAME=value")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in service["environment"].as_mapping().into_iter().flatten() {
        found.insert(name.as_str().expect("a name").to_owned(), value.as_str().expect("a text").to_owned());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compose_starts_works_on_the_same_servers() {
    let Some(stack) = Stack::up("what_compose_starts_works_on_the_same_servers", &["s3", "nessie", "trino"]).await else { return };
    let compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&read("docker-compose.yml")).expect("YAML");
    // The versions are those that are run here.
    let image = |service: &str| compose["services"][service]["image"].as_str().expect("an image").to_owned();
    assert_eq!(image("trino"), format!("trinodb/trino:{}", stack.get("TRINO_VERSION")));
    assert_eq!(image("seed"), image("trino"));

    let here = [
        ("http://trino:8080", stack.get("TRINO_URL")),
        ("http://s3:8333", stack.get("AWS_ENDPOINT_URL_S3")),
        ("http://nessie:19120/api/v2", stack.get("NESSIE_URI")),
    ];
    let at_home = |text: &str| here.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here));
    // Trino's catalog there, with its variables, is the one here but for the branch.
    let of_trino = environment(&compose, "trino");
    let mut properties = at_home(&read("docker/trino/catalog/iceberg.properties"));
    for (name, value) in &of_trino {
        properties = properties.replace(&format!("${{ENV:{name}}}"), &at_home(value));
    }
    assert!(!properties.contains("${ENV:"), "{properties}");
    for wanted in [
        format!("s3.endpoint={}", stack.get("AWS_ENDPOINT_URL_S3")),
        format!("iceberg.nessie-catalog.uri={}", stack.get("NESSIE_URI")),
        format!("iceberg.nessie-catalog.default-warehouse-dir=s3://{}/{}", stack.get("S3_BUCKET"), stack.get("S3_ICEBERG_BASE_PATH")),
        format!("s3.region={}", stack.get("AWS_REGION")),
    ] {
        assert!(properties.lines().any(|line| line == wanted), "{wanted} is not in\n{properties}");
    }

    // The seed, statement by statement, twice: the second time changes nothing.
    let schema = format!("compose_{}", std::process::id());
    let seed = read("docker/seed/seed.sql");
    let seed: String = seed.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
    let trino = TrinoSession::new(stack.get("TRINO_URL"));
    for _ in 0..2 {
        for statement in seed.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            trino.run(&statement.replace("iceberg.gold", &format!("iceberg_dev.{schema}"))).await;
        }
    }

    let folder = tempfile::tempdir().expect("a folder");
    let mut variables = environment(&compose, "featgres");
    for value in variables.values_mut() {
        *value = at_home(value);
    }
    for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        variables.insert(key.to_owned(), stack.get(key).to_owned());
    }
    variables.insert("FEATGRES_CATALOGS__ICEBERG__CATALOG".to_owned(), "iceberg_dev".to_owned());
    // Free ports of this machine instead of the container's.
    variables.insert("FEATGRES_HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned());
    let registry = format!("file://{}/registry", folder.path().display());
    let overrides = Overrides { listen: Some("127.0.0.1:0".to_owned()), registry: Some(registry) };
    let config = Config::load(None, variables, &overrides).expect("the configuration of the compose file");
    let gateway = TestGateway::serve(folder, config).await.expect("the gateway starts");
    let client = gateway.connect().await;
    let view = format!(
        "CREATE FEATURE VIEW customer_features (total_orders BIGINT, avg_order_value DOUBLE PRECISION) ENTITIES (customer_id) \
         FROM iceberg.{schema}.customer_aggregates TIMESTAMP updated_at"
    );
    client.batch_execute(&view).await.expect("the view");
    // By the formulas in the seed's own words.
    let latest = "SELECT customer_id, total_orders, avg_order_value FROM get_latest_features((SELECT * FROM (VALUES (123::bigint), (456)) AS v(customer_id)), \
                  ARRAY['customer_features:total_orders', 'customer_features:avg_order_value'], as_of => '2027-06-01') ORDER BY 1";
    let rows = client.query(latest, &[]).await.expect("rows");
    let rows: Vec<(i64, i64, f64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    assert_eq!(rows, [(123, 123 % 97 + 2, 123.0 / 4.0 + 1.0), (456, 456 % 97 + 2, 456.0 / 4.0 + 1.0)]);
    // Of each customer's three labels, the first is before its first row.
    let training = format!(
        "SELECT count(*), count(total_orders) FROM get_historical_features((SELECT customer_id, event_timestamp FROM iceberg.{schema}.labels), \
         ARRAY['customer_features:total_orders'])"
    );
    let row = client.query_one(&training, &[]).await.expect("a row");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (501 * 3, 501 * 2));
    let question = json!({"feature_views": ["customer_features"], "entities": [{"customer_id": 123}]});
    let answer = reqwest::Client::new().post(gateway.url("/feast/predictions/batch")).json(&question).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(reqwest::get(gateway.url("/readyz")).await.expect("an answer").status().as_u16(), 200);
    for table in ["customer_aggregates", "labels"] {
        trino.run(&format!("DROP TABLE iceberg_dev.{schema}.{table}")).await;
    }
    trino.run(&format!("DROP SCHEMA iceberg_dev.{schema}")).await;
}
