//! The rows of a cursor: a running query, where it stands in it, and what it must keep to go back or to outlive its transaction.
//!
//! A cursor that goes forward only is its query's stream and holds no more than a batch. One with SCROLL keeps the rows that it
//! read, one WITH HOLD all that were left at the transaction's end: in memory while the statement's share lasts, then in a
//! temporary file ([`KeptRows`]), both of which have limits (53200, 53100).
//!
//! A cursor stands before the first row (0), on a row (its number), or behind the last. It stays true whenever a FETCH is dropped:
//! every step is taken after its rows are there.

use std::sync::Arc;

use arrow::array::UInt64Array;
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::spill_file::SpillFile;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::spill::SpillManager;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::{Report, SqlState};
use crate::plan;
use crate::sql::{ALL_ROWS, Direction};

type RowStream = BoxStream<'static, Result<RecordBatch, Report>>;

/// Where to go, after [`CursorRows::seek`] has gone as far as it can without rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    backward: bool,
    left: u64,
    /// The row that it stands on is counted, not read: `MOVE 0`.
    standing: bool,
}

const NOWHERE: Step = Step { backward: false, left: 0, standing: false };

/// A cursor's rows.
pub(super) struct CursorRows {
    /// What was not read yet; none behind the last row.
    stream: Option<RowStream>,
    /// Read from the stream, not passed yet.
    pending: Option<RecordBatch>,
    kept: Option<KeptRows>,
    /// The row that it stands on, from 1; or one behind the last.
    position: u64,
    behind_last: bool,
    /// The query failed: there are no more rows, nor those that there were.
    broken: bool,
}

impl CursorRows {
    /// Before the first row; `kept` lets it go back.
    pub(super) fn new(stream: RowStream, kept: Option<KeptRows>) -> Self {
        Self { stream: Some(stream), pending: None, kept, position: 0, behind_last: false, broken: false }
    }

    /// On the row of this number, with the stream of those behind it.
    pub(super) fn behind(stream: RowStream, position: u64) -> Self {
        Self { position, ..Self::new(stream, None) }
    }

    /// Reads what is left into `kept`, so that the cursor needs its query no more.
    pub(super) async fn hold(&mut self, kept: impl FnOnce(u64) -> KeptRows) -> Result<(), Report> {
        self.check_whole()?;
        if self.kept.is_none() {
            let mut kept = kept(self.position - u64::from(self.behind_last));
            if let Some(batch) = self.pending.take() {
                kept.append(batch)?;
            }
            self.kept = Some(kept);
        }
        while self.read_on().await? {}
        Ok(())
    }

