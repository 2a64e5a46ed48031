//! 200 sessions at once that define, retrieve, cancel, run out of time, read slowly and leave in the middle; and a server that is
//! afterwards as it was before: every row right, every definition there, connections, descriptors, threads and memory back.
//!
//! The server is a process of its own, so that what it holds can be counted. `FEATGRES_STRESS_SECONDS` says for how long (a few
//! seconds otherwise), `FEATGRES_STRESS_SESSIONS` how many.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use featgres::config::Config;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio_postgres::{Client, NoTls};

use super::dice::Dice;
use super::raw::{Raw, query};
use super::seconds;
use crate::support::{TestGateway, code};

/// A served folder.
struct Server {
    process: tokio::process::Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(sessions: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().unwrap());
        config.limits.max_connections = sessions + 20;
        config.limits.memory = 512 << 20;
        TestGateway::write_to(folder.path(), crate::support::write_sample);
        let file = folder.path().join("featgres.toml");
        std::fs::write(&file, config.to_toml()).unwrap();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_featgres"));
        // The test's own variables would be settings to the server.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FEATGRES_")) {
            command.env_remove(name);
        }
        let mut process =
            command.args(["serve", "--config"]).arg(&file).stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the server starts");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next_line().await.unwrap();
            let Some(line) = line else { panic!("the server ended before it listened: {said}") };
            said.push_str(&line);
            if let Some((_, rest)) = line.split_once("127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                break SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
            }
        };
        // What it logs is nobody's to wait for.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { process, address, _folder: folder }
    }

    async fn connect(&self) -> Client {
        connect(self.address).await
    }

    /// Open descriptors, threads, and resident memory in MiB; none where the system does not tell.
    fn held(&self) -> Option<(usize, usize, usize)> {
        let folder = Path::new("/proc").join(self.process.id()?.to_string());
        let count = |name: &str| Some(std::fs::read_dir(folder.join(name)).ok()?.count());
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse::<usize>().ok()?;
        Some((count("fd")?, count("task")?, resident >> 10))
    }
}

async fn connect(address: SocketAddr) -> Client {
    let conninfo = format!("host=127.0.0.1 port={} user=tester dbname=test", address.port());
    let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// The rows of the sample's labels with their features: what each retrieval must give.
const RETRIEVAL: &str = "SELECT customer_id, total_orders FROM get_historical_features(
    (SELECT customer_id, event_timestamp FROM iceberg.gold.labels), ARRAY['base:total_orders']) ORDER BY customer_id, event_timestamp";

