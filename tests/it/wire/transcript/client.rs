//! The connection of a case: frontend messages from words to bytes, backend messages from bytes to words.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::answer;
use super::script::{list, token, unescape, value};

/// A server to hold the transcripts to.
pub struct Target {
    /// `featgres` or `postgresql`.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Who connects.
    pub user: String,
    /// To what.
    pub database: String,
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come where nothing is expected.
const SILENCE: Duration = Duration::from_millis(100);
/// How often a cancel is repeated: one that comes before its statement has no effect.
const CANCEL_EVERY: Duration = Duration::from_millis(50);

/// A connection.
pub(super) struct Wire<'a> {
    target: &'a Target,
    stream: TcpStream,
    input: Vec<u8>,
    /// Process and secret, from BackendKeyData.
    key: Option<Vec<u8>>,
    cancelling: bool,
    /// An answer of one byte is next.
    one_byte: bool,
    closed: bool,
    /// A message that was read too early.
    waiting: Option<String>,
}

fn io(error: &std::io::Error) -> String {
    format!("the connection failed: {error}")
}

impl<'a> Wire<'a> {
    /// Connects, and starts a session unless the case does.
    pub(super) fn connect(target: &'a Target, raw: bool) -> Result<Self, String> {
        let stream = TcpStream::connect(target.address).map_err(|error| io(&error))?;
        stream.set_nodelay(true).map_err(|error| io(&error))?;
        let mut wire =
            Self { target, stream, input: Vec::new(), key: None, cancelling: false, one_byte: false, closed: false, waiting: None };
        if !raw {
            wire.send("Startup 3.0 user=$user database=$database")?;
            loop {
                match wire.next(false, "ReadyForQuery I")? {
                    ready if ready == "ReadyForQuery I" => break,
                    refusal if refusal.starts_with("ErrorResponse") || refusal == "Closed" => {
                        return Err(format!("no session: {refusal}"));
                    }
                    _ => {}
                }
            }
        }
        Ok(wire)
    }

    /// Sends what a line says.
    pub(super) fn send(&mut self, text: &str) -> Result<(), String> {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let bytes = match kind {
            "Startup" => self.startup(rest)?,
            "SSLRequest" => self.request(80_877_103),
            "GSSENCRequest" => self.request(80_877_104),
            "Raw" | "Packet" => parts(rest)?,
            "CancelRequest" => {
                let bytes = parts(rest)?;
                [((bytes.len() + 8) as u32).to_be_bytes().as_slice(), &80_877_102_u32.to_be_bytes(), &bytes].concat()
            }
            "Cancel" => {
                self.cancelling = rest != "wrong";
                return self.cancel(rest == "wrong");
            }
            _ => message(kind, rest)?,
        };
        match self.stream.write_all(&bytes) {
            // A server that has said its last word may not listen any more; what it said is still to be read.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            outcome => outcome.map_err(|error| io(&error)),
        }
    }

    fn request(&mut self, code: u32) -> Vec<u8> {
        self.one_byte = true;
        [8_u32.to_be_bytes(), code.to_be_bytes()].concat()
    }

    fn startup(&self, rest: &str) -> Result<Vec<u8>, String> {
        let (version, mut rest) = token(rest);
        let (major, minor) = version.split_once('.').ok_or("a version has two parts")?;
        let number = |text: &str| text.parse::<u16>().map_err(|_| format!("{text} is no number"));
        let mut body = [number(major)?.to_be_bytes(), number(minor)?.to_be_bytes()].concat();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or("a parameter is name=value")?;
            let (given, after) = token(after);
            let given = given.replace("$user", &self.target.user).replace("$database", &self.target.database);
            body.extend(name.bytes());
            body.push(0);
            body.extend(value(&given)?.unwrap_or_default());
            body.push(0);
            rest = after;
        }
        body.push(0);
        Ok([((body.len() + 4) as u32).to_be_bytes().as_slice(), &body].concat())
    }

    /// A cancel request for this session, on a connection of its own, which the server ends.
    fn cancel(&self, wrong: bool) -> Result<(), String> {
        let mut key = self.key.clone().ok_or("there is no key to cancel with")?;
        if wrong && let Some(last) = key.last_mut() {
            *last ^= 1;
        }
        let mut stream = TcpStream::connect(self.target.address).map_err(|error| io(&error))?;
        let bytes = [((key.len() + 8) as u32).to_be_bytes().as_slice(), &80_877_102_u32.to_be_bytes(), &key].concat();
        stream.write_all(&bytes).map_err(|error| io(&error))?;
        let mut rest = Vec::new();
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| io(&error))?;
        let _ = stream.read_to_end(&mut rest);
        Ok(())
    }

    /// The next message in words: `(nothing)` if that is expected and true, `Closed` at the end. Skips ParameterStatus if told to.
    pub(super) fn next(&mut self, skip_statuses: bool, expected: &str) -> Result<String, String> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(waiting);
        }
        let patience = if expected == "(nothing)" { SILENCE } else { PATIENCE };
        let deadline = Instant::now() + patience;
        loop {
            if let Some(text) = self.parsed() {
                self.cancelling &= !(text.starts_with("ErrorResponse") || text.starts_with("CommandComplete"));
                if skip_statuses && text.starts_with("ParameterStatus ") {
                    continue;
                }
                return Ok(text);
            }
            if self.closed {
                return Ok("Closed".to_owned());
            }
            if Instant::now() >= deadline {
                return if expected == "(nothing)" {
                    Ok(expected.to_owned())
                } else {
                    Err(format!("no answer where {expected} is expected"))
                };
            }
            let wait = if self.cancelling { CANCEL_EVERY } else { patience };
            self.stream.set_read_timeout(Some(wait)).map_err(|error| io(&error))?;
            let mut chunk = [0; 16_384];
            match self.stream.read(&mut chunk) {
                Ok(0) => self.closed = true,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.cancelling {
                        self.cancel(false)?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.closed = true,
                Err(error) => return Err(io(&error)),
            }
        }
    }

    /// A message that is there.
    fn parsed(&mut self) -> Option<String> {
        if self.one_byte && !self.input.is_empty() {
            self.one_byte = false;
            return Some(format!("Byte {}", char::from(self.input.remove(0))));
        }
        let length = u32::from_be_bytes(self.input.get(1..5)?.try_into().ok()?) as usize;
        let body = self.input.get(5..length + 1)?;
        let (tag, body) = (self.input[0], body.to_vec());
        self.input.drain(..=length);
        if tag == b'K' {
            self.key = Some(body.clone());
        }
        Some(answer::describe(tag, &body))
    }

    /// Gives a message back, to be the next again.
    pub(super) fn put_back(&mut self, text: String) {
        self.waiting = Some(text);
    }

    /// What else is there, for a failure's message.
    pub(super) fn drain(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < 12
            && let Ok(text) = self.next(false, "(nothing)")
            && text != "(nothing)"
        {
            let ended = text == "Closed";
            found.push(text);
            if ended {
                break;
            }
        }
        found
    }

    /// Says goodbye: nothing more may come.
    pub(super) fn end(mut self) -> Result<(), String> {
        if !self.closed {
            self.send("Terminate")?;
        }
        match self.next(false, "Closed")?.as_str() {
            "Closed" => Ok(()),
            other => Err(format!("left over at the end: {other}")),
        }
    }
}

