//! A PostgreSQL client of the demo's size: the simple protocol, text results, every message kept in order.
//!
//! tokio-postgres would do, but its simple protocol gives neither types nor command tags nor notices in their place, and those are
//! what psql shows. It trusts the server it talks to (our own) for everything but the sizes of messages.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::DemoError;

/// The longest message that is taken.
const MESSAGE_LIMIT: usize = 64 << 20;

/// A result column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type's oid.
    pub type_oid: u32,
}

/// An ErrorResponse or NoticeResponse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// `ERROR`, `NOTICE`, ….
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// Character of the statement, counted from 1.
    pub position: Option<usize>,
}

/// What comes back, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// RowDescription.
    Columns(Vec<ResultColumn>),
    /// DataRow.
    Row(Vec<Option<String>>),
    /// CommandComplete.
    Tag(String),
    /// NoticeResponse.
    Notice(ServerMessage),
    /// ErrorResponse.
    Error(ServerMessage),
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects without a password.
    pub fn connect(address: SocketAddr, user: &str, database: &str) -> Result<Self, DemoError> {
        let stream = TcpStream::connect(address).map_err(DemoError::io(format!("could not connect to {address}")))?;
        let mut client = Self { stream: BufReader::new(stream) };
        let mut body = 196_608_i32.to_be_bytes().to_vec();
        for text in ["user", user, "database", database, "application_name", "featgres demo", "client_encoding", "UTF8"] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        client.send(None, &body)?;
        loop {
            let (kind, body) = client.receive()?;
            match kind {
                b'R' if body.get(..4) == Some(&[0; 4]) => {}
                b'R' => return Err(DemoError::Protocol { what: "it asks for a password".to_owned() }),
                b'E' => return Err(DemoError::Refused { message: server_message(&body)?.message }),
                b'Z' => return Ok(client),
                _ => {}
            }
        }
    }

    /// Runs one query string and hands every reply to `each`.
    pub fn query(&mut self, text: &str, mut each: impl FnMut(Reply) -> Result<(), DemoError>) -> Result<(), DemoError> {
        let mut body = text.as_bytes().to_vec();
        body.push(0);
        self.send(Some(b'Q'), &body)?;
        loop {
            let (kind, body) = self.receive()?;
            match kind {
                b'T' => each(Reply::Columns(columns(&body)?))?,
                b'D' => each(Reply::Row(row(&body)?))?,
                b'C' => each(Reply::Tag(Fields(&body).text()?))?,
                b'N' => each(Reply::Notice(server_message(&body)?))?,
                b'E' => each(Reply::Error(server_message(&body)?))?,
                b'Z' => return Ok(()),
                b'S' | b'I' => {}
                other => return Err(DemoError::Protocol { what: format!("type '{}'", char::from(other)) }),
            }
        }
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), DemoError> {
        let length = i32::try_from(body.len() + 4).map_err(|_| DemoError::Protocol { what: "statement too long".to_owned() })?;
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.get_mut().write_all(&message).map_err(DemoError::io("could not send to the server"))
    }

    fn receive(&mut self) -> Result<(u8, Vec<u8>), DemoError> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).map_err(DemoError::io("the server closed the connection"))?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=MESSAGE_LIMIT).contains(&length) {
            return Err(DemoError::Protocol { what: format!("a message of {length} bytes") });
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).map_err(DemoError::io("the server closed the connection"))?;
        Ok((head[0], body))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Terminate; a server that is gone already needs none.
        let _ = self.send(Some(b'X'), &[]);
    }
}

/// The rest of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DemoError> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or_else(|| DemoError::Protocol { what: "a message that ends early".to_owned() })?;
        self.0 = rest;
        Ok(taken)
    }

    fn int16(&mut self) -> Result<i16, DemoError> {
        self.take(2).map(|bytes| i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int32(&mut self) -> Result<i32, DemoError> {
        self.take(4).map(|bytes| i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<String, DemoError> {
        let end =
            self.0.iter().position(|byte| *byte == 0).ok_or_else(|| DemoError::Protocol { what: "text without an end".to_owned() })?;
        let text = String::from_utf8_lossy(self.take(end)?).into_owned();
        self.take(1)?;
        Ok(text)
    }
}

fn columns(body: &[u8]) -> Result<Vec<ResultColumn>, DemoError> {
    let mut fields = Fields(body);
    (0..fields.int16()?)
        .map(|_| {
            let name = fields.text()?;
            fields.take(6)?;
            let type_oid = fields.int32()? as u32;
            fields.take(8)?;
            Ok(ResultColumn { name, type_oid })
        })
        .collect()
}

fn row(body: &[u8]) -> Result<Vec<Option<String>>, DemoError> {
    let mut fields = Fields(body);
    (0..fields.int16()?)
        .map(|_| match fields.int32()? {
            length if length < 0 => Ok(None),
            length => Ok(Some(String::from_utf8_lossy(fields.take(length as usize)?).into_owned())),
        })
        .collect()
}

fn server_message(body: &[u8]) -> Result<ServerMessage, DemoError> {
    let mut fields = Fields(body);
    let mut message = ServerMessage::default();
    loop {
        let kind = fields.take(1)?[0];
        if kind == 0 {
            return Ok(message);
        }
        let text = fields.text()?;
        match kind {
            b'S' => message.severity = text,
            b'C' => message.code = text,
            b'M' => message.message = text,
            b'D' => message.detail = Some(text),
            b'H' => message.hint = Some(text),
            b'P' => message.position = text.parse().ok(),
            _ => {}
        }
    }
}
