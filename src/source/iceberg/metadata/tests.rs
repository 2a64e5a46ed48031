//! Versions and damages.
