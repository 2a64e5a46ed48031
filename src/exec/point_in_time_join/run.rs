//! One execution, from the entity rows to the [`Answer`]: collect, index, stream past, fetch.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{StreamExt, stream};

use super::error::JoinError;
use super::features::{self, Features};
use super::gather::Answer;
use super::instant::{self, Instants, Unit};
use super::keys::KeyKind;
use super::lookup::{EntityTime, Lookup, OutputColumn};
use super::matcher::Winners;
use super::metrics::TieCounter;
use super::pace::Pace;
use super::pass::{Pass, Surroundings};
use super::prune;
use super::slots::{SlotIndex, SlotIndexBuilder};

/// What is to be joined: the operator without its input.
#[derive(Debug, Clone)]
pub struct Join {
    /// As of when each entity row asks.
    pub entity_time: EntityTime,
    /// The sources of features.
    pub lookups: Vec<Lookup>,
    /// How the keys of each compare.
    pub kinds: Vec<Vec<KeyKind>>,
    /// What is wanted of them.
    pub outputs: Vec<OutputColumn>,
    /// The unit of the entity rows' time.
    pub unit: Unit,
    /// The output's schema.
    pub schema: SchemaRef,
    /// Where decided rows are counted.
    pub ties: Arc<TieCounter>,
}

/// Entity columns and the kinds of their keys: what an index is made by.
type IndexKey = (Vec<usize>, Vec<KeyKind>);

impl Join {
    /// Runs the join over all partitions of `input`.
    pub async fn run(self: Arc<Self>, input: Arc<dyn ExecutionPlan>, around: Surroundings) -> Result<Answer> {
        let timer = around.metrics.index_time.timer();
        let entity_rows = collect(&input, &around).await?;
        around.metrics.entity_rows.add(entity_rows.iter().map(RecordBatch::num_rows).sum());
        let mut indices: Vec<(IndexKey, Arc<SlotIndex>)> = Vec::new();
        let mut passes = Vec::new();
        for group in self.passes() {
            let Some((lookup, kinds)) = group.first().and_then(|first| Some((self.lookups.get(*first)?, self.kinds.get(*first)?))) else {
                continue;
            };
            let columns: Vec<usize> = lookup.on.iter().map(|pair| pair.0).collect();
            let key = (columns, kinds.clone());
            let index = match indices.iter().find(|(own, _)| *own == key) {
                Some((_, index)) => Arc::clone(index),
                None => {
                    let index = Arc::new(self.index(&key, &entity_rows, &around).await?);
                    indices.push((key, Arc::clone(&index)));
                    index
                }
            };
            passes.push(self.pass(&group, index, &entity_rows).await?.map(|pass| (group, pass)));
        }
        timer.done();
        let mut features: Vec<Option<Features>> = self.lookups.iter().map(|_| None).collect();
        let ties_before = around.metrics.ties.value();
        let passes: Vec<(Vec<usize>, Pass)> = passes.into_iter().flatten().collect();
        let parallel = parallel_passes(&passes, &around);
        let mut running = stream::iter(passes)
            .map(|(group, pass)| {
                let around = &around;
                async move {
                    let timer = around.metrics.stream_time.timer();
                    let passed = pass.run(around).await?;
                    timer.done();
                    Ok::<_, DataFusionError>((group, features::collect(&pass, passed, around).await?))
                }
            })
            .buffer_unordered(parallel);
        while let Some(done) = running.next().await {
            let (group, found) = done?;
            for (lookup, found) in group.into_iter().zip(found) {
                if let Some(place) = features.get_mut(lookup) {
                    *place = Some(found);
                }
            }
        }
        drop(running);
        self.ties.add((around.metrics.ties.value() - ties_before) as u64);
        Ok(Answer {
            schema: Arc::clone(&self.schema),
            entity_rows,
            features,
            outputs: self.outputs.clone(),
            _memory: Arc::clone(&around.memory),
        })
    }

    /// The lookups that anything is wanted of, grouped by the pass they share.
    fn passes(&self) -> Vec<Vec<usize>> {
        let mut passes: Vec<Vec<usize>> = Vec::new();
        for (place, lookup) in self.lookups.iter().enumerate() {
            if !self.outputs.iter().any(|output| output.lookup == place) {
                continue;
            }
            let shared = passes.iter_mut().find(|pass| {
                let first = pass.first().and_then(|first| Some((self.lookups.get(*first)?, self.kinds.get(*first)?)));
                first.is_some_and(|(first, kinds)| first.shares_pass(lookup) && self.kinds.get(place) == Some(kinds))
            });
            match shared {
                Some(pass) => pass.push(place),
                None => passes.push(vec![place]),
            }
        }
        passes
    }

    /// The pass of `group`; `None` if no entity row asks anything.
    async fn pass(&self, group: &[usize], index: Arc<SlotIndex>, entity_rows: &[RecordBatch]) -> Result<Option<Pass>> {
        if index.slots() == 0 {
            return Ok(None);
        }
        let lookups: Vec<Lookup> = group.iter().filter_map(|place| self.lookups.get(*place).cloned()).collect();
        let kinds = group.first().and_then(|first| self.kinds.get(*first)).cloned().unwrap_or_default();
        let mut wanted: Vec<usize> =
            self.outputs.iter().filter(|output| group.contains(&output.lookup)).map(|output| output.column).collect();
        wanted.extend(lookups.iter().filter_map(|lookup| lookup.valid_until));
        wanted.sort_unstable();
        wanted.dedup();
        let columns: Vec<usize> = lookups.first().map(|lookup| lookup.on.iter().map(|pair| pair.0).collect()).unwrap_or_default();
        let keys = key_columns(&columns, entity_rows)?;
        let prune = prune::predicate(&lookups, &kinds, &index, self.unit, &keys, &mut Pace::new()).await?;
        Ok(Some(Pass { lookups, kinds, index, unit: self.unit, wanted, prune }))
    }

