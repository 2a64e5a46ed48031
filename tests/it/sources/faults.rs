//! What happens to statements when a store or a catalog fails: the right error in time, nobody else's business, and no restart afterwards.

use std::time::{Duration, Instant};

use featgres::config::{CatalogConfig, CatalogKind, Secret};
use tokio_postgres::Client;

use crate::support::{CatalogFault, FakeCatalogs, Fault, FaultyS3, TestGateway, write_sample};

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

/// A gateway with `iceberg` on the disk, and the same tables by a Nessie and a REST catalog of the test's own at this port.
async fn gateway_of(port: u16) -> TestGateway {
    let catalog = |name: &str, kind: CatalogKind, path: &str| {
        let mut config = CatalogConfig::new(name, kind, format!("http://127.0.0.1:{port}/{path}"));
        config.timeout = Duration::from_secs(2);
        (name.to_owned(), config)
    };
    let sections = [catalog("nessie", CatalogKind::Nessie, "api/v2"), catalog("rest", CatalogKind::Rest, "rest")];
    TestGateway::with(|config| config.catalogs.extend(sections), write_sample).await
}

/// A port where nobody listens, for now.
async fn free_port() -> u16 {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").port()
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_that_misbehave_are_named_and_used_again_when_they_do_not() {
    let port = free_port().await;
    let gateway = gateway_of(port).await;
    let catalogs = FakeCatalogs::start_on(&gateway.folder().join("catalog.sqlite"), port).await;
    let (client, other) = (gateway.connect().await, gateway.connect().await);
    let here = count(&other, "iceberg").await.expect("the local table");
    let always = usize::MAX;
    for name in ["nessie", "rest"] {
        for (fault, expected, words) in [
            (CatalogFault::Refuse(always, 503, "SERVICE_UNAVAILABLE"), "HV00N", "SERVICE_UNAVAILABLE it is"),
            (CatalogFault::Refuse(always, 500, "UNKNOWN"), "HV000", "UNKNOWN it is"),
            (CatalogFault::Refuse(always, 409, "REFERENCE_CONFLICT"), "HV000", "REFERENCE_CONFLICT it is"),
            (CatalogFault::Refuse(always, 401, "UNAUTHORIZED"), "HV00N", "refuses the login"),
            (CatalogFault::Refuse(always, 403, "FORBIDDEN"), "42501", "permission denied by catalog"),
            (CatalogFault::Malformed, "HV000", "cannot be read"),
            (CatalogFault::Cut, "HV00N", "127.0.0.1"),
            (CatalogFault::Hang, "HV00N", "no answer within 2 s"),
        ] {
            catalogs.set(fault.clone());
            let before = Instant::now();
            let (failed, local) = tokio::join!(count(&client, name), count(&other, "iceberg"));
            let (code, message, _) = told(failed.expect_err("no count"));
            assert_eq!((code.as_str(), message.contains(words)), (expected, true), "{name}, {fault:?}: {message}");
            assert!(message.contains(name) && before.elapsed() < Duration::from_secs(10), "{name}, {fault:?}: {message}");
            assert_eq!(local.expect("the local table"), here);
            catalogs.set(CatalogFault::None);
            assert_eq!(count(&client, name).await.expect("a count"), here, "{name} after {fault:?}");
        }
        // What passes is waited for.
        catalogs.set(CatalogFault::Refuse(2, 503, "SERVICE_UNAVAILABLE"));
        assert_eq!(count(&client, name).await.expect("a count"), here);
        // A hanging catalog costs no more than the statement's own patience.
        catalogs.set(CatalogFault::Hang);
        client.batch_execute("SET statement_timeout = '200ms'").await.expect("SET");
        let before = Instant::now();
        assert_eq!(told(count(&client, name).await.expect_err("no count")).0, "57014");
        assert!(before.elapsed() < Duration::from_secs(2), "{name}");
        client.batch_execute("RESET statement_timeout").await.expect("RESET");
    }
    // Nessie's 404s: the branch is gone, then it is there again.
    catalogs.set(CatalogFault::Refuse(1, 404, "REFERENCE_NOT_FOUND"));
    let (code, message, _) = told(count(&client, "nessie").await.expect_err("no count"));
    assert!(["42704", "HV000"].contains(&code.as_str()), "{code} {message}");
    assert_eq!(count(&client, "nessie").await.expect("a count"), here);
}

#[tokio::test(flavor = "multi_thread")]
async fn catalogs_may_start_after_the_gateway_and_restart() {
    let port = free_port().await;
    let gateway = gateway_of(port).await;
    let (client, other) = (gateway.connect().await, gateway.connect().await);
    let here = count(&other, "iceberg").await.expect("the local table");
    let sqlite = gateway.folder().join("catalog.sqlite");
    for _ in 0..2 {
        for name in ["nessie", "rest"] {
            let (code, message, hint) = told(count(&client, name).await.expect_err("nobody listens"));
            assert_eq!(code, "HV00N", "{message}");
            assert!(hint.contains(&format!("catalogs.{name}.uri")), "{hint}");
            let view = format!("CREATE FEATURE VIEW v ENTITIES (customer_id) FROM {name}.gold.customer_aggregates TIMESTAMP updated_at");
            assert_eq!(told(client.batch_execute(&view).await.expect_err("nobody listens")).0, "HV00N");
        }
        assert_eq!(count(&other, "iceberg").await.expect("the local table"), here);
        let catalogs = FakeCatalogs::start_on(&sqlite, port).await;
        for name in ["nessie", "rest"] {
            assert_eq!(count(&client, name).await.expect("a count"), here, "{name}");
        }
        drop(catalogs);
        // Connections that are kept end with the server; it is down when the next question is refused.
        while count(&client, "nessie").await.is_ok() || count(&client, "rest").await.is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_store_is_waited_for_as_long_as_the_statement_allows() {
    let (gateway, s3, _folder) = gateway().await;
    let client = gateway.connect().await;
    let here = count(&client, "iceberg").await.expect("the local table");
    s3.set(Fault::Slow(Duration::from_millis(50)));
    assert_eq!(count(&client, "far").await.expect("a count"), here);
    s3.set(Fault::Slow(Duration::from_secs(1)));
    client.batch_execute("SET statement_timeout = '300ms'").await.expect("SET");
    let before = Instant::now();
    let sum = "SELECT sum(total_orders) FROM far.gold.customer_aggregates";
    assert_eq!(told(client.query_one(sum, &[]).await.expect_err("no time")).0, "57014");
    assert!(before.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_end_within_a_scan_are_handed_out_again() {
    let source = TestGateway::start().await;
    let s3 = std::sync::Arc::new(FaultyS3::start(&source.folder().join("warehouse")).await);
    let sqlite = source.folder().join("far.sqlite");
    s3.catalog(&source.folder().join("catalog.sqlite"), &sqlite);
    let catalogs = FakeCatalogs::start(&sqlite).await;
    let far = CatalogConfig::new("far", CatalogKind::Rest, catalogs.uri("rest"));
    let gateway = TestGateway::with(|config| config.catalogs.extend([("far".to_owned(), far)]), write_sample).await;
    let client = gateway.connect().await;
    // One question to the catalog a statement: a prepared one is asked about twice, before and after its parameters are known.
    let all = "SELECT count(*), sum(total_orders), max(favourite) FROM CATALOG.gold.customer_aggregates";
    let row = async |client: &Client, catalog: &str| {
        let messages = client.simple_query(&all.replace("CATALOG", catalog)).await?;
        let row = messages.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some([0, 1, 2].map(|index| row.get(index).unwrap_or("NULL").to_owned())),
            _ => None,
        });
        Ok::<_, tokio_postgres::Error>(row.expect("a row"))
    };
    let expected = row(&client, "iceberg").await.expect("a row");
    // The first key ends after so many of the scan's requests; the catalog hands out another when it is asked again.
    for requests in 0..6 {
        catalogs.vend(&s3, &["AK1", "AK2"]);
        s3.admit(&["AK1+tok"], "ExpiredToken");
        s3.admit_after(requests, &["AK2+tok"]);
        let far = TestGateway::with(
            |config| config.catalogs.extend([("far".to_owned(), CatalogConfig::new("far", CatalogKind::Rest, catalogs.uri("rest")))]),
            write_sample,
        )
        .await;
        assert_eq!(row(&far.connect().await, "far").await.expect("a row"), expected, "{requests}");
        let keys = s3.keys();
        assert!(keys.first().is_some_and(|key| key == "AK1+tok") && keys.contains(&"AK2+tok".to_owned()), "{requests}: {keys:?}");
    }
    // Where the catalog has no other, the statement fails and says why; nothing is left behind that the next one would stumble over.
    catalogs.vend(&s3, &["AK1"]);
    s3.admit(&["AK2+tok"], "ExpiredToken");
    let (code, message, _) = told(row(&client, "far").await.expect_err("ended"));
    assert_eq!((code.as_str(), message.contains("ExpiredToken")), ("58030", true), "{message}");
    catalogs.vend(&s3, &["AK2"]);
    assert_eq!(row(&client, "far").await.expect("a row"), expected);
}
