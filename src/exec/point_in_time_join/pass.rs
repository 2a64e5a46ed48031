//! One pass over feature rows: streamed past the slots, side by side, for all lookups that share it.
//!
//! Streamed are the keys, the event timestamp, and (where there are) the created timestamp and the commit order; of a source that cannot fetch also
//! what the output and the ties need. Commit order streams rather than being fetched for ties, because for most
//! rows it is a constant of their file, and because it settles nearly all ties at once: what is left for content are rows of one
//! commit. Each stream has a task and an array of its own ([`Winners`]), merged as the tasks end.
//!
//! Where a source gives its newest rows first, a stream stops as soon as every slot has a row that is later than all that are to come.
//!
//! Rows tied in all of that wait on a list. When that grows longer than the slots, it is settled on the way: a table that repeats itself must not
//! fill the memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt;
use parking_lot::Mutex;

use super::content::ContentOrder;
use super::error::JoinError;
use super::feature_rows::{FeatureBatch, FeatureScan, FeatureStream};
use super::instant::{Carry, Instants, Unit};
use super::keeper::{self, Keeper};
use super::keys::{KeyKind, Keys};
use super::lookup::Lookup;
use super::matcher::{self, Outcome, Row, Tie, Winners};
use super::metrics::JoinMetrics;
use super::pace::Pace;
use super::settle;
use super::slots::SlotIndex;

/// Rows matched between two yields.
const PIECE: usize = 8192;

/// Slots beyond which it is not looked whether all are settled.
const MOST_SETTLED: usize = 4 << 20;

/// Tied rows that may always wait, however few the slots.
const TIES: usize = 64 * 1024;

/// Lookups that see the same feature rows in the same way.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The lookups; the first stands for all where they agree.
    pub lookups: Vec<Lookup>,
    /// How their keys compare.
    pub kinds: Vec<KeyKind>,
    /// The entity rows.
    pub index: Arc<SlotIndex>,
    /// The unit of the entity rows' time.
    pub unit: Unit,
    /// Columns of the feature rows that the winners are wanted for: outputs and valid-until of all lookups.
    pub wanted: Vec<usize>,
    /// What prunes the feature rows.
    pub prune: Option<Arc<dyn PhysicalExpr>>,
}

/// What the passes of one execution share.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The statement's settings.
    pub context: Arc<TaskContext>,
    /// The operator's metrics.
    pub metrics: JoinMetrics,
    /// The same, for the feature rows to add to.
    pub metrics_set: ExecutionPlanMetricsSet,
    /// The operator's account with the memory pool; parts of it are split off.
    pub memory: Arc<MemoryReservation>,
}

/// The result of a pass.
pub struct Passed {
    /// The best row of each slot; nothing is tied any more but rows that can be fetched.
    pub winners: Winners,
    /// The rows themselves, where they cannot be fetched: columns `columns` in pieces.
    pub kept: Option<Kept>,
    /// Accounts for `winners` and `kept`.
    pub memory: Vec<MemoryReservation>,
}

/// Rows that were kept.
pub struct Kept {
    /// Which columns of the feature rows.
    pub columns: Vec<usize>,
    /// Found by [`keeper::place`].
    pub pieces: Vec<RecordBatch>,
}

impl Pass {
    /// The lookup that stands for all.
    fn lookup(&self) -> Result<&Lookup> {
        self.lookups.first().ok_or_else(|| DataFusionError::Internal("a pass without lookups".into()))
    }

