//! Portals: statements bound by the extended protocol, which SQL knows as cursors.
//!
//! A portal's query runs when it is first executed, and with a row limit its stream waits here for the next Execute. FETCH, MOVE and
//! CLOSE reach it by its name; the first of them makes a cursor of it, for those count rows, and Execute goes on from where it stands.
//! The other way round, Execute takes rows of a cursor that DECLARE made. Portals end with their transaction, and with the savepoint
//! in which they were bound. Refused: FETCH from a portal that is itself a FETCH, MOVE or CLOSE.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use futures::StreamExt;
use parking_lot::Mutex;

use super::cursor::unknown;
use super::known::kind_of;
use super::prepared::Prepared;
use super::response::{Column, Response, Rows};
use super::session::Session;
use super::statement::{Parsed, ends_transaction, failed_transaction};
use crate::error::{Report, SqlState};
use crate::pg_type::PgType;
use crate::sql::{ALL_ROWS, Direction, Statement};

/// A bound statement.
pub(super) struct Portal {
    pub(super) prepared: Prepared,
    values: Vec<ScalarValue>,
    pub(super) formats: Vec<i16>,
    /// Behind a lock because a stream is not `Sync`, which a session that waits must be.
    suspended: Mutex<Option<Rows>>,
    started: bool,
    /// Rows that Execute has sent.
    pub(super) sent: u64,
    /// Savepoints there were when it was bound.
    pub(super) depth: usize,
}

impl Portal {
    fn parsed(&self) -> Option<Parsed> {
        let statement = self.prepared.statement.clone()?;
        let parameters = Some((self.prepared.parameters.clone(), self.values.clone()));
        Some(Parsed { statement, text: Arc::clone(&self.prepared.text), parameters })
    }
}

/// The rows of what has none left.
fn no_rows(columns: Arc<[Column]>) -> Rows {
    Rows { columns, pending: None, stream: futures::stream::empty().boxed(), verb: "SELECT", counted: true, binary: false }
}

fn unknown_portal(name: &str) -> Report {
    Report::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

/// PostgreSQL refuses to repeat an effect.
fn cannot_be_run(name: &str) -> Report {
    Report::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("portal \"{name}\" cannot be run"))
}

/// The client decodes rows by what it was told when the statement was parsed; a schema change or a pin may have given other columns since.
pub(super) fn same_shape(found: &[Column], described: &[Column]) -> Result<(), Report> {
    let bare = |column: &Column| PgType::of_data_type(column.field.data_type());
    // An array has as many dimensions as its value, and the same type.
    let same = |found: &Column, described: &Column| {
        found.name == described.name && (bare(found) == bare(described) || PgType::of(&found.field) == PgType::of(&described.field))
    };
    if found.len() == described.len() && found.iter().zip(described).all(|(found, described)| same(found, described)) {
        return Ok(());
    }
    // asyncpg and pgjdbc prepare it again by themselves when this function says so.
    Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
        .routine("RevalidateCachedQuery")
        .hint("Prepare the statement again: a table has, or had at the pinned snapshot, other columns."))
}

impl Session {
    /// Bind.
    pub(super) fn bind_portal(&mut self, name: &str, prepared: Prepared, values: Vec<ArrayRef>, formats: Vec<i16>) -> Result<(), Report> {
        if self.transaction.is_failed() && !prepared.statement.as_ref().is_some_and(|statement| ends_transaction(statement)) {
            return Err(failed_transaction());
        }
        if !name.is_empty() && self.cursors.has(name) {
            return Err(Report::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        self.check_portals()?;
        let values = values
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0).map_err(|failure| crate::plan::without_position(&failure)))
            .collect::<Result<Vec<_>, _>>()?;
        let depth = self.transaction.savepoints();
        let portal = Portal { prepared, values, formats, suspended: Mutex::new(None), started: false, sent: 0, depth };
        self.cursors.insert_portal(name, portal, self.gateway.planner.clock.now_micros());
        Ok(())
    }

