//! The catalog on databases of our own making.

use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::error::ReportError;

/// pyiceberg's and the JDBC catalog's newer schema.
const WITH_TYPE: &str = "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name));
    CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key));
    INSERT INTO iceberg_tables VALUES ('c', 'shop', 'orders', 's3://b/o1', NULL, 'TABLE'), ('c', 'shop', 'customers', 's3://b/c', NULL, NULL),
    ('c', 'shop', 'view', 's3://b/v', NULL, 'VIEW'), ('c', 'shop.eu', 'orders', 's3://b/eu', NULL, 'TABLE'),
    ('other', 'elsewhere', 't', 's3://b/t', NULL, 'TABLE'), ('c', 'shop', 'hollow', NULL, NULL, NULL);
    INSERT INTO iceberg_namespace_properties VALUES ('c', 'empty', 'exists', 'true'), ('other', 'not_ours', 'exists', 'true');";

/// The JDBC catalog's first schema: no types, and here no namespaces of their own.
const WITHOUT_TYPE: &str =
    "CREATE TABLE iceberg_tables (catalog_name TEXT NOT NULL, table_namespace TEXT NOT NULL, table_name TEXT NOT NULL,
    metadata_location TEXT, previous_metadata_location TEXT);
    INSERT INTO iceberg_tables VALUES ('c', 'shop', 'orders', 's3://b/o1', NULL);";

fn catalog(file: &Path) -> Arc<dyn SourceCatalog> {
    open("lake", &format!("sqlite:///{}", file.display()), "c", Storage::local()).unwrap()
}

fn ident(schema: &str, table: &str) -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: schema.into(), table: table.into() }
}

fn database(ddl: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.db");
    Connection::open(&file).unwrap().execute_batch(ddl).unwrap();
    (folder, file)
}

#[tokio::test]
async fn tables_and_schemas_of_this_catalog_only() {
    let (_folder, file) = database(WITH_TYPE);
    let catalog = catalog(&file);
    assert_eq!((catalog.name(), catalog.kind()), ("lake", "sql"));
    assert_eq!(catalog.schemas().await.unwrap(), ["empty", "shop", "shop.eu"]);
    assert_eq!(catalog.tables("shop").await.unwrap(), ["customers", "hollow", "orders"]);
    assert!(catalog.tables("empty").await.unwrap().is_empty());
    assert_eq!(catalog.pointer(&ident("shop.eu", "orders")).await.unwrap().metadata_location, "s3://b/eu");
}

#[tokio::test]
async fn the_older_schema_is_read() {
    let (_folder, file) = database(WITHOUT_TYPE);
    let catalog = catalog(&file);
    assert_eq!(catalog.schemas().await.unwrap(), ["shop"]);
    assert_eq!(catalog.pointer(&ident("shop", "orders")).await.unwrap().metadata_location, "s3://b/o1");
}

#[tokio::test]
async fn each_question_sees_the_last_commit() {
    let (_folder, file) = database(WITH_TYPE);
    let catalog = catalog(&file);
    let orders = ident("shop", "orders");
    assert_eq!(catalog.pointer(&orders).await.unwrap().metadata_location, "s3://b/o1");
    let writer = Connection::open(&file).unwrap();
    writer.execute("UPDATE iceberg_tables SET metadata_location = 's3://b/o2' WHERE table_name = 'orders'", []).unwrap();
    assert_eq!(catalog.pointer(&orders).await.unwrap().metadata_location, "s3://b/o2");
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_there_is() {
    let (_folder, file) = database(WITH_TYPE);
    let catalog = catalog(&file);
    let error = catalog.pointer(&ident("shop", "ordrs")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().as_str()), ("42P01", "table \"lake.shop.ordrs\" does not exist"));
    assert_eq!(error.hint().unwrap(), "Perhaps you meant \"orders\".");
    let error = catalog.pointer(&ident("shop", "view")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().as_str()), ("42809", "\"lake.shop.view\" is a view, not a table"));
    let error = catalog.pointer(&ident("shp", "orders")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.hint().unwrap().as_str()), ("3F000", "Perhaps you meant \"shop\"."));
    let error = catalog.tables("elsewhere").await.unwrap_err();
    assert_eq!(error.sqlstate().code(), "3F000");
    let error = catalog.pointer(&ident("shop", "hollow")).await.unwrap_err();
    assert_eq!(error.sqlstate().code(), "HV000");
}

#[tokio::test]
async fn a_catalog_that_is_down_or_no_catalog_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.db");
    let error = catalog(&missing).schemas().await.unwrap_err();
    assert_eq!(error.sqlstate().code(), "HV00N");
    assert!(error.to_string().contains("missing.db"), "{error}");
    assert!(!missing.exists(), "a read-only open must not create the file");

    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, but it is long enough to be looked at as one").unwrap();
    assert_eq!(catalog(&text).schemas().await.unwrap_err().sqlstate().code(), "HV000");
    let empty = folder.path().join("empty.db");
    Connection::open(&empty).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = catalog(&empty).schemas().await.unwrap_err();
    assert!(error.to_string().contains("iceberg_tables"), "{error}");
}

#[test]
fn uris() {
    assert_eq!(sqlite_file("sqlite:////var/lib/c.db").unwrap(), Path::new("/var/lib/c.db"));
    assert_eq!(sqlite_file("sqlite:///c.db").unwrap(), Path::new("c.db"));
    for (uri, word) in [
        ("postgresql://h/db", "\"postgresql:\""),
        ("sqlite://", "path"),
        ("sqlite:///", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("sqlite:////a?mode=rw", "parameters"),
    ] {
        let error = open("lake", uri, "c", Storage::local()).unwrap_err();
        assert!(error.to_string().contains(word) && error.to_string().contains("lake"), "{uri}: {error}");
        assert_eq!(error.sqlstate().code(), "F0000");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gone.sqlite");
    let catalog = open("lake", &format!("sqlite:///{}", file.display()), "c", Storage::local()).unwrap();
    let message = catalog.schemas().await.unwrap_err().to_string();
    assert_eq!(message.matches(&file.display().to_string()).count(), 1, "{message}");
}
