//! A Feast `feature_store.yaml` as settings: project, registry, offline store.
//!
//! - `project` is the database's name.
//! - `registry` says where Feast keeps a file; definitions of ours are kept in the folder `featgres-registry` beside it, for Feast's
//!   own file is not ours to write (`featgres import-feast` reads it). A registry in a database has no place for them: they are kept
//!   beside the YAML file then, and `--registry` takes another place.
//! - `offline_store` of type `trino` becomes the catalog that it names. Stores that read files (`file`, `dask`, `duckdb`) name no
//!   catalog: with none configured besides, the embedded warehouse is served. Other stores are refused by name.
//! - What is about Feast's own processes (`online_store`, `provider`, `flags`, …) means nothing here and is passed over.
//!
//! `$VARIABLE` and `${VARIABLE}` are filled from the environment, as Feast does. Unknown keys are refused, as in TOML.

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::setting::{Origin, Setting, Value};
use super::{ConfigError, absolute};

/// Where our definitions are kept beside Feast's.
const REGISTRY: &str = "featgres-registry";

/// Keys that are about Feast's own processes.
const FEASTS_OWN: &[&str] = &[
    "provider",
    "online_store",
    "batch_engine",
    "entity_key_serialization_version",
    "flags",
    "feature_server",
    "repo_path",
    "coerce_tz_aware",
    "project_description",
];

const KEYS: &[&str] = &["project", "registry", "offline_store"];

/// What a `feature_store.yaml` says of Feast's own registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeastRegistry {
    /// The project.
    pub project: String,
    /// `file`, `sql`, …
    pub kind: String,
    /// The path as Feast takes it: relative to the file's folder, a URL, or a database.
    pub path: String,
}

impl FeastRegistry {
    /// Of this file.
    pub fn read(path: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let environment = environment.into_iter().collect();
        let file = File { path, text: &text, environment: &environment };
        let document = file.document()?;
        let project = match document.get("project") {
            Some(project) => file.text("project", project)?,
            None => return Err(file.at(&["project"], "project").bad("it is missing")),
        };
        let (kind, path) = match document.get("registry") {
            Some(registry) => file.registry_path(registry)?,
            None => ("file".to_owned(), "data/registry.db".to_owned()),
        };
        Ok(Self { project, kind, path })
    }
}

/// The file's settings.
pub(super) fn settings(path: &Path, text: &str, environment: &BTreeMap<String, String>) -> Result<Vec<Setting>, ConfigError> {
    let file = File { path, text, environment };
    let document = file.document()?;
    let mut settings = Vec::new();
    for (key, value) in &document {
        let key = key.as_str().unwrap_or_default();
        match (key, value) {
            ("project", value) => settings.push(file.setting(&["project"], "project", file.text("project", value)?)),
            ("registry", value) => settings.push(file.registry(value)?),
            ("offline_store", Yaml::Mapping(store)) => settings.extend(file.offline_store(store)?),
            ("offline_store", value) => settings.extend(file.offline_store_of_type(&file.text("offline_store", value)?, &Mapping::new())?),
            ("auth", Yaml::Mapping(auth)) if auth.get("type").and_then(Yaml::as_str) == Some("no_auth") => {}
            ("auth", _) => {
                let instead = "Set [auth] by FEATGRES_AUTH__METHOD and FEATGRES_AUTH__USERS__NAME.";
                return Err(file.at(&["auth"], "auth").not_built("Feast's authentication", instead));
            }
            (own, _) if FEASTS_OWN.contains(&own) => {}
            (unknown, _) => {
                return Err(file.at(&[unknown], unknown).unknown(KEYS.iter().chain(FEASTS_OWN).chain(&["auth"]).copied()));
            }
        }
    }
    Ok(settings)
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    environment: &'a BTreeMap<String, String>,
}

