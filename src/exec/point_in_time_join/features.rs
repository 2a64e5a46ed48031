//! From a pass to [`Features`]: each slot's winner per lookup, within its window, fetched, and still valid.
//!
//! The winners of all lookups of a pass are fetched together: their locators, sorted, each once, in as many ranges as there are
//! partitions, each range by a task of its own. Memory: the fetched columns of the distinct winners, and 8 bytes per slot and
//! lookup for where each one's is.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::IntervalMonthDayNano;
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use futures::StreamExt;

use super::error::JoinError;
use super::feature_rows::Locator;
use super::instant::{self, Instants, NANOS_PER_DAY, Unit};
use super::keeper::{self, piece_and_row};
use super::lookup::Lookup;
use super::matcher::{self, Inherited, NOWHERE};
use super::pace::{self, Pace};
use super::pass::{Kept, Pass, Passed, Surroundings};
use super::settle;
use super::slots::SlotIndex;

/// Winners below which a further task to fetch them does not pay.
const FETCH_RANGE: usize = 4096;

/// What one lookup gives every slot.
#[derive(Debug)]
pub struct Features {
    /// The entity rows.
    pub index: Arc<SlotIndex>,
    /// Which columns of the feature rows `pieces` hold.
    pub columns: Arc<Vec<usize>>,
    /// The winners of all lookups of the pass.
    pub pieces: Arc<Vec<RecordBatch>>,
    /// Where each slot's winner is among `pieces` ([`keeper::place`]), or [`NOWHERE`].
    pub places: Vec<u64>,
    /// Accounts for the above.
    pub _memory: Vec<Arc<MemoryReservation>>,
}

/// The features of each of the pass's lookups, in their order.
pub async fn collect(pass: &Pass, mut passed: Passed, around: &Surroundings) -> Result<Vec<Features>> {
    let mut pace = Pace::new();
    let mut inherited = Vec::with_capacity(pass.lookups.len());
    let memory = around.memory.new_empty();
    memory.try_grow(pass.index.slots() * 9 * pass.lookups.len())?;
    // Of a source that cannot fetch nothing is tied any more.
    let ties = passed.winners.take_ties();
    let contenders = settle::contenders(&ties, &passed.winners, &mut pace).await;
    for (place, lookup) in pass.lookups.iter().enumerate() {
        let settled = if contenders.is_empty() {
            HashMap::new()
        } else {
            let memory = around.memory.new_empty();
            settle::by_content(lookup, &contenders, &around.context, &around.metrics_set, &memory).await?
        };
        let by_content = matcher::by_content(place);
        let decided = |slot: u32| settled.get(&slot).map(|settled| (settled.locator, if settled.differs { by_content } else { 0 }));
        let window = Window::of(lookup, pass)?;
        let counts = matcher::BY_COMMIT | by_content;
        let in_window = |timestamp, time| window.as_ref().is_none_or(|window| window.holds(timestamp, time));
        inherited.push(passed.winners.inherit(&pass.index, counts, decided, in_window, &mut pace).await);
    }
    count_contests(pass, &inherited, around, &mut pace).await;
    let (mut memory, mut held) = (vec![Arc::new(memory)], passed.memory);
    let (columns, pieces, mut places) = match passed.kept {
        Some(Kept { columns, pieces }) => {
            memory.extend(held.drain(..).map(Arc::new));
            (columns, pieces, inherited.into_iter().map(|one| one.locators).collect::<Vec<_>>())
        }
        None => {
            drop((passed.winners, held));
            let timer = around.metrics.fetch_time.timer();
            let (pieces, places, account) = fetch(pass, inherited, around, &mut pace).await?;
            timer.done();
            memory.push(Arc::new(account));
            (pass.wanted.clone(), pieces, places)
        }
    };
    around.metrics.winners.add(pieces.iter().map(RecordBatch::num_rows).sum());
    for (lookup, places) in pass.lookups.iter().zip(&mut places) {
        expire(pass, lookup, &columns, &pieces, places, &mut pace).await?;
    }
    let (columns, pieces) = (Arc::new(columns), Arc::new(pieces));
    Ok(places
        .into_iter()
        .map(|places| Features {
            index: Arc::clone(&pass.index),
            columns: Arc::clone(&columns),
            pieces: Arc::clone(&pieces),
            places,
            _memory: memory.clone(),
        })
        .collect())
}

