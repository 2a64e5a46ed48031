//! Credentials that somebody else hands out for a while: asked for at each request, so that a scan may outlive them.
//!
//! They may differ by prefix inside one bucket; then each prefix has a store of its own. When S3 says that they have
//! ended, whoever hands them out is told, and the request is made once more.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::StorageProperties;
use crate::config::Secret;
use crate::error::Report;

/// A key with its secret.
#[derive(Debug, Clone)]
pub struct S3Credentials {
    /// Its public part.
    pub key_id: String,
    /// Its secret part.
    pub secret: Secret,
    /// What goes with a key that ends.
    pub token: Option<Secret>,
}

/// Whoever hands credentials out.
#[async_trait]
pub trait VendedCredentials: Debug + Send + Sync {
    /// The longest prefix of the URL that there are credentials for; none = the storage's own properties decide.
    fn prefix(&self, url: &str) -> Option<String>;
    /// What else was said about this prefix: endpoint, region.
    fn properties(&self, prefix: &str) -> StorageProperties;
    /// The credentials of this prefix; new ones where the last are about to end or were refused.
    async fn credentials(&self, prefix: &str) -> Result<S3Credentials, Box<Report>>;
    /// S3 says that they have ended.
    fn refused(&self);
}

/// One prefix's credentials, as the store asks for them.
#[derive(Debug)]
pub(super) struct OfPrefix {
    pub vended: Arc<dyn VendedCredentials>,
    pub prefix: String,
}

#[async_trait]
impl CredentialProvider for OfPrefix {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        match self.vended.credentials(&self.prefix).await {
            Ok(S3Credentials { key_id, secret, token }) => Ok(Arc::new(AwsCredential {
                key_id,
                secret_key: secret.expose().to_owned(),
                token: token.map(|token| token.expose().to_owned()),
            })),
            Err(report) => Err(object_store::Error::Generic { store: "S3", source: report }),
        }
    }
}
