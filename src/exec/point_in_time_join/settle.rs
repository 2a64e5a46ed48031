//! Ties of rows that can be fetched: their content is fetched, compared and forgotten.
//!
//! Only rows that are still tied are fetched, only the columns that decide, and only the best row of each slot is held (as bytes).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;

use super::content::ContentOrder;
use super::error::JoinError;
use super::feature_rows::Locator;
use super::lookup::Lookup;
use super::matcher::{Tie, Winners};
use super::pace::{self, Pace};

/// What content decided in one slot.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// The winner.
    pub locator: u64,
    /// Whether the others differ from it in anything that is looked at.
    pub differs: bool,
}

/// The tied rows and the best ones they are tied with: (locator, slot), ascending, each once.
pub async fn contenders(ties: &[Tie], winners: &Winners, pace: &mut Pace) -> Vec<(u64, u32)> {
    let mut contenders = Vec::with_capacity(ties.len() * 2);
    for piece in ties.chunks(8192) {
        for tie in piece {
            contenders.push((tie.row.locator, tie.slot));
            if let Some(best) = winners.best().get(tie.slot as usize) {
                contenders.push((best.locator, tie.slot));
            }
        }
        pace.done(piece.len()).await;
    }
    pace::sort(&mut contenders, pace).await;
    contenders.dedup();
    contenders
}

/// Settles the slots of `contenders` as `lookup` orders content.
pub async fn by_content(
    lookup: &Lookup,
    contenders: &[(u64, u32)],
    context: &Arc<TaskContext>,
    metrics: &ExecutionPlanMetricsSet,
    memory: &MemoryReservation,
) -> Result<HashMap<u32, Settled>> {
    let order = ContentOrder::try_new(lookup, &lookup.rows.schema())?;
    let mut settled: HashMap<u32, Settled> = HashMap::new();
    if order.columns().is_empty() {
        for (locator, slot) in contenders {
            settled.entry(*slot).or_insert(Settled { locator: *locator, differs: false });
        }
        return Ok(settled);
    }
    let mut best: HashMap<u32, Box<[u8]>> = HashMap::new();
    let locators: Vec<Locator> = contenders.iter().map(|(locator, _)| Locator(*locator)).collect();
    let mut batches = lookup.rows.fetch(&locators, order.columns(), context, metrics).await?;
    let mut fetched = 0;
    let mut pace = Pace::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for start in (0..batch.num_rows()).step_by(4096) {
            let piece = batch.slice(start, 4096.min(batch.num_rows() - start));
            let columns: Vec<ArrayRef> = piece.columns().to_vec();
            let Some(rows) = order.encode(&columns)? else { continue };
            for (row, (locator, slot)) in rows.iter().zip(contenders.get(fetched..).unwrap_or_default()) {
                let bytes = row.data();
                match (best.get_mut(slot), settled.get_mut(slot)) {
                    (Some(own), Some(settled)) => {
                        settled.differs |= bytes != own.as_ref();
                        if bytes > own.as_ref() {
                            *own = bytes.into();
                            settled.locator = *locator;
                        }
                    }
                    _ => {
                        memory.try_grow(bytes.len() + 64)?;
                        best.insert(*slot, bytes.into());
                        settled.insert(*slot, Settled { locator: *locator, differs: false });
                    }
                }
            }
            fetched += piece.num_rows();
            pace.done(piece.num_rows() * 4).await;
        }
    }
    memory.free();
    if fetched != contenders.len() {
        let what = format!("{fetched} rows instead of {} tied ones", contenders.len());
        return Err(JoinError::BrokenSource { lookup: lookup.name.clone(), what }.into());
    }
    Ok(settled)
}
