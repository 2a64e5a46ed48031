//! From the first byte to ReadyForQuery: encryption, version, parameters, authentication; or a CancelRequest.
//!
//! Encryption fails closed: a client that asks for TLS gets it or a plain `N`, never a plaintext session behind a failed handshake,
//! and bytes that were sent before the handshake (which someone in between may have put there) end the connection. Protocols
//! 3.0 and 3.2 are spoken; a newer minor version, and options nobody here knows, are negotiated down. A client may also begin with
//! the handshake itself (`sslnegotiation=direct`); then it must name PostgreSQL's protocol by ALPN, so that nobody can make it talk
//! to a server of another protocol.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use pgwire::tokio::tokio_rustls::server::TlsStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::auth::Channel;
use super::encryption::encryption_of;
use super::error::ProtocolError;
use super::frame::Body;
use super::rewound::Rewound;
use super::socket::Stream;
use super::tls::{ALPN, ServedTls};
use crate::error::Report;
use crate::session::{Gateway, Startup};

const SSL_REQUEST: u32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// PostgreSQL's bound on the first packet.
const MAX_PACKET: usize = 10_000;
/// The newest minor version of protocol 3.
const NEWEST_MINOR: u16 = 2;
/// How often one client may ask for encryption.
const MAX_REQUESTS: usize = 4;
/// The first byte of a TLS handshake; no length of a first packet begins with it.
const HANDSHAKE: u8 = 0x16;

/// A client that wants a session.
pub(super) struct Newcomer {
    pub(super) stream: Box<dyn Stream>,
    pub(super) input: BytesMut,
    pub(super) channel: Channel,
    pub(super) startup: Startup,
    /// The version to tell of and the options nobody knows, if the client asked for more than there is.
    pub(super) negotiation: Option<(i32, Vec<String>)>,
}

/// What a new connection turned out to be.
pub(super) enum Arrival {
    /// A session to be.
    Newcomer(Box<Newcomer>),
    /// A cancel request, or a client that left: nothing more to say.
    Done,
    /// Something to be refused.
    Refused(Box<dyn Stream>, Report),
}

/// Reads packets up to the one that says what the connection is for.
pub(super) async fn arrive<G: Gateway>(
    mut stream: Box<dyn Stream>,
    gateway: &G,
    tls: Option<&ServedTls>,
    peer: Option<SocketAddr>,
    process_id: i32,
) -> Arrival {
    let mut input = BytesMut::new();
    let mut channel = Channel::default();
    let mut encrypted = false;
    if !matches!(stream.read_buf(&mut input).await, Ok(1..)) {
        return Arrival::Done;
    }
    if input.first() == Some(&HANDSHAKE) {
        // Without a certificate there is no language to answer in.
        let Some(served) = tls else { return Arrival::Done };
        let begun = Box::new(Rewound::new(std::mem::take(&mut input), stream));
        let Some(secured) = handshake(begun, served, &mut channel, peer).await else { return Arrival::Done };
        if secured.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Arrival::Refused(Box::new(secured), ProtocolError::DirectTlsWithoutAlpn.into());
        }
        (stream, encrypted) = (Box::new(secured), true);
    }
    for _ in 0..MAX_REQUESTS {
        let packet = match packet(&mut stream, &mut input).await {
            Ok(Some(packet)) => packet,
            Ok(None) => return Arrival::Done,
            Err(error) => return Arrival::Refused(stream, error.into()),
        };
        let mut body = Body::new(&packet);
        let code = body.i32().map_or(0, |code| code as u32);
        match code {
            SSL_REQUEST if !encrypted => {
                let Some(served) = tls else {
                    if stream.write_all(b"N").await.is_err() {
                        return Arrival::Done;
                    }
                    continue;
                };
                if !input.is_empty() {
                    return Arrival::Refused(stream, ProtocolError::DataBeforeTls.into());
                }
                if stream.write_all(b"S").await.is_err() || stream.flush().await.is_err() {
                    return Arrival::Done;
                }
                let Some(secured) = handshake(stream, served, &mut channel, peer).await else { return Arrival::Done };
                (stream, encrypted) = (Box::new(secured), true);
            }
            GSS_ENCRYPTION_REQUEST if !encrypted => {
                if stream.write_all(b"N").await.is_err() {
                    return Arrival::Done;
                }
            }
            CANCEL_REQUEST => {
                if let Ok(process_id) = body.i32() {
                    gateway.cancel(process_id, body.rest());
                }
                return Arrival::Done;
            }
            _ => {
                let (major, minor) = ((code >> 16) as u16, code as u16);
                if major != 3 {
                    return Arrival::Refused(stream, ProtocolError::Version(major, minor).into());
                }
                if !encrypted && tls.is_some_and(|tls| tls.required) {
                    return Arrival::Refused(stream, ProtocolError::TlsRequired.into());
                }
                return match parameters(body, minor) {
                    Ok((mut startup, negotiation)) => {
                        (startup.peer, startup.process_id, startup.encryption) = (peer, process_id, channel.encryption.take());
                        startup.secret = secret(minor);
                        Arrival::Newcomer(Box::new(Newcomer { stream, input, channel, startup, negotiation }))
                    }
                    Err(report) => Arrival::Refused(stream, report),
                };
            }
        }
    }
    Arrival::Refused(stream, ProtocolError::StartupLayout.into())
}

