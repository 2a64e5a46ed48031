//! Every file of `tests/wire`, on featgres and on a real PostgreSQL.

use std::path::{Path, PathBuf};

use super::transcript::{Target, rewrite, run};
use crate::support::{PostgreSql, TestGateway};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).expect("tests/wire").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "pt"));
    files.sort();
    files
}

/// Plays all files, some at a time, and fails with all differences.
fn play(target: &Target) {
    let outcomes: Vec<(Vec<String>, usize)> = std::thread::scope(|scope| {
        let running: Vec<_> = files()
            .into_iter()
            .map(|path| {
                scope.spawn(move || {
                    let text = std::fs::read_to_string(&path).expect("a transcript");
                    run(&path.file_stem().unwrap_or_default().to_string_lossy(), &text, target)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a transcript is played")).collect()
    });
    let cases: usize = outcomes.iter().map(|(_, cases)| cases).sum();
    let failures: Vec<String> = outcomes.into_iter().flat_map(|(failures, _)| failures).collect();
    assert!(failures.is_empty(), "{} of {cases} cases differ on {}:\n{}", failures.len(), target.name, failures.join("\n"));
    assert!(cases >= 150, "only {cases} cases were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn featgres_answers_as_written() {
    let gateway = TestGateway::start().await;
    let target = Target { name: "featgres", address: gateway.address, user: "tester".to_owned(), database: "test".to_owned() };
    tokio::task::spawn_blocking(move || play(&target)).await.expect("the transcripts are played");
}

#[test]
fn postgresql_answers_as_written() {
    let server = match PostgreSql::start() {
        Ok(server) => server,
        Err(why) => return eprintln!("SKIPPED: postgresql_answers_as_written: {why}"),
    };
    let target = Target { name: "postgresql", address: server.address, user: server.user.clone(), database: server.database.clone() };
    if std::env::var_os("FEATGRES_WIRE_REWRITE").is_some() {
        for path in files() {
            let text = std::fs::read_to_string(&path).expect("a transcript");
            let new = rewrite(&text, &target).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
            std::fs::write(&path, new).expect("the transcript is written");
        }
    }
    play(&target);
}
