//! `[catalogs.NAME]`: where tables are found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConfigError, Secret, Setting, location};

/// Kinds of catalog of this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogKind {
    /// An Iceberg SQL (JDBC) catalog: the table `iceberg_tables` in SQLite.
    Sql,
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
];

/// Those that are true or false.
const BOOLEANS: [&str; 3] = ["s3.path-style-access", "s3.force-virtual-addressing", "s3.anonymous"];

/// A property for a folder that stands for a bucket: `mount.BUCKET = "/path"`, for copies of a warehouse.
const MOUNT: &str = "mount.";

/// The three that only make sense together.
const CREDENTIALS: [&str; 3] = ["s3.access-key-id", "s3.secret-access-key", "s3.session-token"];

const KEYS: &[&str] = &["type", "uri", "catalog", "warehouse", "pointer_lifetime"];

/// One `[catalogs.NAME]`.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// The section's name: the first part of `catalog.schema.table`.
    pub name: String,
    /// `type`. No default: it must be written.
    pub kind: CatalogKind,
    /// `uri`: `sqlite:////absolute/catalog.db` (three slashes: relative to the current folder). No default.
    pub uri: String,
    /// `catalog`: its name in `iceberg_tables`. Default: the section's name.
    pub catalog: String,
    /// `warehouse`: URL under which tables are written. Default: none; reading needs none.
    pub warehouse: Option<String>,
    /// `pointer_lifetime`: how long a table's metadata location may be reused. Default `0`: asked for every statement.
    pub pointer_lifetime: Duration,
    /// `s3.…`: properties of the object stores of its tables. Default: those at the top of the file.
    pub properties: BTreeMap<String, Secret>,
    /// Whether `type` was written.
    typed: bool,
}

impl CatalogConfig {
    /// A catalog with nothing but these.
    pub fn new(name: &str, kind: CatalogKind, uri: String) -> Self {
        let typed = !uri.is_empty();
        let (catalog, properties) = (name.to_owned(), BTreeMap::new());
        Self { name: name.to_owned(), kind, uri, catalog, warehouse: None, pointer_lifetime: Duration::ZERO, properties, typed }
    }

    /// The SQLite file that `uri` names, seen from the current folder.
    pub fn sqlite_path(&self) -> Option<PathBuf> {
        let path = self.uri.strip_prefix("sqlite:///")?;
        Some(std::path::absolute(Path::new(path)).unwrap_or_else(|_| PathBuf::from(path)))
    }

    /// Properties of the object stores, in the clear.
    pub fn storage_properties(&self) -> BTreeMap<String, String> {
        self.properties.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect()
    }

    pub(super) fn set(&mut self, key: &str, setting: &Setting) -> Result<(), ConfigError> {
        match key {
            "type" => {
                self.kind = match setting.text()? {
                    "sql" => CatalogKind::Sql,
                    other @ ("trino" | "nessie" | "rest") => {
                        return Err(setting.not_built(
                            format!("a catalog of type \"{other}\""),
                            "This release has type = \"sql\" (an Iceberg SQL catalog in SQLite).",
                        ));
                    }
                    _ => return Err(setting.bad("the types are sql, trino, nessie and rest")),
                };
                self.typed = true;
            }
            "uri" => {
                let uri = setting.non_empty()?;
                if uri.starts_with("postgres") {
                    return Err(setting.not_built(
                        "an Iceberg SQL catalog in PostgreSQL",
                        "This release reads catalogs in SQLite: sqlite:////path/catalog.db",
                    ));
                }
                if !uri.starts_with("sqlite:///") || uri.len() == "sqlite:///".len() || uri.contains(":memory:") {
                    return Err(setting.bad("it must be sqlite:///relative/path or sqlite:////absolute/path"));
                }
                uri.clone_into(&mut self.uri);
            }
            "catalog" => setting.non_empty()?.clone_into(&mut self.catalog),
            "warehouse" => self.warehouse = Some(location(setting.non_empty()?)),
            "pointer_lifetime" => {
                self.pointer_lifetime = setting.duration()?;
                if !self.pointer_lifetime.is_zero() {
                    return Err(setting
                        .not_built("reuse of table pointers", "A catalog of type \"sql\" is asked for every statement: leave it out."));
                }
            }
            "user" | "password" | "jwt" | "token" | "credential" | "ref" | "oauth2-server-uri" => {
                return Err(
                    setting.not_built("a catalog that one logs in to", "A catalog of type \"sql\" in SQLite has no users: leave it out.")
                );
            }
            property if is_storage_key(property) => {
                self.properties.insert(property.to_owned(), Secret::new(storage_value(property, setting)?));
            }
            _ => {
                let known = KEYS.iter().chain(STORAGE_KEYS).map(|key| format!("catalogs.{}.{key}", self.name)).collect::<Vec<_>>();
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

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let missing = |key, example| Err(ConfigError::Missing { catalog: self.name.clone(), key, example });
        if !self.typed {
            return missing("type", "type = \"sql\"");
        }
        match self.kind {
            CatalogKind::Sql if self.uri.is_empty() => missing("uri", "uri = \"sqlite:////var/lib/featgres/catalog.sqlite\""),
            CatalogKind::Sql => Ok(()),
        }
    }
}

/// Whether a dotted key is a property of object stores.
pub(super) fn is_storage_key(key: &str) -> bool {
    STORAGE_KEYS.contains(&key) || key.strip_prefix(MOUNT).is_some_and(|bucket| !bucket.is_empty())
}

/// A property's value as text; booleans are text in the specification and may be true or false in TOML.
pub(super) fn storage_value(key: &str, setting: &Setting) -> Result<String, ConfigError> {
    if !BOOLEANS.contains(&key) {
        return Ok(setting.text()?.to_owned());
    }
    match setting.text() {
        Ok(text @ ("true" | "false")) => Ok(text.to_owned()),
        Ok(_) => Err(setting.bad("it must be true or false")),
        Err(_) => setting.boolean().map(|value| value.to_string()),
    }
}
