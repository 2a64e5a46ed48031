//! Logging in to a real Trino: password, JWT, OAuth2, and everything that must be refused; what is no Iceberg table there.

use featgres::config::{CatalogConfig, CatalogKind, Config, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::Client;

use crate::support::{Stack, TestGateway};

const QUESTION: &str = "SHOW SCHEMAS FROM lake";

fn lake(uri: &str, login: &[(&str, &str)]) -> CatalogConfig {
    let mut lake = CatalogConfig::new("lake", CatalogKind::Trino, uri.to_owned());
    lake.catalog = "tpch".to_owned();
    for (key, value) in login {
        lake.login.insert((*key).to_owned(), Secret::new(*value));
    }
    lake
}

async fn gateway(lake: CatalogConfig) -> (TestGateway, Client) {
    let configure = move |config: &mut Config| {
        config.catalogs.insert("lake".to_owned(), lake);
    };
    let gateway = TestGateway::with(configure, |_| {}).await;
    let client = gateway.connect().await;
    (gateway, client)
}

/// SQLSTATE and message of the question's failure.
async fn refused(lake: CatalogConfig) -> (String, String) {
    let (_gateway, client) = gateway(lake).await;
    let error = client.simple_query(QUESTION).await.expect_err("it is refused");
    let error = error.as_db_error().expect("an error of the server");
    (error.code().code().to_owned(), error.message().to_owned())
}

async fn schemas(lake: CatalogConfig) -> usize {
    let (_gateway, client) = gateway(lake).await;
    client
        .simple_query(QUESTION)
        .await
        .expect("schemas")
        .iter()
        .filter(|message| matches!(message, tokio_postgres::SimpleQueryMessage::Row(_)))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_to_a_real_trino() {
    let Some(stack) = Stack::up("logins_to_a_real_trino", &["trino-auth"]).await else { return };
    let (uri, ca) = (stack.get("TRINO_AUTH_URL"), stack.get("TRINO_AUTH_CA"));
    let (user, password, jwt) = (stack.get("TRINO_AUTH_USER"), stack.get("TRINO_AUTH_PASSWORD"), stack.get("TRINO_AUTH_JWT"));
    assert!(schemas(lake(uri, &[("user", user), ("password", password), ("ssl.cabundle", ca)])).await > 3, "by password");
    assert!(schemas(lake(uri, &[("jwt", jwt), ("ssl.cabundle", ca)])).await > 3, "by JWT");

    let (code, message) = refused(lake(uri, &[("user", user), ("password", "wrong-secret"), ("ssl.cabundle", ca)])).await;
    assert_eq!(code, "HV00N");
    assert!(message.contains("catalog \"lake\" refuses the login") && !message.contains("wrong-secret"), "{message}");
    let (code, message) = refused(lake(uri, &[("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.bad"), ("ssl.cabundle", ca)])).await;
    assert_eq!(code, "HV00N");
    assert!(message.contains("refuses the login") && !message.contains("eyJ"), "{message}");
    for login in [vec![("user", user), ("password", password)], vec![("jwt", jwt)]] {
        let (code, message) = refused(lake(uri, &login)).await;
        assert_eq!(code, "HV00N");
        assert!(message.starts_with("no secure connection to catalog \"lake\""), "{message}");
    }
    // A password on the port without TLS never leaves; without one, Trino refuses.
    let plain = uri.replace("https:", "http:");
    let (code, _) = refused(lake(&plain, &[("user", user)])).await;
    assert!(code.starts_with("HV0"), "{code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth2_tokens_are_fetched_and_fetched_again() {
    let Some(stack) = Stack::up("oauth2_tokens_are_fetched_and_fetched_again", &["trino-auth"]).await else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let jwt = stack.get("TRINO_AUTH_JWT").to_owned();
    let (asked, mut asks) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut tokens = vec![jwt, "a-token-that-trino-does-not-know".to_owned()];
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !String::from_utf8_lossy(&request).contains("client_secret=") {
                if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = asked.send(String::from_utf8_lossy(&request).into_owned());
            let token = if tokens.len() > 1 { tokens.pop() } else { tokens.first().cloned() }.unwrap_or_default();
            let body = format!("{{\"access_token\":\"{token}\",\"token_type\":\"bearer\",\"expires_in\":3600}}");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    let endpoint = format!("http://{address}/token");
    let login = [
        ("credential", "gateway:s3cret"),
        ("scope", "trino"),
        ("oauth2-server-uri", endpoint.as_str()),
        ("ssl.cabundle", stack.get("TRINO_AUTH_CA")),
    ];
    let (_gateway, client) = gateway(lake(stack.get("TRINO_AUTH_URL"), &login)).await;
    for _ in 0..3 {
        client.simple_query("SHOW TABLES FROM lake.tiny").await.expect("tables");
    }
    let mut forms = Vec::new();
    while let Ok(form) = asks.try_recv() {
        forms.push(form);
    }
    assert_eq!(forms.len(), 2, "one token that is refused, one that is good");
    for part in ["grant_type=client_credentials", "client_id=gateway", "client_secret=s3cret", "scope=trino"] {
        assert!(forms[0].contains(part), "{}", forms[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_iceberg_table_in_a_real_trino() {
    let Some(stack) = Stack::up("what_is_no_iceberg_table_in_a_real_trino", &["s3", "nessie", "trino"]).await else { return };
    let trino = crate::support::TrinoSession::new(stack.get("TRINO_URL"));
    trino.run("CREATE OR REPLACE VIEW memory.default.a_view AS SELECT 1 AS one").await;
    let mut catalogs = Vec::new();
    for (section, catalog) in [("lake", "tpch"), ("mem", "memory"), ("nowhere", "no_such_catalog")] {
        let mut config = lake(stack.get("TRINO_URL"), &[]);
        (config.name, config.catalog) = (section.to_owned(), catalog.to_owned());
        catalogs.push(config);
    }
    let configure = move |config: &mut Config| config.catalogs.extend(catalogs.into_iter().map(|catalog| (catalog.name.clone(), catalog)));
    let gateway = TestGateway::with(configure, |_| {}).await;
    let client = gateway.connect().await;
    for (sql, code, words) in [
        ("SELECT * FROM lake.tiny.nation", "42809", "is not an Iceberg table: Trino reads it by its connector \"tpch\""),
        ("SELECT * FROM mem.\"default\".a_view", "42809", "\"mem.default.a_view\" is a view, not a table"),
        ("SELECT * FROM lake.tiny.natoin", "42P01", "table \"lake.tiny.natoin\" does not exist"),
        ("SELECT * FROM lake.tinny.nation", "3F000", "schema \"tinny\" does not exist in catalog \"lake\""),
        ("SELECT * FROM nowhere.s.t", "F0000", "Trino has no catalog \"no_such_catalog\""),
        ("CREATE FEATURE VIEW v ENTITIES (x) FROM lake.tiny.nation TIMESTAMP x WITH (scan = 'glob')", "42809", "is not an Iceberg table"),
    ] {
        let error = client.simple_query(sql).await.expect_err(sql);
        let error = error.as_db_error().expect("an error of the server");
        assert_eq!((error.code().code(), error.message().contains(words)), (code, true), "{sql}: {}", error.message());
    }
}
