//! What real clients send: the share of recorded statements about the catalog that plan and run.
//!
//! The recordings are PostgreSQL's own logs of psql, pgjdbc, psqlODBC, SQLAlchemy and asyncpg; where they are not on the machine, the
//! test says so and passes. It prints every statement that fails, and holds a floor per client.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{gateway, rows};
use crate::support::{PostgreSql, shared};

/// Of the recordings, the least share of distinct catalog statements that must run, in percent.
const FLOORS: [(&str, usize); 7] =
    [("psql15", 98), ("psql16", 98), ("psql18", 98), ("pgjdbc", 100), ("psqlodbc", 100), ("sqlalchemy", 100), ("asyncpg", 66)];

/// The distinct statements of a log that name the catalog.
fn statements(log: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for entry in log.split("\n@@").map(|entry| entry.trim_start_matches("@@")) {
        let Some((_, rest)) = entry.split_once(" LOG:  ") else { continue };
        if !rest.starts_with("statement: ") && !rest.starts_with("execute ") {
            continue;
        }
        let Some((_, sql)) = rest.split_once(": ") else { continue };
        let sql = sql.replace("\n\t", "\n");
        if (sql.contains("pg_") || sql.contains("information_schema")) && !found.contains(&sql) {
            found.push(sql);
        }
    }
    found
}

#[tokio::test]
async fn recorded_statements_run() {
    let Some(folder) = shared().map(|folder| folder.join("clients")).filter(|folder| folder.is_dir()) else {
        eprintln!("SKIPPED: recorded_statements_run: there are no recorded sessions on this machine");
        return;
    };
    let (_gateway, client) = gateway().await;
    let oid = rows(&client, "SELECT 'customer_features'::regclass::oid").await.remove(0);
    let mut shares = BTreeMap::new();
    for (name, floor) in FLOORS {
        let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).expect("a recording");
        let statements = statements(&log);
        let mut passed = 0;
        for sql in &statements {
            let sql = sql.replace("16384", &oid).replace("driver_stats", "customer_features");
            let outcome = if sql.contains("$1") {
                match client.prepare(&sql).await {
                    Ok(prepared) if *prepared.params() == [Type::OID_ARRAY] => {
                        client.query(&prepared, &[&vec![1009_u32, 3802]]).await.map(|_| ())
                    }
                    other => other.map(|_| ()),
                }
            } else {
                client.simple_query(&sql).await.map(|_| ())
            };
            match outcome {
                Ok(()) => passed += 1,
                Err(error) => {
                    let told = error
                        .as_db_error()
                        .map_or_else(|| error.to_string(), |error| format!("{} {}", error.code().code(), error.message()));
                    println!("{name}: {told}\n    {}", sql.split_whitespace().collect::<Vec<_>>().join(" "));
                }
            }
        }
        shares.insert(name, (passed, statements.len(), floor));
    }
    for (name, (passed, all, _)) in &shares {
        println!("{name}: {passed} of {all}");
    }
    for (name, (passed, all, floor)) in &shares {
        assert!(passed * 100 >= floor * all, "{name}: {passed} of {all} is below {floor} %");
    }
}

/// The table of PostgreSQL that the feature view is to be like.
const SHADOW: &str = "CREATE TABLE customer_features (customer_id bigint, updated_at timestamptz, ingested_at timestamptz,
         total_orders bigint, avg_order_value double precision, favourite text);
     COMMENT ON TABLE customer_features IS 'what a customer buys';
     COMMENT ON COLUMN customer_features.total_orders IS 'orders so far'";

/// Of the recorded statements that PostgreSQL runs, the least share whose rows about the user's relation are the same, in percent. What
/// differs is the size on disk and the TOAST table, which there are none of.
const SAME: usize = 96;

/// A statement's rows about the relation, sorted, its oid replaced; or that it failed.
async fn about_the_relation(client: &Client, sql: &str, oid: &str) -> Option<Vec<String>> {
    let sql = sql.replace("16384", oid).replace("driver_stats", "customer_features").replace("$1", "'{1009,3802}'");
    let messages = client.simple_query(&sql).await.ok()?;
    let mut found: Vec<String> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|column| format!("{}={}", row.columns()[column].name(), row.get(column).unwrap_or("NULL")));
                Some(cells.collect::<Vec<_>>().join(" | "))
            }
            _ => None,
        })
        .filter(|row| ["customer_features", "total_orders", "customer_id", oid].iter().any(|ours| row.contains(ours)))
        .map(|row| row.replace(oid, "OID"))
        .collect();
    found.sort();
    Some(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_statements_say_of_a_view_what_postgresql_says_of_a_table() {
    let Some(folder) = shared().map(|folder| folder.join("clients")).filter(|folder| folder.is_dir()) else {
        return eprintln!(
            "SKIPPED: recorded_statements_say_of_a_view_what_postgresql_says_of_a_table: there are no recorded sessions here"
        );
    };
    let server = match tokio::task::spawn_blocking(PostgreSql::start).await.expect("the server is started or not") {
        Ok(server) => server,
        Err(why) => return eprintln!("SKIPPED: recorded_statements_say_of_a_view_what_postgresql_says_of_a_table: {why}"),
    };
    let (_gateway, ours) = gateway().await;
    let conninfo = format!("host=127.0.0.1 port={} user={} dbname={}", server.address.port(), server.user, server.database);
    let (theirs, connection) = tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    theirs.batch_execute(SHADOW).await.expect("the shadow");
    let oid = "SELECT 'customer_features'::regclass::oid";
    let (our_oid, their_oid) = (rows(&ours, oid).await.remove(0), rows(&theirs, oid).await.remove(0));
    let (mut same, mut all) = (0, 0);
    for (name, _) in FLOORS {
        let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).expect("a recording");
        for sql in statements(&log) {
            let Some(wanted) = about_the_relation(&theirs, &sql, &their_oid).await else { continue };
            all += 1;
            match about_the_relation(&ours, &sql, &our_oid).await {
                Some(found) if found == wanted => same += 1,
                found => println!(
                    "{name}: {}\n    PostgreSQL: {wanted:?}\n    featgres:   {found:?}",
                    sql.split_whitespace().collect::<Vec<_>>().join(" ")
                ),
            }
        }
    }
    println!("{same} of {all} say the same");
    assert!(all > 150 && same * 100 >= SAME * all, "{same} of {all} is below {SAME} %");
}
