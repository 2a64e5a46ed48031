//! COPY: rows to the client, and rows from it, in text, csv and binary.
//!
//! Out, each row is a CopyData message of its own, which is what drivers that hand out rows expect. In, messages are cut
//! where the client likes: [`CopyReader`] gathers bytes, splits records and makes batches of bounded size, each of which the
//! session takes before the next is read. Whatever is wrong with the data names its line and column; what the client still
//! sends after that is ignored by the connection's loop, so the session stays in step.

mod binary;
mod csv;
mod line_ends;
mod reader;
mod text;
mod writer;

pub(super) use reader::CopyReader;
pub(super) use writer::CopyWriter;

use tokio::time::Instant;

use super::connection::{Connection, Sink};
use super::error::ProtocolError;
use super::frame::Body;
use super::messages;
use super::socket::{Stop, Stream};
use crate::error::{Report, SqlState};
use crate::pg_format::encode::{Format, Shape};
use crate::pg_format::reading::Reading;
use crate::pg_format::zone::Zone;
use crate::session::{Backend, Column, CopyFormat, CopyOptions, Rows};

/// The format that is announced.
fn announced(options: &CopyOptions) -> Format {
    if options.format == CopyFormat::Binary { Format::Binary } else { Format::Text }
}

impl<S: Stream, B: Backend> Connection<S, B> {
    /// `COPY … TO STDOUT`; how many rows.
    pub(super) async fn copy_out(&mut self, mut rows: Rows, options: CopyOptions, deadline: Option<Instant>) -> Result<u64, Stop> {
        let format = announced(&options);
        self.notices();
        messages::copy_response(b'H', format, rows.columns.len(), &mut self.socket.output)?;
        let code = [i16::from(format == Format::Binary)];
        let shape = Shape::new(rows.columns.iter().map(|column| column.field.as_ref()), &code, &self.session.output_settings());
        let writer = CopyWriter::new(shape, options);
        writer.start(&rows.columns, &mut self.socket.output);
        let sink = Sink::Copy(writer);
        let (count, _) = self.send_rows(&mut rows, &sink, u64::MAX, deadline).await?;
        if let Sink::Copy(writer) = sink {
            writer.end(&mut self.socket.output);
        }
        messages::copy_done(&mut self.socket.output);
        Ok(count)
    }

    /// `COPY … FROM STDIN`; the tag and how many rows.
    pub(super) async fn copy_in(
        &mut self,
        table: &str,
        columns: &[Column],
        options: &CopyOptions,
        deadline: Option<Instant>,
    ) -> Result<(String, u64), Stop> {
        self.notices();
        messages::copy_response(b'G', announced(options), columns.len(), &mut self.socket.output)?;
        self.socket.flush_guarded(&self.interrupt, deadline).await?;
        let zone = Zone::parse(&self.session.output_settings().time_zone).unwrap_or(Zone::UTC);
        let reading = Reading { zone, order: self.session.date_order() };
        let mut reader = CopyReader::new(table, columns, options.clone(), reading);
        loop {
            let frame = self.copy_frame(deadline).await.map_err(|stop| match stop {
                Stop::Statement(report) => Stop::Statement(reader.at_next_line(report)),
                other => other,
            })?;
            match frame.tag {
                b'd' => {
                    let data = frame.body?;
                    reader.push(&data)?;
                    while let Some(batch) = reader.next_batch(false)? {
                        let taken = self.socket.guard(&self.interrupt, deadline, self.session.copy_in(batch)).await?;
                        taken.map_err(|(row, report)| reader.at_row(row, report))?;
                    }
                }
                b'c' => {
                    while let Some(batch) = reader.next_batch(true)? {
                        let taken = self.socket.guard(&self.interrupt, deadline, self.session.copy_in(batch)).await?;
                        taken.map_err(|(row, report)| reader.at_row(row, report))?;
                    }
                    let tag = self.socket.guard(&self.interrupt, deadline, self.session.copy_in_done()).await??;
                    return Ok((tag, reader.rows()));
                }
                b'f' => {
                    let bytes = frame.body?;
                    let message = format!("COPY from stdin failed: {}", Body::new(&bytes).text()?);
                    return Err(reader.at_next_line(Report::new(SqlState::QUERY_CANCELED, message)).into());
                }
                // Drivers send them behind Execute without waiting for the answer.
                b'H' | b'S' => {}
                b'X' => return Err(Stop::Gone),
                other => return Err(reader.at_next_line(ProtocolError::Unexpected(other, "COPY from stdin").into()).into()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
