//! Parse, Bind, Describe, Execute, Close, Sync.
//!
//! Nothing is written before Sync or Flush (or a full buffer). After an error all messages up to Sync are skipped. A portal with a
//! row limit keeps its stream in the session; a limit is a number to count up to, never a size to reserve. As in
//! PostgreSQL, a limit that the rows reach exactly suspends the portal, and the next Execute finds it at its end.

use bytes::Bytes;

use super::connection::{Connection, End, Sink, body_of};
use super::error::ProtocolError;
use super::frame::{Bind, Body};
use super::messages;
use super::simple_query::{Completion, tag};
use super::socket::{Stop, Stream};
use crate::error::SqlState;
use crate::pg_format::decode::parameter;
use crate::pg_format::encode::{Format, Shape, format_of};
use crate::pg_format::reading::Reading;
use crate::pg_format::zone::Zone;
use crate::session::{Backend, Response};

impl<S: Stream, B: Backend> Connection<S, B> {
    /// Any of them but Sync.
    pub(super) async fn extended_query(&mut self, kind: u8, body: Result<Bytes, ProtocolError>) -> Result<(), End> {
        if let Err(stop) = self.extended_message(kind, &body).await {
            self.fail(stop).await?;
            self.skipping = true;
            // The client may be waiting at a Flush that will be skipped.
            self.flush().await?;
        }
        Ok(())
    }

    async fn extended_message(&mut self, kind: u8, body: &Result<Bytes, ProtocolError>) -> Result<(), Stop> {
        let mut body = body_of(body)?;
        match kind {
            b'P' => self.parse(body).await,
            b'B' => self.bind(body.bind()?).await,
            b'E' => {
                let portal = body.text()?;
                let max_rows = body.i32()?;
                body.end()?;
                self.execute(portal, max_rows).await
            }
            _ => {
                let target = body.u8()?;
                let name = body.text()?;
                body.end()?;
                if kind == b'D' {
                    self.deadline_of_batch();
                }
                match (kind, target) {
                    (b'D', b'S') => self.describe_statement(name).await?,
                    (b'D', b'P') => self.describe_portal(name)?,
                    (b'C', b'S') => self.session.close_statement(name),
                    (b'C', b'P') => self.session.close_portal(name),
                    (b'D', other) => return Err(ProtocolError::Subtype("DESCRIBE", other).into()),
                    (_, other) => return Err(ProtocolError::Subtype("CLOSE", other).into()),
                }
                if kind == b'C' {
                    messages::close_complete(&mut self.socket.output);
                }
                Ok(())
            }
        }
    }

    async fn parse(&mut self, mut body: Body<'_>) -> Result<(), Stop> {
        let (name, sql) = (body.text()?, body.text()?);
        self.check_statement(sql)?;
        let count = body.i16()? as u16;
        self.check_parameters(usize::from(count))?;
        let oids = (0..count).map(|_| body.i32().map(|oid| oid as u32)).collect::<Result<Vec<u32>, _>>()?;
        body.end()?;
        let deadline = self.deadline_of_batch();
        self.socket.guard(&self.interrupt, deadline, self.session.parse(name, sql, &oids)).await??;
        let found = self.session.parameter_types(name)?.len();
        if let Err(error) = self.check_parameters(found) {
            self.session.close_statement(name);
            return Err(error.into());
        }
        self.notices();
        messages::parse_complete(&mut self.socket.output);
        Ok(())
    }

