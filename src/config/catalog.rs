//! `[catalogs.NAME]`: where tables are found.
//!
//! Keys may come in any order and from file and environment, so what depends on the type is checked when all are there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ConfigError, Secret, Setting, location};

/// How tables are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogKind {
    /// An Iceberg SQL (JDBC) catalog: the table `iceberg_tables` in SQLite or PostgreSQL.
    Sql,
    /// Trino, asked for the metadata file of its Iceberg tables.
    Trino,
    /// Nessie's own API, version 2.
    Nessie,
    /// An Iceberg REST catalog.
    Rest,
}

impl CatalogKind {
    /// All, by the word that `type` takes.
    const ALL: [(&'static str, Self); 4] = [("sql", Self::Sql), ("trino", Self::Trino), ("nessie", Self::Nessie), ("rest", Self::Rest)];

    /// The word that `type` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Trino => "trino",
            Self::Nessie => "nessie",
            Self::Rest => "rest",
        }
    }

    /// The keys of [`LOGIN_KEYS`] that it reads.
    fn login_keys(self) -> &'static [&'static str] {
        match self {
            Self::Sql => &["user", "password", "ssl.cabundle"],
            Self::Trino => &["user", "password", "jwt", "credential", "scope", "oauth2-server-uri", "ssl.cabundle"],
            Self::Nessie => &["ref", "token", "credential", "scope", "oauth2-server-uri", "ssl.cabundle"],
            Self::Rest => &["token", "credential", "scope", "audience", "resource", "oauth2-server-uri", "prefix", "ssl.cabundle"],
        }
    }

    fn default_pointer_lifetime(self) -> Duration {
        match self {
            Self::Trino => Duration::from_secs(1),
            Self::Sql | Self::Nessie | Self::Rest => Duration::ZERO,
        }
    }
}

/// Properties of object stores that are understood, by pyiceberg's names.
pub const STORAGE_KEYS: &[&str] = &[
    "s3.endpoint",
    "s3.region",
    "s3.access-key-id",
    "s3.secret-access-key",
    "s3.session-token",
    "s3.path-style-access",
    "s3.force-virtual-addressing",
    "s3.anonymous",
    "s3.profile-name",
    "s3.connect-timeout",
    "s3.request-timeout",
];

/// Those that are true or false.
pub const STORAGE_FLAGS: &[&str] = &["s3.path-style-access", "s3.force-virtual-addressing", "s3.anonymous"];

/// A property for a folder that stands for a bucket: `mount.BUCKET = "/path"`, for copies of a warehouse.
const MOUNT: &str = "mount.";

/// The three that only make sense together.
const CREDENTIALS: [&str; 3] = ["s3.access-key-id", "s3.secret-access-key", "s3.session-token"];

const KEYS: &[&str] = &["type", "uri", "catalog", "warehouse", "pointer_lifetime", "timeout"];

/// How one logs in to a catalog and what one asks it for, by pyiceberg's names where it has them. Which of them a catalog
/// reads depends on its type.
const LOGIN_KEYS: &[&str] = &[
    "user",
    "password",
    "jwt",
    "token",
    "credential",
    "scope",
    "audience",
    "resource",
    "oauth2-server-uri",
    "prefix",
    "ref",
    "ssl.cabundle",
];

/// Those of them that nobody may read; `password_file = "/path"` takes one from a file.
const SECRET_KEYS: [&str; 4] = ["password", "jwt", "token", "credential"];

/// One `[catalogs.NAME]`.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// The section's name: the first part of `catalog.schema.table`.
    pub name: String,
    /// `type`. No default: it must be written.
    pub kind: CatalogKind,
    /// `uri`: `sqlite:////absolute/catalog.db` (three slashes: relative to the current folder), `postgresql://host/database`,
    /// `http://` or `https://` of Trino, Nessie or the REST catalog. A password in it is moved to `password`. No default.
    pub uri: String,
    /// `catalog`: its name there: in `iceberg_tables`, or among Trino's catalogs. Default: the section's name.
    pub catalog: String,
    /// `warehouse`: URL under which tables are written; for REST, the name that the server knows it by. Default: none.
    pub warehouse: Option<String>,
    /// `pointer_lifetime`: how long a table's metadata location may be reused. Default `1s` for Trino, else `0`: asked for every statement.
    pub pointer_lifetime: Duration,
    /// `timeout`: how long the catalog may take to answer one question. Default `30s`.
    pub timeout: Duration,
    /// `user`, `password`, `jwt`, `token`, `credential`, `ref`, …: how one logs in and what one asks for. Default: none.
    pub login: BTreeMap<String, Secret>,
    /// `s3.…`: properties of the object stores of its tables. Default: those at the top of the file.
    pub properties: BTreeMap<String, Secret>,
    /// Whether `type` was written.
    typed: bool,
    /// `pointer_lifetime` as written.
    own_lifetime: Option<Duration>,
}

