//! The environment as settings: `FEATGRES_LIMITS__MAX_CONNECTIONS` is `limits.max_connections`, and the original
//! deployment's variables fill what is still open when file, environment and flags have been read.

use std::collections::BTreeMap;

use super::setting::{Origin, Setting, Value};
use super::{Config, Secret};

/// Variables of ours that are no settings: read by the command line itself.
const NOT_SETTINGS: &[&str] = &["FEATGRES_CONFIG"];

/// Every `FEATGRES_…`, in the order of their names.
pub(super) fn settings(environment: &BTreeMap<String, String>) -> Vec<Setting> {
    environment
        .iter()
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()))
        .filter_map(|(name, value)| {
            let path = name.strip_prefix("FEATGRES_")?.split("__").map(str::to_ascii_lowercase).collect::<Vec<_>>();
            Some(Setting {
                path: spelled_as_property(path),
                value: Value::Untyped(value.clone()),
                origin: Origin::Environment(name.clone()),
            })
        })
        .collect()
}

/// Names of variables have no dashes: `…__S3__ACCESS_KEY_ID` is `s3.access-key-id`, `…__OAUTH2_SERVER_URI` is `oauth2-server-uri`.
fn spelled_as_property(mut path: Vec<String>) -> Vec<String> {
    if let Some(at) = path.iter().position(|part| part == "s3") {
        for part in &mut path[at + 1..] {
            *part = part.replace('_', "-");
        }
    }
    if path.first().is_some_and(|part| part == "catalogs") && path.last().is_some_and(|part| part == "oauth2_server_uri") {
        let last = path.len() - 1;
        path[last] = "oauth2-server-uri".to_owned();
    }
    path
}

/// `S3_BUCKET`, `S3_ICEBERG_BASE_PATH` and the `AWS_…` variables, for whatever names none.
pub(super) fn fill_original_deployment(config: &mut Config, environment: &BTreeMap<String, String>) {
    let get = |name: &str| environment.get(name).map(String::as_str).filter(|value| !value.is_empty());
    // Key and secret belong together: a key from the file never meets a secret from the environment.
    let credentials = ["s3.access-key-id", "s3.secret-access-key", "s3.session-token"];
    let own_credentials = credentials.iter().any(|key| config.storage.contains_key(*key));
    for (variable, key) in [
        ("AWS_ACCESS_KEY_ID", credentials[0]),
        ("AWS_SECRET_ACCESS_KEY", credentials[1]),
        ("AWS_SESSION_TOKEN", credentials[2]),
        ("AWS_REGION", "s3.region"),
        ("AWS_DEFAULT_REGION", "s3.region"),
        ("AWS_ENDPOINT_URL", "s3.endpoint"),
        ("AWS_ENDPOINT_URL_S3", "s3.endpoint"),
    ] {
        if let Some(value) = get(variable)
            && !config.storage.contains_key(key)
            && !(own_credentials && credentials.contains(&key))
        {
            config.storage.insert(key.to_owned(), Secret::new(value));
        }
    }
    if let Some(warehouse) = warehouse(get("S3_BUCKET"), get("S3_ICEBERG_BASE_PATH")) {
        for catalog in config.catalogs.values_mut() {
            catalog.warehouse.get_or_insert_with(|| warehouse.clone());
        }
    }
}

/// The base path is a key in the bucket, or a whole URL.
fn warehouse(bucket: Option<&str>, base: Option<&str>) -> Option<String> {
    match (bucket, base) {
        (_, Some(base)) if base.contains("://") => Some(base.to_owned()),
        (Some(bucket), base) => {
            let base = base.unwrap_or_default().trim_matches('/');
            Some(if base.is_empty() { format!("s3://{bucket}/") } else { format!("s3://{bucket}/{base}/") })
        }
        (None, _) => None,
    }
}
