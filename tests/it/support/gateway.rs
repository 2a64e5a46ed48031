//! [`TestGateway`]: the real server on a free port, over a temporary warehouse, stopped with its drop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use featgres::clock::SystemClock;
use featgres::config::Config;
use featgres::demo::sample;
use featgres::demo::warehouse::Warehouse;
use featgres::error::Report;
use featgres::server::Server;
use featgres::session::FeatureGateway;
use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls};

/// A running gateway.
pub struct TestGateway {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it answers HTTP, if it does.
    pub http: Option<SocketAddr>,
    /// What its sessions share.
    pub gateway: Arc<FeatureGateway>,
    project: String,
    folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
}

impl TestGateway {
    /// Over the sample tables of [`super::write_sample`].
    pub async fn start() -> Self {
        Self::with(|_| {}, super::write_sample).await
    }

    /// Over the tables of `featgres demo`.
    pub async fn of_the_demo() -> Self {
        let tables = |warehouse: &Warehouse| {
            sample::write(warehouse).expect("the sample tables");
        };
        Self::with(|_| {}, tables).await
    }

    /// With a changed configuration and tables of the test's own.
    pub async fn with(configure: impl FnOnce(&mut Config), tables: impl FnOnce(&Warehouse)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().expect("an address"));
        let warehouse = Self::warehouse_in(folder.path());
        warehouse.create_namespace("gold").expect("a namespace");
        tables(&warehouse);
        configure(&mut config);
        Self::serve(folder, config).await.expect("the gateway starts")
    }

    /// Serves this configuration.
    pub async fn serve(folder: tempfile::TempDir, config: Config) -> Result<Self, Report> {
        let project = config.project.clone();
        let server = Server::open(config).await?;
        let address = server.address()?;
        let http = server.http_address();
        let gateway = Arc::clone(server.gateway());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        Ok(Self { address, http, gateway, project, folder, stop: Some(stop) })
    }

    /// The folder of warehouse and registry.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes tables into a folder that something else will serve.
    pub fn write_to(folder: &Path, tables: impl FnOnce(&Warehouse)) {
        let warehouse = Self::warehouse_in(folder);
        warehouse.create_namespace("gold").expect("a namespace");
        tables(&warehouse);
    }

    /// The writer of its tables.
    pub fn warehouse(&self) -> Warehouse {
        Self::warehouse_in(self.folder.path())
    }

    fn warehouse_in(folder: &Path) -> Warehouse {
        let config = Config::embedded("test", folder, "127.0.0.1:0".parse().expect("an address"));
        let catalog = config.catalogs.get("iceberg").expect("the embedded catalog");
        Warehouse::open(&catalog.catalog, &folder.join("catalog.sqlite"), &folder.join("warehouse"), Arc::new(SystemClock))
            .expect("a warehouse")
    }

    /// The URL of a path of its HTTP listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http.expect("an HTTP listener"))
    }

    /// The connection string.
    pub fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} user=tester dbname={}", self.address.port(), self.project)
    }

    /// A connected client.
    pub async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.conninfo(), NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// The SQLSTATE of a failed statement.
pub fn code<T: std::fmt::Debug>(outcome: Result<T, tokio_postgres::Error>) -> String {
    let error = outcome.expect_err("the statement fails");
    error.code().map_or_else(|| format!("no SQLSTATE: {error}"), |code| code.code().to_owned())
}