/// The handshake, with the certificate that is served now; none where it failed, of which TLS itself told the client.
async fn handshake(
    stream: Box<dyn Stream>,
    served: &ServedTls,
    channel: &mut Channel,
    peer: Option<SocketAddr>,
) -> Option<TlsStream<Box<dyn Stream>>> {
    let loaded = served.current();
    match loaded.acceptor.accept(stream).await {
        Ok(secured) => {
            let certificate = secured.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            channel.shows_certificate = certificate.is_some();
            channel.client_name = certificate.and_then(|certificate| common_name(certificate.as_ref()));
            channel.encryption = encryption_of(secured.get_ref().1);
            channel.tls = Some(loaded);
            Some(secured)
        }
        Err(error) => {
            tracing::info!(%error, ?peer, "a TLS handshake failed");
            None
        }
    }
}

/// The name in a client's certificate.
fn common_name(der: &[u8]) -> Option<String> {
    x509_certificate::X509Certificate::from_der(der).ok()?.subject_common_name()
}

/// What a CancelRequest must present: four bytes, or since protocol 3.2 more.
fn secret(minor: u16) -> Vec<u8> {
    let mut secret = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
    if minor < 2 {
        secret.truncate(4);
    }
    secret
}

/// A packet behind its length; none at the end of the stream.
async fn packet(stream: &mut Box<dyn Stream>, input: &mut BytesMut) -> Result<Option<BytesMut>, ProtocolError> {
    let mut wanted = 4;
    loop {
        if input.len() >= 4 {
            let length = u32::from_be_bytes([input[0], input[1], input[2], input[3]]) as usize;
            if !(8..=MAX_PACKET).contains(&length) {
                return Err(ProtocolError::StartupLength);
            }
            wanted = length;
        }
        if input.len() >= wanted {
            let mut packet = input.split_to(wanted);
            packet.advance(4);
            return Ok(Some(packet));
        }
        if !matches!(stream.read_buf(input).await, Ok(1..)) {
            return Ok(None);
        }
    }
}

/// Names and values up to an empty name.
fn parameters(mut body: Body<'_>, minor: u16) -> Result<(Startup, Option<(i32, Vec<String>)>), Report> {
    let (mut user, mut database) = (None, None);
    let mut parameters = Vec::new();
    let mut unknown = Vec::new();
    loop {
        let name = body.text().map_err(layout)?;
        if name.is_empty() {
            break;
        }
        let value = body.text().map_err(layout)?.to_owned();
        match name {
            "user" => user = Some(value),
            "database" => database = Some(value),
            "options" => parameters.extend(options(&value)?),
            // Streaming replication has another grammar, and nothing to stream here.
            "replication" if ["false", "off", "no", "0"].contains(&value.as_str()) => {}
            "replication" => return Err(ProtocolError::Replication.into()),
            name if name.starts_with("_pq_.") => unknown.push(name.to_owned()),
            name => parameters.push((name.to_owned(), value)),
        }
    }
    body.end().map_err(|_| ProtocolError::StartupLayout)?;
    let user = user.filter(|user| !user.is_empty()).ok_or(ProtocolError::NoUser)?;
    let database = database.filter(|database| !database.is_empty()).unwrap_or_else(|| user.clone());
    let startup = Startup { user, database, parameters, peer: None, process_id: 0, secret: Vec::new(), encryption: None };
    let newest = (3 << 16) | i32::from(minor.min(NEWEST_MINOR));
    let negotiation = (minor > NEWEST_MINOR || !unknown.is_empty()).then_some((newest, unknown));
    Ok((startup, negotiation))
}

/// A packet that ends early is one of a wrong layout; bad UTF-8 stays what it is.
fn layout(report: Report) -> Report {
    if report.sqlstate == crate::error::SqlState::PROTOCOL_VIOLATION { ProtocolError::StartupLayout.into() } else { report }
}

/// `-c name=value --name=value`, a backslash before a blank that belongs to a value.
fn options(text: &str) -> Result<Vec<(String, String)>, Report> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let wrong = || ProtocolError::StartupOption(word.clone());
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(long), _) => long.to_owned(),
            (None, Some("")) => words.next().ok_or_else(wrong)?,
            (None, Some(attached)) => attached.to_owned(),
            (None, None) => return Err(wrong().into()),
        };
        let (name, value) = setting.split_once('=').ok_or_else(|| ProtocolError::StartupOptionValue(word.clone()))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}
