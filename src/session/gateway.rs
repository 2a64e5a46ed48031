//! What all sessions share: registry, catalogs, the engine's memory, who is connected.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use parking_lot::{Mutex, RwLock};

use super::backend::{Authentication, Gateway, Interrupt, Limits, Startup};
use super::crews::Crews;
use super::engine;
use super::known::KnownTexts;
use super::readiness::LastReadiness;
use super::session::Session;
use super::statistics::StatementStatistics;
use crate::catalog::{BackendFacts, Backends, ServerStatistics, StatementUse};
use crate::config::{AuthConfig, AuthMethod, Config};
use crate::error::{Notice, Report, SqlState};
use crate::plan::Planner;
use crate::registry::RegistryStore;
use crate::source::CacheCounts;
use crate::table::FooterCache;
use crate::telemetry::{CacheUse, Counters, Gauges, StoreUse};

/// Numbers of sessions that are not connections of the wire begin here; the wire counts from 1.
const FIRST_CALL: i32 = 1 << 30;

/// A running gateway.
pub struct FeatureGateway {
    /// Its settings.
    pub config: Config,
    /// Definitions.
    pub registry: Arc<RegistryStore>,
    /// Names to plans.
    pub planner: Planner,
    /// The engine's memory and disk, for all sessions.
    pub runtime: Arc<RuntimeEnv>,
    /// Fixed settings, for `AS SELECT` views.
    pub view_state: Arc<SessionState>,
    /// Who may connect; SIGHUP puts another in its place.
    auth: RwLock<Arc<AuthConfig>>,
    sessions: Arc<Mutex<HashMap<i32, Connected>>>,
    /// What happened since the start.
    pub counters: Counters,
    /// What kinds of statements cost since the start.
    pub statistics: StatementStatistics,
    /// What statements say, of all sessions.
    pub(super) texts: KnownTexts,
    /// Who computes.
    pub(super) crews: Arc<Crews>,
    pub(super) last_readiness: LastReadiness,
    stopping: AtomicBool,
    calls: AtomicI32,
}

/// One connected client, as others see it.
struct Connected {
    secret: Vec<u8>,
    interrupt: Arc<Interrupt>,
    activity: Arc<Mutex<BackendFacts>>,
}

/// A place in the list of connected clients; its drop frees it.
pub struct Registration {
    sessions: Arc<Mutex<HashMap<i32, Connected>>>,
    process_id: i32,
    /// What others see of it.
    pub activity: Arc<Mutex<BackendFacts>>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.process_id);
    }
}

impl FeatureGateway {
    /// A gateway over an open registry and catalogs.
    pub fn new(config: Config, registry: Arc<RegistryStore>, planner: Planner, runtime: Arc<RuntimeEnv>) -> Self {
        let view_state = Arc::new(engine::view_state(&runtime));
        let auth = RwLock::new(Arc::new(config.auth.clone()));
        Self {
            config,
            registry,
            planner,
            runtime,
            view_state,
            auth,
            sessions: Arc::default(),
            counters: Counters::default(),
            statistics: StatementStatistics::default(),
            texts: KnownTexts::default(),
            crews: Arc::default(),
            last_readiness: LastReadiness::default(),
            stopping: AtomicBool::new(false),
            calls: AtomicI32::new(FIRST_CALL),
        }
    }

    /// The server's memory.
    pub fn memory(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.runtime.memory_pool)
    }

    /// What one statement may use of it, in bytes.
    pub fn memory_per_query(&self) -> usize {
        let limit = self.config.limits.memory_per_query.unwrap_or(self.config.limits.memory);
        usize::try_from(limit).unwrap_or(usize::MAX)
    }

    /// Ends all connections: the server stops.
    pub fn terminate_all(&self) {
        self.sessions.lock().values().for_each(|client| client.interrupt.terminate());
    }

    /// Process ids and users of the connected clients.
    pub fn connected(&self) -> Vec<(i32, String)> {
        self.sessions.lock().iter().map(|(process_id, client)| (*process_id, client.activity.lock().user.clone())).collect()
    }

    /// Whether one role may see and stop what another does.
    fn sees(&self, user: &str, other: &str) -> bool {
        user == other || self.auth.read().method == AuthMethod::Trust
    }

    /// The gateway is about to stop: it says so to whoever asks whether it is ready, and takes no more calls.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether [`FeatureGateway::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Who may connect from now on; sessions that are open stay.
    pub fn set_auth(&self, auth: AuthConfig) {
        *self.auth.write() = Arc::new(auth);
    }

    /// A number for a session that no connection of the wire has.
    pub(super) fn next_call(&self) -> i32 {
        let next = |number: i32| Some(number.checked_add(1).unwrap_or(FIRST_CALL));
        self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(FIRST_CALL)
    }

    /// What a scrape shows besides the counters.
    pub fn gauges(&self) -> Gauges {
        let sources = &self.planner.sources;
        let stores = sources.names().into_iter().filter_map(|name| sources.catalog(name).ok()).map(|catalog| {
            let counts = catalog.storage().request_counts();
            let requests = [("get", counts.gets), ("head", counts.heads), ("list", counts.lists), ("put", counts.puts)];
            (catalog.name().to_owned(), StoreUse { requests, bytes: counts.bytes })
        });
        let cache = |counts: CacheCounts| CacheUse { hits: counts.hits, misses: counts.misses, bytes: counts.bytes };
        let caches = [("metadata", cache(sources.cache_counts())), ("footers", cache(FooterCache::process().counts()))];
        let uptime = self.planner.clock.now_micros().saturating_sub(self.planner.facts.started_at);
        Gauges {
            connections_open: self.sessions.lock().len() as u64,
            memory_reserved: self.runtime.memory_pool.reserved() as u64,
            memory_limit: self.config.limits.memory,
            registry_version: self.registry.current().version,
            uptime_seconds: uptime as f64 / 1e6,
            caches: caches.to_vec(),
            stores: stores.collect(),
        }
    }

    fn with(&self, process_id: i32, act: impl FnOnce(&Connected)) -> bool {
        self.sessions.lock().get(&process_id).map(act).is_some()
    }
}

