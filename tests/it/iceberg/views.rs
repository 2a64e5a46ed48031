//! Feature views over the tables of `tests/tables` whose columns are nested, or changed while the view stood.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use featgres::config::{CatalogConfig, CatalogKind, Config};
use object_store::local::LocalFileSystem;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::{PostgreSql, TestGateway};

/// A gateway over copies of the tables' pointers, and the file that holds those.
async fn gateway() -> (TestGateway, PathBuf) {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sqlite = folder.path().join("catalog.sqlite");
    std::fs::copy(tables.join("catalog.sqlite"), &sqlite).expect("a copy of the catalog");
    let mut config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().expect("an address"));
    let catalog = CatalogConfig::new("fixtures", CatalogKind::Sql, format!("sqlite:///{}", sqlite.display()));
    config.catalogs.insert("fixtures".to_owned(), catalog);
    let gateway = TestGateway::serve(folder, config).await.expect("the gateway starts");
    let storage = gateway.gateway.planner.sources.catalog("fixtures").expect("the catalog").storage();
    storage.mount("s3://fixtures", Arc::new(LocalFileSystem::new_with_prefix(tables.join("warehouse")).expect("a folder")));
    (gateway, sqlite)
}

/// A PostgreSQL of the test's own, connected, or a word that there is none.
async fn postgres(test: &str) -> Option<(PostgreSql, Client)> {
    let server = match tokio::task::spawn_blocking(PostgreSql::start).await.expect("the server is started or not") {
        Ok(server) => server,
        Err(reason) => {
            eprintln!("SKIPPED {test}: {reason}");
            return None;
        }
    };
    let conninfo = format!("host=127.0.0.1 port={} user={} dbname={}", server.address.port(), server.user, server.database);
    let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    Some((server, client))
}