    /// `portal "c" cannot be run`, if its query failed.
    fn check_whole(&self) -> Result<(), Report> {
        if self.broken {
            return Err(Report::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor cannot be run: its query failed"));
        }
        Ok(())
    }

    /// Goes to where the rows of a FETCH begin.
    pub(super) async fn seek(&mut self, direction: Direction, scroll: bool, moves: bool) -> Result<Step, Report> {
        self.check_whole()?;
        let back = || if scroll { Ok(()) } else { Err(forward_only()) };
        let forward = |left: u64| Step { backward: false, left, standing: false };
        match direction {
            Direction::Forward(0) | Direction::Backward(0) | Direction::Relative(0) => {
                if self.position == 0 || self.behind_last {
                    return Ok(NOWHERE);
                }
                if moves {
                    return Ok(Step { standing: true, ..NOWHERE });
                }
                back()?;
                self.position -= 1;
                Ok(forward(1))
            }
            Direction::Forward(count) if count > 0 => Ok(forward(rows(count))),
            Direction::Backward(count) if count < 0 => Ok(forward(rows(count))),
            Direction::Forward(count) | Direction::Backward(count) => {
                back()?;
                Ok(Step { backward: true, left: rows(count), standing: false })
            }
            Direction::Relative(count) if count > 0 => {
                self.skip(rows(count) - 1).await?;
                Ok(forward(1))
            }
            Direction::Relative(count) => {
                back()?;
                self.move_to(self.position.checked_sub(rows(count)))
            }
            Direction::Absolute(0) => {
                if self.position > 0 {
                    back()?;
                    (self.position, self.behind_last) = (0, false);
                }
                Ok(NOWHERE)
            }
            Direction::Absolute(row) if row > 0 => {
                let before = rows(row) - 1;
                if before >= self.position {
                    self.skip(before - self.position).await?;
                    return Ok(forward(1));
                }
                back()?;
                self.move_to(Some(rows(row)))
            }
            Direction::Absolute(row) => {
                back()?;
                self.skip(u64::MAX).await?;
                self.move_to(self.position.checked_sub(rows(row)))
            }
        }
    }

    /// To just before a row that was passed; before the first, where there is no such row.
    fn move_to(&mut self, row: Option<u64>) -> Result<Step, Report> {
        self.behind_last = false;
        match row {
            Some(row) if row > 0 => {
                self.position = row - 1;
                Ok(Step { backward: false, left: 1, standing: false })
            }
            _ => {
                self.position = 0;
                Ok(NOWHERE)
            }
        }
    }

    async fn skip(&mut self, count: u64) -> Result<(), Report> {
        let mut step = Step { backward: false, left: count, standing: false };
        while self.next(&mut step).await?.is_some() {}
        Ok(())
    }

    /// Passes all rows of a step; how many.
    pub(super) async fn pass(&mut self, mut step: Step) -> Result<u64, Report> {
        let mut passed = u64::from(step.standing);
        while let Some(batch) = self.next(&mut step).await? {
            passed += batch.num_rows() as u64;
        }
        Ok(passed)
    }

    /// The step's next rows, in its order; none at its end.
    pub(super) async fn next(&mut self, step: &mut Step) -> Result<Option<RecordBatch>, Report> {
        if step.left == 0 {
            return Ok(None);
        }
        let found = if step.backward { self.back(step.left).await } else { self.on(step.left).await };
        let found = found.inspect_err(|_| self.broken = true)?;
        step.left = found.as_ref().map_or(0, |batch| step.left - batch.num_rows() as u64);
        Ok(found)
    }

    async fn on(&mut self, limit: u64) -> Result<Option<RecordBatch>, Report> {
        loop {
            if self.behind_last {
                return Ok(None);
            }
            let found = match &mut self.kept {
                Some(kept) if self.position < kept.end() => Some(kept.from(self.position, limit).await?),
                Some(_) => None,
                None => self.pending.take().map(|batch| {
                    let count = usize::try_from(limit).unwrap_or(usize::MAX).min(batch.num_rows());
                    if count < batch.num_rows() {
                        self.pending = Some(batch.slice(count, batch.num_rows() - count));
                    }
                    batch.slice(0, count)
                }),
            };
            if let Some(batch) = found {
                self.position += batch.num_rows() as u64;
                return Ok(Some(batch));
            }
            if !self.read_on().await? {
                self.position += 1;
                self.behind_last = true;
            }
        }
    }

    async fn back(&mut self, limit: u64) -> Result<Option<RecordBatch>, Report> {
        // The row before the one that it stands on.
        let Some(last) = self.position.checked_sub(2) else {
            (self.position, self.behind_last) = (0, false);
            return Ok(None);
        };
        let Some(kept) = &mut self.kept else { return Err(forward_only()) };
        if last < kept.first {
            (self.position, self.behind_last) = (0, false);
            return Ok(None);
        }
        let batch = kept.back_from(last, limit).await?;
        self.position -= batch.num_rows() as u64;
        self.behind_last = false;
        Ok(Some(batch))
    }

    /// Reads one more batch; whether there was one.
    async fn read_on(&mut self) -> Result<bool, Report> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        match stream.next().await {
            Some(Ok(batch)) if batch.num_rows() == 0 => Ok(true),
            Some(Ok(batch)) => {
                match &mut self.kept {
                    Some(kept) => kept.append(batch)?,
                    None => self.pending = Some(batch),
                }
                Ok(true)
            }
            Some(Err(report)) => {
                (self.stream, self.broken) = (None, true);
                Err(report)
            }
            None => {
                // The operators and their memory are done with.
                self.stream = None;
                Ok(false)
            }
        }
    }
}

fn rows(count: i64) -> u64 {
    if count == ALL_ROWS { u64::MAX } else { count.unsigned_abs() }
}

fn forward_only() -> Report {
    Report::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .hint("Declare it with SCROLL option to enable backward scan.")
}

/// A run of rows, in memory or in a file.
enum Run {
    Memory(RecordBatch),
    File(Arc<dyn SpillFile>),
}

/// Rows that were read and may be wanted again.
pub(super) struct KeptRows {
    /// Rows before these, which nobody can want: a number from 0.
    first: u64,
    /// Each run with the number, from 0, of the row behind its last.
    runs: Vec<(u64, Run)>,
    in_memory: usize,
    reservation: MemoryReservation,
    files: SpillManager,
    /// Where a file is being read: its run, and the row that comes next.
    reader: Option<(usize, u64, SendableRecordBatchStream)>,
    /// The batch of a file that was read last, and the number of its first row.
    last_read: Option<(u64, RecordBatch)>,
}

