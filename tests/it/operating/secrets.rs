//! Secrets are planted wherever a configuration may hold one; then everything is made to speak, and nothing says them.

use featgres::verifier::{DEFAULT_ROUNDS, Verifier};
use tokio_postgres::NoTls;

use crate::support::{Serving, featgres};

/// Every secret holds this.
const MARK: &str = "pl4nt3d";

fn secret(name: &str) -> String {
    format!("{MARK}-{name}")
}

/// Catalogs of all kinds with all they may log in with; nobody listens there.
fn catalogs() -> String {
    format!(
        r#"
[catalogs.trino]
type = "trino"
uri = "https://127.0.0.1:1"
user = "feast"
password = "{}"
timeout = "5s"
[catalogs.nessie]
type = "nessie"
uri = "http://127.0.0.1:1/api/v2"
token = "{}"
timeout = "5s"
[catalogs.rest]
type = "rest"
uri = "http://127.0.0.1:1"
credential = "id:{}"
timeout = "5s"
[catalogs.pg]
type = "sql"
uri = "postgresql://feast:{}@127.0.0.1:1/d"
timeout = "5s"
"#,
        secret("trino"),
        secret("nessie"),
        secret("rest"),
        secret("pg")
    )
}

fn base(folder: &std::path::Path, verifier: &str) -> String {
    format!(
        r#"
project = "p"
listen = "127.0.0.1:0"
registry = "{0}/registry"
"s3.access-key-id" = "{1}"
"s3.secret-access-key" = "{2}"
"s3.session-token" = "{3}"
"s3.endpoint" = "http://127.0.0.1:1"
[auth]
method = "scram-sha-256"
[auth.users]
alice = "{verifier}"
[telemetry]
level = "trace"
format = "json"
[http]
listen = "127.0.0.1:0"
feast_api = true
[catalogs.iceberg]
type = "sql"
uri = "sqlite:///{0}/catalog.sqlite"
"s3.access-key-id" = "{4}"
"s3.secret-access-key" = "{4}"
"#,
        folder.display(),
        secret("id"),
        secret("key"),
        secret("token"),
        secret("own-key"),
    )
}

/// Keys of the verifier, which would let its reader log in or search for the password.
fn assert_clean(what: &str, text: &str, verifier: &str) {
    let keys = verifier.rsplit('$').next().expect("keys").split(':');
    for found in [MARK].into_iter().chain(keys) {
        if let Some(at) = text.find(found) {
            let around: String = text[at.saturating_sub(200)..].chars().take(400).collect();
            panic!("{what} holds {found}: …{around}…");
        }
    }
}

#[test]
fn commands_do_not_print_them() {
    let folder = tempfile::tempdir().unwrap();
    let verifier = Verifier::of(&secret("password"), DEFAULT_ROUNDS).text();
    let file = folder.path().join("featgres.toml");
    std::fs::write(&file, base(folder.path(), &verifier) + &catalogs()).unwrap();
    for command in ["print-config", "check"] {
        let output = featgres().args([command, "--config"]).arg(&file).current_dir(folder.path()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("127.0.0.1:1"), "{command} says something: {said}");
        assert_clean(command, &said, &verifier);
    }
    // Values that are refused are not shown either, wherever they stand.
    for wrong in [
        "[catalogs.trino]\ntype = \"trino\"\nuri = \"x://u:pl4nt3d@h\"\n",
        "[auth.users]\nalice = \"pl4nt3d\"\n",
        "[catalogs.a]\npassword = 5\ntoken = pl4nt3d\n",
    ] {
        std::fs::write(&file, wrong).unwrap();
        let output = featgres().args(["check", "--config"]).arg(&file).current_dir(folder.path()).output().unwrap();
        assert!(!output.status.success());
        assert_clean(wrong, &String::from_utf8_lossy(&output.stderr), &verifier);
    }
    let output = featgres()
        .args(["print-config"])
        .env("AWS_SECRET_ACCESS_KEY", secret("env"))
        .env("AWS_ACCESS_KEY_ID", secret("env"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_clean("print-config", &String::from_utf8_lossy(&output.stdout), &verifier);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_does_not_say_them() {
    let folder = tempfile::tempdir().unwrap();
    let (password, verifier) = (secret("password"), Verifier::of(&secret("password"), DEFAULT_ROUNDS).text());
    let file = folder.path().join("featgres.toml");
    std::fs::write(&file, base(folder.path(), &verifier)).unwrap();
    drop(std::fs::File::create(folder.path().join("catalog.sqlite")).unwrap());
    let mut serving = Serving::start(folder.path(), &file);
    let address = Serving::field(&serving.wait_for("ready for connections"), "address");
    let http = Serving::field(&serving.wait_for("answering HTTP"), "address");
    let (host, port) = address.rsplit_once(':').unwrap();
    let conninfo = |password: &str| format!("host={host} port={port} user=alice password={password} dbname=p");
    assert!(tokio_postgres::connect(&conninfo("wrong"), NoTls).await.is_err());
    let (client, connection) = tokio_postgres::connect(&conninfo(&password), NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut said = String::new();
    for sql in [
        "SHOW ALL",
        "SHOW CATALOGS",
        "SELECT * FROM pg_settings",
        "SELECT * FROM pg_roles",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM feature_store.statements",
        "SELECT * FROM feature_store.status",
        "SELECT * FROM iceberg.gold.nothing",
        "SHOW SCHEMAS FROM iceberg",
    ] {
        match client.simple_query(sql).await {
            Ok(rows) => said.push_str(&format!("{rows:?}\n")),
            Err(error) => said.push_str(&format!("{error:?}\n")),
        }
    }
    // A password in a statement's text is one that the log, the statistics and pg_stat_activity could repeat.
    let _ = client.simple_query(&format!("CREATE ROLE bob LOGIN PASSWORD '{}'", secret("role"))).await;
    for sql in ["SELECT query FROM feature_store.statements", "SELECT query FROM pg_stat_activity"] {
        said.push_str(&format!("{:?}\n", client.simple_query(sql).await.unwrap()));
    }
    let web = reqwest::Client::new();
    for path in ["/metrics", "/readyz", "/healthz", "/feast/status"] {
        for given in [&password, "wrong"] {
            let answer = web.get(format!("http://{http}{path}")).basic_auth("alice", Some(given)).send().await.unwrap();
            said.push_str(&format!("{:?}\n{}\n", answer.headers().clone(), answer.text().await.unwrap()));
        }
    }
    serving.signal("HUP");
    serving.wait_for("configuration read again on SIGHUP");
    drop(client);
    let (status, log) = serving.stop();
    assert_eq!(status, Some(0));
    assert!(log.contains("feature_store.statements"), "the log has the statements");
    assert_clean("the answers", &said, &verifier);
    assert_clean("the log", &log, &verifier);
}
