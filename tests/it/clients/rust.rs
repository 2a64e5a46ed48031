//! The matrix's cases through tokio-postgres, which is a dependency of the tests already.

use std::collections::HashMap;

use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::encrypted::{Encrypted, PASSWORD, USER};

/// What a case came to.
type Outcome = Result<String, tokio_postgres::Error>;

/// A line per case: its name and what came back. Of the large fetch alone, if that is all that is wanted.
pub async fn lines(conninfo: &str, rows: Option<u64>, encrypted: Option<&Encrypted>) -> Vec<(String, String)> {
    let mut found = vec![("version".to_owned(), version())];
    let (mut client, connection) = match tokio_postgres::connect(conninfo, NoTls).await {
        Ok(connected) => connected,
        Err(error) => return vec![("connect".to_owned(), error.to_string())],
    };
    let driver = tokio::spawn(connection);
    let mut add = |name: &str, outcome: Outcome| {
        let shown = outcome.unwrap_or_else(|error| format!("error {}", code(&error)));
        found.push((name.to_owned(), shown));
    };
    add("connect", text(&client, "SELECT 1::int8").await);
    if let Some(rows) = rows {
        add("a large fetch", large(&client, rows).await);
        return found;
    }
    for (kind, sql) in [
        ("bool", "true"),
        ("int2", "'-32768'"),
        ("int4", "2147483647"),
        ("int8", "'-9223372036854775808'"),
        ("float4", "1.5"),
        ("float8", "'0.1'"),
        ("text", "'zwölf 😀'"),
        ("bytea", "'\\x00ff41'"),
        ("int4[]", "'{1,2,3}'"),
        ("text[]", "'{a,\"b c\"}'"),
    ] {
        add(&format!("{kind} as text"), text(&client, &format!("SELECT {sql}::{kind}")).await);
        add(&format!("{kind} in binary"), binary(&client, &format!("SELECT {sql}::{kind}"), kind).await);
        add(&format!("{kind} as a parameter"), parameter(&client, kind).await);
    }
    add("NULL as a parameter", typed::<Option<i64>>(&client, "SELECT $1::int8", &[&None::<i64>]).await);
    add(
        "a parameter in LIMIT",
        typed::<i64>(&client, "SELECT g FROM generate_series(1::int8, 5::int8) AS t(g) ORDER BY g LIMIT $1", &[&2_i64]).await,
    );
    add("parameters' types", described(&client).await);
    add("typed parameters", prepared_typed(&client).await);
    add("pipelined", pipelined(&client).await);
    add("commit, rollback and savepoints", transactions(&mut client).await);
    add("the failed state", failed(&client).await);
    for (name, sql) in [
        ("syntax error", "SELEC 1"),
        ("no such table", "SELECT * FROM nothing_like_it"),
        ("division by zero", "SELECT 1 / 0"),
        ("a bad value", "SELECT 'x'::int4"),
    ] {
        add(name, failing(&client, sql).await);
    }
    add("cancel", cancelled(&client).await);
    add("a row limit", portions(&mut client).await);
    add("a large fetch", large(&client, 20_000).await);
    add("COPY in", copy_in(&client).await);
    add("COPY out", copy_out(&client).await);
    add(
        "DISCARD ALL",
        async {
            client.batch_execute("DISCARD ALL").await?;
            text(&client, "SELECT 1::int8").await
        }
        .await,
    );
    drop(client);
    let _ = driver.await;
    if let Some(encrypted) = encrypted {
        found.push(("TLS, verified and bound to the channel".to_owned(), secured(encrypted, true, PASSWORD).await));
        found.push(("TLS, another authority".to_owned(), secured(encrypted, false, PASSWORD).await));
        found.push(("TLS, a wrong password".to_owned(), secured(encrypted, true, "looking glass").await));
    }
    found
}

