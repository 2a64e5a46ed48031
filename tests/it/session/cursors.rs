//! Cursors as drivers use them, and how they end.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::{TestGateway, code};

/// A script's answer: rows as text, and each statement's tag where it counts.
async fn told(client: &Client, sql: &str) -> String {
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => {
            let Some(error) = error.as_db_error() else { return error.to_string() };
            return format!("{} {}", error.code().code(), error.message());
        }
    };
    let mut words = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                words.push((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join(","))
            }
            SimpleQueryMessage::CommandComplete(count) => words.push(format!("[{count}]")),
            _ => {}
        }
    }
    words.join(" ")
}

const FIVE: &str = "SELECT n FROM (VALUES (1), (2), (3), (4), (5)) AS t (n) ORDER BY n";

#[tokio::test(flavor = "multi_thread")]
async fn forward_in_portions() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    assert_eq!(told(&client, &format!("DECLARE c CURSOR FOR {FIVE}")).await, "25P01 DECLARE CURSOR can only be used in transaction blocks");
    assert_eq!(told(&client, "FETCH c").await, "34000 cursor \"c\" does not exist");
    assert_eq!(told(&client, &format!("BEGIN; DECLARE c CURSOR FOR {FIVE}; FETCH 2 FROM c")).await, "[0] [0] 1 2 [2]");
    assert_eq!(told(&client, "FETCH c; MOVE 1 IN c; FETCH FORWARD ALL FROM c; FETCH 1 FROM c").await, "3 [1] [1] 5 [1] [0]");
    assert_eq!(told(&client, "CLOSE c; COMMIT").await, "[0] [0]");
    // A script is a transaction of its own.
    assert_eq!(told(&client, &format!("DECLARE c CURSOR FOR {FIVE}; FETCH ABSOLUTE 3 FROM c")).await, "[0] 3 [1]");
    assert_eq!(told(&client, "FETCH c").await, "34000 cursor \"c\" does not exist");
    // Twice the same name.
    let twice = format!("BEGIN; DECLARE c CURSOR FOR {FIVE}; DECLARE c CURSOR FOR SELECT 1");
    assert_eq!(told(&client, &twice).await, "42P03 cursor \"c\" already exists");
    assert_eq!(told(&client, "FETCH c").await, "25P02 current transaction is aborted, commands ignored until end of transaction block");
    assert_eq!(told(&client, "ROLLBACK; CLOSE ALL").await, "[0] [0]");
    assert_eq!(told(&client, "CLOSE c").await, "34000 cursor \"c\" does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn back_with_scroll_only() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    told(
        &client,
        &format!("BEGIN; DECLARE s SCROLL CURSOR FOR {FIVE}; DECLARE n NO SCROLL CURSOR FOR {FIVE}; FETCH 3 FROM n; SAVEPOINT a"),
    )
    .await;
    assert_eq!(
        told(&client, "FETCH LAST s; FETCH PRIOR s; FETCH BACKWARD 2 s; FETCH FIRST s; FETCH RELATIVE 2 s").await,
        "5 [1] 4 [1] 3 2 [2] 1 [1] 3 [1]"
    );
    assert_eq!(
        told(&client, "FETCH 0 FROM s; MOVE ALL s; MOVE BACKWARD ALL s; FETCH -1 s; FETCH ABSOLUTE -2 s").await,
        "3 [1] [2] [5] [0] 4 [1]"
    );
    assert_eq!(told(&client, "FETCH BACKWARD ALL FROM s; FETCH ALL FROM s").await, "3 2 1 [3] 1 2 3 4 5 [5]");
    assert_eq!(told(&client, "FETCH PRIOR FROM n").await, "55000 cursor can only scan forward");
    assert_eq!(told(&client, "ROLLBACK TO a; FETCH n; COMMIT").await, "[0] 4 [1] [0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_end_with_their_transaction_or_are_held() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    let names = "SELECT name, is_holdable, is_binary, is_scrollable FROM pg_cursors ORDER BY name";
    told(&client, &format!("BEGIN; DECLARE a CURSOR FOR {FIVE}; DECLARE h CURSOR WITH HOLD FOR {FIVE}; FETCH 2 FROM h")).await;
    told(&client, "SAVEPOINT s; DECLARE b SCROLL CURSOR FOR SELECT 1; DECLARE i BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR SELECT 1")
        .await;
    assert_eq!(told(&client, names).await, "a,f,f,f b,f,f,t h,t,f,f i,t,t,t [4]");
    assert_eq!(told(&client, &format!("ROLLBACK TO s; {names}")).await, "[0] a,f,f,f h,t,f,f [2]");
    assert_eq!(told(&client, &format!("COMMIT; {names}; FETCH 2 FROM h")).await, "[0] h,t,f,f [1] 3 4 [2]");
    // A rollback takes what its transaction declared, not what was held before.
    assert_eq!(
        told(&client, &format!("BEGIN; DECLARE j CURSOR WITH HOLD FOR SELECT 1; ROLLBACK; {names}")).await,
        "[0] [0] [0] h,t,f,f [1]"
    );
    assert_eq!(told(&client, "FETCH j").await, "34000 cursor \"j\" does not exist");
    assert_eq!(told(&client, "FETCH ALL FROM h").await, "5 [1]");
    assert_eq!(told(&client, &format!("DECLARE k SCROLL CURSOR WITH HOLD FOR {FIVE}")).await, "[0]");
    assert_eq!(told(&client, "FETCH LAST FROM k; FETCH FIRST FROM k").await, "5 [1] 1 [1]");
    assert_eq!(told(&client, "DISCARD ALL").await, "[0]");
    assert_eq!(told(&client, names).await, "[0]");
    // Held rows do not go with the query that fails beside them, nor does the error leave anything open.
    assert_eq!(
        told(&client, "DECLARE f CURSOR WITH HOLD FOR SELECT 1 / (n - 3) FROM (VALUES (1), (2), (3)) AS t (n)").await,
        "22012 division by zero"
    );
    assert_eq!(told(&client, names).await, "[0]");
    told(&client, "BEGIN; DECLARE f CURSOR WITH HOLD FOR SELECT 1 / (n - 3) FROM (VALUES (1), (2), (3)) AS t (n)").await;
    assert_eq!(told(&client, "COMMIT").await, "22012 division by zero");
    assert_eq!(told(&client, names).await, "[0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_extended_protocol() {
    let gateway = TestGateway::start().await;
    let mut client = gateway.connect().await;
    let transaction = client.transaction().await.unwrap();
    // Parameters of DECLARE, and FETCH described as what its cursor has.
    transaction
        .execute(
            "DECLARE c CURSOR FOR SELECT n, n * $1::bigint AS m FROM (VALUES (1::bigint), (2), (3)) AS t (n) WHERE n >= $2 ORDER BY n",
            &[&10_i64, &2_i64],
        )
        .await
        .unwrap();
    let fetch = transaction.prepare("FETCH 5 FROM c").await.unwrap();
    assert_eq!(fetch.columns().iter().map(|column| column.name()).collect::<Vec<_>>(), ["n", "m"]);
    let rows = transaction.query(&fetch, &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i64>(1)).collect::<Vec<_>>(), [20, 30]);
    assert!(transaction.query(&fetch, &[]).await.unwrap().is_empty());
    assert_eq!(transaction.execute("MOVE 1 IN c", &[]).await.unwrap(), 0);
    transaction.commit().await.unwrap();
    assert_eq!(code(client.query(&fetch_text(), &[]).await), "34000");
    // What asyncpg sends when a connection goes back to its pool.
    client.batch_execute("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;").await.unwrap();
    assert_eq!(code(client.batch_execute("LISTEN x").await), "0A000");
    assert_eq!(code(client.batch_execute("NOTIFY x").await), "0A000");
}

