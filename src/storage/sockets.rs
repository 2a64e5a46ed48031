//! Requests run where the sockets are: on the runtime of whoever opened the storage, whichever thread wants their answer.
//!
//! Statements compute on threads of their own, which look at no socket and may be gone when the next statement wants the same connection
//! (`session::crews`); a connection that stays on one runtime is good for all. Credentials are asked for there as well. Costs a task and a hop
//! per request. A request whose answer nobody wants any more is given up.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::client::SpawnedReqwestConnector;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The builder whose store asks there.
pub(super) fn connected(builder: AmazonS3Builder, sockets: Option<&Handle>) -> AmazonS3Builder {
    match sockets {
        Some(runtime) => builder.with_http_connector(SpawnedReqwestConnector::new(runtime.clone())),
        None => builder,
    }
}

/// These credentials, asked for there.
pub(super) fn asked<P>(credentials: P, sockets: Option<&Handle>) -> Arc<dyn CredentialProvider<Credential = AwsCredential>>
where
    P: CredentialProvider<Credential = AwsCredential> + 'static,
{
    match sockets {
        Some(runtime) => Arc::new(AskedThere { credentials: Arc::new(credentials), runtime: runtime.clone() }),
        None => Arc::new(credentials),
    }
}

#[derive(Debug)]
struct AskedThere<P> {
    credentials: Arc<P>,
    runtime: Handle,
}

#[async_trait]
impl<P: CredentialProvider<Credential = AwsCredential> + 'static> CredentialProvider for AskedThere<P> {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        struct GivenUp<T>(JoinHandle<T>);
        impl<T> Drop for GivenUp<T> {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let credentials = Arc::clone(&self.credentials);
        let mut asking = GivenUp(self.runtime.spawn(async move { credentials.get_credential().await }));
        match (&mut asking.0).await {
            Ok(answer) => answer,
            Err(failure) => Err(object_store::Error::JoinError { source: failure }),
        }
    }
}
