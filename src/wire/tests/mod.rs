//! Transcripts: what is answered to which messages, in which order, over a pipe and with a session that knows no SQL.

mod client;
mod fake;
mod frontend;

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use fake::Fake;
use frontend::{bind, close, describe, execute, message, parse, query, startup, sync};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::session::Authentication;
use crate::verifier::{DEFAULT_ROUNDS, Verifier};

#[tokio::test]
async fn a_query_of_several_statements() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    assert_eq!(client.ask(&query("rows 3; done; ")).await, "T(n:23:0) D(1) D(2) D(3) C(SELECT 3) C(DONE) Z(I)");
    assert_eq!(client.ask(&query("")).await, "I Z(I)");
    assert_eq!(client.ask(&query("done; fail; done")).await, "C(DONE) E(42703 column \"x\" does not exist) Z(I)");
    assert_eq!(client.ask(&query("done; syntax")).await, "E(42601 syntax error at or near \"syntax\") Z(I)");
    assert_eq!(client.ask(&query("badcommit")).await, "E(40001 could not serialize) Z(I)");
    assert_eq!(client.ask(&query("broken")).await, "T(n:23:0) D(1) E(22012 division by zero) Z(I)");
    assert_eq!(client.ask(&query("set")).await, "C(SET) S(TimeZone=UTC) Z(I)");
    assert_eq!(client.ask(&query("notice")).await, "N(00000 hear) C(NOTICE) Z(I)");
    client.send(&message(b'X', b"")).await;
    assert_eq!(client.until_ready().await, "end");
    let log = fake.log.lock();
    assert_eq!(log[..5], ["open u@u []", "run rows 3", "finished 3", "run done", "finished 0"]);
    assert_eq!(log.last().map(String::as_str), Some("closed"));
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_session_goes_on() {
    let (mut client, _) = Client::started(Fake::new()).await;
    assert_eq!(client.ask(&query("panic")).await, "E(54000 requested length too large) Z(I)");
    let batch = [parse("", "panic", &[]), bind("", "", &[], &[], &[]), execute("", 0), execute("", 0), sync()];
    assert_eq!(client.ask(&batch.concat()).await, "1 2 E(54000 requested length too large) Z(I)");
    assert_eq!(client.ask(&query("done")).await, "C(DONE) Z(I)");
}

#[tokio::test]
async fn errors_have_their_fields() {
    let (mut client, _) = Client::started(Fake::new()).await;
    client.send(&query("fail")).await;
    let (tag, body) = client.next().await.unwrap();
    assert_eq!((tag, &body[..]), (b'E', b"SERROR\0VERROR\0C42703\0Mcolumn \"x\" does not exist\0HLook.\0P8\0\0".as_slice()));
}

