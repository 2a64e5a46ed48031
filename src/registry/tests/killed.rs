//! kill -9 during a stream of commits, a hundred rounds: every version whose commit was acknowledged is there.
//!
//! The test binary runs itself as the writer: it prints a version's number once the commit has returned. The parent
//! reads a number of lines that differs by round and kills it, somewhere in the next commit.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::clock::SystemClock;
use crate::storage::Storage;

const FOLDER: &str = "FEATGRES_TEST_KILLED_REGISTRY";
const ROUNDS: u64 = 100;

async fn open(folder: &str) -> Arc<RegistryStore> {
    RegistryStore::open(Storage::local(), &format!("file://{folder}"), Arc::new(SystemClock)).await.unwrap()
}

/// The child: commits until it is killed. Does nothing when the test binary is run by hand.
#[tokio::test]
async fn writer_to_be_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = open(&folder).await;
    loop {
        let name = format!("e{}", store.current().version);
        let (made, _) = store.commit_autocommit(&[create_entity(&name)], "w", "CREATE ENTITY").await.unwrap();
        // Straight to the pipe: what is printed was acknowledged.
        std::io::stdout().write_all(format!("\nacknowledged {} {name}\n", made.version).as_bytes()).unwrap();
    }
}

#[test]
fn a_killed_writer_loses_no_acknowledged_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "registry::tests::killed::writer_to_be_killed", "--nocapture"])
            .env(FOLDER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wanted = 1 + round % 7;
        while wanted > 0 {
            let line = lines.next().expect("the writer ended by itself").unwrap();
            if let Some(rest) = line.strip_prefix("acknowledged ") {
                let (version, name) = rest.split_once(' ').unwrap();
                acknowledged.push((version.parse().unwrap(), name.to_owned()));
                wanted -= 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still acknowledged before it died.
        for line in lines.map_while(Result::ok) {
            if let Some((version, name)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' ')) {
                acknowledged.push((version.parse().unwrap(), name.to_owned()));
            }
        }
        let current = runtime.block_on(open(&path)).current();
        for (version, name) in &acknowledged {
            assert!(
                *version <= current.version && current.entities.contains_key(name),
                "round {round}: version {version} ({name}) is lost"
            );
        }
        // At most the one commit that was under way is there without having been acknowledged.
        assert!(current.version <= acknowledged.len() as u64 + round + 1);
    }
    assert!(acknowledged.len() as u64 >= ROUNDS);
}
