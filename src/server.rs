//! The composition root: the only file that knows everybody. It opens what the configuration names, in an order in which
//! nothing is served unless all of it loaded, and takes it down again.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::config::{CatalogConfig, CatalogKind, Config};
use crate::error::{Report, SqlState};
use crate::plan::{Planner, StoreFacts};
use crate::registry::RegistryStore;
use crate::session::{FeatureGateway, SharedGateway};
use crate::source::{FileCache, SourceCatalog, Sources, nessie, rest, sql, trino};
use crate::storage::Storage;
use crate::table::FooterCache;
use crate::wire::tls::ServedTls;

/// What answers that were stopped have to be told so.
const FAREWELL: Duration = Duration::from_secs(2);

/// A gateway that is ready to serve.
pub struct Server {
    listener: TcpListener,
    http: Option<TcpListener>,
    gateway: Arc<FeatureGateway>,
    tls: Option<Arc<ServedTls>>,
    shutdown_timeout: Duration,
}

impl Server {
    /// Opens registry, catalogs and the listening socket. A catalog that is down is no reason not to start: its queries will say so.
    pub async fn open(config: Config) -> Result<Self, Report> {
        // Two crypto providers are linked (a Trino client brings the other); this one serves all of TLS. It may be there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = served_tls(&config)?;
        let runtime = runtime(&config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let storage = Storage::new(config.registry_properties())?;
        let registry = RegistryStore::open_with(storage, &config.registry, Arc::clone(&clock), config.registry_refresh).await?;
        let planner = Planner {
            project: config.project.clone(),
            sources: Arc::new(sources(&config)?),
            facts: StoreFacts {
                registry_type: config.registry.split("://").next().unwrap_or("file").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started_at: clock.now_micros(),
            },
            clock,
        };
        let listener = bind(config.listen, "--listen takes another one").await?;
        let http = match config.http.listen {
            Some(address) => Some(bind(address, "[http] listen takes another one").await?),
            None => None,
        };
        let shutdown_timeout = config.shutdown_timeout;
        let gateway = Arc::new(FeatureGateway::new(config, registry, planner, runtime));
        Ok(Self { listener, http, gateway, tls, shutdown_timeout })
    }

    /// The address that it listens on: a port of 0 in the configuration is a real one here.
    pub fn address(&self) -> Result<SocketAddr, Report> {
        self.listener.local_addr().map_err(|failure| Report::new(SqlState::IO_ERROR, failure.to_string()))
    }

    /// The address of the HTTP listener, if there is one.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// What sessions share.
    pub fn gateway(&self) -> &Arc<FeatureGateway> {
        &self.gateway
    }

    /// The certificate that is served, if there is one; its files can be read again.
    pub fn tls(&self) -> Option<&Arc<ServedTls>> {
        self.tls.as_ref()
    }

    /// Serves until `stop` is done; then refuses new clients, lets statements finish within `shutdown_timeout`, and ends the rest with 57P01.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send) -> Result<(), Report> {
        let Self { listener, http, gateway, tls, shutdown_timeout } = self;
        let https = tls.clone().filter(|_| gateway.config.http.tls).map(|tls| Arc::new(move || tls.http()) as crate::http::Tls);
        let http = http.map(|listener| {
            let (done, ended) = oneshot::channel::<()>();
            // A sender that is gone means the same as one that has sent.
            let stop = async move { drop(ended.await) };
            (done, tokio::spawn(crate::http::serve(listener, https, Arc::clone(&gateway), stop)))
        });
        let stopping = Arc::clone(&gateway);
        let began = Arc::new(OnceLock::new());
        let noted = Arc::clone(&began);
        let stop = async move {
            stop.await;
            stopping.stop();
            let _ = noted.set(Instant::now());
        };
        crate::wire::serve(listener, Arc::new(SharedGateway(Arc::clone(&gateway))), tls, stop, shutdown_timeout).await;
        if let Some((done, serving)) = http {
            let left = shutdown_timeout.saturating_sub(began.get().map(Instant::elapsed).unwrap_or_default());
            stop_http(&gateway, done, serving, left).await;
        }
        Ok(())
    }
}

/// Lets calls finish within `left`, ends the rest, and with them the listener.
async fn stop_http(gateway: &FeatureGateway, done: oneshot::Sender<()>, mut serving: JoinHandle<()>, left: Duration) {
    // From here on nothing is accepted, and connections close when their calls are answered.
    let _ = done.send(());
    if tokio::time::timeout(left, &mut serving).await.is_err() {
        gateway.terminate_all();
        if tokio::time::timeout(FAREWELL, &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

async fn bind(address: SocketAddr, otherwise: &str) -> Result<TcpListener, Report> {
    TcpListener::bind(address).await.map_err(|failure| {
        Report::new(SqlState::CONFIG_FILE_ERROR, format!("cannot listen on {address}: {failure}"))
            .hint(format!("Another process may use the address; {otherwise}."))
    })
}

/// The configured certificate: whole, or the server does not start.
pub fn served_tls(config: &Config) -> Result<Option<Arc<ServedTls>>, Report> {
    let load = |tls| ServedTls::load(tls, tls.is_required(config.listen)).map(Arc::new);
    Ok(config.tls.as_ref().map(load).transpose()?)
}

/// The engine's memory and disk.
fn runtime(config: &Config) -> Result<Arc<RuntimeEnv>, Report> {
    let memory = usize::try_from(config.limits.memory).unwrap_or(usize::MAX);
    let largest_consumers = std::num::NonZeroUsize::MIN.saturating_add(4);
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![config.limits.temp_dir.clone()]))
        .with_max_temp_directory_size(config.limits.temp_size);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(memory), largest_consumers)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(|failure| {
            Report::new(SqlState::CONFIG_FILE_ERROR, format!("cannot set up the engine: {failure}"))
                .hint("limits.temp_dir must name a folder that can be written.")
        })?;
    crate::table::register_engine_store(&runtime);
    Ok(runtime)
}

/// The configured catalogs.
fn sources(config: &Config) -> Result<Sources, Report> {
    let cache = Arc::new(FileCache::new(config.limits.metadata_cache));
    FooterCache::process().set_limit(usize::try_from(config.limits.footer_cache).unwrap_or(usize::MAX));
    let catalogs = config.catalogs.values().map(|config| catalog(config, &cache)).collect::<Result<Vec<_>, _>>()?;
    Ok(Sources::with_cache(catalogs, cache))
}

/// Opens one configured catalog; asks it nothing yet. `cache` is the one that its tables' metadata is read through.
pub fn catalog(config: &CatalogConfig, cache: &Arc<FileCache>) -> Result<Arc<dyn SourceCatalog>, Report> {
    let storage = Storage::new(config.storage_properties())?;
    match config.kind {
        CatalogKind::Sql => Ok(sql::open_configured(config, storage)?),
        CatalogKind::Trino => Ok(trino::open(config, storage, Arc::clone(cache))?),
        CatalogKind::Nessie => Ok(nessie::open(config, storage)?),
        CatalogKind::Rest => Ok(rest::open(config, storage)?),
    }
}
