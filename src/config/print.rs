//! The configuration as a TOML file that would give it again, save the secrets.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};
use std::path::Path;
use std::time::Duration;

use super::{AuthMethod, Config, LogFormat, Secret, format_duration, format_size};

/// Property names whose values are shown.
const PUBLIC: [&str; 16] = [
    "s3.endpoint",
    "s3.region",
    "s3.path-style-access",
    "s3.force-virtual-addressing",
    "s3.anonymous",
    "s3.profile-name",
    "s3.connect-timeout",
    "s3.request-timeout",
    "user",
    "scope",
    "audience",
    "resource",
    "oauth2-server-uri",
    "prefix",
    "ref",
    "ssl.cabundle",
];

pub(super) fn to_toml(config: &Config) -> String {
    Printed(config).to_string()
}

struct Printed<'a>(&'a Config);

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let config = self.0;
        writeln!(f, "project = {}", quoted(&config.project))?;
        writeln!(f, "listen = {}", quoted(&config.listen.to_string()))?;
        writeln!(f, "registry = {}", quoted(&config.registry))?;
        writeln!(f, "registry_refresh = {}", time(Some(config.registry_refresh)))?;
        writeln!(f, "shutdown_timeout = {}", time(Some(config.shutdown_timeout)))?;
        properties(f, &config.storage)?;
        for (name, catalog) in &config.catalogs {
            writeln!(f, "\n[catalogs.{}]", key(name))?;
            writeln!(f, "type = {}", quoted(catalog.kind.name()))?;
            writeln!(f, "uri = {}", quoted(&catalog.uri))?;
            writeln!(f, "catalog = {}", quoted(&catalog.catalog))?;
            if let Some(warehouse) = &catalog.warehouse {
                writeln!(f, "warehouse = {}", quoted(warehouse))?;
            }
            writeln!(f, "pointer_lifetime = {}", time(Some(catalog.pointer_lifetime)))?;
            writeln!(f, "timeout = {}", time(Some(catalog.timeout)))?;
            properties(f, &catalog.login)?;
            properties(f, &catalog.properties)?;
        }
        let method = match config.auth.method {
            AuthMethod::Trust => "trust",
            AuthMethod::ScramSha256 => "scram-sha-256",
            AuthMethod::Cert => "cert",
        };
        writeln!(f, "\n[auth]\nmethod = {}\nallow_insecure = {}", quoted(method), config.auth.allow_insecure)?;
        if !config.auth.users.is_empty() {
            writeln!(f, "\n[auth.users]")?;
            for name in config.auth.users.keys() {
                writeln!(f, "{} = \"***\"", key(name))?;
            }
        }
        if let Some(tls) = &config.tls {
            writeln!(f, "\n[tls]\ncert = {}\nkey = {}", path(&tls.cert), path(&tls.key))?;
            if let Some(authority) = &tls.client_ca {
                writeln!(f, "client_ca = {}", path(authority))?;
            }
            writeln!(f, "required = {}", tls.is_required(config.listen))?;
        }
        let limits = &config.limits;
        writeln!(f, "\n[limits]\nmax_connections = {}", limits.max_connections)?;
        writeln!(f, "memory = {}", size(Some(limits.memory)))?;
        writeln!(f, "memory_per_query = {}", size(limits.memory_per_query))?;
        writeln!(f, "temp_dir = {}", quoted(&limits.temp_dir.display().to_string()))?;
        writeln!(f, "temp_size = {}", size(Some(limits.temp_size)))?;
        writeln!(f, "statement_timeout = {}", time(limits.statement_timeout))?;
        writeln!(f, "idle_session_timeout = {}", time(limits.idle_session_timeout))?;
        writeln!(f, "idle_in_transaction_session_timeout = {}", time(limits.idle_in_transaction_session_timeout))?;
        writeln!(f, "max_message_size = {}", size(Some(limits.max_message_size)))?;
        writeln!(f, "max_statement_size = {}", size(Some(limits.max_statement_size)))?;
        writeln!(f, "max_parameters = {}", limits.max_parameters)?;
        writeln!(f, "max_prepared_statements = {}", limits.max_prepared_statements)?;
        writeln!(f, "max_portals = {}", limits.max_portals)?;
        writeln!(f, "startup_timeout = {}", time(Some(limits.startup_timeout)))?;
        writeln!(f, "metadata_cache = {}", size(Some(limits.metadata_cache)))?;
        writeln!(f, "footer_cache = {}", size(Some(limits.footer_cache)))?;
        let format = match config.telemetry.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        writeln!(f, "\n[telemetry]\nlevel = {}\nformat = {}", quoted(&config.telemetry.level), quoted(format))?;
        let http = &config.http;
        writeln!(f, "\n[http]")?;
        match http.listen {
            Some(listen) => writeln!(f, "listen = {}", quoted(&listen.to_string()))?,
            None => writeln!(f, "# listen = \"127.0.0.1:9464\"")?,
        }
        writeln!(f, "tls = {}", http.tls)?;
        writeln!(f, "feast_api = {}", http.feast_api)?;
        writeln!(f, "max_body_size = {}", size(Some(http.max_body_size)))?;
        writeln!(f, "max_entity_rows = {}", http.max_entity_rows)
    }
}

fn properties(f: &mut Formatter<'_>, properties: &BTreeMap<String, Secret>) -> Result {
    for (name, value) in properties {
        let shown = if PUBLIC.contains(&name.as_str()) || name.starts_with("mount.") { value.expose() } else { "***" };
        writeln!(f, "{} = {}", quoted(name), quoted(shown))?;
    }
    Ok(())
}

fn time(duration: Option<Duration>) -> String {
    quoted(&format_duration(duration.unwrap_or_default()))
}

fn size(bytes: Option<u64>) -> String {
    quoted(&format_size(bytes.unwrap_or_default()))
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A key as it is where TOML lets it be bare, else quoted.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { name.to_owned() } else { quoted(name) }
}
