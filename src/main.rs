//! The `featgres` binary: see [`featgres::cli`].

fn main() {}
