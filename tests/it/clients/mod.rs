//! Real clients on the quickstart. One that is not installed is reported as skipped, by name.

mod encrypted;
mod matrix;
mod million;
mod rust;

use std::process::{Output, Stdio};

use crate::support::{TestGateway, root};

/// Whether a program answers; says so if not.
async fn have(test: &str, program: &str, arguments: &[&str]) -> bool {
    let status = tokio::process::Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let found = status.is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED {test}: {program} {} does not run", arguments.join(" "));
    }
    found
}

fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn psql(gateway: &TestGateway, arguments: &[&str]) -> Output {
    tokio::process::Command::new("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-d", &gateway.conninfo()])
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .await
        .expect("psql runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_runs_the_quickstart() {
    if !have("psql_runs_the_quickstart", "psql", &["--version"]).await {
        return;
    }
    let gateway = TestGateway::of_the_demo().await;
    let script = root().join("sql/quickstart.sql").display().to_string();
    let output = psql(&gateway, &["-f", &script]).await;
    assert!(output.status.success(), "{}", told(&output));
    let text = told(&output);
    // The late correction, and what was known before it.
    let corrected = text.split("total_orders").count();
    assert!(corrected > 5, "{text}");
    let output = psql(
        &gateway,
        &[
            "-At",
            "-c",
            "SELECT total_orders IS NULL FROM get_historical_features(
            entities => (SELECT 1003::bigint AS customer_id, TIMESTAMPTZ '2026-06-15 00:00:00+00' AS event_timestamp),
            features => ARRAY['customer_features:total_orders'])",
        ],
    )
    .await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "t\n", "the TTL hides what is stale: {}", told(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_copies_entity_rows_in_and_training_data_out() {
    if !have("psql_copies_entity_rows_in_and_training_data_out", "psql", &["--version"]).await {
        return;
    }
    let gateway = TestGateway::of_the_demo().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (spine, training, script) = (folder.path().join("spine.csv"), folder.path().join("training.csv"), folder.path().join("copy.sql"));
    std::fs::write(&spine, "customer_id,event_timestamp\n1002,2026-05-31 12:00:00+00\n4711,2026-05-31 12:00:00+00\n").expect("a file");
    std::fs::write(
        &script,
        format!(
            "CREATE FEATURE VIEW f (total_orders BIGINT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at;
             CREATE TEMP TABLE spine (customer_id BIGINT, event_timestamp TIMESTAMPTZ);
             \\copy spine FROM '{}' WITH (FORMAT csv, HEADER)
             \\copy (SELECT customer_id, total_orders IS NOT NULL AS known FROM get_historical_features((TABLE spine), ARRAY['f:total_orders']) ORDER BY 1) TO '{}' WITH (FORMAT csv, HEADER)",
            spine.display(),
            training.display()
        ),
    )
    .expect("a file");
    let output = psql(&gateway, &["-f", &script.display().to_string()]).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(std::fs::read_to_string(training).expect("the copy"), "customer_id,known\n1002,t\n4711,f\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_runs_the_quickstart() {
    let python = std::env::var("FEATGRES_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !have("psycopg_runs_the_quickstart", &python, &["-c", "import psycopg"]).await {
        return;
    }
    let gateway = TestGateway::of_the_demo().await;
    let output = tokio::process::Command::new(&python)
        .arg(root().join("tests/clients/python/quickstart.py"))
        .arg(root().join("sql/quickstart.sql"))
        .arg(gateway.conninfo())
        .output()
        .await
        .expect("python runs");
    assert!(output.status.success(), "{}", told(&output));
}