/// What the session says of its encryption, or why there is none.
async fn secured(encrypted: &Encrypted, trusted: bool, password: &str) -> String {
    let authority = if trusted { &encrypted.authority } else { &encrypted.other };
    let mut config = tokio_postgres::Config::new();
    config.host("localhost").hostaddr(encrypted.address.ip()).port(encrypted.address.port()).user(USER).password(password);
    config.dbname(&encrypted.database).ssl_mode(SslMode::Require).channel_binding(ChannelBinding::Require);
    let (client, connection) = match config.connect(authority.connector(None)).await {
        Ok(connected) => connected,
        Err(error) => return error.code().map_or_else(|| "refused".to_owned(), |code| code.code().to_owned()),
    };
    tokio::spawn(connection);
    match client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await {
        Ok(row) => row.get::<_, bool>(0).to_string(),
        Err(error) => code(&error),
    }
}

fn version() -> String {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    let found = lock.split("name = \"tokio-postgres\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    found.unwrap_or("unknown").to_owned()
}

fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())
}

async fn text(client: &Client, sql: &str) -> Outcome {
    let messages = client.simple_query(sql).await?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect::<Vec<_>>().join(", ")),
        _ => None,
    });
    Ok(rows.collect::<Vec<_>>().join("; "))
}

async fn typed<T>(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Outcome
where
    T: for<'a> tokio_postgres::types::FromSql<'a> + std::fmt::Debug,
{
    let rows = client.query(sql, parameters).await?;
    Ok(format!("{:?}", rows.iter().map(|row| row.try_get::<_, T>(0)).collect::<Result<Vec<_>, _>>()?))
}

async fn binary(client: &Client, sql: &str, kind: &str) -> Outcome {
    match kind {
        "bool" => typed::<bool>(client, sql, &[]).await,
        "int2" => typed::<i16>(client, sql, &[]).await,
        "int4" => typed::<i32>(client, sql, &[]).await,
        "int8" => typed::<i64>(client, sql, &[]).await,
        "float4" => typed::<f32>(client, sql, &[]).await,
        "float8" => typed::<f64>(client, sql, &[]).await,
        "bytea" => typed::<Vec<u8>>(client, sql, &[]).await,
        "int4[]" => typed::<Vec<i32>>(client, sql, &[]).await,
        "text[]" => typed::<Vec<String>>(client, sql, &[]).await,
        _ => typed::<String>(client, sql, &[]).await,
    }
}

async fn parameter(client: &Client, kind: &str) -> Outcome {
    let sql = format!("SELECT $1::{kind}");
    match kind {
        "bool" => typed::<bool>(client, &sql, &[&true]).await,
        "int2" => typed::<i16>(client, &sql, &[&i16::MIN]).await,
        "int4" => typed::<i32>(client, &sql, &[&i32::MAX]).await,
        "int8" => typed::<i64>(client, &sql, &[&i64::MIN]).await,
        "float4" => typed::<f32>(client, &sql, &[&1.5_f32]).await,
        "float8" => typed::<f64>(client, &sql, &[&0.1_f64]).await,
        "bytea" => typed::<Vec<u8>>(client, &sql, &[&[0_u8, 255, 65].as_slice()]).await,
        "int4[]" => typed::<Vec<i32>>(client, &sql, &[&vec![1, 2, 3]]).await,
        "text[]" => typed::<Vec<String>>(client, &sql, &[&vec!["a", "b c"]]).await,
        _ => typed::<String>(client, &sql, &[&"zwölf 😀"]).await,
    }
}

async fn described(client: &Client) -> Outcome {
    let statement = client.prepare("SELECT $1::timestamptz AS a, $2::numeric AS b, 'x'::text AS c WHERE $3").await?;
    let columns: HashMap<&str, &Type> = statement.columns().iter().map(|column| (column.name(), column.type_())).collect();
    Ok(format!("{:?} {:?}", statement.params(), [columns["a"], columns["c"]]))
}

async fn prepared_typed(client: &Client) -> Outcome {
    let statement = client.prepare_typed("SELECT $1", &[Type::INT8]).await?;
    let row = client.query_one(&statement, &[&7_i64]).await?;
    Ok(format!("{}", row.try_get::<_, i64>(0)?))
}

async fn pipelined(client: &Client) -> Outcome {
    let statement = client.prepare("SELECT $1::int8 * 2").await?;
    let numbers: Vec<i64> = (0..8).collect();
    let answers = futures::future::try_join_all(numbers.iter().map(|number| async {
        let parameters: [&(dyn ToSql + Sync); 1] = [number];
        client.query_one(&statement, &parameters).await
    }))
    .await?;
    Ok(format!("{:?}", answers.iter().map(|row| row.get::<_, i64>(0)).collect::<Vec<_>>()))
}

async fn transactions(client: &mut Client) -> Outcome {
    client.batch_execute("CREATE TEMP TABLE tx (a int8)").await?;
    let mut transaction = client.transaction().await?;
    transaction.execute("INSERT INTO tx VALUES ($1)", &[&1_i64]).await?;
    let inner = transaction.savepoint("inside").await?;
    let failed = inner.batch_execute("SELECT 1 / 0").await.is_err();
    inner.rollback().await?;
    transaction.commit().await?;
    let transaction = client.transaction().await?;
    transaction.execute("INSERT INTO tx VALUES ($1)", &[&2_i64]).await?;
    transaction.rollback().await?;
    Ok(format!("{failed} {}", text(client, "SELECT a FROM tx").await?))
}

async fn failed(client: &Client) -> Outcome {
    client.batch_execute("BEGIN").await?;
    let first = client.batch_execute("SELECT 1 / 0").await.map_err(|error| code(&error));
    let second = client.query("SELECT 1::int8", &[]).await.map(|_| ()).map_err(|error| code(&error));
    client.batch_execute("ROLLBACK").await?;
    Ok(format!("{first:?} {second:?}"))
}

async fn failing(client: &Client, sql: &str) -> Outcome {
    let outcome = client.query(sql, &[]).await.map(|_| ()).map_err(|error| code(&error));
    Ok(format!("{outcome:?}, then {}", text(client, "SELECT 1::int8").await?))
}

async fn cancelled(client: &Client) -> Outcome {
    let token = client.cancel_token();
    let slow = client.batch_execute("SELECT pg_sleep(60)");
    tokio::pin!(slow);
    let outcome = loop {
        match tokio::time::timeout(std::time::Duration::from_millis(100), &mut slow).await {
            Ok(outcome) => break outcome.map_err(|error| code(&error)),
            Err(_) => token.cancel_query(NoTls).await?,
        }
    };
    Ok(format!("{outcome:?}, then {}", text(client, "SELECT 1::int8").await?))
}

async fn portions(client: &mut Client) -> Outcome {
    let transaction = client.transaction().await?;
    let portal = transaction.bind("SELECT g FROM generate_series(1::int8, 1000::int8) AS t(g)", &[]).await?;
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 300).await?;
        sizes.push(rows.len());
        if rows.len() < 300 {
            return Ok(format!("{sizes:?}"));
        }
    }
}

