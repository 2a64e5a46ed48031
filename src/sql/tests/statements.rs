//! Statements of PostgreSQL that clients send: which parse, into what, and which are refused in which words.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SetExpr, Statement as Tree, TableFactor, TableVersion,
};

use super::*;

fn tree(text: &str) -> Tree {
    match parse(text).unwrap().remove(0).statement {
        Statement::Sql(tree) => *tree,
        other => panic!("{text} is {other:?}"),
    }
}

fn query(text: &str) -> Box<Query> {
    match tree(text) {
        Tree::Query(query) => query,
        other => panic!("{text} is {other:?}"),
    }
}

fn first_table(query: &Query) -> &TableFactor {
    match query.body.as_ref() {
        SetExpr::Select(select) => &select.from[0].relation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn postgresql_statements_parse() {
    let mut failed = Vec::new();
    for text in [
        "SELECT 1",
        "TABLE t",
        "TABLE s.t ORDER BY a LIMIT 1",
        "SELECT * FROM f((TABLE my_spine), 'x')",
        "SELECT * FROM f(entities => (TABLE my_spine), features => ARRAY['a:b', 'c:*'])",
        "SELECT * FROM f(entities := (SELECT a, now() FROM t), max_age => INTERVAL '7 days', x => $1)",
        "SELECT * FROM (TABLE t) x UNION ALL TABLE y",
        "WITH a AS (TABLE t) TABLE a",
        "CREATE TEMP TABLE x AS TABLE t",
        "SELECT 1 AS table FROM x",
        "SELECT * FROM iceberg.gold.t FOR VERSION AS OF 123",
        "SELECT * FROM iceberg.gold.t FOR VERSION AS OF 'tag' AS x JOIN b ON x.a = b.a",
        "SELECT * FROM iceberg.gold.t FOR TIMESTAMP AS OF TIMESTAMPTZ '2024-01-01 00:00:00+00' WHERE a > 1",
        "SET LOCAL x = 'y'",
        "SET x TO DEFAULT",
        "SET x = DEFAULT",
        "SET search_path TO a, b",
        "SET search_path = \"$user\", public",
        "SET SESSION x = 1",
        "SET datestyle TO ISO, MDY",
        "SET extra_float_digits = 3",
        "SET TIME ZONE 'UTC'",
        "SET TIME ZONE LOCAL",
        "SET TIME ZONE DEFAULT",
        "SET LOCAL TIME ZONE 'UTC'",
        "SET TIMEZONE TO 'Europe/Berlin'",
        "SET statement_timeout = '5s'",
        "SET statement_timeout TO 0",
        "SET standard_conforming_strings = on",
        "SET application_name = 'x'",
        "SET client_encoding TO 'UTF8'",
        "SET NAMES 'UTF8'",
        "SET a.b = 'x'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET ROLE x",
        "SET ROLE NONE",
        "SET SESSION AUTHORIZATION DEFAULT",
        "DISCARD ALL",
        "DISCARD TEMP",
        "COPY t FROM STDIN",
        "COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ',', NULL '', QUOTE '\"', ESCAPE '\\', ENCODING 'utf8')",
        "COPY t FROM STDIN (FORMAT csv, HEADER)",
        "COPY t FROM STDIN (FORMAT 'csv', HEADER 1)",
        "COPY t FROM STDIN (FORMAT csv, HEADER on, FORCE_QUOTE (a))",
        "COPY t FROM STDIN WITH CSV HEADER",
        "COPY t FROM STDIN DELIMITER E'\\t'",
        "COPY t TO STDOUT WITH BINARY",
        "COPY t FROM STDIN BINARY",
        "COPY (SELECT 1) TO STDOUT",
        "COPY (TABLE t) TO STDOUT (FORMAT binary)",
        "COPY (SELECT 1) TO STDOUT WITH (FORMAT text, DELIMITER E'\\t')",
        "BEGIN",
        "BEGIN WORK",
        "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
        "BEGIN READ ONLY",
        "BEGIN NOT DEFERRABLE",
        "START TRANSACTION",
        "START TRANSACTION READ ONLY",
        "START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE",
        "COMMIT",
        "COMMIT WORK",
        "COMMIT TRANSACTION",
        "COMMIT AND NO CHAIN",
        "END",
        "END TRANSACTION",
        "ABORT",
        "ROLLBACK",
        "ROLLBACK WORK",
        "ROLLBACK TO a",
        "ROLLBACK TO SAVEPOINT a",
        "ROLLBACK TRANSACTION TO SAVEPOINT a",
        "SAVEPOINT a",
        "RELEASE a",
        "RELEASE SAVEPOINT a",
        "PREPARE p AS SELECT 1",
        "PREPARE p (bigint, text) AS SELECT $1, $2",
        "PREPARE p AS TABLE t",
        "EXECUTE p",
        "EXECUTE p (1, 'x')",
        "EXECUTE p(1)",
        "DEALLOCATE p",
        "DEALLOCATE PREPARE p",
        "DEALLOCATE ALL",
        "DEALLOCATE PREPARE ALL",
        "DECLARE c CURSOR FOR SELECT 1",
        "DECLARE c BINARY CURSOR FOR SELECT 1",
        "DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
        "DECLARE c SCROLL CURSOR WITHOUT HOLD FOR TABLE t",
        "DECLARE \"c1\" INSENSITIVE NO SCROLL CURSOR FOR SELECT 1",
        "FETCH c",
        "FETCH FROM c",
        "FETCH 10 c",
        "FETCH 10 FROM c",
        "FETCH NEXT FROM c",
        "FETCH ALL FROM c",
        "FETCH ALL IN c",
        "FETCH FORWARD 10 FROM c",
        "FETCH FORWARD ALL FROM \"c\"",
        "FETCH FORWARD c",
        "FETCH BACKWARD 1 FROM c",
        "FETCH ABSOLUTE 1 FROM c",
        "FETCH -1 FROM c",
        "CLOSE c",
        "CLOSE ALL",
        "EXPLAIN SELECT 1",
        "EXPLAIN TABLE t",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN VERBOSE SELECT 1",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT 1",
        "EXPLAIN (ANALYZE true, FORMAT json, COSTS off) SELECT 1",
        "EXPLAIN (FORMAT TEXT) TABLE t",
        "CREATE TEMP TABLE t (a int)",
        "CREATE TEMP TABLE t (a int NOT NULL PRIMARY KEY, b text DEFAULT 'x') ON COMMIT DROP",
        "CREATE TEMPORARY TABLE IF NOT EXISTS t (a timestamptz, b double precision, c numeric(10,2), d text[]) ON COMMIT PRESERVE ROWS",
        "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1",
        "CREATE TEMP TABLE t AS VALUES (1, 2)",
        "CREATE LOCAL TEMP TABLE t (a int)",
        "CREATE TABLE a.b.c AS SELECT 1",
        "INSERT INTO t VALUES (1, 'a'), (2, DEFAULT)",
        "INSERT INTO t (a) SELECT 1",
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t SELECT 1 RETURNING *",
        "INSERT INTO t TABLE x",
        "INSERT INTO t (a) TABLE x",
        "TRUNCATE t",
        "TRUNCATE TABLE t, u",
        "DROP TABLE IF EXISTS t, u CASCADE",
        "DELETE FROM t WHERE a = 1",
        "UPDATE t SET a = 1",
        "SHOW x",
        "SHOW ALL",
        "SHOW search_path",
        "SHOW TIME ZONE",
        "SHOW TRANSACTION ISOLATION LEVEL",
        "SHOW transaction_isolation",
        "SHOW standard_conforming_strings",
        "SHOW server_version",
        "RESET x",
        "RESET ALL",
        "RESET TIME ZONE",
        "RESET ROLE",
        "RESET SESSION AUTHORIZATION",
        "LISTEN x",
        "UNLISTEN *",
        "NOTIFY x",
        "ANALYZE",
        "ANALYZE t",
        "VACUUM",
        "LOCK TABLE t IN ACCESS SHARE MODE",
        "VALUES (1), (2)",
        "(SELECT 1)",
        "SELECT 'a'::text COLLATE \"C\", a[1], ARRAY[1,2]::int[], x->>'a', E'\\n', U&'\\0041', $$x$$, $a$x$a$",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC NULLS LAST LIMIT 10 OFFSET 5",
        "SELECT count(*) FILTER (WHERE a > 1) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT * FROM generate_series(1, 10) AS g(x)",
        "SELECT * FROM unnest($1::bigint[], $2::timestamptz[]) AS t(a, b)",
        "SELECT a FROM t FETCH FIRST 10 ROWS ONLY",
        "SELECT * FROM a CROSS JOIN LATERAL (SELECT 1) b",
        "SELECT * FROM a, LATERAL f(a.x) WITH ORDINALITY",
        "SELECT a FROM t GROUP BY GROUPING SETS ((a), ())",
        "SELECT x IS DISTINCT FROM y, a NOT BETWEEN 1 AND 2, b SIMILAR TO 'x', c ~* 'y', d !~ 'z'",
        "SELECT * FROM t FOR UPDATE",
        "SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default",
        "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), 'x'::pg_catalog.regtype, 'pg_class'::regclass::oid",
        "SELECT CAST(a AS varchar(10)), extract(epoch from now()), position('a' in 'b'), substring('a' from 1 for 2), trim(both 'x' from 'y'), overlay('a' placing 'b' from 1)",
        "SELECT now() AT TIME ZONE 'UTC', timestamp '2020-01-01', interval '1 day', date '2020-01-01', interval '1' day, '1 day'::interval",
        "SELECT ROW(1, 2), (1, 2) = (3, 4), a.b.c, (x).y, NULL::int, 1e5, 0x1F, .5",
        "SELECT at, version, timestamp FROM t at",
        "SELECT current_user, session_user, current_schema, current_date, current_schemas(true)",
        "SELECT a FROM t WHERE a = ANY($1) AND b IN (1, 2) AND c LIKE 'x' ESCAPE '\\'",
        "SELECT a FROM t WHERE a = ANY(ARRAY[1]) OR a <> ALL(SELECT 1)",
        "SELECT case when a then 1 else 2 end, coalesce(a, b), nullif(a, b), greatest(1, 2)",
        "SELECT * FROM a ASOF JOIN b MATCH_CONDITION (a.ts >= b.ts) ON a.k = b.k",
        "COMMENT ON TABLE t IS 'x'",
        "SELECT a \"b\", c d FROM \"E\".\"F\"",
        "CALL f(1)",
    ] {
        if let Err(error) = parse(text) {
            failed.push(format!("{text}\n      {error}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_is_not_parsed_says_where() {
    for (text, message, position) in [
        ("COPY t FROM STDIN (FORMAT csv,, HEADER)", "syntax error at or near \",\"", 31),
        ("COPY t FROM STDIN CSV FORCE a", "syntax error at or near \"a\"", 29),
        ("COPY t FROM STDIN BINARY x", "syntax error at or near \"x\"", 26),
        ("COPY (SELECT 1) FROM STDIN", "syntax error at or near \"FROM\"", 17),
        ("SELECT a FROM t JOIN u", "syntax error at end of input", 23),
        ("SELECT a FROM t LEFT JOIN u x WHERE true", "syntax error at or near \"WHERE\"", 31),
        ("COPY t TO STDOUT WHERE a > 1", "WHERE clause not allowed with COPY TO", 18),
        ("CREATE TEMP TABLE t AS SELECT 1 WITH NO DATA", "syntax error at or near \"WITH\"", 33),
        ("CREATE TEMP TABLE t (a, b)", "syntax error at or near \",\"", 23),
        ("SELECT CASE WHEN 1 END", "syntax error at or near \"END\"", 20),
        ("SELECT 1 WHERE a IN (1, 2", "syntax error at end of input", 26),
        ("SELECT f(1, 2", "syntax error at end of input", 14),
        ("SELECT (SELECT 1 FROM t WHERE", "syntax error at end of input", 30),
        ("SELECT a FROM t WHERE (a = 1 AND) OR b", "syntax error at or near \")\"", 33),
        ("SELECT * FROM a ASOF LEFT JOIN b MATCH_CONDITION (a.x >= b.x) ON true", "syntax error at or near \"LEFT\"", 22),
        ("SELECT * FROM t FOR SYSTEM_TIME AS OF 1 JOIN u FOR VERSION AS OF 2", "syntax error at or near \"SYSTEM_TIME\"", 21),
        ("SELECT * FROM t TIMESTAMP AS OF 1 JOIN u FOR VERSION AS OF 2", "syntax error at or near \"TIMESTAMP\"", 17),
        ("SELEC 1", "syntax error at or near \"SELEC\"", 1),
        ("SELECT 1 FROM", "syntax error at end of input", 14),
        ("SELECT 1 FROM ;SELECT 2", "syntax error at or near \";\"", 15),
        ("SELECT 1; SELECT (2", "syntax error at end of input", 20),
        ("SELECT 'ä', ö ö ö", "syntax error at or near \"ö\"", 17),
        ("SELECT 1\n\nFROM\n  t t t", "syntax error at or near \"t\"", 22),
        ("SELECT 'abc", "unterminated quoted string at or near \"'abc\"", 8),
        ("SELECT 1 AS \"x", "unterminated quoted identifier at or near \"\"x\"", 13),
        ("SELECT 1 /* a /* b */", "unterminated /* comment at or near \"/* a /* b */\"", 10),
        ("SELECT $x$ab", "unterminated dollar-quoted string at or near \"$x$ab\"", 8),
        ("SELECT E'ab", "unterminated quoted string at or near \"E'ab\"", 8),
        ("SELECT 1 AS \"\"", "zero-length delimited identifier at or near \"\"\"\"", 13),
        ("SELECT 1e", "trailing junk after numeric literal at or near \"1e\"", 8),
        ("SELECT 12ab FROM t", "trailing junk after numeric literal at or near \"12ab\"", 8),
        ("USE x", "syntax error at or near \"USE\"", 1),
        ("PRAGMA x", "syntax error at or near \"PRAGMA\"", 1),
        ("FROM t", "syntax error at or near \"FROM\"", 1),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.position(), error.sqlstate().code()), (message, Some(position), "42601"), "{text}");
    }
    for (text, message) in [
        ("SELECT $0", "there is no parameter $0"),
        ("SELECT $65536", "there is no parameter $65536"),
        ("SELECT $999999999", "there is no parameter $999999999"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.position(), error.sqlstate().code()), (message, Some(8), "42P02"), "{text}");
    }
}

#[test]
fn what_this_release_does_not_do_has_a_name() {
    for (text, name) in [
        ("create or replace feature service s as v (*)", "CREATE FEATURE SERVICE"),
        ("CREATE ON DEMAND FEATURE VIEW v AS SELECT 1 REQUEST (d bigint)", "CREATE ON DEMAND FEATURE VIEW"),
        ("ALTER FEATURE VIEW v RENAME TO w", "ALTER FEATURE VIEW"),
        ("COMMENT ON FEATURE v.f IS 'x'", "COMMENT ON FEATURE"),
        ("GRANT SELECT ON FEATURE VIEW v TO r", "GRANT"),
        ("CREATE ROLE r LOGIN PASSWORD 'x' SUPERUSER", "CREATE ROLE"),
        ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS"),
    ] {
        let statements = parse(&format!("; {text}")).unwrap();
        assert_eq!(statements[0].statement, Statement::NotSupported { name, position: 3 });
    }
}

#[test]
fn texts_are_split_at_semicolons_outside_quotes() {
    for empty in ["", "  \n", ";;", "-- a;b", "/* ; */ ;"] {
        assert_eq!(parse(empty).unwrap(), []);
    }
    let text = "SELECT 'a;b' ;; -- c;d\n SELECT $$;$$, \"x;y\" /* ; */;\nSELECT E'\\';' -- end\n";
    let statements = parse(text).unwrap();
    let split: Vec<_> = statements.iter().map(|statement| (statement.text.as_str(), statement.position)).collect();
    assert_eq!(split, [("SELECT 'a;b'", 1), ("SELECT $$;$$, \"x;y\"", 25), ("SELECT E'\\';'", 54)]);
}

#[test]
fn strings_on_following_lines_are_one() {
    let expected = query("SELECT 'ab', 'c'").to_string();
    assert_eq!(query("SELECT 'a' -- more\n 'b', 'c'").to_string(), expected);
    assert_eq!(query("SELECT 'a'\n\n'b', 'c'").to_string(), expected);
    assert!(parse("SELECT 'a' 'b' 'c', 1 FROM t WHERE 'x' 'y'").is_err());
}

#[test]
fn table_is_a_query() {
    for (text, same) in [
        ("TABLE t", "SELECT * FROM t"),
        ("TABLE a.\"B\" ORDER BY x", "SELECT * FROM a.\"B\" ORDER BY x"),
        ("SELECT * FROM f(entities => (TABLE t), n => 1)", "SELECT * FROM f(entities => (SELECT * FROM t), n => 1)"),
        ("WITH a AS (TABLE t) TABLE a UNION ALL TABLE b", "WITH a AS (SELECT * FROM t) SELECT * FROM a UNION ALL SELECT * FROM b"),
        ("SELECT (WITH a AS (TABLE t) TABLE a)", "SELECT (WITH a AS (SELECT * FROM t) SELECT * FROM a)"),
        ("EXPLAIN (VERBOSE) TABLE t", "EXPLAIN (VERBOSE) SELECT * FROM t"),
        ("INSERT INTO t TABLE x", "INSERT INTO t SELECT * FROM x"),
        ("PREPARE p AS TABLE t", "PREPARE p AS SELECT * FROM t"),
    ] {
        assert_eq!(tree(text).to_string(), tree(same).to_string());
    }
    assert_eq!(query("SELECT 1 AS table FROM x").to_string(), "SELECT 1 AS table FROM x");
}

#[test]
fn versions_of_tables_are_in_the_tree() {
    let version = |text: &str| match first_table(&query(text)) {
        TableFactor::Table { version, alias, .. } => (version.clone(), alias.as_ref().map(|alias| alias.name.value.clone())),
        other => panic!("{other:?}"),
    };
    let (versioned, alias) = version("SELECT * FROM a.b.c FOR VERSION AS OF 123 AS x");
    assert!(matches!(&versioned, Some(TableVersion::VersionAsOf(Expr::Value(value))) if value.to_string() == "123"), "{versioned:?}");
    assert_eq!(alias.as_deref(), Some("x"));
    let (versioned, alias) = version("SELECT * FROM a.b.c FOR VERSION AS OF 'q3' y WHERE y.k = 1");
    assert!(matches!(&versioned, Some(TableVersion::VersionAsOf(Expr::Value(value))) if value.to_string() == "'q3'"), "{versioned:?}");
    assert_eq!(alias.as_deref(), Some("y"));
    let (versioned, _) = version("SELECT * FROM a.b.c FOR TIMESTAMP AS OF TIMESTAMPTZ '2026-01-01 00:00:00+00'");
    assert!(matches!(&versioned, Some(TableVersion::TimestampAsOf(Expr::TypedString(_)))), "{versioned:?}");
    // Inside subqueries too, and in the query of a view.
    let text = "SELECT * FROM f((SELECT * FROM a.b.c FOR VERSION AS OF 1))";
    assert!(query(text).to_string().contains("VERSION AS OF 1"), "{}", query(text));
    assert!(!query(text).to_string().contains("SYSTEM_TIME"));
    // Without versions these are ordinary aliases.
    assert_eq!(version("SELECT * FROM t at"), (None, Some("at".to_owned())));
}

#[test]
fn named_arguments_have_names() {
    let TableFactor::Table { args: Some(args), .. } = first_table(&query(
        "SELECT * FROM get_historical_features(entities => (SELECT 1), features => ARRAY['v:f'], full_feature_names := true)",
    ))
    .clone() else {
        panic!()
    };
    let names: Vec<_> = args
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => (name.value.as_str(), matches!(expr, Expr::Subquery(_))),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, [("entities", true), ("features", false), ("full_feature_names", false)]);
}

#[test]
fn positions_are_characters_of_the_whole_text() {
    let statements = parse("SELECT 'ä';\n  SELECT größe,\n missing FROM t").unwrap();
    assert_eq!(statements[1].position, 15);
    let Statement::Sql(tree) = &statements[1].statement else { panic!() };
    let Tree::Query(query) = tree.as_ref() else { panic!() };
    let SetExpr::Select(select) = query.body.as_ref() else { panic!() };
    use datafusion::sql::sqlparser::ast::Spanned;
    let positions: Vec<_> = select.projection.iter().map(|item| position_of(item.span().start)).collect();
    assert_eq!(positions, [Some(22), Some(30)]);
}

#[test]
fn cursors_in_every_spelling() {
    let shown = |text: &str| parse(text).map(|statements| statements[0].statement.to_string()).map_err(|error| error.to_string());
    for (text, means) in [
        ("FETCH c", "FETCH FORWARD 1 FROM c"),
        ("FETCH FROM c", "FETCH FORWARD 1 FROM c"),
        ("FETCH next", "FETCH FORWARD 1 FROM next"),
        ("FETCH 10 \"C\"", "FETCH FORWARD 10 FROM \"C\""),
        ("FETCH -2 IN c", "FETCH FORWARD -2 FROM c"),
        ("FETCH + 2 IN c", "FETCH FORWARD 2 FROM c"),
        ("FETCH PRIOR FROM c", "FETCH BACKWARD 1 FROM c"),
        ("FETCH FIRST c", "FETCH ABSOLUTE 1 FROM c"),
        ("FETCH LAST IN c", "FETCH ABSOLUTE -1 FROM c"),
        ("FETCH RELATIVE -3 FROM c", "FETCH RELATIVE -3 FROM c"),
        ("MOVE ALL c", "MOVE ALL FROM c"),
        ("MOVE FORWARD ALL IN c", "MOVE ALL FROM c"),
        ("MOVE BACKWARD ALL IN c", "MOVE BACKWARD ALL FROM c"),
        ("MOVE BACKWARD c", "MOVE BACKWARD 1 FROM c"),
        ("CLOSE ALL", "CLOSE ALL"),
        (
            "declare C no scroll binary insensitive cursor with hold for table t",
            "DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT * FROM t",
        ),
        ("DECLARE c SCROLL CURSOR WITHOUT HOLD FOR VALUES (1)", "DECLARE c SCROLL CURSOR FOR VALUES (1)"),
    ] {
        assert_eq!(shown(text).as_deref(), Ok(means), "{text}");
    }
    for (text, message) in [
        ("DECLARE c SCROLL NO SCROLL CURSOR FOR SELECT 1", "cannot specify both SCROLL and NO SCROLL"),
        ("DECLARE c INSENSITIVE ASENSITIVE CURSOR FOR SELECT 1", "cannot specify both INSENSITIVE and ASENSITIVE"),
        ("DECLARE c CURSOR FOR INSERT INTO t VALUES (1)", "syntax error at or near \"INSERT\""),
        ("DECLARE c CURSOR SELECT 1", "syntax error at or near \"SELECT\""),
        ("FETCH ABSOLUTE FROM c", "syntax error at or near \"FROM\""),
        ("FETCH 99999999999 FROM c", "syntax error at or near \"99999999999\""),
        ("FETCH 1.5 FROM c", "syntax error at or near \"1.5\""),
        ("FETCH", "syntax error at end of input"),
        ("FETCH 1 FROM c d", "syntax error at or near \"d\""),
        ("CLOSE", "syntax error at end of input"),
    ] {
        assert_eq!(shown(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn utility_statements_keep_what_they_say() {
    for (text, same) in [
        ("COPY t FROM STDIN", "COPY t FROM STDIN"),
        ("COPY (TABLE t) TO STDIN", "COPY (SELECT * FROM t) TO STDOUT"),
        (
            "COPY \"T\".u(a, \"B\") FROM STDOUT WITH (FORMAT csv, HEADER Match, \"null\" '', FREEZE, DELIMITER -1, force_null (a, 'b'))",
            "COPY \"T\".u (a, \"B\") FROM STDIN (format 'csv', header 'match', \"null\" '', \"freeze\", delimiter '-1', force_null ('a', 'b'))",
        ),
        ("COPY t TO STDOUT CSV FORCE QUOTE a, b HEADER", "COPY t TO STDOUT (format 'csv', force_quote ('a', 'b'), header 'true')"),
        ("COPY t TO STDOUT WITH CSV FORCE QUOTE * NULL AS 'x'", "COPY t TO STDOUT (format 'csv', force_quote *, \"null\" 'x')"),
        ("COPY t FROM STDIN CSV FORCE NOT NULL a FORCE NULL b", "COPY t FROM STDIN (format 'csv', force_not_null ('a'), force_null ('b'))"),
        ("COPY BINARY t TO STDOUT WITH", "COPY t TO STDOUT (format 'binary')"),
        ("COPY t FROM STDIN USING DELIMITERS '|' WITH NULL 'x'", "COPY t FROM STDIN (delimiter '|', \"null\" 'x')"),
        ("COPY t FROM STDIN (FORMAT csv) WHERE a > 1", "COPY t FROM STDIN (format 'csv') WHERE a > 1"),
    ] {
        let [statement] = parse(text).unwrap().try_into().unwrap();
        assert_eq!(statement.statement.to_string(), same, "{text}");
        let [again] = parse(same).unwrap().try_into().unwrap();
        assert_eq!(again.statement.to_string(), same);
    }
    assert_eq!(
        tree("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE").to_string(),
        tree("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY").to_string()
    );
    assert_eq!(tree("SET SESSION a = 1").to_string(), tree("SET a = 1").to_string());
    assert_eq!(tree("ABORT").to_string(), "ROLLBACK");
    assert_eq!(tree("END").to_string(), tree("COMMIT").to_string());
}

#[test]
fn entity_rows_are_one_query() {
    for text in ["SELECT 1", "VALUES (1)", "WITH a AS (SELECT 1) SELECT * FROM a", "TABLE t;", "(SELECT 1) UNION SELECT 2"] {
        parse_entity_query(text).unwrap();
    }
    for (text, position) in [
        ("", 1),
        ("  ;", 4),
        ("DELETE FROM t", 1),
        (" SELECT 1; SELECT 2", 12),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", 1),
        ("CREATE FEATURE VIEW v", 1),
        ("EXPLAIN SELECT 1", 1),
    ] {
        let error = parse_entity_query(text).unwrap_err();
        assert_eq!((error.position(), error.sqlstate().code()), (Some(position), "42601"), "{text}: {error}");
        assert_eq!(error, SqlError::NotOneQuery { position });
    }
    assert_eq!(parse_entity_query("SELECT 1 FROM").unwrap_err(), SqlError::SyntaxErrorAtEnd { position: 14, hint: None });
}

#[test]
fn calls_that_are_not_from_are_functions() {
    let Tree::Query(query) = tree("SELECT f(a => 1)") else { panic!() };
    let SetExpr::Select(select) = query.body.as_ref() else { panic!() };
    let datafusion::sql::sqlparser::ast::SelectItem::UnnamedExpr(Expr::Function(function)) = &select.projection[0] else { panic!() };
    assert!(matches!(&function.args, FunctionArguments::List(list) if list.args.len() == 1));
}