#[tokio::test]
async fn the_extended_protocol_in_one_round_trip() {
    let (mut client, _) = Client::started(Fake::new()).await;
    let batch = [
        parse("s", "echo $1", &[23]),
        describe(b'S', "s"),
        bind("", "s", &[Some(b"7")], &[], &[1]),
        describe(b'P', ""),
        execute("", 0),
        close(b'S', "s"),
        sync(),
    ];
    assert_eq!(client.ask(&batch.concat()).await, "1 t\\x00\\x00\\x00\\x17 T(p:25:0) 2 T(p:25:1) D(7) C(SELECT 1) 3 Z(I)");
    let nothing = [parse("", "done", &[]), bind("", "", &[], &[], &[]), describe(b'P', ""), execute("", 0), sync()];
    assert_eq!(client.ask(&nothing.concat()).await, "1 2 n C(DONE) Z(I)");
    let empty = [parse("", "", &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()];
    assert_eq!(client.ask(&empty.concat()).await, "1 2 I Z(I)");
    client.send(&[parse("", "done", &[]), message(b'H', b"")].concat()).await;
    assert_eq!(client.until(b'1').await, "1");
    assert_eq!(client.ask(&sync()).await, "Z(I)");
}

#[tokio::test]
async fn more_columns_than_a_message_can_count_are_refused() {
    let (mut client, _) = Client::started(Fake::new()).await;
    assert!(client.ask(&query("wide 32767")).await.ends_with("C(SELECT 0) Z(I)"));
    let refused = "E(54000 result has 32768 columns, the limit is 32767) Z(I)";
    assert_eq!(client.ask(&query("wide 32768")).await, refused);
    let described = [parse("", "wide 32768", &[]), describe(b'S', ""), sync()];
    assert_eq!(client.ask(&described.concat()).await, format!("1 t {refused}"));
}

#[tokio::test]
async fn portals_suspend_at_their_limit() {
    let (mut client, _) = Client::started(Fake::new()).await;
    let start = [parse("", "rows 5", &[]), bind("p", "", &[], &[], &[])].concat();
    let batch = [start.clone(), execute("p", 3), execute("p", 2), execute("p", 9), sync()];
    assert_eq!(client.ask(&batch.concat()).await, "1 2 D(1) D(2) D(3) s D(4) D(5) s C(SELECT 0) Z(I)");
    for limit in [i32::MAX, i32::MIN, -1, 0] {
        let batch = [start.clone(), execute("p", limit), sync()];
        assert_eq!(client.ask(&batch.concat()).await, "1 2 D(1) D(2) D(3) D(4) D(5) C(SELECT 5) Z(I)");
    }
}

#[tokio::test]
async fn an_error_skips_to_sync() {
    let (mut client, _) = Client::started(Fake::new()).await;
    let broken = [parse("", "syntax", &[]), bind("", "", &[], &[], &[]), execute("", 0), query("done"), sync(), query("done")];
    assert_eq!(client.ask(&broken.concat()).await, "E(42601 syntax error at or near \"syntax\") Z(I)");
    assert_eq!(client.until_ready().await, "C(DONE) Z(I)");
    for (bytes, answer) in [
        (execute("none", 0), "E(34000 portal \"none\" does not exist) Z(I)"),
        (describe(b'S', "none"), "E(26000 prepared statement \"none\" does not exist) Z(I)"),
        (describe(b'Q', ""), "E(08P01 invalid DESCRIBE message subtype 81) Z(I)"),
        (close(b'S', "none"), "3 Z(I)"),
        (message(b'P', b"a\0b"), "E(08P01 invalid string in message) Z(I)"),
        (message(b'P', b"a\0b\0\xff\xff"), "E(08P01 insufficient data left in message) Z(I)"),
        (message(b'B', b"\0\0\0\0\xff\xff\x7f\xff\xff\xff"), "E(08P01 insufficient data left in message) Z(I)"),
        (message(b'E', b"\0\0\0\0\0\0"), "E(08P01 invalid message format) Z(I)"),
        (message(b'P', b"\0\xff\0\0\0"), "E(22021 invalid byte sequence for encoding \"UTF8\": 0xff) Z(I)"),
    ] {
        assert_eq!(client.ask(&[bytes, sync()].concat()).await, answer);
    }
    let setup = client.ask(&[parse("s", "echo $1", &[23]), parse("r", "rows 1", &[]), sync()].concat()).await;
    assert_eq!(setup, "1 1 Z(I)");
    for (bytes, answer) in [
        (bind("", "s", &[], &[], &[]), "E(08P01 bind message supplies 0 parameters, but prepared statement \"s\" requires 1) Z(I)"),
        (bind("", "s", &[None], &[0, 1], &[]), "E(08P01 bind message has 2 parameter formats but 1 parameters) Z(I)"),
        (bind("", "r", &[], &[], &[0, 1]), "E(08P01 bind message has 2 result formats but query has 1 columns) Z(I)"),
        (bind("", "s", &[None], &[2], &[]), "E(22023 unsupported format code: 2) Z(I)"),
        (bind("", "s", &[Some(b"x")], &[], &[]), "E(22P02 invalid input syntax for type integer: \"x\") Z(I)"),
        (bind("", "s", &[Some(b"x")], &[1], &[]), "E(08P01 insufficient data left in message) Z(I)"),
        (bind("", "s", &[Some(b"12345")], &[1], &[]), "E(22P03 incorrect binary data format in bind parameter 1) Z(I)"),
    ] {
        assert_eq!(client.ask(&[bytes, sync()].concat()).await, answer);
    }
}

#[tokio::test]
async fn the_transactions_letter() {
    let (mut client, _) = Client::started(Fake::new()).await;
    assert_eq!(client.ask(&query("begin")).await, "C(BEGIN) Z(T)");
    assert_eq!(client.ask(&query("fail")).await, "E(42703 column \"x\" does not exist) Z(E)");
    assert_eq!(client.ask(&query("rollback")).await, "C(ROLLBACK) Z(I)");
}

#[tokio::test]
async fn copy_out_in_every_format() {
    let (mut client, _) = Client::started(Fake::new()).await;
    assert_eq!(client.ask(&query("copyout")).await, r"H0 d(1\ta\\tb\n) d(2\t\\N\n) c C(COPY 2) Z(I)");
    assert_eq!(client.ask(&query("copyout csv header")).await, r"H0 d(n,t\n) d(1,a\tb\n) d(2,\n) c C(COPY 2) Z(I)");
    let binary = client.ask(&query("copyout binary")).await;
    // PostgreSQL sends the header with the first row.
    let header = r"PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let one = r"\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x03a\tb)";
    let two = r"d(\x00\x02\x00\x00\x00\x04\x00\x00\x00\x02\xff\xff\xff\xff)";
    assert_eq!(binary, format!(r"H1 d({header}{one} {two} d(\xff\xff) c C(COPY 2) Z(I)"));
}

