//! The two directions of a connection: a buffer each, messages in, bytes out, and the watch on a client that leaves.
//!
//! Nothing is written before someone flushes, so that an extended round trip is one write. While a statement runs, [`Socket::guard`]
//! polls it together with the session's interrupt, the deadline and the socket: what the client sends meanwhile is read ahead (up
//! to [`READ_AHEAD`], then the kernel's buffer holds it back), and its end stops the statement. While a client does not read,
//! nothing polls the statement, so it stands still; interrupt and deadline end it all the same, and the half-written
//! message stays in the buffer, so that the error which follows is in step.

use std::any::Any;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;

use bytes::BytesMut;
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::error::ProtocolError;
use super::frame::Frame;
use crate::error::{Report, SqlState};
use crate::session::Interrupt;

/// Output is flushed when it reaches this.
pub(super) const FLUSH_AT: usize = 64 << 10;
/// Input is read ahead of a running statement up to this.
const READ_AHEAD: usize = 1 << 20;
/// The step by which the input buffer grows; a message's announced length never decides it.
const READ_STEP: usize = 8 << 10;
/// PostgreSQL's bound on any message; more is a client out of step.
const MAX_LENGTH: usize = 0x3fff_ffff;

/// Any byte stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why work was not brought to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The statement was cancelled, ran out of time, or failed.
    Statement(Report),
    /// The session is to end: the client is told as FATAL.
    Session(Report),
    /// The client is gone; there is nobody to tell.
    Gone,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Stop::Gone
    }
}

/// A connection's two directions.
pub(super) struct Socket<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    input: BytesMut,
    ended: bool,
    /// What is to be sent; messages are appended.
    pub(super) output: Vec<u8>,
    /// How much of it was.
    sent: usize,
    max_message_size: usize,
    /// A message that is too large, of which these bytes are still to pass by: its tag, its length, the rest.
    passing: Option<(u8, usize, usize)>,
}

