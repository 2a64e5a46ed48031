//! SCRAM-SHA-256 on pgwire's state machine, with PostgreSQL's verifiers (`SCRAM-SHA-256$4096:salt$stored:server`, base64).

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramSecret, ScramServerAuth, ScramServerAuthWaitingForClientFinal, gen_salted_password,
};
use pgwire::error::PgWireError;

use super::super::tls::LoadedTls;
use crate::error::{Report, SqlState};

const PLAIN: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";
/// Bytes of a SHA-256.
const KEY_BYTES: usize = 32;
/// Iterations that a verifier may demand of every client.
const MAX_ITERATIONS: usize = 10_000_000;
/// What the salts of users who do not exist are made from, for as long as the process lives.
static MOCK: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// A text that is no verifier. It is not shown: it might be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier (`SCRAM-SHA-256$iterations:salt$stored key:server key`)")]
pub struct VerifierError;

/// The verifier of a password, with a new salt: what `featgres hash-password` prints and the config holds.
pub fn hash_password(password: &str) -> String {
    let salt = uuid::Uuid::new_v4().into_bytes().to_vec();
    let salted = gen_salted_password(password, &salt, SCRAM_ITERATIONS);
    match ScramSecret::verifier_from_salted_password(salt.clone(), salted, SCRAM_ITERATIONS) {
        ScramSecret::Verifier { salt, iterations, stored_key, server_key } => {
            let encode = |bytes: &[u8]| STANDARD.encode(bytes);
            format!("{PLAIN}${iterations}:{}${}:{}", encode(&salt), encode(&stored_key), encode(&server_key))
        }
        // The function above makes nothing else; a salt alone verifies nobody.
        ScramSecret::SaltedPassword { salt, .. } => STANDARD.encode(salt),
    }
}

/// Reads a verifier.
pub(super) fn parse_verifier(text: &str) -> Result<ScramSecret, VerifierError> {
    let rest = text.strip_prefix(PLAIN).and_then(|rest| rest.strip_prefix('$')).ok_or(VerifierError)?;
    let (head, keys) = rest.split_once('$').ok_or(VerifierError)?;
    let (iterations, salt) = head.split_once(':').ok_or(VerifierError)?;
    let (stored, server) = keys.split_once(':').ok_or(VerifierError)?;
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| VerifierError);
    let iterations = iterations.parse().ok().filter(|count| (1..=MAX_ITERATIONS).contains(count)).ok_or(VerifierError)?;
    let (salt, stored_key, server_key) = (decode(salt)?, decode(stored)?, decode(server)?);
    if stored_key.len() != KEY_BYTES || server_key.len() != KEY_BYTES || salt.is_empty() {
        return Err(VerifierError);
    }
    Ok(ScramSecret::Verifier { salt, iterations, stored_key, server_key })
}

/// Keys that no password has, behind a salt that is always the same for this name.
fn mock(user: &str) -> ScramSecret {
    let salt = MOCK.iter().flat_map(|state| state.hash_one(user).to_be_bytes()).collect();
    let key = || [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    ScramSecret::Verifier { salt, iterations: SCRAM_ITERATIONS, stored_key: key(), server_key: key() }
}

/// An exchange at its start.
pub(super) struct Exchange {
    user: String,
    secret: ScramSecret,
    server: ScramServerAuth,
}

/// An exchange that waits for the proof.
pub(super) struct Waiting {
    user: String,
    state: ScramServerAuthWaitingForClientFinal,
}

impl Exchange {
    /// For a user; under TLS the channel can be bound.
    pub(super) fn new(user: &str, verifier: Option<&str>, tls: Option<&LoadedTls>) -> Result<Self, Report> {
        let secret = match verifier {
            Some(text) => parse_verifier(text).map_err(|error| {
                Report::new(SqlState::CONFIG_FILE_ERROR, format!("user \"{user}\" has no valid password")).detail(error.to_string())
            })?,
            None => mock(user),
        };
        let mut server = ScramServerAuth::new();
        if let Some(tls) = tls {
            // A certificate whose signature has no hash to bind with (Ed25519) leaves the plain mechanism.
            let _ = server.configure_certificate(&tls.certificate_pem);
        }
        Ok(Self { user: user.to_owned(), secret, server })
    }

    /// What is offered, the best first.
    pub(super) fn mechanisms(&self) -> &'static [&'static str] {
        if self.server.supports_channel_binding() { &[PLUS, PLAIN] } else { &[PLAIN] }
    }

    /// The client's first message; the challenge.
    pub(super) fn first(self, mechanism: &str, data: &[u8]) -> Result<(String, Waiting), Report> {
        if !self.mechanisms().contains(&mechanism) {
            return Err(Report::new(SqlState::PROTOCOL_VIOLATION, "client selected an invalid SASL authentication mechanism"));
        }
        // The mechanism and the binding flag must say the same.
        if (mechanism == PLUS) != data.starts_with(b"p=") {
            return Err(malformed());
        }
        let (challenge, state) =
            self.server.on_client_first_message_with_secret(data, self.secret).map_err(|error| refused(&self.user, &error))?;
        Ok((challenge, Waiting { user: self.user, state }))
    }
}

impl Waiting {
    /// The client's proof; the server's own.
    pub(super) fn last(self, data: &[u8]) -> Result<String, Report> {
        self.state.on_client_final_message(data).map_err(|error| refused(&self.user, &error))
    }
}

fn malformed() -> Report {
    Report::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message")
}

fn refused(user: &str, error: &PgWireError) -> Report {
    match error {
        PgWireError::InvalidPassword(_) => {
            Report::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
        }
        _ => malformed(),
    }
}

#[cfg(test)]
mod tests;
