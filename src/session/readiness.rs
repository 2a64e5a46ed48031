//! [`Readiness`]: whether the gateway can serve, and what of it cannot.
//!
//! A catalog that is down takes no gateway out of service: its own queries say so (HV00N), the others go on. What does take it
//! out is its stop, and a registry that cannot be read. Answers are kept for a while, so that probes cost the catalogs next
//! to nothing however often and by whomever they come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::timeout;

use super::gateway::FeatureGateway;
use crate::error::{Report, SqlState};

/// How long an answer is good for.
const LIFETIME: Duration = Duration::from_secs(5);
/// How long one catalog, or the registry, may take to answer a probe.
const PROBE: Duration = Duration::from_secs(5);

/// The state of the gateway's parts.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Whether the gateway is stopping.
    pub stopping: bool,
    /// The registry's version, or why it cannot be read.
    pub registry: Result<u64, Report>,
    /// Each catalog.
    pub catalogs: Vec<CatalogHealth>,
}

/// One catalog.
#[derive(Debug, Clone)]
pub struct CatalogHealth {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Why it does not answer, if it does not.
    pub down: Option<Report>,
}

impl Readiness {
    /// Whether clients should be sent here.
    pub fn is_ready(&self) -> bool {
        !self.stopping && self.registry.is_ok()
    }
}

/// The last answer.
#[derive(Debug, Default)]
pub struct LastReadiness(tokio::sync::Mutex<Option<(Instant, Arc<Readiness>)>>);

impl FeatureGateway {
    /// Asks registry and catalogs, or gives what they said within the last seconds.
    pub async fn readiness(&self) -> Arc<Readiness> {
        let stopping = self.is_stopping();
        // Held while asking: of several probes one asks, the others wait for its answer.
        let mut last = self.last_readiness.0.lock().await;
        if let Some((at, readiness)) = last.as_ref()
            && at.elapsed() < LIFETIME
            && readiness.stopping == stopping
        {
            return Arc::clone(readiness);
        }
        let registry = async {
            match timeout(PROBE, self.registry.fresh()).await {
                Ok(answer) => answer.map(|snapshot| snapshot.version).map_err(Report::from),
                Err(_) => Err(silent("the registry", SqlState::IO_ERROR)),
            }
        };
        let sources = &self.planner.sources;
        let catalogs = sources.names().into_iter().filter_map(|name| sources.catalog(name).ok()).map(|catalog| async move {
            let down = match timeout(PROBE, catalog.schemas()).await {
                Ok(answer) => answer.err().map(Report::from),
                Err(_) => Some(silent(&format!("catalog \"{}\"", catalog.name()), SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION)),
            };
            CatalogHealth { name: catalog.name().to_owned(), kind: catalog.kind(), down }
        });
        let (registry, catalogs) = futures::join!(registry, join_all(catalogs));
        let readiness = Arc::new(Readiness { stopping, registry, catalogs });
        *last = Some((Instant::now(), Arc::clone(&readiness)));
        readiness
    }
}

fn silent(who: &str, sqlstate: SqlState) -> Report {
    Report::new(sqlstate, format!("{who} did not answer within {} s", PROBE.as_secs()))
}