impl KeptRows {
    /// None yet; counted in `pool`, with `runtime`'s folder for what does not fit. `first` is the number of the first row, from 0.
    pub(super) fn new(schema: SchemaRef, pool: &Arc<dyn MemoryPool>, runtime: &Arc<RuntimeEnv>, first: u64) -> Self {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        Self {
            first,
            runs: Vec::new(),
            in_memory: 0,
            reservation: MemoryConsumer::new("cursor").with_can_spill(true).register(pool),
            files: SpillManager::new(Arc::clone(runtime), metrics, schema),
            reader: None,
            last_read: None,
        }
    }

    /// The number of the row behind the last.
    fn end(&self) -> u64 {
        self.runs.last().map_or(self.first, |(end, _)| *end)
    }

    fn append(&mut self, batch: RecordBatch) -> Result<(), Report> {
        let end = self.end() + batch.num_rows() as u64;
        let bytes = batch.get_array_memory_size();
        if self.reservation.try_grow(bytes).is_ok() {
            self.in_memory += 1;
            self.runs.push((end, Run::Memory(batch)));
            return Ok(());
        }
        // All that is in memory goes to one file, with the batch that found no room.
        let from = self.runs.len() - self.in_memory;
        let mut batches: Vec<RecordBatch> =
            self.runs[from..].iter().filter_map(|(_, run)| if let Run::Memory(batch) = run { Some(batch.clone()) } else { None }).collect();
        batches.push(batch);
        let file = self
            .files
            .spill_record_batch_and_finish(&batches, "rows of a cursor")
            .map_err(|failure| plan::without_position(&failure))?
            .ok_or_else(|| Report::new(SqlState::OUT_OF_MEMORY, "out of memory").detail("The rows of a cursor do not fit."))?;
        self.runs.truncate(from);
        self.runs.push((end, Run::File(file)));
        self.in_memory = 0;
        self.reservation.free();
        Ok(())
    }

    /// Rows from this one on, at least one, no more than the limit.
    async fn from(&mut self, row: u64, limit: u64) -> Result<RecordBatch, Report> {
        let (first, batch) = self.around(row).await?;
        let at = offset(row, first);
        Ok(batch.slice(at, (batch.num_rows() - at).min(usize::try_from(limit).unwrap_or(usize::MAX))))
    }

    /// This row and those before it, in reverse.
    async fn back_from(&mut self, row: u64, limit: u64) -> Result<RecordBatch, Report> {
        let (first, batch) = self.around(row).await?;
        let at = offset(row, first) as u64;
        let count = limit.min(at + 1);
        let indices = UInt64Array::from_iter_values((0..count).map(|back| at - back));
        take_record_batch(&batch, &indices).map_err(|failure| plan::without_position(&failure.into()))
    }

    /// The batch that holds a row, and the number of its first.
    async fn around(&mut self, row: u64) -> Result<(u64, RecordBatch), Report> {
        let index = self.runs.partition_point(|(end, _)| *end <= row);
        let begin = index.checked_sub(1).map_or(self.first, |before| self.runs[before].0);
        let file = match self.runs.get(index) {
            Some((_, Run::Memory(batch))) => return Ok((begin, batch.clone())),
            Some((_, Run::File(file))) => Arc::clone(file),
            None => return Err(lost()),
        };
        if let Some((first, batch)) = &self.last_read
            && (*first..*first + batch.num_rows() as u64).contains(&row)
        {
            return Ok((*first, batch.clone()));
        }
        if !matches!(&self.reader, Some((run, next, _)) if *run == index && *next <= row) {
            let stream = self.files.read_spill_as_stream_unbuffered(file, None).map_err(|failure| plan::without_position(&failure))?;
            self.reader = Some((index, begin, stream));
        }
        while let Some((_, next, stream)) = &mut self.reader {
            let Some(batch) = stream.next().await else { break };
            let batch = batch.map_err(|failure| plan::without_position(&failure))?;
            let first = *next;
            *next += batch.num_rows() as u64;
            if *next > row {
                self.last_read = Some((first, batch.clone()));
                return Ok((first, batch));
            }
        }
        self.reader = None;
        Err(lost())
    }
}

fn offset(row: u64, first: u64) -> usize {
    usize::try_from(row - first).unwrap_or(usize::MAX)
}

/// A file that ends before its rows do.
fn lost() -> Report {
    Report::new(SqlState::IO_ERROR, "could not read the rows of a cursor from its temporary file")
}

#[cfg(test)]
#[path = "cursor_rows_tests.rs"]
mod tests;
