//! One S3 bucket from properties by pyiceberg's names, over the environment's AWS chain.
//!
//! What no property says comes from where every AWS client looks: `AWS_…` variables, web identity, container and
//! instance metadata. Retries are bounded in number and in time, so that a dead endpoint is an error within the
//! statement's patience. A property that nobody reads is refused: a misspelt credential must not mean "anonymous".

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::{ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};

use super::{StorageError, StorageProperties};

/// The properties that [`open`] reads.
const KNOWN: &[&str] = &[
    "s3.endpoint",
    "s3.region",
    "s3.access-key-id",
    "s3.secret-access-key",
    "s3.session-token",
    "s3.path-style-access",
    "s3.force-virtual-addressing",
    "s3.anonymous",
    "client.region",
];

const BOOLEANS: &[&str] = &["s3.path-style-access", "s3.force-virtual-addressing", "s3.anonymous"];

/// Refuses unknown names and values; other modules' properties (no `s3.` or `client.`) are not looked at.
pub(super) fn check(properties: &StorageProperties) -> Result<(), StorageError> {
    for (name, value) in properties {
        let ours = name.starts_with("s3.") || name.starts_with("client.");
        if ours && !KNOWN.contains(&name.as_str()) {
            return Err(StorageError::BadProperty { name: name.clone(), reason: "is not supported".to_owned() });
        }
        if BOOLEANS.contains(&name.as_str()) && boolean(value).is_none() {
            return Err(StorageError::BadProperty { name: name.clone(), reason: "must be true or false".to_owned() });
        }
    }
    let id = properties.contains_key("s3.access-key-id");
    if id != properties.contains_key("s3.secret-access-key") {
        let name = if id { "s3.secret-access-key" } else { "s3.access-key-id" };
        return Err(StorageError::BadProperty { name: name.to_owned(), reason: "is missing beside its other half".to_owned() });
    }
    Ok(())
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The bucket's store; does no I/O.
pub(super) fn open(bucket: &str, properties: &StorageProperties) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    let get = |name: &str| properties.get(name).map(String::as_str);
    let flag = |name: &str| get(name).and_then(boolean);
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(RetryConfig { max_retries: 5, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() })
        .with_client_options(
            ClientOptions::new().with_connect_timeout(Duration::from_secs(5)).with_timeout(Duration::from_secs(60)).with_allow_http(true),
        );
    let virtual_hosted =
        flag("s3.force-virtual-addressing").unwrap_or_else(|| flag("s3.path-style-access").is_some_and(|path_style| !path_style));
    if let Some(endpoint) = get("s3.endpoint") {
        builder = builder.with_endpoint(if virtual_hosted { with_bucket(endpoint, bucket) } else { endpoint.to_owned() });
    }
    builder = builder.with_virtual_hosted_style_request(virtual_hosted);
    if let Some(region) = get("s3.region").or_else(|| get("client.region")) {
        builder = builder.with_region(region);
    }
    if let (Some(id), Some(secret)) = (get("s3.access-key-id"), get("s3.secret-access-key")) {
        // As a provider of its own, because a session token of the environment belongs to the environment's key.
        let credential =
            AwsCredential { key_id: id.to_owned(), secret_key: secret.to_owned(), token: get("s3.session-token").map(str::to_owned) };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
    }
    if flag("s3.anonymous") == Some(true) {
        builder = builder.with_skip_signature(true);
    }
    Ok(Arc::new(builder.build()?))
}

/// `https://host:port` with the bucket as the first label of its host.
fn with_bucket(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{bucket}.{rest}"),
        None => endpoint.to_owned(),
    }
}
