//! A client that speaks bytes, for what a well-behaved one cannot say.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[path = "../../../src/wire/tests/frontend.rs"]
mod frontend;
pub(super) use frontend::{close, describe, execute, message, query, sync};

/// How long an answer may take before the server is said to hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    input: Vec<u8>,
}

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A field of ErrorResponse or NoticeResponse.
    pub(super) fn field(&self, letter: u8) -> Option<String> {
        self.body
            .split(|byte| *byte == 0)
            .find(|part| part.first() == Some(&letter))
            .map(|part| String::from_utf8_lossy(&part[1..]).into_owned())
    }

    /// `E(42601)`, `C(SELECT 1)`, `Z(I)`, `D`.
    pub(super) fn word(&self) -> String {
        match self.tag {
            b'E' | b'N' => format!("{}({})", char::from(self.tag), self.field(b'C').unwrap_or_default()),
            b'C' | b'Z' => format!("{}({})", char::from(self.tag), String::from_utf8_lossy(&self.body).trim_end_matches('\0')),
            tag => char::from(tag).to_string(),
        }
    }
}

/// Parse without types of parameters.
pub(super) fn parse(name: &str, sql: &str) -> Vec<u8> {
    frontend::parse(name, sql, &[])
}

/// Bind with text parameters and text results.
pub(super) fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Vec<u8> {
    let parameters: Vec<_> = parameters.iter().map(|text| Some(text.as_bytes())).collect();
    frontend::bind(portal, statement, &parameters, &[], &[])
}

/// A start-up packet of protocol 3.0.
pub(super) fn startup(user: &str, database: &str) -> Vec<u8> {
    frontend::startup(196_608, &[("user", user), ("database", database)])
}

impl Raw {
    /// Connected, nothing said.
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection"), input: Vec::new() }
    }

    /// Started, up to ReadyForQuery.
    pub(super) async fn start(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address).await;
        raw.send(&startup("tester", "test")).await;
        let greeting = raw.until_ready().await.expect("a session");
        assert!(greeting.iter().all(|message| message.tag != b'E'), "{greeting:?}");
        raw
    }

    /// Sends; whoever closed the connection does not get it.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Option<Message> {
        loop {
            if self.input.len() >= 5 {
                let length = u32::from_be_bytes(self.input[1..5].try_into().unwrap()) as usize;
                assert!(length >= 4, "the server's frames are whole");
                if self.input.len() > length {
                    let rest = self.input.split_off(length + 1);
                    let whole = std::mem::replace(&mut self.input, rest);
                    return Some(Message { tag: whole[0], body: whole[5..].to_vec() });
                }
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await.expect("the server answers in time");
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    /// Drops the lone letters with which encryption is refused, before the first message.
    pub(super) async fn skip_refusals(&mut self) {
        while self.input.is_empty() {
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await.expect("the server answers in time");
            if !matches!(read, Ok(1..)) {
                return;
            }
        }
        // NoticeResponse begins with the same letter, and goes on with a length that begins with zeros.
        while self.input.first() == Some(&b'N') && self.input.get(1).is_none_or(|next| *next != 0) {
            self.input.remove(0);
        }
    }

    /// All messages up to ReadyForQuery; none if the connection ended before.
    pub(super) async fn until_ready(&mut self) -> Option<Vec<Message>> {
        let mut all = Vec::new();
        loop {
            let message = self.next().await?;
            let ready = message.tag == b'Z';
            all.push(message);
            if ready {
                return Some(all);
            }
        }
    }

    /// Sends, and gives the answer in words.
    pub(super) async fn ask(&mut self, bytes: &[u8]) -> String {
        self.send(bytes).await;
        match self.until_ready().await {
            Some(all) => all.iter().map(Message::word).collect::<Vec<_>>().join(" "),
            None => "end".to_owned(),
        }
    }
}
