//! [`Winners`]: the best feature row so far of every slot. Pure: no streams, no columns, no waiting.
//!
//! A row is ranked by (event timestamp, created timestamp, commit order). Rows that are equal in all three are *tied*: one of them stands
//! in the slot, the others go to a list, until their content is looked at. A slot whose winner met a rival of
//! equal timestamps is *contested*, bit by bit: bit 0 by commit order, bit 1 + n by content as lookup n of the pass orders it.

use super::pace::Pace;
use super::slots::SlotIndex;

/// "No row": no file has that many rows and no source that many files.
pub const NOWHERE: u64 = u64::MAX;

/// Contested by commit order.
pub const BY_COMMIT: u64 = 1;

/// Contested by content, as the `place`th lookup of the pass orders it. Beyond 62 lookups the last bit is shared.
pub fn by_content(place: usize) -> u64 {
    1 << (place + 1).min(63)
}

/// A feature row in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Event timestamp, in the feature rows' unit.
    pub timestamp: i64,
    /// Created timestamp, with NULL below everything; 0 for all rows where there is none.
    pub created: i64,
    /// Commit order; 0 for all rows where there is none.
    pub commit: i64,
    /// Where it is, or [`NOWHERE`].
    pub locator: u64,
}

impl Row {
    const NONE: Row = Row { timestamp: i64::MIN, created: i64::MIN, commit: i64::MIN, locator: NOWHERE };

    /// Whether there is a row.
    pub fn exists(&self) -> bool {
        self.locator != NOWHERE
    }

    fn times(&self) -> (i64, i64) {
        (self.timestamp, self.created)
    }

    fn rank(&self) -> (i64, i64, i64) {
        (self.timestamp, self.created, self.commit)
    }
}

/// A nullable created timestamp (or commit order) as a rank. `-infinity` and the first instant after it are one: nothing real is that old.
#[inline]
pub fn nullable_rank(value: Option<i64>) -> i64 {
    value.map_or(i64::MIN, |value| value.max(i64::MIN + 1))
}

/// What became of a row that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another one is better.
    Lost,
    /// It is the slot's best now.
    Won,
    /// It is as good as the slot's best: it was put on the list.
    Tied,
}

/// A row that is as good as its slot's best, as long as that one stands.
#[derive(Debug, Clone, Copy)]
pub struct Tie {
    /// The slot.
    pub slot: u32,
    /// The row.
    pub row: Row,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Winners {
    best: Vec<Row>,
    /// Empty until the first contest.
    contested: Vec<u64>,
    ties: Vec<Tie>,
    /// How many slots have a row.
    filled: usize,
}

impl Winners {
    /// No rows yet, for so many slots.
    pub fn new(slots: usize) -> Self {
        Self { best: vec![Row::NONE; slots], contested: Vec::new(), ties: Vec::new(), filled: 0 }
    }

    /// Bytes that [`Self::new`] takes.
    pub fn initial_memory(slots: usize) -> usize {
        slots * size_of::<Row>()
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.best.len() * size_of::<Row>() + self.contested.len() * size_of::<u64>() + self.ties.capacity() * size_of::<Tie>()
    }

    /// The best row of each slot.
    pub fn best(&self) -> &[Row] {
        &self.best
    }

    /// How many slots have a row.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// What a slot's winner was contested by.
    pub fn contested(&self, slot: usize) -> u64 {
        self.contested.get(slot).copied().unwrap_or_default()
    }

    /// The rows on the list.
    pub fn ties(&self) -> &[Tie] {
        &self.ties
    }

    /// Offers a row to a slot.
    #[inline]
    pub fn offer(&mut self, slot: usize, row: Row) -> Outcome {
        let Some(best) = self.best.get_mut(slot) else { return Outcome::Lost };
        if !best.exists() {
            self.filled += 1;
            *best = row;
            return Outcome::Won;
        }
        if row.times() != best.times() {
            if row.times() < best.times() {
                return Outcome::Lost;
            }
            *best = row;
            if let Some(mask) = self.contested.get_mut(slot) {
                *mask = 0;
            }
            return Outcome::Won;
        }
        if row.commit == best.commit {
            self.ties.push(Tie { slot: slot as u32, row });
            return Outcome::Tied;
        }
        let won = row.commit > best.commit;
        if won {
            *best = row;
        }
        // Whatever content said of the rows of the earlier commit: that a contest took place stays true by bit 0.
        self.contest(slot, BY_COMMIT);
        if won { Outcome::Won } else { Outcome::Lost }
    }

