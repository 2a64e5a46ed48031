//! Temporary tables: batches in memory, of one session, gone at its end and counted against the memory limit.
//!
//! A table's content is replaced, never changed in place, so a running query keeps what it saw and a transaction
//! takes everything back by putting the old map in place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

use crate::error::{Report, SqlState};
use crate::plan::TemporaryTables;

/// One temporary table's content.
#[derive(Debug, Clone)]
pub struct TempTable {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    batches: Arc<Vec<RecordBatch>>,
    /// Dropped at the end of the transaction.
    pub on_commit: OnCommit,
    /// What the rows take; shared by all states of the table that hold them.
    reservations: Vec<Arc<MemoryReservation>>,
}

/// `ON COMMIT …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCommit {
    /// Keep the rows.
    PreserveRows,
    /// Keep the table, not the rows.
    DeleteRows,
    /// Neither.
    Drop,
}

/// A session's temporary tables.
#[derive(Debug, Clone)]
pub struct TempTables {
    tables: BTreeMap<String, TempTable>,
    /// A number that no other set of names and columns had.
    shapes: u64,
    pool: Arc<dyn MemoryPool>,
}

/// A number that none had before.
fn next_shapes() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl TempTables {
    /// None yet; rows are counted in `pool`.
    pub fn new(pool: Arc<dyn MemoryPool>) -> Self {
        Self { tables: BTreeMap::new(), shapes: 0, pool }
    }

    /// A number for the names and columns that there are: as long as it stays, so do they.
    pub fn shapes(&self) -> u64 {
        self.shapes
    }

    /// `CREATE TEMP TABLE`; 42P07 if the name is taken.
    pub fn create(&mut self, name: &str, schema: SchemaRef, on_commit: OnCommit) -> Result<(), Report> {
        if self.tables.contains_key(name) {
            return Err(Report::new(SqlState::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")));
        }
        self.tables.insert(name.to_owned(), TempTable { schema, batches: Arc::default(), on_commit, reservations: vec![] });
        self.shapes = next_shapes();
        Ok(())
    }

    /// The table, or 42P01.
    pub fn get(&self, name: &str) -> Result<&TempTable, Report> {
        self.tables.get(name).ok_or_else(|| Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")))
    }

    /// Whether there is one of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// Nothing of the memory that tables share yet, for this.
    pub fn reservation(&self, what: &str) -> MemoryReservation {
        MemoryConsumer::new(what).register(&self.pool)
    }

    /// Adds rows; 53200 when they do not fit the memory limit.
    pub fn append(&mut self, name: &str, new: Vec<RecordBatch>) -> Result<u64, Report> {
        let bytes: usize = new.iter().map(RecordBatch::get_array_memory_size).sum();
        let rows: usize = new.iter().map(RecordBatch::num_rows).sum();
        let reservation = self.reservation(&format!("temporary table {name}"));
        reservation.try_grow(bytes).map_err(|failure| {
            Report::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(format!("Temporary table \"{name}\" does not fit: {failure}"))
        })?;
        let table = self
            .tables
            .get_mut(name)
            .ok_or_else(|| Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")))?;
        let mut batches = table.batches.as_ref().clone();
        batches.extend(new);
        table.batches = Arc::new(batches);
        table.reservations.push(Arc::new(reservation));
        Ok(rows as u64)
    }

    /// `TRUNCATE`.
    pub fn truncate(&mut self, name: &str) -> Result<(), Report> {
        let table = self
            .tables
            .get_mut(name)
            .ok_or_else(|| Report::new(SqlState::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist")))?;
        table.batches = Arc::default();
        table.reservations.clear();
        Ok(())
    }

    /// `DROP TABLE`; whether it was there.
    pub fn drop_table(&mut self, name: &str) -> bool {
        self.shapes = next_shapes();
        self.tables.remove(name).is_some()
    }

    /// `DISCARD TEMP`.
    pub fn clear(&mut self) {
        self.shapes = next_shapes();
        self.tables.clear();
    }

    /// The transaction committed.
    pub fn commit(&mut self) {
        let before = self.tables.len();
        self.tables.retain(|_, table| table.on_commit != OnCommit::Drop);
        if self.tables.len() < before {
            self.shapes = next_shapes();
        }
        for table in self.tables.values_mut().filter(|table| table.on_commit == OnCommit::DeleteRows) {
            table.batches = Arc::default();
            table.reservations.clear();
        }
    }
}

impl TemporaryTables for TempTables {
    fn schemas(&self) -> Vec<(String, SchemaRef)> {
        self.tables.iter().map(|(name, table)| (name.clone(), Arc::clone(&table.schema))).collect()
    }

    fn table(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        let table = self.tables.get(name)?;
        let provider = MemTable::try_new(Arc::clone(&table.schema), vec![table.batches.as_ref().clone()]).ok()?;
        Some(Arc::new(provider))
    }
}
