//! Every check of the fixture tables, through the socket, in text and in binary, by the checker that comes with them.
//!
//! Needs the fixture folder and a Python with psycopg 3 (`FEATGRES_PYTHON`, else `python3`); says so where one is missing.

use std::process::Stdio;
use std::sync::Arc;

use featgres::config::{CatalogConfig, CatalogKind, Config};
use object_store::local::LocalFileSystem;

use crate::support::{TestGateway, shared};

#[tokio::test(flavor = "multi_thread")]
async fn every_check_gives_its_rows_or_its_error() {
    let Some(shared) = shared() else {
        eprintln!("SKIPPED every_check_gives_its_rows_or_its_error: no fixture folder (FEATGRES_SHARED)");
        return;
    };
    let python = std::env::var("FEATGRES_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_psycopg = std::process::Command::new(&python).args(["-c", "import psycopg"]).stderr(Stdio::null()).status();
    if !has_psycopg.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED every_check_gives_its_rows_or_its_error: {python} has no psycopg (FEATGRES_PYTHON)");
        return;
    }
    let fixtures = shared.join("fixtures");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // SQLite may want to write beside the file, and the folder is not ours.
    let sqlite = folder.path().join("catalog.sqlite");
    std::fs::copy(fixtures.join("catalog.sqlite"), &sqlite).expect("a copy of the catalog");
    let mut config = Config::embedded("test", folder.path(), "127.0.0.1:0".parse().expect("an address"));
    let catalog = CatalogConfig::new("fixtures", CatalogKind::Sql, format!("sqlite:///{}", sqlite.display()));
    config.catalogs.insert("fixtures".to_owned(), catalog);
    let gateway = TestGateway::serve(folder, config).await.expect("the gateway starts");
    let storage = gateway.gateway.planner.sources.catalog("fixtures").expect("the catalog").storage();
    for (bucket, below) in [("fixtures", "warehouse"), ("fixtures2", "warehouse2")] {
        let store = LocalFileSystem::new_with_prefix(fixtures.join(below)).expect("a folder");
        storage.mount(&format!("s3://{bucket}"), Arc::new(store));
    }
    for extra in [vec![], vec!["--binary"]] {
        let mut check = tokio::process::Command::new(&python);
        check
            .arg(fixtures.join("check_with.py"))
            .arg(fixtures.join("cases.json"))
            .arg(gateway.conninfo())
            .args(["--table", "fixtures.\"{namespace}\".\"{table}\""])
            // Expected z of id 4 is 00:00:00.000001; the data file holds -86399999999999 ns, one nanosecond after midnight. (The bytes
            // are looked at in `table::fixture_tests::scans`.)
            .args(["--skip", "^v3_timestamptz_ns/rows$"])
            .args(&extra)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = check.output().await.expect("the checker runs");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{extra:?}: {}", text.lines().last().unwrap_or_default());
        assert!(output.status.success(), "{extra:?}:\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