    /// Describe.
    pub(super) fn shape_of_portal(&self, name: &str) -> Result<(Option<Arc<[Column]>>, Vec<i16>), Report> {
        if let Some(cursor) = self.cursors.get(name) {
            return Ok((Some(Arc::clone(&cursor.columns)), cursor.formats.clone()));
        }
        let found = self.cursors.portal(name).ok_or_else(|| unknown_portal(name))?;
        Ok((found.prepared.columns.clone(), found.formats.clone()))
    }

    /// Execute.
    pub(super) async fn execute_portal(&mut self, name: &str, limit: Option<u64>) -> Result<Response, Report> {
        if self.cursors.get(name).is_some() {
            return self.execute_cursor(name, limit).await;
        }
        let found = self.cursors.portal_mut(name).ok_or_else(|| unknown_portal(name))?;
        if let Some(rows) = found.suspended.get_mut().take() {
            return Ok(Response::Rows(rows));
        }
        let Some(parsed) = found.parsed() else { return Ok(Response::Empty) };
        let described = found.prepared.columns.clone();
        if std::mem::replace(&mut found.started, true) {
            // Executed to its end before.
            return described.map(|columns| Response::Rows(no_rows(columns))).ok_or_else(|| cannot_be_run(name));
        }
        found.prepared.runs();
        self.begin_statement(&parsed.statement);
        let response = self.run(parsed).await?;
        if let (Response::Rows(rows), Some(described)) = (&response, described) {
            same_shape(&rows.columns, &described)?;
        }
        Ok(response)
    }

    /// Execute of a cursor: the next rows, in the formats that Bind or DECLARE asked for.
    async fn execute_cursor(&mut self, name: &str, limit: Option<u64>) -> Result<Response, Report> {
        if self.transaction.is_failed() {
            return Err(failed_transaction());
        }
        if let Some(text) = self.cursors.text_of(name) {
            self.begin_text(Arc::clone(&text), kind_of(&text));
        }
        let count = limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(ALL_ROWS);
        match self.fetch(name, Direction::Forward(count), false).await? {
            Response::Rows(rows) => Ok(Response::Rows(Rows { verb: "SELECT", ..rows })),
            other => Ok(other),
        }
    }

    /// The row limit was reached: a portal keeps the rest of its rows. A cursor has kept them.
    pub(super) fn suspend_portal(&mut self, name: &str, rows: Rows, sent: u64) {
        if let Some(found) = self.cursors.portal_mut(name) {
            *found.suspended.get_mut() = Some(rows);
            found.sent += sent;
        }
    }

    /// Makes a cursor of a portal that SQL names.
    pub(super) async fn portal_as_cursor(&mut self, name: &str) -> Result<(), Report> {
        let mut portal = self.cursors.remove_portal(name).ok_or_else(|| unknown(name))?;
        let described = portal.prepared.columns.clone();
        let refused = || {
            let message = format!("portal \"{name}\" gives no rows to fetch");
            Report::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        };
        let suspended = portal.suspended.get_mut().take();
        let rows = match (suspended, portal.started, described) {
            (Some(rows), _, _) => rows,
            (None, true, Some(columns)) => no_rows(columns),
            (None, false, Some(described)) => {
                let Some(parsed) = portal.parsed() else { return Err(refused()) };
                if matches!(parsed.statement.statement, Statement::Cursor(_)) {
                    return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "FETCH from a portal of FETCH is not supported"));
                }
                portal.prepared.runs();
                let Response::Rows(rows) = Box::pin(self.run(parsed)).await? else { return Err(refused()) };
                same_shape(&rows.columns, &described)?;
                rows
            }
            (None, _, None) => return Err(refused()),
        };
        let now = self.gateway.planner.clock.now_micros();
        self.cursors.insert_bound(name, portal, rows, now);
        Ok(())
    }
}
