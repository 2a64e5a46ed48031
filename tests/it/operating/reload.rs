//! SIGHUP takes over users and log level, or nothing; SIGTERM ends with status 0; statements have one line each.

use featgres::verifier::{DEFAULT_ROUNDS, Verifier};
use tokio_postgres::NoTls;

use crate::support::Serving;

fn config(user: &str, password: &str, level: &str) -> String {
    format!(
        "project = \"p\"\nlisten = \"127.0.0.1:0\"\n[auth]\nmethod = \"scram-sha-256\"\n[auth.users]\n{user} = \"{}\"\n[telemetry]\nlevel = \"{level}\"\nformat = \"json\"\n",
        Verifier::of(password, DEFAULT_ROUNDS).text()
    )
}

async fn connects(address: &str, user: &str, password: &str) -> bool {
    let (host, port) = address.rsplit_once(':').unwrap();
    let conninfo = format!("host={host} port={port} user={user} password={password} dbname=p");
    match tokio_postgres::connect(&conninfo, NoTls).await {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client.simple_query("SELECT 1 AS n").await.is_ok()
        }
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_level_change_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("featgres.toml");
    std::fs::write(&file, config("alice", "one", "info")).unwrap();
    let mut serving = Serving::start(folder.path(), &file);
    let address = Serving::field(&serving.wait_for("ready for connections"), "address");
    assert!(connects(&address, "alice", "one").await);
    let line = serving.wait_for("\"statement\":\"SELECT 1 AS n\"");
    for (field, value) in
        [("user", "alice"), ("rows", "1"), ("bytes_read", "0"), ("files_read", "0"), ("files_pruned", "0"), ("sqlstate", "00000")]
    {
        assert_eq!(Serving::field(&line, field), value, "{line}");
    }

    std::fs::write(&file, config("bob", "two", "warn")).unwrap();
    serving.signal("HUP");
    // The level is taken over before it is said, so nothing is said: the user tells.
    while !connects(&address, "bob", "two").await {
        tokio::task::yield_now().await;
    }
    assert!(!connects(&address, "alice", "one").await);

    std::fs::write(&file, "project = ").unwrap();
    serving.signal("HUP");
    serving.wait_for("the configuration was not read again on SIGHUP");
    assert!(connects(&address, "bob", "two").await);
    let (status, log) = serving.stop();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(log.matches("\"statement\":\"SELECT 1 AS n\"").count(), 1, "level warn has no lines of statements that went well:\n{log}");
}
