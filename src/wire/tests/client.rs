//! A client that speaks bytes: messages out by hand ([`super::frontend`]), messages in as short words (`T(n:23) D(1) C(SELECT 1) Z(I)`).

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::fake::Fake;
use super::frontend::startup;
use crate::wire::serve_connection;

pub(super) struct Client {
    pub(super) stream: DuplexStream,
    input: BytesMut,
}

impl Client {
    /// Connected, nothing said.
    pub(super) fn new(fake: Fake) -> (Self, Arc<Fake>) {
        let fake = Arc::new(fake);
        let (stream, server) = tokio::io::duplex(16 << 10);
        tokio::spawn(serve_connection(server, Arc::clone(&fake), None));
        (Self { stream, input: BytesMut::new() }, fake)
    }

    /// Started, up to ReadyForQuery.
    pub(super) async fn started(fake: Fake) -> (Self, Arc<Fake>) {
        let (mut client, fake) = Self::new(fake);
        client.send(&startup(196_608, &[("user", "u")])).await;
        let greeting = client.until_ready().await;
        assert_eq!(greeting, "R0 S(server_version=16.4) K4 Z(I)");
        (client, fake)
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message's tag and body; none at the end.
    pub(super) async fn next(&mut self) -> Option<(u8, BytesMut)> {
        loop {
            if self.input.len() >= 5 {
                let length = u32::from_be_bytes(self.input[1..5].try_into().unwrap()) as usize;
                if self.input.len() > length {
                    let mut whole = self.input.split_to(length + 1);
                    return Some((whole[0], whole.split_off(5)));
                }
            }
            if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                assert!(self.input.is_empty());
                return None;
            }
        }
    }

    /// All messages up to one of this tag, or the end.
    pub(super) async fn until(&mut self, last: u8) -> String {
        let mut words = Vec::new();
        loop {
            match self.next().await {
                None => {
                    words.push("end".to_owned());
                    break;
                }
                Some((tag, body)) => {
                    words.push(word(tag, &body));
                    if tag == last {
                        break;
                    }
                }
            }
        }
        words.join(" ")
    }

    pub(super) async fn until_ready(&mut self) -> String {
        self.until(b'Z').await
    }

    /// Sends, and reads up to ReadyForQuery.
    pub(super) async fn ask(&mut self, bytes: &[u8]) -> String {
        self.send(bytes).await;
        self.until_ready().await
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A message in a few characters.
fn word(tag: u8, body: &[u8]) -> String {
    let texts: Vec<String> = body.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let field = |letter: char| texts.iter().find_map(|text| text.strip_prefix(letter)).unwrap_or_default().to_owned();
    let letter = char::from(tag);
    match tag {
        b'R' => format!("R{}", i32::from_be_bytes(body[..4].try_into().unwrap())),
        b'S' => format!("S({}={})", texts[0], texts[1]),
        b'K' => format!("K{}", body.len() - 4),
        b'Z' | b'C' => format!("{letter}({})", shown(body.strip_suffix(b"\0").unwrap_or(body))),
        b'E' | b'N' => format!("{letter}({} {})", field('C'), field('M')),
        b'T' => {
            let end = 2 + texts[0].len().max(body[2..].iter().position(|byte| *byte == 0).unwrap_or(0));
            let name = String::from_utf8_lossy(&body[2..end]);
            let oid = u32::from_be_bytes(body[end + 7..end + 11].try_into().unwrap());
            let format = body[end + 18];
            format!("T({name}:{oid}:{format})")
        }
        b'D' => {
            let length = i32::from_be_bytes(body[2..6].try_into().unwrap());
            if length < 0 { "D(NULL)".to_owned() } else { format!("D({})", shown(&body[6..6 + length as usize])) }
        }
        b't' => format!("t{}", shown(&body[2..])),
        b'd' => format!("d({})", shown(body)),
        b'v' => format!("v{}", shown(body)),
        b'G' | b'H' => format!("{letter}{}", body[0]),
        _ => letter.to_string(),
    }
}
