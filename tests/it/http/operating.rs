//! `/metrics`, `/healthz`, `/readyz`, and what statements cost.

use featgres::config::{AuthMethod, Secret};

use super::{gateway, get, get_json};
use crate::support::code;

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let gateway = gateway(|_| {}).await;
    let client = gateway.connect().await;
    client
        .batch_execute("CREATE FEATURE VIEW v ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at")
        .await
        .unwrap();
    let rows =
        client.query("SELECT * FROM get_latest_features((SELECT 1::bigint AS customer_id), ARRAY['v:total_orders'])", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    client.simple_query("SELECT total_orders FROM v").await.unwrap();
    client.simple_query("SELECT * FROM nowhere").await.unwrap_err();
    client.simple_query("SELEC 1").await.unwrap_err();
    // Who is refused at the door is counted too.
    let elsewhere = gateway.conninfo().replace("dbname=", "dbname=no_");
    assert_eq!(code(tokio_postgres::connect(&elsewhere, tokio_postgres::NoTls).await.map(|_| ())), "3D000");
    let (status, text) = get(&gateway, "/metrics").await;
    assert_eq!(status, 200);
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_else(|| panic!("no {name} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("featgres_connections_admitted_total"), 1.0);
    assert_eq!(value("featgres_connections_open"), 1.0);
    assert_eq!(value("featgres_statements_total"), 4.0);
    assert_eq!(value("featgres_errors_total{sqlstate=\"42P01\"}"), 1.0);
    assert_eq!(value("featgres_errors_total{sqlstate=\"42601\"}"), 1.0);
    assert_eq!(value("featgres_errors_total{sqlstate=\"3D000\"}"), 1.0);
    assert_eq!(value("featgres_registry_version"), 1.0);
    assert!(value("featgres_data_files_read_total") >= 1.0);
    assert!(value("featgres_data_read_bytes_total") > 0.0);
    for phase in ["statement", "planning", "discovery", "scan", "join", "encode", "first_row"] {
        assert!(value(&format!("featgres_{phase}_seconds_count")) >= 1.0, "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_what_is_down_and_ends_with_the_gateway() {
    let gateway = gateway(|config| {
        let mut gone = config.catalogs["iceberg"].clone();
        gone.name = "gone".to_owned();
        gone.uri = "sqlite:////nowhere/catalog.sqlite".to_owned();
        config.catalogs.insert("gone".to_owned(), gone);
    })
    .await;
    assert_eq!(get(&gateway, "/healthz").await, (200, "ok\n".to_owned()));
    let (status, body) = get_json(&gateway, "/readyz").await;
    assert_eq!((status, body["status"].as_str()), (200, Some("ready")), "{body}");
    assert_eq!((body["catalogs"]["iceberg"]["status"].as_str(), body["registry"]["status"].as_str()), (Some("up"), Some("up")));
    assert_eq!(body["catalogs"]["gone"]["status"], "down");
    assert_eq!(body["catalogs"]["gone"]["error"]["sqlstate"], "HV00N");
    gateway.gateway.stop();
    let (status, body) = get_json(&gateway, "/readyz").await;
    assert_eq!((status, body["status"].as_str()), (503, Some("stopping")));
    let (status, body) = get_json(&gateway, "/feast/status").await;
    assert_eq!((status, body["error"]["sqlstate"].as_str()), (503, Some("57P01")));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_passwords_are_for_the_gateway_alone() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [cert, secret] = [("cert.pem", key.cert.pem()), ("key.pem", key.signing_key.serialize_pem())].map(|(name, pem)| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    });
    let gateway = gateway(|config| {
        config.http.tls = true;
        config.tls = Some(featgres::config::TlsConfig { cert, key: secret, ..Default::default() });
        config.auth.method = AuthMethod::ScramSha256;
        config.auth.users.insert("alice".to_owned(), Secret::new(featgres::verifier::Verifier::of("pw", 4096).text()));
    })
    .await;
    let trusting = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(key.cert.pem().as_bytes()).unwrap())
        .build()
        .unwrap();
    let url = gateway.url("/feast/status").replace("http:", "https:");
    let answer = trusting.get(&url).basic_auth("alice", Some("pw")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["num_feature_views"], 0);
    assert_eq!(trusting.get(&url).basic_auth("alice", Some("no")).send().await.unwrap().status().as_u16(), 401);
    // Nothing is said in the clear, and a client that does not know the authority does not say its password.
    assert!(reqwest::get(gateway.url("/metrics")).await.is_err());
    assert!(reqwest::get(&url).await.is_err());
    // A client that never shakes hands is in nobody's way.
    let _silent = tokio::net::TcpStream::connect(gateway.http.unwrap()).await.unwrap();
    assert_eq!(trusting.get(url.replace("/feast/status", "/healthz")).send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_in_json() {
    let gateway = gateway(|config| config.http.feast_api = false).await;
    let (status, body) = get_json(&gateway, "/feast/status").await;
    assert_eq!((status, body["error"]["sqlstate"].as_str()), (404, Some("42704")));
    assert!(body["error"]["hint"].as_str().unwrap().contains("feast_api = true"));
    let answer = reqwest::Client::new().post(gateway.url("/metrics")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_statements_cost_can_be_seen() {
    let gateway = gateway(|_| {}).await;
    let one = gateway.connect().await;
    for number in 0..3 {
        one.simple_query(&format!("SELECT {number} + 1 AS n")).await.unwrap();
    }
    one.simple_query("SELECT 1 / 0 AS n").await.unwrap_err();
    let used = one
        .query_one("SELECT calls, rows, errors, total_exec_time >= max_exec_time FROM feature_store.statements WHERE query = 'SELECT $1 + $2 AS n'", &[])
        .await
        .unwrap();
    assert_eq!((used.get::<_, i64>(0), used.get::<_, i64>(1), used.get::<_, i64>(2)), (3, 3, 0));
    assert!(used.get::<_, bool>(3));
    let failed =
        one.query_one("SELECT calls, errors FROM feature_store.statements WHERE query = 'SELECT $1 / $2 AS n'", &[]).await.unwrap();
    assert_eq!((failed.get::<_, i64>(0), failed.get::<_, i64>(1)), (1, 1));
}
