//! Credentials of a container's agent: `AWS_CONTAINER_CREDENTIALS_FULL_URI` without a token file.
//!
//! object_store knows the two common spellings (ECS: a relative URI; EKS: a full one with a token file), but of a full URI alone, or with
//! its token in `AWS_CONTAINER_AUTHORIZATION_TOKEN`, it knows nothing and would ask the machine for credentials of its own: somebody
//! else's. Credentials are kept until shortly before they end. As every AWS client does, plain HTTP is spoken only to this
//! machine and to the two addresses that agents have.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::{Host, Url};

use crate::config::Secret;

/// New credentials are asked for so long before the old ones end.
const EARLY: Duration = Duration::from_secs(300);
/// Those that end sooner than that are kept so long all the same.
const AT_LEAST: Duration = Duration::from_secs(1);
/// How long the agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An agent that is asked for credentials.
#[derive(Debug)]
pub(super) struct ContainerCredentials {
    client: reqwest::Client,
    url: Url,
    token: Option<Secret>,
    /// The last credentials, and when to ask again.
    last: Mutex<Option<(Arc<AwsCredential>, Instant)>>,
}

/// What an agent says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

impl ContainerCredentials {
    /// By these variables; none if there is no full URI, or one that object_store understands by itself.
    pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(uri) = given("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return Ok(None) };
        if given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some() || given("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").is_some() {
            return Ok(None);
        }
        let bad = |reason: &str| format!("AWS_CONTAINER_CREDENTIALS_FULL_URI {reason}");
        let url = Url::parse(&uri).map_err(|_| bad("is no URL"))?;
        if url.scheme() != "https" && !is_near(&url) {
            return Err(bad("must be https://, or name this machine or the container's agent"));
        }
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().map_err(|error| error.to_string())?;
        Ok(Some(Self { client, url, token: given("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new), last: Mutex::default() }))
    }

    async fn ask(&self) -> Result<Answer, String> {
        let mut request = self.client.get(self.url.clone());
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(token.expose()).map_err(|_| "the authorization token is no header".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let place = self.url.origin().ascii_serialization();
        let answer = request.send().await.map_err(|error| format!("{place}: {}", error.without_url()))?;
        if !answer.status().is_success() {
            return Err(format!("{place} answered {}", answer.status()));
        }
        answer.json().await.map_err(|_| format!("the answer of {place} cannot be read"))
    }
}

#[async_trait]
impl CredentialProvider for ContainerCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((credential, until)) = last.as_ref()
            && Instant::now() < *until
        {
            return Ok(Arc::clone(credential));
        }
        let answer = self.ask().await.map_err(|reason| object_store::Error::Generic {
            store: "S3",
            source: format!("the container's agent gives no credentials: {reason}").into(),
        })?;
        let lasts = match answer.expiration {
            Some(end) => (end - Utc::now()).to_std().unwrap_or_default().saturating_sub(EARLY).max(AT_LEAST),
            None => EARLY,
        };
        let credential =
            Arc::new(AwsCredential { key_id: answer.access_key_id, secret_key: answer.secret_access_key, token: answer.token });
        *last = Some((Arc::clone(&credential), Instant::now() + lasts));
        Ok(credential)
    }
}

/// This machine, or an agent's address.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || matches!(address.octets(), [169, 254, 170, 2 | 23]),
        Some(Host::Ipv6(address)) => address.is_loopback() || address == std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<ContainerCredentials>, String> {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        ContainerCredentials::of_environment(variable)
    }

    #[test]
    fn agents_are_near_or_speak_tls() {
        const URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
        for near in ["http://127.0.0.1:9/x", "http://localhost/x", "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1", "https://far/x"]
        {
            assert!(of(&[(URI, near)]).unwrap().is_some(), "{near}");
        }
        for far in ["http://far/x", "http://169.254.169.254/x", "no url"] {
            let refused = of(&[(URI, far)]).unwrap_err();
            assert!(refused.starts_with(URI), "{refused}");
        }
        assert!(of(&[]).unwrap().is_none());
        assert!(of(&[(URI, "http://far/x"), ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/t")]).unwrap().is_none(), "object_store's own");
    }
}
