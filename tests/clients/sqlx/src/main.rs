//! The matrix's cases through sqlx: one line per case, `name<TAB>what came back`.
//!
//! Where to connect is in PGHOST, PGPORT, PGUSER, PGDATABASE; FEATGRES_ROWS is the size of the large fetch, FEATGRES_CASES, if set, the only
//! case that is wanted.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgConnectOptions, PgPoolCopyExt, PgPoolOptions, PgSslMode};
use sqlx::types::BigDecimal;
use sqlx::types::chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sqlx::types::uuid::Uuid;
use sqlx::{Column, Connection, Executor, PgConnection, Postgres, Row, Statement, TypeInfo, postgres::PgRow};

type Outcome = Result<String, sqlx::Error>;

fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn options() -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&environment("PGHOST"))
        .port(environment("PGPORT").parse().unwrap_or(5432))
        .username(&environment("PGUSER"))
        .database(&environment("PGDATABASE"))
        .ssl_mode(PgSslMode::Disable)
}

fn code(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.code().map_or_else(|| database.message().to_owned(), |code| code.into_owned()),
        sqlx::Error::Tls(_) => "TLS".to_owned(),
        other => other.to_string(),
    }
}

fn show(name: &str, outcome: Outcome) {
    let wanted = environment("FEATGRES_CASES");
    if !wanted.is_empty() && wanted != name {
        return;
    }
    let shown = outcome.unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        format!("error {}", code(&error))
    });
    println!("{name}\t{}", shown.replace('\n', "\\n"));
}

/// A value out, and in as a parameter.
async fn value<'v, T>(connection: &mut PgConnection, kind: &str, sql: &str, value: T)
where
    T: Debug
        + Clone
        + Send
        + Unpin
        + 'v
        + 'static
        + sqlx::Type<Postgres>
        + for<'q> sqlx::Encode<'q, Postgres>
        + for<'r> sqlx::Decode<'r, Postgres>,
{
    let out = sqlx::query_scalar::<_, T>(&format!("SELECT {sql}::{kind}")).fetch_one(&mut *connection).await;
    show(&format!("{kind} out"), out.map(|found| format!("{found:?}")));
    let text = format!("SELECT $1::{kind}");
    let back = sqlx::query_scalar::<_, T>(&text).bind(value).fetch_one(&mut *connection).await;
    show(&format!("{kind} as a parameter"), back.map(|found| format!("{found:?}")));
}

async fn one(connection: &mut PgConnection) -> Outcome {
    let found: i64 = sqlx::query_scalar("SELECT 1::int8").fetch_one(connection).await?;
    Ok(found.to_string())
}

async fn failing(connection: &mut PgConnection, sql: &str) -> Outcome {
    let failed = sqlx::query(sql).execute(&mut *connection).await;
    let failed = failed.map_or_else(|error| code(&error), |_| "no error".to_owned());
    Ok(format!("{failed}, then {}", one(connection).await?))
}

async fn transactions(connection: &mut PgConnection) -> Outcome {
    connection.execute("CREATE TEMP TABLE tx (a int8)").await?;
    for (number, commits) in [(1_i64, true), (2, false)] {
        let mut transaction = connection.begin().await?;
        sqlx::query("INSERT INTO tx VALUES ($1)").bind(number).execute(&mut *transaction).await?;
        let mut inner = transaction.begin().await?;
        let failed = sqlx::query("SELECT 1 / 0").execute(&mut *inner).await.is_err();
        inner.rollback().await?;
        if failed && commits { transaction.commit().await? } else { transaction.rollback().await? }
    }
    let found: Vec<i64> = sqlx::query_scalar("SELECT a FROM tx").fetch_all(connection).await?;
    Ok(format!("{found:?}"))
}

async fn described(connection: &mut PgConnection) -> Outcome {
    let sql = "SELECT g AS a, 'x'::text AS b FROM generate_series(1::int8, 5::int8) AS t(g) WHERE g > $1 LIMIT $2";
    let statement = connection.prepare(sql).await?;
    let parameters = match statement.parameters() {
        Some(sqlx::Either::Left(types)) => types.iter().map(|found| found.name().to_owned()).collect::<Vec<_>>().join(", "),
        other => format!("{other:?}"),
    };
    let columns: Vec<String> =
        statement.columns().iter().map(|column| format!("{} {}", column.name(), column.type_info().name())).collect();
    Ok(format!("{parameters}; {}", columns.join(", ")))
}