    /// Streams the feature rows past the entity rows.
    pub async fn run(&self, around: &Surroundings) -> Result<Passed> {
        let lookup = self.lookup()?;
        let plan = Arc::new(Matching::plan(self, lookup)?);
        let scan = FeatureScan {
            columns: plan.columns.clone(),
            prune: self.prune.clone(),
            newest_first: (lookup.rows.can_fetch() && self.index.slots() <= MOST_SETTLED).then_some(lookup.timestamp),
            partitions: around.context.session_config().target_partitions().max(1),
            batch_size: around.context.session_config().batch_size().max(1),
        };
        let newest = Arc::new(Mutex::new(Vec::new()));
        let streams = lookup.rows.scan(&scan, &around.context, &around.metrics_set).await?;
        let mut tasks = JoinSet::new();
        for stream in streams {
            let task = Task {
                pass: self.clone(),
                plan: Arc::clone(&plan),
                around: around.clone(),
                memory: around.memory.new_empty(),
                winners: Winners::new(0),
                keeper: plan.keeper(self, lookup)?,
                newest: Arc::clone(&newest),
            };
            tasks.spawn(task.run(stream));
        }
        let mut pace = Pace::new();
        let mut total: Option<Task> = None;
        while let Some(joined) = tasks.join_next().await {
            let done = joined.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??;
            total = Some(match total {
                None => done,
                Some(total) => total.absorb(done, &mut pace).await?,
            });
        }
        let Some(total) = total else {
            return Ok(Passed { winners: Winners::new(self.index.slots()), kept: plan.kept(Vec::new()), memory: Vec::new() });
        };
        let kept = total.keeper.map(Keeper::into_pieces).and_then(|pieces| plan.kept(pieces));
        Ok(Passed { winners: total.winners, kept, memory: vec![total.memory] })
    }
}

/// Which columns stream, and where they are.
#[derive(Debug)]
struct Matching {
    /// Columns of the feature rows, each once, in the order asked for.
    columns: Vec<usize>,
    keys: Vec<usize>,
    timestamp: usize,
    created: Option<usize>,
    commit: Option<usize>,
    carry: Carry,
    created_carry: Option<Carry>,
    filter_by_created: bool,
    /// Of a source that cannot fetch: the places (among `columns`) of what is kept.
    kept: Option<Vec<usize>>,
}

impl Matching {
    fn plan(pass: &Pass, lookup: &Lookup) -> Result<Self> {
        let schema = lookup.rows.schema();
        let mut columns: Vec<usize> = Vec::new();
        let mut place = |column: usize| {
            columns.iter().position(|own| *own == column).unwrap_or_else(|| {
                columns.push(column);
                columns.len() - 1
            })
        };
        let unit = |column: usize| {
            let field = schema.fields().get(column).ok_or_else(|| DataFusionError::Internal(format!("no column {column}")))?;
            Ok::<_, DataFusionError>(Unit::of_column(field.data_type(), field.name())?)
        };
        let keys = lookup.on.iter().map(|(_, column)| place(*column)).collect();
        let timestamp = place(lookup.timestamp);
        let created = lookup.created.map(&mut place);
        let commit = lookup.commit_order.map(&mut place);
        let kept = if lookup.rows.can_fetch() {
            None
        } else {
            let needed = pass.wanted.iter().chain(&lookup.tie_columns).chain(&lookup.valid_until);
            let mut places: Vec<usize> = needed.map(|column| place(*column)).collect();
            places.sort_unstable();
            places.dedup();
            Some(places)
        };
        let carry = unit(lookup.timestamp)?.towards(pass.unit);
        let created_carry = lookup.created.map(unit).transpose()?.map(|unit| unit.towards(pass.unit));
        let filter_by_created = lookup.filter_by_created && created.is_some();
        Ok(Self { columns, keys, timestamp, created, commit, carry, created_carry, filter_by_created, kept })
    }

    fn keeper(&self, pass: &Pass, lookup: &Lookup) -> Result<Option<Keeper>> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let source = lookup.rows.schema();
        let columns: Vec<usize> = kept.iter().filter_map(|place| self.columns.get(*place).copied()).collect();
        // What a relation says of nullability is not to be relied on here: a batch must never fail for it.
        let fields: Vec<_> = columns.iter().map(|column| source.field(*column).clone().with_nullable(true)).collect();
        let order = ContentOrder::try_new(lookup, &source)?;
        let places = order.columns().iter().filter_map(|column| columns.iter().position(|own| own == column)).collect();
        Ok(Some(Keeper::new(Arc::new(Schema::new(fields)), order, places, pass.lookups.len())))
    }

    fn kept(&self, pieces: Vec<RecordBatch>) -> Option<Kept> {
        let kept = self.kept.as_ref()?;
        Some(Kept { columns: kept.iter().filter_map(|place| self.columns.get(*place).copied()).collect(), pieces })
    }
}

