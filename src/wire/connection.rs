//! The loop of one connection after its start: the next message, what it asks for, and what every path shares: sending rows,
//! failing, being ready.
//!
//! `simple_query`, `extended_query` and `copy` add the messages of their protocols to [`Connection`]. All work of the session
//! goes through [`Socket::guard`], all writing while a statement is alive through [`Socket::flush_guarded`]; so cancel,
//! deadline, termination and a lost client have one place each. Memory: one batch of rows, the buffers, and no more, however
//! large the result.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::coop::{consume_budget, unconstrained};
use tokio::time::Instant;

use super::copy::CopyWriter;
use super::error::ProtocolError;
use super::frame::{Body, Frame};
use super::messages::{self, Severity};
use super::socket::{FLUSH_AT, FrameError, Socket, Stop, Stream, until};
use crate::error::{Report, SqlState};
use crate::pg_format::encode::Shape;
use crate::session::{Backend, Interrupt, Limits, Rows};

/// Rows that wait in the buffer while the next batch takes its time are sent after this.
const FIRST_ROWS_WITHIN: Duration = Duration::from_millis(5);
/// How long a last word may take to be written.
const FAREWELL: Duration = Duration::from_secs(1);

impl From<Report> for Stop {
    fn from(report: Report) -> Self {
        Stop::Statement(report)
    }
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Stop::Statement(error.into())
    }
}

/// How a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// There is nobody to tell.
    Quiet,
    /// With a last word.
    Fatal(Report),
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        End::Fatal(error.into())
    }
}

/// What rows are written as.
pub(super) enum Sink {
    /// DataRow.
    Rows(Shape),
    /// COPY's.
    Copy(CopyWriter),
}

impl Sink {
    fn write(&self, batch: &RecordBatch, from: usize, out: &mut Vec<u8>) -> Result<usize, Report> {
        match self {
            Sink::Rows(shape) => shape.data_rows(batch, from, FLUSH_AT, out),
            Sink::Copy(writer) => writer.rows(batch, from, FLUSH_AT, out),
        }
    }
}

/// One client.
pub(super) struct Connection<S, B> {
    pub(super) socket: Socket<S>,
    pub(super) session: B,
    pub(super) interrupt: Arc<Interrupt>,
    limits: Limits,
    /// True once the server is shutting down: idle sessions end.
    draining: watch::Receiver<bool>,
    /// An extended message failed: all is skipped up to Sync.
    pub(super) skipping: bool,
    /// When what an extended batch is doing is to be over.
    pub(super) batch_deadline: Option<Instant>,
    /// The client was told so, and has sent nothing since: only then a session is idle.
    ready: bool,
}

impl<S: Stream, B: Backend> Connection<S, B> {
    /// A session and its client.
    pub(super) fn new(socket: Socket<S>, session: B, limits: Limits, draining: watch::Receiver<bool>) -> Self {
        let interrupt = session.interrupt();
        Self { socket, session, interrupt, limits, draining, skipping: false, batch_deadline: None, ready: false }
    }

    /// SQL of a size that is accepted.
    pub(super) fn check_statement(&self, sql: &str) -> Result<(), ProtocolError> {
        let (size, limit) = (sql.len(), self.limits.max_statement_size);
        if size > limit { Err(ProtocolError::StatementTooLarge { size, limit }) } else { Ok(()) }
    }

    /// Parameters of a number that is accepted.
    pub(super) fn check_parameters(&self, count: usize) -> Result<(), ProtocolError> {
        let limit = self.limits.max_parameters;
        if count > limit { Err(ProtocolError::TooManyParameters { count, limit }) } else { Ok(()) }
    }

    /// Serves the client to its end.
    pub(super) async fn run(mut self) {
        let end = match self.ready().await {
            Err(end) => end,
            Ok(()) => loop {
                if let Err(end) = self.step().await {
                    break end;
                }
            },
        };
        if let End::Fatal(report) = end {
            messages::error(&report, Severity::Fatal, &mut self.socket.output);
            // A client that does not read its last message does not get it.
            let _ = tokio::time::timeout(FAREWELL, self.socket.flush()).await;
        }
        // The session, with all it holds, goes before the goodbye.
        drop(self.session);
        let _ = tokio::time::timeout(FAREWELL, self.socket.close()).await;
    }