    async fn index(&self, (columns, kinds): &IndexKey, entity_rows: &[RecordBatch], around: &Surroundings) -> Result<SlotIndex> {
        let rows = entity_rows.iter().map(RecordBatch::num_rows).sum();
        let mut builder = SlotIndexBuilder::try_new(kinds.clone(), rows, around.memory.new_empty())?;
        for (batch, keys) in entity_rows.iter().zip(key_columns(columns, entity_rows)?) {
            builder.add(&keys, &self.times(batch)?).await?;
        }
        let index = builder.finish().await?;
        Ok(index)
    }

    /// The time of each entity row; an infinite one is refused.
    fn times(&self, batch: &RecordBatch) -> Result<Vec<Option<i64>>> {
        let rows = batch.num_rows();
        let times = match &self.entity_time {
            EntityTime::Constant(value) => vec![instant::constant_instant(value)?.1; rows],
            EntityTime::Column(column) => {
                let array = batch.columns().get(*column).ok_or_else(|| DataFusionError::Internal("no time column".into()))?;
                if *array.data_type() == DataType::Null {
                    return Ok(vec![None; rows]);
                }
                let instants = Instants::try_new(array)?;
                (0..rows).map(|row| instants.get(row)).collect()
            }
        };
        if times.iter().flatten().any(|time| instant::is_infinite(*time, self.unit)) {
            return Err(JoinError::InfiniteTimestamp.into());
        }
        Ok(times)
    }
}

/// How many passes run at once: several while the entity rows are few, when waiting for files is what takes time; one
/// after the other when their arrays are what takes memory.
fn parallel_passes(passes: &[(Vec<usize>, Pass)], around: &Surroundings) -> usize {
    const MEMORY: usize = 64 << 20;
    let slots = passes.iter().map(|(_, pass)| pass.index.slots()).max().unwrap_or_default();
    let streams = around.context.session_config().target_partitions().max(1);
    (MEMORY / (Winners::initial_memory(slots) * streams).max(1)).clamp(1, 8)
}

fn key_columns(columns: &[usize], entity_rows: &[RecordBatch]) -> Result<Vec<Vec<ArrayRef>>> {
    let of = |batch: &RecordBatch| -> Result<Vec<ArrayRef>> {
        let column = |column: &usize| batch.columns().get(*column).cloned();
        columns.iter().map(|place| column(place).ok_or_else(|| DataFusionError::Internal("no key column".into()))).collect()
    };
    entity_rows.iter().map(of).collect()
}

/// All entity rows, partition after partition, in batches neither tiny nor large.
async fn collect(input: &Arc<dyn ExecutionPlan>, around: &Surroundings) -> Result<Vec<RecordBatch>> {
    let mut tasks = JoinSet::new();
    let smallest = around.context.session_config().batch_size().max(2) / 2;
    let largest = around.context.session_config().batch_size().max(Pace::STEP);
    for partition in 0..input.output_partitioning().partition_count() {
        let mut stream = input.execute(partition, Arc::clone(&around.context))?;
        let memory = Arc::clone(&around.memory);
        tasks.spawn(async move {
            let schema = stream.schema();
            let mut batches: Vec<RecordBatch> = Vec::new();
            let mut small: Vec<RecordBatch> = Vec::new();
            let mut waiting = 0;
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                if batch.num_rows() == 0 {
                    continue;
                }
                account(&batch, &memory)?;
                if batch.num_rows() > largest {
                    // Whatever is done with a batch is done between two yields: it must not be large either.
                    for start in (0..batch.num_rows()).step_by(largest) {
                        batches.push(batch.slice(start, largest.min(batch.num_rows() - start)));
                    }
                    continue;
                }
                waiting += batch.num_rows();
                small.push(batch);
                if waiting >= smallest {
                    batches.push(together(&schema, &mut small)?);
                    waiting = 0;
                }
            }
            if !small.is_empty() {
                batches.push(together(&schema, &mut small)?);
            }
            Ok::<_, DataFusionError>((partition, batches))
        });
    }
    let mut partitions = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        partitions.push(joined.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    partitions.sort_by_key(|(partition, _)| *partition);
    Ok(partitions.into_iter().flat_map(|(_, batches)| batches).collect())
}

fn together(schema: &SchemaRef, small: &mut Vec<RecordBatch>) -> Result<RecordBatch> {
    let batch = match small.as_slice() {
        [one] => one.clone(),
        several => concat_batches(schema, several)?,
    };
    small.clear();
    Ok(batch)
}

/// Accounts for a batch by what the rows take. Batches are often slices of one large allocation, which counted in full for
/// each would be counted many times.
fn account(batch: &RecordBatch, memory: &MemoryReservation) -> Result<()> {
    let bytes = |array: &ArrayRef| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
    memory.try_grow(batch.columns().iter().map(bytes).sum())
}
