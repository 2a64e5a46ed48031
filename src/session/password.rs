//! Passwords as they come over HTTP Basic, checked against the verifiers that SCRAM uses on the wire.
//!
//! A check costs the verifier's rounds of SHA-256 (4096: some milliseconds), for a user who does not exist as for one who does,
//! and runs off the async threads. Whoever calls bounds how many run at a time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};

use super::backend::{Authentication, Gateway};
use super::gateway::SharedGateway;
use crate::error::{Report, SqlState};

/// Rounds that a verifier may demand: more would be an attack by configuration.
const MAX_ITERATIONS: usize = 10_000_000;

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
    let known = verifier.and_then(parts);
    let (iterations, salt) = match &known {
        Some((iterations, salt, _)) => (*iterations, salt.clone()),
        None => (SCRAM_ITERATIONS, vec![0; 16]),
    };
    let salted = gen_salted_password(password, &salt, iterations);
    let found = ScramSecret::verifier_from_salted_password(salt, salted, iterations);
    match (known, found) {
        (Some((_, _, expected)), ScramSecret::Verifier { stored_key, .. }) => same(&expected, &stored_key),
        _ => false,
    }
}

/// Iterations, salt, stored key of `SCRAM-SHA-256$4096:salt$stored:server`.
fn parts(verifier: &str) -> Option<(usize, Vec<u8>, Vec<u8>)> {
    let (head, keys) = verifier.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    let (stored, _) = keys.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|count| (1..=MAX_ITERATIONS).contains(count))?;
    Some((iterations, STANDARD.decode(salt).ok()?, STANDARD.decode(stored).ok()?))
}

/// Equality that takes as long whatever differs.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifiers_password_matches() {
        let verifier = crate::wire::hash_password("pencil");
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
