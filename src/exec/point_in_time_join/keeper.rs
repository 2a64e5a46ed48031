//! [`Keeper`]: the rows of winners of a source that cannot fetch.
//!
//! Of each batch only the rows that became the best of a slot are copied; when half of what is held has been beaten since, or the pieces have
//! become many, the rest is copied together. So memory follows the slots, not the feature rows. Ties are settled
//! batch by batch, since the content is at hand.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::{DataFusionError, Result};

use super::content::ContentOrder;
use super::matcher::{self, NOWHERE, Winners};
use super::pace::Pace;

/// The piece number of rows that were not copied yet.
const RAW: u32 = u32::MAX - 1;

/// Pieces held at the most before they are copied together.
const PIECES: usize = 256;

/// Rows per piece when they are.
const PIECE_ROWS: usize = 8192;

/// A row of a piece as a locator.
pub fn place(piece: u32, row: u32) -> u64 {
    (u64::from(piece) << 32) | u64::from(row)
}

/// The piece and row of a [`place`].
pub fn piece_and_row(place: u64) -> (usize, usize) {
    ((place >> 32) as usize, (place & u64::from(u32::MAX)) as usize)
}

/// The locator of row `row` of the batch that is just being matched.
pub fn raw(row: usize) -> u64 {
    place(RAW, row as u32)
}

/// See the module's documentation.
pub struct Keeper {
    schema: SchemaRef,
    pieces: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    order: ContentOrder,
    /// Where `order`'s columns are among those kept.
    order_columns: Vec<usize>,
    /// How many lookups share the pass: content decides for all of them alike.
    lookups: usize,
}

impl Keeper {
    /// A keeper of batches of this schema.
    pub fn new(schema: SchemaRef, order: ContentOrder, order_columns: Vec<usize>, lookups: usize) -> Self {
        Self { schema, pieces: Vec::new(), rows: 0, bytes: 0, order, order_columns, lookups }
    }

