//! Cursors: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`, and how they end with their transaction or outlive it.
//!
//! A cursor is a query that runs as far as it is fetched. It belongs to its transaction, and to the savepoint in which it was
//! declared: rolled back with it, closed at COMMIT unless it is WITH HOLD, in which case the rest of its rows are read then, while
//! the snapshots that they come from are still pinned. Names are shared with portals, as are their limits.
//!
//! Refused: `WHERE CURRENT OF`, for nothing here is updated; a cursor that goes back without SCROLL (55000).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::memory_pool::MemoryPool;
use futures::StreamExt;
use parking_lot::Mutex;

use super::cursor_rows::{CursorRows, KeptRows};
use super::memory::StatementPool;
use super::response::{Column, Response, Rows};
use super::session::Session;
use super::statement::{Parsed, done};
use crate::catalog::CursorFacts;
use crate::error::{Report, SqlState};
use crate::sql::{CursorStatement, DeclareCursor, Direction};

/// Rows that a cursor keeps are in memory up to this many bytes, whatever a statement may have: it may be open for long.
const IN_MEMORY: usize = 16 << 20;

/// One open cursor.
pub(super) struct Cursor {
    /// Its columns.
    pub columns: Arc<[Column]>,
    /// Whether FETCH sends binary values where nobody says otherwise.
    pub binary: bool,
    scroll: bool,
    hold: bool,
    /// Its rows are its own: the transaction that declared it has committed.
    held: bool,
    /// Savepoints there were when it was declared.
    depth: usize,
    statement: String,
    declared_at: i64,
    /// Shared with the rows of a FETCH that is being sent.
    rows: Arc<tokio::sync::Mutex<CursorRows>>,
}

/// A session's cursors, by name.
pub(super) struct Cursors {
    open: BTreeMap<String, Cursor>,
    /// The same for `pg_cursors`.
    shown: Arc<Mutex<Vec<CursorFacts>>>,
}

impl Cursors {
    /// None; `shown` is what others see of them.
    pub(super) fn new(shown: Arc<Mutex<Vec<CursorFacts>>>) -> Self {
        Self { open: BTreeMap::new(), shown }
    }

    /// The cursor of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Cursor> {
        self.open.get(name)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there was one of this name.
    pub(super) fn close(&mut self, name: &str) -> bool {
        let found = self.open.remove(name).is_some();
        self.show();
        found
    }

    /// Closes all.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.show();
    }

    /// The transaction was rolled back: those that it declared are gone.
    pub(super) fn roll_back(&mut self) {
        self.retain(|cursor| cursor.held);
    }

    /// ROLLBACK TO the savepoint of this number.
    pub(super) fn roll_back_to(&mut self, savepoint: usize) {
        self.retain(|cursor| cursor.held || cursor.depth <= savepoint);
    }

    /// RELEASE of the savepoint of this number: what was declared in it is the transaction's.
    pub(super) fn release(&mut self, savepoint: usize) {
        for cursor in self.open.values_mut() {
            cursor.depth = cursor.depth.min(savepoint);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Cursor) -> bool) {
        if !self.open.is_empty() {
            self.open.retain(|_, cursor| keep(cursor));
            self.show();
        }
    }

    fn show(&self) {
        *self.shown.lock() = self
            .open
            .iter()
            .map(|(name, cursor)| CursorFacts {
                name: name.clone(),
                statement: cursor.statement.clone(),
                is_holdable: cursor.hold,
                is_binary: cursor.binary,
                is_scrollable: cursor.scroll,
                declared_at: cursor.declared_at,
            })
            .collect();
    }
}

impl Session {
    /// A statement about cursors.
    pub(super) async fn cursor_statement(&mut self, statement: &CursorStatement, parsed: &Parsed) -> Result<Response, Report> {
        match statement {
            CursorStatement::Declare(declare) => self.declare(declare, parsed).await,
            CursorStatement::Fetch { name, direction, moves } => self.fetch(&name.name, *direction, *moves).await,
            CursorStatement::Close(None) => {
                self.cursors.clear();
                self.drop_portals();
                Ok(done("CLOSE CURSOR ALL"))
            }
            CursorStatement::Close(Some(name)) => {
                if self.cursors.close(&name.name) || self.drop_portal(&name.name) {
                    return Ok(done("CLOSE CURSOR"));
                }
                Err(unknown(&name.name))
            }
        }
    }

