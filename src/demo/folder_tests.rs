//! Created once, reused, refused, told apart.

use super::*;
use crate::clock::SystemClock;
use crate::error::Report;

fn prepare(path: &Path) -> Result<DemoFolder, Report> {
    DemoFolder::prepare(path, Arc::new(SystemClock)).map_err(Report::from)
}

#[test]
fn an_empty_folder_is_filled_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = prepare(folder.path()).unwrap();
    assert_eq!(first.written.unwrap().tables, 4);
    drop(first);
    assert_eq!(prepare(folder.path()).unwrap().written, None);
}

#[test]
fn a_folder_in_use_says_how_to_reach_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = prepare(folder.path()).unwrap();
    first.announce("psql -h 127.0.0.1 -p 5433 -U demo demo\n").unwrap();
    let report = prepare(folder.path()).unwrap_err();
    assert!(report.message.ends_with("is in use by another featgres"), "{}", report.message);
    assert_eq!(report.hint.as_deref(), Some("Try it with: psql -h 127.0.0.1 -p 5433 -U demo demo"));
}

#[test]
fn foreign_things_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("warehouse")).unwrap();
    let report = prepare(folder.path()).unwrap_err();
    assert!(report.message.ends_with("holds other things (\"warehouse\")"), "{}", report.message);
    assert!(folder.path().join("warehouse").exists() && !folder.path().join(LOCK).exists());
}

#[test]
fn an_interrupted_creation_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(LOCK), "").unwrap();
    std::fs::write(folder.path().join("catalog.sqlite"), "half a file").unwrap();
    assert!(prepare(folder.path()).unwrap().written.is_some());
}
