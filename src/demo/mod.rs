//! The embedded warehouse of `featgres demo`.