impl<S: Stream> Socket<S> {
    /// Around a stream, with what was read of it already.
    pub(super) fn new(stream: S, input: BytesMut, max_message_size: usize) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { reader, writer, input, ended: false, output: Vec::with_capacity(READ_STEP), sent: 0, max_message_size, passing: None }
    }

    /// The largest message that is read from now on.
    pub(super) fn set_max_message_size(&mut self, bytes: usize) {
        self.max_message_size = bytes;
    }

    /// Bytes not yet written.
    pub(super) fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Reads what is there; false at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.input.reserve(READ_STEP);
        Ok(self.reader.read_buf(&mut self.input).await? > 0)
    }

    /// The client's next message. Cancel-safe: what was read stays.
    pub(super) async fn frame(&mut self) -> Result<Frame, FrameError> {
        if self.passing.is_some() {
            return self.pass().await;
        }
        while self.input.len() < 5 {
            if self.ended || !self.fill().await? {
                return Err(FrameError::Ended);
            }
        }
        let tag = self.input[0];
        let length = u32::from_be_bytes([self.input[1], self.input[2], self.input[3], self.input[4]]) as usize;
        if !(4..=MAX_LENGTH).contains(&length) {
            return Err(FrameError::Protocol(ProtocolError::MessageLength));
        }
        if !matches!(tag, b'B' | b'C' | b'D' | b'E' | b'F' | b'H' | b'P' | b'Q' | b'S' | b'X' | b'c' | b'd' | b'f' | b'p') {
            return Err(FrameError::Protocol(ProtocolError::MessageType(tag)));
        }
        if length > self.max_message_size {
            self.passing = Some((tag, length, length + 1));
            return self.pass().await;
        }
        while self.input.len() < length + 1 {
            if self.ended || !self.fill().await? {
                return Err(FrameError::Ended);
            }
        }
        let mut whole = self.input.split_to(length + 1);
        let body = whole.split_off(5).freeze();
        Ok(Frame { tag, body: Ok(body) })
    }

    /// Lets a message that is too large pass by, a buffer at a time, so that the session stays in step.
    async fn pass(&mut self) -> Result<Frame, FrameError> {
        while let Some((tag, size, left)) = self.passing {
            let here = left.min(self.input.len());
            bytes::Buf::advance(&mut self.input, here);
            if here == left {
                self.passing = None;
                return Ok(Frame { tag, body: Err(ProtocolError::TooLarge { size, limit: self.max_message_size }) });
            }
            self.passing = Some((tag, size, left - here));
            if self.ended || !self.fill().await? {
                break;
            }
        }
        Err(FrameError::Ended)
    }

    /// Writes all that is to be sent.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.output.len() {
            let written = self.writer.write(&self.output[self.sent..]).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.sent += written;
        }
        self.clear_output();
        self.writer.flush().await
    }

    fn clear_output(&mut self) {
        self.output.clear();
        self.sent = 0;
        // One huge row must not hold its memory for the rest of the session.
        self.output.shrink_to(4 * FLUSH_AT);
    }

    /// Runs a statement's work until it ends, the session is interrupted, time is up or the client is gone. Work that panics has failed
    /// like any other: its client is told, and its transaction is rolled back or has failed, with all that it had half done.
    pub(super) async fn guard<T>(
        &mut self,
        interrupt: &Interrupt,
        deadline: Option<Instant>,
        work: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            report = interrupt.raised() => Err(interrupted(report)),
            () = until(deadline) => Err(Stop::Statement(ProtocolError::StatementTimeout.into())),
            done = AssertUnwindSafe(work).catch_unwind() => done.map_err(|panic| Stop::Statement(panicked(panic.as_ref()))),
            // The work may use up the task's turn, and without the exception the socket would never be looked at.
            () = unconstrained(watch(&mut self.reader, &mut self.input, &mut self.ended)) => Err(Stop::Gone),
        }
    }

    /// Writes all that is to be sent, unless the statement is stopped meanwhile; what is left then stays to be sent.
    pub(super) async fn flush_guarded(&mut self, interrupt: &Interrupt, deadline: Option<Instant>) -> Result<(), Stop> {
        let stopped = async {
            tokio::select! {
                biased;
                report = interrupt.raised() => interrupted(report),
                () = until(deadline) => Stop::Statement(ProtocolError::StatementTimeout.into()),
            }
        };
        self.flush_unless(stopped).await
    }

    /// The same between statements, where nothing but the session's end stops it. A cancel stays raised, for whom it is.
    pub(super) async fn flush_until_ended(&mut self, interrupt: &Interrupt) -> Result<(), Stop> {
        self.flush_unless(async { Stop::Session(interrupt.ended().await) }).await
    }

    async fn flush_unless(&mut self, stopped: impl Future<Output = Stop>) -> Result<(), Stop> {
        let Self { reader, writer, input, ended, output, sent, .. } = self;
        let write = async {
            while *sent < output.len() {
                let written = writer.write(&output[*sent..]).await?;
                if written == 0 {
                    return Err(io::Error::from(io::ErrorKind::WriteZero));
                }
                *sent += written;
            }
            writer.flush().await
        };
        tokio::select! {
            biased;
            stop = stopped => return Err(stop),
            done = write => done?,
            () = unconstrained(watch(reader, input, ended)) => return Err(Stop::Gone),
        }
        self.clear_output();
        Ok(())
    }

    /// Says goodbye on the transport's level, as far as it is still there.
    pub(super) async fn close(mut self) {
        // The client may have gone first; that is as good an end as any.
        let _ = self.writer.shutdown().await;
    }
}

/// Why there is no next message.
#[derive(Debug)]
pub(super) enum FrameError {
    /// The client is gone.
    Ended,
    /// It is out of step: FATAL.
    Protocol(ProtocolError),
}

impl From<io::Error> for FrameError {
    fn from(_: io::Error) -> Self {
        FrameError::Ended
    }
}

/// A panic is a mistake of ours or of the engine's. One of them is known: an array cannot be longer than its offsets count.
fn panicked(panic: &(dyn Any + Send)) -> Report {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    if text.contains("offset overflow") {
        return Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
            .detail("The values of one column in one batch of rows would take more than 2 GiB.");
    }
    tracing::error!(panic = text, "a statement panicked");
    Report::new(SqlState::INTERNAL_ERROR, "the statement panicked").hint("This is a bug of featgres; the server's log says more.")
}

/// A cancel stops the statement, anything else the session.
fn interrupted(report: Report) -> Stop {
    if report.sqlstate == SqlState::QUERY_CANCELED { Stop::Statement(report) } else { Stop::Session(report) }
}

/// Waits for the deadline, for ever without one.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        // The clock of timers stands still while this thread works; what ended late has still ended late.
        Some(deadline) if deadline <= Instant::now() => {}
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Reads ahead; done when the client is gone.
async fn watch<S: Stream>(reader: &mut ReadHalf<S>, input: &mut BytesMut, ended: &mut bool) {
    while !*ended {
        if input.len() >= READ_AHEAD {
            return std::future::pending().await;
        }
        input.reserve(READ_STEP);
        match reader.read_buf(input).await {
            Ok(0) | Err(_) => *ended = true,
            Ok(_) => {}
        }
    }
}