/// `'text' 0x00`, one behind the other.
fn parts(mut rest: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        let (part, after) = token(rest);
        bytes.extend(value(part)?.unwrap_or_default());
        rest = after;
    }
    Ok(bytes)
}

fn text(token: &str) -> Result<Vec<u8>, String> {
    let mut bytes = value(token)?.unwrap_or_default();
    bytes.push(0);
    Ok(bytes)
}

fn numbers(numbers: &[&str]) -> Result<Vec<u8>, String> {
    let mut bytes = (numbers.len() as u16).to_be_bytes().to_vec();
    for number in numbers {
        bytes.extend(number.parse::<i16>().map_err(|_| format!("{number} is no number"))?.to_be_bytes());
    }
    Ok(bytes)
}

/// A tagged message.
fn message(kind: &str, rest: &str) -> Result<Vec<u8>, String> {
    let (tag, body) = match kind {
        "Query" => (b'Q', [unescape(rest), vec![0]].concat()),
        "Parse" => {
            let (name, rest) = token(rest);
            let (types, sql) = if rest.starts_with('[') { token(rest) } else { ("[]", rest) };
            let types = list(types);
            let mut body = [text(name)?, unescape(sql), vec![0], (types.len() as u16).to_be_bytes().to_vec()].concat();
            for name in types {
                body.extend(answer::oid(name).ok_or_else(|| format!("no type {name}"))?.to_be_bytes());
            }
            (b'P', body)
        }
        "Bind" => (b'B', bind(rest)?),
        "Describe" | "Close" => {
            let (what, name) = token(rest);
            let tag = if kind == "Describe" { b'D' } else { b'C' };
            (tag, [what.as_bytes().to_vec(), text(token(name).0)?].concat())
        }
        "Execute" => {
            let (portal, rest) = token(rest);
            let rows = rest.strip_prefix("max=").map_or(Ok(0), str::parse::<i32>).map_err(|_| format!("{rest} is no limit"))?;
            (b'E', [text(portal)?, rows.to_be_bytes().to_vec()].concat())
        }
        "Sync" => (b'S', Vec::new()),
        "Flush" => (b'H', Vec::new()),
        "Terminate" => (b'X', Vec::new()),
        "CopyData" => (b'd', parts(rest)?),
        "CopyDone" => (b'c', Vec::new()),
        "CopyFail" => (b'f', [unescape(rest), vec![0]].concat()),
        // A call of int4pl(2, 3), as far as it matters.
        "FunctionCall" => (b'F', [177_u32.to_be_bytes().to_vec(), vec![0; 6]].concat()),
        other => return Err(format!("no message {other}")),
    };
    Ok([[tag].as_slice(), &((body.len() + 4) as u32).to_be_bytes(), &body].concat())
}

/// `portal statement [values] formats=[1] results=[1]`.
fn bind(rest: &str) -> Result<Vec<u8>, String> {
    let (portal, rest) = token(rest);
    let (statement, rest) = token(rest);
    let (values, mut rest) = if rest.starts_with('[') { token(rest) } else { ("[]", rest) };
    let (mut formats, mut results) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("formats=[…] or results=[…]")?;
        let (members, after) = token(after);
        match name {
            "formats" => formats = list(members),
            "results" => results = list(members),
            other => return Err(format!("no {other} in Bind")),
        }
        rest = after;
    }
    let values = list(values);
    let mut body = [text(portal)?, text(statement)?, numbers(&formats)?, (values.len() as u16).to_be_bytes().to_vec()].concat();
    for each in values {
        match value(each)? {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                body.extend((bytes.len() as u32).to_be_bytes());
                body.extend(bytes);
            }
        }
    }
    body.extend(numbers(&results)?);
    Ok(body)
}
