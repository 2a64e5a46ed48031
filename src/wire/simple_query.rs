//! Query: any number of statements in one message, answered in turn, as text.
//!
//! All of them are parsed first, so a syntax error in the last runs none. They are one implicit transaction, which ends before the
//! last CommandComplete: a commit that fails is the answer to the last statement. After an error nothing else runs.

use bytes::Bytes;
use tokio::time::Instant;

use super::connection::{Connection, End, Sink, body_of};
use super::error::ProtocolError;
use super::messages;
use super::socket::{Stop, Stream};
use crate::pg_format::encode::Shape;
use crate::session::{Backend, Response, Rows};

/// What a statement's last message will be.
pub(super) enum Completion {
    /// CommandComplete.
    Tag(String, u64),
    /// EmptyQueryResponse.
    Empty,
}

impl<S: Stream, B: Backend> Connection<S, B> {
    /// The whole message.
    pub(super) async fn simple_query(&mut self, body: Result<Bytes, ProtocolError>) -> Result<(), End> {
        self.batch_deadline = None;
        if let Err(stop) = self.script(&body).await {
            self.fail(stop).await?;
        }
        self.ready().await
    }

    async fn script(&mut self, body: &Result<Bytes, ProtocolError>) -> Result<(), Stop> {
        let mut body = body_of(body)?;
        let sql = body.text()?;
        body.end()?;
        self.check_statement(sql)?;
        let count = self.session.parse_script(sql)?;
        if count == 0 {
            messages::empty_query(&mut self.socket.output);
            return Ok(());
        }
        for index in 0..count {
            let deadline = self.deadline();
            let response = self.socket.guard(&self.interrupt, deadline, self.session.run_script_statement(index)).await??;
            let completion = self.answer(response, deadline).await?;
            if index + 1 == count {
                self.socket.guard(&self.interrupt, deadline, self.session.end_script()).await??;
            }
            self.complete(completion).await;
        }
        Ok(())
    }

    /// Sends a statement's rows, described, or does its COPY.
    async fn answer(&mut self, response: Response, deadline: Option<Instant>) -> Result<Completion, Stop> {
        match response {
            Response::Rows(mut rows) => {
                self.notices();
                let formats: &[i16] = if rows.binary { &[1] } else { &[] };
                messages::row_description(&rows.columns, formats, &mut self.socket.output)?;
                let sink = Sink::Rows(Shape::new(
                    rows.columns.iter().map(|column| column.field.as_ref()),
                    formats,
                    &self.session.output_settings(),
                ));
                let (count, _) = self.send_rows(&mut rows, &sink, u64::MAX, deadline).await?;
                Ok(Completion::Tag(tag(&rows, count), count))
            }
            other => self.answer_without_rows(other, deadline).await,
        }
    }

    /// What both protocols answer alike.
    pub(super) async fn answer_without_rows(&mut self, response: Response, deadline: Option<Instant>) -> Result<Completion, Stop> {
        match response {
            Response::Done(tag) => Ok(Completion::Tag(tag, 0)),
            Response::Empty => Ok(Completion::Empty),
            Response::CopyOut(rows, options) => {
                let count = self.copy_out(rows, options, deadline).await?;
                Ok(Completion::Tag(format!("COPY {count}"), count))
            }
            Response::CopyIn(table, columns, options) => {
                let (tag, count) = self.copy_in(&table, &columns, &options, deadline).await?;
                Ok(Completion::Tag(tag, count))
            }
            Response::Rows(rows) => Ok(Completion::Tag(tag(&rows, 0), 0)),
        }
    }

    /// Ends a statement that went well.
    pub(super) async fn complete(&mut self, completion: Completion) {
        let count = match &completion {
            Completion::Tag(_, count) => *count,
            Completion::Empty => 0,
        };
        self.session.finished(Ok(count)).await;
        self.notices();
        match completion {
            Completion::Tag(tag, _) => messages::command_complete(&tag, &mut self.socket.output),
            Completion::Empty => messages::empty_query(&mut self.socket.output),
        }
    }
}

/// `SELECT 3`, `SHOW`.
pub(super) fn tag(rows: &Rows, count: u64) -> String {
    if rows.counted { format!("{} {count}", rows.verb) } else { rows.verb.to_owned() }
}
