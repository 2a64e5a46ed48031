//! The time of day behind a trait, so that tests decide what now is.

/// Tells the time.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Microseconds since 1970-01-01 00:00:00 UTC.
    fn now_micros(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_micros(&self) -> i64 {
        chrono::Utc::now().timestamp_micros()
    }
}

/// A clock that stands still: tests only, but of the library so that every test binary can use it.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub i64);

impl Clock for FixedClock {
    fn now_micros(&self) -> i64 {
        self.0
    }
}
