//! One S3 bucket from properties by pyiceberg's names, over the environment's AWS chain.
//!
//! What no property says comes from where every AWS client looks, in their order: `AWS_…` variables, web identity, the
//! profile's files, container and instance metadata. The environment's names are those that AWS documents, some of which object_store
//! spells otherwise or does not know: `AWS_CA_BUNDLE`, `AWS_EC2_METADATA_SERVICE_ENDPOINT`, `AWS_EC2_METADATA_DISABLED`, and a container's
//! agent without a token file (`container`). Retries are bounded in number and in time, so that a dead endpoint is an
//! error within the statement's patience; whoever waits for less drops the request, and its retries with it. A property that
//! nobody reads is refused: a misspelt credential must not mean "anonymous".

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::{Certificate, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};
use tokio::runtime::Handle;

use super::container::ContainerCredentials;
use super::profile::{Profile, ProfileCredentials, ProfileFiles};
use super::sockets::{asked, connected};
use super::vended::OfPrefix;
use super::{Refusal, StorageError, StorageProperties};
use crate::config::{STORAGE_FLAGS, STORAGE_KEYS};

/// Read where there is no `s3.region`; catalogs hand it out, nobody writes it into a configuration.
const CLIENT_REGION: &str = "client.region";
/// Seconds that a connection may take to be made.
const CONNECT_TIMEOUT: &str = "s3.connect-timeout";
/// Seconds that one request may take, its body included; retries go on for half as long.
const REQUEST_TIMEOUT: &str = "s3.request-timeout";

/// Refuses unknown names and values; other modules' properties (no `s3.` or `client.`) are not looked at.
pub(super) fn check(properties: &StorageProperties) -> Result<(), StorageError> {
    for (name, value) in properties {
        let ours = name.starts_with("s3.") || name.starts_with("client.");
        if ours && name != CLIENT_REGION && !STORAGE_KEYS.contains(&name.as_str()) {
            return Err(StorageError::BadProperty { name: name.clone(), reason: "is not supported".to_owned() });
        }
        if STORAGE_FLAGS.contains(&name.as_str()) && boolean(value).is_none() {
            return Err(StorageError::BadProperty { name: name.clone(), reason: "must be true or false".to_owned() });
        }
        if [CONNECT_TIMEOUT, REQUEST_TIMEOUT].contains(&name.as_str()) && seconds(value).is_none() {
            return Err(StorageError::BadProperty { name: name.clone(), reason: "must be a number of seconds, more than zero".to_owned() });
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

fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().trim_end_matches('s').parse().ok()?;
    (seconds > 0.0 && seconds <= 86_400.0).then(|| Duration::from_secs_f64(seconds))
}

/// The bucket's store; reads the profile's files at the most. `vended` are credentials that win over all others. Requests run on the
/// runtime of `sockets`.
pub(super) fn open(
    url: &str,
    bucket: &str,
    properties: &StorageProperties,
    vended: Option<OfPrefix>,
    sockets: Option<&Handle>,
) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let get = |name: &str| properties.get(name).map(String::as_str);
    let flag = |name: &str| get(name).and_then(boolean);
    let time = |name: &str, default: u64| get(name).and_then(seconds).unwrap_or(Duration::from_secs(default));
    let request = time(REQUEST_TIMEOUT, 60);
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(RetryConfig { max_retries: 5, retry_timeout: request / 2, ..RetryConfig::default() })
        .with_client_options(client_options(url, time(CONNECT_TIMEOUT, 5), request)?);
    if let Some(metadata) = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
        builder = builder.with_metadata_endpoint(metadata.trim_end_matches('/'));
    }
    let mut endpoint = get("s3.endpoint").map(str::to_owned);
    let mut region = get("s3.region").or_else(|| get(CLIENT_REGION)).map(str::to_owned);
    if let Some(vended) = vended {
        builder = builder.with_credentials(asked(vended, sockets));
    } else if let (Some(id), Some(secret)) = (get("s3.access-key-id"), get("s3.secret-access-key")) {
        // As a provider of its own, because a session token of the environment belongs to the environment's key.
        let credential =
            AwsCredential { key_id: id.to_owned(), secret_key: secret.to_owned(), token: get("s3.session-token").map(str::to_owned) };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
    } else if flag("s3.anonymous") == Some(true) {
        builder = builder.with_skip_signature(true);
    } else if let Some((files, profile)) =
        profile(get("s3.profile-name"), &builder).map_err(|reason| StorageError::BadProfile { url: url.to_owned(), reason })?
    {
        let unset = |key| builder.get_config_value(&key).is_none();
        if unset(AmazonS3ConfigKey::Endpoint) && unset(AmazonS3ConfigKey::S3Endpoint) {
            endpoint = endpoint.or(profile.endpoint);
        }
        if unset(AmazonS3ConfigKey::Region) {
            region = region.or(profile.region);
        }
        match (profile.keys, profile.web_identity) {
            (Some(keys), _) => builder = builder.with_credentials(Arc::new(ProfileCredentials::new(files, keys))),
            (None, Some((token_file, role))) => {
                builder =
                    builder.with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file).with_config(AmazonS3ConfigKey::RoleArn, role);
            }
            // It is about other things; the machine's own credentials are next in line.
            (None, None) => builder = of_the_machine(url, builder, sockets)?,
        }
    } else {
        builder = of_the_machine(url, builder, sockets)?;
    }
    let virtual_hosted =
        flag("s3.force-virtual-addressing").unwrap_or_else(|| flag("s3.path-style-access").is_some_and(|path_style| !path_style));
    if let Some(endpoint) = endpoint {
        let endpoint = if virtual_hosted { with_bucket(&endpoint, bucket) } else { endpoint };
        // The more particular of the two keys, because the environment may have set it.
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    builder = builder.with_virtual_hosted_style_request(virtual_hosted);
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    Ok(Arc::new(connected(builder, sockets).build().map_err(|error| StorageError::of(url, error))?))
}

