//! The catalog in a real PostgreSQL, started for the test where its programs can be found (`FEATGRES_POSTGRES_BIN`, the `PATH`, or where Debian
//! puts them). It does not run as root, so as root the tests give it another user.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{CatalogKind, Secret};
use crate::error::ReportError;

/// `nobody`.
const NOBODY: u32 = 65_534;

/// A server of the test's own.
struct Postgres {
    port: u16,
    folder: tempfile::TempDir,
    server: Child,
}

fn programs() -> Option<PathBuf> {
    let has = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    if let Some(folder) = std::env::var_os("FEATGRES_POSTGRES_BIN") {
        return Some(PathBuf::from(folder)).filter(has);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin"));
    std::env::split_paths(&path).chain(debian).find(has)
}

impl Postgres {
    /// Running, with TLS by a certificate of `folder/ca.pem`; none, after a line on stderr, where it cannot be had.
    fn start(test: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: {test}: no PostgreSQL server (initdb, postgres) here; FEATGRES_POSTGRES_BIN names its folder");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::metadata(folder.path()).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap() == 0;
        let own = |path: &Path| {
            if root {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        };
        let as_user = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(folder.path()).stdin(Stdio::null()).env("LC_ALL", "C");
            if root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        own(folder.path());
        std::fs::write(folder.path().join("password"), "hush").unwrap();
        let authority = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), authority.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(folder.path().join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
        own(&folder.path().join("key.pem"));
        let arguments = ["-D", "data", "-U", "keeper", "-A", "scram-sha-256", "--pwfile=password", "--no-sync", "-E", "UTF8", "--locale=C"];
        let made = as_user("initdb").args(arguments).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = as_user("postgres");
        command.args(["-D", "data", "-k", "", "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command.args(["-c", "ssl=on", "-c", "ssl_cert_file=../ca.pem", "-c", "ssl_key_file=../key.pem"]);
        let mut server = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(server.stderr.take().unwrap()).lines();
        let ready = said.by_ref().map_while(Result::ok).any(|line| line.contains("ready to accept connections"));
        assert!(ready, "PostgreSQL ended before it was ready");
        std::thread::spawn(move || said.for_each(drop));
        Some(Self { port, folder, server })
    }

    async fn run(&self, database: &str, sql: &str) {
        let conninfo = format!("host=127.0.0.1 port={} user=keeper password=hush dbname={database}", self.port);
        let (client, connection) = tokio_postgres::connect(&conninfo, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }

    fn catalog(&self, host: &str, database: &str, more: &[(&str, &str)]) -> Result<Arc<dyn SourceCatalog>, SourceError> {
        let mut config = CatalogConfig::new("lake", CatalogKind::Sql, format!("postgresql://{host}:{}/{database}", self.port));
        config.catalog = "c".to_owned();
        config.login.insert("user".into(), Secret::new("keeper"));
        config.login.insert("password".into(), Secret::new("hush"));
        config.login.extend(more.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))));
        open_configured(&config, Storage::local())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn ident(schema: &str, table: &str) -> TableIdent {
    TableIdent { catalog: "lake".into(), schema: schema.into(), table: table.into() }
}

async fn failed(catalog: &Arc<dyn SourceCatalog>, schema: &str, table: &str) -> (&'static str, String) {
    let error = catalog.pointer(&ident(schema, table)).await.unwrap_err();
    (error.sqlstate().code(), error.to_string())
}

/// As pyiceberg and the newer JDBC catalogs make it.
const WITH_TYPE: &str = "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name));
    CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key));
    INSERT INTO iceberg_tables VALUES ('c', 'shop', 'orders', 's3://b/o1', NULL, 'TABLE'), ('c', 'shop', 'Zebras', 's3://b/z', NULL, NULL),
    ('c', 'shop', 'customers', 's3://b/c', NULL, NULL), ('c', 'shop', 'v', 's3://b/v', NULL, 'VIEW'), ('c', 'shop.eu', 'orders', 's3://b/eu', NULL, 'TABLE'),
    ('other', 'elsewhere', 't', 's3://b/t', NULL, 'TABLE'), ('c', 'shop', 'hollow', NULL, NULL, NULL);
    INSERT INTO iceberg_namespace_properties VALUES ('c', 'empty', 'exists', 'true'), ('other', 'not_ours', 'exists', 'true')";

/// As the first JDBC catalogs did.
const WITHOUT_TYPE: &str = "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000));
    INSERT INTO iceberg_tables VALUES ('c', 'shop', 'orders', 's3://b/o1', NULL)";

#[tokio::test]
async fn tables_of_both_schemas_and_what_is_missing() {
    let Some(server) = Postgres::start("sql::postgres::tables_of_both_schemas") else { return };
    server.run("postgres", "CREATE DATABASE newer").await;
    server.run("postgres", "CREATE DATABASE older").await;
    server.run("newer", WITH_TYPE).await;
    server.run("older", WITHOUT_TYPE).await;
    let catalog = server.catalog("127.0.0.1", "newer", &[]).unwrap();
    assert_eq!((catalog.name(), catalog.kind()), ("lake", "sql"));
    assert_eq!(catalog.schemas().await.unwrap(), ["empty", "shop", "shop.eu"]);
    assert_eq!(catalog.tables("shop").await.unwrap(), ["Zebras", "customers", "hollow", "orders"]);
    assert!(catalog.tables("empty").await.unwrap().is_empty());
    assert_eq!(catalog.tables("elsewhere").await.unwrap_err().sqlstate().code(), "3F000");
    assert_eq!(catalog.pointer(&ident("shop.eu", "orders")).await.unwrap().metadata_location, "s3://b/eu");
    let error = catalog.pointer(&ident("shop", "ordrs")).await.unwrap_err();
    assert_eq!((error.sqlstate().code(), error.hint().unwrap().as_str()), ("42P01", "Perhaps you meant \"orders\"."));
    assert_eq!(failed(&catalog, "shp", "orders").await.0, "3F000");
    assert_eq!(failed(&catalog, "shop", "v").await, ("42809", "\"lake.shop.v\" is a view, not a table".into()));
    assert_eq!(failed(&catalog, "shop", "hollow").await.0, "HV000");
    // A commit by another client is seen by the next question.
    assert_eq!(catalog.pointer(&ident("shop", "orders")).await.unwrap().metadata_location, "s3://b/o1");
    server.run("newer", "UPDATE iceberg_tables SET metadata_location = 's3://b/o2' WHERE table_name = 'orders'").await;
    assert_eq!(catalog.pointer(&ident("shop", "orders")).await.unwrap().metadata_location, "s3://b/o2");

    let older = server.catalog("127.0.0.1", "older", &[]).unwrap();
    assert_eq!(older.schemas().await.unwrap(), ["shop"]);
    assert_eq!(older.tables("shop").await.unwrap(), ["orders"]);
    assert_eq!(older.pointer(&ident("shop", "orders")).await.unwrap().metadata_location, "s3://b/o1");
    let none = server.catalog("127.0.0.1", "postgres", &[]).unwrap();
    let (code, message) = failed(&none, "shop", "orders").await;
    assert_eq!((code, message.contains("has no Iceberg catalog")), ("HV000", true), "{message}");
}

#[tokio::test]
async fn a_server_that_went_away_is_noticed_only_while_it_is_away() {
    let Some(server) = Postgres::start("sql::postgres::a_server_that_went_away") else { return };
    server.run("postgres", WITH_TYPE).await;
    let catalog = server.catalog("127.0.0.1", "postgres", &[]).unwrap();
    let orders = ident("shop", "orders");
    let many = futures::future::join_all((0..20).map(|_| catalog.pointer(&orders))).await;
    assert!(many.into_iter().all(|one| one.unwrap().metadata_location == "s3://b/o1"));
    // Every connection that is kept is ended by the server; the next question makes a new one.
    server.run("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'featgres'").await;
    assert_eq!(catalog.pointer(&orders).await.unwrap().metadata_location, "s3://b/o1");
    // One that hangs is given up, and the others go on.
    server
        .run(
            "postgres",
            "CREATE FUNCTION wait() RETURNS text LANGUAGE sql AS 'SELECT pg_sleep(60)::text'; CREATE SCHEMA slow;
        CREATE VIEW slow.iceberg_tables AS SELECT *, wait() AS waited FROM public.iceberg_tables",
        )
        .await;
    let mut config = CatalogConfig::new(
        "lake",
        CatalogKind::Sql,
        format!("postgresql://127.0.0.1:{}/postgres?options=-csearch_path%3Dslow", server.port),
    );
    config.login.insert("user".into(), Secret::new("keeper"));
    config.login.insert("password".into(), Secret::new("hush"));
    (config.catalog, config.timeout) = ("c".to_owned(), Duration::from_millis(500));
    let slow = open_configured(&config, Storage::local()).unwrap();
    let (hung, other) = tokio::join!(failed(&slow, "shop", "orders"), catalog.pointer(&orders));
    assert_eq!((hung.0, hung.1.contains("no answer within 0.5 s")), ("HV00N", true), "{}", hung.1);
    assert!(other.is_ok());
    server.run("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'featgres'").await;
    let port = server.port;
    drop(server);
    let (code, message) = failed(&catalog, "shop", "orders").await;
    assert_eq!((code, message.contains(&format!("127.0.0.1:{port}/postgres"))), ("HV00N", true), "{message}");
    assert!(!message.contains("hush"));
}

#[tokio::test]
async fn tls_means_what_it_says() {
    let Some(server) = Postgres::start("sql::postgres::tls_means_what_it_says") else { return };
    server.run("postgres", WITH_TYPE).await;
    let bundle = server.folder.path().join("ca.pem").display().to_string();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let wrong = server.folder.path().join("other.pem");
    std::fs::write(&wrong, other.cert.pem()).unwrap();
    let orders = ident("shop", "orders");
    let secure = server.catalog("localhost", "postgres?sslmode=verify-full", &[("ssl.cabundle", &bundle)]).unwrap();
    assert_eq!(secure.pointer(&orders).await.unwrap().metadata_location, "s3://b/o1");
    let stranger = server.catalog("localhost", "postgres?sslmode=require", &[("ssl.cabundle", &wrong.display().to_string())]).unwrap();
    let (code, message) = failed(&stranger, "shop", "orders").await;
    assert_eq!((code, message.contains("no secure connection")), ("HV00N", true), "{message}");
    // The server takes encrypted connections only.
    let rules = server.folder.path().join("data/pg_hba.conf");
    std::fs::write(&rules, "hostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    server.run("postgres", "SELECT pg_reload_conf()").await;
    assert_eq!(
        server
            .catalog("localhost", "postgres?sslmode=prefer", &[("ssl.cabundle", &bundle)])
            .unwrap()
            .pointer(&orders)
            .await
            .unwrap()
            .metadata_location,
        "s3://b/o1"
    );
    let refused = server.catalog("127.0.0.1", "postgres", &[("password", "wrong")]).unwrap();
    let (code, message) = failed(&refused, "shop", "orders").await;
    assert_eq!((code, message.contains("refuses the login")), ("HV00N", true), "{message}");
    assert!(!format!("{secure:?} {refused:?}").contains("hush"));
}
