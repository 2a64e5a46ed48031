//! Every limit that the configuration names: what is over it is told so, by code, and the session goes on.

use std::time::Duration;

use featgres::config::Config;

use super::raw::{Message, Raw, bind, close, describe, execute, message, parse, query, startup, sync};
use crate::support::{TestGateway, code};

async fn gateway(configure: impl FnOnce(&mut Config)) -> TestGateway {
    TestGateway::with(configure, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn connections() {
    let gateway = gateway(|config| config.limits.max_connections = 2).await;
    let _first = Raw::start(gateway.address).await;
    let second = Raw::start(gateway.address).await;
    let mut third = Raw::connect(gateway.address).await;
    third.send(&startup("tester", "test")).await;
    let refused = third.next().await.unwrap();
    assert_eq!((refused.word().as_str(), refused.field(b'S').as_deref()), ("E(53300)", Some("FATAL")));
    assert_eq!(refused.field(b'M').as_deref(), Some("sorry, too many clients already"));
    assert!(refused.field(b'H').is_some());
    drop(second);
    while gateway.gateway.connected().len() > 1 {
        tokio::task::yield_now().await;
    }
    let mut fourth = Raw::start(gateway.address).await;
    fourth.send(&query("SHOW max_connections")).await;
    let shown = fourth.until_ready().await.unwrap();
    let row = shown.iter().find(|message| message.tag == b'D').unwrap();
    assert_eq!(row.body, b"\0\x01\0\0\0\x012");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_statements_and_parameters() {
    let gateway = gateway(|config| {
        config.limits.max_message_size = 20_000;
        config.limits.max_statement_size = 5_000;
        config.limits.max_parameters = 3;
    })
    .await;
    let mut raw = Raw::start(gateway.address).await;
    let long = |length: usize| format!("SELECT '{}'", "x".repeat(length));
    assert_eq!(raw.ask(&query(&long(30_000))).await, "E(54000) Z(I)");
    assert_eq!(raw.ask(&query(&long(6_000))).await, "E(54000) Z(I)");
    assert_eq!(raw.ask(&[parse("", &long(6_000)), sync()].concat()).await, "E(54000) Z(I)");
    assert_eq!(raw.ask(&query(&long(4_000))).await, "T D C(SELECT 1) Z(I)");
    assert_eq!(
        raw.ask(&[parse("", "SELECT $1::int, $2::int, $3::int"), bind("", "", &["1", "2", "3"]), execute("", 0), sync()].concat()).await,
        "1 2 D C(SELECT 1) Z(I)"
    );
    assert_eq!(raw.ask(&[parse("", "SELECT $1::int, $2::int, $3::int, $4::int"), sync()].concat()).await, "E(54000) Z(I)");
    // Four types declared, and a number that no array of parameters should be made for.
    let mut body = b"\0SELECT 1\0\0\x04".to_vec();
    body.extend([0; 16]);
    assert_eq!(raw.ask(&[message(b'P', &body), sync()].concat()).await, "E(54000) Z(I)");
    assert_eq!(raw.ask(&[parse("", "SELECT $65536::int"), sync()].concat()).await, "E(42P02) Z(I)");
    let answer = raw.ask(&[parse("", "SELECT $999999999::int"), sync()].concat()).await;
    assert!(answer.starts_with("E(") && !answer.contains("XX000"), "{answer}");
    let answer = raw.ask(&query("SELECT $99999999999999999999")).await;
    assert!(answer.starts_with("E(") && !answer.contains("XX000"), "{answer}");
    assert_eq!(raw.ask(&query("SELECT 1")).await, "T D C(SELECT 1) Z(I)");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_portals_and_cursors() {
    let gateway = gateway(|config| {
        config.limits.max_prepared_statements = 3;
        config.limits.max_portals = 3;
    })
    .await;
    let mut raw = Raw::start(gateway.address).await;
    let prepared = [parse("a", "SELECT 1"), parse("b", "SELECT 2"), sync()].concat();
    assert_eq!(raw.ask(&prepared).await, "1 1 Z(I)");
    assert_eq!(raw.ask(&query("PREPARE c AS SELECT 3")).await, "C(PREPARE) Z(I)");
    assert_eq!(raw.ask(&[parse("d", "SELECT 4"), sync()].concat()).await, "E(54000) Z(I)");
    assert_eq!(raw.ask(&query("PREPARE d AS SELECT 4")).await, "E(54000) Z(I)");
    assert_eq!(raw.ask(&[close(b'S', "b"), parse("d", "SELECT 4"), sync()].concat()).await, "3 1 Z(I)");
    let bound = |name| bind(name, "a", &[]);
    assert_eq!(raw.ask(&query("BEGIN; DECLARE k CURSOR FOR SELECT 1")).await, "C(BEGIN) C(DECLARE CURSOR) Z(T)");
    assert_eq!(raw.ask(&[bound("x"), bound("y"), sync()].concat()).await, "2 2 Z(T)");
    assert_eq!(raw.ask(&query("SAVEPOINT s")).await, "C(SAVEPOINT) Z(T)");
    assert_eq!(raw.ask(&query("DECLARE l CURSOR FOR SELECT 1")).await, "E(54000) Z(E)");
    assert_eq!(raw.ask(&query("ROLLBACK TO s; FETCH k")).await, "C(ROLLBACK) T D C(FETCH 1) Z(T)");
    assert_eq!(raw.ask(&[bound("m"), bound("n"), bound("o"), sync()].concat()).await, "2 2 E(54000) Z(E)");
    assert_eq!(raw.ask(&query("ROLLBACK")).await, "C(ROLLBACK) Z(I)");
    assert_eq!(raw.ask(&[describe(b'P', "x"), sync()].concat()).await, "E(34000) Z(I)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_limit_is_a_number_to_count_to() {
    let gateway = gateway(|_| {}).await;
    let mut raw = Raw::start(gateway.address).await;
    for rows in [i32::MAX, i32::MAX - 1, -1, i32::MIN, 0] {
        let asked = [parse("", "SELECT 1 UNION ALL SELECT 2"), bind("", "", &[]), execute("", rows), sync()].concat();
        assert_eq!(raw.ask(&asked).await, "1 2 D D C(SELECT 2) Z(I)", "{rows}");
    }
    let suspended =
        [parse("", "SELECT 1 UNION ALL SELECT 2"), bind("p", "", &[]), execute("p", 1), execute("p", 1), execute("p", 1), sync()];
    assert_eq!(raw.ask(&suspended.concat()).await, "1 2 D s D s C(SELECT 0) Z(I)");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_start_in_time_is_not_waited_for() {
    let gateway = gateway(|config| config.limits.startup_timeout = Duration::from_millis(100)).await;
    let mut silent = Raw::connect(gateway.address).await;
    let mut slow = Raw::connect(gateway.address).await;
    slow.send(&startup("tester", "test")[..20]).await;
    assert_eq!((silent.next().await, slow.next().await), (None, None));
    let mut raw = Raw::start(gateway.address).await;
    assert_eq!(raw.ask(&query("SELECT 1")).await, "T D C(SELECT 1) Z(I)");
}

/// A message that is too large passes by in the middle of a COPY whose time is up; the session knows where the next one begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_outlasts_its_statement() {
    let gateway = gateway(|config| config.limits.max_message_size = 20_000).await;
    let mut raw = Raw::start(gateway.address).await;
    raw.ask(&query("CREATE TEMP TABLE t (a text)")).await;
    raw.ask(&query("SET statement_timeout = '200ms'")).await;
    let data = message(b'd', &[b'x'; 300_000]);
    let begun = [query("COPY t FROM STDIN"), data[..100_000].to_vec()].concat();
    assert_eq!(raw.ask(&begun).await, "G E(57014) Z(I)");
    raw.send(&data[100_000..]).await;
    raw.send(&message(b'c', &[])).await;
    assert_eq!(raw.ask(&query("SELECT 1")).await, "T D C(SELECT 1) Z(I)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_ends_with_rows_to_send_is_timed_no_more() {
    let gateway = TestGateway::start().await;
    let mut raw = Raw::start(gateway.address).await;
    raw.send(&query("SET transaction_timeout = '100ms'")).await;
    raw.until_ready().await.expect("a session");
    raw.send(&[parse("", "SELECT generate_series(1, 10)"), bind("", "", &[]), execute("", 1), sync()].concat()).await;
    let words: Vec<String> = raw.until_ready().await.expect("a session").iter().map(Message::word).collect();
    assert_eq!(words, ["1", "2", "D", "s", "Z(I)"]);
    gateway.connect().await.batch_execute("SELECT pg_sleep(0.3)").await.expect("three times as long");
    raw.send(&query("SELECT 1")).await;
    let words: Vec<String> = raw.until_ready().await.expect("the session goes on").iter().map(Message::word).collect();
    assert_eq!(words, ["T", "D", "C(SELECT 1)", "Z(I)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_nothing_stops_nothing() {
    let gateway = TestGateway::start().await;
    let mut raw = Raw::connect(gateway.address).await;
    raw.send(&startup("tester", "test")).await;
    let greeting = raw.until_ready().await.expect("a session");
    let key = greeting.into_iter().find(|message| message.tag == b'K').expect("a key").body;
    for _ in 0..100 {
        assert_eq!(raw.ask(&query("SELECT count(*) FROM generate_series(1, 10)")).await, "T D C(SELECT 1) Z(I)");
        // As libpq does: it waits until the server has taken the request and hangs up.
        let mut request = Raw::connect(gateway.address).await;
        request.send(&[&16_i32.to_be_bytes()[..], &80_877_102_i32.to_be_bytes(), &key].concat()).await;
        assert!(request.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_count_the_rows_that_they_hold() {
    let gateway = gateway(|config| config.limits.memory_per_query = Some(8 << 20)).await;
    let client = gateway.connect().await;
    let sum = |rows: u32| format!("SELECT max(s) FROM (SELECT sum(i) OVER () AS s FROM generate_series(1, {rows}) AS g(i)) AS w");
    assert_eq!(code(client.simple_query(&sum(2_000_000)).await), "53200");
    let row = client.query_one(&format!("SELECT ({})::bigint", sum(1_000)), &[]).await.expect("a sum");
    assert_eq!(row.get::<_, i64>(0), 500_500);
    // Groups come as slices of one large array, each of which counts for itself.
    let groups = "SELECT count(s)::bigint FROM (SELECT sum(count(*)) OVER () AS s FROM generate_series(1, 60000) AS g(i) GROUP BY 'group ' || i) AS w";
    let roomy = self::gateway(|config| config.limits.memory_per_query = Some(64 << 20)).await;
    assert_eq!(roomy.connect().await.query_one(groups, &[]).await.expect("a count").get::<_, i64>(0), 60_000);
}
