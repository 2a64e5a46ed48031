//! The `featgres` binary: see [`featgres::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    featgres::cli::main()
}
