//! A gateway of the test's own, and where the optional fixtures are.

mod faulty_s3;
mod fake_trino;
mod gateway;
mod postgres;
mod stack;
mod warehouse;

pub use fake_trino::{FakeTrino, Fault as TrinoFault};
pub use faulty_s3::{Fault, FaultyS3};
pub use gateway::{TestGateway, code};
pub use postgres::PostgreSql;
pub use stack::{Stack, TrinoSession, plain};
pub use warehouse::{Cells, batch, schema, write_sample};

use std::path::PathBuf;

/// The folder of tables written by others, if it is there: `FEATGRES_SHARED`, or `shared` beside the checkout.
pub fn shared() -> Option<PathBuf> {
    let folder = match std::env::var_os("FEATGRES_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent()?.join("shared"),
    };
    folder.join("fixtures/cases.json").exists().then_some(folder)
}