/// The profile, where the environment itself has no credentials and somebody keeps profiles.
fn profile(name: Option<&str>, environment: &AmazonS3Builder) -> Result<Option<(ProfileFiles, Profile)>, String> {
    let has = |key| environment.get_config_value(&key).is_some();
    let identity = has(AmazonS3ConfigKey::WebIdentityTokenFile) && has(AmazonS3ConfigKey::RoleArn);
    if name.is_none() && (has(AmazonS3ConfigKey::AccessKeyId) || identity) {
        return Ok(None);
    }
    let variable = |key: &str| match (key, name) {
        ("AWS_PROFILE", Some(name)) => Some(name.to_owned()),
        _ => std::env::var(key).ok(),
    };
    let Some(files) = ProfileFiles::of_environment(variable) else { return Ok(None) };
    Ok(files.read()?.map(|profile| (files, profile)))
}

/// What the environment itself does not give, a container's agent or the machine may. Where the machine may not be asked and there is
/// nothing else, that is an error now: object_store would ask it all the same.
fn of_the_machine(url: &str, builder: AmazonS3Builder, sockets: Option<&Handle>) -> Result<AmazonS3Builder, StorageError> {
    let has = |key| builder.get_config_value(&key).is_some();
    let identity = has(AmazonS3ConfigKey::WebIdentityTokenFile) && has(AmazonS3ConfigKey::RoleArn);
    if has(AmazonS3ConfigKey::AccessKeyId) || identity || has(AmazonS3ConfigKey::ContainerCredentialsRelativeUri) {
        return Ok(builder);
    }
    let none = |reason: String| StorageError::Refused { url: url.to_owned(), refusal: Refusal::NoCredentials, reason };
    if let Some(agent) = ContainerCredentials::of_environment(variable).map_err(none)? {
        return Ok(builder.with_credentials(asked(agent, sockets)));
    }
    let skipped = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature).is_some_and(|value| value == "true");
    let disabled = variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled && !skipped && !has(AmazonS3ConfigKey::ContainerCredentialsFullUri) {
        return Err(none("there are none, and AWS_EC2_METADATA_DISABLED forbids to ask this machine for its own".to_owned()));
    }
    Ok(builder)
}

/// A variable of the environment, if it says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn client_options(url: &str, connect: Duration, request: Duration) -> Result<ClientOptions, StorageError> {
    let mut options = ClientOptions::new().with_connect_timeout(connect).with_timeout(request).with_allow_http(true);
    if let Some(file) = variable("AWS_CA_BUNDLE") {
        let bad = |reason: String| StorageError::BadCertificates { url: url.to_owned(), file: file.clone(), reason };
        let pem = std::fs::read(&file).map_err(|error| bad(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| bad("it is not PEM".to_owned()))?;
        if certificates.is_empty() {
            return Err(bad("it holds no certificate".to_owned()));
        }
        options = certificates.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    Ok(options)
}

/// `https://host:port` with the bucket as the first label of its host.
fn with_bucket(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{bucket}.{rest}"),
        None => endpoint.to_owned(),
    }
}
