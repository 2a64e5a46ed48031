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
