//! A client that speaks bytes: messages out by hand, messages in as short words (`T(n:23) D(1) C(SELECT 1) Z(I)`).

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::fake::Fake;
use crate::wire::serve_connection;

pub(super) struct Client {
    pub(super) stream: DuplexStream,
    input: BytesMut,
}

/// A message.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], (body.len() as u32 + 4).to_be_bytes().as_slice(), body].concat()
}

pub(super) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

pub(super) fn parse(name: &str, sql: &str, oids: &[u32]) -> Vec<u8> {
    let oids: Vec<u8> = oids.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0", &(oids.len() as u16 / 4).to_be_bytes(), &oids].concat())
}

pub(super) fn bind(portal: &str, statement: &str, parameters: &[Option<&[u8]>], formats: &[i16], results: &[i16]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
    let codes = |formats: &[i16], body: &mut Vec<u8>| {
        body.extend((formats.len() as u16).to_be_bytes());
        body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    };
    codes(formats, &mut body);
    body.extend((parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        body.extend(parameter.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        body.extend(parameter.unwrap_or_default());
    }
    codes(results, &mut body);
    message(b'B', &body)
}

pub(super) fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub(super) fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub(super) fn execute(portal: &str, rows: i32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(super) fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    [(body.len() as u32 + 4).to_be_bytes().as_slice(), &body].concat()
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
