//! Settings: a TOML file, then the environment, then flags; later ones win.
//!
//! Every source is first turned into a list of [`Setting`]s (a dotted key, a value, and where it was written), and one
//! function per section takes them in. So a key means the same wherever it comes from, an unknown one is refused with
//! its place and what was perhaps meant, and a value that does not parse is shown to the person who wrote it. (serde's
//! `deny_unknown_fields` knows neither the environment nor a suggestion, and names a type instead of a unit.)
//!
//! What this release does not build is refused by name when it is configured: a setting that is read and ignored is a promise
//! broken in silence.
//!
//! With no file and no catalog at all, the configuration is the embedded warehouse in `./featgres-data`.

mod auth;
mod catalog;
mod duration;
mod environment;
mod error;
mod feast;
mod file;
mod http;
mod limits;
mod print;
mod secret;
mod setting;
mod size;
mod telemetry;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use auth::{AuthConfig, AuthMethod};
pub use catalog::{CatalogConfig, CatalogKind, STORAGE_FLAGS, STORAGE_KEYS};
pub use duration::{format_duration, parse_duration};
pub use error::ConfigError;
pub use feast::FeastRegistry;
pub use http::HttpConfig;
pub use limits::Limits;
pub use secret::Secret;
pub use setting::{Origin, Setting};
pub use size::{format_size, parse_size};
pub use telemetry::{LogFormat, TelemetryConfig};
pub use tls::TlsConfig;

/// The folder of the embedded warehouse when nothing is configured.
pub const EMBEDDED_DIRECTORY: &str = "featgres-data";

/// Everything that can be set. Built by [`Config::load`], which gives back only what is complete and consistent.
#[derive(Debug, Clone)]
pub struct Config {
    /// The database name that clients connect to, Feast's project. Default `featgres`.
    pub project: String,
    /// Where to listen for PostgreSQL clients, `host:port`; port 0 takes a free one. Default `127.0.0.1:5433`.
    pub listen: SocketAddr,
    /// URL of the registry's folder, `file://…` or `s3://bucket/prefix`; gateways that share it share their definitions.
    /// Default `registry` in `./featgres-data`.
    pub registry: String,
    /// How long another gateway's commit may stay unseen. Default `1s`; `0` asks the store for every statement.
    pub registry_refresh: Duration,
    /// How long statements may go on after SIGTERM before they are cancelled. Default `30s`.
    pub shutdown_timeout: Duration,
    /// Properties of the registry's object store, and of every catalog that does not set them itself: `s3.endpoint`, …
    pub storage: BTreeMap<String, Secret>,
    /// The `[catalogs.NAME]` sections, by name. Default: one, `iceberg`, the embedded warehouse.
    pub catalogs: BTreeMap<String, CatalogConfig>,
    /// Who may connect.
    pub auth: AuthConfig,
    /// The server's certificate. Default: none, and no TLS.
    pub tls: Option<TlsConfig>,
    /// How much anyone may use.
    pub limits: Limits,
    /// What is written to the log.
    pub telemetry: TelemetryConfig,
    /// Metrics, health, and the original deployment's calls.
    pub http: HttpConfig,
    /// The folder that the start has to create, if the embedded warehouse is served.
    pub embedded: Option<PathBuf>,
}

/// Keys at the top of the file that are values.
const TOP_LEVEL: &[&str] = &["project", "listen", "registry", "registry_refresh", "shutdown_timeout"];
/// Its sections.
const SECTIONS: &[&str] = &["catalogs", "auth", "tls", "limits", "telemetry", "http"];

/// The flags of `serve` and `check` that are settings.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`
    pub listen: Option<String>,
    /// `--registry`
    pub registry: Option<String>,
}

impl Default for Config {
    /// The embedded warehouse in [`EMBEDDED_DIRECTORY`] of the current folder.
    fn default() -> Self {
        let mut config = Self::bare();
        config.embed(Path::new(EMBEDDED_DIRECTORY));
        config
    }
}

