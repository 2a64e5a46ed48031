//! PostgreSQL's forms of values, both ways: Arrow arrays to text and binary (`encode`), text and binary to Arrow (`decode`).
//!
//! One place for them, below the wire and the planner: what `'1 day'::interval` means in a statement, what COPY reads in a field and
//! what a parameter says are the same code, and `x::text` gives the text that a client would have been sent. Nothing here knows a
//! session; what decides how a value looks is an [`OutputSettings`].

mod abbreviations;
pub(crate) mod characters;
pub(crate) mod clocks;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod jsonb;
#[cfg(test)]
mod postgres_values;
pub(crate) mod precision;
pub(crate) mod reading;
pub(crate) mod zone;

pub use reading::DateOrder;

/// Settings that change how values are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSettings {
    /// `TimeZone`, an IANA name or a fixed offset.
    pub time_zone: String,
    /// `extra_float_digits`.
    pub extra_float_digits: i32,
    /// `bytea_output = escape`.
    pub bytea_escape: bool,
}