async fn large(client: &Client, rows: u64) -> Outcome {
    let sql = format!("SELECT g::int8, g * 0.5::float8, 'row ' || g::text FROM generate_series(1::int8, {rows}::int8) AS t(g)");
    let stream = client.query_raw(&sql, Vec::<i32>::new()).await?;
    tokio::pin!(stream);
    let (mut count, mut sum, mut last) = (0_u64, 0.0, String::new());
    while let Some(row) = stream.try_next().await? {
        count += 1;
        sum += row.get::<_, f64>(1);
        last = row.get(2);
    }
    Ok(format!("{count} {sum} {last}"))
}

async fn copy_in(client: &Client) -> Outcome {
    client.batch_execute("CREATE TEMP TABLE copied (a int8, b text)").await?;
    let sink = client.copy_in("COPY copied FROM STDIN").await?;
    tokio::pin!(sink);
    sink.send(Bytes::from_static(b"1\tone\n2\t")).await?;
    sink.send(Bytes::from_static(b"\\N\n")).await?;
    let rows = sink.as_mut().finish().await?;
    Ok(format!("{rows} {}", text(client, "SELECT a, b FROM copied ORDER BY a").await?))
}

async fn copy_out(client: &Client) -> Outcome {
    let stream = client.copy_out("COPY (SELECT g FROM generate_series(1::int8, 3::int8) AS t(g)) TO STDOUT").await?;
    let parts: Vec<_> = stream.map(|part| part.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())).try_collect().await?;
    Ok(parts.concat().replace('\n', "\\n"))
}