/// A COPY FROM STDIN of these pieces.
async fn copy_in(client: &mut Client, sql: &str, pieces: &[&[u8]]) -> String {
    client.send(&query(sql)).await;
    client.until(b'G').await;
    for piece in pieces {
        client.send(&message(b'd', piece)).await;
    }
    client.ask(&message(b'c', b"")).await
}

#[tokio::test]
async fn copy_in_takes_records_however_they_are_cut() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    let wanted = r#"batch ["[1,2,]", "[\"a\\tb\",null,]"]"#;
    assert_eq!(copy_in(&mut client, "copyin", &[b"1\ta\\", b"tb\n2", b"\t\\N"]).await, "C(COPY 2) Z(I)");
    assert_eq!(copy_in(&mut client, "copyin", &[b"1\ta\\tb\r\n2\t\\N\r\n\\.\r\nrest\n"]).await, "C(COPY 2) Z(I)");
    assert_eq!(copy_in(&mut client, "copyin csv header", &[b"n,t\n1,\"a", b"\tb\"\n2,"]).await, "C(COPY 2) Z(I)");
    let binary =
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04\0\0\0\x01\0\0\0\x03a\tb\0\x02\0\0\0\x04\0\0\0\x02\xff\xff\xff\xff\xff\xff";
    assert_eq!(copy_in(&mut client, "copyin binary", &[binary]).await, "C(COPY 2) Z(I)");
    let bytes: Vec<&[u8]> = binary.chunks(1).collect();
    assert_eq!(copy_in(&mut client, "copyin binary", &bytes).await, "C(COPY 2) Z(I)");
    let batches: Vec<String> = fake.log.lock().iter().filter(|line| line.starts_with("batch")).cloned().collect();
    assert_eq!(batches, vec![wanted.to_owned(); 5]);
}

