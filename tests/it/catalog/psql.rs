//! The statements of psql 15's backslash commands, and psql itself where there is one.

use super::{gateway, rows};

/// `\dt`, `\dv`, `\d`: the same statement with other kinds.
fn list(kinds: &str) -> String {
    format!(
        r#"SELECT n.nspname as "Schema", c.relname as "Name",
  CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' END as "Type",
  pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE c.relkind IN ({kinds})
      AND n.nspname <> 'pg_catalog'
      AND n.nspname !~ '^pg_toast'
      AND n.nspname <> 'information_schema'
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 1,2;"#
    )
}

#[tokio::test]
async fn dt_dn_and_du() {
    let (_gateway, client) = gateway().await;
    assert_eq!(rows(&client, &list("'r','p',''")).await, ["public|customer_features|table|tester"]);
    assert_eq!(rows(&client, &list("'v',''")).await.len(), 0);
    let schemas = rows(
        &client,
        r#"SELECT n.nspname AS "Name", pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner" FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1;"#,
    )
    .await;
    assert_eq!(schemas, ["feature_store|tester", "public|pg_database_owner"]);
    let roles = rows(
        &client,
        "SELECT r.rolname, r.rolsuper, r.rolcanlogin, r.rolconnlimit, r.rolvaliduntil,
  ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) as memberof
FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1;",
    )
    .await;
    assert_eq!(roles, ["tester|t|t|-1||{}"]);
}

#[tokio::test]
async fn d_of_a_view() {
    let (_gateway, client) = gateway().await;
    let found = rows(
        &client,
        "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.~) '^(customer_features)$' COLLATE pg_catalog.default
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 2, 3;",
    )
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    let oid = found[0].split('|').next().expect("an oid");
    let columns = rows(
        &client,
        &format!(
            "SELECT a.attname,
  pg_catalog.format_type(a.atttypid, a.atttypmod),
  (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true)
   FROM pg_catalog.pg_attrdef d
   WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
  a.attnotnull,
  (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
   WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
  a.attidentity,
  a.attgenerated
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;"
        ),
    )
    .await;
    assert_eq!(columns[0], "customer_id|bigint||f|||");
    assert_eq!(columns[5], "favourite|text||f|||");
}

#[tokio::test]
async fn psql_itself() {
    let (gateway, _client) = gateway().await;
    let run = async |command: &str| {
        tokio::process::Command::new("psql").args(["-X", "-At", "-d", &gateway.conninfo(), "-c", command]).output().await
    };
    let Ok(described) = run("\\d customer_features").await else {
        eprintln!("skipped: there is no psql on this machine");
        return;
    };
    let told = |output: &std::process::Output| {
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (rows, errors) = told(&described);
    assert_eq!(errors, "");
    assert!(rows.starts_with("customer_id|bigint|||\nupdated_at|timestamp with time zone|||\n"), "{rows}");
    for command in
        ["\\d", "\\dt", "\\dn", "\\l", "\\du", "\\dv", "\\dt+", "\\d+ customer_features", "\\conninfo", "\\df now", "\\dT", "\\di"]
    {
        let output = run(command).await.expect("psql");
        // Where there is nothing to list, psql says so beside the result.
        assert_eq!(told(&output).1.replace("Did not find any relations.\n", ""), "", "{command}");
    }
}
