//! Cursors: `DECLARE`, `FETCH`, `MOVE`, `CLOSE`, and how they end with their transaction or outlive it.
//!
//! A cursor is a query that runs as far as it is fetched. It belongs to its transaction, and to the savepoint in which it was
//! declared: rolled back with it, closed at COMMIT unless it is WITH HOLD, in which case the rest of its rows are read then, while
//! the snapshots that they come from are still pinned. Names are shared with portals, as are their limits.
//!
//! Refused: `WHERE CURRENT OF`, for nothing here is updated; a cursor that goes back without SCROLL (55000).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::memory_pool::MemoryPool;
use futures::StreamExt;
use parking_lot::Mutex;

use super::cursor_rows::{CursorRows, KeptRows};
use super::memory::StatementPool;
use super::portals::Portal;
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
    /// The formats in which Execute sends its values.
    pub formats: Vec<i16>,
    scroll: bool,
    hold: bool,
    /// Its rows are its own: the transaction that declared it has committed.
    held: bool,
    /// A portal was it, and ends like one.
    bound: bool,
    /// Savepoints there were when it was declared.
    depth: usize,
    /// Shared with the rows of a FETCH that is being sent.
    rows: Arc<tokio::sync::Mutex<CursorRows>>,
}

/// What functions and relations see of cursors and portals.
pub(super) type ShownCursors = Arc<Mutex<BTreeMap<String, CursorFacts>>>;

/// A session's cursors and portals, which share their names.
pub(super) struct Cursors {
    open: BTreeMap<String, Cursor>,
    portals: HashMap<String, Portal>,
    shown: ShownCursors,
}

impl Cursors {
    /// None; `shown` is what others see of them.
    pub(super) fn new(shown: ShownCursors) -> Self {
        Self { open: BTreeMap::new(), portals: HashMap::new(), shown }
    }