#[tokio::test]
async fn bad_copy_data_leaves_the_session_in_step() {
    let (mut client, _) = Client::started(Fake::new()).await;
    for (sql, data, answer) in [
        ("copyin", b"1\ta\n2\n".as_slice(), "E(22P04 missing data for column \"t\") Z(I)"),
        ("copyin", b"1\ta\tb\n", "E(22P04 extra data after last expected column) Z(I)"),
        ("copyin", b"x\ta\n", "E(22P02 invalid input syntax for type integer: \"x\") Z(I)"),
        ("copyin", b"1\t\xff\n", "E(22021 invalid byte sequence for encoding \"UTF8\": 0xff) Z(I)"),
        ("copyin csv", b"1,\"a\n", "E(22P04 unterminated CSV quoted field) Z(I)"),
        ("copyin binary", b"PGCOPX\n\xff\r\n\0", "E(22P04 COPY file signature not recognized) Z(I)"),
        ("copyin binary", b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x03", "E(22P04 row field count is 3, expected 2) Z(I)"),
        ("copyin binary", b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x04", "E(22P04 unexpected EOF in COPY data) Z(I)"),
        ("copyin binary", b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\x7f\xff\xff\xff", "E(22P04 unexpected EOF in COPY data) Z(I)"),
    ] {
        assert_eq!(copy_in(&mut client, sql, &[data]).await, answer, "{sql}");
        // What was sent after the error is ignored.
        assert_eq!(client.ask(&query("done")).await, "C(DONE) Z(I)");
    }
    client.send(&query("copyin")).await;
    client.until(b'G').await;
    assert_eq!(client.ask(&message(b'f', b"no more\0")).await, "E(57014 COPY from stdin failed: no more) Z(I)");
    client.send(&query("copyin")).await;
    client.until(b'G').await;
    assert_eq!(client.ask(&query("done")).await, "E(08P01 unexpected message type 0x51 during COPY from stdin) Z(I)");
    client.send(&query("copyin")).await;
    client.until(b'G').await;
    client.send(&message(b'd', b"1\ta\nx\tb\n")).await;
    let (_, body) = client.next().await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("WCOPY spine, line 2, column n: \"x\""));
}

#[tokio::test]
async fn a_cancel_ends_what_hangs() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    for sql in ["hang", "stuck", "copyin"] {
        client.send(&query(sql)).await;
        if sql == "stuck" {
            // The first rows do not wait for the rest.
            assert_eq!(client.until(b'D').await, "T(n:23:0) D(1)");
        } else if sql == "copyin" {
            client.until(b'G').await;
        }
        let (mut other, _) = tokio::join!(async { tokio::io::duplex(64) }, tokio::task::yield_now());
        tokio::spawn(super::serve_connection(other.1, Arc::clone(&fake), None));
        other.0.write_all(&[&[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1], [9; 4].as_slice()].concat()).await.unwrap();
        assert_eq!(client.until_ready().await, "E(57014 canceling statement due to user request) Z(I)", "{sql}");
    }
    // A cancel that comes too late hits nothing.
    fake.interrupt().cancel();
    while fake.interrupt().is_raised() {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.ask(&query("done")).await, "C(DONE) Z(I)");
}

#[tokio::test]
async fn a_cancel_of_what_the_session_has_not_read_yet_is_not_lost() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    let batch = [message(b'P', b"\0hang\0\0\0"), message(b'B', b"\0\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")];
    for (sent, answer) in [
        (query("hang"), "E(57014 canceling statement due to user request) Z(I)"),
        (batch.concat(), "E(57014 canceling statement due to user request) Z(I)"),
        // What hangs comes behind a flush and a statement that is over.
        ([message(b'H', b""), query("hang")].concat(), "E(57014 canceling statement due to user request) Z(I)"),
    ] {
        // Nothing lets the session have its turn between the two.
        client.send(&sent).await;
        fake.interrupt().cancel();
        assert_eq!(client.until_ready().await, answer);
    }
    assert_eq!(client.ask(&query("done")).await, "C(DONE) Z(I)");
}

#[tokio::test]
async fn terminations_and_timeouts() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    client.send(&query("hang")).await;
    fake.interrupt().terminate();
    assert_eq!(client.until_ready().await, "E(57P01 terminating connection due to administrator command) end");

    let (mut client, _) = Client::started(Fake { statement_timeout: Some(Duration::from_millis(20)), ..Fake::new() }).await;
    assert_eq!(client.ask(&query("hang")).await, "E(57014 canceling statement due to statement timeout) Z(I)");
    assert_eq!(client.ask(&query("rows 1")).await, "T(n:23:0) D(1) C(SELECT 1) Z(I)");

    let (mut client, _) = Client::started(Fake { idle_timeout: Some(Duration::from_millis(20)), ..Fake::new() }).await;
    assert_eq!(client.until_ready().await, "E(57P05 terminating connection due to idle-session timeout) end");

    // A session in the middle of an extended batch is not idle, however long it takes.
    let (mut client, _) = Client::new(Fake { idle_timeout: Some(Duration::ZERO), ..Fake::new() });
    let begun = [startup(196_608, &[("user", "u"), ("database", "d")]), message(b'P', b"\0rows 1\0\0\0"), message(b'H', b"")];
    client.send(&begun.concat()).await;
    assert!(client.until(b'1').await.ends_with("Z(I) 1"));
    assert_eq!(client.ask(&message(b'S', b"")).await, "Z(I)");
    assert_eq!(client.until_ready().await, "E(57P05 terminating connection due to idle-session timeout) end");
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_statement() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    client.send(&query("hang")).await;
    client.stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(fake.log.lock()[1..], ["run hang", "failed 57014", "closed"]);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_slow_reader_holds_one_buffer_and_can_be_cancelled() {
    let (mut client, fake) = Client::started(Fake::new()).await;
    client.send(&query("rows 200000")).await;
    // The pipe is full long before the rows are through; the statement stands still.
    client.next().await.unwrap();
    fake.interrupt().cancel();
    let answer = client.until_ready().await;
    assert!(answer.ends_with("E(57014 canceling statement due to user request) Z(I)"));
    assert!(answer.matches("D(").count() < 20_000);
}

