//! Passwords as they come over HTTP Basic, checked against the verifiers that SCRAM uses on the wire.
//!
//! A check costs the verifier's rounds of SHA-256 (4096: some milliseconds), for a user who does not exist as for one who does,
//! and runs off the async threads. Whoever calls bounds how many run at a time.

use super::backend::{Authentication, Gateway};
use super::gateway::SharedGateway;
use crate::error::{Report, SqlState};
use crate::verifier::{DEFAULT_ROUNDS, Verifier};

impl SharedGateway {
    /// The role of a caller with this name and password. Where the wire trusts anyone, so does this; a name is then enough, and
    /// without one the caller is `anonymous`.
    pub async fn role_of(&self, credentials: Option<(String, String)>) -> Result<String, Report> {
        let user = credentials.as_ref().map_or("", |(user, _)| user.as_str());
        let verifier = match self.authentication(user) {
            Authentication::Trust => return Ok(if user.is_empty() { "anonymous".to_owned() } else { user.to_owned() }),
            Authentication::Scram(verifier) => verifier,
            Authentication::Certificate => {
                return Err(Report::new(SqlState::INVALID_AUTHORIZATION, "client certificates cannot be shown over HTTP")
                    .hint("Connect with a PostgreSQL client, or set [auth] method = \"scram-sha-256\"."));
            }
        };
        let Some((user, password)) = credentials else {
            return Err(
                Report::new(SqlState::INVALID_AUTHORIZATION, "no password supplied").hint("Send a role's name and password by HTTP Basic.")
            );
        };
        let matches = tokio::task::spawn_blocking(move || matches(verifier.as_deref(), &password)).await.unwrap_or(false);
        if matches {
            return Ok(user);
        }
        Err(Report::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\"")))
    }
}

/// Whether this is the verifier's password. No verifier, or one that is none, matches nothing and takes as long.
fn matches(verifier: Option<&str>, password: &str) -> bool {
    match verifier.and_then(|text| text.parse::<Verifier>().ok()) {
        Some(verifier) => verifier.matches(password),
        None => {
            std::hint::black_box(Verifier::of(password, DEFAULT_ROUNDS));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifiers_password_matches() {
        let verifier = Verifier::of("pencil", DEFAULT_ROUNDS).text();
        assert!(matches(Some(&verifier), "pencil"));
        for (verifier, password) in [
            (Some(verifier.as_str()), "Pencil"),
            (Some(verifier.as_str()), ""),
            (None, "pencil"),
            (Some("md5abc"), "pencil"),
            (Some("SCRAM-SHA-256$0:c2FsdA==$YQ==:YQ=="), "pencil"),
        ] {
            assert!(!matches(verifier, password), "{verifier:?} {password}");
        }
    }
}