impl CatalogConfig {
    /// A catalog with nothing but these.
    pub fn new(name: &str, kind: CatalogKind, uri: String) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            typed: !uri.is_empty(),
            uri,
            catalog: name.to_owned(),
            warehouse: None,
            pointer_lifetime: kind.default_pointer_lifetime(),
            timeout: Duration::from_secs(30),
            login: BTreeMap::new(),
            properties: BTreeMap::new(),
            own_lifetime: None,
        }
    }

    /// Properties of the object stores, in the clear.
    pub fn storage_properties(&self) -> BTreeMap<String, String> {
        self.properties.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect()
    }

    /// A login property, in the clear.
    pub fn login(&self, key: &str) -> Option<&str> {
        self.login.get(key).map(Secret::expose)
    }

    pub(super) fn set(&mut self, key: &str, setting: &Setting) -> Result<(), ConfigError> {
        match key {
            "type" => {
                let word = setting.text()?;
                let found = CatalogKind::ALL.iter().find(|(name, _)| *name == word);
                self.kind = found.map(|(_, kind)| *kind).ok_or_else(|| setting.bad("the types are sql, trino, nessie and rest"))?;
                self.typed = true;
            }
            "uri" => setting.non_empty()?.clone_into(&mut self.uri),
            "catalog" => setting.non_empty()?.clone_into(&mut self.catalog),
            "warehouse" => self.warehouse = Some(setting.non_empty()?.to_owned()),
            "pointer_lifetime" => self.own_lifetime = Some(setting.duration()?),
            "timeout" => self.timeout = setting.timeout()?.ok_or_else(|| setting.bad("a catalog needs some time to answer"))?,
            login if LOGIN_KEYS.contains(&login) => {
                self.login.insert(login.to_owned(), Secret::new(setting.non_empty()?));
            }
            file if file.strip_suffix("_file").is_some_and(|key| SECRET_KEYS.contains(&key)) => {
                let path = setting.non_empty()?;
                let text = std::fs::read_to_string(path).map_err(|error| setting.bad(format!("\"{path}\" cannot be read: {error}")))?;
                self.login.insert(file.trim_end_matches("_file").to_owned(), Secret::new(text.trim()));
            }
            property if is_storage_key(property) => {
                self.properties.insert(property.to_owned(), Secret::new(storage_value(property, setting)?));
            }
            _ => {
                let known = KEYS
                    .iter()
                    .chain(LOGIN_KEYS)
                    .chain(STORAGE_KEYS)
                    .map(|key| format!("catalogs.{}.{key}", self.name))
                    .collect::<Vec<_>>();
                return Err(setting.unknown(known.iter().map(String::as_str)));
            }
        }
        Ok(())
    }

    /// Takes properties that it does not set itself.
    pub(super) fn inherit(&mut self, shared: &BTreeMap<String, Secret>) {
        let own_credentials = CREDENTIALS.iter().any(|key| self.properties.contains_key(*key));
        for (key, value) in shared {
            if !(own_credentials && CREDENTIALS.contains(&key.as_str())) {
                self.properties.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// Fills what depends on the type, and refuses what does not fit it.
    pub(super) fn complete(&mut self) -> Result<(), ConfigError> {
        let missing = |key, example| Err(ConfigError::Missing { catalog: self.name.clone(), key, example });
        if !self.typed {
            return missing("type", "type = \"sql\"");
        }
        if self.uri.is_empty() {
            return match self.kind {
                CatalogKind::Sql => missing("uri", "uri = \"sqlite:////var/lib/featgres/catalog.sqlite\""),
                CatalogKind::Trino => missing("uri", "uri = \"http://trino:8080\""),
                CatalogKind::Nessie => missing("uri", "uri = \"http://nessie:19120/api/v2\""),
                CatalogKind::Rest => missing("uri", "uri = \"https://catalog.example.com/iceberg\""),
            };
        }
        let keys = self.kind.login_keys();
        if let Some(key) = self.login.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(self.refused(key, format!("a catalog of type \"{}\" does not take it", self.kind.name())));
        }
        self.take_password_from_uri()?;
        if let Some(warehouse) = &mut self.warehouse
            && self.kind != CatalogKind::Rest
        {
            *warehouse = location(warehouse);
        }
        self.pointer_lifetime = self.own_lifetime.unwrap_or_else(|| self.kind.default_pointer_lifetime());
        if self.kind == CatalogKind::Sql && !self.pointer_lifetime.is_zero() {
            return Err(self.refused("pointer_lifetime", "a catalog of type \"sql\" is asked for every statement: leave it out".to_owned()));
        }
        Ok(())
    }

    /// Checks the URI's form; what is secret in it becomes a secret.
    fn take_password_from_uri(&mut self) -> Result<(), ConfigError> {
        if let Some(path) = self.uri.strip_prefix("sqlite:")
            && self.kind == CatalogKind::Sql
        {
            if path.len() <= "///".len() || !path.starts_with("///") || path.contains(":memory:") {
                return Err(self.refused("uri", "it must be sqlite:///relative/path or sqlite:////absolute/path".to_owned()));
            }
            return Ok(());
        }
        let (schemes, form): (&[&str], _) = match self.kind {
            CatalogKind::Sql => (&["postgresql", "postgres"], "it must be sqlite:////path/catalog.db or postgresql://host/database"),
            CatalogKind::Trino | CatalogKind::Nessie | CatalogKind::Rest => (&["http", "https"], "it must be an http:// or https:// URL"),
        };
        // SQLAlchemy's spelling, which pyiceberg wants: the driver is of no interest here.
        let text = self.uri.replacen("postgresql+psycopg2:", "postgresql:", 1).replacen("postgresql+psycopg:", "postgresql:", 1);
        let mut uri = url::Url::parse(&text).map_err(|_| self.refused("uri", form.to_owned()))?;
        if !schemes.contains(&uri.scheme()) || uri.host_str().is_none_or(str::is_empty) {
            return Err(self.refused("uri", form.to_owned()));
        }
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        if let Some(password) = uri.password().map(decoded) {
            self.login.entry("password".to_owned()).or_insert_with(|| Secret::new(password));
        }
        if !uri.username().is_empty() {
            let user = decoded(uri.username());
            self.login.entry("user".to_owned()).or_insert_with(|| Secret::new(user));
        }
        if matches!(self.kind, CatalogKind::Nessie | CatalogKind::Rest) && (uri.password().is_some() || !uri.username().is_empty()) {
            return Err(self.refused("uri", "a user and a password have no place in it; use token or credential".to_owned()));
        }
        // Neither can fail: there is a host.
        let _ = (uri.set_password(None), uri.set_username(""));
        self.uri = uri.to_string().trim_end_matches('/').to_owned();
        Ok(())
    }

    fn refused(&self, key: &str, reason: String) -> ConfigError {
        ConfigError::CatalogSetting { catalog: self.name.clone(), key: key.to_owned(), reason }
    }
}

/// Whether a dotted key is a property of object stores.
pub(super) fn is_storage_key(key: &str) -> bool {
    STORAGE_KEYS.contains(&key) || key.strip_prefix(MOUNT).is_some_and(|bucket| !bucket.is_empty())
}

/// A property's value as text; booleans are text in the specification and may be true or false in TOML.
pub(super) fn storage_value(key: &str, setting: &Setting) -> Result<String, ConfigError> {
    if !STORAGE_FLAGS.contains(&key) {
        return Ok(setting.text()?.to_owned());
    }
    match setting.text() {
        Ok(text @ ("true" | "false")) => Ok(text.to_owned()),
        Ok(_) => Err(setting.bad("it must be true or false")),
        Err(_) => setting.boolean().map(|value| value.to_string()),
    }
}
