//! A fuzzer for frames: messages in orders and with contents that no driver sends, and bytes that are no messages at all.
//!
//! `FEATGRES_FUZZ_SECONDS` says for how long (a few seconds otherwise), `FEATGRES_FUZZ_SEED` repeats a run. Whole frames must leave the
//! session in step: each Query and each Sync has its one ReadyForQuery, and what comes after is answered as ever. Anything else may
//! end the connection, and nothing but it.

use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::dice::Dice;
use super::raw::{Raw, bind, close, describe, execute, message, parse, query, startup, sync};
use super::seconds;
use super::watch::{bugs, panics};
use crate::support::TestGateway;

/// Statements that frames carry; `COPY … FROM STDIN` has its own fuzzer below, since it changes what a frame means.
const STATEMENTS: &[&str] = &[
    "SELECT 1",
    "SELECT $1::int + 1",
    "SELECT $1, $2::timestamptz",
    "SELECT n FROM (VALUES (1), (2), (3)) AS t (n)",
    "SELECT generate_series FROM generate_series(1, 3000)",
    "SELECT * FROM iceberg.gold.labels",
    "SELECT * FROM get_historical_features((TABLE iceberg.gold.labels), ARRAY['v:total_orders'])",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "SET application_name = 'x'",
    "SHOW TimeZone",
    "DECLARE c SCROLL CURSOR FOR SELECT 1 UNION ALL SELECT 2",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "FETCH 2 FROM c",
    "FETCH PRIOR FROM c",
    "CLOSE ALL",
    "CREATE TEMP TABLE t (a int)",
    "INSERT INTO t VALUES ($1)",
    "COPY (SELECT 1) TO STDOUT",
    "SELECT 1/0",
    "SELECT FROM WHERE",
    "",
    ";;",
    "SELECT 1; SELECT 2",
    "DISCARD ALL",
];

fn name(dice: &mut Dice) -> &'static str {
    dice.pick(&["", "", "a", "b", "c", "ä", "no such name"])
}

