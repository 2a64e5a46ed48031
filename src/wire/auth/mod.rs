//! Who the client is: trust, SCRAM-SHA-256 (bound to the channel under TLS), or the certificate it showed.
//!
//! Passwords never cross the wire and are never stored: the gateway holds verifiers. The exchange for a user who does not exist
//! runs to its end and fails like a wrong password, with a salt that is the same at each attempt, as a real user's would be.

use std::sync::Arc;

mod scram;

use super::frame::Body;
use super::messages;
use super::socket::{FrameError, Socket, Stream};
use super::tls::LoadedTls;
use crate::error::{Report, SqlState};
use crate::session::{Authentication, Encryption};

/// Codes of Authentication messages.
const OK: i32 = 0;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

/// Why a client was not let in: what it is told, or nothing if it is gone.
pub(super) type Refused = Option<Report>;

/// The encryption of the connection to authenticate.
#[derive(Default)]
pub(super) struct Channel {
    /// The served certificate, if the connection is encrypted.
    pub(super) tls: Option<Arc<LoadedTls>>,
    /// Whether the client showed a certificate; if it did, an authority of ours signed it.
    pub(super) shows_certificate: bool,
    /// How it is encrypted, to be shown.
    pub(super) encryption: Option<Encryption>,
    /// The common name of the client's certificate.
    pub(super) client_name: Option<String>,
}

/// Authenticates; AuthenticationOk is appended, not yet sent.
pub(super) async fn authenticate<S: Stream>(
    socket: &mut Socket<S>,
    user: &str,
    how: &Authentication,
    channel: &Channel,
) -> Result<(), Refused> {
    match how {
        Authentication::Trust => {}
        Authentication::Certificate if channel.client_name.as_deref() == Some(user) => {}
        Authentication::Certificate if !channel.shows_certificate => {
            let report = Report::new(SqlState::INVALID_AUTHORIZATION, "connection requires a valid client certificate");
            return Err(Some(report.hint("Connect with sslmode=require or more, and with sslcert and sslkey.")));
        }
        Authentication::Certificate => {
            let message = format!("certificate authentication failed for user \"{user}\"");
            return Err(Some(Report::new(SqlState::INVALID_AUTHORIZATION, message)));
        }
        Authentication::Scram(verifier) => {
            let exchange = scram::Exchange::new(user, verifier.as_deref(), channel.tls.as_deref()).map_err(Some)?;
            let mut mechanisms = Vec::new();
            for mechanism in exchange.mechanisms() {
                mechanisms.extend_from_slice(mechanism.as_bytes());
                mechanisms.push(0);
            }
            mechanisms.push(0);
            messages::authentication(SASL, &mechanisms, &mut socket.output);
            let body = answer(socket).await?;
            let mut first = Body::new(&body);
            let mechanism = first.text().map_err(Some)?;
            let data = first.counted().map_err(|error| Some(error.into()))?.unwrap_or_default();
            let (challenge, waiting) = exchange.first(mechanism, data).map_err(Some)?;
            messages::authentication(SASL_CONTINUE, challenge.as_bytes(), &mut socket.output);
            let body = answer(socket).await?;
            let last = waiting.last(&body).map_err(Some)?;
            messages::authentication(SASL_FINAL, last.as_bytes(), &mut socket.output);
        }
    }
    messages::authentication(OK, &[], &mut socket.output);
    Ok(())
}

/// Sends what is due and waits for the client's `p`.
async fn answer<S: Stream>(socket: &mut Socket<S>) -> Result<bytes::Bytes, Refused> {
    socket.flush().await.map_err(|_| None)?;
    match socket.frame().await {
        Ok(frame) if frame.tag == b'p' => frame.body.map_err(|error| Some(error.into())),
        Ok(frame) => {
            let message = format!("expected SASL response, got message type {}", frame.tag);
            Err(Some(Report::new(SqlState::PROTOCOL_VIOLATION, message)))
        }
        Err(FrameError::Ended) => Err(None),
        Err(FrameError::Protocol(error)) => Err(Some(error.into())),
    }
}