/// The TTL of a lookup, ready to be checked on winners.
struct Window {
    ttl: IntervalMonthDayNano,
    /// Its length, if it does not depend on the calendar.
    fixed: Option<i128>,
    timestamp: Unit,
    entity: Unit,
}

impl Window {
    fn of(lookup: &Lookup, pass: &Pass) -> Result<Option<Self>> {
        let Some(ttl) = lookup.ttl else { return Ok(None) };
        let schema = lookup.rows.schema();
        let field = schema.fields().get(lookup.timestamp).ok_or_else(|| DataFusionError::Internal("no timestamp".into()))?;
        let fixed = (ttl.months == 0).then(|| i128::from(ttl.days) * NANOS_PER_DAY + i128::from(ttl.nanoseconds));
        let timestamp = Unit::of_column(field.data_type(), field.name())?;
        Ok(Some(Self { ttl, fixed, timestamp, entity: pass.unit }))
    }

    fn holds(&self, timestamp: i64, time: i64) -> bool {
        let (timestamp, time) = (self.timestamp.nanos(timestamp), self.entity.nanos(time));
        match self.fixed {
            Some(length) => time - timestamp <= length,
            None => timestamp >= instant::window_start(time, self.ttl),
        }
    }
}

/// Counts the entity rows that commit order or content decided.
async fn count_contests(pass: &Pass, inherited: &[Inherited], around: &Surroundings, pace: &mut Pace) {
    for one in inherited {
        if !one.contested.contains(&true) {
            continue;
        }
        for rows in pass.index.row_slots().chunks(8192) {
            let contested = rows.iter().filter(|slot| one.contested.get(**slot as usize).copied().unwrap_or_default()).count();
            around.metrics.ties.add(contested);
            pace.done(rows.len()).await;
        }
    }
}

type Fetched = (Vec<RecordBatch>, Vec<Vec<u64>>, MemoryReservation);

/// Fetches the winners; gives them with each slot's place, per lookup.
async fn fetch(pass: &Pass, inherited: Vec<Inherited>, around: &Surroundings, pace: &mut Pace) -> Result<Fetched> {
    let account = around.memory.new_empty();
    let slots = pass.index.slots();
    let scratch = around.memory.new_empty();
    scratch.try_grow(slots * inherited.len() * 2 * size_of::<(u64, u32, u32)>())?;
    let mut wanted: Vec<(u64, u32, u32)> = Vec::new();
    for (lookup, one) in inherited.iter().enumerate() {
        for (slot, locator) in one.locators.iter().enumerate() {
            if *locator != NOWHERE {
                wanted.push((*locator, lookup as u32, slot as u32));
            }
            if slot % 8192 == 0 {
                pace.done(8192).await;
            }
        }
    }
    pace::sort(&mut wanted, pace).await;
    // From here on a place is the rank of its locator, until the rows are there.
    let mut places: Vec<Vec<u64>> = inherited.into_iter().map(|one| one.locators).collect();
    let mut locators: Vec<Locator> = Vec::new();
    for piece in wanted.chunks(8192) {
        for (locator, lookup, slot) in piece {
            if locators.last() != Some(&Locator(*locator)) {
                locators.push(Locator(*locator));
            }
            if let Some(place) = places.get_mut(*lookup as usize).and_then(|places| places.get_mut(*slot as usize)) {
                *place = locators.len() as u64 - 1;
            }
        }
        pace.done(piece.len()).await;
    }
    drop(wanted);
    scratch.try_resize(locators.len() * size_of::<Locator>())?;
    let account = Arc::new(account);
    let pieces = fetch_ranges(pass, Arc::new(locators), around, &account).await?;
    let mut starts: Vec<u64> = Vec::with_capacity(pieces.len());
    let mut rows = 0;
    for piece in &pieces {
        starts.push(rows);
        rows += piece.num_rows() as u64;
    }
    for places in &mut places {
        for piece in places.chunks_mut(8192) {
            for place in piece.iter_mut().filter(|place| **place != NOWHERE) {
                let number = starts.partition_point(|start| *start <= *place).saturating_sub(1);
                let row = *place - starts.get(number).copied().unwrap_or_default();
                *place = keeper::place(number as u32, row as u32);
            }
            pace.done(piece.len() * 2).await;
        }
    }
    let account = Arc::try_unwrap(account).unwrap_or_else(|shared| shared.new_empty());
    Ok((pieces, places, account))
}