async fn failed_state(connection: &mut PgConnection) -> Outcome {
    let mut transaction = connection.begin().await?;
    let mut codes = Vec::new();
    for sql in ["SELECT 1 / 0", "SELECT 1"] {
        codes.push(sqlx::query(sql).execute(&mut *transaction).await.map_or_else(|error| code(&error), |_| "no error".to_owned()));
    }
    transaction.rollback().await?;
    Ok(codes.join(" "))
}

async fn large(connection: &mut PgConnection) -> Outcome {
    let rows = std::env::var("FEATGRES_ROWS").unwrap_or_else(|_| "20000".to_owned());
    let sql = format!(
        "SELECT g::int8 AS id, g * 0.5::float8 AS half, 'row ' || g::text AS name FROM generate_series(1::int8, {rows}::int8) AS t(g)"
    );
    let mut stream = sqlx::query(&sql).fetch(connection);
    let (mut count, mut ids, mut halves, mut last) = (0_i64, 0_i64, 0.0_f64, String::new());
    while let Some(row) = stream.try_next().await? {
        count += 1;
        ids += row.try_get::<i64, _>(0)?;
        halves += row.try_get::<f64, _>(1)?;
        last = row.try_get(2)?;
    }
    Ok(format!("{count} {ids} {halves} {last}"))
}

async fn copied(connection: &mut PgConnection) -> Outcome {
    connection.execute("CREATE TEMP TABLE copied (a int8, b text)").await?;
    let mut sink = connection.copy_in_raw("COPY copied FROM STDIN").await?;
    sink.send(&b"1\tone\n2\t\\N\n"[..]).await?;
    let count = sink.finish().await?;
    let mut out = connection.copy_out_raw("COPY (SELECT a, b FROM copied ORDER BY a) TO STDOUT WITH (FORMAT csv)").await?;
    let mut text = Vec::new();
    while let Some(part) = out.next().await {
        text.extend_from_slice(&part?);
    }
    drop(out);
    Ok(format!("{count} {}", String::from_utf8_lossy(&text)))
}

async fn several(connection: &mut PgConnection) -> Outcome {
    let rows: Vec<PgRow> = connection.fetch_all("SELECT 1::int8 AS a; SELECT 2::int8 AS a").await?;
    let found = rows.iter().map(|row| row.try_get::<i64, _>(0).map(|found| found.to_string())).collect::<Result<Vec<_>, _>>()?;
    Ok(found.join(", "))
}

async fn pool() -> Outcome {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.execute("DISCARD ALL").await?;
                connection.clear_cached_statements().await?;
                Ok(true)
            })
        })
        .connect_with(options())
        .await?;
    let first: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool).await?;
    pool.execute("SET application_name = 'left over'").await?;
    let name: String = sqlx::query_scalar("SELECT current_setting('application_name')").fetch_one(&pool).await?;
    let second: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool).await?;
    let mut copied = pool.copy_out_raw("COPY (SELECT 1) TO STDOUT").await?;
    while copied.next().await.transpose()?.is_some() {}
    drop(copied);
    pool.close().await;
    Ok(format!("{} {}", first == second, name == "left over"))
}

async fn cancelled(connection: &mut PgConnection) -> Outcome {
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await?;
    let mut other = PgConnection::connect_with(&options()).await?;
    let outcome = {
        let slow = sqlx::query("SELECT pg_sleep(60)").execute(&mut *connection);
        tokio::pin!(slow);
        loop {
            match tokio::time::timeout(Duration::from_millis(100), &mut slow).await {
                Ok(outcome) => break outcome.map_or_else(|error| code(&error), |_| "no error".to_owned()),
                Err(_) => {
                    let _: bool = sqlx::query_scalar("SELECT pg_cancel_backend($1)").bind(pid).fetch_one(&mut other).await?;
                }
            }
        }
    };
    other.close().await?;
    Ok(format!("{outcome}, then {}", one(connection).await?))
}