#[tokio::test]
async fn lengths_and_tags_that_lie() {
    let (client, _) = Client::started(Fake::new()).await;
    let large = [query(&"x".repeat(200_000)), query("done")].concat();
    let (answer, again) = {
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let sending = tokio::spawn(async move {
            writer.write_all(&large).await.unwrap();
            writer
        });
        let mut bytes = bytes::BytesMut::new();
        while bytes.iter().filter(|byte| **byte == b'Z').count() < 2 {
            assert!(reader.read_buf(&mut bytes).await.unwrap() > 0);
        }
        drop(sending.await.unwrap());
        (String::from_utf8_lossy(&bytes).contains("C54000\0"), String::from_utf8_lossy(&bytes).contains("DONE\0"))
    };
    assert!(answer && again);
    for bytes in [b"Q\0\0\0\x03".as_slice(), b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff"] {
        let (mut client, _) = Client::started(Fake::new()).await;
        client.send(bytes).await;
        assert_eq!(client.until_ready().await, "E(08P01 invalid message length) end");
    }
    let (mut client, _) = Client::started(Fake::new()).await;
    client.send(b"\x01\0\0\0\x04").await;
    assert_eq!(client.until_ready().await, "E(08P01 invalid frontend message type 1) end");
}

#[tokio::test]
async fn starts() {
    let ssl = [0, 0, 0, 8, 4, 210, 22, 47];
    let gss = [0, 0, 0, 8, 4, 210, 22, 48];
    let (mut client, fake) = Client::new(Fake::new());
    for request in [ssl, gss] {
        client.send(&request).await;
        assert_eq!(client.stream.read_u8().await.unwrap(), b'N');
    }
    let options = [("user", "u"), ("database", "d"), ("options", "-c work_mem=4MB --search-path=a\\ b"), ("application_name", "x")];
    assert_eq!(client.ask(&startup(196_610, &options)).await, "R0 S(server_version=16.4) K32 Z(I)");
    let opened = "open u@d [(\"work_mem\", \"4MB\"), (\"search_path\", \"a b\"), (\"application_name\", \"x\")]";
    assert_eq!(fake.log.lock()[0], opened);

    let (mut client, _) = Client::new(Fake::new());
    let answer = client.ask(&startup(196_608 + 9_999, &[("user", "u"), ("_pq_.x", "1")])).await;
    assert_eq!(answer, r"v\x00\x03\x00\x02\x00\x00\x00\x01_pq_.x\x00 R0 S(server_version=16.4) K32 Z(I)");

    for (bytes, answer) in [
        (startup(131_072, &[("user", "u")]), "E(0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.2) end"),
        (startup(196_608, &[("user", "u"), ("replication", "database")]), "E(0A000 replication connections are not supported) end"),
        (startup(196_608, &[]), "E(28000 no PostgreSQL user name specified in startup packet) end"),
        (startup(196_608, &[("user", "u"), ("options", "-x")]), "E(42601 invalid command-line argument for server process: -x) end"),
        (startup(196_608, &[("user", "u"), ("database", "missing")]), "R0 E(3D000 database \"missing\" does not exist) end"),
        (vec![0, 0, 0, 3], "E(08P01 invalid length of startup packet) end"),
        (vec![0x7f, 0xff, 0xff, 0xff], "E(08P01 invalid length of startup packet) end"),
        (vec![0, 0, 0, 9, 0, 3, 0, 0, b'u'], "E(08P01 invalid startup packet layout: expected terminator as last byte) end"),
    ] {
        let (mut client, _) = Client::new(Fake::new());
        client.send(&bytes).await;
        assert_eq!(client.until_ready().await, answer);
    }
}

#[tokio::test]
async fn passwords_by_scram_with_a_real_client() {
    let verifier = Verifier::of("secret", DEFAULT_ROUNDS).text();
    for (password, code) in [("secret", None), ("wrong", Some("28P01"))] {
        for known in [true, false] {
            let authentication = Authentication::Scram(known.then(|| verifier.clone()));
            let (client, _) = Client::new(Fake { authentication, ..Fake::new() });
            let mut config = tokio_postgres::Config::new();
            config.user("u").password(password).dbname("d");
            let connected = config.connect_raw(client.stream, tokio_postgres::NoTls).await;
            let refused = connected.err().and_then(|error| error.code().map(|code| code.code().to_owned()));
            assert_eq!(refused.as_deref(), if known { code } else { Some("28P01") });
        }
    }
}
