//! `featgres check`: every connection that the configuration names, tried once.
//!
//! A catalog's line is its list of schemas; the next one is a table of its, found and its metadata read as a query would, because
//! only that shows that the credentials of the object store fit the catalog's tables. A catalog without tables is sound.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::block_on;
use super::serve::create_embedded;
use crate::clock::SystemClock;
use crate::config::{CatalogConfig, Config};
use crate::error::Report;
use crate::registry::RegistryStore;
use crate::source::{SnapshotRef, SourceError, Sources, TableIdent};
use crate::storage::Storage;

pub(super) fn check(config: &Config) -> Result<ExitCode, Report> {
    create_embedded(config)?;
    block_on(async move {
        let mut sound = line("configuration", Ok(format!("project \"{}\"", config.project)));
        sound &= line(&format!("registry {}", config.registry), within(STORE, registry(config)).await);
        for catalog in config.catalogs.values() {
            let what = format!("catalog \"{}\" ({}) {}", catalog.name, catalog.kind.name(), catalog.uri);
            let listed = within(catalog.timeout, schemas(catalog)).await;
            let schemas: Vec<String> = listed.iter().flatten().cloned().collect();
            sound &= line(&what, listed.map(|schemas| found(&schemas)));
            let mut reachable = true;
            // A REST catalog's is a name of its own, whose stores it tells with each table.
            if let Some(warehouse) = catalog.warehouse.as_ref().filter(|warehouse| warehouse.contains("://")) {
                let what = format!("warehouse of catalog \"{}\" {warehouse}", catalog.name);
                reachable = line(&what, within(STORE, reached(catalog, warehouse)).await);
                sound &= reachable;
            }
            // It would say the same once more.
            if !reachable {
                continue;
            }
            match within(catalog.timeout + STORE, sample(catalog, &schemas)).await {
                Ok(None) => {}
                Ok(Some((what, read))) => sound &= line(&what, read),
                Err(report) => sound &= line(&format!("tables of catalog \"{}\"", catalog.name), Err(report)),
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

/// Schemas that are shown, and searched for a table.
const MOST_SHOWN: usize = 20;
/// Tables that may turn out to be none of Iceberg's.
const MOST_TRIED: usize = 5;

/// How long an object store may take; its own retries are within that.
const STORE: Duration = Duration::from_secs(60);

/// The outcome, unless it takes too long.
async fn within<T>(limit: Duration, trying: impl Future<Output = Result<T, Report>>) -> Result<T, Report> {
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
    let opened = RegistryStore::open(Storage::new(config.registry_properties())?, &config.registry, Arc::new(SystemClock)).await;
    let store = opened.map_err(|error| {
        let report = Report::from(error);
        let hint = "Set registry to a folder that this user can write, or to s3://bucket/prefix.";
        if report.hint.is_none() { report.hint(hint) } else { report }
    })?;
    let snapshot = store.current();
    Ok(format!("version {}, {} feature views", snapshot.version, snapshot.feature_views.len()))
}

async fn schemas(catalog: &CatalogConfig) -> Result<Vec<String>, Report> {
    Ok(crate::server::catalog(catalog, &Arc::default())?.schemas().await?)
}

/// The first of a list, and how many more there are.
fn found(schemas: &[String]) -> String {
    match schemas {
        [] => "no schemas yet".to_owned(),
        all if all.len() <= MOST_SHOWN => format!("schemas {}", all.join(", ")),
        all => format!("schemas {}, … ({} in all)", all[..MOST_SHOWN].join(", "), all.len()),
    }
}

/// A table of the catalog's, and whether its metadata can be read; none if no table is found soon.
async fn sample(catalog: &CatalogConfig, schemas: &[String]) -> Result<Option<(String, Result<String, Report>)>, Report> {
    let opened = crate::server::catalog(catalog, &Arc::default())?;
    let sources = Sources::new([Arc::clone(&opened)]);
    let mut tried = 0;
    for schema in schemas.iter().take(MOST_SHOWN) {
        for table in opened.tables(schema).await? {
            let ident = TableIdent { catalog: catalog.name.clone(), schema: schema.clone(), table };
            let what = format!("table {ident}");
            let read = async {
                let snapshot = sources.snapshot(&ident, &SnapshotRef::Current).await?;
                // A REST catalog sends the metadata itself; the list of manifests is always a file.
                snapshot.manifests().await.map(|_| snapshot)
            };
            match read.await {
                Ok(snapshot) => {
                    let id = snapshot.snapshot_id().map_or_else(|| "never written".to_owned(), |id| format!("snapshot {id}"));
                    return Ok(Some((what, Ok(format!("metadata can be read, {id}")))));
                }
                // Not ours to read, or gone meanwhile: another one may do.
                Err(SourceError::NotIceberg { .. } | SourceError::NotATable { .. } | SourceError::UnknownTable { .. })
                    if tried < MOST_TRIED =>
                {
                    tried += 1;
                }
                Err(error) => return Ok(Some((what, Err(error.into())))),
            }
        }
    }
    Ok(None)
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