    async fn declare(&mut self, declare: &DeclareCursor, parsed: &Parsed) -> Result<Response, Report> {
        let name = &declare.name.name;
        if name.is_empty() {
            return Err(Report::new(SqlState::INVALID_CURSOR_NAME, "invalid cursor name: must not be empty"));
        }
        if !declare.hold && !self.transaction.holds() {
            return Err(Report::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, "DECLARE CURSOR can only be used in transaction blocks")
                .hint("BEGIN a transaction first, or declare the cursor WITH HOLD."));
        }
        if self.cursors.get(name).is_some() || self.has_portal(name) {
            return Err(Report::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")));
        }
        self.check_portals()?;
        let (columns, stream) = self.lazily(&declare.query, parsed).await?;
        let scroll = declare.scroll == Some(true);
        let kept = scroll.then(|| self.kept_rows(&columns, 0));
        let mut source = CursorRows::new(stream, kept);
        let held = !self.transaction.holds();
        if held {
            // Nothing goes on after this statement that the rest could be read in.
            let fresh = self.kept_rows(&columns, 0);
            source.hold(|_| fresh).await?;
        }
        let cursor = Cursor {
            columns,
            binary: declare.binary,
            scroll,
            hold: declare.hold,
            held,
            depth: self.transaction.savepoints(),
            statement: parsed.statement.text.clone(),
            declared_at: self.gateway.planner.clock.now_micros(),
            rows: Arc::new(tokio::sync::Mutex::new(source)),
        };
        self.cursors.open.insert(name.clone(), cursor);
        self.cursors.show();
        Ok(done("DECLARE CURSOR"))
    }

    async fn fetch(&mut self, name: &str, direction: Direction, moves: bool) -> Result<Response, Report> {
        let cursor = self.cursors.get(name).ok_or_else(|| unknown(name))?;
        let Ok(mut rows) = Arc::clone(&cursor.rows).try_lock_owned() else {
            let message = format!("cursor \"{name}\" is in use: the portal of another FETCH is suspended");
            return Err(Report::new(SqlState::OBJECT_IN_USE, message).hint("Execute that portal to its end, or close it."));
        };
        let step = rows.seek(direction, cursor.scroll, moves).await?;
        if moves {
            let count = rows.pass(step).await?;
            return Ok(Response::Done(format!("MOVE {count}")));
        }
        let stream = futures::stream::unfold((rows, step), |(mut rows, mut step)| async move {
            let batch = rows.next(&mut step).await.transpose()?;
            Some((batch, (rows, step)))
        });
        Ok(Response::Rows(Rows {
            columns: Arc::clone(&cursor.columns),
            pending: None,
            stream: stream.boxed(),
            verb: "FETCH",
            counted: true,
            binary: cursor.binary,
        }))
    }

    /// The transaction is about to commit: cursors end, or take what is left of their rows along.
    pub(super) async fn hold_cursors(&mut self) -> Result<(), Report> {
        self.cursors.retain(|cursor| cursor.hold);
        for cursor in self.cursors.open.values() {
            if cursor.held {
                continue;
            }
            let Ok(mut rows) = Arc::clone(&cursor.rows).try_lock_owned() else { continue };
            rows.hold(|first| self.kept_rows(&cursor.columns, first)).await?;
        }
        self.cursors.open.values_mut().for_each(|cursor| cursor.held = true);
        Ok(())
    }

    fn kept_rows(&self, columns: &[Column], first: u64) -> KeptRows {
        let share = self.gateway.memory_per_query().min(IN_MEMORY);
        let pool: Arc<dyn MemoryPool> = Arc::new(StatementPool::new(self.gateway.memory(), share));
        KeptRows::new(schema(columns), &pool, &self.gateway.runtime, first)
    }
}

/// The columns as the rows' batches have them.
fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| column.field.as_ref().clone().with_name(format!("c{index}")).with_nullable(true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// 34000.
pub(super) fn unknown(name: &str) -> Report {
    Report::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}
