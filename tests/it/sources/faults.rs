//! What happens to statements when a store or a catalog fails: the right error in time, nobody else's business, and no restart afterwards.

use std::time::{Duration, Instant};

use featgres::config::{CatalogConfig, CatalogKind, Secret};
use tokio_postgres::Client;

use crate::support::{Fault, FaultyS3, TestGateway};

/// The sample tables twice: `iceberg` on the disk, `far` by way of an S3 that fails.
async fn gateway() -> (TestGateway, FaultyS3, (TestGateway, tempfile::TempDir)) {
    let source = TestGateway::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let s3 = FaultyS3::start(&source.folder().join("warehouse")).await;
    let copy = folder.path().join("far.sqlite");
    s3.catalog(&source.folder().join("catalog.sqlite"), &copy);
    let mut far = CatalogConfig::new("far", CatalogKind::Sql, format!("sqlite:///{}", copy.display()));
    far.catalog = "iceberg".to_owned();
    for (key, value) in [("s3.endpoint", &*s3.url), ("s3.region", "us-east-1"), ("s3.access-key-id", "k"), ("s3.secret-access-key", "s")] {
        far.properties.insert(key.to_owned(), Secret::new(value));
    }
    far.properties.insert("s3.request-timeout".to_owned(), Secret::new("4"));
    let gateway = TestGateway::with(
        |config| {
            config.catalogs.insert("far".to_owned(), far);
        },
        crate::support::write_sample,
    )
    .await;
    // The first gateway wrote the tables; its folder lives as long as its files are served.
    (gateway, s3, (source, folder))
}

async fn count(client: &Client, catalog: &str) -> Result<i64, tokio_postgres::Error> {
    client.query_one(&format!("SELECT count(customer_id) FROM {catalog}.gold.customer_aggregates"), &[]).await.map(|row| row.get(0))
}

fn told(error: tokio_postgres::Error) -> (String, String, String) {
    let error = error.as_db_error().expect("an error of the server").clone();
    (error.code().code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_fails_the_statement_and_nothing_else() {
    let (gateway, s3, _folder) = gateway().await;
    let (client, other) = (gateway.connect().await, gateway.connect().await);
    let here = count(&other, "iceberg").await.expect("the local table");

    // Too busy at first: asked again.
    s3.set(Fault::Refuse(2, 503, "SlowDown"));
    assert_eq!(count(&client, "far").await.expect("a count"), here);

    // Never all of the body: no rows are presented as all rows.
    for fault in [Fault::Cut, Fault::Refuse(usize::MAX, 503, "SlowDown")] {
        s3.set(fault.clone());
        let (code, message, _) = told(count(&client, "far").await.expect_err("no count"));
        assert_eq!(code, "58030", "{fault:?}: {message}");
        assert!(message.contains(".parquet"), "{fault:?}: {message}");
        assert_eq!(count(&other, "iceberg").await.expect("the local table"), here);
    }

    // What cannot get better by itself says what to do.
    for (status, name, code, words) in [
        (403, "AccessDenied", "42501", "s3:GetObject"),
        (403, "InvalidAccessKeyId", "58030", "s3.access-key-id"),
        (400, "ExpiredToken", "58030", "renewed"),
        (403, "RequestTimeTooSkewed", "58030", "clock"),
        (400, "AuthorizationHeaderMalformed", "58030", "s3.region"),
        (404, "NoSuchBucket", "58030", "s3.endpoint"),
    ] {
        s3.set(Fault::Refuse(usize::MAX, status, name));
        let (found, message, hint) = told(count(&client, "far").await.expect_err("no count"));
        assert_eq!((found.as_str(), hint.contains(words)), (code, true), "{name}: {message} {hint}");
        assert!(message.contains(name), "{message}");
    }

    // A store that hangs: the statement's own limit, or the request's.
    s3.set(Fault::Hang);
    client.batch_execute("SET statement_timeout = '500ms'").await.expect("SET");
    let before = Instant::now();
    let (hung, local) = tokio::join!(count(&client, "far"), count(&other, "iceberg"));
    assert_eq!((told(hung.expect_err("no count")).0.as_str(), local.expect("the local table")), ("57014", here));
    assert!(before.elapsed() < Duration::from_secs(4));
    client.batch_execute("SET statement_timeout = 0").await.expect("SET");
    assert_eq!(told(count(&client, "far").await.expect_err("no count")).0, "58030");

    s3.set(Fault::None);
    assert_eq!(count(&client, "far").await.expect("a count"), here);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_down_or_hangs_fails_those_who_ask_it_only() {
    // It takes connections and never answers.
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (hangs, down) = (hanging.local_addr().expect("an address"), closed.local_addr().expect("an address"));
    drop(closed);
    let catalog = |name: &str, kind: CatalogKind, uri: String| {
        let mut config = CatalogConfig::new(name, kind, uri);
        config.timeout = Duration::from_secs(1);
        (name.to_owned(), config)
    };
    let gateway = TestGateway::with(
        |config| {
            config.catalogs.extend([
                catalog("nessie_hangs", CatalogKind::Nessie, format!("http://{hangs}/api/v2")),
                catalog("nessie_down", CatalogKind::Nessie, format!("http://{down}/api/v2")),
                catalog("rest_hangs", CatalogKind::Rest, format!("http://{hangs}")),
                catalog("rest_down", CatalogKind::Rest, format!("http://{down}")),
            ]);
        },
        crate::support::write_sample,
    )
    .await;
    let (client, other) = (gateway.connect().await, gateway.connect().await);
    for name in ["nessie_hangs", "nessie_down", "rest_hangs", "rest_down"] {
        let before = Instant::now();
        let (failed, local) = tokio::join!(count(&client, name), count(&other, "iceberg"));
        let (code, message, _) = told(failed.expect_err("no count"));
        assert_eq!(code, "HV00N", "{message}");
        assert!(message.contains(&format!("catalog \"{name}\" cannot be reached: http://127.0.0.1:")), "{message}");
        assert!(before.elapsed() < Duration::from_secs(5), "{name}");
        assert!(local.expect("the local table") > 0);
    }
    client.batch_execute("SET statement_timeout = '200ms'").await.expect("SET");
    assert_eq!(told(count(&client, "rest_hangs").await.expect_err("no count")).0, "57014");
}
