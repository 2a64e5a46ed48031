//! SCRAM-SHA-256 on pgwire's state machine, with PostgreSQL's verifiers.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth, ScramServerAuthWaitingForClientFinal};
use pgwire::error::PgWireError;

use super::super::tls::LoadedTls;
use crate::error::{Report, SqlState};
use crate::verifier::{DEFAULT_ROUNDS, Verifier};

const PLAIN: &str = "SCRAM-SHA-256";
const PLUS: &str = "SCRAM-SHA-256-PLUS";
/// What the salts of users who do not exist are made from, for as long as the process lives.
static MOCK: LazyLock<[RandomState; 2]> = LazyLock::new(|| [RandomState::new(), RandomState::new()]);

/// Keys that no password has, behind a salt that is always the same for this name.
fn mock(user: &str) -> ScramSecret {
    let salt = MOCK.iter().flat_map(|state| state.hash_one(user).to_be_bytes()).collect();
    let key = || [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    ScramSecret::Verifier { salt, iterations: DEFAULT_ROUNDS, stored_key: key(), server_key: key() }
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
    /// Whether the client binds the channel.
    bound: bool,
    state: ScramServerAuthWaitingForClientFinal,
}

impl Exchange {
    /// For a user; under TLS the channel can be bound.
    pub(super) fn new(user: &str, verifier: Option<&str>, tls: Option<&LoadedTls>) -> Result<Self, Report> {
        let secret = match verifier {
            Some(text) => text.parse::<Verifier>().map(Verifier::into_secret).map_err(|error| {
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
        // Someone in between may have told the client so.
        if data.starts_with(b"y") && self.server.supports_channel_binding() {
            let detail = "The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.";
            return Err(Report::new(SqlState::INVALID_AUTHORIZATION, "SCRAM channel binding negotiation error").detail(detail));
        }
        let bound = mechanism == PLUS;
        let (challenge, state) =
            self.server.on_client_first_message_with_secret(data, self.secret).map_err(|error| refused(&self.user, &error))?;
        Ok((challenge, Waiting { user: self.user, bound, state }))
    }
}

impl Waiting {
    /// The client's proof; the server's own.
    pub(super) fn last(self, data: &[u8]) -> Result<String, Report> {
        self.state.on_client_final_message(data).map_err(|error| match &error {
            PgWireError::InvalidScramMessage(why) if why.starts_with("Channel binding") && self.bound => {
                Report::new(SqlState::INVALID_AUTHORIZATION, "SCRAM channel binding check failed")
            }
            PgWireError::InvalidScramMessage(why) if why.starts_with("Channel binding") => {
                Report::new(SqlState::PROTOCOL_VIOLATION, "unexpected SCRAM channel-binding attribute in client-final-message")
            }
            error => refused(&self.user, error),
        })
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