/// The rows as text, a line each; an error as its code and message.
async fn ask(client: &Client, sql: &str) -> String {
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
            return format!("{}: {}", error.code().code(), error.message());
        }
    };
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).unwrap_or("NULL")).collect::<Vec<_>>().join(" | "))
        }
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn assert_answers(client: &Client, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, wanted) in cases {
        let got = ask(client, sql).await;
        if got != wanted.trim() {
            wrong.push(format!("{sql}\n--- got\n{got}\n--- wanted\n{}", wanted.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const NESTED: &str = "CREATE FEATURE VIEW v ENTITIES (k) FROM fixtures.fixtures.nested_features TIMESTAMP ts";

/// What both servers are asked: PostgreSQL has the same rows with arrays and a composite type.
const AS_POSTGRES_HAS_IT: &[&str] = &[
    "SELECT k, li, lu, (st).a, (st).b FROM v ORDER BY k, ts, li",
    "SELECT count(DISTINCT li), count(DISTINCT lu), max(li), min(li), max(lu), min(lu) FROM v",
    "SELECT li, count(*) FROM v GROUP BY li ORDER BY li",
    "SELECT lu, min(k), max(li) FROM v GROUP BY lu ORDER BY lu",
    "SELECT DISTINCT lu FROM v ORDER BY lu DESC",
    "SELECT DISTINCT ON (k) k, li, lu FROM v ORDER BY k, ts DESC, li",
    "SELECT li FROM v UNION SELECT li FROM v ORDER BY 1",
    "SELECT lu FROM v UNION ALL SELECT lu FROM v WHERE k = 1 ORDER BY 1",
    "SELECT li FROM v UNION ALL SELECT ARRAY[7, 8] ORDER BY li",
    "SELECT li FROM v EXCEPT SELECT li FROM v WHERE k = 1 ORDER BY 1",
    "SELECT k, lead(li) OVER w, lag(lu) OVER w, first_value(li) OVER w, last_value(lu) OVER w, nth_value(lu, 2) OVER w, count(li) OVER w
     FROM v WINDOW w AS (PARTITION BY k ORDER BY ts, li) ORDER BY k, ts, li",
    "SELECT k, rank() OVER (ORDER BY li), dense_rank() OVER (ORDER BY lu), row_number() OVER (PARTITION BY li ORDER BY k), max(li) OVER (PARTITION BY k)
     FROM v ORDER BY k, ts, li",
    "SELECT k, count(*) OVER (ORDER BY (lu)[1]) FROM v ORDER BY k, ts, li",
    "SELECT k, array_agg((st).a ORDER BY ts, li), array_agg(lu[1] ORDER BY ts, li) FROM v GROUP BY k ORDER BY k",
    "SELECT count(*) FROM v a JOIN v b ON a.li = b.li AND a.lu = b.lu",
    "SELECT count(*) FROM v a LEFT JOIN v b ON a.li = b.li WHERE b.k IS NULL",
    "SELECT k FROM v WHERE li IN (SELECT li FROM v WHERE k = 2) ORDER BY k",
    "SELECT k FROM v WHERE li > ARRAY[1] AND lu IS NOT NULL ORDER BY k",
    "SELECT count(*) FROM v a JOIN v b ON a.li < b.li AND a.lu >= b.lu",
    "SELECT k, li >= ARRAY[2, NULL], ARRAY[]::uuid[] < lu, li <= '{3,1}' FROM v ORDER BY k, ts, li",
    "SELECT li[1], lu[2], li || 5, array_append(lu, lu[1]), cardinality(lu) FROM v ORDER BY k, ts, li",
    "SELECT k, unnest(lu) AS u FROM v ORDER BY k, u",
    "SELECT coalesce(lu, ARRAY[]::uuid[]), CASE WHEN k = 1 THEN lu END FROM v ORDER BY k, ts, li",
    "SELECT 1 = ANY(li), li @> ARRAY[1] FROM v ORDER BY k, ts, li",
    "SELECT (v.st).b FROM v WHERE (v.st).a = 2 ORDER BY (st).b",
    "SELECT (x.st).a, count(*), max((x.st).b) FROM v x GROUP BY (x.st).a ORDER BY (x.st).a",
    "SELECT (q.st).a + 1 FROM (SELECT st AS st, k AS k FROM v WHERE k < 3) q ORDER BY k, 1",
    "SELECT (q.s).b FROM (SELECT k, st AS s FROM v ORDER BY k, ts, li LIMIT 2) q ORDER BY 1",
    "WITH c AS (SELECT k, st AS st FROM v) SELECT (c.st).b, count(*) FROM c WHERE (c.st).a = 1 GROUP BY 1",
    "SELECT (a.st).a, (b.st).b FROM v a JOIN v b ON (a.st).a = (b.st).a AND a.k = b.k ORDER BY 1, 2",
    "SELECT sum((st).a), max((st).b) FROM v HAVING count((st).a) > 1",
    "SELECT k, (st).a FROM v ORDER BY (st).a DESC NULLS LAST, k LIMIT 2",
    "SELECT k FROM v WHERE (st).a IS NULL OR (st).b LIKE 'z%' ORDER BY k",
    "SELECT k, sum((st).a) OVER (PARTITION BY k ORDER BY (st).b) FROM v ORDER BY k, 2",
    "SELECT CASE (st).a WHEN 1 THEN 'one' ELSE (st).b END FROM v ORDER BY 1",
];

const POSTGRES_ROWS: &str = "
    CREATE TYPE pair AS (a integer, b text);
    CREATE TABLE v (k bigint, ts timestamptz, st pair, li integer[], lu uuid[]);
    INSERT INTO v VALUES
        (1, '2026-01-01', (1, 'x'), '{1,2}', '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}'),
        (1, '2026-01-05', (2, NULL), '{2}', '{}'),
        (1, '2026-01-05', (2, 'z'), NULL, NULL),
        (2, '2026-01-02', (1, 'x'), '{1,2}', '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}'),
        (2, '2026-01-03', NULL, '{NULL}', '{NULL}'),
        (3, '2026-01-04', (NULL, 'y'), '{3,1}', '{00000000-0000-0000-0000-000000000004}')";

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_fields_of_structs_are_what_postgres_has_as_arrays_and_composites() {
    let name = "lists_and_fields_of_structs_are_what_postgres_has_as_arrays_and_composites";
    let Some((_server, postgres)) = postgres(name).await else { return };
    postgres.batch_execute(POSTGRES_ROWS).await.expect("the rows");
    let (gateway, _) = gateway().await;
    let client = gateway.connect().await;
    assert_eq!(ask(&client, NESTED).await, "");
    let mut wrong = Vec::new();
    for sql in AS_POSTGRES_HAS_IT {
        let (ours, theirs) = (ask(&client, sql).await, ask(&postgres, sql).await);
        if ours != theirs {
            wrong.push(format!("{sql}\n--- featgres\n{ours}\n--- PostgreSQL\n{theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Predicates with zeros of both signs and NaN over two columns of floats.
const OF_FLOATS: &[&str] = &[
    "d = 0.0 AND d = -0.0",
    "f = 0.0 AND f = '-0'",
    "d = -0.0 OR d > 2",
    "d IN (0.0, 1.0, 2.5, 7.0, 8.0)",
    "d IN (-0.0, 9.0)",
    "d IN (0.0, 3.0) AND d IN (-0.0, 4.0)",
    "d NOT IN (0.0, 1.0, 2.0, 3.0, 4.0)",
    "d NOT IN (-0.0, 0.0)",
    "f IN (d, 0.0)",
    "d NOT IN (f)",
    "d > 0.0 OR d < -0.0",
    "d > -0.0",
    "d >= 0.0 AND d <= -0.0",
    "d >= -0.0 AND d > 0.0",
    "d BETWEEN -0.0 AND 0.0",
    "d <> 0.0",
    "d <> -0.0 AND d <> 0.0",
    "NOT (d = -0.0)",
    "d IS DISTINCT FROM -0.0",
    "d IS NOT DISTINCT FROM (- 0.0)",
    "d = - (0.0::float8) AND d = 0.0",
    "f = '-0'::real AND f = 0",
    "d = 'NaN' AND d = 'nan'",
    "d > 'NaN'",
    "d >= 'NaN'",
    "d < 'NaN' AND d > 2",
    "d <= 'NaN' AND d > 'Infinity'",
    "d IN ('NaN', 0.0)",
    "d NOT IN ('NaN', 0.0, 1.0, 2.0)",
    "d <> 'NaN'",
    "d BETWEEN 'Infinity' AND 'NaN'",
    "f = 'NaN' OR f = '-Infinity'",
    "f > 1 AND f > 'NaN'",
    "f >= 'NaN' AND f <= 'NaN'",
    "CASE d WHEN 0.0 THEN true WHEN 1.0 THEN false END",
    "CASE d WHEN -0.0 THEN id > 5 WHEN 0.0 THEN false WHEN 'NaN' THEN true ELSE false END",
    "nullif(d, -0.0) IS NULL",
    "d = f",
    "d = ANY (ARRAY[0.0::float8, 'NaN'::float8])",
    "id IN (SELECT a.id FROM t a JOIN t b ON a.d = b.f)",
    "d IN (SELECT f FROM t)",
    "d NOT IN (SELECT f FROM t WHERE f IS NOT NULL)",
    "(SELECT -0.0::float8) = d AND d = 0.0",
];

#[tokio::test(flavor = "multi_thread")]
async fn zeros_are_one_value_and_nan_is_the_largest() {
    let Some((server, postgres)) = postgres("zeros_are_one_value_and_nan_is_the_largest").await else { return };
    let rows = "CREATE TABLE t (id bigint, f real, d double precision);
        INSERT INTO t VALUES (1, 'NaN', 1), (2, 1, 'NaN'), (3, 'NaN', 'NaN'), (4, NULL, NULL), (5, '-0', 0), (6, 0, '-0'),
            (7, 'Infinity', '-Infinity'), (8, '-Infinity', 'Infinity'), (9, 2.5, 2.5), (10, -2.5, -2.5)";
    postgres.batch_execute(rows).await.expect("the rows");
    let (gateway, _) = gateway().await;
    let client = gateway.connect().await;
    let mut wrong = Vec::new();
    for predicate in OF_FLOATS {
        let theirs = ask(&postgres, &format!("SELECT id FROM t WHERE {predicate} ORDER BY id")).await;
        // From the table's files, and from rows in memory.
        for from in ["fixtures.fixtures.bounds_of_nan", "(TABLE fixtures.fixtures.bounds_of_nan OFFSET 0)"] {
            let ours = ask(&client, &format!("WITH t AS (SELECT * FROM {from} AS s) SELECT id FROM t WHERE {predicate} ORDER BY id")).await;
            if ours != theirs {
                wrong.push(format!("{predicate} ({from})\n--- featgres\n{ours}\n--- PostgreSQL\n{theirs}"));
            }
        }
    }
    drop(server);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const A: &str = r#"{"a": 1, "b": "x"} | {"a": 1, "b": 2}"#;

#[tokio::test(flavor = "multi_thread")]
async fn structs_lists_and_maps_go_through_every_operator() {
    let (gateway, _) = gateway().await;
    let client = gateway.connect().await;
    assert_eq!(ask(&client, NESTED).await, "");
    let latest = "(SELECT k, TIMESTAMPTZ '2026-01-05 00:00:00+00' AS event_timestamp FROM (VALUES (1::bigint), (2), (3), (4)) AS t (k))";
    let historical = format!("SELECT k, st, ls, sl, mp, ms, su FROM get_historical_features({latest}, ARRAY['v:*']) ORDER BY k");
    let counted =
        format!("SELECT count(DISTINCT mp), count(DISTINCT li), count(DISTINCT su) FROM get_historical_features({latest}, ARRAY['v:*'])");
    let ends = r#"
1 | {"a": 2, "b": "z"} | NULL | {"l": []} | {"c": null} | {} | NULL
2 | NULL | {NULL} | NULL | NULL | NULL | {"u": "00000000-0000-0000-0000-000000000002"}
3 | {"a": null, "b": "y"} | {"{\"x\": 5, \"y\": null}"} | {"l": [9]} | {"a": 1, "z": 26} | {"k": {"p": null, "q": 7}} | {"u": "00000000-0000-0000-0000-000000000003"}
4 | NULL | NULL | NULL | NULL | NULL | NULL"#;
    assert_answers(
        &client,
        &[
            ("SELECT count(DISTINCT st), count(DISTINCT ls), count(DISTINCT sl), count(DISTINCT mp), count(DISTINCT ms), count(DISTINCT su) FROM v", "4 | 4 | 4 | 4 | 4 | 4"),
            ("SELECT count(*) FROM (SELECT st, ls, sl, mp, ms, su FROM v GROUP BY 1, 2, 3, 4, 5, 6)", "5"),
            ("SELECT count(*) FROM (SELECT DISTINCT mp, ls FROM v)", "5"),
            ("SELECT st, mp FROM v WHERE k = 1 AND (st).a = 1 UNION SELECT st, mp FROM v WHERE k = 2 AND st IS NOT NULL", A),
            ("SELECT count(*) FROM (SELECT ms FROM v INTERSECT SELECT ms FROM v)", "5"),
            ("SELECT k FROM v ORDER BY mp, st, ls, ms, k", "1\n1\n2\n1\n3\n2"),
            ("SELECT count(*) FROM v a JOIN v b ON a.mp = b.mp AND a.st = b.st AND a.ls = b.ls", "6"),
            ("SELECT count(*) FROM v WHERE mp IS NOT DISTINCT FROM mp AND st IN (SELECT st FROM v)", "5"),
            (
                "SELECT k, lag(st) OVER w, lead(mp) OVER w, first_value(ms) OVER w, last_value(su) OVER w FROM v WINDOW w AS (PARTITION BY k ORDER BY ts, li) ORDER BY k, ts, li LIMIT 2",
                r#"
1 | NULL | {} | {"a": {"p": 1.5, "q": 1}} | {"u": "00000000-0000-0000-0000-000000000001"}
1 | {"a": 1, "b": "x"} | {"c": null} | {"a": {"p": 1.5, "q": 1}} | {"u": null}"#,
            ),
            (
                "SELECT k, rank() OVER (ORDER BY st), dense_rank() OVER (ORDER BY mp), count(*) OVER (PARTITION BY mp ORDER BY ls) FROM v ORDER BY k, ts, li",
                "1 | 1 | 2 | 2\n1 | 4 | 1 | 1\n1 | 3 | 3 | 1\n2 | 1 | 2 | 2\n2 | 6 | 5 | 1\n3 | 5 | 4 | 1",
            ),
            (
                "SELECT array_agg(mp ORDER BY ts, li), array_agg(su ORDER BY ts, li), array_agg(DISTINCT st) FROM v WHERE k = 3",
                r#"{"{\"a\": 1, \"z\": 26}"} | {"{\"u\": \"00000000-0000-0000-0000-000000000003\"}"} | {"{\"a\": null, \"b\": \"y\"}"}"#,
            ),
            ("SELECT max(st) FROM v", "42883: function max(jsonb) does not exist"),
            ("SELECT k, min(mp) OVER (PARTITION BY k) FROM v", "42883: function min(jsonb) does not exist"),
            ("SELECT max(ls) FROM v", "42883: function max(jsonb) does not exist"),
            ("SELECT sum(li) FROM v", "42883: function sum(array) does not exist"),
            ("SELECT (st).nothing FROM v", "42703: column \"nothing\" not found in a value of structured type"),
            ("SELECT map_keys(mp), map_values(ms), map_entries(mp) FROM v WHERE k = 3", r#"{z,a} | {"{\"p\": null, \"q\": 7}"} | {"{\"key\": \"z\", \"value\": 26}","{\"key\": \"a\", \"value\": 1}"}"#),
            ("SELECT mp['a'], (ms['k']).q, (ls[1]).x, (sl).l[1], (su).u FROM v WHERE k = 3", "1 | 7 | 5 | 9 | 00000000-0000-0000-0000-000000000003"),
            ("SELECT k FROM v WHERE (su).u = '00000000-0000-0000-0000-000000000001' ORDER BY k", "1\n2"),
            (&historical, ends),
            (&counted, "2 | 2 | 2"),
            ("SELECT k, st, mp, valid_from, valid_to FROM get_feature_ranges('v') WHERE k = 1 ORDER BY valid_from", r#"
1 | {"a": 1, "b": "x"} | {"a": 1, "b": 2} | 2026-01-01 00:00:00+00 | 2026-01-05 00:00:00+00
1 | {"a": 2, "b": "z"} | {"c": null} | 2026-01-05 00:00:00+00 | NULL"#),
            ("SELECT k, (st).b, mp FROM get_latest_features((SELECT 3::bigint AS k), ARRAY['v:*'])", r#"3 | y | {"a": 1, "z": 26}"#),
            (
                "SELECT k, label, mp FROM get_historical_features((SELECT k, ts AS event_timestamp, (x.st).a AS label FROM v x WHERE (x.st).b = 'x'), ARRAY['v:mp']) ORDER BY k",
                "1 | 1 | {\"a\": 1, \"b\": 2}\n2 | 1 | {\"a\": 1, \"b\": 2}",
            ),
            ("CREATE TEMP TABLE held AS SELECT * FROM v", ""),
            ("INSERT INTO held SELECT * FROM v WHERE k = 3", ""),
            ("SELECT count(*), count(DISTINCT mp), count(DISTINCT lu), max(lu) FROM held", "7 | 4 | 4 | {NULL}"),
            ("SELECT count(*) FROM (SELECT st, mp, ls, lu FROM held UNION SELECT st, mp, ls, lu FROM v)", "5"),
            ("SELECT count(*) FROM held h JOIN v ON v.st = h.st AND v.mp = h.mp", "8"),
        ],
    )
    .await;
}

/// Lets the table's pointer lead to its metadata file of this beginning.
fn point_to(sqlite: &Path, table: &str, version: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/warehouse").join(table).join("metadata");
    let names =
        std::fs::read_dir(folder).expect("the metadata").map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
    let name = names.into_iter().find(|name| name.starts_with(version) && name.ends_with(".json")).expect("the version");
    let location = format!("s3://fixtures/{table}/metadata/{name}");
    let catalog = rusqlite::Connection::open(sqlite).expect("the catalog");
    let moved = catalog.execute("UPDATE iceberg_tables SET metadata_location = ?1 WHERE table_name = ?2", [location.as_str(), table]);
    assert_eq!(moved.expect("the pointer moves"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_view_says_of_its_types_is_what_its_rows_have() {
    let (gateway, sqlite) = gateway().await;
    let client = gateway.connect().await;
    point_to(&sqlite, "feature_history", "00000");
    let narrow = "CREATE FEATURE VIEW h (
    n integer,
    f real,
    m numeric(5,2),
    d date
)
    ENTITIES (k (k))
    FROM fixtures.fixtures.feature_history
    TIMESTAMP ts";
    let wide = narrow.replace("n integer", "n bigint").replace("f real", "f double precision");
    let wide = wide.replace("numeric(5,2)", "numeric(12,2)").replace("d date", "d timestamp without time zone");
    let listed = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'h'";
    let attributes = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'h'::regclass AND attnum > 0";
    let described = "DESCRIBE FEATURE VIEW h";
    let typed = "SELECT pg_typeof(k), pg_typeof(n), pg_typeof(f), pg_typeof(m), pg_typeof(d) FROM h LIMIT 1";
    let before = "k integer, ts timestamp with time zone, n integer, f real, m numeric(5,2), d date";
    let after = "k bigint, ts timestamp with time zone, n bigint, f double precision, m numeric(12,2), d timestamp without time zone";
    let describe = |types: &str| {
        let roles = ["key", "timestamp", "feature", "feature", "feature", "feature"];
        let column = |(column, role): (&str, &str)| {
            column.split_once(' ').map(|(name, of)| format!("{name} | {of} | {role} | NULL")).expect("a type")
        };
        types.split(", ").zip(roles).map(column).collect::<Vec<_>>().join("\n")
    };
    assert_answers(
        &client,
        &[
            (&narrow.replace("k (k)", "k"), ""),
            ("SHOW CREATE FEATURE VIEW h", narrow),
            (described, &describe(before)),
            (attributes, before),
            (typed, "integer | integer | real | numeric | date"),
        ],
    )
    .await;
    point_to(&sqlite, "feature_history", "00001");
    assert_answers(
        &client,
        &[
            ("SHOW CREATE FEATURE VIEW h", &wide),
            (described, &describe(after)),
            (typed, "bigint | bigint | double precision | numeric | timestamp without time zone"),
            // The system catalog asks nobody; it knows after a REFRESH.
            ("REFRESH FEATURE VIEW h", ""),
            (attributes, after),
            (listed, &after.replace("(12,2)", "")),
            ("SELECT k, n, f, m, d FROM h ORDER BY ts", "1 | 10 | 0.5 | 1.50 | 2026-01-01 00:00:00\n2 | 20 | 1.5 | -2.25 | 2025-12-31 00:00:00\n1 | 1099511627776 | 0.1 | 123456789.25 | 2026-02-01 12:00:00"),
            ("DROP FEATURE VIEW h", ""),
            (&wide, ""),
            ("SHOW CREATE FEATURE VIEW h", &wide),
            (attributes, after),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_that_is_younger_than_the_snapshot_reads_as_in_older_files() {
    let (gateway, _) = gateway().await;
    let client = gateway.connect().await;
    assert_answers(
        &client,
        &[
            ("CREATE FEATURE VIEW w ENTITIES (k) FROM fixtures.fixtures.feature_history TIMESTAMP ts CREATED TIMESTAMP seen", ""),
            (
                "SELECT k, n, region, score, x, st FROM get_latest_features((SELECT 1 AS k UNION ALL SELECT 2), ARRAY['w:*'], at => 'before') ORDER BY k",
                "1 | 10 | eu | NULL | NULL | NULL\n2 | 20 | eu | NULL | NULL | NULL",
            ),
            (
                "SELECT k, n, region, score, x, st FROM get_latest_features((SELECT 1 AS k), ARRAY['w:*'], at => 4148055371026329231)",
                "1 | 10 | eu | NULL | NULL | NULL",
            ),
            ("SELECT k, n, region, score, x, st FROM get_latest_features((SELECT 1 AS k), ARRAY['w:*'])", "1 | 1099511627776 | us | 0.75 | 7 | {\"a\": 1}"),
            (
                "SELECT region, score, valid_to FROM get_feature_ranges('w', at => 'before') WHERE k = 1",
                "eu | NULL | NULL",
            ),
            // The column that had the name then is another one, which a query of the table itself sees.
            ("SELECT k, x FROM fixtures.fixtures.feature_history FOR VERSION AS OF 'before' ORDER BY k", "1 | old\n2 | NULL"),
            ("SELECT score FROM fixtures.fixtures.feature_history FOR VERSION AS OF 'before'", "42703: column \"score\" does not exist"),
            // Without an event time no row could be the answer.
            ("CREATE FEATURE VIEW late ENTITIES (k) FROM fixtures.fixtures.feature_history TIMESTAMP seen", ""),
            (
                "SELECT n FROM get_latest_features((SELECT 1 AS k), ARRAY['late:n'], at => 'before')",
                "42703: column \"seen\" of feature view \"late\" does not exist in its source",
            ),
            ("CREATE ENTITY place KEY (region TEXT)", ""),
            ("CREATE FEATURE VIEW there ENTITIES (place) FROM fixtures.fixtures.feature_history TIMESTAMP ts", ""),
            ("SELECT n FROM get_latest_features((SELECT 'eu' AS region), ARRAY['there:n'], at => 'before')", "20"),
        ],
    )
    .await;
}

/// Rows of one key and time fall to their content (rule 3), where a NULL inside a value is smaller than any other: in the ranges as in the
/// join.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_the_join_break_ties_of_nested_content_alike() {
    let (gateway, _) = gateway().await;
    let client = gateway.connect().await;
    // From the lowest to the highest.
    let values = [
        ("structs", ["NULL", "struct(NULL, 'x')", "struct(1, NULL)", "struct(1, 'x')", "struct(2, NULL)"]),
        ("lists", ["NULL", "ARRAY[]::int[]", "ARRAY[NULL, 9]", "ARRAY[1]", "ARRAY[1, NULL]"]),
        (
            "maps",
            [
                "NULL",
                "map(ARRAY['a'], ARRAY[NULL::int])",
                "map(ARRAY['a'], ARRAY[1])",
                "map(ARRAY['a'], ARRAY[2])",
                "map(ARRAY['b'], ARRAY[0])",
            ],
        ),
    ];
    for (view, values) in values {
        let rows = values.iter().enumerate().map(|(number, value)| format!("SELECT {number} AS n, {value} AS value"));
        let rows = rows.collect::<Vec<_>>().join(" UNION ALL ");
        // Each pair of values is the two rows of a key.
        let created = format!(
            "CREATE FEATURE VIEW {view} ENTITIES (pair) TIMESTAMP ts AS
             SELECT x.n * 10 + y.n AS pair, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS ts, CASE side WHEN 1 THEN x.value ELSE y.value END AS value
             FROM ({rows}) x CROSS JOIN ({rows}) y CROSS JOIN (SELECT 1 AS side UNION ALL SELECT 2) sides"
        );
        assert_eq!(ask(&client, &created).await, "");
        let every = "SELECT x * 10 + y AS pair FROM generate_series(0, 4) a(x), generate_series(0, 4) b(y)";
        let wanted = format!(
            "SELECT pair, value FROM (SELECT x * 10 + y AS pair, greatest(x, y) AS n FROM generate_series(0, 4) a(x), generate_series(0, 4) b(y)) p JOIN ({rows}) v USING (n) ORDER BY pair"
        );
        let wanted = ask(&client, &wanted).await;
        assert_eq!(wanted.lines().count(), 25, "{wanted}");
        let latest = format!("SELECT pair, value FROM get_latest_features(({every}), ARRAY['{view}:value']) ORDER BY pair");
        assert_eq!(ask(&client, &latest).await, wanted, "the join of {view}");
        let ranges = format!("SELECT pair, value FROM get_feature_ranges('{view}') ORDER BY pair");
        assert_eq!(ask(&client, &ranges).await, wanted, "the ranges of {view}");
    }
}