impl ServerStatistics for FeatureGateway {
    fn statements(&self) -> Vec<StatementUse> {
        self.statistics.all()
    }
}

/// The connected clients, as one of them may see and stop them.
///
/// There are no roles yet that could be above others: a role sees and stops its own connections, and where anybody may be anybody
/// (`trust`) all of them.
pub(super) struct OtherBackends {
    /// Not held: a session's functions must not keep the gateway alive.
    pub gateway: Weak<FeatureGateway>,
    /// The role that asks.
    pub user: String,
    /// Where a number that is nobody's is told.
    pub notices: Arc<Mutex<Vec<Notice>>>,
}

impl OtherBackends {
    fn signal(&self, process_id: i32, what: [&str; 2], act: impl FnOnce(&Connected)) -> Result<bool, Report> {
        let Some(gateway) = self.gateway.upgrade() else { return Ok(false) };
        let sessions = gateway.sessions.lock();
        let Some(client) = sessions.get(&process_id) else {
            let message = format!("PID {process_id} is not a PostgreSQL server process");
            self.notices.lock().push(Notice::warning(SqlState::WARNING, message));
            return Ok(false);
        };
        if !gateway.sees(&self.user, &client.activity.lock().user) {
            return Err(Report::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {}", what[0]))
                .detail(format!("A role may only {} its own connections.", what[1])));
        }
        act(client);
        Ok(true)
    }
}

impl Backends for OtherBackends {
    fn cancel(&self, process_id: i32) -> Result<bool, Report> {
        self.signal(process_id, ["cancel query", "cancel queries of"], |client| client.interrupt.cancel())
    }

    fn terminate(&self, process_id: i32) -> Result<bool, Report> {
        self.signal(process_id, ["terminate process", "terminate"], |client| client.interrupt.terminate())
    }

    fn is_connected(&self, process_id: i32) -> bool {
        self.gateway.upgrade().is_some_and(|gateway| gateway.sessions.lock().contains_key(&process_id))
    }

    fn all(&self) -> Vec<BackendFacts> {
        let Some(gateway) = self.gateway.upgrade() else { return Vec::new() };
        let mut all: Vec<BackendFacts> = gateway.sessions.lock().values().map(|client| client.activity.lock().clone()).collect();
        for facts in all.iter_mut().filter(|facts| !gateway.sees(&self.user, &facts.user)) {
            facts.query = None;
        }
        all.sort_by_key(|facts| facts.process_id);
        all
    }
}

/// The gateway as the wire holds it.
#[derive(Clone)]
pub struct SharedGateway(pub Arc<FeatureGateway>);

#[async_trait]
impl Gateway for SharedGateway {
    type Backend = Session;

    async fn open(&self, startup: Startup) -> Result<Session, Report> {
        let gateway = &self.0;
        if startup.database != gateway.config.project {
            return Err(Report::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{}\" does not exist", startup.database))
                .hint(format!("The database of this server is \"{}\".", gateway.config.project)));
        }
        let interrupt = Arc::new(Interrupt::new());
        let now = gateway.planner.clock.now_micros();
        let activity = Arc::new(Mutex::new(BackendFacts {
            process_id: startup.process_id,
            user: startup.user.clone(),
            client: startup.peer,
            encryption: startup.encryption.clone(),
            state: "idle",
            query: Some(String::new()),
            backend_start: now,
            state_change: now,
            ..BackendFacts::default()
        }));
        let connected = Connected { secret: startup.secret.clone(), interrupt: Arc::clone(&interrupt), activity: Arc::clone(&activity) };
        gateway.sessions.lock().insert(startup.process_id, connected);
        let registration = Registration { sessions: Arc::clone(&gateway.sessions), process_id: startup.process_id, activity };
        gateway.counters.connection();
        Session::open(Arc::clone(gateway), startup, interrupt, registration)
    }

    fn cancel(&self, process_id: i32, secret: &[u8]) {
        self.0.with(process_id, |client| {
            if client.secret == secret {
                client.interrupt.cancel();
            }
        });
    }

    fn refused(&self, report: &Report, user: Option<&str>, peer: Option<SocketAddr>) {
        self.0.counters.error(report.sqlstate);
        let (user, sqlstate) = (user.unwrap_or_default(), report.sqlstate.code());
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        tracing::warn!(user, peer, sqlstate, error = %report.message, "connection refused");
    }

    fn authentication(&self, user: &str) -> Authentication {
        let auth = Arc::clone(&self.0.auth.read());
        match auth.method {
            AuthMethod::Trust => Authentication::Trust,
            AuthMethod::Cert => Authentication::Certificate,
            AuthMethod::ScramSha256 => Authentication::Scram(auth.users.get(user).map(|verifier| verifier.expose().to_owned())),
        }
    }

    fn limits(&self) -> Limits {
        let limits = &self.0.config.limits;
        let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        Limits {
            max_connections: limits.max_connections,
            max_message_size: bytes(limits.max_message_size),
            max_statement_size: bytes(limits.max_statement_size),
            max_parameters: limits.max_parameters,
            startup_timeout: limits.startup_timeout,
        }
    }
}
