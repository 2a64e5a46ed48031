//! Cancel, timeout, disconnect.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::support::{TestGateway, code};

#[tokio::test(flavor = "multi_thread")]
async fn cancel_stops_a_statement_and_leaves_the_session() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    let token = client.cancel_token();
    let over = AtomicBool::new(false);
    let statement = async {
        let outcome = client.simple_query("SELECT pg_sleep(60)").await;
        over.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, cancels) = tokio::join!(statement, async {
        let mut cancels = 0;
        while !over.load(Ordering::Relaxed) {
            // The statement has no visible sign of running, so the request is repeated until it was heard.
            token.cancel_query(NoTls).await.unwrap();
            cancels += 1;
            tokio::task::yield_now().await;
        }
        cancels
    });
    assert_eq!(code(outcome), "57014");
    // The last requests may be read after the statement's end; each stops one statement at the most.
    for _ in 0..cancels {
        match client.query_one("SELECT 1::bigint", &[]).await {
            Ok(row) => return assert_eq!(row.get::<_, i64>(0), 1),
            late => assert_eq!(code(late), "57014"),
        }
    }
    panic!("{cancels} requests, and each stopped a statement of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_stops_operators() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute("SET statement_timeout = '200ms'").await.unwrap();
    let began = Instant::now();
    assert_eq!(code(client.simple_query("SELECT pg_sleep(60)").await), "57014");
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) AS a";
    assert_eq!(code(client.simple_query(endless).await), "57014");
    assert_eq!(code(client.query(endless, &[]).await), "57014");
    assert!(began.elapsed() < Duration::from_secs(20), "three timeouts of 0.2 s took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_forgotten() {
    let gateway = TestGateway::start().await;
    let (client, connection) = tokio_postgres::connect(&gateway.conninfo(), NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    assert_eq!(gateway.gateway.connected().len(), 1);
    drop(client);
    let _ = connection.await;
    while !gateway.gateway.connected().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_takes_too_long_ends_its_session() {
    let gateway = TestGateway::start().await;
    for (before, endless) in [
        ("SET transaction_timeout = '100ms'", Some("SELECT pg_sleep(60)")),
        ("SET transaction_timeout = '100ms'; BEGIN", None),
        ("BEGIN; SET LOCAL transaction_timeout = '100ms'", None),
        ("SET transaction_timeout = '100ms'; BEGIN; COMMIT AND CHAIN", None),
    ] {
        let (client, connection) = tokio_postgres::connect(&gateway.conninfo(), NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(before).await.unwrap();
        if let Some(endless) = endless {
            assert_eq!(code(client.simple_query(endless).await), "25P04");
        }
        let end = connection.await.unwrap();
        if endless.is_none() {
            assert_eq!(end.unwrap_err().code().map(|code| code.code().to_owned()), Some("25P04".to_owned()), "{before}");
        }
    }
    let client = gateway.connect().await;
    client.batch_execute("SET transaction_timeout = '1ms'; SET transaction_timeout = 0; SELECT pg_sleep(0.05)").await.unwrap();
    client
        .batch_execute("BEGIN; SET LOCAL transaction_timeout = '200ms'; RESET transaction_timeout; SELECT pg_sleep(0.4); COMMIT")
        .await
        .unwrap();
    // Between transactions no time counts.
    client.batch_execute("SET transaction_timeout = '1min'; BEGIN; COMMIT").await.unwrap();
    let shown = client.query_one("SHOW transaction_timeout", &[]).await.unwrap();
    assert_eq!(shown.get::<_, String>(0), "1min");
}