    async fn bind(&mut self, bind: Bind<'_>) -> Result<(), Stop> {
        let types = self.session.parameter_types(bind.statement)?;
        let (formats, parameters) = (bind.parameter_formats.len(), bind.parameters.len());
        if formats > 1 && formats != parameters {
            return Err(ProtocolError::ParameterFormats { formats, parameters }.into());
        }
        if parameters != types.len() {
            let statement = bind.statement.to_owned();
            return Err(ProtocolError::ParameterCount { supplied: parameters, statement, required: types.len() }.into());
        }
        let deadline = self.deadline_of_batch();
        self.socket.guard(&self.interrupt, deadline, self.session.revalidate(bind.statement)).await??;
        let formats = bind.result_formats.len();
        if formats > 1
            && let Some(columns) = self.session.describe_statement(bind.statement)?
            && columns.len() != formats
        {
            return Err(ProtocolError::ResultFormats { formats, columns: columns.len() }.into());
        }
        let zone = Zone::parse(&self.session.output_settings().time_zone).unwrap_or(Zone::UTC);
        let reading = Reading { zone, order: self.session.date_order() };
        let mut values = Vec::with_capacity(parameters);
        for (index, (bytes, pg_type)) in bind.parameters.iter().zip(&types).enumerate() {
            let format = format_of(&bind.parameter_formats, index);
            let value = parameter(*pg_type, format, *bytes, reading).map_err(|mut report| {
                if format == Format::Binary && report.message == "incorrect binary data format" {
                    report.message = format!("incorrect binary data format in bind parameter {}", index + 1);
                }
                let portal = if bind.portal.is_empty() { "unnamed portal".to_owned() } else { format!("portal \"{}\"", bind.portal) };
                let readable = format == Format::Text && report.sqlstate != SqlState::CHARACTER_NOT_IN_REPERTOIRE;
                let value = if readable { " = '...'" } else { "" };
                report.context(format!("{portal} parameter ${}{value}", index + 1))
            })?;
            values.push(value);
        }
        let work = self.session.bind(bind.portal, bind.statement, values, bind.result_formats);
        self.socket.guard(&self.interrupt, deadline, work).await??;
        self.notices();
        messages::bind_complete(&mut self.socket.output);
        Ok(())
    }

    async fn describe_statement(&mut self, name: &str) -> Result<(), Stop> {
        let types = self.session.parameter_types(name)?;
        let columns = self.session.describe_statement(name)?;
        let valid = match columns {
            Some(_) => self.socket.guard(&self.interrupt, self.batch_deadline, self.session.revalidate(name)).await?,
            None => Ok(()),
        };
        // As in PostgreSQL the parameters are told before it is looked whether the rows are still those.
        if !valid.as_ref().is_err_and(|report| report.sqlstate == SqlState::IN_FAILED_SQL_TRANSACTION) {
            messages::parameter_description(&types, &mut self.socket.output);
        }
        valid?;
        match columns {
            Some(columns) => messages::row_description(&columns, &[], &mut self.socket.output)?,
            None => messages::no_data(&mut self.socket.output),
        }
        Ok(())
    }

    fn describe_portal(&mut self, name: &str) -> Result<(), Stop> {
        match self.session.describe_portal(name)? {
            (Some(columns), formats) => messages::row_description(&columns, &formats, &mut self.socket.output)?,
            (None, _) => messages::no_data(&mut self.socket.output),
        }
        Ok(())
    }

    async fn execute(&mut self, portal: &str, max_rows: i32) -> Result<(), Stop> {
        let (_, formats) = self.session.describe_portal(portal)?;
        let deadline = self.deadline_of_batch();
        let limit = u64::try_from(max_rows).ok().filter(|limit| *limit > 0);
        let response = self.socket.guard(&self.interrupt, deadline, self.session.execute(portal, limit)).await??;
        let completion = match response {
            Response::Rows(mut rows) => {
                let sink = Sink::Rows(Shape::new(
                    rows.columns.iter().map(|column| column.field.as_ref()),
                    &formats,
                    &self.session.output_settings(),
                ));
                let (count, suspended) = self.send_rows(&mut rows, &sink, limit.unwrap_or(u64::MAX), deadline).await?;
                if suspended {
                    self.session.suspend(portal, rows, count);
                    self.notices();
                    messages::portal_suspended(&mut self.socket.output);
                    return Ok(());
                }
                Completion::Tag(tag(&rows, count), count)
            }
            other => self.answer_without_rows(other, deadline).await?,
        };
        self.complete(completion).await;
        self.batch_deadline = None;
        Ok(())
    }

    /// Ends the batch: the implicit transaction, the skipping, the silence.
    pub(super) async fn sync(&mut self) -> Result<(), End> {
        self.skipping = false;
        self.batch_deadline = None;
        let deadline = self.deadline();
        let done = self.socket.guard(&self.interrupt, deadline, self.session.sync()).await;
        if let Err(stop) = done.and_then(|result| result.map_err(Stop::from)) {
            self.fail(stop).await?;
        }
        self.ready().await
    }
}