fn fetch_text() -> String {
    "FETCH 5 FROM c".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_in_portions_stay_on_disk_or_in_the_source() {
    let gateway = TestGateway::with(
        |config| {
            config.limits.memory = 64 << 20;
            config.limits.memory_per_query = Some(2 << 20);
        },
        |_| {},
    )
    .await;
    let client = gateway.connect().await;
    told(&client, "BEGIN; DECLARE c CURSOR FOR SELECT generate_series FROM generate_series(1, 1000000)").await;
    told(&client, "DECLARE s SCROLL CURSOR FOR SELECT generate_series FROM generate_series(1, 1000000)").await;
    assert_eq!(told(&client, "MOVE 999998 IN c; FETCH ALL FROM c").await, "[999998] 999999 1000000 [2]");
    assert_eq!(
        told(&client, "FETCH LAST FROM s; FETCH ABSOLUTE 500000 FROM s; FETCH BACKWARD 2 FROM s").await,
        "1000000 [1] 500000 [1] 499999 499998 [2]"
    );
    assert_eq!(told(&client, "COMMIT").await, "[0]");
    assert_eq!(told(&client, "DECLARE h CURSOR WITH HOLD FOR SELECT generate_series FROM generate_series(1, 1000000)").await, "[0]");
    assert_eq!(told(&client, "FETCH 1 FROM h; MOVE ALL IN h").await, "1 [1] [999999]");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_stop_each_other() {
    let gateway = TestGateway::start().await;
    let (one, other) = (gateway.connect().await, gateway.connect().await);
    let pid: i32 = other.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let running = tokio::spawn(async move { (other.simple_query("SELECT pg_sleep(60)").await, other) });
    let active = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active' AND query LIKE '%pg_sleep%'");
    while told(&one, &active).await != "1 [1]" {}
    assert_eq!(told(&one, &format!("SELECT pg_cancel_backend({pid})")).await, "t [1]");
    let (outcome, other) = running.await.unwrap();
    assert_eq!(code(outcome), "57014");
    assert_eq!(told(&other, "SELECT 1").await, "1 [1]");
    assert_eq!(told(&one, &format!("SELECT pg_terminate_backend({pid}, 5000)")).await, "t [1]");
    assert!(other.simple_query("SELECT 1").await.is_err());
    assert_eq!(told(&one, &format!("SELECT pg_terminate_backend({pid}), pg_cancel_backend({pid})")).await, "f,f [1]");
    assert_eq!(told(&one, "SELECT pg_advisory_lock(1), pg_try_advisory_lock(1, 2), pg_advisory_unlock(1)").await, ",t,t [1]");
    assert!(told(&one, "SELECT pg_terminate_backend(pg_backend_pid())").await.contains("57P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_correlated_subquery_over_the_catalog() {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    let slow = "SELECT (SELECT count(*) FROM pg_attribute a, pg_attribute b, pg_attribute d WHERE a.attnum + b.attnum + d.attnum > c.relnatts) FROM pg_class c";
    client.batch_execute("SET statement_timeout = '300ms'").await.unwrap();
    let began = std::time::Instant::now();
    assert_eq!(code(client.simple_query(slow).await), "57014");
    client.batch_execute("RESET statement_timeout").await.unwrap();
    let (outcome, ()) = tokio::join!(client.simple_query(slow), async {
        let other = gateway.connect().await;
        while told(
            &other,
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%relnatts%'",
        )
        .await
            == "0 [1]"
        {}
        client.cancel_token().cancel_query(tokio_postgres::NoTls).await.unwrap();
    });
    assert_eq!(code(outcome), "57014");
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(told(&client, "SELECT 1").await, "1 [1]");
}