    /// The cursor of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Cursor> {
        self.open.get(name)
    }

    /// The portal of this name.
    pub(super) fn portal(&self, name: &str) -> Option<&Portal> {
        self.portals.get(name)
    }

    /// The same, to run it.
    pub(super) fn portal_mut(&mut self, name: &str) -> Option<&mut Portal> {
        self.portals.get_mut(name)
    }

    /// Whether the name is taken.
    pub(super) fn has(&self, name: &str) -> bool {
        self.open.contains_key(name) || self.portals.contains_key(name)
    }

    /// Whether there are no portals.
    pub(super) fn has_no_portals(&self) -> bool {
        self.portals.is_empty() && !self.open.values().any(|cursor| cursor.bound)
    }

    /// How many there are of both.
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.portals.len()
    }

    /// The statement that a cursor is of.
    pub(super) fn text_of(&self, name: &str) -> Option<Arc<str>> {
        self.shown.lock().get(name).map(|facts| Arc::clone(&facts.statement))
    }

    /// One more portal, or another unnamed one.
    pub(super) fn insert_portal(&mut self, name: &str, portal: Portal, now: i64) {
        self.show(name, &portal.prepared.text, [false; 3], now);
        self.portals.insert(name.to_owned(), portal);
    }

    /// Takes a portal out.
    pub(super) fn remove_portal(&mut self, name: &str) -> Option<Portal> {
        let portal = self.portals.remove(name)?;
        self.shown.lock().remove(name);
        Some(portal)
    }

    /// A portal that became a cursor, with its rows that were not sent.
    pub(super) fn insert_bound(&mut self, name: &str, portal: Portal, rows: Rows, now: i64) {
        let Rows { columns, pending, stream, .. } = rows;
        let Portal { formats, depth, sent, prepared, .. } = portal;
        let stream = futures::stream::iter(pending.map(Ok)).chain(stream).boxed();
        let rows = Arc::new(tokio::sync::Mutex::new(CursorRows::behind(stream, sent)));
        let cursor = Cursor { columns, binary: false, formats, scroll: false, hold: false, held: false, bound: true, depth, rows };
        self.show(name, &prepared.text, [false; 3], now);
        self.open.insert(name.to_owned(), cursor);
    }

    fn show(&self, name: &str, text: &Arc<str>, [is_holdable, is_binary, is_scrollable]: [bool; 3], declared_at: i64) {
        let facts = CursorFacts { statement: Arc::clone(text), is_holdable, is_binary, is_scrollable, declared_at };
        self.shown.lock().insert(name.to_owned(), facts);
    }

    /// Whether there was one of this name, of either kind.
    pub(super) fn close(&mut self, name: &str) -> bool {
        let found = self.open.remove(name).is_some() || self.portals.remove(name).is_some();
        if found {
            self.shown.lock().remove(name);
        }
        found
    }

    /// Closes all.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.portals.clear();
        self.shown.lock().clear();
    }

    /// Portals end with their transaction.
    pub(super) fn drop_portals(&mut self) {
        self.retain(|cursor| !cursor.bound, |_| false);
    }

    /// The transaction was rolled back: those that it declared are gone.
    pub(super) fn roll_back(&mut self) {
        self.retain(|cursor| cursor.held, |_| true);
    }

    /// ROLLBACK TO the savepoint of this number.
    pub(super) fn roll_back_to(&mut self, savepoint: usize) {
        self.retain(|cursor| cursor.held || cursor.depth <= savepoint, |portal| portal.depth <= savepoint);
    }

    /// RELEASE of the savepoint of this number: what was declared in it is the transaction's.
    pub(super) fn release(&mut self, savepoint: usize) {
        self.open
            .values_mut()
            .map(|cursor| &mut cursor.depth)
            .chain(self.portals.values_mut().map(|portal| &mut portal.depth))
            .for_each(|depth| *depth = (*depth).min(savepoint));
    }

    fn retain(&mut self, keep: impl Fn(&Cursor) -> bool, keep_portal: impl Fn(&Portal) -> bool) {
        if self.open.is_empty() && self.portals.is_empty() {
            return;
        }
        let mut shown = self.shown.lock();
        let mut kept = |name: &String, keep: bool| {
            if !keep {
                shown.remove(name);
            }
            keep
        };
        self.open.retain(|name, cursor| kept(name, keep(cursor)));
        self.portals.retain(|name, portal| kept(name, keep_portal(portal)));
    }
}

impl Session {
    /// A statement about cursors.
    pub(super) async fn cursor_statement(&mut self, statement: &CursorStatement, parsed: &Parsed) -> Result<Response, Report> {
        match statement {
            CursorStatement::Declare(declare) => self.declare(declare, parsed).await,
            CursorStatement::Fetch { name, direction, moves } => self.fetch(&name.name, *direction, *moves).await,
            CursorStatement::Close(None) => {
                // What runs now is none of them: its portal is gone with its name alone.
                self.cursors.clear();
                Ok(done("CLOSE CURSOR ALL"))
            }
            CursorStatement::Close(Some(name)) => {
                if self.cursors.close(&name.name) {
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
        if self.cursors.has(name) {
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
            // BINARY is for FETCH; Execute sends text.
            formats: Vec::new(),
            scroll,
            hold: declare.hold,
            held,
            bound: false,
            depth: self.transaction.savepoints(),
            rows: Arc::new(tokio::sync::Mutex::new(source)),
        };
        let now = self.gateway.planner.clock.now_micros();
        self.cursors.show(name, &parsed.text, [declare.hold, declare.binary, scroll], now);
        self.cursors.open.insert(name.clone(), cursor);
        Ok(done("DECLARE CURSOR"))
    }

    /// `FETCH`, `MOVE`, and Execute of a cursor.
    pub(super) async fn fetch(&mut self, name: &str, direction: Direction, moves: bool) -> Result<Response, Report> {
        if self.cursors.get(name).is_none() {
            self.portal_as_cursor(name).await?;
        }
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
        self.cursors.retain(|cursor| cursor.hold, |_| true);
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
