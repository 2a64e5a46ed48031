//! What all sessions share: registry, catalogs, the engine's memory, who is connected.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use parking_lot::Mutex;

use super::backend::{Authentication, Gateway, Interrupt, Limits, Startup, Tls};
use super::engine;
use super::session::Session;
use crate::config::{AuthMethod, Config};
use crate::error::{Report, SqlState};
use crate::plan::Planner;
use crate::registry::RegistryStore;
use crate::telemetry::Counters;

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
    sessions: Arc<Mutex<HashMap<i32, Connected>>>,
    /// What happened since the start.
    pub counters: Counters,
}

/// One connected client, as others see it.
struct Connected {
    secret: Vec<u8>,
    interrupt: Arc<Interrupt>,
    user: String,
}

/// A place in the list of connected clients; its drop frees it.
pub struct Registration {
    sessions: Arc<Mutex<HashMap<i32, Connected>>>,
    process_id: i32,
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
        Self { config, registry, planner, runtime, view_state, sessions: Arc::default(), counters: Counters::default() }
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

    /// Stops a client's statement; whether there is such a client.
    pub fn cancel_backend(&self, process_id: i32) -> bool {
        self.with(process_id, |client| client.interrupt.cancel())
    }

    /// Ends a client's connection; whether there is such a client.
    pub fn terminate_backend(&self, process_id: i32) -> bool {
        self.with(process_id, |client| client.interrupt.terminate())
    }

    /// Ends all connections: the server stops.
    pub fn terminate_all(&self) {
        self.sessions.lock().values().for_each(|client| client.interrupt.terminate());
    }

    /// Process ids and users of the connected clients.
    pub fn connected(&self) -> Vec<(i32, String)> {
        self.sessions.lock().iter().map(|(process_id, client)| (*process_id, client.user.clone())).collect()
    }

    fn with(&self, process_id: i32, act: impl FnOnce(&Connected)) -> bool {
        self.sessions.lock().get(&process_id).map(act).is_some()
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
        let connected = Connected { secret: startup.secret.clone(), interrupt: Arc::clone(&interrupt), user: startup.user.clone() };
        gateway.sessions.lock().insert(startup.process_id, connected);
        let registration = Registration { sessions: Arc::clone(&gateway.sessions), process_id: startup.process_id };
        Session::open(Arc::clone(gateway), startup, interrupt, registration)
    }

    fn cancel(&self, process_id: i32, secret: &[u8]) {
        self.0.with(process_id, |client| {
            if client.secret == secret {
                client.interrupt.cancel();
            }
        });
    }

    fn authentication(&self, user: &str) -> Authentication {
        match self.0.config.auth.method {
            AuthMethod::Trust => Authentication::Trust,
            AuthMethod::ScramSha256 => {
                Authentication::Scram(self.0.config.auth.users.get(user).map(|verifier| verifier.expose().to_owned()))
            }
        }
    }

    fn tls(&self) -> Option<Tls> {
        None
    }

    fn limits(&self) -> Limits {
        Limits {
            max_connections: self.0.config.limits.max_connections,
            max_message_size: usize::try_from(self.0.config.limits.max_message_size).unwrap_or(usize::MAX),
            startup_timeout: Duration::from_secs(60),
        }
    }
}