    /// One message.
    async fn step(&mut self) -> Result<(), End> {
        let Some(Frame { tag, body }) = self.next_frame().await? else {
            self.fail(ProtocolError::StatementTimeout.into()).await?;
            self.skipping = true;
            return self.flush().await;
        };
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Ok(());
        }
        match tag {
            b'Q' => self.simple_query(body).await,
            b'P' | b'B' | b'D' | b'E' | b'C' => self.extended_query(tag, body).await,
            b'H' => self.flush().await,
            b'S' => self.sync().await,
            b'X' => Err(End::Quiet),
            // Left over from a COPY that failed.
            b'd' | b'c' | b'f' => Ok(()),
            b'F' => {
                let report = Report::new(SqlState::FEATURE_NOT_SUPPORTED, "function calls of the fast-path interface are not supported");
                self.fail(report.into()).await?;
                self.ready().await
            }
            other => Err(ProtocolError::MessageType(other).into()),
        }
    }

    /// Waits for the client's next message; a session that is idle ends by its time-out, by termination or with the server. None if
    /// the time of a batch that the client has not ended is over.
    async fn next_frame(&mut self) -> Result<Option<Frame>, End> {
        // A client that never lets this task wait lets others have their turn all the same.
        consume_budget().await;
        let is_idle = std::mem::take(&mut self.ready);
        let idle = if is_idle { self.session.idle_timeout() } else { None };
        let deadline = idle.as_ref().map(|(limit, _)| Instant::now() + *limit);
        let Self { socket, interrupt, draining, batch_deadline, .. } = self;
        let frame = socket.frame();
        tokio::pin!(frame);
        // Not idle while it looks: what is there by then, it takes.
        let frame = std::future::poll_fn(|context| {
            interrupt.set_idle(false);
            let taken = frame.as_mut().poll(context);
            interrupt.set_idle(is_idle && taken.is_pending());
            taken
        });
        tokio::pin!(frame);
        loop {
            tokio::select! {
                biased;
                report = interrupt.ended() => return Err(End::Fatal(report)),
                () = until(*batch_deadline) => return Ok(None),
                Ok(_) = draining.wait_for(|draining| *draining) => return Err(ProtocolError::ShuttingDown.into()),
                // Looked at before the cancel: while this task waited for its turn, a statement may have come and a cancel after it.
                frame = unconstrained(&mut frame) => return frame.map(Some).map_err(|error| match error {
                    FrameError::Ended => End::Quiet,
                    FrameError::Protocol(error) => error.into(),
                }),
                () = until(deadline) => {
                    let report = idle.map_or_else(|| ProtocolError::ShuttingDown.into(), |(_, report)| report);
                    return Err(End::Fatal(report));
                }
                // There is nothing to cancel.
                _ = interrupt.raised() => interrupt.clear(),
            }
        }
    }

    /// Waits for a message inside a running COPY.
    pub(super) async fn copy_frame(&mut self, deadline: Option<Instant>) -> Result<Frame, Stop> {
        tokio::select! {
            biased;
            report = self.interrupt.raised() => Err(match report.sqlstate {
                SqlState::QUERY_CANCELED => Stop::Statement(report),
                _ => Stop::Session(report),
            }),
            () = until(deadline) => Err(ProtocolError::StatementTimeout.into()),
            frame = self.socket.frame() => frame.map_err(|error| match error {
                FrameError::Ended => Stop::Gone,
                FrameError::Protocol(error) => Stop::Session(error.into()),
            }),
        }
    }

    /// When the statement that starts now is to be over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.session.statement_timeout().map(|limit| Instant::now() + limit)
    }

    /// The same for a message of an extended batch. As in PostgreSQL, time counts from the first message on until an Execute ends: not
    /// anew for each message, and not on while the client has nothing to wait for.
    pub(super) fn deadline_of_batch(&mut self) -> Option<Instant> {
        match self.session.statement_timeout() {
            None => self.batch_deadline = None,
            Some(limit) => drop(self.batch_deadline.get_or_insert_with(|| Instant::now() + limit)),
        }
        self.batch_deadline
    }

    /// Sends rows up to a limit; how many, and whether the limit stopped it.
    pub(super) async fn send_rows(
        &mut self,
        rows: &mut Rows,
        sink: &Sink,
        limit: u64,
        deadline: Option<Instant>,
    ) -> Result<(u64, bool), Stop> {
        let mut count = 0_u64;
        loop {
            let batch = match rows.pending.take() {
                Some(batch) => batch,
                None => match self.next_batch(rows, count > 0, deadline).await? {
                    Some(batch) => batch?,
                    None => return Ok((count, false)),
                },
            };
            let taken = usize::try_from(limit - count).unwrap_or(usize::MAX).min(batch.num_rows());
            let now = if taken < batch.num_rows() { batch.slice(0, taken) } else { batch.clone() };
            let mut row = 0;
            while row < taken {
                let began = Instant::now();
                row = sink.write(&now, row, &mut self.socket.output)?;
                self.session.encoded(began.elapsed());
                if self.socket.output.len() >= FLUSH_AT {
                    self.socket.flush_guarded(&self.interrupt, deadline).await?;
                }
            }
            count += taken as u64;
            if count == limit {
                if taken < batch.num_rows() {
                    rows.pending = Some(batch.slice(taken, batch.num_rows() - taken));
                }
                return Ok((count, true));
            }
        }
    }

    /// The stream's next batch; rows that are in the buffer already do not wait for it long.
    async fn next_batch(
        &mut self,
        rows: &mut Rows,
        waiting: bool,
        deadline: Option<Instant>,
    ) -> Result<Option<Result<RecordBatch, Report>>, Stop> {
        let mut next = rows.stream.next();
        if waiting && self.socket.unsent() > 0 {
            let soon = self.socket.guard(&self.interrupt, deadline, &mut next);
            if let Ok(batch) = tokio::time::timeout(FIRST_ROWS_WITHIN, soon).await {
                return batch;
            }
            self.socket.flush_guarded(&self.interrupt, deadline).await?;
        }
        self.socket.guard(&self.interrupt, deadline, next).await
    }

    /// Tells of what stopped a statement; the session stays unless it was the one to be stopped.
    pub(super) async fn fail(&mut self, stop: Stop) -> Result<(), End> {
        self.batch_deadline = None;
        let (report, end) = match stop {
            Stop::Statement(report) => (report, false),
            Stop::Session(report) => {
                self.session.finished(Err(&report)).await;
                return Err(End::Fatal(report));
            }
            Stop::Gone => (Report::new(SqlState::QUERY_CANCELED, "canceling statement because the client is gone"), true),
        };
        self.session.finished(Err(&report)).await;
        if end {
            return Err(End::Quiet);
        }
        self.interrupt.clear();
        self.notices();
        messages::error(&report, Severity::Error, &mut self.socket.output);
        Ok(())
    }

    /// Appends the notices that are due.
    pub(super) fn notices(&mut self) {
        for notice in self.session.take_notices() {
            messages::notice(&notice, &mut self.socket.output);
        }
    }

    /// Ends a round trip: changed settings, ReadyForQuery, and the write.
    pub(super) async fn ready(&mut self) -> Result<(), End> {
        self.notices();
        for (name, value) in self.session.take_parameter_changes() {
            messages::parameter_status(&name, &value, &mut self.socket.output);
        }
        messages::ready_for_query(self.session.transaction_status(), &mut self.socket.output);
        // Not after the client has seen that it may send more: a cancel of that must not be lost.
        self.interrupt.rest();
        self.ready = true;
        self.flush().await
    }

    /// Writes what is due; a cancel cannot stop that, a termination can.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.socket.flush_until_ended(&self.interrupt).await.map_err(|stop| match stop {
            Stop::Statement(report) | Stop::Session(report) => End::Fatal(report),
            Stop::Gone => End::Quiet,
        })
    }
}

/// The body of a message that was not too large.
pub(super) fn body_of(body: &Result<bytes::Bytes, ProtocolError>) -> Result<Body<'_>, ProtocolError> {
    match body {
        Ok(bytes) => Ok(Body::new(bytes)),
        Err(error) => Err(error.clone()),
    }
}