async fn retrieved(client: &Client) -> Vec<(Option<i64>, Option<i64>)> {
    client.query(RETRIEVAL, &[]).await.expect("a retrieval").iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// One session's life; whether its own view is there at the end.
async fn live(
    number: usize,
    address: SocketAddr,
    until: Instant,
    mut dice: Dice,
    expected: Vec<(Option<i64>, Option<i64>)>,
) -> (bool, [u64; 10]) {
    let (mut client, mut defined, mut done) = (connect(address).await, false, [0_u64; 10]);
    let view = format!("view_{number}");
    while Instant::now() < until {
        let kind = dice.below(10);
        done[kind] += 1;
        match kind {
            0 => {
                let sql = if defined {
                    format!("DROP FEATURE VIEW {view}")
                } else {
                    format!(
                        "CREATE FEATURE VIEW {view} (total_orders BIGINT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at"
                    )
                };
                client.batch_execute(&sql).await.expect("DDL of a name that nobody else uses");
                defined = !defined;
            }
            1 | 2 => assert_eq!(retrieved(&client).await, expected, "session {number}"),
            3 => {
                let token = client.cancel_token();
                let (outcome, ()) = tokio::join!(client.simple_query("SELECT pg_sleep(30)"), async {
                    // Too early a cancel hits nothing: repeated until the statement is heard to run.
                    for _ in 0..200 {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        if token.cancel_query(NoTls).await.is_err() {
                            break;
                        }
                        if dice.once_in(2) {
                            break;
                        }
                    }
                });
                if let Err(error) = outcome {
                    assert_eq!(error.code().map(|code| code.code()), Some("57014"), "session {number}: {error}");
                }
                // The client does not wait until its request was heard: one that is late must find nobody.
                client = connect(address).await;
            }
            4 => {
                client.batch_execute("SET statement_timeout = '30ms'").await.unwrap();
                assert_eq!(code(client.simple_query("SELECT count(*) FROM generate_series(1, 100000000000)").await), "57014");
                client.batch_execute("SET statement_timeout = 0").await.unwrap();
            }
            5 => {
                // Reads a little of much, slowly, and leaves.
                let mut raw = Raw::start(address).await;
                raw.send(&query("SELECT generate_series, repeat('x', 100) FROM generate_series(1, 1000000)")).await;
                let mut some = vec![0; 4096];
                for _ in 0..3 {
                    let _ = raw.stream.read(&mut some).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            6 => {
                let mut raw = Raw::start(address).await;
                raw.send(&query("SELECT count(*) FROM generate_series(1, 100000000000)")).await;
            }
            7 => {
                client
                    .batch_execute(
                        "BEGIN; CREATE TEMP TABLE t (a bigint); INSERT INTO t SELECT generate_series FROM generate_series(1, 1000)",
                    )
                    .await
                    .unwrap();
                let sum: i64 = client.query_one("SELECT sum(a)::bigint FROM t", &[]).await.unwrap().get(0);
                assert_eq!(sum, 500_500);
                client.batch_execute("ROLLBACK").await.unwrap();
                assert_eq!(code(client.simple_query("SELECT * FROM t").await), "42P01");
            }
            8 => {
                let sql = "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT generate_series FROM generate_series(1, 20000); MOVE ALL IN c";
                client.batch_execute(sql).await.unwrap();
                let row = client.query_one("FETCH ABSOLUTE 7777 FROM c", &[]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), 7777);
                client.batch_execute("COMMIT").await.unwrap();
            }
            _ => client = connect(address).await,
        }
    }
    (defined, done)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sessions_leave_nothing_behind() {
    let sessions = std::env::var("FEATGRES_STRESS_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let server = Server::start(2 * sessions).await;
    let first = server.connect().await;
    first
        .batch_execute("CREATE FEATURE VIEW base (total_orders BIGINT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at")
        .await
        .unwrap();
    let expected = retrieved(&first).await;
    assert_eq!(expected.iter().filter(|(_, orders)| orders.is_some()).count(), 4, "{expected:?}");
    let before = server.held();
    let until = Instant::now() + seconds("FEATGRES_STRESS_SECONDS", 5);
    let dice = Dice::seeded(53);
    let lives: Vec<_> =
        (0..sessions).map(|number| tokio::spawn(live(number, server.address, until, dice.nth(number as u64), expected.clone()))).collect();
    let (mut defined, mut done) = (Vec::new(), [0_u64; 10]);
    for (number, life) in lives.into_iter().enumerate() {
        let (is_defined, counts) = life.await.expect("a session's life");
        if is_defined {
            defined.push(format!("view_{number}"));
        }
        counts.iter().zip(&mut done).for_each(|(count, sum)| *sum += count);
    }
    // Those who left in the middle are forgotten within moments.
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let left: i64 = first.query_one("SELECT count(*) FROM pg_stat_activity", &[]).await.unwrap().get(0);
        if left == 1 {
            break;
        }
        assert!(Instant::now() < patience, "{left} sessions are still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(retrieved(&first).await, expected);
    let views = first.query("SELECT name FROM feature_store.feature_views WHERE name <> 'base'", &[]).await.unwrap();
    let mut found: Vec<String> = views.iter().map(|row| row.get(0)).collect();
    found.sort();
    defined.sort();
    assert_eq!(found, defined);
    // The runtime keeps threads of blocking work for some seconds after their last.
    let mut after = server.held();
    while let (Some((_, threads, _)), Some((_, threads_after, _))) = (before, after)
        && threads_after > threads + 16
        && Instant::now() < patience
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
        after = server.held();
    }
    eprintln!("{sessions} sessions did {done:?}; descriptors, threads, MiB: {before:?}, then {after:?}");
    if let (Some((files, threads, resident)), Some((files_after, threads_after, resident_after))) = (before, after) {
        assert!(files_after <= files + 8, "{files} descriptors before, {files_after} after");
        assert!(threads_after <= threads + 16, "{threads} threads before, {threads_after} after");
        assert!(resident_after <= resident + 512, "{resident} MiB before, {resident_after} after");
    }
}
