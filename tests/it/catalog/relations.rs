//! Rows about feature views, as a PostgreSQL 16 has them about tables of the same columns.

use super::{gateway, rows};

#[tokio::test]
async fn a_feature_view_is_a_table() {
    let (_gateway, client) = gateway().await;
    let found = rows(
        &client,
        "SELECT relname, relkind, relnamespace::regnamespace, relowner::regrole, relnatts, relpersistence FROM pg_class
         WHERE oid = 'customer_features'::regclass",
    )
    .await;
    assert_eq!(found, ["customer_features|r|public|tester|6|p"]);
    let columns = rows(
        &client,
        "SELECT attname, format_type(atttypid, atttypmod), attnum, attnotnull, attlen, attalign, attstorage, attcollation
         FROM pg_attribute WHERE attrelid = 'public.customer_features'::regclass AND attnum > 0 ORDER BY attnum",
    )
    .await;
    assert_eq!(
        columns,
        [
            "customer_id|bigint|1|f|8|d|p|0",
            "updated_at|timestamp with time zone|2|f|8|d|p|0",
            "ingested_at|timestamp with time zone|3|f|8|d|p|0",
            "total_orders|bigint|4|f|8|d|p|0",
            "avg_order_value|double precision|5|f|8|d|p|0",
            "favourite|text|6|f|-1|i|x|100",
        ]
    );
}

#[tokio::test]
async fn information_schema_tells_the_same() {
    let (_gateway, client) = gateway().await;
    let tables =
        rows(&client, "SELECT table_catalog, table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'").await;
    assert_eq!(tables, ["test|customer_features|BASE TABLE"]);
    let columns = rows(
        &client,
        "SELECT column_name, data_type, is_nullable, numeric_precision, datetime_precision, udt_name FROM information_schema.columns
         WHERE table_name = 'customer_features' ORDER BY ordinal_position",
    )
    .await;
    assert_eq!(
        columns,
        [
            "customer_id|bigint|YES|64||int8",
            "updated_at|timestamp with time zone|YES||6|timestamptz",
            "ingested_at|timestamp with time zone|YES||6|timestamptz",
            "total_orders|bigint|YES|64||int8",
            "avg_order_value|double precision|YES|53||float8",
            "favourite|text|YES|||text",
        ]
    );
}

#[tokio::test]
async fn names_and_oids_both_ways() {
    let (_gateway, client) = gateway().await;
    assert_eq!(
        rows(&client, "SELECT 'pg_class'::regclass::oid, 1259::regclass, 'int4'::regtype, 'text'::regtype::oid").await,
        ["1259|pg_class|integer|25"]
    );
    assert_eq!(rows(&client, "SELECT to_regclass('nothing'), to_regclass('customer_features')::text").await, ["|customer_features"]);
    let error = client.simple_query("SELECT 'nothing'::regclass").await.expect_err("no such relation");
    assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("42P01"));
    assert_eq!(rows(&client, "SELECT typname FROM pg_type WHERE typinput = 'array_in'::regproc AND oid = 1009").await, ["_text"]);
    assert_eq!(
        rows(
            &client,
            "SELECT col_description('customer_features'::regclass, 4), obj_description('customer_features'::regclass, 'pg_class')"
        )
        .await,
        ["orders so far|what a customer buys"]
    );
}

#[tokio::test]
async fn sets_arrays_and_patterns() {
    let (_gateway, client) = gateway().await;
    assert_eq!(rows(&client, "SELECT 1 WHERE 'pg_a' LIKE 'pg/_' || '%' ESCAPE '/'").await, ["1"]);
    assert_eq!(rows(&client, "SELECT 1 WHERE 'pgxa' LIKE 'pg/_' || '%' ESCAPE '/'").await.len(), 0);
    assert_eq!(rows(&client, "SELECT 'b' = ANY('{a,b}'), 3 = ANY('{1,2}'::int[])").await, ["t|f"]);
    assert_eq!(
        rows(&client, "SELECT ARRAY(SELECT nspname FROM pg_namespace WHERE nspname ~ '^p' ORDER BY 1)").await,
        ["{pg_catalog,pg_toast,public}"]
    );
    assert_eq!(rows(&client, "SELECT format('%I=%L', 'A b', 'c')").await, ["\"A b\"='c'"]);
    assert_eq!(rows(&client, "SELECT 1 WHERE ARRAY[1,2] = '{1,2}' AND ARRAY[1] <> '{2}'").await, ["1"]);
    assert_eq!(rows(&client, "SELECT ARRAY(SELECT relname FROM pg_class WHERE oid = 1)").await, ["{}"]);
    assert_eq!(
        rows(&client, "SELECT pg_size_pretty(123456789), quote_ident('Mixed'), quote_literal('it''s')").await,
        ["118 MB|\"Mixed\"|'it''s'"]
    );
}

#[tokio::test]
async fn a_subquery_of_two_rows_is_an_error() {
    let (_gateway, client) = gateway().await;
    let error = client
        .simple_query(
            "SELECT (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid) FROM pg_class c WHERE c.relname = 'customer_features'",
        )
        .await
        .expect_err("six rows");
    assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("21000"));
}