/// One whole frame; its tag says what answer it has.
fn frame(dice: &mut Dice) -> Vec<u8> {
    let statement = STATEMENTS[dice.below(STATEMENTS.len())];
    match dice.below(14) {
        0 | 1 => query(statement),
        2 | 3 => parse(name(dice), statement),
        4 => bind(name(dice), name(dice), &["1", "2026-01-01", "x"][..dice.below(4)]),
        5 => describe([b'S', b'P', b'x'][dice.below(3)], name(dice)),
        6 => close([b'S', b'P', b'?'][dice.below(3)], name(dice)),
        7 | 8 => execute(name(dice), [0, 1, 2, -1, i32::MAX, i32::MIN][dice.below(6)]),
        9 | 10 => sync(),
        11 => message(b'H', b""),
        12 => message([b'd', b'c', b'f', b'F'][dice.below(4)], b"junk\0"),
        _ => {
            // A frame whose body is another's, cut or changed somewhere.
            let mut whole = frame(dice);
            let mut body = whole.split_off(5);
            for _ in 0..=dice.below(4) {
                mutate(&mut body, dice);
            }
            message(whole[0], &body)
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(6) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, dice.next() as u8),
        2 if at < bytes.len() => bytes[at] = dice.next() as u8,
        3 if at < bytes.len() => drop(bytes.remove(at)),
        4 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        _ => {
            let end = (at + dice.below(8)).min(bytes.len());
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_frames_keep_the_session_in_step() {
    let gateway = TestGateway::start().await;
    let setup = gateway.connect().await;
    setup
        .batch_execute(
            "CREATE FEATURE VIEW v (total_orders BIGINT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at",
        )
        .await
        .unwrap();
    let (panicked, until) = (panics(), Instant::now() + seconds("FEATGRES_FUZZ_SECONDS", 3));
    let dice = Dice::seeded(41);
    let mut raw = Raw::start(gateway.address).await;
    let mut rounds = 0_u64;
    while Instant::now() < until {
        rounds += 1;
        let mut dice = dice.nth(rounds);
        let frames: Vec<Vec<u8>> = (0..1 + dice.below(12)).map(|_| frame(&mut dice)).collect();
        let shown = || frames.iter().map(|frame| frame.escape_ascii().to_string()).collect::<Vec<_>>().join("\n");
        raw.send(&frames.concat()).await;
        raw.send(&[sync(), query("ROLLBACK"), query("SELECT 'in step'")].concat()).await;
        // Between an error of the extended protocol and Sync a Query is skipped: the Syncs are the least, all of both the most.
        let syncs = frames.iter().filter(|frame| frame[0] == b'S').count() + 1;
        let others = frames.iter().filter(|frame| matches!(frame[0], b'Q' | b'F')).count();
        let mut answers = 0;
        loop {
            let Some(all) = raw.until_ready().await else { panic!("round {rounds}: the connection ended after\n{}", shown()) };
            answers += 1;
            for message in all.iter().filter(|message| message.tag == b'E') {
                assert_ne!(message.field(b'C').as_deref(), Some("XX000"), "round {rounds}: {message:?} after\n{}", shown());
            }
            if all.iter().any(|message| message.tag == b'D' && message.body.ends_with(b"in step")) {
                break;
            }
        }
        let (least, most) = (syncs + 2, syncs + 2 + others);
        assert!((least..=most).contains(&answers), "round {rounds}: {answers} answers, not {least} to {most}, to\n{}", shown());
        raw.ask(&query("DISCARD ALL")).await;
        if dice.once_in(50) {
            raw = Raw::start(gateway.address).await;
        }
    }
    eprintln!("{rounds} rounds of whole frames");
    assert_eq!((panics(), bugs(&gateway)), (panicked, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_end_a_connection_at_the_most() {
    let gateway = TestGateway::start().await;
    let (panicked, until) = (panics(), Instant::now() + seconds("FEATGRES_FUZZ_SECONDS", 3));
    let dice = Dice::seeded(43);
    let copy = [
        query("CREATE TEMP TABLE t (a int, b text, c timestamptz)"),
        query("COPY t FROM STDIN"),
        message(b'd', b"1\tx\t2026-01-01\n2\t\\N\t\\N\n"),
        message(b'd', b"3\ty\\n\t2026-01-02 03:04:05+06\n"),
        message(b'c', b""),
        query("COPY t (a) FROM STDIN (FORMAT csv, HEADER)"),
        message(b'd', b"a\n\"1\"\n"),
        message(b'f', b"no more\0"),
        query("COPY t (a, b) FROM STDIN (FORMAT binary)"),
        message(b'd', b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x01z\xff\xff"),
        message(b'c', b""),
    ];
    let mut rounds = 0_u64;
    while Instant::now() < until {
        rounds += 1;
        let mut dice = dice.nth(rounds);
        let mut bytes = if dice.once_in(3) { Vec::new() } else { startup("tester", "test") };
        if dice.once_in(4) {
            bytes.splice(0..0, [0, 0, 0, 8, 4, 210, 22, if dice.once_in(2) { 47 } else { 48 }]);
        }
        if dice.once_in(2) {
            bytes.extend(copy.concat());
        }
        for _ in 0..dice.below(8) {
            bytes.extend(frame(&mut dice));
        }
        for _ in 0..dice.below(12) {
            mutate(&mut bytes, &mut dice);
        }
        let mut raw = Raw::connect(gateway.address).await;
        raw.send(&bytes).await;
        let _ = raw.stream.shutdown().await;
        let mut last = Vec::new();
        // Whatever it was, it comes to an end: no message is waited for longer than the patience of `next`.
        while let Some(message) = next_or_byte(&mut raw).await {
            assert!(
                !(message.tag == b'E' && message.field(b'C').as_deref() == Some("XX000")),
                "round {rounds}: {message:?}\n{}",
                bytes.escape_ascii()
            );
            last.push(message.tag);
        }
        if rounds.is_multiple_of(64) {
            let mut raw = Raw::start(gateway.address).await;
            assert_eq!(raw.ask(&query("SELECT 1")).await, "T D C(SELECT 1) Z(I)");
        }
    }
    eprintln!("{rounds} rounds of bytes");
    assert_eq!((panics(), bugs(&gateway)), (panicked, 0));
    while !gateway.gateway.connected().is_empty() {
        tokio::task::yield_now().await;
    }
}

/// The next message; the `N` and `S` that answer requests for encryption are no messages, and end what can be read as such.
async fn next_or_byte(raw: &mut Raw) -> Option<super::raw::Message> {
    raw.skip_refusals().await;
    raw.next().await
}
