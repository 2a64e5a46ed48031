//! A gateway of the test's own, and where the optional fixtures are.

mod answers;
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

pub use answers::{answer, cells, lines};
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

use std::path::{Path, PathBuf};

/// The folder of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of tables written by others, if it is there: `FEATGRES_SHARED`, or `shared` beside the checkout.
pub fn shared() -> Option<PathBuf> {
    let folder = match std::env::var_os("FEATGRES_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => root().parent()?.join("shared"),
    };
    folder.join("fixtures/cases.json").exists().then_some(folder)
}
