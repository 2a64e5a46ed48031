//! A fuzzer for SQL text: the statements of `corpus.sql`, cut, spliced and changed, in both protocols.
//!
//! `FEATGRES_FUZZ_SECONDS` says for how long (a few seconds otherwise), `FEATGRES_FUZZ_SEED` repeats a run. Whatever the text, the answer
//! ends with ReadyForQuery, the session goes on, no error is XX000, and nothing panics.

use std::time::Instant;

use super::dice::Dice;
use super::raw::{Message, PATIENCE, Raw, bind, describe, execute, message, parse, query, sync};
use super::seconds;
use super::watch::{bugs, panics};
use crate::support::TestGateway;

const CORPUS: &str = include_str!("corpus.sql");

/// Pieces that are hard in one way or another.
const PIECES: &[&str] = &[
    "NULL",
    "-1",
    "0",
    "9223372036854775807",
    "99999999999999999999",
    "1e400",
    "0x1F",
    "1_000",
    "''",
    "'it''s'",
    "E'\\x00\\u00e9'",
    "$$x$$",
    "\"\"",
    "\"Ä\"",
    "$1",
    "$0",
    "*",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    "::",
    "::int[]",
    "::numeric(39, 1)",
    "::interval",
    "'infinity'::timestamptz",
    "'NaN'::float8",
    "'0001-01-01 BC'::date",
    "INTERVAL '1' YEAR",
    "ARRAY[]::text[]",
    "ROW(1, 2)",
    "AS x",
    "UNION ALL SELECT",
    "FROM",
    "WHERE",
    "ORDER BY 99",
    "GROUP BY ROLLUP (1)",
    "OVER ()",
    "NOT",
    "IS DISTINCT FROM",
    "LATERAL",
    "-- x\n",
    "/* /* */ */",
    "é\u{301}\u{202e}",
    "\u{0}",
];

/// Words and the blanks between them, as the corpus has them.
fn words(statement: &str) -> Vec<&str> {
    statement.split_inclusive([' ', ',', '(', ')', '\'', '.']).collect()
}

fn mutated(dice: &mut Dice, corpus: &[&str]) -> String {
    let mut statement: Vec<String> = words(corpus[dice.below(corpus.len())]).into_iter().map(str::to_owned).collect();
    for _ in 0..dice.below(5) {
        let at = dice.below(statement.len() + 1);
        match dice.below(8) {
            0 if at < statement.len() => drop(statement.remove(at)),
            1 if at < statement.len() => {
                let other = dice.below(statement.len());
                statement.swap(at, other);
            }
            2 => {
                let end = (at + dice.below(6)).min(statement.len());
                let again = statement[at..end].to_vec();
                statement.splice(at..at, again);
            }
            3 | 4 => statement.insert(at, format!(" {} ", PIECES[dice.below(PIECES.len())])),
            5 if at < statement.len() => statement[at] = format!("{} ", PIECES[dice.below(PIECES.len())]),
            6 => {
                // The end of another statement.
                let other = words(corpus[dice.below(corpus.len())]);
                statement.truncate(at);
                statement.extend(other[dice.below(other.len())..].iter().map(|word| (*word).to_owned()));
            }
            _ => {
                let mut text: Vec<char> = statement.concat().chars().collect();
                if !text.is_empty() {
                    let at = dice.below(text.len());
                    match dice.below(3) {
                        0 => drop(text.remove(at)),
                        1 => text[at] = char::from(32 + dice.below(95) as u8),
                        _ => text.truncate(at),
                    }
                }
                statement = vec![text.into_iter().collect()];
            }
        }
    }
    // A NUL would end the text on the wire; the rest of it is another message's beginning then, which is the other fuzzer's matter.
    statement.concat().replace('\0', "")
}

/// The whole answer; a COPY that the text began gets no data. It has swallowed the Sync that was sent behind it, as PostgreSQL's does.
async fn answer(raw: &mut Raw, is_extended: bool) -> Option<Vec<Message>> {
    let mut all = Vec::new();
    loop {
        let message = raw.next().await?;
        match message.tag {
            b'G' if is_extended => raw.send(&[self::message(b'c', b""), sync()].concat()).await,
            b'G' => raw.send(&self::message(b'c', b"")).await,
            b'Z' => return Some(all),
            _ => {}
        }
        all.push(message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_ends_a_session() {
    let gateway = TestGateway::with(
        |config| {
            config.limits.statement_timeout = Some(std::time::Duration::from_secs(5));
            config.limits.memory = 256 << 20;
        },
        crate::support::write_sample,
    )
    .await;
    let setup = "CREATE FEATURE VIEW v (total_orders BIGINT, favourite TEXT) ENTITIES (customer_id) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at";
    gateway.connect().await.batch_execute(setup).await.unwrap();
    let corpus: Vec<&str> = CORPUS.lines().filter(|line| !line.is_empty()).collect();
    let (panicked, until) = (panics(), Instant::now() + seconds("FEATGRES_FUZZ_SECONDS", 4));
    let dice = Dice::seeded(47);
    let mut raw = Raw::start(gateway.address).await;
    let (mut rounds, mut failed) = (0_u64, Vec::new());
    while Instant::now() < until {
        rounds += 1;
        let mut dice = dice.nth(rounds);
        // First the corpus itself, then what chance makes of it.
        let text = corpus.get(rounds as usize - 1).map_or_else(|| mutated(&mut dice, &corpus), |text| (*text).to_owned());
        let bytes = if dice.once_in(3) {
            [parse("", &text), describe(b'S', ""), bind("", "", &["1"; 2][..dice.below(3)]), describe(b'P', ""), execute("", 5), sync()]
                .concat()
        } else {
            query(&text)
        };
        raw.send(&bytes).await;
        let answered = tokio::time::timeout(PATIENCE / 2, answer(&mut raw, bytes[0] == b'P')).await;
        let Ok(answered) = answered else { panic!("round {rounds}: no answer to {text:?}") };
        let Some(all) = answered else { panic!("round {rounds}: the connection ended after {text:?}") };
        for message in all.iter().filter(|message| message.tag == b'E' && message.field(b'C').as_deref() == Some("XX000")) {
            failed.push(format!("round {rounds}: {} after {text:?}", message.field(b'M').unwrap_or_default()));
        }
        assert_eq!(panics(), panicked, "round {rounds}: a panic after {text:?}");
        if rounds % 20 == 0 {
            raw.ask(&query("ROLLBACK")).await;
            assert_eq!(raw.ask(&query("SELECT 1")).await, "T D C(SELECT 1) Z(I)", "round {rounds}: after {text:?}");
            raw.ask(&query("DISCARD ALL; DROP FEATURE VIEW IF EXISTS w")).await;
            gateway.connect().await.batch_execute(&setup.replace("VIEW", "VIEW IF NOT EXISTS")).await.unwrap();
        }
    }
    eprintln!("{rounds} rounds of SQL");
    failed.sort();
    assert!(failed.is_empty(), "{} errors are XX000:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(bugs(&gateway), 0);
}
