//! [`SlotIndex`]: the entity rows as the feature rows meet them.
//!
//! Entity rows are grouped by key, and within a group by time: every distinct (key, time) is a *slot*, and slots of a group lie side by
//! side in time order (offsets + times, as in a sparse matrix). A feature row belongs to the first slot of its group that is not before
//! it; which of the earlier rows a later slot inherits is settled at the end, by a running maximum. Entity rows that ask the same
//! question share a slot. A NULL key or time has none. Without a key there is one group.
//!
//! Memory: 12 bytes per slot, 4 per entity row, and the key table; while it is built 20 more per entity row.

use ahash::RandomState;
use arrow::array::ArrayRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashTable;

use super::error::JoinError;
use super::keys::{KeyKind, Keys};
use super::pace::{self, Pace};

/// No slot, no group.
pub const NONE: u32 = u32::MAX;

/// Groups of up to this many are remembered one by one, for a list of keys to prune by.
pub const FEW_GROUPS: usize = 20;

/// See the module's documentation.
#[derive(Debug)]
pub struct SlotIndex {
    table: Table,
    /// Where each group's slots begin; one more than there are groups.
    offsets: Vec<u32>,
    /// The time of each slot, in the entity rows' unit.
    times: Vec<i64>,
    /// The slot of each entity row, or [`NONE`].
    row_slots: Vec<u32>,
    /// An entity row of each group, if there are few.
    samples: Option<Vec<u32>>,
    _memory: MemoryReservation,
}

