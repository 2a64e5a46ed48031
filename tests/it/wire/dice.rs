//! Chance that repeats itself: the same seed, the same run.

/// A seed's sequence.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// From `FEATGRES_FUZZ_SEED`, or this one.
    pub(super) fn seeded(seed: u64) -> Self {
        let seed = std::env::var("FEATGRES_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A sequence of its own for one of many.
    pub(super) fn nth(&self, number: u64) -> Self {
        Self((self.0 ^ number.wrapping_mul(0xd134_2543_de82_ef95)) | 1)
    }

    /// 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 16) % end as u64) as usize
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}