impl Config {
    /// File (if given), environment, flags; checked. `environment` is every variable; those that mean nothing to us are skipped.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::bare();
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            for setting in file::settings(path, &text, &environment)? {
                config.set(&setting)?;
            }
        }
        for setting in environment::settings(&environment) {
            config.set(&setting)?;
        }
        for (flag, value) in [("listen", &overrides.listen), ("registry", &overrides.registry)] {
            if let Some(value) = value {
                config.set(&Setting::flag(flag, value))?;
            }
        }
        environment::fill_original_deployment(&mut config, &environment);
        config.complete()?;
        Ok(config)
    }

    /// The embedded warehouse in `directory` under another project name, as `featgres demo` serves it.
    pub fn embedded(project: &str, directory: &Path, listen: SocketAddr) -> Self {
        let mut config = Self::bare();
        config.project = project.to_owned();
        config.listen = listen;
        config.embed(directory);
        config
    }

    /// The properties of the registry's object store, in the clear.
    pub fn registry_properties(&self) -> BTreeMap<String, String> {
        self.storage.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect()
    }

    /// The configuration as TOML, secrets as `***`.
    pub fn to_toml(&self) -> String {
        print::to_toml(self)
    }

    /// Defaults of everything that does not depend on the catalogs.
    fn bare() -> Self {
        Self {
            project: "featgres".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 5433)),
            registry: String::new(),
            registry_refresh: Duration::from_secs(1),
            shutdown_timeout: Duration::from_secs(30),
            storage: BTreeMap::new(),
            catalogs: BTreeMap::new(),
            auth: AuthConfig::default(),
            tls: None,
            limits: Limits::default(),
            telemetry: TelemetryConfig::default(),
            http: HttpConfig::default(),
            embedded: None,
        }
    }

    /// Serves the warehouse of `directory`: `catalog.sqlite`, `warehouse/`, `registry/`.
    fn embed(&mut self, directory: &Path) {
        let directory = absolute(directory);
        let uri = format!("sqlite:///{}", directory.join("catalog.sqlite").display());
        let mut catalog = CatalogConfig::new("iceberg", CatalogKind::Sql, uri);
        catalog.warehouse = Some(file_url(&directory.join("warehouse")));
        self.catalogs.insert("iceberg".to_owned(), catalog);
        if self.registry.is_empty() {
            self.registry = file_url(&directory.join("registry"));
        }
        self.embedded = Some(directory);
    }

    /// Takes one setting in.
    fn set(&mut self, setting: &Setting) -> Result<(), ConfigError> {
        let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["project"] => self.project = setting.non_empty()?.to_owned(),
            ["listen"] => self.listen = setting.address()?,
            ["registry"] => self.registry = location(setting.non_empty()?),
            ["registry_refresh"] => self.registry_refresh = setting.duration()?,
            ["shutdown_timeout"] => self.shutdown_timeout = setting.duration()?,
            ["catalogs", name, rest @ ..] => {
                let empty_section = rest.is_empty() && setting.value == setting::Value::Other("a table");
                let catalog =
                    self.catalogs.entry((*name).to_owned()).or_insert_with(|| CatalogConfig::new(name, CatalogKind::Sql, String::new()));
                if !empty_section {
                    catalog.set(&rest.join("."), setting)?;
                }
            }
            ["auth", rest @ ..] => self.auth.set(rest, setting)?,
            ["limits", rest @ ..] => self.limits.set(&rest.join("."), setting)?,
            ["telemetry", rest @ ..] => self.telemetry.set(&rest.join("."), setting)?,
            ["tls", rest @ ..] => self.tls.get_or_insert_default().set(&rest.join("."), setting)?,
            ["http", rest @ ..] => self.http.set(&rest.join("."), setting)?,
            ["s3" | "mount", ..] if catalog::is_storage_key(&setting.key()) => {
                let key = setting.key();
                let value = catalog::storage_value(&key, setting)?;
                self.storage.insert(key, Secret::new(value));
            }
            _ => return Err(setting.unknown(TOP_LEVEL.iter().chain(SECTIONS).chain(STORAGE_KEYS).copied())),
        }
        Ok(())
    }

    /// Fills what depends on the rest, and refuses what does not fit together.
    fn complete(&mut self) -> Result<(), ConfigError> {
        if self.catalogs.is_empty() {
            self.embed(Path::new(EMBEDDED_DIRECTORY));
        }
        if self.registry.is_empty() {
            self.registry = file_url(&absolute(Path::new(EMBEDDED_DIRECTORY)).join("registry"));
        }
        for catalog in self.catalogs.values_mut() {
            catalog.inherit(&self.storage);
            catalog.complete()?;
        }
        if self.catalogs.contains_key(&self.project) {
            return Err(ConfigError::CatalogNamedLikeProject { name: self.project.clone() });
        }
        if let Some(name) = self
            .catalogs
            .keys()
            .find(|name| ["public", "feature_store", "pg_catalog", "pg_temp", "information_schema"].contains(&name.as_str()))
        {
            return Err(ConfigError::ReservedCatalogName { name: name.clone() });
        }
        self.http.check(&self.auth, self.tls.as_ref())?;
        if let Some(tls) = &self.tls {
            tls.check()?;
        }
        self.auth.check(self.listen, self.tls.as_ref())
    }
}

/// `path` seen from the current folder, without asking the file system whether it is there.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The `file://` URL of an absolute path, nothing escaped: locations in Iceberg metadata are not either.
fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// A URL as it is; a plain path as the `file://` URL of it.
fn location(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { file_url(&absolute(Path::new(text))) }
}

#[cfg(test)]
mod tests;
