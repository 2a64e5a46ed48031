//! The `featgres` binary: see [`featgres::cli`].

use std::process::ExitCode;

/// Gives memory back when a large statement is over, which the system's allocator keeps for the threads that are gone.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    featgres::cli::main()
}