    /// Notes that a slot's winner was contested.
    pub fn contest(&mut self, slot: usize, by: u64) {
        if self.contested.is_empty() {
            self.contested = vec![0; self.best.len()];
        }
        if let Some(mask) = self.contested.get_mut(slot) {
            *mask |= by;
        }
    }

    /// Puts the row of a slot elsewhere.
    pub fn relocate(&mut self, slot: usize, locator: u64) {
        if let Some(best) = self.best.get_mut(slot)
            && best.exists()
        {
            best.locator = locator;
        }
    }

    /// Takes the rows off the list, without those whose slot has found a better one since.
    pub fn take_ties(&mut self) -> Vec<Tie> {
        let best = &self.best;
        let mut ties = std::mem::take(&mut self.ties);
        ties.retain(|tie| best.get(tie.slot as usize).is_some_and(|best| best.rank() == tie.row.rank()));
        ties
    }

    /// Puts rows back on the list.
    pub fn put_back(&mut self, ties: Vec<Tie>) {
        self.ties = ties;
    }

    /// Takes over the rows of `other`, found in another part of the feature rows.
    pub async fn merge(&mut self, other: Winners, pace: &mut Pace) {
        for start in (0..other.best.len()).step_by(8192) {
            let end = (start + 8192).min(other.best.len());
            for slot in start..end {
                let Some(row) = other.best.get(slot).filter(|row| row.exists()) else { continue };
                let before = self.best.get(slot).copied().unwrap_or(Row::NONE);
                let outcome = self.offer(slot, *row);
                // Contests among the other part's rows count if those rows are still as good as the winner's times.
                if other.contested(slot) != 0 && (outcome != Outcome::Lost || before.times() == row.times()) {
                    self.contest(slot, other.contested(slot));
                }
            }
            pace.done(8192).await;
        }
        for tie in other.ties {
            if self.best.get(tie.slot as usize).is_some_and(|best| best.rank() == tie.row.rank()) {
                self.ties.push(tie);
            }
        }
    }

    /// Each slot's winner: the best of its own and of all earlier slots of its group. `settled` gives what content decided in a slot (the row's
    /// place and the contest), `in_window` whether a row of this event timestamp is seen from the slot at this time.
    pub async fn inherit(
        &self,
        index: &SlotIndex,
        counts: u64,
        settled: impl Fn(u32) -> Option<(u64, u64)>,
        in_window: impl Fn(i64, i64) -> bool,
        pace: &mut Pace,
    ) -> Inherited {
        let mut inherited = Inherited { locators: Vec::with_capacity(self.best.len()), contested: Vec::with_capacity(self.best.len()) };
        let mut since = 0;
        for group in 0..index.groups() {
            let (mut current, mut contest) = (Row::NONE, 0);
            for slot in index.group(group) {
                if let (Some(row), Some(time)) = (self.best.get(slot), index.times().get(slot)) {
                    if row.exists() && (!current.exists() || row.rank() > current.rank()) {
                        (current, contest) = (*row, self.contested(slot));
                        if let Some((locator, by)) = settled(slot as u32) {
                            current.locator = locator;
                            contest |= by;
                        }
                    }
                    let seen = current.exists() && in_window(current.timestamp, *time);
                    inherited.locators.push(if seen { current.locator } else { NOWHERE });
                    inherited.contested.push(seen && contest & counts != 0);
                }
                since += 1;
                if since == 4096 {
                    since = 0;
                    pace.done(4096 * 2).await;
                }
            }
        }
        inherited
    }

    /// Moves every row elsewhere.
    pub async fn relocate_all(&mut self, moved: impl Fn(u64) -> u64, pace: &mut Pace) {
        for piece in self.best.chunks_mut(8192) {
            for row in piece.iter_mut().filter(|row| row.exists()) {
                row.locator = moved(row.locator);
            }
            pace.done(piece.len()).await;
        }
        for tie in &mut self.ties {
            tie.row.locator = moved(tie.row.locator);
        }
    }
}

/// What [`Winners::inherit`] gives, by slot.
#[derive(Debug)]
pub struct Inherited {
    /// Where the winner is, or [`NOWHERE`].
    pub locators: Vec<u64>,
    /// Whether commit order or content decided.
    pub contested: Vec<bool>,
}

#[cfg(test)]
#[path = "tests/matcher.rs"]
mod tests;
