//! [`Pace`] and [`sort`]: long work in short steps, so that a cancelled statement stops within milliseconds and other
//! statements get their turn. A task can only be stopped where it yields.

use std::cmp::Ordering;

/// Units of work (rows looked at, roughly) between two yields: about a millisecond.
const STEP: usize = 32 * 1024;

/// Yields every so often.
#[derive(Debug)]
pub struct Pace {
    left: usize,
}

impl Pace {
    /// A fresh pace.
    pub fn new() -> Self {
        Self { left: STEP }
    }

    /// Work to do at one go at the most.
    pub const STEP: usize = STEP;

    /// Says that `work` units were done; yields if it is time.
    pub async fn done(&mut self, work: usize) {
        match self.left.checked_sub(work) {
            Some(left) => self.left = left,
            None => {
                self.left = STEP;
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Sorts in steps: pieces by the standard library, then merged pairwise. Needs as much memory again.
pub async fn sort<T: Copy + Ord>(values: &mut Vec<T>, pace: &mut Pace) {
    for piece in values.chunks_mut(STEP) {
        piece.sort_unstable();
        // A piece costs its length times the logarithm of it.
        pace.done(piece.len() * 4).await;
    }
    let mut sorted = STEP;
    let mut merged: Vec<T> = Vec::new();
    while sorted < values.len() {
        merged.clear();
        merged.reserve(values.len());
        for pair in values.chunks(sorted.saturating_mul(2)) {
            let (mut left, mut right) = pair.split_at(sorted.min(pair.len()));
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                let mut steps = 0;
                let (mut a, mut b) = (*a, *b);
                // The inner loop is what runs hot: it leaves only to yield, or when one side is used up.
                loop {
                    steps += 1;
                    if a.cmp(&b) == Ordering::Greater {
                        merged.push(b);
                        right = right.get(1..).unwrap_or_default();
                        match right.first() {
                            Some(next) => b = *next,
                            None => break,
                        }
                    } else {
                        merged.push(a);
                        left = left.get(1..).unwrap_or_default();
                        match left.first() {
                            Some(next) => a = *next,
                            None => break,
                        }
                    }
                    if steps == STEP {
                        break;
                    }
                }
                pace.done(steps).await;
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(values, &mut merged);
        sorted = sorted.saturating_mul(2);
    }
}