    /// The batch under the schema of what is kept: one that says nothing of nullability.
    pub fn adopt(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), batch.columns().to_vec(), &options)?)
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.bytes
    }

    /// The rows, found by [`place`].
    pub fn into_pieces(self) -> Vec<RecordBatch> {
        self.pieces
    }

    /// Settles the ties that `batch` brought, and keeps its winners. `slots` are those it was offered to.
    pub async fn keep(&mut self, batch: &RecordBatch, slots: &[u32], winners: &mut Winners, pace: &mut Pace) -> Result<()> {
        self.settle(winners, Some(batch), pace).await?;
        let piece = self.pieces.len() as u32;
        let mut rows: Vec<u32> = Vec::new();
        for slot in slots {
            if let Some(best) = winners.best().get(*slot as usize)
                && best.locator != NOWHERE
                && best.locator >> 32 == u64::from(RAW)
            {
                let row = (best.locator & u64::from(u32::MAX)) as u32;
                winners.relocate(*slot as usize, place(piece, rows.len() as u32));
                rows.push(row);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let kept = compact(&take_record_batch(batch, &UInt32Array::from(rows))?)?;
        self.push(kept);
        if self.pieces.len() > PIECES || self.rows > winners.filled().saturating_mul(2) + 4 * PIECE_ROWS {
            self.copy_together(winners, pace).await?;
        }
        Ok(())
    }

    /// Takes over what another keeper holds; gives the number that its pieces move up by.
    pub fn absorb(&mut self, other: Keeper) -> u64 {
        let moved = self.pieces.len() as u64;
        self.pieces.extend(other.pieces);
        self.rows += other.rows;
        self.bytes += other.bytes;
        moved
    }

    /// Settles the rows on the list by content.
    pub async fn settle(&mut self, winners: &mut Winners, raw: Option<&RecordBatch>, pace: &mut Pace) -> Result<()> {
        let ties = winners.take_ties();
        if ties.is_empty() || self.order.columns().is_empty() {
            return Ok(());
        }
        for piece in ties.chunks(4096) {
            // Each tie beside the best row of its slot, as it stands now: a tie before may have changed it.
            let mut order: Vec<usize> = (0..piece.len()).collect();
            order.sort_unstable_by_key(|place| piece.get(*place).map(|tie| tie.slot));
            let mut rows: Vec<(usize, usize)> = Vec::with_capacity(piece.len() * 2);
            for tie in piece {
                let best = winners.best().get(tie.slot as usize).map_or(tie.row.locator, |best| best.locator);
                rows.push(self.find(best));
                rows.push(self.find(tie.row.locator));
            }
            let columns = self.gather(&self.order_columns, &rows, raw)?;
            let Some(encoded) = self.order.encode(&columns)? else { continue };
            let mut last = None;
            let mut champion = 0;
            for place in order {
                let Some(tie) = piece.get(place) else { continue };
                if last != Some(tie.slot) {
                    last = Some(tie.slot);
                    champion = place * 2;
                }
                let challenger = place * 2 + 1;
                let (mine, theirs) = (encoded.row(champion), encoded.row(challenger));
                if mine != theirs {
                    for lookup in 0..self.lookups {
                        winners.contest(tie.slot as usize, matcher::by_content(lookup));
                    }
                }
                if theirs > mine {
                    champion = challenger;
                    winners.relocate(tie.slot as usize, tie.row.locator);
                }
            }
            pace.done(piece.len() * 4).await;
        }
        Ok(())
    }

    fn push(&mut self, piece: RecordBatch) {
        self.rows += piece.num_rows();
        self.bytes += piece.get_array_memory_size();
        self.pieces.push(piece);
    }

    /// A locator as (array, row) for [`Self::gather`], where the raw batch comes last.
    fn find(&self, locator: u64) -> (usize, usize) {
        let (piece, row) = piece_and_row(locator);
        if piece == RAW as usize { (self.pieces.len(), row) } else { (piece, row) }
    }

    fn gather(&self, columns: &[usize], rows: &[(usize, usize)], raw: Option<&RecordBatch>) -> Result<Vec<ArrayRef>> {
        let batches: Vec<&RecordBatch> = self.pieces.iter().chain(raw).collect();
        let gathered = columns.iter().map(|column| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(*column).as_ref()).collect();
            Ok(interleave(&arrays, rows)?)
        });
        gathered.collect()
    }

    async fn copy_together(&mut self, winners: &mut Winners, pace: &mut Pace) -> Result<()> {
        let mut fresh: Vec<RecordBatch> = Vec::new();
        let mut rows: Vec<(usize, usize)> = Vec::with_capacity(PIECE_ROWS);
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let slots = winners.best().len();
        for slot in 0..slots {
            if let Some(best) = winners.best().get(slot).filter(|best| best.exists()) {
                rows.push(piece_and_row(best.locator));
                winners.relocate(slot, place(fresh.len() as u32, rows.len() as u32 - 1));
            }
            if rows.len() == PIECE_ROWS || (slot + 1 == slots && !rows.is_empty()) {
                let columns = self.gather(&all, &rows, None)?;
                fresh.push(compact(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)?);
                rows.clear();
            }
            if slot % 4096 == 0 {
                pace.done(4096 * 4).await;
            }
        }
        self.pieces.clear();
        (self.rows, self.bytes) = (0, 0);
        fresh.into_iter().for_each(|piece| self.push(piece));
        Ok(())
    }
}

/// The batch without what its views point at but do not use: a few rows must not hold a whole page.
pub fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let compacted = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => {
                let views = column.as_string_view();
                if wasteful(views.data_buffers(), views.total_buffer_bytes_used()) { Arc::new(views.gc()) } else { Arc::clone(column) }
            }
            DataType::BinaryView => {
                let views = column.as_binary_view();
                if wasteful(views.data_buffers(), views.total_buffer_bytes_used()) { Arc::new(views.gc()) } else { Arc::clone(column) }
            }
            _ => Arc::clone(column),
        }
    };
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), batch.columns().iter().map(compacted).collect(), &options)
        .map_err(DataFusionError::from)
}

fn wasteful(buffers: &[arrow::buffer::Buffer], used: usize) -> bool {
    buffers.iter().map(|buffer| buffer.capacity()).sum::<usize>() > used.saturating_mul(2).max(4096)
}