impl File<'_> {
    fn document(&self) -> Result<Mapping, ConfigError> {
        let document: Yaml = serde_yaml_ng::from_str(self.text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
            ConfigError::Syntax { origin: Origin::File { path: self.path.to_owned(), line, column }, message: error.to_string() }
        })?;
        match document {
            Yaml::Mapping(document) => Ok(document),
            _ => Err(ConfigError::Syntax { origin: self.origin(""), message: "a feature_store.yaml is a mapping".to_owned() }),
        }
    }

    /// Where a key is first written at the beginning of a line: serde's tree has no places.
    fn origin(&self, key: &str) -> Origin {
        let begins = |line: &str| line.trim_start().trim_start_matches(['"', '\'']).starts_with(key);
        let (line, column) = self
            .text
            .lines()
            .enumerate()
            .find(|(_, line)| begins(line))
            .map_or((1, 1), |(index, line)| (index + 1, line.chars().take_while(|c| c.is_whitespace()).count() + 1));
        Origin::File { path: self.path.to_owned(), line, column }
    }

    fn setting(&self, path: &[&str], key: &str, value: String) -> Setting {
        Setting { path: path.iter().map(|part| (*part).to_owned()).collect(), value: Value::Untyped(value), origin: self.origin(key) }
    }

    fn at(&self, path: &[&str], key: &str) -> Setting {
        self.setting(path, key, String::new())
    }

    fn text(&self, key: &str, value: &Yaml) -> Result<String, ConfigError> {
        match value {
            Yaml::String(text) => Ok(self.filled(text)),
            Yaml::Number(number) => Ok(number.to_string()),
            Yaml::Bool(flag) => Ok(flag.to_string()),
            _ => Err(self.at(&[key], key).bad("it must be text")),
        }
    }

    /// `$NAME` and `${NAME}` from the environment; what is not there stays as it is written.
    fn filled(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (name, length) = match after.strip_prefix('{').and_then(|inner| inner.find('}').map(|end| &inner[..end])) {
                Some(name) => (name, name.len() + 2),
                None => {
                    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                    (&after[..end], end)
                }
            };
            match self.environment.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[at..at + 1 + length]),
            }
            rest = &after[length..];
        }
        out.push_str(rest);
        out
    }

    /// The registry's kind, and its path as it is written.
    fn registry_path(&self, value: &Yaml) -> Result<(String, String), ConfigError> {
        Ok(match value {
            Yaml::Mapping(mapping) => {
                let kind = mapping.get("registry_type").and_then(Yaml::as_str).unwrap_or("file").to_owned();
                let path = match mapping.get("path") {
                    Some(path) => self.text("registry", path)?,
                    None if kind == "file" => return Err(self.at(&["registry", "path"], "registry").bad("it has no path")),
                    None => String::new(),
                };
                (kind, path)
            }
            other => ("file".to_owned(), self.text("registry", other)?),
        })
    }

    fn registry(&self, value: &Yaml) -> Result<Setting, ConfigError> {
        let (kind, path) = self.registry_path(value)?;
        // Paths are seen from the file's own folder, as Feast sees them.
        let folder = absolute(self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")));
        let place = match (kind.as_str(), path.split_once("://")) {
            ("file", None) => folder.join(Path::new(&path).parent().unwrap_or(Path::new(""))).join(REGISTRY).display().to_string(),
            ("file", Some(("s3" | "s3a" | "file", _))) => match path.rsplit_once('/') {
                Some((parent, _)) => format!("{}/{REGISTRY}", parent.replacen("s3a://", "s3://", 1)),
                None => path,
            },
            ("file", Some((scheme, _))) => {
                return Err(self
                    .at(&["registry"], "registry")
                    .not_built(format!("a registry on {scheme}://"), "Say --registry with a folder or an s3:// URL."));
            }
            // A database, a service: no place for files.
            _ => folder.join(REGISTRY).display().to_string(),
        };
        Ok(self.setting(&["registry"], "registry", place))
    }

    fn offline_store(&self, store: &Mapping) -> Result<Vec<Setting>, ConfigError> {
        match store.get("type") {
            Some(kind) => self.offline_store_of_type(&self.text("offline_store", kind)?, store),
            None => Ok(Vec::new()),
        }
    }

    fn offline_store_of_type(&self, kind: &str, store: &Mapping) -> Result<Vec<Setting>, ConfigError> {
        // A class of Feast's, by its path: `feast.infra.offline_stores.contrib.trino_offline_store.trino.TrinoOfflineStore`.
        let class = kind.rsplit('.').next().unwrap_or(kind).to_ascii_lowercase();
        match class.strip_suffix("offlinestore").unwrap_or(&class) {
            "file" | "dask" | "duckdb" => Ok(Vec::new()),
            "trino" => self.trino(store),
            _ => Err(self.at(&["offline_store", "type"], "offline_store").not_built(
                format!("the offline store \"{kind}\""),
                "featgres reads Iceberg tables: name their catalog by FEATGRES_CATALOGS__NAME__TYPE and FEATGRES_CATALOGS__NAME__URI, or in TOML.",
            )),
        }
    }

    /// Feast's Trino store as a catalog of that name.
    fn trino(&self, store: &Mapping) -> Result<Vec<Setting>, ConfigError> {
        let get = |key: &str| store.get(key).or_else(|| store.get(key.replace('_', "-"))).map(|value| self.text(key, value)).transpose();
        let catalog = get("catalog")?.unwrap_or_else(|| "iceberg".to_owned());
        let scheme = get("http_scheme")?.unwrap_or_else(|| "http".to_owned());
        let Some(host) = get("host")? else { return Err(self.at(&["offline_store", "host"], "offline_store").bad("it has no host")) };
        let port = get("port")?.unwrap_or_else(|| if scheme == "https" { "443" } else { "8080" }.to_owned());
        let set = |key: &str, value: &str| self.setting(&["catalogs", &catalog, key], "offline_store", value.to_owned());
        let mut settings = vec![set("type", "trino"), set("uri", &format!("{scheme}://{host}:{port}")), set("catalog", &catalog)];
        if let Some(user) = get("user")? {
            settings.push(set("user", &user));
        }
        if let Some(Yaml::String(bundle)) = store.get("verify") {
            settings.push(set("ssl.cabundle", &self.filled(bundle)));
        }
        if let Some(Yaml::Mapping(auth)) = store.get("auth") {
            let config = match auth.get("config") {
                Some(Yaml::Mapping(config)) => config.clone(),
                _ => Mapping::new(),
            };
            let of = |key: &str| config.get(key).map(|value| self.text(key, value)).transpose();
            match auth.get("type").and_then(Yaml::as_str) {
                Some("basic") => {
                    for (key, ours) in [("username", "user"), ("password", "password")] {
                        if let Some(value) = of(key)? {
                            settings.push(set(ours, &value));
                        }
                    }
                }
                Some("jwt") => {
                    if let Some(token) = of("token")? {
                        settings.push(set("jwt", &token));
                    }
                }
                other => {
                    let what = format!("Trino's authentication \"{}\"", other.unwrap_or_default());
                    return Err(self.at(&["offline_store", "auth"], "offline_store").not_built(what, "There are basic and jwt."));
                }
            }
        }
        Ok(settings)
    }
}