/// Connecting under TLS: whether the session is encrypted, or why there is none.
async fn secured(mode: PgSslMode, authority: &str, password: &str) -> Outcome {
    let options = PgConnectOptions::new_without_pgpass()
        .host("localhost")
        .port(environment("FEATGRES_TLS_PORT").parse().unwrap_or(5432))
        .username(&environment("FEATGRES_TLS_USER"))
        .password(password)
        .database(&environment("PGDATABASE"))
        .ssl_mode(mode)
        .ssl_root_cert(environment(authority));
    let mut connection = PgConnection::connect_with(&options).await?;
    let ssl: bool = sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(ssl.to_string())
}

#[tokio::main]
async fn main() -> Result<(), sqlx::Error> {
    println!(
        "version\t{}",
        include_str!("../Cargo.lock")
            .split("name = \"sqlx\"\nversion = \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_default()
    );
    let mut connection = PgConnection::connect_with(&options()).await?;
    let c = &mut connection;
    show("connect", one(c).await);
    if environment("FEATGRES_CASES") == "a large fetch" {
        show("a large fetch", large(c).await);
        return Ok(());
    }
    value(c, "bool", "true", true).await;
    value(c, "int2", "'-32768'", i16::MIN).await;
    value(c, "int4", "2147483647", i32::MAX).await;
    value(c, "int8", "'-9223372036854775808'", i64::MIN).await;
    value(c, "float4", "1.5", 1.5_f32).await;
    value(c, "float8", "'0.1'", 0.1_f64).await;
    value(c, "numeric(12,3)", "'123456.789'", BigDecimal::from_str("123456.789").unwrap_or_default()).await;
    value(c, "text", "'zwölf 😀'", "zwölf 😀".to_owned()).await;
    value(c, "bytea", "'\\x00ff41'", vec![0_u8, 255, 65]).await;
    value(c, "date", "'2024-02-29'", NaiveDate::from_ymd_opt(2024, 2, 29).unwrap_or_default()).await;
    value(c, "time", "'12:30:00.25'", NaiveTime::from_hms_milli_opt(12, 30, 0, 250).unwrap_or_default()).await;
    let moment = NaiveDate::from_ymd_opt(2024, 2, 29).and_then(|day| day.and_hms_micro_opt(12, 30, 0, 123_456)).unwrap_or_default();
    value::<NaiveDateTime>(c, "timestamp", "'2024-02-29 12:30:00.123456'", moment).await;
    value::<DateTime<Utc>>(c, "timestamptz", "'2024-02-29 12:30:00.123456+00'", moment.and_utc()).await;
    value(c, "uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", Uuid::from_u128(0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11)).await;
    value(c, "int4[]", "'{1,2,3}'", vec![1, 2, 3]).await;
    value(c, "text[]", "'{a,\"b c\"}'", vec!["a".to_owned(), "b c".to_owned()]).await;
    let null = sqlx::query_scalar::<_, Option<i64>>("SELECT $1::int8").bind(None::<i64>).fetch_one(&mut *c).await;
    show("NULL as a parameter", null.map(|found| format!("{found:?}")));
    show("a statement's types", described(c).await);
    show("several statements", several(c).await);
    show("commit, rollback and savepoints", transactions(c).await);
    show("the failed state", failed_state(c).await);
    show("syntax error", failing(c, "SELEC 1").await);
    show("no such table", failing(c, "SELECT * FROM nothing_like_it").await);
    show("division by zero", failing(c, "SELECT 1 / 0").await);
    show("a bad value", failing(c, "SELECT 'x'::int4").await);
    show("a large fetch", large(c).await);
    show("COPY in and out", copied(c).await);
    show("a pool", pool().await);
    show("cancel", cancelled(c).await);
    if !environment("FEATGRES_TLS_PORT").is_empty() {
        let password = environment("FEATGRES_TLS_PASSWORD");
        show("TLS", secured(PgSslMode::Require, "FEATGRES_TLS_CA", &password).await);
        show("TLS, verified", secured(PgSslMode::VerifyFull, "FEATGRES_TLS_CA", &password).await);
        let refused = secured(PgSslMode::VerifyFull, "FEATGRES_TLS_OTHER_CA", &password).await;
        show("TLS, another authority", Ok(if refused.is_err() { "refused".to_owned() } else { "accepted".to_owned() }));
        show("TLS, a wrong password", secured(PgSslMode::VerifyFull, "FEATGRES_TLS_CA", "looking glass").await);
    }
    connection.close().await
}