/// Fetches the rows at `locators`, in their order, by several tasks if they are many.
async fn fetch_ranges(
    pass: &Pass,
    locators: Arc<Vec<Locator>>,
    around: &Surroundings,
    account: &Arc<MemoryReservation>,
) -> Result<Vec<RecordBatch>> {
    let Some(lookup) = pass.lookups.first() else { return Ok(Vec::new()) };
    let partitions = around.context.session_config().target_partitions().max(1);
    let length = locators.len().div_ceil(partitions).max(FETCH_RANGE);
    let mut tasks = JoinSet::new();
    for (number, start) in (0..locators.len()).step_by(length).enumerate() {
        let end = (start + length).min(locators.len());
        let (lookup, locators, columns) = (lookup.clone(), Arc::clone(&locators), pass.wanted.clone());
        let (context, metrics, account) = (Arc::clone(&around.context), around.metrics_set.clone(), Arc::clone(account));
        tasks.spawn(async move {
            let range = locators.get(start..end).unwrap_or_default();
            let mut batches = lookup.rows.fetch(range, &columns, &context, &metrics).await?;
            let mut pieces = Vec::new();
            let mut rows = 0;
            while let Some(batch) = batches.next().await {
                let batch = keeper::compact(&batch?)?;
                rows += batch.num_rows();
                if batch.num_rows() > 0 {
                    account.try_grow(batch.get_array_memory_size())?;
                    pieces.push(batch);
                }
            }
            if rows != range.len() {
                let what = format!("{rows} rows instead of {} winners", range.len());
                return Err(DataFusionError::from(JoinError::BrokenSource { lookup: lookup.name.clone(), what }));
            }
            Ok((number, pieces))
        });
    }
    let mut ranges = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        ranges.push(joined.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    ranges.sort_by_key(|(number, _)| *number);
    Ok(ranges.into_iter().flat_map(|(_, pieces)| pieces).collect())
}

/// Takes away the winners that are not valid any more.
async fn expire(
    pass: &Pass,
    lookup: &Lookup,
    columns: &[usize],
    pieces: &[RecordBatch],
    places: &mut [u64],
    pace: &mut Pace,
) -> Result<()> {
    let Some(valid_until) = lookup.valid_until else { return Ok(()) };
    let schema = lookup.rows.schema();
    let position = columns.iter().position(|column| *column == valid_until);
    let (Some(position), Some(field)) = (position, schema.fields().get(valid_until)) else {
        return Err(DataFusionError::Internal("valid-until was not read".into()));
    };
    let unit = Unit::of_column(field.data_type(), field.name())?;
    let ends =
        pieces.iter().map(|piece| Instants::try_new(piece.column(position)).map_err(DataFusionError::from)).collect::<Result<Vec<_>>>()?;
    let mut since = 0;
    for (place, time) in places.iter_mut().zip(pass.index.times()) {
        if *place != NOWHERE {
            let (piece, row) = piece_and_row(*place);
            let end = ends.get(piece).and_then(|ends| ends.get(row));
            if end.is_some_and(|end| unit.nanos(end) <= pass.unit.nanos(*time)) {
                *place = NOWHERE;
            }
        }
        since += 1;
        if since == 8192 {
            since = 0;
            pace.done(8192 * 2).await;
        }
    }
    Ok(())
}
