//! `featgres check`: every connection that the configuration names, tried once.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::block_on;
use super::serve::create_embedded;
use crate::clock::SystemClock;
use crate::config::{CatalogConfig, Config};
use crate::error::Report;
use crate::registry::RegistryStore;
use crate::storage::Storage;

pub(super) fn check(config: &Config) -> Result<ExitCode, Report> {
    create_embedded(config)?;
    block_on(async move {
        let mut sound = line("configuration", Ok(format!("project \"{}\"", config.project)));
        sound &= line(&format!("registry {}", config.registry), within(STORE, registry(config)).await);
        for catalog in config.catalogs.values() {
            let what = format!("catalog \"{}\" ({}) {}", catalog.name, catalog.kind.name(), catalog.uri);
            sound &= line(&what, within(catalog.timeout, schemas(catalog)).await);
            // A REST catalog's is a name of its own, whose stores it tells with each table.
            if let Some(warehouse) = catalog.warehouse.as_ref().filter(|warehouse| warehouse.contains("://")) {
                sound &= line(&format!("warehouse {warehouse}"), within(STORE, reached(catalog, warehouse)).await);
            }
        }
        sound &= line(&format!("limits.temp_dir {}", config.limits.temp_dir.display()), temp_dir(config));
        if let Some(tls) = &config.tls {
            let loaded = crate::server::served_tls(config);
            let required = if tls.is_required(config.listen) { "required" } else { "optional" };
            sound &= line(&format!("tls.cert {}", tls.cert.display()), loaded.map(|_| format!("can be served, TLS is {required}")));
        }
        sound &= line(&format!("listen {}", config.listen), listen("listen", config.listen).await);
        if let Some(address) = config.http.listen {
            sound &= line(&format!("http.listen {address}"), listen("http.listen", address).await);
        }
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// How long an object store may take; its own retries are within that.
const STORE: Duration = Duration::from_secs(60);

/// The outcome, unless it takes too long.
async fn within(limit: Duration, trying: impl Future<Output = Result<String, Report>>) -> Result<String, Report> {
    tokio::time::timeout(limit, trying).await.unwrap_or_else(|_| {
        Err(Report::new(crate::error::SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION, format!("no answer within {} s", limit.as_secs()))
            .hint("Is the address right, and does a firewall let this machine through?"))
    })
}

/// Prints one line, and how to fix what failed; gives whether it was sound.
fn line(what: &str, outcome: Result<String, Report>) -> bool {
    match outcome {
        Ok(found) => {
            println!("ok      {what}: {found}");
            true
        }
        Err(report) => {
            println!("FAILED  {what}: {}", report.message);
            for text in [&report.detail, &report.hint].into_iter().flatten() {
                println!("        {text}");
            }
            false
        }
    }
}

async fn registry(config: &Config) -> Result<String, Report> {
    let store = RegistryStore::open(Storage::new(config.registry_properties())?, &config.registry, Arc::new(SystemClock)).await?;
    let snapshot = store.current();
    Ok(format!("version {}, {} feature views", snapshot.version, snapshot.feature_views.len()))
}

async fn schemas(catalog: &CatalogConfig) -> Result<String, Report> {
    let schemas = crate::server::catalog(catalog, &Arc::default())?.schemas().await?;
    Ok(if schemas.is_empty() { "no schemas yet".to_owned() } else { format!("schemas {}", schemas.join(", ")) })
}

/// One listing of the warehouse's folder: credentials, region and bucket are right, or this says which is not.
async fn reached(catalog: &CatalogConfig, warehouse: &str) -> Result<String, Report> {
    let storage = Storage::new(catalog.storage_properties())?;
    // The exact folder of nothing: a listing that is cheap however much the warehouse holds.
    let probe = format!("{}/.featgres-check/", warehouse.trim_end_matches('/'));
    storage.list(&probe).await?;
    Ok("can be listed".to_owned())
}

fn temp_dir(config: &Config) -> Result<String, Report> {
    let directory = &config.limits.temp_dir;
    let probe = directory.join(format!(".featgres-check-{}", std::process::id()));
    let tried = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    tried.map(|()| "can be written".to_owned()).map_err(|failure| {
        Report::new(crate::error::SqlState::IO_ERROR, format!("cannot be written: {failure}"))
            .hint("Set limits.temp_dir to a folder that can.")
    })
}

async fn listen(setting: &str, address: std::net::SocketAddr) -> Result<String, Report> {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Ok("free".to_owned()),
        Err(failure) => Err(Report::new(crate::error::SqlState::IO_ERROR, failure.to_string())
            .hint(format!("Is the gateway running already? Otherwise set {setting} to a free address."))),
    }
}
