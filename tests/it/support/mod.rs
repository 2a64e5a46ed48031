//! A gateway of the test's own, and where the optional fixtures are.

mod authority;
mod fake_catalogs;
mod fake_trino;
mod faulty_s3;
mod gateway;
mod postgres;
mod serving;
mod stack;
mod tls_front;
mod warehouse;

pub use authority::Authority;
pub use fake_catalogs::{CatalogFault, FakeCatalogs};
pub use fake_trino::{FakeTrino, Fault as TrinoFault};
pub use faulty_s3::{Fault, FaultyS3};
pub use gateway::{TestGateway, code};
pub use postgres::PostgreSql;
pub use serving::{Serving, featgres};
pub use stack::{Stack, TrinoSession, plain};
pub use tls_front::TlsFront;
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