/// One stream and what it found.
struct Task {
    pass: Pass,
    plan: Arc<Matching>,
    around: Surroundings,
    memory: MemoryReservation,
    winners: Winners,
    keeper: Option<Keeper>,
    /// The newest event time found for each slot, by all streams, as of their last step.
    newest: Arc<Mutex<Vec<i64>>>,
}

impl Task {
    async fn run(mut self, mut stream: FeatureStream) -> Result<Self> {
        let slots = self.pass.index.slots();
        self.memory.try_grow(Winners::initial_memory(slots))?;
        self.winners = Winners::new(slots);
        self.around.metrics.matched_bytes.add(Winners::initial_memory(slots));
        let mut pace = Pace::new();
        let mut found: Vec<(u32, u32)> = Vec::with_capacity(PIECE);
        let mut offered: Vec<u32> = Vec::new();
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            if let Some(ceiling) = batch.ceiling.filter(|ceiling| *ceiling < i64::MAX)
                && self.is_settled(ceiling)?
            {
                break;
            }
            self.around.metrics.feature_rows.add(batch.columns.num_rows());
            for start in (0..batch.columns.num_rows()).step_by(PIECE) {
                let rows = PIECE.min(batch.columns.num_rows() - start);
                let piece = FeatureBatch {
                    columns: batch.columns.slice(start, rows),
                    locators: batch.locators.as_ref().map(|locators| locators.slice(start, rows)),
                    ceiling: None,
                };
                self.observe(&piece, &mut found, &mut offered)?;
                if let (Some(keeper), Some(kept)) = (&mut self.keeper, &self.plan.kept) {
                    let columns = piece.columns.project(kept)?;
                    keeper.keep(&keeper.adopt(&columns)?, &offered, &mut self.winners, &mut pace).await?;
                } else if self.winners.ties().len() > self.tie_limit() {
                    self.settle_early(&mut pace).await?;
                }
                pace.done(rows).await;
            }
            self.account()?;
        }
        Ok(self)
    }

    /// Matches the rows of one piece. `offered` becomes the slots they were offered to.
    fn observe(&mut self, piece: &FeatureBatch, found: &mut Vec<(u32, u32)>, offered: &mut Vec<u32>) -> Result<()> {
        let (plan, index, columns) = (&self.plan, &self.pass.index, piece.columns.columns());
        let column = |place: usize| -> Result<&ArrayRef> { columns.get(place).ok_or_else(|| broken(&self.pass, "a column is missing")) };
        let keys = plan.keys.iter().map(|place| column(*place).cloned()).collect::<Result<Vec<_>>>()?;
        let keys = Keys::encode(&self.pass.kinds, &keys)?;
        let timestamps = Instants::try_new(column(plan.timestamp)?)?;
        let created = plan.created.map(|place| Ok::<_, DataFusionError>(Instants::try_new(column(place)?)?)).transpose()?;
        let commits = plan.commit.map(|place| CommitOrder::try_new(column(place)?)).transpose()?;
        let locators = match (&piece.locators, &self.keeper) {
            (_, Some(_)) => None,
            (Some(locators), None) if locators.len() == piece.columns.num_rows() => Some(locators.values()),
            _ => return Err(broken(&self.pass, "rows without locators")),
        };
        found.clear();
        offered.clear();
        let known = created.as_ref().filter(|_| plan.filter_by_created);
        let candidate = |row: usize| !timestamps.is_null(row) && known.is_none_or(|created| !created.is_null(row));
        index.find(&keys, piece.columns.num_rows(), candidate, |row, group| found.push((row as u32, group)));
        for (row, group) in found.iter() {
            let row = *row as usize;
            let Some(timestamp) = timestamps.get(row) else { continue };
            let Some(mut seen_from) = plan.carry.first_instant_at_or_after(timestamp) else { continue };
            let made = created.as_ref().and_then(|created| created.get(row));
            if let (true, Some(made), Some(carry)) = (plan.filter_by_created, made, plan.created_carry) {
                let Some(known_from) = carry.first_instant_at_or_after(made) else { continue };
                seen_from = seen_from.max(known_from);
            }
            let Some(slot) = index.first_slot(*group, seen_from) else { continue };
            let candidate = Row {
                timestamp,
                created: if created.is_some() { matcher::nullable_rank(made) } else { 0 },
                commit: commits.as_ref().map_or(0, |commits| commits.rank(row)),
                locator: locators.map_or_else(|| keeper::raw(row), |locators| locators.get(row).copied().unwrap_or(matcher::NOWHERE)),
            };
            if self.winners.offer(slot, candidate) != Outcome::Lost && locators.is_none() {
                offered.push(slot as u32);
            }
        }
        Ok(())
    }

    /// Whether no slot can want a row of this event time or of an earlier one, by what all streams have found.
    fn is_settled(&self, ceiling: i64) -> Result<bool> {
        let mut newest = self.newest.lock();
        if newest.is_empty() {
            self.around.memory.try_grow(self.pass.index.slots() * size_of::<i64>())?;
            newest.resize(self.pass.index.slots(), i64::MIN);
        }
        for (known, best) in newest.iter_mut().zip(self.winners.best()) {
            *known = best.timestamp.max(*known);
        }
        Ok(self.pass.index.is_settled(&newest, ceiling))
    }

    /// How long the list may become: twice what can be left of it.
    fn tie_limit(&self) -> usize {
        TIES.max(self.pass.index.slots().saturating_mul(self.pass.lookups.len() * 2))
    }

    /// Shortens the list of ties to what can still matter: one row per slot and lookup.
    async fn settle_early(&mut self, pace: &mut Pace) -> Result<()> {
        let ties = self.winners.take_ties();
        if ties.len() <= self.tie_limit() / 2 {
            self.winners.put_back(ties);
            return Ok(());
        }
        let contenders = settle::contenders(&ties, &self.winners, pace).await;
        let mut survivors: HashMap<u32, HashSet<u64>> = HashMap::new();
        for (place, lookup) in self.pass.lookups.iter().enumerate() {
            let memory = self.around.memory.new_empty();
            let settled = settle::by_content(lookup, &contenders, &self.around.context, &self.around.metrics_set, &memory).await?;
            for (slot, settled) in settled {
                survivors.entry(slot).or_default().insert(settled.locator);
                if settled.differs {
                    self.winners.contest(slot as usize, matcher::by_content(place));
                }
            }
        }
        let mut left = Vec::new();
        for (slot, locators) in survivors {
            let Some(best) = self.winners.best().get(slot as usize).copied() else { continue };
            let mut locators = locators.into_iter();
            if let Some(first) = locators.next() {
                self.winners.relocate(slot as usize, first);
            }
            left.extend(locators.map(|locator| Tie { slot, row: Row { locator, ..best } }));
        }
        self.winners.put_back(left);
        Ok(())
    }

    async fn absorb(mut self, mut other: Self, pace: &mut Pace) -> Result<Self> {
        if let (Some(mine), Some(theirs)) = (&mut self.keeper, other.keeper) {
            let moved = mine.absorb(theirs) << 32;
            other.winners.relocate_all(|locator| locator + moved, pace).await;
            self.winners.merge(other.winners, pace).await;
            mine.settle(&mut self.winners, None, pace).await?;
        } else {
            self.winners.merge(other.winners, pace).await;
        }
        drop(other.memory);
        self.account()?;
        Ok(self)
    }

    fn account(&self) -> Result<()> {
        let kept = self.keeper.as_ref().map_or(0, Keeper::memory);
        self.memory.try_resize(self.winners.memory() + kept)?;
        Ok(())
    }
}

fn broken(pass: &Pass, what: &str) -> DataFusionError {
    let lookup = pass.lookups.first().map(|lookup| lookup.name.clone()).unwrap_or_default();
    JoinError::BrokenSource { lookup, what: what.into() }.into()
}

/// The commit order of a batch, of whatever integer type.
struct CommitOrder {
    values: ScalarBuffer<i64>,
    nulls: Option<arrow::buffer::NullBuffer>,
}

impl CommitOrder {
    fn try_new(column: &ArrayRef) -> Result<Self> {
        let column = match column.data_type() {
            DataType::Int64 => Arc::clone(column),
            _ => arrow::compute::cast(column, &DataType::Int64)?,
        };
        Ok(Self { values: column.as_primitive::<Int64Type>().values().clone(), nulls: column.logical_nulls() })
    }

    fn rank(&self, row: usize) -> i64 {
        let known = self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        matcher::nullable_rank(if known { self.values.get(row).copied() } else { None })
    }
}
