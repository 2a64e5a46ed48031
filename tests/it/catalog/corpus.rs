//! What real clients send: the share of recorded statements about the catalog that plan and run.
//!
//! The recordings are PostgreSQL's own logs of psql, pgjdbc, psqlODBC, SQLAlchemy and asyncpg; where they are not on the machine, the
//! test says so and passes. It prints every statement that fails, and holds a floor per client.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::{gateway, rows};
use crate::support::shared;

/// Of the recordings, the least share of distinct catalog statements that must run, in percent.
const FLOORS: [(&str, usize); 7] =
    [("psql15", 90), ("psql16", 90), ("psql18", 86), ("pgjdbc", 80), ("psqlodbc", 82), ("sqlalchemy", 100), ("asyncpg", 66)];

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
        eprintln!("skipped: there are no recorded sessions on this machine");
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
