//! How a catalog is told who asks: not at all, by a token, or by a token that an OAuth2 server gives and renews.

use crate::config::{CatalogConfig, Secret};
use crate::source::SourceError;
use crate::source::oauth2::ClientCredentials;

/// Who asks.
#[derive(Debug)]
pub enum Login {
    /// Nobody.
    Anonymous,
    /// Whoever has this token.
    Bearer(Secret),
    /// A client of an OAuth2 server.
    Client(Box<ClientCredentials>),
}

impl Login {
    /// By the keys `token`, `credential`, `scope`, `audience`, `resource` and `oauth2-server-uri`. `endpoint` is the catalog's own, if it has
    /// one, and `scope` what it wants to hear.
    pub fn new(config: &CatalogConfig, endpoint: Option<&str>, scope: Option<&str>) -> Result<Self, SourceError> {
        let bad = |reason: String| SourceError::BadSetting { catalog: config.name.clone(), reason };
        match (config.login("credential"), config.login("token")) {
            (Some(_), Some(_)) => Err(bad("token and credential are two logins: leave one out".to_owned())),
            (Some(_), None) => Ok(Self::Client(Box::new(ClientCredentials::open(config, endpoint, scope)?))),
            (None, token) => {
                if let Some(key) =
                    ["scope", "audience", "resource", "oauth2-server-uri"].into_iter().find(|key| config.login(key).is_some())
                {
                    return Err(bad(format!("{key} means nothing without credential")));
                }
                Ok(token.map_or(Self::Anonymous, |token| Self::Bearer(Secret::new(token))))
            }
        }
    }

    /// The token to send now: another one than `refused`, where there can be another.
    pub async fn token(&self, refused: Option<&Secret>) -> Result<Option<Secret>, SourceError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Bearer(token) => Ok(Some(token.clone())),
            Self::Client(credentials) => Ok(Some(Secret::new(credentials.token(refused.map(Secret::expose)).await?))),
        }
    }

    /// Whether there is another token after one that was refused.
    pub fn renews(&self) -> bool {
        matches!(self, Self::Client(_))
    }
}
