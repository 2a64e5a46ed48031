//! The output: entity rows as they came, with their winners' features beside them.
//!
//! A batch of output is a slice of entity rows and, per output column, a gather from the fetched pieces; where there is no winner,
//! from a NULL. Batches are independent of each other, so several are made at once and given in order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use futures::stream::{self, BoxStream, StreamExt};

use super::features::Features;
use super::keeper::piece_and_row;
use super::lookup::OutputColumn;
use super::matcher::NOWHERE;

/// Everything that the output is made of.
pub struct Answer {
    /// The output's schema.
    pub schema: SchemaRef,
    /// The entity rows.
    pub entity_rows: Vec<RecordBatch>,
    /// What each lookup gives; `None` where nothing can match.
    pub features: Vec<Option<Features>>,
    /// The wanted columns.
    pub outputs: Vec<OutputColumn>,
    /// Accounts for the entity rows.
    pub _memory: Arc<MemoryReservation>,
}

/// A part of a batch of entity rows.
#[derive(Debug, Clone, Copy)]
struct Part {
    batch: usize,
    start: usize,
    rows: usize,
    /// The first row's number among all entity rows.
    number: usize,
}

impl Answer {
    /// The output in batches of `batch_size`, up to `parallel` of them made ahead.
    pub fn stream(self, batch_size: usize, parallel: usize) -> BoxStream<'static, Result<RecordBatch>> {
        let mut parts = Vec::new();
        let mut number = 0;
        for (batch, rows) in self.entity_rows.iter().map(RecordBatch::num_rows).enumerate() {
            for start in (0..rows).step_by(batch_size.max(1)) {
                let part = Part { batch, start, rows: batch_size.max(1).min(rows - start), number: number + start };
                parts.push(part);
            }
            number += rows;
        }
        let answer = Arc::new(self);
        stream::iter(parts)
            .map(move |part| {
                let answer = Arc::clone(&answer);
                // Without features there is nothing to gain by a task.
                let task = SpawnedTask::spawn(async move { answer.part(part) });
                async move { task.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))? }
            })
            .buffered(parallel.max(1))
            .boxed()
    }

    fn part(&self, part: Part) -> Result<RecordBatch> {
        let missing = || DataFusionError::Internal("the output asks for what was not collected".into());
        let entity = self.entity_rows.get(part.batch).ok_or_else(missing)?.slice(part.start, part.rows);
        let mut columns: Vec<ArrayRef> = entity.columns().to_vec();
        let mut rows: Vec<Option<Vec<(usize, usize)>>> = vec![None; self.features.len()];
        for (output, field) in self.outputs.iter().zip(self.schema.fields().iter().skip(columns.len())) {
            let Some(features) = self.features.get(output.lookup).ok_or_else(missing)? else {
                columns.push(new_null_array(field.data_type(), part.rows));
                continue;
            };
            let rows = rows.get_mut(output.lookup).ok_or_else(missing)?.get_or_insert_with(|| features.rows(part.number, part.rows));
            let position = features.columns.iter().position(|column| *column == output.column).ok_or_else(missing)?;
            let nothing = new_null_array(field.data_type(), 1);
            let mut arrays: Vec<&dyn Array> = Vec::with_capacity(features.pieces.len() + 1);
            arrays.push(nothing.as_ref());
            arrays.extend(features.pieces.iter().map(|piece| piece.column(position).as_ref()));
            columns.push(interleave(&arrays, rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(part.rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Features {
    /// Where the features of entity rows are, for `interleave`: array 0 is NULL, the pieces follow.
    fn rows(&self, first: usize, rows: usize) -> Vec<(usize, usize)> {
        let slots = self.index.row_slots().get(first..first + rows).unwrap_or_default();
        let place = |slot: &u32| self.places.get(*slot as usize).copied().unwrap_or(NOWHERE);
        slots
            .iter()
            .map(|slot| match place(slot) {
                NOWHERE => (0, 0),
                place => {
                    let (piece, row) = piece_and_row(place);
                    (piece + 1, row)
                }
            })
            .collect()
    }
}