impl SlotIndex {
    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.times.len()
    }

    /// How many keys there are.
    pub fn groups(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// The slots of a group, as a range.
    #[inline]
    pub fn group(&self, group: usize) -> std::ops::Range<usize> {
        match (self.offsets.get(group), self.offsets.get(group + 1)) {
            (Some(start), Some(end)) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }

    /// The time of each slot.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The slot of each entity row, or [`NONE`].
    pub fn row_slots(&self) -> &[u32] {
        &self.row_slots
    }

    /// One entity row of each group, if there are few groups.
    pub fn samples(&self) -> Option<&[u32]> {
        self.samples.as_deref()
    }

    /// The first slot of `group` that is not before `time`.
    #[inline]
    pub fn first_slot(&self, group: u32, time: i64) -> Option<usize> {
        let range = self.group(group as usize);
        let times = self.times.get(range.clone())?;
        let place = times.partition_point(|slot| *slot < time);
        (place < times.len()).then(|| range.start + place)
    }

    /// Whether every slot, or an earlier one of its group, has a row later than `ceiling`; `newest` is by slot.
    pub fn is_settled(&self, newest: &[i64], ceiling: i64) -> bool {
        (0..self.groups()).all(|group| {
            // What the first slot of a group has, the later ones inherit.
            let first = self.group(group).next();
            first.and_then(|slot| newest.get(slot)).is_some_and(|time| *time > ceiling)
        })
    }

    /// Calls `found(row, group)` for every row of `keys` that has a group and passes `candidate`.
    #[inline]
    pub fn find(&self, keys: &Keys, rows: usize, candidate: impl Fn(usize) -> bool, mut found: impl FnMut(usize, u32)) {
        match (&self.table, keys) {
            (Table::Numbers(table), Keys::Numbers { values, .. }) => {
                for (row, key) in values.iter().enumerate().take(rows) {
                    if candidate(row) && !keys.is_null(row) {
                        let group = table.find(*key);
                        if group != NONE {
                            found(row, group);
                        }
                    }
                }
            }
            (Table::Bytes(table), Keys::Bytes { data, offsets, .. }) => {
                for (row, ends) in offsets.windows(2).enumerate().take(rows) {
                    if let [start, end] = ends
                        && candidate(row)
                        && !keys.is_null(row)
                    {
                        let group = table.find(data.get(*start..*end).unwrap_or_default());
                        if group != NONE {
                            found(row, group);
                        }
                    }
                }
            }
            (Table::One, Keys::Absent) if self.groups() > 0 => (0..rows).filter(|row| candidate(*row)).for_each(|row| found(row, 0)),
            _ => {}
        }
    }
}

/// Builds a [`SlotIndex`], batch by batch.
pub struct SlotIndexBuilder {
    kinds: Vec<KeyKind>,
    table: Table,
    groups: Vec<u32>,
    times: Vec<i64>,
    counts: Vec<u32>,
    samples: Option<Vec<u32>>,
    memory: MemoryReservation,
    pace: Pace,
}

impl SlotIndexBuilder {
    /// An index by keys of these kinds for at most `rows` entity rows.
    pub fn try_new(kinds: Vec<KeyKind>, rows: usize, memory: MemoryReservation) -> Result<Self> {
        // One number is kept for "none".
        let limit = NONE as usize - 1;
        if rows > limit {
            return Err(JoinError::TooManyEntityRows { rows, limit }.into());
        }
        memory.try_grow(rows * (size_of::<u32>() + size_of::<i64>()))?;
        let table = Table::new(&kinds);
        Ok(Self {
            kinds,
            table,
            groups: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            counts: Vec::new(),
            samples: Some(Vec::new()),
            memory,
            pace: Pace::new(),
        })
    }

    /// Adds entity rows: their key columns, and the time of each (`None`: NULL).
    pub async fn add(&mut self, columns: &[ArrayRef], times: &[Option<i64>]) -> Result<()> {
        let keys = Keys::encode(&self.kinds, columns)?;
        for (row, time) in times.iter().enumerate() {
            if row % 4096 == 0 {
                self.pace.done(4096).await;
            }
            let (Some(time), false) = (time, keys.is_null(row)) else {
                self.groups.push(NONE);
                self.times.push(0);
                continue;
            };
            let next = self.counts.len() as u32;
            let group = match (&mut self.table, &keys) {
                (Table::Numbers(table), Keys::Numbers { values, .. }) => {
                    if table.is_full() {
                        table.grow(&self.memory, &mut self.pace).await?;
                    }
                    table.find_or_insert(values.get(row).copied().unwrap_or_default(), next)
                }
                (Table::Bytes(table), Keys::Bytes { data, offsets, .. }) => {
                    let range = offsets.get(row).copied().unwrap_or_default()..offsets.get(row + 1).copied().unwrap_or_default();
                    table.find_or_insert(data.get(range).unwrap_or_default(), next, &self.memory)?
                }
                _ => 0,
            };
            if group == next {
                self.counts.push(0);
                match &mut self.samples {
                    Some(samples) if samples.len() < FEW_GROUPS => samples.push(self.groups.len() as u32),
                    samples => *samples = None,
                }
            }
            if let Some(count) = self.counts.get_mut(group as usize) {
                *count += 1;
            }
            self.groups.push(group);
            self.times.push(*time);
        }
        Ok(())
    }

    /// Sorts the times of each group and numbers the slots.
    pub async fn finish(self) -> Result<SlotIndex> {
        let rows = self.groups.len();
        let mut pace = self.pace;
        self.memory.try_grow(rows * size_of::<(i64, u32)>() + self.counts.len() * 3 * size_of::<u32>())?;
        let mut starts: Vec<usize> = Vec::with_capacity(self.counts.len() + 1);
        let mut total = 0_usize;
        for count in &self.counts {
            starts.push(total);
            total += *count as usize;
        }
        starts.push(total);
        let mut cursors = starts.clone();
        let mut entries = vec![(0_i64, 0_u32); total];
        for (row, (group, time)) in self.groups.iter().zip(&self.times).enumerate() {
            if let Some(cursor) = cursors.get_mut(*group as usize) {
                if let Some(entry) = entries.get_mut(*cursor) {
                    *entry = (*time, row as u32);
                }
                *cursor += 1;
            }
            if row % 4096 == 0 {
                pace.done(4096).await;
            }
        }
        drop(cursors);
        let mut row_slots = self.groups;
        row_slots.fill(NONE);
        let mut times = self.times;
        times.clear();
        let mut offsets = Vec::with_capacity(self.counts.len() + 1);
        for range in starts.windows(2) {
            offsets.push(times.len() as u32);
            let [start, end] = range else { continue };
            let Some(group) = entries.get_mut(*start..*end) else { continue };
            if group.len() > Pace::STEP {
                let mut sorted = group.to_vec();
                pace::sort(&mut sorted, &mut pace).await;
                group.copy_from_slice(&sorted);
            } else {
                group.sort_unstable();
            }
            let mut last = None;
            for (time, row) in group.iter() {
                if last != Some(*time) {
                    times.push(*time);
                    last = Some(*time);
                }
                if let Some(slot) = row_slots.get_mut(*row as usize) {
                    *slot = (times.len() - 1) as u32;
                }
            }
            pace.done(group.len() + 1).await;
        }
        offsets.push(times.len() as u32);
        times.shrink_to_fit();
        drop(entries);
        let held = self.table.memory() + offsets.len() * size_of::<u32>() + times.len() * size_of::<i64>() + rows * size_of::<u32>();
        self.memory.try_resize(held)?;
        Ok(SlotIndex { table: self.table, offsets, times, row_slots, samples: self.samples, _memory: self.memory })
    }
}

/// From keys to groups.
#[derive(Debug)]
enum Table {
    Numbers(NumberTable),
    Bytes(BytesTable),
    One,
}

impl Table {
    /// The table for keys in the form that [`Keys::encode`] gives those of these kinds.
    fn new(kinds: &[KeyKind]) -> Self {
        match kinds {
            [] => Self::One,
            [kind] if kind.is_narrow() => Self::Numbers(NumberTable::new()),
            _ => Self::Bytes(BytesTable::default()),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Numbers(table) => table.entries.len() * size_of::<(i64, u32)>(),
            Self::Bytes(table) => table.memory(),
            Self::One => 0,
        }
    }
}

/// Open addressing over `i64` keys, at most half full. Seeded at random: keys from outside cannot be chosen to collide.
#[derive(Debug)]
struct NumberTable {
    entries: Vec<(i64, u32)>,
    used: usize,
    seed: RandomState,
}

impl NumberTable {
    fn new() -> Self {
        Self { entries: vec![(0, NONE); 64], used: 0, seed: RandomState::new() }
    }

    fn is_full(&self) -> bool {
        self.used * 2 >= self.entries.len()
    }

    #[inline]
    fn place(&self, key: i64) -> usize {
        self.seed.hash_one(key) as usize & (self.entries.len() - 1)
    }

    #[inline]
    fn find(&self, key: i64) -> u32 {
        let mut place = self.place(key);
        loop {
            match self.entries.get(place) {
                Some((_, NONE)) | None => return NONE,
                Some((own, group)) if *own == key => return *group,
                Some(_) => place = (place + 1) & (self.entries.len() - 1),
            }
        }
    }

    #[inline]
    fn find_or_insert(&mut self, key: i64, group: u32) -> u32 {
        let mask = self.entries.len() - 1;
        let mut place = self.place(key);
        while let Some(entry) = self.entries.get_mut(place) {
            if entry.1 == NONE {
                *entry = (key, group);
                self.used += 1;
                return group;
            }
            if entry.0 == key {
                return entry.1;
            }
            place = (place + 1) & mask;
        }
        NONE
    }

    async fn grow(&mut self, memory: &MemoryReservation, pace: &mut Pace) -> Result<()> {
        let doubled = self.entries.len() * 2;
        memory.try_grow(doubled * size_of::<(i64, u32)>())?;
        let old = std::mem::replace(&mut self.entries, vec![(0, NONE); doubled]);
        self.used = 0;
        for piece in old.chunks(4096) {
            for (key, group) in piece {
                if *group != NONE {
                    self.find_or_insert(*key, *group);
                }
            }
            pace.done(piece.len()).await;
        }
        let old_bytes = old.len() * size_of::<(i64, u32)>();
        drop(old);
        memory.try_shrink(old_bytes.min(memory.size()))?;
        Ok(())
    }
}

/// Keys as bytes in one arena.
#[derive(Debug, Default)]
struct BytesTable {
    table: HashTable<(u64, u32)>,
    /// Where each group's key begins in `arena`; its end is the next one's beginning.
    starts: Vec<usize>,
    arena: Vec<u8>,
    seed: RandomState,
    reserved: usize,
}

impl BytesTable {
    fn key(&self, group: u32) -> &[u8] {
        let start = self.starts.get(group as usize).copied().unwrap_or_default();
        let end = self.starts.get(group as usize + 1).copied().unwrap_or(self.arena.len());
        self.arena.get(start..end).unwrap_or_default()
    }

    #[inline]
    fn find(&self, key: &[u8]) -> u32 {
        let hash = self.seed.hash_one(key);
        self.table.find(hash, |(own, group)| *own == hash && self.key(*group) == key).map_or(NONE, |(_, group)| *group)
    }

    fn find_or_insert(&mut self, key: &[u8], group: u32, memory: &MemoryReservation) -> Result<u32> {
        let found = self.find(key);
        if found != NONE {
            return Ok(found);
        }
        self.starts.push(self.arena.len());
        self.arena.extend_from_slice(key);
        let hash = self.seed.hash_one(key);
        self.table.insert_unique(hash, (hash, group), |(own, _)| *own);
        let needed = self.memory();
        if needed > self.reserved {
            memory.try_grow(needed - self.reserved)?;
            self.reserved = needed;
        }
        Ok(group)
    }

    fn memory(&self) -> usize {
        self.table.capacity() * (size_of::<(u64, u32)>() + 1) + self.starts.capacity() * size_of::<usize>() + self.arena.capacity()
    }
}
